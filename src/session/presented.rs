//! What a request brought of our cookies, unopened, and the opening of it.
//!
//! `Cookie` fields are read by hand: a jar keeps one cookie per name, while a sibling host can plant
//! a second one (RFC 6265bis section 8.6), and lenient parsers see our name in spellings that a
//! browser does not protect. Here a name is ours only to the byte.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::COOKIE;
use zeroize::Zeroizing;

use super::cookie::{MAX_COOKIE_BYTES, MAX_PARTS, tag_of};
use super::evidence::Evidence;
use super::lifetime::Phase;
use super::loaded::Loaded;
use super::names::{CookieNames, LoginTag, Slot};
use super::recent::{Known, Recent};
use super::ticket::{TICKET_LEN, Ticket};
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
/// How many sessions are looked up in the store for one request.
const MOST_TICKETS: usize = 4;
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
    kept: Kept,
    loaded: Option<&'a [Arc<Loaded>]>,
    good_for: Duration,
}

/// Where sessions are kept, and so what their cookies hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kept {
    /// In the cookie, sealed.
    #[default]
    InCookies,
    /// In a store; the cookie holds a ticket.
    InStore,
    /// In a store, and those that still are in their cookie move there.
    MovingToStore,
    /// In the cookie, and those that still are in a store move there.
    MovingToCookies,
}

impl Kept {
    /// Whether tickets count.
    #[must_use]
    pub fn has_tickets(self) -> bool {
        self != Self::InCookies
    }

    fn has_sealed(self) -> bool {
        self != Self::InStore
    }
}

impl<'a> Opener<'a> {
    /// Opens what was sealed under a key of `keyring` for the gate whose cookies have `names`, where
    /// sessions are kept in their cookies.
    #[must_use]
    pub fn new(keyring: &'a Keyring, names: &'a CookieNames) -> Self {
        Self {
            keyring,
            names,
            recent: None,
            kept: Kept::InCookies,
            loaded: None,
            good_for: Duration::ZERO,
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

    /// The same where sessions are kept so, and what was read from a store is good for so long.
    #[must_use]
    pub fn keeping(self, kept: Kept, good_for: Duration) -> Self {
        Self {
            kept,
            good_for,
            ..self
        }
    }

    /// The same, where this is all there is in the store for the tickets of the request.
    #[must_use]
    pub fn having(self, loaded: &'a [Arc<Loaded>]) -> Self {
        Self {
            loaded: Some(loaded),
            ..self
        }
    }

    /// What the text opens to, by what was read from the store, or else by what is remembered of that.
    fn open(&self, sealed: &str, now: UnixTime) -> Opened {
        let (session, sealed_by, moves) = match self.known(sealed) {
            None => return Opened::Nothing,
            Some((Known::Session(session), sealed_by)) => {
                (session, sealed_by, self.kept == Kept::MovingToStore)
            }
            Some((Known::Ticket(ticket, copy), sealed_by)) => {
                let loaded = match self.loaded {
                    None => match copy.filter(|copy| copy.is_good(self.good_for, now)) {
                        Some(copy) => copy,
                        None => return Opened::Unread,
                    },
                    Some(loaded) => {
                        let is_of =
                            |one: &&Arc<Loaded>| one.session.ticket.as_ref() == Some(&ticket);
                        let Some(loaded) = loaded.iter().find(is_of) else {
                            return Opened::Nothing;
                        };
                        if let Some(recent) = self.recent {
                            let known = Known::Ticket(ticket, Some(Arc::clone(loaded)));
                            recent.remember(sealed, known, sealed_by);
                        }
                        Arc::clone(loaded)
                    }
                };
                let moves = self.kept == Kept::MovingToCookies;
                (Arc::clone(&loaded.session), sealed_by, moves)
            }
        };
        // What moves is written anew where it belongs now.
        let sealed_by = if moves { SealedBy::Older } else { sealed_by };
        Opened::Session(session, sealed_by)
    }

    /// What the text opens to, with whatever is known of it. Tickets are told by their length.
    fn known(&self, sealed: &str) -> Option<(Known, SealedBy)> {
        if let Some(known) = self.recent.and_then(|recent| recent.recall(sealed)) {
            return Some(known);
        }
        let (known, sealed_by) = if sealed.len() == TICKET_LEN {
            if !self.kept.has_tickets() {
                return None;
            }
            let (ticket, sealed_by) = Ticket::open(sealed, self.keyring, self.names)?;
            (Known::Ticket(Arc::new(ticket), None), sealed_by)
        } else {
            if !self.kept.has_sealed() {
                return None;
            }
            let context = self.names.session_context();
            let opened = self.keyring.open(Purpose::Session, context, sealed).ok()?;
            let plaintext = Zeroizing::new(opened.plaintext);
            let session = Arc::new(payload::read_session(&plaintext).ok()?);
            (Known::Session(session), opened.sealed_by)
        };
        if let Some(recent) = self.recent {
            recent.remember(sealed, known.clone(), sealed_by);
        }
        Some((known, sealed_by))
    }

    /// The ticket of this text, if it is one, with what is remembered of its session and still good.
    fn ticket(&self, sealed: &str, now: UnixTime) -> Option<(Arc<Ticket>, Option<Arc<Loaded>>)> {
        match self.known(sealed)? {
            (Known::Ticket(ticket, copy), _) => {
                Some((ticket, copy.filter(|copy| copy.is_good(self.good_for, now))))
            }
            (Known::Session(_), _) => None,
        }
    }
}

/// What one text opens to.
enum Opened {
    Session(Arc<Session>, SealedBy),
    Nothing,
    /// A ticket of which nothing good is known.
    Unread,
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
    /// latest login, then the one last used. Whatever does not open looks like any other failure, and
    /// so does a ticket of which nothing good is known.
    #[must_use]
    pub fn open(&self, opener: &Opener<'_>, limits: SessionLimits, now: UnixTime) -> Evidence {
        self.open_known(opener, limits, now)
            .unwrap_or(Evidence::Unusable)
    }

    /// The same; nothing, where a store has to be asked first for the [`Presented::tickets`].
    #[must_use]
    pub fn open_known(
        &self,
        opener: &Opener<'_>,
        limits: SessionLimits,
        now: UnixTime,
    ) -> Option<Evidence> {
        let mut best: Option<(Phase, Arc<Session>, SealedBy)> = None;
        let rank =
            |phase, session: &Session| (phase == Phase::Live, session.started_at, session.seen_at);
        for first in &self.sessions {
            for sealed in self.joined(first).iter().flatten() {
                match opener.open(sealed, now) {
                    Opened::Session(session, sealed_by) => {
                        let phase = session.phase(limits, now);
                        let is_better = best.as_ref().is_none_or(|(best_phase, one, _)| {
                            rank(phase, &session) >= rank(*best_phase, one)
                        });
                        if is_better {
                            best = Some((phase, session, sealed_by));
                        }
                        break;
                    }
                    Opened::Nothing => {}
                    Opened::Unread => return None,
                }
            }
        }
        Some(match best {
            Some((Phase::Live, session, sealed_by)) => {
                let freshness = session.freshness(sealed_by, limits, now);
                Evidence::Session(session, freshness)
            }
            Some((Phase::Expired, session, _)) => Evidence::Expired(session),
            None if self.sessions.is_empty() && self.part_numbers == 0 => Evidence::None,
            None => Evidence::Unusable,
        })
    }

    /// The tickets, each with what is remembered of its session and still good. At most
    /// [`MOST_TICKETS`], the last ones: a browser sends the cookie with the longest path first, and that
    /// is never ours.
    #[must_use]
    pub fn tickets(
        &self,
        opener: &Opener<'_>,
        now: UnixTime,
    ) -> Vec<(Arc<Ticket>, Option<Arc<Loaded>>)> {
        let found = self.sessions.iter().rev().filter_map(|first| {
            let sealed = first.strip_prefix("1.")?;
            opener.ticket(sealed, now)
        });
        let mut tickets: Vec<(Arc<Ticket>, _)> = Vec::new();
        for (ticket, copy) in found.take(MOST_TICKETS) {
            if !tickets.iter().any(|(one, _)| *one == ticket) {
                tickets.push((ticket, copy));
            }
        }
        tickets
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
        assert_eq!(presented.sessions, [Box::<str>::default(), Box::default()]);
    }
}
