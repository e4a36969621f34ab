//! A string that must not be seen: redacted when printed, compared in constant time, wiped when
//! dropped.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// A secret text. `Debug` prints `[redacted]`; there is no `Display`.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` in; the caller's copy is moved, not cloned.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call of this is a place to look at in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same text, in a time that depends on the lengths only.
    #[must_use]
    pub fn equals(&self, other: &str) -> bool {
        same(self.0.as_bytes(), other.as_bytes())
    }
}

/// Compares two byte strings in a time that depends on their lengths only.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(
            format!("{secret:?} {:#?}", Some(secret.clone()))
                .matches("hunter2")
                .count(),
            0
        );
        assert!(secret.equals("hunter2"));
        assert!(!secret.equals("hunter"));
        assert!(!secret.equals("hunter3"));
    }
}
