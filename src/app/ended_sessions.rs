//! The sessions that this process ended before their time. Every request looks here, and few change
//! anything: whoever reads takes no lock, and whoever ends a session makes a new list.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::base::clock::UnixTime;
use crate::session::Session;
use crate::session::card::Card;
use crate::session::ending::Ending;
use crate::session::evidence::Evidence;
use crate::session::record::GroupKey;
use crate::session::revocations::Revocations;

/// The sessions that were ended.
#[derive(Debug, Default)]
pub struct EndedSessions {
    list: ArcSwap<Revocations>,
    /// Held by whoever makes the next list.
    writing: Mutex<()>,
    /// Told whenever there is a next list.
    next: watch::Sender<()>,
}

impl EndedSessions {
    /// Ends `session`: from the next request on, on every worker.
    pub fn end(&self, session: &Session, now: UnixTime) {
        self.take_in([Ending::of(session)], now);
    }

    /// Ends what the endings say, whoever ended it.
    pub fn take_in(&self, endings: impl IntoIterator<Item = Ending>, now: UnixTime) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = Revocations::clone(&self.list.load());
        for ending in endings {
            list.end(ending, now);
        }
        self.list.store(Arc::new(list));
        self.next.send_replace(());
    }

    /// Whether the session of this card, in these groups, was ended.
    #[must_use]
    pub fn has_card(&self, card: &Card, groups: &[GroupKey]) -> bool {
        self.list.load().has_card(card, groups)
    }

    /// Resolves when `session` was ended.
    pub async fn until(&self, session: &Session) {
        let mut next = self.next.subscribe();
        while !self.list.load().has(session) {
            // Never an error: `self` is what would say so.
            drop(next.changed().await);
        }
    }

    /// The evidence, in which a session that was ended is over.
    #[must_use]
    pub fn judge(&self, evidence: Evidence) -> Evidence {
        match evidence {
            Evidence::Session(session, _)
            | Evidence::Unheard(session, _)
            | Evidence::Unconfirmed(session)
                if self.list.load().has(&session) =>
            {
                Evidence::Expired(session)
            }
            evidence => evidence,
        }
    }
}
