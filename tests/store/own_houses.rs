//! The promises, kept by the stores of one process; and what one that is full does.

use std::time::Duration;

use sidegate::base::clock::Clock;
use sidegate::store::disk::DiskStore;
use sidegate::store::memory::{Bounds, MemoryStore};
use sidegate::store::{Replaced, Store, StoreError};
use tokio::runtime::Handle;

use crate::conformance;
use crate::conformance::{House, NOW, key, record, runtime};

struct MemoryHouse {
    store: MemoryStore,
    clock: Clock,
}

async fn memory(_: Handle) -> MemoryHouse {
    let clock = Clock::settable(NOW);
    let store = MemoryStore::new(clock.clone(), Bounds::default());
    MemoryHouse { store, clock }
}

impl House for MemoryHouse {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn beside(&self) -> Option<MemoryStore> {
        None
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

struct DiskHouse {
    store: DiskStore,
    clock: Clock,
    _folder: tempfile::TempDir,
}

async fn disk(_: Handle) -> DiskHouse {
    let (clock, folder) = (Clock::settable(NOW), tempfile::tempdir().unwrap());
    let path = folder.path().join("sessions");
    let store = DiskStore::open(&path, clock.clone()).await.unwrap();
    DiskHouse {
        store,
        clock,
        _folder: folder,
    }
}

impl House for DiskHouse {
    type Store = DiskStore;

    fn store(&self) -> &DiskStore {
        &self.store
    }

    fn beside(&self) -> Option<DiskStore> {
        None
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

conformance!(in_memory, super::memory);
conformance!(on_disk, super::disk);

// U5: a store in memory has a bound, and nobody who is signed in makes room for somebody else.
#[test]
fn a_full_memory_store_takes_nobody_new_and_loses_nobody() {
    let clock = Clock::settable(NOW);
    let few = |bytes, records| MemoryStore::new(clock.clone(), Bounds { bytes, records });
    let later = |seconds| NOW.plus(Duration::from_secs(seconds));
    runtime().block_on(async {
        for store in [few(usize::MAX, 3), few(3 * 600, 1000)] {
            for number in 0..3 {
                let created = store.create(key(number), &record(0, later(100))).await;
                created.unwrap();
            }
            let refused = store.create(key(9), &record(0, later(900))).await;
            assert_eq!(refused, Err(StoreError::Full));
            for number in 0..3 {
                assert!(store.load(key(number)).await.unwrap().is_some());
                let used = store.replace(key(number), &record(1, later(101))).await;
                assert_eq!(used, Ok(Replaced::Done), "who is there stays");
            }
            clock.advance(Duration::from_secs(101));
            store.create(key(9), &record(0, later(900))).await.unwrap();
            assert!(store.load(key(0)).await.unwrap().is_none());
            clock.set(NOW);
        }
        let store = few(usize::MAX, 2);
        for number in 0..2 {
            assert_eq!(store.claim([number; 32], later(100)).await, Ok(true));
            assert!(store.announce(&[number], later(100)).await.is_ok());
        }
        let full = Err(StoreError::Full);
        assert_eq!(store.claim([9; 32], later(100)).await, full);
        let refused = store.announce(&[9], later(100)).await;
        assert_eq!(refused, Err(StoreError::Full));
        assert_eq!(store.claim([1; 32], later(100)).await, Ok(false), "known");
    });
}
