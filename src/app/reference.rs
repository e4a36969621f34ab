//! The short name of one request: on the page, in the answer's `X-Request-Id`, in the log line.

use std::cell::OnceCell;
use std::fmt;

use crate::base::entropy::Entropy;

/// Thirty-two characters that nobody mistakes for one another when they are read aloud or typed:
/// neither `0` nor `O`, neither `1` nor `I`.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Eight characters in two groups, such as `K7QF-2M9X`. It finds a log line and opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference([u8; 9]);

impl Reference {
    /// The reference of these 40 bits. Random ones make it likely to be the only one of its day.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 5]) -> Self {
        let mut bits = bytes
            .iter()
            .fold(0_u64, |bits, &byte| (bits << 8) | u64::from(byte));
        let mut text = [b'-'; 9];
        let (left, right) = text.split_at_mut(4);
        for place in left.iter_mut().chain(right.iter_mut().skip(1)) {
            let index = usize::try_from(bits & 31).unwrap_or(0);
            *place = ALPHABET.get(index).copied().unwrap_or(b'2');
            bits >>= 5;
        }
        Self(text)
    }

    /// The text: nine characters of ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always ASCII; `from_utf8` is the safe way to say so.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request's reference, made when somebody first asks for it: most requests need none.
#[derive(Debug, Default)]
pub struct LazyReference(OnceCell<Reference>);

impl LazyReference {
    /// The reference; the same at every call.
    ///
    /// Where the system gives no random bytes it is `2222-2222`: an answer without a reference of
    /// its own is better than none.
    pub fn get_or_draw(&self, entropy: Entropy) -> Reference {
        *self
            .0
            .get_or_init(|| Reference::from_bytes(entropy.bytes().unwrap_or_default()))
    }

    /// The reference, if somebody has asked for it.
    #[must_use]
    pub fn drawn(&self) -> Option<Reference> {
        self.0.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_two_groups_of_four_plain_characters() {
        for bytes in [[0; 5], [255; 5], [1, 2, 3, 4, 5], *b"hello"] {
            let reference = Reference::from_bytes(bytes);
            let text = reference.as_str();
            assert_eq!(text.len(), 9, "{text}");
            for (at, byte) in text.bytes().enumerate() {
                if at == 4 {
                    assert_eq!(byte, b'-');
                } else {
                    assert!(ALPHABET.contains(&byte), "{text}");
                }
            }
        }
    }

    #[test]
    fn every_bit_of_the_five_bytes_counts() {
        let plain = Reference::from_bytes([0; 5]);
        for bit in 0..40 {
            let mut bytes = [0_u8; 5];
            bytes[bit / 8] = 1 << (bit % 8);
            assert_ne!(Reference::from_bytes(bytes), plain, "bit {bit}");
        }
    }

    #[test]
    fn a_request_keeps_the_reference_that_it_drew() {
        let lazy = LazyReference::default();
        assert_eq!(lazy.drawn(), None);
        let first = lazy.get_or_draw(Entropy::system());
        assert_eq!(lazy.get_or_draw(Entropy::system()), first);
        assert_eq!(lazy.drawn(), Some(first));
        let other = LazyReference::default().get_or_draw(Entropy::system());
        assert_ne!(first, other);
    }
}
