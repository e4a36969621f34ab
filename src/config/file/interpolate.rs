//! `${NAME}`, replaced from the environment as text.

use crate::config::environment::Environment;

pub(super) enum InterpolationError {
    /// The variable is not set.
    Unset(String),
    /// `${` without a name and its brace.
    Form,
}

impl InterpolationError {
    pub(super) fn texts(&self) -> (String, &'static str) {
        match self {
            Self::Unset(name) => (
                format!("the environment variable `{name}` is not set"),
                "set it, or quote the text if it is meant as it stands",
            ),
            Self::Form => (
                "`${` begins the name of an environment variable".to_owned(),
                "write `${NAME}`, or quote the text if it is meant as it stands",
            ),
        }
    }
}

/// Replaces every `${NAME}`; nothing, where there is none.
pub(super) fn interpolate(
    text: &str,
    environment: &Environment,
) -> Result<Option<String>, InterpolationError> {
    let mut rest = text;
    let mut replaced = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or(InterpolationError::Form)?;
        let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        if !sound {
            return Err(InterpolationError::Form);
        }
        let value = environment
            .value(name)
            .ok_or_else(|| InterpolationError::Unset(name.to_owned()))?;
        replaced.push_str(before);
        replaced.push_str(value);
        rest = after;
    }
    if rest.len() == text.len() {
        return Ok(None);
    }
    replaced.push_str(rest);
    Ok(Some(replaced))
}
