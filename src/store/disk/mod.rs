//! Sessions in one file of this process: they survive a restart and a power failure.
//!
//! One thread writes. It takes all acts that wait, does them in one transaction, and answers each when
//! that is on the disk; that a session was used is not waited for. Reads do not wait for writes. Acts
//! run on threads where blocking is nobody's loss, since requests go by copies.

mod file;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use redb::{Database, Durability};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

pub use self::file::OpenError;
use self::tables::Writing;
use super::{Heard, Replaced, Store, StoreError};
use crate::base::clock::{Clock, UnixTime};
use crate::session::record::{GroupKey, Record, RecordKey};

/// So many acts may wait for the thread that writes.
const MOST_WAITING: usize = 1024;
/// So many are done in one transaction.
const MOST_AT_ONCE: usize = 256;
/// What all records may have together, in bytes.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// How long a call waits for a process that is about to give the file up.
const OPENING: Duration = Duration::from_secs(3);
/// How long that process may take.
const TAKING_OVER: Duration = Duration::from_mins(2);
/// So many locks; there is one for each session that is being renewed.
const MOST_LOCKS: usize = 100_000;

/// The store.
#[derive(Debug)]
pub struct DiskStore {
    database: Arc<Shared>,
    acts: Sender<Waiting>,
    clock: Clock,
    /// Good within the process, and so for nobody after it.
    locks: Mutex<HashMap<RecordKey, ([u8; 16], UnixTime)>>,
    /// Held so that whoever listens waits: nothing more is ever said.
    listeners: Mutex<Vec<Sender<Heard>>>,
}

/// The database, as far as there is one.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
enum State {
    /// Another process still has the file; whoever asks waits.
    Opening,
    Open(Arc<Database>),
    Closed,
}

impl Shared {
    fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn get(&self) -> Result<Arc<Database>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_opening = |state: &mut State| matches!(state, State::Opening);
        let waited = self.changed.wait_timeout_while(state, OPENING, is_opening);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(database) => Ok(Arc::clone(database)),
            State::Opening => Err(StoreError::Unreachable(
                "another process still has it".to_owned(),
            )),
            State::Closed => Err(StoreError::Unreachable("it is closed".to_owned())),
        }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }
}

/// An act that waits for the thread that writes, and who waits for it.
#[derive(Debug)]
struct Waiting {
    act: Act,
    tell: oneshot::Sender<Result<Done, StoreError>>,
}

#[derive(Debug)]
enum Act {
    Create(RecordKey, Record),
    Replace(RecordKey, Record),
    Remove(RecordKey),
    Claim([u8; 32], UnixTime),
    Announce(Vec<u8>, UnixTime),
    Close,
}

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    Replaced(Replaced),
    /// There was one, or it was the first.
    Is(bool),
}

impl DiskStore {
    /// Opens the store in the file at `path`, or makes it.
    ///
    /// # Errors
    /// [`OpenError`]; whatever is there stays as it is.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let at = path.to_owned();
        let opened = spawn_blocking(move || opened(&at, Duration::ZERO)).await;
        let opened = opened.map_err(|error| file::unknown(path, error.to_string()))??;
        Self::of(State::Open(Arc::new(opened)), clock, path)
    }

    /// Opens the store in the file at `path` when the process that has it gives it up; until then
    /// whoever asks waits, for a moment.
    ///
    /// # Errors
    /// [`OpenError`], for what can be seen by now.
    pub fn open_after(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        file::look(path)?;
        Self::of(State::Opening, clock, path)
    }

    fn of(state: State, clock: Clock, path: &Path) -> Result<Self, OpenError> {
        let at = path.to_owned();
        let again = move |patience| opened(&at, patience);
        Self::over(state, clock, again).map_err(|error| file::unknown(path, error.to_string()))
    }

    /// The store over this database, which is opened `again` when its storage has failed.
    fn over(
        state: State,
        clock: Clock,
        again: impl Fn(Duration) -> Result<Database, OpenError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let database = Arc::new(Shared::new(state));
        let (acts, waiting) = channel(MOST_WAITING);
        let writer = Writer {
            database: Arc::clone(&database),
            clock: clock.clone(),
            again: Box::new(again),
        };
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.write(waiting))?;
        Ok(Self {
            database,
            acts,
            clock,
            locks: Mutex::default(),
            listeners: Mutex::default(),
        })
    }

    /// Gives the file up, when what waits is written: whoever comes after may have it.
    pub async fn close(&self) {
        drop(self.write(Act::Close).await);
    }

    async fn write(&self, act: Act) -> Result<Done, StoreError> {
        let (tell, told) = oneshot::channel();
        let waiting = Waiting { act, tell };
        self.acts.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unreachable("too much waits for it".to_owned()),
            TrySendError::Closed(_) => StoreError::Unreachable("it is closed".to_owned()),
        })?;
        told.await
            .unwrap_or_else(|_| Err(StoreError::Unreachable("it is closed".to_owned())))
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        spawn_blocking(move || look(&*database.get()?))
            .await
            .map_err(|error| StoreError::Refused(error.to_string()))?
    }
}

/// A database whose tables are there, and whose file has given back what it does not need.
fn opened(path: &Path, patience: Duration) -> Result<Database, OpenError> {
    let mut database = file::open(path, patience)?;
    tables::prepare(&database).map_err(|cause| file::unknown(path, cause))?;
    // A failure leaves it as it is.
    drop(database.compact());
    Ok(database)
}

/// What the thread that writes has.
struct Writer {
    database: Arc<Shared>,
    clock: Clock,
    again: Box<dyn Fn(Duration) -> Result<Database, OpenError> + Send>,
}

impl Writer {
    /// Does what waits, until the store is closed or dropped.
    fn write(self, mut waiting: Receiver<Waiting>) {
        if self.is_opening() {
            self.open(TAKING_OVER);
        }
        let mut batch = Vec::new();
        while waiting.blocking_recv_many(&mut batch, MOST_AT_ONCE) > 0 {
            let closing = batch
                .iter()
                .position(|one| matches!(one.act, Act::Close))
                .map(|at| batch.split_off(at));
            let (acts, tells): (Vec<Act>, Vec<_>) =
                batch.drain(..).map(|one| (one.act, one.tell)).unzip();
            let done = self
                .database
                .get()
                .and_then(|open| commit(&open, &acts, self.clock.now()));
            match done {
                Ok(done) => {
                    for (tell, done) in tells.into_iter().zip(done) {
                        drop(tell.send(done));
                    }
                }
                Err(error) => {
                    tracing::warn!(reason = %error, "the store was not written");
                    for tell in tells {
                        drop(tell.send(Err(error.clone())));
                    }
                    if closing.is_none() {
                        // After its storage failed once a database does nothing more until it is
                        // opened anew: the disk may have room again. While somebody reads, that fails,
                        // and is tried with the next act.
                        self.open(Duration::ZERO);
                    }
                }
            }
            if let Some(last) = closing {
                self.close();
                for one in last {
                    drop(one.tell.send(Ok(Done::Nothing)));
                }
                return;
            }
        }
        self.close();
    }

    fn is_opening(&self) -> bool {
        let state = self.database.state.lock();
        matches!(
            *state.unwrap_or_else(PoisonError::into_inner),
            State::Opening
        )
    }

    fn open(&self, patience: Duration) {
        if patience.is_zero() {
            self.database.set(State::Closed);
        }
        match (self.again)(patience) {
            Ok(opened) => self.database.set(State::Open(Arc::new(opened))),
            Err(error) => {
                tracing::error!(reason = %error, "the store cannot be opened");
                self.database.set(State::Closed);
            }
        }
    }

    /// That sessions were used is written down, too, and the file is free for whoever comes after.
    fn close(&self) {
        if let Ok(open) = self.database.get() {
            drop(open.begin_write().map(redb::WriteTransaction::commit));
        }
        self.database.set(State::Closed);
    }
}

/// Does the acts in one transaction: all of them are there after it, or none.
fn commit(
    database: &Database,
    acts: &[Act],
    now: UnixTime,
) -> Result<Vec<Result<Done, StoreError>>, StoreError> {
    if acts.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |error: &dyn std::fmt::Display| StoreError::Refused(error.to_string());
    let mut transaction = database.begin_write().map_err(|error| refused(&error))?;
    let mut must_last = false;
    let mut done = Vec::with_capacity(acts.len());
    {
        let mut tables = Writing::open(&transaction)?;
        tables.sweep(now)?;
        for act in acts {
            let (one, lasts) = perform(&mut tables, act, now);
            must_last |= lasts;
            // The store's own word stands; of a storage that fails nothing is believed.
            match one {
                Err(error @ (StoreError::Refused(_) | StoreError::Unreachable(_))) => {
                    return Err(error);
                }
                one => done.push(one),
            }
        }
    }
    let durability = if must_last {
        Durability::Immediate
    } else {
        Durability::None
    };
    transaction
        .set_durability(durability)
        .map_err(|error| refused(&error))?;
    // Else a file of some size is walked through after a crash, before anybody is let in.
    transaction.set_quick_repair(must_last);
    transaction.commit().map_err(|error| match error {
        redb::CommitError::Storage(error) => tables::of_storage(error),
        error => refused(&error),
    })?;
    Ok(done)
}

/// Does one act. Gives whether it must be on the disk before anybody hears of it.
fn perform(tables: &mut Writing<'_>, act: &Act, now: UnixTime) -> (Result<Done, StoreError>, bool) {
    match act {
        Act::Create(key, record) => {
            let created = tables.create(*key, record, MOST_BYTES);
            (created.map(|()| Done::Nothing), true)
        }
        Act::Replace(key, record) => match tables.replace(*key, record, now) {
            Ok((replaced, is_later)) => (Ok(Done::Replaced(replaced)), is_later),
            Err(error) => (Err(error), false),
        },
        Act::Remove(key) => (tables.remove(*key).map(Done::Is), true),
        Act::Claim(name, until) => (tables.claim(*name, *until, now).map(Done::Is), true),
        Act::Announce(words, until) => {
            let announced = tables.announce(words, *until);
            (announced.map(|()| Done::Nothing), true)
        }
        Act::Close => (Ok(Done::Nothing), false),
    }
}

impl Store for DiskStore {
    async fn load(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let now = self.clock.now();
        let record = self
            .read(move |database| tables::load(database, key))
            .await?;
        Ok(record.filter(|record| record.expires_at > now))
    }

    async fn create(&self, key: RecordKey, record: &Record) -> Result<(), StoreError> {
        self.write(Act::Create(key, record.clone())).await?;
        Ok(())
    }

    async fn replace(&self, key: RecordKey, record: &Record) -> Result<Replaced, StoreError> {
        match self.write(Act::Replace(key, record.clone())).await? {
            Done::Replaced(replaced) => Ok(replaced),
            Done::Nothing | Done::Is(_) => Err(StoreError::Corrupt),
        }
    }

    async fn remove(&self, key: RecordKey) -> Result<bool, StoreError> {
        Ok(self.write(Act::Remove(key)).await? == Done::Is(true))
    }

    async fn members(&self, of: GroupKey) -> Result<Vec<RecordKey>, StoreError> {
        let now = self.clock.now();
        self.read(move |database| tables::members(database, of, now))
            .await
    }

    async fn all(&self, most: usize) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let now = self.clock.now();
        self.read(move |database| tables::all(database, most, now))
            .await
    }

    async fn lock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
        span: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        match locks.get(&name) {
            Some((other, until)) if *other != owner && *until > now => return Ok(false),
            Some(_) => {}
            None => {
                if locks.len() >= MOST_LOCKS {
                    locks.retain(|_, (_, until)| *until > now);
                }
                if locks.len() >= MOST_LOCKS {
                    return Err(StoreError::Full);
                }
            }
        }
        locks.insert(name, (owner, now.plus(span)));
        Ok(true)
    }

    async fn unlock(&self, name: RecordKey, owner: [u8; 16]) -> Result<(), StoreError> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.get(&name).is_some_and(|(own, _)| *own == owner) {
            locks.remove(&name);
        }
        Ok(())
    }

    async fn claim(&self, name: [u8; 32], until: UnixTime) -> Result<bool, StoreError> {
        Ok(self.write(Act::Claim(name, until)).await? == Done::Is(true))
    }

    async fn announce(&self, words: &[u8], until: UnixTime) -> Result<(), StoreError> {
        self.write(Act::Announce(words.to_vec(), until)).await?;
        Ok(())
    }

    async fn announced(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let now = self.clock.now();
        self.read(move |database| tables::announced(database, now))
            .await
    }

    fn listen(&self) -> Receiver<Heard> {
        let (tell, heard) = channel(1);
        // There is room for one.
        drop(tell.try_send(Heard::Listening));
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|one| !one.is_closed());
        listeners.push(tell);
        heard
    }
}
