//! Sessions that are kept in a store: read once in a while, written when they begin, are used for
//! long, are renewed, and ended.
//!
//! A request goes by a copy where there is a good one, and else waits for the store, once however
//! many ask. A store that does not answer ends no session: copies are good for longer then, and who
//! has none is told to come again. What is written is written by the control runtime, whatever
//! becomes of the request.

mod copies;
mod ending;
mod listening;
pub mod listing;
mod places;
mod streaming;
mod turn;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::copies::Copies;
pub use self::places::{Arrival, Places, Previous};
pub use self::streaming::IdleEnd;
pub use self::turn::{Lock, Turn};
use super::ended_sessions::EndedSessions;
use crate::base::clock::{Clock, UnixTime};
use crate::base::entropy::{Entropy, NoEntropy};
use crate::base::keyring::Keyring;
use crate::session::Session;
use crate::session::loaded::Loaded;
use crate::session::names::CookieNames;
use crate::session::presented::{Kept, Opener, Presented};
use crate::session::record::{Record, RecordKey};
use crate::session::ticket::{RecordWriteError, Ticket};
use crate::store::any::AnyStore;
use crate::store::{Replaced, Store as _, StoreError};

/// How long a copy is gone by while everybody who shares the store tells of changes.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// How long while they cannot be heard.
const GOOD_UNHEARD: Duration = Duration::from_secs(1);
/// How long while the store does not answer.
const GOOD_DOWN: Duration = Duration::from_mins(1);
/// How long a request waits for the store, whatever that does.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a session that was read waits until it is known which were ended. A store that gave one
/// tells of those in a moment.
const RECALLING: Duration = Duration::from_secs(2);
/// What could not be written or removed is tried again after this long, then twice as long, and so on.
const AGAIN: Duration = Duration::from_millis(250);
/// The longest of these.
const AGAIN_AT_MOST: Duration = Duration::from_secs(30);

/// The sessions of a process.
#[derive(Debug)]
pub struct Sessions {
    places: Places,
    copies: Mutex<Copies>,
    /// Whether changes that others make are heard of.
    hears: AtomicBool,
    /// Whether the endings that a store keeps are known.
    recalled: watch::Sender<bool>,
    /// What seals the cards.
    keyring: ArcSwapOption<Keyring>,
    ended: Arc<EndedSessions>,
    clock: Clock,
    entropy: Entropy,
    control: Handle,
}

/// What reading a session came to.
#[derive(Debug, Clone)]
pub(super) enum Read {
    /// The session.
    Loaded(Arc<Loaded>),
    /// There is none.
    Gone,
    /// Nobody knows.
    Down,
}

/// What was found for the tickets of a request.
#[derive(Debug, Default)]
pub struct Found {
    /// Their sessions.
    pub loaded: Vec<Arc<Loaded>>,
    /// Whether there may be more, in a store that does not answer.
    pub is_down: bool,
}

/// Why a session was not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeepError {
    /// By the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has no written form.
    #[error(transparent)]
    Write(#[from] RecordWriteError),
    /// There are no random bytes for its key.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// Nobody said what seals cards.
    #[error("there are no keys yet")]
    NoKeys,
}

/// What came of putting a successor in a session's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// It is kept, or will be.
    Kept,
    /// The session was ended meanwhile, and stays so.
    Ended,
}

impl Sessions {
    /// Sessions that are kept in `places`, of which `ended` says which are over; whatever takes time
    /// runs on `control`.
    #[must_use]
    pub fn new(places: Places, ended: Arc<EndedSessions>, clock: Clock, control: Handle) -> Self {
        Self {
            hears: AtomicBool::new(places.shared.is_none()),
            recalled: watch::Sender::new(false),
            places,
            copies: Mutex::default(),
            keyring: ArcSwapOption::empty(),
            ended,
            clock,
            entropy: Entropy::system(),
            control,
        }
    }

    /// From now on these keys seal.
    pub fn seal_with(&self, keyring: Arc<Keyring>) {
        self.keyring.store(Some(keyring));
    }

    /// The opener for these cookies.
    #[must_use]
    pub fn opening<'a>(&self, opener: Opener<'a>) -> Opener<'a> {
        opener.keeping(self.kept(), self.good_for())
    }

    fn kept(&self) -> Kept {
        match (&self.places.current, &self.places.previous) {
            (None, Previous::None | Previous::Cookies) => Kept::InCookies,
            (None, Previous::Store(_)) => Kept::MovingToCookies,
            (Some(_), Previous::Cookies) => Kept::MovingToStore,
            (Some(_), Previous::None | Previous::Store(_)) => Kept::InStore,
        }
    }

    fn good_for(&self) -> Duration {
        if self.hears.load(Ordering::Relaxed) {
            GOOD_FOR
        } else {
            GOOD_UNHEARD
        }
    }

    /// What the tickets of a request stand for: read, as far as no good copy is known.
    pub async fn find(
        self: &Arc<Self>,
        presented: &Presented,
        opener: &Opener<'_>,
        now: UnixTime,
    ) -> Found {
        let mut found = Found::default();
        for (ticket, copy) in presented.tickets(opener, now) {
            if let Some(copy) = copy {
                found.loaded.push(copy);
                continue;
            }
            match self.read(&ticket, now).await {
                Read::Loaded(loaded) => found.loaded.push(loaded),
                Read::Gone => {}
                Read::Down => found.is_down = true,
            }
        }
        found
    }

    async fn read(self: &Arc<Self>, ticket: &Arc<Ticket>, now: UnixTime) -> Read {
        let key = ticket.record_key();
        let mut told = {
            let mut copies = self.copies();
            if let Some(copy) = copies.get(key, self.good_for(), now) {
                return Self::of_ticket(copy, ticket);
            }
            match copies.reading(key) {
                Some(told) => told,
                None => {
                    let (tell, told) = watch::channel(None);
                    copies.begin(key, told.clone());
                    let (sessions, ticket) = (Arc::clone(self), Arc::clone(ticket));
                    self.control.spawn(async move {
                        let read = sessions.ask(&ticket).await;
                        sessions.copies().finish(ticket.record_key());
                        tell.send_replace(Some(read));
                    });
                    told
                }
            }
        };
        let read = match timeout(PATIENCE, told.wait_for(Option::is_some)).await {
            Ok(Ok(read)) => read.clone().unwrap_or(Read::Down),
            Ok(Err(_)) | Err(_) => Read::Down,
        };
        match read {
            Read::Loaded(loaded) => Self::of_ticket(&loaded, ticket),
            Read::Gone => Read::Gone,
            Read::Down => match self.copies().get(key, GOOD_DOWN, now) {
                Some(copy) => Self::of_ticket(copy, ticket),
                None => Read::Down,
            },
        }
    }

    /// A copy counts for the ticket that opened it, and for no other of that id.
    fn of_ticket(loaded: &Arc<Loaded>, ticket: &Arc<Ticket>) -> Read {
        if loaded.session.ticket.as_ref() == Some(ticket) {
            Read::Loaded(Arc::clone(loaded))
        } else {
            Read::Gone
        }
    }

    /// Asks the stores, and keeps what they say.
    async fn ask(&self, ticket: &Arc<Ticket>) -> Read {
        let key = ticket.record_key();
        let mut read = Read::Gone;
        for store in self.stores() {
            let asked_at = self.clock.now();
            match store.load(key).await {
                Ok(None) => {}
                Ok(Some(record)) => {
                    let Some(session) = ticket.open_record(&record) else {
                        tracing::warn!(
                            reason = "session_unreadable",
                            "a session in the store does not open"
                        );
                        continue;
                    };
                    let session = Arc::new(Session {
                        ticket: Some(Arc::clone(ticket)),
                        ..session
                    });
                    // What was ended elsewhere, or before this process, must be known before anybody is
                    // let in.
                    let mut recalled = self.recalled.subscribe();
                    drop(timeout(RECALLING, recalled.wait_for(|is| *is)).await);
                    let mut copies = self.copies();
                    // That it was used may not have been written down yet.
                    let session = match copies.last(key) {
                        Some(last) => session.seen_with(&last.session),
                        None => session,
                    };
                    let loaded = Arc::new(Loaded::new(session, asked_at));
                    copies.put(key, Arc::clone(&loaded));
                    return Read::Loaded(loaded);
                }
                Err(StoreError::Corrupt) => {
                    tracing::warn!(
                        reason = "session_unreadable",
                        "a session in the store cannot be read"
                    );
                }
                Err(error) => {
                    tracing::warn!(reason = %error, "a session was not looked up");
                    read = Read::Down;
                }
            }
        }
        if matches!(read, Read::Gone) {
            self.copies().remove(key);
        }
        read
    }

    /// Keeps a session that begins, or moves here. Gives it as its cookie is to be written.
    ///
    /// # Errors
    /// [`KeepError`]; then it has not begun.
    pub async fn begin(
        self: &Arc<Self>,
        session: Session,
        names: &CookieNames,
    ) -> Result<Session, KeepError> {
        let Some(store) = self.places.current.clone() else {
            return Ok(Session {
                ticket: None,
                ..session
            });
        };
        let ticket = Ticket::new(session.id.clone(), self.entropy.bytes()?, names);
        let session = Arc::new(Session {
            ticket: Some(Arc::new(ticket)),
            ..session
        });
        self.create(store, Arc::clone(&session)).await?;
        Ok(Arc::unwrap_or_clone(session))
    }

    async fn create(
        self: &Arc<Self>,
        store: Arc<AnyStore>,
        session: Arc<Session>,
    ) -> Result<(), KeepError> {
        let keyring = self.keyring.load_full().ok_or(KeepError::NoKeys)?;
        let record = session.to_record(&keyring)?;
        let ticket = session.ticket.clone().ok_or(RecordWriteError::NoTicket)?;
        let (sessions, key) = (Arc::clone(self), ticket.record_key());
        let written = self.control.spawn(async move {
            let now = sessions.clock.now();
            store.create(key, &record).await?;
            let loaded = Arc::new(Loaded::new(session, now));
            sessions.copies().put(key, loaded);
            Ok(())
        });
        match timeout(PATIENCE, written).await {
            Ok(Ok(written)) => written,
            Ok(Err(broken)) => Err(StoreError::Unreachable(broken.to_string()).into()),
            Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned()).into()),
        }
    }

    /// Writes down that a session was used. Gives it as its cookie is to be written; nothing, where
    /// the cookie that is there is as good.
    pub async fn touch(self: &Arc<Self>, session: Session, names: &CookieNames) -> Option<Session> {
        match (&session.ticket, &self.places.current) {
            (None, None) => Some(session),
            // It moves.
            (Some(_), None) | (None, Some(_)) => match self.begin(session, names).await {
                Ok(moved) => Some(moved),
                Err(error) => {
                    tracing::warn!(reason = %error, "a session did not move to the store");
                    None
                }
            },
            (Some(ticket), Some(store)) => {
                let session = Arc::new(session.clone());
                let (key, now) = (ticket.record_key(), self.clock.now());
                // At once, so that the next request need not write it down again.
                let loaded = Arc::new(Loaded::new(Arc::clone(&session), now));
                self.copies().put(key, loaded);
                let (sessions, store) = (Arc::clone(self), Arc::clone(store));
                let touched = Arc::clone(&session);
                self.control.spawn(async move {
                    sessions.rewrite(&store, &touched).await;
                });
                Some(Arc::unwrap_or_clone(session))
            }
        }
    }

    async fn rewrite(self: &Arc<Self>, store: &Arc<AnyStore>, session: &Arc<Session>) {
        match self.replace(store, session).await {
            Ok(Replaced::Done) => {}
            Ok(Replaced::Gone) if self.moves(store, session).await => {}
            // What is there now is read with the next request.
            Ok(Replaced::Gone | Replaced::Later) => self.outdate(session),
            Err(error) => {
                tracing::warn!(reason = %error, "that a session was used was not written down");
            }
        }
    }

    /// Moves a session from the previous store, if it is there.
    async fn moves(self: &Arc<Self>, store: &Arc<AnyStore>, session: &Arc<Session>) -> bool {
        let (Previous::Store(previous), Some(ticket)) = (&self.places.previous, &session.ticket)
        else {
            return false;
        };
        let key = ticket.record_key();
        if !matches!(previous.load(key).await, Ok(Some(_))) {
            return false;
        }
        let created = self.create(Arc::clone(store), Arc::clone(session)).await;
        created.is_ok() && previous.remove(key).await.is_ok()
    }

    async fn replace(&self, store: &AnyStore, session: &Session) -> Result<Replaced, KeepError> {
        let keyring = self.keyring.load_full().ok_or(KeepError::NoKeys)?;
        let ticket = session.ticket.as_ref().ok_or(RecordWriteError::NoTicket)?;
        let record = session.to_record(&keyring)?;
        Ok(store.replace(ticket.record_key(), &record).await?)
    }

    /// Puts the successor of `session` in its place. Where the store does not answer, it is tried
    /// until the session ends by itself: what the provider gave is good once only.
    pub async fn succeed(
        self: &Arc<Self>,
        session: &Session,
        successor: &Arc<Session>,
    ) -> Succession {
        let Some(ticket) = &successor.ticket else {
            self.share(session, successor).await;
            return Succession::Kept;
        };
        let Some(store) = &self.places.current else {
            return Succession::Kept;
        };
        let now = self.clock.now();
        let used = self.copies().last(ticket.record_key());
        let successor = &match used {
            Some(used) => successor.seen_with(&used.session),
            None => Arc::clone(successor),
        };
        match self.replace(store, successor).await {
            Ok(Replaced::Done) => {
                let loaded = Loaded::new(Arc::clone(successor), now);
                self.copies().put(ticket.record_key(), Arc::new(loaded));
                Succession::Kept
            }
            Ok(Replaced::Later) => {
                self.outdate(successor);
                Succession::Kept
            }
            Ok(Replaced::Gone) => {
                if self.moves(store, successor).await {
                    Succession::Kept
                } else {
                    self.outdate(successor);
                    Succession::Ended
                }
            }
            Err(error) => {
                tracing::warn!(reason = %error, "a renewed session was not written; it is tried again");
                let (sessions, store) = (Arc::clone(self), Arc::clone(store));
                let successor = Arc::clone(successor);
                self.control.spawn(async move {
                    let mut pause = AGAIN;
                    while sessions.clock.now() < successor.idle_expires_at {
                        sleep(pause).await;
                        pause = (pause * 2).min(AGAIN_AT_MOST);
                        if sessions.replace(&store, &successor).await.is_ok() {
                            sessions.outdate(&successor);
                            return;
                        }
                    }
                });
                Succession::Kept
            }
        }
    }

    /// Tells those who share a store what became of a session that travels in its cookie.
    async fn share(self: &Arc<Self>, session: &Session, successor: &Arc<Session>) {
        let Some(store) = self.places.shared.clone() else {
            return;
        };
        let record = match successor.to_successor_record(session) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(reason = %error, "a renewed session cannot be shared");
                return;
            }
        };
        let key = Ticket::of_successor(session).record_key();
        if let Err(error) = put(&store, key, &record).await {
            tracing::warn!(reason = %error, "a renewed session was not shared; it is tried again");
            let (sessions, until) = (Arc::clone(self), record.expires_at);
            self.control.spawn(async move {
                let mut pause = AGAIN;
                while sessions.clock.now() < until {
                    sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_AT_MOST);
                    if put(&store, key, &record).await.is_ok() {
                        return;
                    }
                }
            });
        }
    }

    /// Gives up what only one process has at a time: whatever is written later is not kept.
    pub async fn close(&self) {
        for store in self.stores().chain(&self.places.endings) {
            store.close().await;
        }
    }

    fn stores(&self) -> impl Iterator<Item = &Arc<AnyStore>> {
        let previous = match &self.places.previous {
            Previous::Store(store) => Some(store),
            Previous::None | Previous::Cookies => None,
        };
        self.places.current.iter().chain(previous)
    }

    fn outdate(&self, session: &Session) {
        if let Some(ticket) = &session.ticket {
            self.copies().remove(ticket.record_key());
        }
    }

    fn copies(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a record, whether there is an earlier one or none.
async fn put(store: &AnyStore, key: RecordKey, record: &Record) -> Result<(), StoreError> {
    match store.replace(key, record).await? {
        Replaced::Done | Replaced::Later => Ok(()),
        Replaced::Gone => store.create(key, record).await,
    }
}
