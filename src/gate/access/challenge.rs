//! What an app says that it wants of a sign-in (RFC 9470 section 3), in the challenges of its 401.

use std::time::Duration;

use super::answer::StepUp;

/// The most bytes of a field that are looked at, and the most contexts that are asked for.
const LONGEST: usize = 2048;
const MOST_CONTEXTS: usize = 8;

impl StepUp {
    /// What the `WWW-Authenticate` field `value` asks for, whatever its scheme; nothing, where it does not
    /// say `error="insufficient_user_authentication"`, or says a thing twice.
    #[must_use]
    pub fn of_challenge(value: &str) -> Option<Self> {
        if value.len() > LONGEST {
            return None;
        }
        let (mut error, mut acr, mut max_age) = (None, None, None);
        for (name, text) in (Parameters { rest: value }) {
            let slot = match name.to_ascii_lowercase().as_str() {
                "error" => &mut error,
                "acr_values" => &mut acr,
                "max_age" => &mut max_age,
                _ => continue,
            };
            if slot.replace(text).is_some() {
                return None;
            }
        }
        if error.as_deref() != Some("insufficient_user_authentication") {
            return None;
        }
        let seconds = max_age.map(|text| text.parse::<u32>());
        let acr = acr.unwrap_or_default();
        let acr: Vec<String> = acr.split_ascii_whitespace().map(str::to_owned).collect();
        let is_sound = acr.len() <= MOST_CONTEXTS
            && acr
                .iter()
                .flat_map(|one| one.bytes())
                .all(|byte| byte.is_ascii_graphic());
        is_sound.then_some(Self {
            acr,
            max_age: seconds
                .transpose()
                .ok()?
                .map(|seconds| Duration::from_secs(seconds.into())),
        })
    }
}

/// The parameters of all challenges in a field (RFC 9110 section 11.2): `name=token` and `name="text"`.
struct Parameters<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_between = |c: char| matches!(c, ' ' | '\t' | ',');
            self.rest = self.rest.trim_start_matches(is_between);
            let end = self.rest.find(|c| is_between(c) || c == '=');
            let (name, rest) = self.rest.split_at_checked(end?)?;
            let Some(value) = rest.strip_prefix('=') else {
                // The name of a scheme.
                self.rest = rest;
                continue;
            };
            if let Some(quoted) = value.strip_prefix('"') {
                let (text, rest) = unquoted(quoted)?;
                self.rest = rest;
                return Some((name, text));
            }
            let end = value.find(is_between).unwrap_or(value.len());
            let (token, rest) = value.split_at_checked(end)?;
            self.rest = rest;
            return Some((name, token.to_owned()));
        }
    }
}

/// The text of a quoted string (RFC 9110 section 5.6.4) after its first quote, and what follows it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((text, chars.as_str())),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_up(acr: &[&str], max_age: Option<u64>) -> StepUp {
        StepUp {
            acr: acr.iter().map(|&one| one.to_owned()).collect(),
            max_age: max_age.map(Duration::from_secs),
        }
    }

    #[test]
    fn what_an_app_asks_for_is_read_from_its_challenge() {
        let rows = [
            (
                r#"Bearer error="insufficient_user_authentication", error_description="A different authentication level, \"mfa\", is required", acr_values="myACR phr", max_age="5""#,
                step_up(&["myACR", "phr"], Some(5)),
            ),
            (
                r"Bearer error=insufficient_user_authentication",
                step_up(&[], None),
            ),
            (
                r#"Basic realm="x", DPoP algs="ES256", error="insufficient_user_authentication",max_age=60"#,
                step_up(&[], Some(60)),
            ),
            (
                r#"Bearer ERROR="insufficient_user_authentication", Acr_Values="a""#,
                step_up(&["a"], None),
            ),
        ];
        for (value, expected) in rows {
            assert_eq!(StepUp::of_challenge(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_does_not_ask_for_it_or_not_clearly_is_nothing() {
        let long = format!(
            r#"Bearer error="insufficient_user_authentication", x="{}""#,
            "x".repeat(2048)
        );
        let many = format!(
            r#"Bearer error="insufficient_user_authentication", acr_values="{}""#,
            "a ".repeat(9)
        );
        let rows = [
            "",
            "Bearer",
            r#"Bearer error="invalid_token""#,
            r#"Bearer realm="insufficient_user_authentication""#,
            r#"Bearer realm="error=insufficient_user_authentication""#,
            r#"Bearer error="insufficient_user_authentication"#,
            r#"Bearer error="insufficient_user_authentication", error="x""#,
            r#"Bearer error="insufficient_user_authentication", max_age="-1""#,
            r#"Bearer error="insufficient_user_authentication", max_age="99999999999""#,
            r#"Bearer error="insufficient_user_authentication", acr_values="ü""#,
            &long,
            &many,
        ];
        for value in rows {
            assert_eq!(StepUp::of_challenge(value), None, "{value}");
        }
    }
}
