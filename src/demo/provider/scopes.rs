//! Scopes: what was asked for and is granted here.

use std::fmt;

/// The standard scopes that are granted (OpenID Connect Core sections 3.1.2.1, 5.4 and 11), and
/// `groups`, which many providers have.
pub(super) const STANDARD: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];

/// Granted scopes, each once, in the order asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scopes(Vec<String>);

impl Scopes {
    /// Those of `asked` (separated by spaces, RFC 6749 section 3.3) that are `supported`; the rest
    /// is left out, as the same section allows.
    pub(super) fn grant(asked: &str, supported: &[String]) -> Self {
        let mut granted = Self::default();
        for scope in asked.split(' ') {
            if supported.iter().any(|known| known == scope) && !granted.contains(scope) {
                granted.0.push(scope.to_owned());
            }
        }
        granted
    }

    pub(super) fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|granted| granted == scope)
    }

    /// `asked` within these, or nothing if it goes beyond them (RFC 6749 section 6).
    pub(super) fn narrow(&self, asked: &str) -> Option<Self> {
        let narrowed = Self::grant(asked, &self.0);
        asked
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .all(|scope| narrowed.contains(scope))
            .then_some(narrowed)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_unknown_is_not_granted_and_a_narrower_one_never_widens() {
        let supported = ["openid", "email", "profile"].map(str::to_owned);
        let granted = Scopes::grant("email  root openid email", &supported);
        assert_eq!(granted.to_string(), "email openid");
        assert_eq!(granted.narrow("openid").unwrap().to_string(), "openid");
        assert_eq!(granted.narrow("openid profile"), None);
    }
}
