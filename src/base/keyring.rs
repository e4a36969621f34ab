//! Seals small values so that only we can read or make them, each for one purpose.
//!
//! The sealed form is `version | key id | nonce | ciphertext | tag`, in unpadded base64url:
//! AES-256-GCM-SIV (RFC 8452), because replicas share a key and draw random 96-bit nonces, and SIV
//! survives a repeat. Each key of the ring is expanded by HKDF-SHA-256 (RFC 5869) into one key a
//! [`Purpose`]; version, key id, purpose and the caller's context are authenticated with the value.
//! Nothing is compressed: a value that mixes a secret with what an attacker chose leaks no length.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::entropy::{Entropy, NoEntropy};

/// The version byte of the frame. A value of another version does not open.
const FRAME_VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const KEY_ID_LEN: usize = 4;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// A key of 32 random bytes has about 30 different byte values; fewer than this is not random.
const FEWEST_DISTINCT_BYTES: usize = 16;

/// How many characters a value of `length` bytes has when it is sealed.
#[must_use]
pub const fn sealed_len(length: usize) -> usize {
    ((HEADER_LEN + length + TAG_LEN) * 4).div_ceil(3)
}

/// What a sealed value is for. A value sealed for one purpose never opens for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A session in its cookie.
    Session,
    /// A login in flight, in its cookie.
    PendingLogin,
    /// The `state` of an authorization request.
    State,
    /// The `state` of a request to the provider's end-session endpoint.
    LogoutState,
    /// What a browser has of a session that is kept in a store.
    Ticket,
    /// Who a session in a store is, for lists.
    Card,
}

impl Purpose {
    const ALL: [Self; 6] = [
        Self::Session,
        Self::PendingLogin,
        Self::State,
        Self::LogoutState,
        Self::Ticket,
        Self::Card,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::PendingLogin => "pending login",
            Self::State => "state",
            Self::LogoutState => "logout state",
            Self::Ticket => "ticket",
            Self::Card => "card",
        }
    }
}

/// One session key as an operator keeps it: 32 bytes, written as one line of base64url.
#[derive(Clone)]
pub struct SessionKey(Zeroizing<[u8; KEY_LEN]>);

/// Why a line of a key file is not a session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionKeyError {
    /// Not the base64url of exactly 32 bytes.
    #[error("a session key is one line of base64url that holds exactly 32 bytes")]
    Form,
    /// All bytes alike, or so few different ones that it cannot be random.
    #[error("this session key is not random; make one with `sidegate keygen`")]
    NotRandom,
    /// The file holds no key at all.
    #[error("the key file holds no key; make one with `sidegate keygen`")]
    Empty,
}

impl SessionKey {
    /// Draws a fresh key.
    ///
    /// # Errors
    /// [`NoEntropy`] when the system has no random bytes.
    pub fn generate(entropy: Entropy) -> Result<Self, NoEntropy> {
        Ok(Self(Zeroizing::new(entropy.bytes()?)))
    }

    /// The key of these bytes, which were drawn at random for one session.
    #[must_use]
    pub fn of_session(bytes: &[u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Reads one line.
    ///
    /// # Errors
    /// [`SessionKeyError`]: another length or alphabet, or visibly not random.
    pub fn parse(line: &str) -> Result<Self, SessionKeyError> {
        let bytes = Zeroizing::new(
            URL_SAFE_NO_PAD
                .decode(line.trim().trim_end_matches('='))
                .map_err(|_| SessionKeyError::Form)?,
        );
        let bytes: [u8; KEY_LEN] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| SessionKeyError::Form)?;
        let mut seen = [false; 256];
        for byte in bytes {
            if let Some(slot) = seen.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
        if seen.iter().filter(|&&is| is).count() < FEWEST_DISTINCT_BYTES {
            return Err(SessionKeyError::NotRandom);
        }
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Reads a key file: one key a line, empty lines and lines starting with `#` ignored.
    ///
    /// # Errors
    /// [`SessionKeyError`] of the first bad line, or [`SessionKeyError::Empty`].
    pub fn parse_file(text: &str) -> Result<Vec<Self>, SessionKeyError> {
        let keys = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Self::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            Err(SessionKeyError::Empty)
        } else {
            Ok(keys)
        }
    }

    /// The line an operator keeps. Only `keygen` shows it.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey([redacted])")
    }
}

/// Session keys in order: the first seals, all open.
pub struct Keyring {
    keys: Vec<RingKey>,
}

struct RingKey {
    id: [u8; KEY_ID_LEN],
    by_purpose: Vec<RandomizedNonceKey>,
}

/// An opened value, and whether it should be sealed anew because its key is no longer the first.
#[derive(Debug)]
pub struct Opened {
    /// The bytes that were sealed.
    pub plaintext: Vec<u8>,
    /// Which key had sealed it.
    pub sealed_by: SealedBy,
}

/// Which key of the ring had sealed a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedBy {
    /// The first key, which seals today.
    Newest,
    /// A key that only opens any more.
    Older,
}

/// The ring cannot be built, or a value cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No key was given.
    #[error("a key ring needs at least one session key")]
    NoKey,
    /// The cryptographic library refused, which only a broken system makes it do.
    #[error("the value could not be sealed")]
    Refused,
}

/// The value does not open. One error for every reason, so that an answer cannot tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

impl Keyring {
    /// Builds the ring; `keys` in the operator's order.
    ///
    /// # Errors
    /// [`SealError::NoKey`] for an empty list.
    pub fn new(keys: &[SessionKey]) -> Result<Self, SealError> {
        if keys.is_empty() {
            return Err(SealError::NoKey);
        }
        let keys = keys
            .iter()
            .map(RingKey::derive)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// Seals `plaintext` under the first key, for `purpose` and bound to `context`, which must be
    /// given again to open it. The answer is unpadded base64url.
    ///
    /// # Errors
    /// [`SealError::Refused`] when the cryptographic library fails.
    pub fn seal(
        &self,
        purpose: Purpose,
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<String, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let mut frame = Vec::with_capacity(HEADER_LEN + plaintext.len() + TAG_LEN);
        frame.push(FRAME_VERSION);
        frame.extend_from_slice(&key.id);
        frame.extend_from_slice(&[0; NONCE_LEN]);
        let mut sealed = plaintext.to_vec();
        let nonce = key
            .for_purpose(purpose)
            .ok_or(SealError::Refused)?
            .seal_in_place_append_tag(Aad::from(associated(key.id, purpose, context)), &mut sealed)
            .map_err(|_| SealError::Refused)?;
        if let Some(slot) = frame.get_mut(1 + KEY_ID_LEN..HEADER_LEN) {
            slot.copy_from_slice(nonce.as_ref());
        }
        frame.extend_from_slice(&sealed);
        Ok(URL_SAFE_NO_PAD.encode(frame))
    }

    /// Opens what [`Keyring::seal`] made, under whichever key of the ring sealed it.
    ///
    /// # Errors
    /// [`OpenError`] for anything else: other bytes, purpose, context, key or version.
    pub fn open(
        &self,
        purpose: Purpose,
        context: &[u8],
        sealed: &str,
    ) -> Result<Opened, OpenError> {
        let mut frame = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError)?;
        let (version, rest) = frame.split_first_mut().ok_or(OpenError)?;
        let (id, rest) = rest
            .split_first_chunk_mut::<KEY_ID_LEN>()
            .ok_or(OpenError)?;
        let (nonce, body) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(OpenError)?;
        if *version != FRAME_VERSION {
            return Err(OpenError);
        }
        // Two keys could share an id by chance (1 in 4 billion): try each that has it.
        for (index, key) in self
            .keys
            .iter()
            .enumerate()
            .filter(|(_, key)| key.id == *id)
        {
            let mut attempt = body.to_vec();
            let aad = Aad::from(associated(key.id, purpose, context));
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opening = key.for_purpose(purpose).ok_or(OpenError)?;
            if let Ok(plaintext) = opening.open_in_place(nonce, aad, &mut attempt) {
                let length = plaintext.len();
                attempt.truncate(length);
                let sealed_by = if index == 0 {
                    SealedBy::Newest
                } else {
                    SealedBy::Older
                };
                return Ok(Opened {
                    plaintext: attempt,
                    sealed_by,
                });
            }
        }
        Err(OpenError)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("keys", &self.keys.len())
            .finish()
    }
}

impl RingKey {
    fn derive(key: &SessionKey) -> Result<Self, SealError> {
        let extracted = Salt::new(HKDF_SHA256, b"sidegate session key").extract(&*key.0);
        let mut id = [0; KEY_ID_LEN];
        extracted
            .expand(&[b"key id"], Length(KEY_ID_LEN))
            .and_then(|okm| okm.fill(&mut id))
            .map_err(|_| SealError::Refused)?;
        let by_purpose = Purpose::ALL
            .iter()
            .map(|purpose| {
                let mut derived = Zeroizing::new([0; KEY_LEN]);
                extracted
                    .expand(&[b"seal ", purpose.label().as_bytes()], Length(KEY_LEN))
                    .and_then(|okm| okm.fill(&mut *derived))
                    .map_err(|_| SealError::Refused)?;
                RandomizedNonceKey::new(&AES_256_GCM_SIV, &*derived).map_err(|_| SealError::Refused)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { id, by_purpose })
    }

    fn for_purpose(&self, purpose: Purpose) -> Option<&RandomizedNonceKey> {
        let index = Purpose::ALL.iter().position(|&one| one == purpose)?;
        self.by_purpose.get(index)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// What is authenticated beside the ciphertext. The label has a fixed set of values and ends with
/// NUL, so no two pairs of purpose and context give the same bytes.
fn associated(id: [u8; KEY_ID_LEN], purpose: Purpose, context: &[u8]) -> Vec<u8> {
    let label = purpose.label().as_bytes();
    let mut bytes = Vec::with_capacity(2 + KEY_ID_LEN + label.len() + context.len());
    bytes.push(FRAME_VERSION);
    bytes.extend_from_slice(&id);
    bytes.extend_from_slice(label);
    bytes.push(0);
    bytes.extend_from_slice(context);
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key() -> SessionKey {
        SessionKey::generate(Entropy::system()).unwrap()
    }

    fn ring(keys: &[&SessionKey]) -> Keyring {
        Keyring::new(&keys.iter().map(|&key| key.clone()).collect::<Vec<_>>()).unwrap()
    }

    // F4: every bit of a sealed value flipped, every truncation, anything appended.
    #[test]
    fn a_sealed_value_that_was_touched_anywhere_does_not_open() {
        let ring = ring(&[&key()]);
        let sealed = ring
            .seal(Purpose::Session, b"scope", b"alice is here")
            .unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = URL_SAFE_NO_PAD.encode(flipped);
            assert_eq!(
                ring.open(Purpose::Session, b"scope", &text).unwrap_err(),
                OpenError
            );
        }
        for end in 0..sealed.len() {
            assert!(
                ring.open(Purpose::Session, b"scope", &sealed[..end])
                    .is_err()
            );
        }
        for more in ["A", "=", "AAAA", " ", "."] {
            assert!(
                ring.open(Purpose::Session, b"scope", &format!("{sealed}{more}"))
                    .is_err()
            );
        }
        assert!(ring.open(Purpose::Session, b"scope", &sealed).is_ok());
    }

    // F5: one derived key per purpose, and the context is bound.
    #[test]
    fn a_value_opens_only_for_its_own_purpose_and_context() {
        let ring = ring(&[&key()]);
        for sealed_for in Purpose::ALL {
            let sealed = ring.seal(sealed_for, b"here", b"x").unwrap();
            for offered_for in Purpose::ALL {
                let opened = ring.open(offered_for, b"here", &sealed);
                assert_eq!(opened.is_ok(), sealed_for == offered_for);
            }
            assert!(ring.open(sealed_for, b"elsewhere", &sealed).is_err());
        }
    }

    // F6: all open, the first seals; a removed key opens nothing.
    #[test]
    fn an_older_key_opens_and_says_so_and_a_removed_key_does_not() {
        let (old, new) = (key(), key());
        let sealed = ring(&[&old]).seal(Purpose::Session, b"", b"x").unwrap();
        let both = ring(&[&new, &old]);
        assert_eq!(
            both.open(Purpose::Session, b"", &sealed).unwrap().sealed_by,
            SealedBy::Older
        );
        let anew = both.seal(Purpose::Session, b"", b"x").unwrap();
        assert_eq!(
            both.open(Purpose::Session, b"", &anew).unwrap().sealed_by,
            SealedBy::Newest
        );
        assert!(ring(&[&new]).open(Purpose::Session, b"", &sealed).is_err());
        assert!(ring(&[&old]).open(Purpose::Session, b"", &anew).is_err());
    }

    // F6: sample values, zeros and low entropy are refused.
    #[test]
    fn a_key_that_is_not_random_is_refused() {
        let line = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(
            SessionKey::parse(&line(&[0; 32])).unwrap_err(),
            SessionKeyError::NotRandom
        );
        let repeated: Vec<u8> = b"secret12".repeat(4);
        assert_eq!(
            SessionKey::parse(&line(&repeated)).unwrap_err(),
            SessionKeyError::NotRandom
        );
        assert_eq!(
            SessionKey::parse(&line(&[7; 31])).unwrap_err(),
            SessionKeyError::Form
        );
        assert_eq!(
            SessionKey::parse("not a key").unwrap_err(),
            SessionKeyError::Form
        );
        assert_eq!(
            SessionKey::parse_file("# only this\n\n").unwrap_err(),
            SessionKeyError::Empty
        );
        let (one, two) = (key(), key());
        let file = format!("# newest\n{}\n\n{}\n", *one.to_line(), *two.to_line());
        assert_eq!(SessionKey::parse_file(&file).unwrap().len(), 2);
    }

    // F7: nonces do not repeat.
    #[test]
    fn nonces_do_not_repeat_in_100_000_seals() {
        let ring = ring(&[&key()]);
        let nonces: HashSet<Vec<u8>> = (0..100_000)
            .map(|_| {
                let sealed = ring.seal(Purpose::State, b"", b"").unwrap();
                URL_SAFE_NO_PAD.decode(sealed).unwrap()[5..17].to_vec()
            })
            .collect();
        assert_eq!(nonces.len(), 100_000);
    }

    #[test]
    fn keys_are_never_printed() {
        let key = key();
        let line = key.to_line();
        assert!(!format!("{key:?}{:?}", ring(&[&key])).contains(line.as_str()));
    }
}
