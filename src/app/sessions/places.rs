//! Where the sessions of this process are kept, as it was configured.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::app::start::StartError;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::config::{StoreKind, StoreSettings};
use crate::store::any::AnyStore;
use crate::store::disk::DiskStore;
use crate::store::memory::{Bounds, MemoryStore};
use crate::store::redis::{RedisSettings, RedisStore};

/// Where sessions are kept.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Where new ones go; nothing where they travel in their cookie.
    pub current: Option<Arc<AnyStore>>,
    /// Where people come from, while they move.
    pub previous: Previous,
    /// What other processes use, too: there it is said who renews a session, and what was ended.
    pub shared: Option<Arc<AnyStore>>,
    /// Where it is kept which sessions in cookies were ended, for whoever comes after this process.
    pub endings: Option<Arc<AnyStore>>,
}

/// How this process came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By itself.
    Fresh,
    /// In the place of one that still serves, and has what it kept until this one does.
    TakesOver,
}

/// Where sessions were kept before.
#[derive(Debug, Clone, Default)]
pub enum Previous {
    /// Nowhere else.
    #[default]
    None,
    /// In their cookies.
    Cookies,
    /// In another store.
    Store(Arc<AnyStore>),
}

impl Places {
    /// Opens what `settings` name. Must be called within the control runtime, where the stores work.
    ///
    /// # Errors
    /// [`StartError::Store`]: a file that cannot be had, or is another process's.
    pub async fn open(
        settings: &StoreSettings,
        clock: &Clock,
        arrival: Arrival,
    ) -> Result<Self, StartError> {
        let shared = match &settings.shared {
            None => None,
            Some(redis) => Some(Arc::new(AnyStore::Redis(connect(redis, clock)?))),
        };
        let previous = match &settings.previous {
            None => Previous::None,
            Some(kind) => match open(kind, clock, arrival).await? {
                None => Previous::Cookies,
                Some(store) => Previous::Store(Arc::new(store)),
            },
        };
        let current = match &settings.current {
            // One connection is enough.
            StoreKind::Redis(_) => shared.clone(),
            kind => open(kind, clock, arrival).await?.map(Arc::new),
        };
        let endings = match (&settings.endings, &previous) {
            (None, _) => None,
            // One process has the file once.
            (Some(_), Previous::Store(store)) => Some(Arc::clone(store)),
            (Some(path), Previous::None | Previous::Cookies) => {
                let kind = StoreKind::Disk(path.clone());
                open(&kind, clock, arrival).await?.map(Arc::new)
            }
        };
        Ok(Self {
            current,
            previous,
            shared,
            endings,
        })
    }
}

async fn open(
    kind: &StoreKind,
    clock: &Clock,
    arrival: Arrival,
) -> Result<Option<AnyStore>, StartError> {
    Ok(match kind {
        StoreKind::Cookie => None,
        StoreKind::Memory => Some(AnyStore::Memory(MemoryStore::new(
            clock.clone(),
            Bounds::default(),
        ))),
        StoreKind::Disk(path) => {
            let store = match arrival {
                Arrival::Fresh => DiskStore::open(path, clock.clone()).await,
                Arrival::TakesOver => DiskStore::open_after(path, clock.clone()),
            };
            Some(AnyStore::Disk(store?))
        }
        StoreKind::Redis(redis) => Some(AnyStore::Redis(connect(redis, clock)?)),
    })
}

/// A Redis, which need not be there yet.
fn connect(settings: &RedisSettings, clock: &Clock) -> Result<RedisStore, StartError> {
    let store = RedisStore::open(
        settings.clone(),
        clock.clone(),
        Entropy::system(),
        Handle::current(),
    );
    Ok(store?)
}
