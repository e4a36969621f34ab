//! Sessions in Redis or Valkey: one server, a master that sentinels name, or a cluster.
//!
//! Everything runs on the runtime that the store is given, whichever thread asks, and goes on to its
//! end when whoever asked does not wait any more.

mod acts;
mod dial;
mod fault;
mod keys;
mod link;
mod listen;
mod scripts;
pub mod settings;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use acts::Acts;
pub use acts::MOST_ANNOUNCED;
use dial::Dialer;
use fault::unreachable_as;
use keys::Names;
use link::Link;
use listen::{Ear, Hearing};
pub use settings::RedisSettings;

use super::{Heard, Replaced, Store, StoreError};
use crate::base::clock::{Clock, UnixTime};
use crate::base::entropy::{Entropy, NoEntropy};
use crate::session::record::{GroupKey, Record, RecordKey};

/// Sessions in Redis.
pub struct RedisStore {
    acts: Acts,
    dialer: Arc<Dialer>,
    runtime: Handle,
    check: Duration,
    listener: [u8; 16],
    ear: Arc<Ear>,
    listening: OnceLock<AbortHandle>,
}

impl RedisStore {
    /// A store at this place, which begins to connect on `runtime`. Until that has come to something
    /// whoever asks waits for it, no longer than a connection may take.
    ///
    /// # Errors
    /// [`NoEntropy`]: what tells this process from others is drawn by chance.
    pub fn open(
        settings: RedisSettings,
        clock: Clock,
        entropy: Entropy,
        runtime: Handle,
    ) -> Result<Self, NoEntropy> {
        let names = Names::below(&settings.prefix);
        let check = settings.listening_check;
        let dialer = Arc::new(Dialer::new(settings));
        Ok(Self {
            acts: Acts {
                link: Link::start(Arc::clone(&dialer), runtime.clone()),
                names,
                clock,
                most_announced: MOST_ANNOUNCED,
            },
            dialer,
            runtime,
            check,
            listener: entropy.bytes()?,
            ear: Ear::new(),
            listening: OnceLock::new(),
        })
    }

    /// The same with room for fewer announcements than [`MOST_ANNOUNCED`].
    #[must_use]
    pub fn with_most_announced(mut self, most: usize) -> Self {
        self.acts.most_announced = most.min(MOST_ANNOUNCED);
        self
    }

    /// What comes of an act, which is done whether or not anybody waits for it.
    async fn done<T, F>(&self, act: impl FnOnce(Acts) -> F + Send) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let task = self.runtime.spawn(act(self.acts.clone()));
        task.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// The runtime has ended, and with it whatever was asked.
fn stopped() -> StoreError {
    unreachable_as("the process stops")
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.get() {
            listening.abort();
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl Store for RedisStore {
    async fn load(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.done(|acts| async move { acts.load(key).await }).await
    }

    async fn create(&self, key: RecordKey, record: &Record) -> Result<(), StoreError> {
        let record = record.clone();
        self.done(|acts| async move { acts.create(key, &record).await })
            .await
    }

    async fn replace(&self, key: RecordKey, record: &Record) -> Result<Replaced, StoreError> {
        let record = record.clone();
        self.done(|acts| async move { acts.replace(key, &record).await })
            .await
    }

    async fn remove(&self, key: RecordKey) -> Result<bool, StoreError> {
        self.done(|acts| async move { acts.remove(key).await })
            .await
    }

    async fn members(&self, of: GroupKey) -> Result<Vec<RecordKey>, StoreError> {
        self.done(|acts| async move { acts.members(of).await })
            .await
    }

    async fn all(&self, most: usize) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        self.done(|acts| async move { acts.all(most).await }).await
    }

    async fn lock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
        span: Duration,
    ) -> Result<bool, StoreError> {
        self.done(|acts| async move { acts.lock(name, owner, span).await })
            .await
    }

    async fn unlock(&self, name: RecordKey, owner: [u8; 16]) -> Result<(), StoreError> {
        self.done(|acts| async move { acts.unlock(name, owner).await })
            .await
    }

    async fn claim(&self, name: [u8; 32], until: UnixTime) -> Result<bool, StoreError> {
        self.done(|acts| async move { acts.claim(name, until).await })
            .await
    }

    async fn announce(&self, words: &[u8], until: UnixTime) -> Result<(), StoreError> {
        let words = words.to_vec();
        self.done(|acts| async move { acts.announce(&words, until).await })
            .await
    }

    async fn announced(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.done(|acts| async move { acts.announced().await })
            .await
    }

    fn listen(&self) -> mpsc::Receiver<Heard> {
        let (receiver, passing_on) = self.ear.attend();
        drop(self.runtime.spawn(passing_on));
        self.listening.get_or_init(|| {
            let hearing = Hearing {
                acts: self.acts.clone(),
                dialer: Arc::clone(&self.dialer),
                check: self.check,
                listener: self.listener,
            };
            let ear = Arc::clone(&self.ear);
            self.runtime.spawn(ear.listen(hearing)).abort_handle()
        });
        receiver
    }
}
