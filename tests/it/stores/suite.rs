//! What every store does that keeps sessions outside their cookies, sentence by sentence.

use std::future::Future;
use std::time::Duration;

use sidegate::base::clock::{Clock, UnixTime};
use sidegate::session::record::{GroupKey, MOST_BYTES, Record, RecordKey};
use sidegate::store::disk::DiskStore;
use sidegate::store::memory::{Bounds, MemoryStore};
use sidegate::store::{Heard, MOST_OF_A_GROUP, Replaced, Store, StoreError};

const NOW: i64 = 1_800_000_000;
const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

fn key(number: u16) -> RecordKey {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    RecordKey::from_bytes(bytes)
}

fn group(number: u8) -> GroupKey {
    GroupKey::from_bytes([number; 32])
}

fn record(turn: u32, ends_in: u64, person: u8) -> Record {
    Record {
        turn,
        expires_at: UnixTime::from_seconds(NOW).plus(Duration::from_secs(ends_in)),
        person: group(person),
        provider_session: person.is_multiple_of(2).then(|| group(person + 100)),
        card: vec![person; 30],
        sealed: vec![0xff, 0, b'\r', b'\n', u8::try_from(turn % 256).unwrap()],
    }
}

/// All of it, over an empty store whose time is `clock`.
async fn keeps_every_promise(store: &impl Store, clock: &Clock) {
    records_are_kept_until_they_end(store, clock).await;
    a_record_gives_way_to_no_earlier_turn(store, clock).await;
    what_was_removed_does_not_come_back(store).await;
    groups_know_their_members(store, clock).await;
    a_lock_has_one_owner_and_an_end(store, clock).await;
    a_claim_is_the_first_once(store, clock).await;
    what_was_announced_is_known_until_it_is_past(store, clock).await;
    somebody_who_listens_is_told_that_nothing_is_missed(store).await;
    large_records_and_many_are_kept(store).await;
}

async fn records_are_kept_until_they_end(store: &impl Store, clock: &Clock) {
    assert_eq!(store.load(key(1)).await, Ok(None));
    store.create(key(1), &record(0, 3600, 1)).await.unwrap();
    assert_eq!(store.load(key(1)).await, Ok(Some(record(0, 3600, 1))));
    assert_eq!(store.load(key(2)).await, Ok(None), "another key");
    clock.advance(Duration::from_secs(3599));
    assert!(store.load(key(1)).await.unwrap().is_some());
    clock.advance(SECOND);
    assert_eq!(store.load(key(1)).await, Ok(None), "to the second");
    let revived = store.replace(key(1), &record(1, 9000, 1)).await;
    assert_eq!(revived, Ok(Replaced::Gone), "what has ended is not revived");
    assert_eq!(store.load(key(1)).await, Ok(None));
    clock.set(UnixTime::from_seconds(NOW));
}

// E8, S4.
async fn a_record_gives_way_to_no_earlier_turn(store: &impl Store, clock: &Clock) {
    assert_eq!(
        store.replace(key(10), &record(0, 3600, 2)).await,
        Ok(Replaced::Gone),
        "replacing never begins one"
    );
    assert_eq!(store.load(key(10)).await, Ok(None));
    store.create(key(10), &record(3, 3600, 2)).await.unwrap();
    for (turn, ends_in, outcome, then) in [
        (2, 3600, Replaced::Later, 3),
        (3, 3700, Replaced::Done, 3),
        (4, 3800, Replaced::Done, 4),
        (3, 9999, Replaced::Later, 4),
        (0, 9999, Replaced::Later, 4),
        (u32::MAX, 3900, Replaced::Done, u32::MAX),
        (5, 3900, Replaced::Later, u32::MAX),
    ] {
        let replaced = store.replace(key(10), &record(turn, ends_in, 2)).await;
        assert_eq!(replaced, Ok(outcome), "turn {turn}");
        let found = store.load(key(10)).await.unwrap().unwrap();
        assert_eq!(found.turn, then, "turn {turn}");
    }
    // It ends when the last one says, and no earlier one has left an end behind.
    clock.advance(Duration::from_secs(3899));
    assert!(store.load(key(10)).await.unwrap().is_some());
    clock.advance(SECOND);
    assert_eq!(store.load(key(10)).await, Ok(None));
    store.remove(key(10)).await.unwrap();
    clock.set(UnixTime::from_seconds(NOW));
}

// S5.
async fn what_was_removed_does_not_come_back(store: &impl Store) {
    store.create(key(20), &record(0, 3600, 3)).await.unwrap();
    assert_eq!(store.remove(key(20)).await, Ok(true));
    assert_eq!(store.remove(key(20)).await, Ok(false));
    assert_eq!(store.load(key(20)).await, Ok(None));
    let late = store.replace(key(20), &record(9, 3600, 3)).await;
    assert_eq!(late, Ok(Replaced::Gone));
    assert_eq!(store.load(key(20)).await, Ok(None));
    assert_eq!(store.members(group(3)).await, Ok(Vec::new()));
}

async fn groups_know_their_members(store: &impl Store, clock: &Clock) {
    for (number, ends_in) in [(30, 100), (31, 300), (32, 200)] {
        store
            .create(key(number), &record(0, ends_in, 4))
            .await
            .unwrap();
    }
    store.create(key(33), &record(0, 900, 5)).await.unwrap();
    let latest_first = Ok(vec![key(31), key(32), key(30)]);
    assert_eq!(store.members(group(4)).await, latest_first);
    assert_eq!(store.members(group(104)).await, latest_first, "by `sid`");
    assert_eq!(store.members(group(5)).await, Ok(vec![key(33)]));
    assert_eq!(store.members(group(6)).await, Ok(Vec::new()));
    // One that is used longer comes first.
    let used = store.replace(key(30), &record(0, 400, 4)).await;
    assert_eq!(used, Ok(Replaced::Done));
    assert_eq!(
        store.members(group(4)).await,
        Ok(vec![key(30), key(31), key(32)])
    );
    assert_eq!(store.remove(key(31)).await, Ok(true));
    assert_eq!(store.members(group(4)).await, Ok(vec![key(30), key(32)]));
    clock.advance(Duration::from_secs(250));
    assert_eq!(store.members(group(4)).await, Ok(vec![key(30)]));
    let mut all = store.all(100).await.unwrap();
    all.sort_by_key(|(key, _)| *key);
    let keys: Vec<_> = all.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [key(30), key(33)]);
    assert_eq!(all[0].1, record(0, 400, 4));
    assert_eq!(store.all(1).await.unwrap().len(), 1);
    clock.set(UnixTime::from_seconds(NOW));
    for number in [30, 32, 33] {
        store.remove(key(number)).await.unwrap();
    }
}

// E8.
async fn a_lock_has_one_owner_and_an_end(store: &impl Store, clock: &Clock) {
    let (one, two) = ([1; 16], [2; 16]);
    let span = Duration::from_secs(10);
    assert_eq!(store.lock(key(40), one, span).await, Ok(true));
    assert_eq!(store.lock(key(40), two, span).await, Ok(false));
    assert_eq!(store.lock(key(41), two, span).await, Ok(true), "another");
    assert_eq!(store.lock(key(40), one, span).await, Ok(true), "again");
    store.unlock(key(40), two).await.unwrap();
    assert_eq!(
        store.lock(key(40), two, span).await,
        Ok(false),
        "somebody else's is not given back"
    );
    store.unlock(key(40), one).await.unwrap();
    assert_eq!(store.lock(key(40), two, span).await, Ok(true));
    clock.advance(span);
    assert_eq!(
        store.lock(key(40), one, span).await,
        Ok(true),
        "whoever had it is not heard of any more"
    );
    assert_eq!(store.lock(key(40), two, span).await, Ok(false));
    clock.set(UnixTime::from_seconds(NOW));
}

// G9.
async fn a_claim_is_the_first_once(store: &impl Store, clock: &Clock) {
    let until = UnixTime::from_seconds(NOW).plus(HOUR);
    assert_eq!(store.claim([50; 32], until).await, Ok(true));
    assert_eq!(store.claim([50; 32], until).await, Ok(false));
    assert_eq!(store.claim([51; 32], until).await, Ok(true), "another");
    clock.advance(Duration::from_secs(3599));
    assert_eq!(store.claim([50; 32], until).await, Ok(false));
    clock.advance(SECOND);
    let later = until.plus(HOUR);
    assert_eq!(store.claim([50; 32], later).await, Ok(true), "it was past");
    assert_eq!(store.claim([50; 32], later).await, Ok(false));
    clock.set(UnixTime::from_seconds(NOW));
}

// G10.
async fn what_was_announced_is_known_until_it_is_past(store: &impl Store, clock: &Clock) {
    let at = |seconds| UnixTime::from_seconds(NOW).plus(Duration::from_secs(seconds));
    store.announce(b"one", at(100)).await.unwrap();
    store.announce(b"two\0\r\n", at(200)).await.unwrap();
    let sorted = || async {
        let mut all = store.announced().await.unwrap();
        all.sort();
        all
    };
    assert_eq!(sorted().await, [b"one".to_vec(), b"two\0\r\n".to_vec()]);
    store.announce(b"one", at(300)).await.unwrap();
    assert_eq!(sorted().await.len(), 2, "the same words are one");
    clock.advance(Duration::from_secs(200));
    // Whatever is written meanwhile sweeps nothing out that is alive.
    store.announce(b"three", at(400)).await.unwrap();
    assert_eq!(sorted().await, [b"one".to_vec(), b"three".to_vec()]);
    clock.set(UnixTime::from_seconds(NOW));
}

async fn somebody_who_listens_is_told_that_nothing_is_missed(store: &impl Store) {
    for _ in 0..3 {
        let mut heard = store.listen();
        assert_eq!(heard.recv().await, Some(Heard::Listening));
    }
}

async fn large_records_and_many_are_kept(store: &impl Store) {
    let large = Record {
        sealed: vec![0xa5; MOST_BYTES],
        ..record(0, 3600, 7)
    };
    store.create(key(60), &large).await.unwrap();
    assert_eq!(store.load(key(60)).await, Ok(Some(large)));
    store.remove(key(60)).await.unwrap();
    let many = u16::try_from(MOST_OF_A_GROUP).unwrap() + 20;
    for number in 1000..1000 + many {
        let ends_in = 3600 + u64::from(number);
        let created = store.create(key(number), &record(0, ends_in, 9)).await;
        created.unwrap();
    }
    let members = store.members(group(9)).await.unwrap();
    assert_eq!(members.len(), MOST_OF_A_GROUP);
    assert_eq!(members[0], key(1000 + many - 1), "the latest");
}

fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(story);
}

fn clock() -> Clock {
    Clock::settable(UnixTime::from_seconds(NOW))
}

#[test]
fn the_memory_store_keeps_every_promise() {
    let clock = clock();
    let store = MemoryStore::new(clock.clone(), Bounds::default());
    run(keeps_every_promise(&store, &clock));
}

#[test]
fn the_disk_store_keeps_every_promise() {
    let (clock, folder) = (clock(), tempfile::TempDir::new().unwrap());
    run(async {
        let path = folder.path().join("sessions");
        let store = DiskStore::open(&path, clock.clone()).await.unwrap();
        keeps_every_promise(&store, &clock).await;
    });
}

// U5: a store in memory has a bound, and nobody who is signed in makes room for somebody else.
#[test]
fn a_full_memory_store_takes_nobody_new_and_loses_nobody() {
    let clock = clock();
    let few = |bytes, records| MemoryStore::new(clock.clone(), Bounds { bytes, records });
    run(async {
        for store in [few(usize::MAX, 3), few(3 * 600, 1000)] {
            for number in 0..3 {
                let ends_in = 100 + u64::from(number);
                let created = store.create(key(number), &record(0, ends_in, 1)).await;
                created.unwrap();
            }
            let refused = store.create(key(9), &record(0, 900, 1)).await;
            assert_eq!(refused, Err(StoreError::Full));
            for number in 0..3 {
                assert!(store.load(key(number)).await.unwrap().is_some());
                let used = store.replace(key(number), &record(1, 101, 1)).await;
                assert_eq!(used, Ok(Replaced::Done), "who is there stays");
            }
            clock.advance(Duration::from_secs(101));
            store.create(key(9), &record(0, 900, 1)).await.unwrap();
            assert!(store.load(key(0)).await.unwrap().is_none());
            clock.set(UnixTime::from_seconds(NOW));
        }
        let store = few(usize::MAX, 2);
        let until = UnixTime::from_seconds(NOW).plus(HOUR);
        for number in 0..2 {
            assert_eq!(store.claim([number; 32], until).await, Ok(true));
            assert!(store.announce(&[number], until).await.is_ok());
        }
        let full = Err(StoreError::Full);
        assert_eq!(store.claim([9; 32], until).await, full);
        assert_eq!(store.announce(&[9], until).await, Err(StoreError::Full));
        assert_eq!(store.claim([1; 32], until).await, Ok(false), "known");
    });
}
