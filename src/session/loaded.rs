//! A session as it was read from a store: good for a while, unless somebody says otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Session;
use crate::base::clock::UnixTime;

/// A copy of a session that a store has.
#[derive(Debug)]
pub struct Loaded {
    /// The session, with its ticket.
    pub session: Arc<Session>,
    read_at: UnixTime,
    is_old: AtomicBool,
}

impl Loaded {
    /// The session as it was at `now`.
    #[must_use]
    pub fn new(session: Arc<Session>, now: UnixTime) -> Self {
        Self {
            session,
            read_at: now,
            is_old: AtomicBool::new(false),
        }
    }

    /// Says that the store has something else by now.
    pub fn outdate(&self) {
        self.is_old.store(true, Ordering::Relaxed);
    }

    /// Whether it may be gone by at `now`, when it was read at most `span` ago and nothing was heard
    /// since. A clock that was set back keeps nothing for longer.
    #[must_use]
    pub fn is_good(&self, span: Duration, now: UnixTime) -> bool {
        let young = now >= self.read_at && now.since(self.read_at) < span;
        young && !self.is_old.load(Ordering::Relaxed)
    }
}
