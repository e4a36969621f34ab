//! The query of our own endpoints: known names once, unknown ones ignored.

use url::form_urlencoded;

/// The known parameters of one query.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(&'static str, String)>);

/// A known parameter stands twice: two values for one meaning (security requirement A18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parameter `{0}` is repeated")]
pub struct Repeated(pub &'static str);

impl Parameters {
    /// Reads the parameters called `known` from `query`. A name written `new=old` in `known` is
    /// accepted under both spellings and means the first.
    ///
    /// # Errors
    /// [`Repeated`].
    pub fn parse(
        query: Option<&str>,
        known: &[(&'static str, &'static [&'static str])],
    ) -> Result<Self, Repeated> {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            let meant = known
                .iter()
                .find(|(own, aliases)| *own == name || aliases.contains(&name.as_ref()));
            if let Some((own, _)) = meant {
                if found.one(own).is_some() {
                    return Err(Repeated(own));
                }
                found.0.push((own, value.into_owned()));
            }
        }
        Ok(found)
    }

    /// The value of a parameter.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The page to return to, under its own name and that of the best-known proxy of this kind.
pub const RETURN_TO: (&str, &[&str]) = ("return_to", &["rd"]);

#[cfg(test)]
mod tests {
    use super::*;

    // A18: no parameter may repeat, under whichever of its names.
    #[test]
    fn a_repeated_parameter_is_refused_and_an_unknown_one_ignored() {
        let known = [RETURN_TO, ("provider", &[] as &[&str])];
        let parse = |query| Parameters::parse(Some(query), &known);
        let good = parse("rd=%2Fa%3Fb&provider=x&scope=evil&scope=more").unwrap();
        assert_eq!(
            (good.one("return_to"), good.one("provider")),
            (Some("/a?b"), Some("x"))
        );
        assert_eq!(good.one("scope"), None);
        assert_eq!(
            parse("rd=/a&return_to=/b").unwrap_err(),
            Repeated("return_to")
        );
        assert_eq!(
            parse("provider=a&provider=a").unwrap_err(),
            Repeated("provider")
        );
    }
}
