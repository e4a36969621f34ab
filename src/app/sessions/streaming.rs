//! What streams ask of a store while they are open: whether their session goes on, and that it is in use.

use std::sync::Arc;

use super::{Read, Sessions};
use crate::base::clock::UnixTime;
use crate::session::lifetime::Phase;
use crate::session::loaded::Loaded;
use crate::session::{Session, SessionLimits};

/// When a session ends for want of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleEnd {
    /// Then.
    At(UnixTime),
    /// It is over.
    Gone,
    /// The store does not answer.
    Unknown,
}

impl Sessions {
    /// When a session with a ticket ends for want of use, by what its store has.
    pub async fn idle_end(self: &Arc<Self>, session: &Session) -> IdleEnd {
        match self.latest(session).await {
            Read::Loaded(loaded) => IdleEnd::At(loaded.session.idle_expires_at),
            Read::Gone => IdleEnd::Gone,
            Read::Down => IdleEnd::Unknown,
        }
    }

    /// Writes down that a session with a ticket is in use, if it is live.
    pub async fn use_on(self: &Arc<Self>, session: &Session, limits: SessionLimits) {
        let (Read::Loaded(loaded), Some(store)) =
            (self.latest(session).await, &self.places.current)
        else {
            return;
        };
        let now = self.clock.now();
        if loaded.session.phase(limits, now) != Phase::Live {
            return;
        }
        let touched = Arc::new(loaded.session.touched(limits, now));
        let Some(ticket) = &touched.ticket else {
            return;
        };
        let copy = Loaded::new(Arc::clone(&touched), now);
        self.copies().put(ticket.record_key(), Arc::new(copy));
        self.rewrite(store, &touched).await;
    }

    async fn latest(self: &Arc<Self>, session: &Session) -> Read {
        match &session.ticket {
            Some(ticket) => self.read(ticket, self.clock.now()).await,
            None => Read::Gone,
        }
    }
}
