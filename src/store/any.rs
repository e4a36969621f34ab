//! One of the stores, as it was configured.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::disk::DiskStore;
use super::memory::MemoryStore;
use super::redis::RedisStore;
use super::{Heard, Replaced, Store, StoreError};
use crate::base::clock::UnixTime;
use crate::session::record::{GroupKey, Record, RecordKey};

/// A store of any kind.
#[derive(Debug)]
pub enum AnyStore {
    /// In this process.
    Memory(MemoryStore),
    /// In a file of this process.
    Disk(DiskStore),
    /// In a Redis that others use, too.
    Redis(RedisStore),
}

impl AnyStore {
    /// Gives up what only one process has at a time, when all that waits is written.
    pub async fn close(&self) {
        match self {
            Self::Memory(_) | Self::Redis(_) => {}
            Self::Disk(store) => store.close().await,
        }
    }
}

/// The same act of whichever store it is.
macro_rules! of_each {
    ($self:ident, $store:ident => $act:expr) => {
        match $self {
            Self::Memory($store) => $act,
            Self::Disk($store) => $act,
            Self::Redis($store) => $act,
        }
    };
}

impl Store for AnyStore {
    async fn load(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        of_each!(self, store => store.load(key).await)
    }

    async fn create(&self, key: RecordKey, record: &Record) -> Result<(), StoreError> {
        of_each!(self, store => store.create(key, record).await)
    }

    async fn replace(&self, key: RecordKey, record: &Record) -> Result<Replaced, StoreError> {
        of_each!(self, store => store.replace(key, record).await)
    }

    async fn remove(&self, key: RecordKey) -> Result<bool, StoreError> {
        of_each!(self, store => store.remove(key).await)
    }

    async fn members(&self, of: GroupKey) -> Result<Vec<RecordKey>, StoreError> {
        of_each!(self, store => store.members(of).await)
    }

    async fn all(&self, most: usize) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        of_each!(self, store => store.all(most).await)
    }

    async fn lock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
        span: Duration,
    ) -> Result<bool, StoreError> {
        of_each!(self, store => store.lock(name, owner, span).await)
    }

    async fn unlock(&self, name: RecordKey, owner: [u8; 16]) -> Result<(), StoreError> {
        of_each!(self, store => store.unlock(name, owner).await)
    }

    async fn claim(&self, name: [u8; 32], until: UnixTime) -> Result<bool, StoreError> {
        of_each!(self, store => store.claim(name, until).await)
    }

    async fn announce(&self, words: &[u8], until: UnixTime) -> Result<(), StoreError> {
        of_each!(self, store => store.announce(words, until).await)
    }

    async fn announced(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        of_each!(self, store => store.announced().await)
    }

    fn listen(&self) -> Receiver<Heard> {
        of_each!(self, store => store.listen())
    }
}
