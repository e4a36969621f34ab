//! The parameters of a query or a form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use url::form_urlencoded;

/// Decoded parameters. One without a value counts as absent, and one that comes more than once has
/// no value at all (RFC 6749 section 3.1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, String>,
    repeated: BTreeSet<String>,
}

impl Parameters {
    /// Decodes `application/x-www-form-urlencoded` bytes. Never fails: what is no UTF-8 is
    /// replaced, and then equals nothing that was registered or issued.
    #[must_use]
    pub fn parse(encoded: &[u8]) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(encoded) {
            if value.is_empty() {
                continue;
            }
            let earlier = parameters
                .values
                .insert(name.clone().into_owned(), value.into_owned());
            if earlier.is_some() {
                parameters.repeated.insert(name.into_owned());
            }
        }
        for name in &parameters.repeated {
            parameters.values.remove(name);
        }
        parameters
    }

    /// The value of `name`, where it came exactly once.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether `name` came more than once.
    #[must_use]
    pub fn repeats(&self, name: &str) -> bool {
        self.repeated.contains(name)
    }

    /// Whether any parameter came more than once.
    #[must_use]
    pub fn any_repeats(&self) -> bool {
        !self.repeated.is_empty()
    }

    /// The names and values that came once, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Names only: values are codes, tokens and passwords.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Appends parameters to `uri`, which may have a query and has no fragment, as RFC 6749 section
/// 4.1.2 asks: what is there stays as it is.
pub(super) fn append(uri: &str, parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        return uri.to_owned();
    }
    let added = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{added}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_has_no_value() {
        let parameters = Parameters::parse(b"a=1&b=2&a=3&c=&d=%C3%A9+x");
        assert_eq!(parameters.value("a"), None);
        assert!(parameters.repeats("a") && parameters.any_repeats());
        assert_eq!(parameters.value("b"), Some("2"));
        assert_eq!(parameters.value("c"), None);
        assert_eq!(parameters.value("d"), Some("\u{e9} x"));
    }

    #[test]
    fn parameters_are_never_printed_with_their_values() {
        let printed = format!("{:?}", Parameters::parse(b"code=canary"));
        assert!(printed.contains("code") && !printed.contains("canary"));
    }

    #[test]
    fn a_query_that_is_there_is_kept_byte_for_byte() {
        assert_eq!(
            append("http://a.test/x?q=%2f", &[("s", "a b&")]),
            "http://a.test/x?q=%2f&s=a+b%26"
        );
        assert_eq!(
            append("http://a.test/x", &[("s", "1")]),
            "http://a.test/x?s=1"
        );
        assert_eq!(append("http://a.test/x", &[]), "http://a.test/x");
    }
}
