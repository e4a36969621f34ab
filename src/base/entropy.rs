//! The one source of unguessable bytes: the operating system's, through AWS-LC.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The random source. It has no state of its own; it is a value so that whoever draws from it
/// must have been given it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entropy(());

/// The operating system gave no random bytes. Nothing that needs them may go on.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

impl Entropy {
    /// The system's random source.
    #[must_use]
    pub fn system() -> Self {
        Self(())
    }

    /// `N` unguessable bytes.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system refuses; never a weaker answer.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that draws random bytes"
    )]
    pub fn bytes<const N: usize>(self) -> Result<[u8; N], NoEntropy> {
        let mut bytes = [0; N];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoEntropy)?;
        Ok(bytes)
    }

    /// A token of 256 random bits as 43 characters of unpadded base64url (RFC 4648 section 5):
    /// enough for a `state`, a `nonce` or a `code_verifier` (RFC 7636 section 4.1).
    ///
    /// # Errors
    /// [`NoEntropy`] as in [`Entropy::bytes`].
    pub fn token(self) -> Result<String, NoEntropy> {
        Ok(URL_SAFE_NO_PAD.encode(self.bytes::<32>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_43_unreserved_characters_and_differ() {
        let entropy = Entropy::system();
        let (one, two) = (entropy.token().unwrap(), entropy.token().unwrap());
        assert_eq!(one.len(), 43);
        assert!(
            one.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_ne!(one, two);
    }
}
