//! A same-site place to go back to after a login or a logout.
//!
//! A place is a path and a query on our own origin, never a URL, so that whatever is written into
//! `Location` cannot lead elsewhere. Why it cannot, by the WHATWG URL standard: a reference that
//! starts with `/` and goes on with neither `/` nor `\` keeps the scheme, host and port of its base;
//! tabs and line breaks, which the parser removes first, and blanks at either end, which it trims,
//! would be the only way to bring a second slash to the front, and no byte up to 0x20 is let in.
//!
//! That is about the text as it stands. Others on the way may decode it before they act on it: a
//! front proxy that rewrites `Location`, an app that redirects to its own path. Hence the same
//! holds for every reading of the *path* ([`Target::unfolded_readings`]: decoded as often as it goes,
//! normalised, dot segments removed, and so on), with one exception: a space may appear there, since
//! `/My%20Page` is an ordinary page and a space inside a path moves no boundary. At the front, where
//! it could, it is trimmed in one of the readings, so `/%20/evil.test` is found out.
//!
//! The *query* is held to the text as it stands only: whatever it decodes to, it comes after a path
//! that starts with one slash, so it cannot become a host. `?next=https%3A%2F%2Fx&q=a%20b%0A` is an
//! ordinary deep link, and a login has to lead back to it unchanged.

use std::fmt;

use super::origin::{Origin, PublicUrl};
use super::target::Target;

#[cfg(test)]
mod tests;

/// The longest place, in bytes. A login in flight keeps it in its cookie, beside the verifier and
/// the nonce, and browsers drop cookies above 4096 bytes; sealing and base64 make it a third longer.
pub const MAX_LEN: usize = 2048;

/// Path and query on our own origin: starts with exactly one `/`, is printable ASCII without space
/// and `\`, without `#` but for what [`ReturnTo::with_fragment`] added, and no longer than [`MAX_LEN`] (but for [`ReturnTo::home`], which is as long as the
/// operator made it).
///
/// It may be an endpoint of our own; whoever knows their names keeps a login from returning there.
#[derive(Clone, PartialEq, Eq)]
pub struct ReturnTo(Box<str>);

impl ReturnTo {
    /// Parses a path with an optional query. Bytes of 0x80 and above come out percent-encoded, as a
    /// browser would send them; all else stays as it is. Nothing for what is no safe place; then the
    /// app's home is the place to go to.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LEN {
            return None;
        }
        Self::of_target(&Target::parse(text).ok()?)
    }

    /// As [`ReturnTo::parse`]; besides, an absolute URL whose scheme, host and port are those of
    /// `own`, of which path and query remain.
    #[must_use]
    pub fn parse_for(text: &str, own: &Origin) -> Option<Self> {
        // `Origin` knows names beyond ASCII, and for those it asks a parser that forgives blanks.
        if text.len() > MAX_LEN || text.bytes().any(|byte| byte <= b' ' || byte == b'\\') {
            return None;
        }
        if text.starts_with('/') {
            return Self::parse(text);
        }
        let authority_at = text.find("://")?.checked_add("://".len())?;
        let authority_len = text.get(authority_at..)?.find(['/', '?', '#']);
        let end = authority_len.map_or(text.len(), |len| authority_at.saturating_add(len));
        let (origin, rest) = text.split_at_checked(end)?;
        if Origin::parse(origin).ok()? != *own {
            return None;
        }
        if rest.starts_with('/') {
            Self::parse(rest)
        } else {
            Self::parse(&format!("/{rest}"))
        }
    }

    /// The page that was asked for, as the place to return to; nothing where it is no safe one.
    #[must_use]
    pub fn of_target(target: &Target) -> Option<Self> {
        if !is_own(target) {
            return None;
        }
        let text = ascii(target.as_str());
        if text.len() > MAX_LEN {
            return None;
        }
        // Encoded, it has readings that it had not before, and it is what a browser will ask for.
        let is_fixed =
            *text == *target.as_str() || Target::parse(&text).is_ok_and(|it| is_own(&it));
        is_fixed.then_some(Self(text))
    }

    /// The same place with `fragment`, the text after a `#`: the part of a page that a person had
    /// open. Without it, where it is longer than fits or holds what no address has; a fragment moves
    /// no boundary, since it comes last.
    #[must_use]
    pub fn with_fragment(self, fragment: &str) -> Self {
        let sound = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>`".contains(&byte);
        let place = self.0.split('#').next().unwrap_or("/");
        let len = place.len().saturating_add(fragment.len());
        if fragment.is_empty() || len >= MAX_LEN || !fragment.bytes().all(sound) {
            return Self(place.into());
        }
        Self(format!("{place}#{fragment}").into())
    }

    /// The app's home: the path of `public`, with a slash at its end.
    #[must_use]
    pub fn home(public: &PublicUrl) -> Self {
        Self(format!("{}/", public.path()).into())
    }

    /// The text, fit for a `Location` field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How long the text is, in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether the text stays on its origin, and each reading of its path.
fn is_own(target: &Target) -> bool {
    // `Target` has refused control bytes, spaces and `#` in the text.
    !target.as_str().contains('\\') && target.unfolded_readings().all(is_own_path)
}

/// Whether a reading of a path stays on its origin: one slash in front, no `\`, no control byte.
fn is_own_path(reading: &[u8]) -> bool {
    let sound = |byte: &u8| *byte >= b' ' && !matches!(*byte, b'\\' | 0x7F);
    !reading.starts_with(b"//") && reading.iter().all(sound)
}

fn ascii(text: &str) -> Box<str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len().saturating_mul(3));
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                out.push('%');
                for nibble in [byte >> 4, byte & 0x0F] {
                    let digit = char::from_digit(nibble.into(), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    out.into()
}

impl fmt::Debug for ReturnTo {
    /// Without query and fragment, which may hold what is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(['?', '#']) {
            Some((path, _)) => write!(f, "ReturnTo({path}?[redacted])"),
            None => write!(f, "ReturnTo({})", self.0),
        }
    }
}
