//! What a request brought of our cookies, unopened, and the opening of it.
//!
//! `Cookie` fields are read by hand: a jar keeps one cookie per name, while a sibling host can plant
//! a second one (RFC 6265bis section 8.6), and lenient parsers see our name in spellings that a
//! browser does not protect. Here a name is ours only to the byte.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;
use zeroize::Zeroizing;

use super::cookie::{MAX_COOKIE_BYTES, MAX_PARTS, tag_of};
use super::evidence::Evidence;
use super::lifetime::Phase;
use super::names::{CookieNames, LoginTag, Slot};
use super::recent::Recent;
use super::{Session, SessionLimits, payload};
use crate::base::clock::UnixTime;
use crate::base::keyring::{Keyring, Purpose, SealedBy};

/// How many cookies of one name are looked at, the last ones: each has another path or domain, and
/// a browser sends those of longer paths first, so that what a neighbour plants below ours cannot
/// crowd ours out.
const MAX_OF_ONE_NAME: usize = 16;
/// How many logins. Their names are many, so one limit holds for all; a head of the usual limit
/// has no room for more.
const MAX_LOGINS: usize = 1024;
/// How many ways to join one split session are tried: two cookies of each part's name.
const MAX_JOINS: usize = 4;

/// The own cookies of one request, as received. It owns their text, so the request's head may go
/// on its way. `Debug` shows their number only: the values are credentials.
#[derive(Default)]
pub struct Presented {
    sessions: Vec<Box<str>>,
    /// The values of the parts that a session may have: number 1 first.
    parts: [Vec<Box<str>>; MAX_PARTS - 1],
    /// Bit `n` is set where a part of number `n` was there at all.
    part_numbers: u16,
    logins: Vec<(LoginTag, Box<str>)>,
}

/// What opens session cookies, and perhaps remembers those that it opened lately.
#[derive(Debug, Clone, Copy)]
pub struct Opener<'a> {
    keyring: &'a Keyring,
    names: &'a CookieNames,
    recent: Option<&'a Recent>,
}

impl<'a> Opener<'a> {
    /// Opens what was sealed under a key of `keyring` for the gate whose cookies have `names`.
    #[must_use]
    pub fn new(keyring: &'a Keyring, names: &'a CookieNames) -> Self {
        Self {
            keyring,
            names,
            recent: None,
        }
    }

    /// The same with a memory, which must never have served other keys or names.
    #[must_use]
    pub fn remembering(self, recent: &'a Recent) -> Self {
        Self {
            recent: Some(recent),
            ..self
        }
    }

    fn open(&self, sealed: &str) -> Option<(Arc<Session>, SealedBy)> {
        if let Some(known) = self.recent.and_then(|recent| recent.recall(sealed)) {
            return Some(known);
        }
        let context = self.names.session_context();
        let opened = self.keyring.open(Purpose::Session, context, sealed).ok()?;
        let plaintext = Zeroizing::new(opened.plaintext);
        let session = Arc::new(payload::read_session(&plaintext).ok()?);
        if let Some(recent) = self.recent {
            recent.remember(sealed, &session, opened.sealed_by);
        }
        Some((session, opened.sealed_by))
    }
}

/// One pair of a `Cookie` field, as [`cookie_pairs`] finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookiePair<'a> {
    /// Everything between two semicolons, untouched.
    pub raw: &'a [u8],
    /// What stands before the first `=`, without leading blanks; empty where there is no `=`.
    pub name: &'a [u8],
    /// What stands after it, without trailing blanks.
    pub value: &'a [u8],
}

/// Takes a `Cookie` field apart (RFC 6265bis section 4.2.1). Semicolons separate; commas, quotes
/// and `$Version` mean nothing; of white space only blanks and tabs around a pair are no part of
/// it, as these are what a browser strips before it looks at a name.
pub fn cookie_pairs(field: &[u8]) -> impl Iterator<Item = CookiePair<'_>> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let field = rest?;
        let (raw, after) =
            split_once(field, b';').map_or((field, None), |(raw, after)| (raw, Some(after)));
        rest = after;
        Some(CookiePair::parse(raw))
    })
}

impl<'a> CookiePair<'a> {
    fn parse(raw: &'a [u8]) -> Self {
        let (name, value) = split_once(trimmed(raw), b'=').unwrap_or_default();
        Self { raw, name, value }
    }
}

impl Presented {
    /// Collects the own cookies from all `Cookie` fields of a head, in their order.
    #[must_use]
    pub fn read(headers: &HeaderMap, names: &CookieNames) -> Self {
        let mut presented = Self::default();
        for field in headers.get_all(COOKIE) {
            for pair in cookie_pairs(field.as_bytes()) {
                if let Some(slot) = names.slot(pair.name) {
                    presented.keep(slot, pair.value);
                }
            }
        }
        presented
    }

    /// Whether the request brought none of our cookies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.part_numbers == 0 && self.logins.is_empty()
    }

    /// Opens the session, if there is one. Of several cookies of its name the one that opens
    /// counts; of several that open, a live one before one that is over, then the one of the
    /// latest login, then the one last used. Whatever does not open looks like any other failure.
    #[must_use]
    pub fn open(&self, opener: &Opener<'_>, limits: SessionLimits, now: UnixTime) -> Evidence {
        let best = self
            .sessions
            .iter()
            .filter_map(|first| {
                self.joined(first)?
                    .iter()
                    .find_map(|sealed| opener.open(sealed))
            })
            .map(|(session, sealed_by)| (session.phase(limits, now), session, sealed_by))
            .max_by_key(|(phase, session, _)| {
                (*phase == Phase::Live, session.started_at, session.seen_at)
            });
        match best {
            Some((Phase::Live, session, sealed_by)) => {
                let freshness = session.freshness(sealed_by, limits, now);
                Evidence::Session(session, freshness)
            }
            Some((Phase::Expired, session, _)) => Evidence::Expired(session),
            None if self.sessions.is_empty() && self.part_numbers == 0 => Evidence::None,
            None => Evidence::Unusable,
        }
    }

    /// The numbers of the session's parts that were presented, each once.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        (1..=9).filter(|number| self.part_numbers & (1 << number) != 0)
    }

    /// The logins that were presented, each once.
    pub(super) fn logins(&self) -> impl Iterator<Item = LoginTag> {
        let mut tags: Vec<LoginTag> = self.logins.iter().map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        tags.dedup();
        tags.into_iter()
    }

    /// The values that were presented for one login, in their order.
    pub(super) fn login(&self, tag: LoginTag) -> impl Iterator<Item = &str> {
        self.logins
            .iter()
            .filter(move |(own, _)| *own == tag)
            .map(|(_, value)| &**value)
    }

    fn keep(&mut self, slot: Slot, value: &[u8]) {
        // A value that cannot be ours is remembered as empty: it is there, and does not open.
        let value = str::from_utf8(value)
            .ok()
            .filter(|value| value.len() <= MAX_COOKIE_BYTES)
            .unwrap_or_default();
        match slot {
            Slot::Session => keep_last(&mut self.sessions, value),
            Slot::Part(number) => {
                self.part_numbers |= 1 << number;
                if let Some(parts) = self.parts.get_mut(number - 1) {
                    keep_last(parts, value);
                }
            }
            Slot::Login(tag) if self.logins.len() < MAX_LOGINS => {
                self.logins.push((tag, value.into()));
            }
            Slot::Login(_) => {}
        }
    }

    /// The sealed texts that `first` and the parts with its tag can make; at most [`MAX_JOINS`].
    fn joined<'a>(&'a self, first: &'a str) -> Option<Vec<Cow<'a, str>>> {
        let (count, chunk) = first.split_once('.')?;
        let count = match count.as_bytes() {
            [digit @ b'1'..=b'9'] => usize::from(digit - b'0'),
            _ => return None,
        };
        if count > MAX_PARTS {
            return None;
        }
        let mut joined = vec![Cow::Borrowed(chunk)];
        for parts in self.parts.iter().take(count - 1) {
            let tag = tag_of(chunk)?;
            joined = parts
                .iter()
                .filter_map(|part| part.strip_prefix(tag)?.strip_prefix('.'))
                .flat_map(|part| {
                    joined
                        .iter()
                        .map(move |start| Cow::Owned(format!("{start}{part}")))
                })
                .take(MAX_JOINS)
                .collect();
        }
        Some(joined)
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("sessions", &self.sessions.len())
            .field("parts", &self.parts().count())
            .field("logins", &self.logins.len())
            .finish_non_exhaustive()
    }
}

fn keep_last(values: &mut Vec<Box<str>>, value: &str) {
    if values.len() == MAX_OF_ONE_NAME {
        values.remove(0);
    }
    values.push(value.into());
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(memchr::memchr(separator, bytes)?)?;
    Some((before, rest.get(1..)?))
}

/// Without blanks and tabs at either end.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::Gate;

    // F3, F11: whatever is planted, the work for one session cookie is bounded.
    #[test]
    fn many_parts_of_one_tag_are_joined_in_few_ways() {
        let gate = Gate::at("https://a.test");
        let first = format!("3.{}", "A".repeat(16));
        let planted: Vec<String> = (0..100)
            .flat_map(|n| [1, 2].map(|part| format!("{}=AAAAAAAA.{n}", gate.names.part(part))))
            .collect();
        let presented = gate.read(&planted.join("; "));
        assert!(
            presented
                .parts
                .iter()
                .all(|parts| parts.len() == MAX_OF_ONE_NAME)
        );
        assert_eq!(presented.joined(&first).unwrap().len(), MAX_JOINS);
    }

    // F11: nothing is kept that cannot be ours.
    #[test]
    fn a_value_that_is_too_long_or_no_text_is_kept_as_empty() {
        let gate = Gate::at("https://a.test");
        let name = gate.names.session().as_bytes();
        let field = [
            name,
            b"=",
            &[b'A'; MAX_COOKIE_BYTES + 1],
            b";",
            name,
            b"=A\xff",
        ]
        .concat();
        let presented = gate.read_fields(&[&field]);
        let empty = || Box::<str>::from("");
        assert_eq!(presented.sessions, [empty(), empty()]);
    }
}
