//! The received request target and every reading a server might make of it.
//!
//! Servers disagree about what `/public/..%2fadmin` names. So a path is not *normalised* here: it
//! is kept byte for byte as received, since that is what the upstream gets, and beside it stand all
//! its *readings*: what it becomes under the steps of `steps.rs`, in any order, until no step yields
//! anything new. Whoever decides about a path decides about every one of them.
//!
//! # How rules use the readings
//!
//! - A request is admitted if it is admitted under the rule of **every** reading. The first reading
//!   is always the path as received, so a further one can only take away: `/healthz/..;/admin` has
//!   the reading `/admin`, and `//healthz` has the reading `/healthz`, but neither gains by it.
//! - Rules see the path alone, never the query, and are anchored at both ends of the *bytes*: a
//!   reading may hold `\n`, and may be no UTF-8.
//! - A trailing slash is never cut. If it were, an exact rule that opens `/status/` could never be
//!   met, since the reading `/status` would fall under another rule; and `/healthz/` is not the
//!   `/healthz` of an exact rule, with or without such a reading. But most apps answer `/admin/` as
//!   they answer `/admin`, so a matcher must hold an exact rule that *restricts* `/admin` to cover
//!   `/admin/` as well, as `/admin/**` does by itself.
//! - Readings with the case folded come after those without ([`Target::unfolded_readings`]). They
//!   stand for an app that ignores case. Where no pattern holds a capital, they are readings like
//!   the others. Where one does, there are two questions: the unfolded readings are asked of the
//!   patterns as written, and all readings of the patterns with their case ignored. Otherwise a rule
//!   that opens `/Public/**` could never be met, and one that restricts `/Admin/**` would be passed
//!   by asking a careless app for `/admin`.
//! - A pattern that has several readings itself (`/a%20b`, `/x;y`) is met by all readings of a path
//!   only if it stands for all of its own; `Target::parse` tells which these are.

use std::fmt;

use self::readings::Readings;
use self::scan::Marks;

mod readings;
#[cfg(test)]
mod reference;
mod scan;
mod steps;
#[cfg(test)]
mod tests;

pub use self::readings::{MAX_READING_BYTES, MAX_READINGS};

/// The target of a request: path and query as received, and every reading of the path.
#[derive(Clone)]
pub struct Target {
    text: Box<str>,
    path_len: usize,
    /// The readings besides the path as received, all distinct. Empty for an ordinary path, and
    /// then it owns no memory.
    others: Vec<Box<[u8]>>,
    /// How many of `others` arise without folding the case; they come first.
    unfolded: usize,
}

/// Why a target is refused before any rule is asked. The answer is 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not start with `/`: the asterisk form, the authority form, or nothing known.
    #[error("the request target is not a path")]
    NotAPath,
    /// A byte below 0x20, a space or 0x7F, in path or query.
    #[error("a control byte or a space in the request target")]
    ControlByte,
    /// A `#`. Some parsers end the path there, others do not.
    #[error("a fragment in the request target")]
    Fragment,
    /// A NUL in the path, however it was encoded. What is behind it is lost on some servers.
    #[error("a NUL in the path")]
    Nul,
    /// More readings than [`MAX_READINGS`], or longer ones than [`MAX_READING_BYTES`] together.
    #[error("the path has too many readings")]
    TooManyReadings,
}

impl Target {
    /// Parses the origin form (RFC 9112 section 3.2.1): a path that starts with `/`, and a query
    /// behind the first `?`. Bytes of 0x80 and above may stand unencoded, as `http::Uri` lets them.
    ///
    /// The work is bounded by the length of the path and by [`MAX_READINGS`] and
    /// [`MAX_READING_BYTES`]. An ordinary path (no capitals, `%`, `;`, `\`, empty segment or dot at
    /// a segment's end) costs one scan and one copy.
    ///
    /// # Errors
    /// [`Malformed`]: what no rule can decide about.
    pub fn parse(path_and_query: &str) -> Result<Self, Malformed> {
        if !path_and_query.starts_with('/') {
            return Err(Malformed::NotAPath);
        }
        let scanned = scan::scan(path_and_query)?;
        let path = path_and_query
            .get(..scanned.path_len)
            .ok_or(Malformed::NotAPath)?;
        if path.len() > MAX_READING_BYTES {
            return Err(Malformed::TooManyReadings);
        }
        let (others, unfolded) = if scanned.marks == Marks::NONE {
            (Vec::new(), 0)
        } else {
            Readings::of(path.as_bytes(), scanned.marks)?.into_others()
        };
        Ok(Self {
            text: path_and_query.into(),
            path_len: scanned.path_len,
            others,
            unfolded,
        })
    }

    /// The path as received.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(..self.path_len).unwrap_or_default()
    }

    /// What follows the first `?`, as received; nothing where there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path_len..)?.strip_prefix('?')
    }

    /// Path and query as received. This is what the upstream gets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Every reading of the path, all distinct, the path as received first. Bytes, not text: a
    /// decoded path need not be UTF-8. Each starts with `/`.
    pub fn readings(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.path().as_bytes()).chain(self.others.iter().map(AsRef::as_ref))
    }

    /// The leading part of [`Target::readings`]: those that arise without folding the case.
    pub fn unfolded_readings(&self) -> impl Iterator<Item = &[u8]> {
        self.readings().take(self.unfolded.saturating_add(1))
    }
}

impl fmt::Debug for Target {
    /// Without the query, which may hold a code or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("path", &self.path())
            .field("query", &self.query().map(|_| "[redacted]"))
            .field("readings", &self.others.len().saturating_add(1))
            .finish_non_exhaustive()
    }
}
