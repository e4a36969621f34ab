//! Sessions are ended: here at once, and wherever else somebody has them as soon as that can be told.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{AGAIN, AGAIN_AT_MOST, PATIENCE, Sessions};
use crate::base::clock::UnixTime;
use crate::session::Session;
use crate::session::ending::{Ending, Whom};
use crate::session::record::RecordKey;
use crate::session::ticket::Ticket;
use crate::store::any::AnyStore;
use crate::store::{Store as _, StoreError};

impl Sessions {
    /// Ends a session: here at once, then in the store and at all who share it. Waits a moment for
    /// that; where the store does not answer, it is tried until the session has ended by itself.
    pub async fn end(self: &Arc<Self>, session: &Arc<Session>) {
        let key = session.ticket.as_ref().map(|ticket| ticket.record_key());
        self.end_one(Ending::of(session), key).await;
    }

    /// Ends the session of a ticket that cannot be looked up, as the store does not answer. It began by
    /// `now`, and lives no longer than `absolute` from then.
    pub async fn end_unread(self: &Arc<Self>, ticket: &Ticket, absolute: Duration, now: UnixTime) {
        let ending = Ending {
            whom: Whom::Session(ticket.id().clone()),
            begun_until: now,
            until: now.plus(absolute),
        };
        self.end_one(ending, Some(ticket.record_key())).await;
    }

    pub(super) async fn end_one(self: &Arc<Self>, ending: Ending, key: Option<RecordKey>) {
        self.ended.take_in([ending.clone()], self.clock.now());
        if let Some(key) = key {
            self.copies().remove(key);
        }
        let (sessions, until) = (Arc::clone(self), ending.until);
        let ending = self.control.spawn(async move {
            let mut pause = AGAIN;
            loop {
                let is_gone = match key {
                    Some(key) => sessions.removed(key).await,
                    None => true,
                };
                if is_gone && sessions.announced(&ending).await {
                    break;
                }
                if sessions.clock.now() >= until {
                    break;
                }
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN_AT_MOST);
            }
            if let Some(key) = key {
                sessions.copies().remove(key);
            }
        });
        drop(timeout(PATIENCE, ending).await);
    }

    /// Ends all sessions that `ending` names: here at once, then at all who share a store, and for
    /// whoever comes after this process, where something is kept for them.
    ///
    /// # Errors
    /// [`StoreError`]: the others may not know yet; they are told as soon as that can be done. Here the
    /// sessions are over all the same.
    pub async fn end_all(self: &Arc<Self>, ending: Ending) -> Result<(), StoreError> {
        self.ended.take_in([ending.clone()], self.clock.now());
        let sessions = Arc::clone(self);
        let (tell, told) = tokio::sync::oneshot::channel();
        self.control.spawn(async move {
            let first = sessions.tell(&ending).await;
            let is_told = first.is_ok();
            drop(tell.send(first));
            let mut pause = AGAIN;
            while !is_told && sessions.clock.now() < ending.until {
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN_AT_MOST);
                if sessions.tell(&ending).await.is_ok() {
                    return;
                }
            }
        });
        match timeout(PATIENCE, told).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned())),
        }
    }

    async fn tell(&self, ending: &Ending) -> Result<(), StoreError> {
        for store in self.notice_boards() {
            store.announce(&ending.to_bytes(), ending.until).await?;
        }
        Ok(())
    }

    /// Claims `name`, a hash, until that moment, at all who share a store. Whether it was the first.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows.
    pub async fn claim(
        self: &Arc<Self>,
        name: [u8; 32],
        until: UnixTime,
    ) -> Result<bool, StoreError> {
        let Some(store) = self.places.shared.clone() else {
            return Ok(true);
        };
        let claiming = self
            .control
            .spawn(async move { store.claim(name, until).await });
        match timeout(PATIENCE, claiming).await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned())),
        }
    }

    /// Whether an ending is heard of by everybody who has sessions of this gate, as far as that is
    /// known here.
    #[must_use]
    pub fn endings_reach_everyone(&self) -> bool {
        // What is in the process or in its file is nobody else's.
        self.places.current.is_some() || self.places.shared.is_some()
    }

    /// Whether what was ended stays so when this process ends.
    #[must_use]
    pub fn endings_last(&self) -> bool {
        self.places.current.is_some() || self.notice_boards().next().is_some()
    }

    /// Where endings are kept: what is shared, and what outlives the process.
    pub(super) fn notice_boards(&self) -> impl Iterator<Item = &Arc<AnyStore>> {
        let places = &self.places;
        let own = places.current.iter().chain(&places.endings);
        let own = own.filter(|_| places.shared.is_none());
        places.shared.iter().chain(own)
    }

    async fn announced(&self, ending: &Ending) -> bool {
        // What is in one process's store is gone from it by now.
        let board = self.places.shared.as_ref().or(self.places.endings.as_ref());
        let Some(store) = board else {
            return true;
        };
        let told = store.announce(&ending.to_bytes(), ending.until).await;
        if let Err(error) = &told {
            tracing::warn!(reason = %error, "that a session was ended was not told to the others");
        }
        told.is_ok()
    }

    pub(super) async fn removed(&self, key: RecordKey) -> bool {
        for store in self.stores() {
            if let Err(error) = store.remove(key).await {
                tracing::warn!(reason = %error, "a session that was ended is still in the store");
                return false;
            }
        }
        true
    }
}
