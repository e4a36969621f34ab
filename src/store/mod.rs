//! Floor 5: where sessions are kept that the browser has only a ticket for, and what every process
//! that shares a store must know: which sessions were ended, and who is renewing one.
//!
//! A store sees names that are hashes and values that are sealed; it decides nothing. Its moments are
//! those of the clock that it was given. All its calls are bounded in time, and none is made by a
//! request that can do without.

pub mod any;
pub mod disk;
pub mod memory;
pub mod redis;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::base::clock::UnixTime;
use crate::session::record::{GroupKey, Record, RecordKey};

/// The most records of one group that are given; a person with more has the latest ones.
pub const MOST_OF_A_GROUP: usize = 1024;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer in time, or there is no connection to it.
    #[error("the store does not answer: {0}")]
    Unreachable(String),
    /// It answered that it will not: a wrong password, no permission, read-only, out of memory.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// It has no room for more.
    #[error("the store is full")]
    Full,
    /// What it keeps there is not what was put there.
    #[error("the store holds something else")]
    Corrupt,
}

/// What came of putting a record in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It is kept now.
    Done,
    /// There was none any more: the session was ended, or has expired. Nothing is kept.
    Gone,
    /// There is a later one, which stays.
    Later,
}

/// What a process hears of what others did that share its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// This record was replaced by a later turn, or removed: copies of it are old.
    Changed(RecordKey),
    /// Sessions were ended: the bytes that [`Store::announce`] was given.
    Ended(Vec<u8>),
    /// From here on nothing is missed. Whoever hears it asks for [`Store::announced`] once.
    Listening,
    /// From here on something may be missed, until the next [`Heard::Listening`].
    Deaf,
}

/// A store. All its futures may be dropped at any moment: an act then has happened as a whole or not
/// at all.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The record of this key; none where there is none, or it has expired.
    ///
    /// # Errors
    /// [`StoreError`]; a record that cannot be read is [`StoreError::Corrupt`].
    fn load(
        &self,
        key: RecordKey,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Keeps a new record, which has its groups before it has its value. When this returns it is
    /// there for every process, and after a crash (where the store keeps anything over one).
    ///
    /// # Errors
    /// [`StoreError`]; then it may be there all the same.
    fn create(
        &self,
        key: RecordKey,
        record: &Record,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts `record` where there is one of the same or an earlier turn. With a later turn it is as
    /// durable as a new one and others hear of it; with the same turn neither is needed.
    ///
    /// # Errors
    /// [`StoreError`]; then it may have been replaced all the same.
    fn replace(
        &self,
        key: RecordKey,
        record: &Record,
    ) -> impl Future<Output = Result<Replaced, StoreError>> + Send;

    /// Removes the record for good and tells the others. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; then it may be gone all the same.
    fn remove(&self, key: RecordKey) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The keys of the group's records, the latest first, at most [`MOST_OF_A_GROUP`]. Some may be
    /// gone already.
    ///
    /// # Errors
    /// [`StoreError`].
    fn members(
        &self,
        of: GroupKey,
    ) -> impl Future<Output = Result<Vec<RecordKey>, StoreError>> + Send;

    /// All records, at most `most`, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn all(
        &self,
        most: usize,
    ) -> impl Future<Output = Result<Vec<(RecordKey, Record)>, StoreError>> + Send;

    /// Takes the lock of this name for `owner`, for `span` at the most. Whether `owner` has it now.
    ///
    /// # Errors
    /// [`StoreError`].
    fn lock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
        span: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives the lock back, if it is still `owner`'s.
    ///
    /// # Errors
    /// [`StoreError`].
    fn unlock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Claims `name`, a hash, until that moment. Whether this was the first claim that is alive.
    ///
    /// # Errors
    /// [`StoreError`]; then it may be claimed all the same.
    fn claim(
        &self,
        name: [u8; 32],
        until: UnixTime,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Keeps that sessions were ended, in these words, until that moment, and tells the others. When
    /// it returns it is as durable as a new record.
    ///
    /// # Errors
    /// [`StoreError`]; then it may be kept all the same. [`StoreError::Full`] where there are too many:
    /// none that is kept is given up for it.
    fn announce(
        &self,
        words: &[u8],
        until: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All that was announced and is not past.
    ///
    /// # Errors
    /// [`StoreError`].
    fn announced(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>> + Send;

    /// What happens from now on, also by this process itself. It never ends; a listener that is too
    /// slow hears [`Heard::Deaf`] and [`Heard::Listening`] again. A store of one process says
    /// [`Heard::Listening`] once and nothing more.
    fn listen(&self) -> tokio::sync::mpsc::Receiver<Heard>;
}
