//! Whose turn it is to renew a session, where several processes share a store (security requirement
//! E8): one asks the provider, the others wait for what comes of it.
//!
//! The lock has an owner and an end. Whoever has it says every few seconds that it is still there; who
//! dies with it delays the others by no more than [`HELD_FOR`].

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::Sessions;
use crate::session::Session;
use crate::session::record::RecordKey;
use crate::session::ticket::Ticket;
use crate::store::any::AnyStore;
use crate::store::{Store as _, StoreError};

/// How long a lock lasts after its owner was last heard of.
const HELD_FOR: Duration = Duration::from_secs(10);
/// How often its owner says that it is still there.
const STILL_THERE: Duration = Duration::from_secs(3);
/// How often those who wait look.
const LOOK: Duration = Duration::from_millis(100);
/// How long they wait. A provider that takes longer has lost its answer by then in any case.
const AT_MOST: Duration = Duration::from_mins(1);

/// What to do about a session that should be renewed.
#[derive(Debug)]
pub enum Turn {
    /// Renew it, and hold this meanwhile.
    Mine(Option<Lock>),
    /// Somebody did.
    Done(Arc<Session>),
    /// It was ended.
    Over,
    /// Nobody knows: it may work later.
    NotNow,
}

/// The right to renew one session. It is given back when it is dropped.
#[derive(Debug)]
pub struct Lock {
    sessions: Arc<Sessions>,
    store: Arc<AnyStore>,
    name: RecordKey,
    owner: [u8; 16],
    heartbeat: AbortHandle,
}

impl Sessions {
    /// Finds out whose turn it is. In a process that shares no store it is always its own.
    pub async fn turn(self: &Arc<Self>, session: &Arc<Session>) -> Turn {
        let Some(store) = self.places.shared.clone() else {
            return Turn::Mine(None);
        };
        match self.turn_at(&store, session).await {
            Ok(turn) => turn,
            Err(error) => {
                tracing::warn!(reason = %error, "a session was not renewed: nobody knows whose turn it is");
                Turn::NotNow
            }
        }
    }

    async fn turn_at(
        self: &Arc<Self>,
        store: &Arc<AnyStore>,
        session: &Arc<Session>,
    ) -> Result<Turn, StoreError> {
        let ticket = match &session.ticket {
            Some(ticket) => Arc::clone(ticket),
            None => Arc::new(Ticket::of_successor(session)),
        };
        let name = ticket.record_key();
        let Ok(owner) = self.entropy.bytes() else {
            return Ok(Turn::NotNow);
        };
        let until = Instant::now() + AT_MOST;
        loop {
            let is_mine = store.lock(name, owner, HELD_FOR).await?;
            // Only now: what was there before may have been overtaken by whoever had the lock.
            let lock = is_mine.then(|| self.held(store, name, owner));
            match store.load(name).await? {
                Some(record) if record.turn > session.turn => {
                    // A session that is two turns behind cannot open it, and must not spend its token.
                    let Some(successor) = ticket.open_record(&record) else {
                        return Ok(Turn::NotNow);
                    };
                    let ticket = session.ticket.clone();
                    return Ok(Turn::Done(Arc::new(Session {
                        ticket,
                        ..successor
                    })));
                }
                // It would have to be there.
                None if session.ticket.is_some() => return Ok(Turn::Over),
                Some(_) | None => {}
            }
            match lock {
                Some(lock) => return Ok(Turn::Mine(Some(lock))),
                None if Instant::now() >= until => return Ok(Turn::NotNow),
                None => sleep(LOOK).await,
            }
        }
    }

    fn held(self: &Arc<Self>, store: &Arc<AnyStore>, name: RecordKey, owner: [u8; 16]) -> Lock {
        let at = Arc::clone(store);
        let heartbeat = self.control.spawn(async move {
            loop {
                sleep(STILL_THERE).await;
                // Whoever cannot be told finds out by the lock's end.
                drop(at.lock(name, owner, HELD_FOR).await);
            }
        });
        Lock {
            sessions: Arc::clone(self),
            store: Arc::clone(store),
            name,
            owner,
            heartbeat: heartbeat.abort_handle(),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.heartbeat.abort();
        let (store, name, owner) = (Arc::clone(&self.store), self.name, self.owner);
        self.sessions.control.spawn(async move {
            // Where it cannot be given back it ends by itself.
            drop(store.unlock(name, owner).await);
        });
    }
}
