//! What sessions and people are called where operators read: enough to find what belongs together and to
//! end it, nothing that could be used. Hashes, of which the first 48 bits are written.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

use super::SessionId;

/// A session's name in logs: the beginning of a hash of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionName([u8; 12]);

impl SessionName {
    /// The name of the session with this id.
    #[must_use]
    pub fn of(id: &SessionId) -> Self {
        let mut name = [b'0'; 12];
        let hash = hash("session", &[id.as_str()]);
        for (place, digit) in name.iter_mut().zip(hash.bytes()) {
            *place = digit;
        }
        Self(name)
    }

    /// The text: 12 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The name of a person whose own names are not to be told: 12 hexadecimal digits, the same for the same
/// subject of the same issuer.
#[must_use]
pub fn of_person(issuer: &str, subject: &str) -> String {
    hash("user", &[issuer, subject])
}

/// What somebody typed to say whom they mean, where names are not to be told: a name of a log as it is, a
/// hash of anything else.
#[must_use]
pub fn of_typed(name: &str) -> String {
    let is_hash = name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        name.to_owned()
    } else {
        hash("typed", &[&name.to_lowercase()])
    }
}

/// The first 48 bits of a hash over `purpose` and the lengths and bytes of `parts`.
fn hash(purpose: &str, parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"sidegate log ");
    context.update(purpose.as_bytes());
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let mut text = String::with_capacity(12);
    for byte in digest.as_ref().iter().take(6) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
