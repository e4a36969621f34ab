//! What is remembered of renewals, within a bound of bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Outcome;
use crate::base::clock::UnixTime;
use crate::session::{Session, SessionId};

/// The most that is remembered, in bytes, roughly counted: some ten thousand successors.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How long a successor is remembered after its own cookie was seen: a request that was sent before
/// that cookie came may be overtaken by one that carries it.
const LINGER: Duration = Duration::from_mins(1);
/// What an entry takes beside the session in it.
const OVERHEAD: usize = 256;

/// The entries, each for one session.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: HashMap<SessionId, (Entry, usize, u64)>,
    /// The order in which they came, with the number of each; what was replaced since is skipped.
    order: VecDeque<(SessionId, u64)>,
    /// The successors whose cookies were seen, each once, and when.
    seen: VecDeque<(SessionId, u64, UnixTime)>,
    bytes: usize,
    counter: u64,
}

/// What is known of one session's renewal.
#[derive(Debug)]
pub(super) enum Entry {
    /// It is under way; here it will be told. Beside it the session that is being renewed, if the
    /// browser may not know it yet.
    UnderWay(watch::Receiver<Option<Outcome>>, Option<Arc<Session>>),
    /// It went well, and the browser may not know yet: the old cookie's token is spent.
    Successor(Arc<Session>),
    /// The session is over, whatever a cookie says.
    Over,
}

impl Entry {
    /// The session that succeeds `session`, if there is one.
    pub(super) fn successor_of(&self, session: &Session) -> Option<&Arc<Session>> {
        match self {
            Self::Successor(one) | Self::UnderWay(_, Some(one)) if one.turn > session.turn => {
                Some(one)
            }
            _ => None,
        }
    }
}

impl Table {
    pub(super) fn get(&self, id: &SessionId) -> Option<&Entry> {
        self.entries.get(id).map(|(entry, ..)| entry)
    }

    pub(super) fn has_flights(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|(entry, ..)| matches!(entry, Entry::UnderWay(..)))
    }

    pub(super) fn put(&mut self, id: &SessionId, entry: Entry) {
        self.remove(id);
        let bytes = size_of(&entry);
        self.counter += 1;
        self.order.push_back((id.clone(), self.counter));
        self.entries
            .insert(id.clone(), (entry, bytes, self.counter));
        self.bytes += bytes;
        self.forget_the_oldest();
    }

    pub(super) fn remove(&mut self, id: &SessionId) {
        if let Some((_, bytes, _)) = self.entries.remove(id) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// A cookie came that tells as much as the session's successor, which is forgotten soon after.
    /// Those of which that is long enough ago are forgotten now.
    pub(super) fn saw(&mut self, session: &Session, now: UnixTime) {
        // A clock that was set back keeps nothing for ever.
        let over = |at: UnixTime| at > now || now.since(at) >= LINGER;
        while let Some((id, number, _)) = self.seen.pop_front_if(|(_, _, at)| over(*at)) {
            if self
                .entries
                .get(&id)
                .is_some_and(|(.., own)| *own == number)
            {
                self.remove(&id);
            }
        }
        let Some((Entry::Successor(successor), _, number)) = self.entries.get(&session.id) else {
            return;
        };
        let is_new = || !self.seen.iter().any(|(_, known, _)| known == number);
        if successor.turn <= session.turn && is_new() {
            self.seen.push_back((session.id.clone(), *number, now));
        }
    }

    fn forget_the_oldest(&mut self) {
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            let is_current = |(id, number): &(SessionId, u64)| {
                entries.get(id).is_some_and(|(_, _, own)| own == number)
            };
            self.order.retain(is_current);
        }
        // Once round at the most: there may be nothing that can be forgotten.
        for _ in 0..self.order.len() {
            if self.bytes <= MOST_BYTES {
                return;
            }
            let Some((id, number)) = self.order.pop_front() else {
                return;
            };
            match self.entries.get(&id) {
                Some((_, _, own)) if *own != number => {}
                // Its token is being spent: to forget it would spend it twice.
                Some((Entry::UnderWay(..), ..)) => self.order.push_back((id, number)),
                Some(_) => self.remove(&id),
                None => {}
            }
        }
    }
}

fn size_of(entry: &Entry) -> usize {
    match entry {
        Entry::Successor(session) | Entry::UnderWay(_, Some(session)) => {
            OVERHEAD + session.weight()
        }
        Entry::UnderWay(_, None) | Entry::Over => OVERHEAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::respond::samples;

    fn session(number: u8, token_bytes: usize) -> Session {
        let mut session = Session::clone(&samples::session("x"));
        session.id = SessionId::from_bytes([number; 16]);
        session.grant = Some(crate::session::Grant {
            refresh_token: crate::base::secret::Secret::new("t".repeat(token_bytes)),
            access_expires_at: session.started_at,
        });
        session
    }

    fn later(session: &Session) -> Session {
        session.regranted(session.grant.clone())
    }

    #[test]
    fn a_successor_is_remembered_until_its_own_cookie_was_seen_for_a_while() {
        let (old, mut table) = (session(1, 10), Table::default());
        let (new, seen) = (later(&old), old.started_at);
        table.put(&old.id, Entry::Successor(Arc::new(new.clone())));
        table.saw(&old, seen);
        table.saw(&old, seen.plus(LINGER));
        assert!(table.get(&old.id).is_some());
        table.saw(&new, seen);
        table.saw(&new, seen);
        assert_eq!(table.seen.len(), 1);
        let second = Duration::from_secs(1);
        table.saw(&new, seen.plus(LINGER).minus(second));
        assert!(table.get(&old.id).is_some());
        table.saw(&new, seen.plus(LINGER));
        assert!(table.get(&old.id).is_none());
        assert_eq!((table.bytes, table.seen.len()), (0, 0));
    }

    // M: what others cause to be remembered is bounded.
    #[test]
    fn the_oldest_successors_are_forgotten_beyond_the_bound_but_none_under_way() {
        let mut table = Table::default();
        let flying = session(255, 10);
        table.put(&flying.id, Entry::UnderWay(watch::channel(None).1, None));
        for number in 0..100 {
            let one = session(number, 1024 * 1024);
            table.put(&one.id, Entry::Successor(Arc::new(one.clone())));
            assert!(table.bytes <= MOST_BYTES);
        }
        assert!(table.get(&session(0, 0).id).is_none());
        assert!(table.get(&session(99, 0).id).is_some());
        assert!(table.get(&flying.id).is_some());
        for _ in 0..1000 {
            table.put(&flying.id, Entry::Over);
        }
        assert!(table.order.len() <= 2 * table.entries.len() + 16);
    }

    // M: the bound is never waited for.
    #[test]
    fn renewals_under_way_beyond_the_bound_hold_nobody_up() {
        let mut table = Table::default();
        for number in 0..40 {
            let one = Arc::new(session(number, 1024 * 1024));
            let entry = Entry::UnderWay(watch::channel(None).1, Some(Arc::clone(&one)));
            table.put(&one.id, entry);
        }
        assert_eq!(table.entries.len(), 40);
        assert_eq!(table.order.len(), 40);
    }
}
