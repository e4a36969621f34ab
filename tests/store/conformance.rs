//! The sentences of the `Store` trait, as tests of any store. A store is plugged in by a `House` and
//! one line: `conformance!(memory, MemoryHouse::new);`.

use std::collections::BTreeSet;
use std::time::Duration;

use sidegate::base::clock::{Clock, UnixTime};
use sidegate::session::record::{GroupKey, MOST_BYTES, Record, RecordKey};
use sidegate::store::{Heard, MOST_OF_A_GROUP, Replaced, Store};

/// Where a store lives.
pub(crate) trait House: Sized {
    type Store: Store;

    /// The store.
    fn store(&self) -> &Self::Store;
    /// The same store as another process has it, where several can share it.
    fn beside(&self) -> Option<Self::Store>;
    /// The clock that the stores have.
    fn clock(&self) -> &Clock;
    /// Lets time pass: for the clock, and for whatever else counts it.
    fn pass(&self, span: Duration) -> impl Future<Output = ()>;
}

/// Hands all promises to another macro.
#[macro_export]
macro_rules! promises {
    ($then:ident $($words:tt)*) => {
        $crate::$then!(($($words)*)
            a_record_comes_back_as_it_was_put,
            what_was_never_put_is_not_there,
            records_of_any_size_come_back,
            a_record_ends_when_it_says,
            a_record_that_is_past_is_not_kept,
            what_was_removed_is_gone_for_good,
            a_later_turn_takes_the_place_of_an_earlier_one,
            an_earlier_turn_takes_no_place,
            what_takes_a_place_needs_one,
            a_later_end_is_kept_with_the_record_and_in_its_groups,
            a_group_has_its_records_the_latest_first,
            a_group_forgets_what_has_ended,
            a_full_group_keeps_its_latest,
            all_records_are_given_and_no_more_than_asked_for,
            a_lock_has_one_owner,
            a_lock_ends_by_itself,
            a_claim_is_made_once,
            what_was_announced_is_known_until_its_end,
            whoever_listens_hears_that_nothing_is_missed,
            others_hear_of_changes_and_endings,
            processes_see_the_same,
            of_many_at_once_the_latest_stays,
            of_many_at_once_one_wins,
            sign_out_wins_over_whatever_is_on_its_way,
            a_dropped_call_leaves_nothing_half_done,
            calls_may_come_from_any_runtime,
        );
    };
}

/// A test of each promise: `conformance!(module, house)`. The house is a function from a runtime's
/// handle to a future.
#[macro_export]
macro_rules! conformance {
    (($module:ident $house:path) $($name:ident,)+) => {
        mod $module {
            $(#[test]
            fn $name() {
                let runtime = $crate::conformance::runtime();
                let house = runtime.block_on($house(runtime.handle().clone()));
                runtime.block_on($crate::conformance::$name(&house));
            })+
        }
    };
    ($module:ident, $house:path) => {
        $crate::promises!(conformance $module $house);
    };
}

/// All promises in one test, each of a new house: `conformance_in_one!(houses)`, in a function. For
/// stores that take long to begin.
#[macro_export]
macro_rules! conformance_in_one {
    (($house:ident) $($name:ident,)+) => {
        $($crate::conformance::$name(&$house(stringify!($name)).await).await;)+
    };
    ($house:ident) => {
        $crate::promises!(conformance_in_one $house);
    };
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn key(number: u32) -> RecordKey {
    let mut bytes = [0x5A; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    RecordKey::from_bytes(bytes)
}

pub(crate) fn group(number: u8) -> GroupKey {
    GroupKey::from_bytes([number; 32])
}

pub(crate) fn record(turn: u32, expires_at: UnixTime) -> Record {
    Record {
        turn,
        expires_at,
        person: group(1),
        provider_session: Some(group(2)),
        card: b"card".to_vec(),
        sealed: format!("sealed {turn}").into_bytes(),
    }
}

pub(crate) async fn a_record_comes_back_as_it_was_put(house: &impl House) {
    let store = house.store();
    let with = record(0, NOW.plus(HOUR));
    let mut without = with.clone();
    without.provider_session = None;
    without.sealed = (0..=255).collect();
    store.create(key(1), &with).await.unwrap();
    store.create(key(2), &without).await.unwrap();
    assert_eq!(store.load(key(1)).await.unwrap(), Some(with));
    assert_eq!(store.load(key(2)).await.unwrap(), Some(without));
}

pub(crate) async fn what_was_never_put_is_not_there(house: &impl House) {
    let store = house.store();
    assert_eq!(store.load(key(1)).await.unwrap(), None);
    assert!(!store.remove(key(1)).await.unwrap());
    assert_eq!(store.members(group(1)).await.unwrap(), []);
    assert_eq!(store.all(10).await.unwrap(), []);
    assert!(store.announced().await.unwrap().is_empty());
    store.unlock(key(1), [1; 16]).await.unwrap();
}

pub(crate) async fn records_of_any_size_come_back(house: &impl House) {
    let store = house.store();
    for (at, size) in [(1, 0), (2, 1), (3, MOST_BYTES)] {
        let mut one = record(0, NOW.plus(HOUR));
        one.card = vec![0; size];
        one.sealed = vec![0xFF; size.min(MOST_BYTES - 200)];
        store.create(key(at), &one).await.unwrap();
        assert_eq!(store.load(key(at)).await.unwrap(), Some(one), "{size}");
    }
}

// S4: a record has an end, which nobody has to bring about.
pub(crate) async fn a_record_ends_when_it_says(house: &impl House) {
    let store = house.store();
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    house.pass(59 * MINUTE + 59 * SECOND).await;
    assert!(store.load(key(1)).await.unwrap().is_some());
    house.pass(SECOND).await;
    assert_eq!(store.load(key(1)).await.unwrap(), None);
    assert!(!store.remove(key(1)).await.unwrap());
    assert_eq!(store.all(10).await.unwrap(), []);
}

pub(crate) async fn a_record_that_is_past_is_not_kept(house: &impl House) {
    let store = house.store();
    for end in [NOW, NOW.minus(HOUR), UnixTime::from_seconds(0)] {
        store.create(key(1), &record(0, end)).await.unwrap();
        assert_eq!(store.load(key(1)).await.unwrap(), None);
    }
    store
        .create(key(2), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    store.replace(key(2), &record(1, NOW)).await.unwrap();
    assert_eq!(store.load(key(2)).await.unwrap(), None);
}

pub(crate) async fn what_was_removed_is_gone_for_good(house: &impl House) {
    let store = house.store();
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    assert!(store.remove(key(1)).await.unwrap());
    assert!(!store.remove(key(1)).await.unwrap());
    assert_eq!(store.load(key(1)).await.unwrap(), None);
    assert_eq!(store.members(group(1)).await.unwrap(), []);
    assert_eq!(store.members(group(2)).await.unwrap(), []);
    assert_eq!(store.all(10).await.unwrap(), []);
}

pub(crate) async fn a_later_turn_takes_the_place_of_an_earlier_one(house: &impl House) {
    let store = house.store();
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    for turn in [1, 1, 7, u32::MAX] {
        let mut next = record(turn, NOW.plus(HOUR));
        next.card = b"another card".to_vec();
        assert_eq!(store.replace(key(1), &next).await.unwrap(), Replaced::Done);
        assert_eq!(store.load(key(1)).await.unwrap(), Some(next));
    }
}

pub(crate) async fn an_earlier_turn_takes_no_place(house: &impl House) {
    let store = house.store();
    let late = record(0x0102_0304, NOW.plus(HOUR));
    store.create(key(1), &late).await.unwrap();
    for turn in [0, 0x0102_0303, 0xFF] {
        let early = record(turn, NOW.plus(2 * HOUR));
        assert_eq!(
            store.replace(key(1), &early).await.unwrap(),
            Replaced::Later
        );
        assert_eq!(store.load(key(1)).await.unwrap(), Some(late.clone()));
    }
}

// S5: a session that was ended is not brought back by whoever renewed it meanwhile.
pub(crate) async fn what_takes_a_place_needs_one(house: &impl House) {
    let store = house.store();
    let one = record(0, NOW.plus(HOUR));
    let next = record(1, NOW.plus(9 * HOUR));
    assert_eq!(store.replace(key(1), &next).await.unwrap(), Replaced::Gone);
    assert_eq!(store.load(key(1)).await.unwrap(), None);
    store.create(key(1), &one).await.unwrap();
    store.remove(key(1)).await.unwrap();
    assert_eq!(store.replace(key(1), &next).await.unwrap(), Replaced::Gone);
    assert_eq!(store.load(key(1)).await.unwrap(), None);
    store.create(key(2), &one).await.unwrap();
    house.pass(HOUR).await;
    assert_eq!(store.replace(key(2), &next).await.unwrap(), Replaced::Gone);
    assert_eq!(store.load(key(2)).await.unwrap(), None);
}

pub(crate) async fn a_later_end_is_kept_with_the_record_and_in_its_groups(house: &impl House) {
    let store = house.store();
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    let longer = record(0, NOW.plus(2 * HOUR));
    assert_eq!(
        store.replace(key(1), &longer).await.unwrap(),
        Replaced::Done
    );
    house.pass(HOUR + 59 * MINUTE + 59 * SECOND).await;
    assert_eq!(store.load(key(1)).await.unwrap(), Some(longer));
    assert_eq!(store.members(group(1)).await.unwrap(), [key(1)]);
    assert_eq!(store.members(group(2)).await.unwrap(), [key(1)]);
    house.pass(SECOND).await;
    assert_eq!(store.load(key(1)).await.unwrap(), None);
}

pub(crate) async fn a_group_has_its_records_the_latest_first(house: &impl House) {
    let store = house.store();
    for at in 1..=3 {
        let mut one = record(0, NOW.plus(HOUR * at));
        if at == 2 {
            one.provider_session = None;
        }
        store.create(key(at), &one).await.unwrap();
    }
    let mut other = record(0, NOW.plus(HOUR));
    (other.person, other.provider_session) = (group(3), None);
    store.create(key(9), &other).await.unwrap();
    assert_eq!(
        store.members(group(1)).await.unwrap(),
        [key(3), key(2), key(1)]
    );
    assert_eq!(store.members(group(2)).await.unwrap(), [key(3), key(1)]);
    assert_eq!(store.members(group(3)).await.unwrap(), [key(9)]);
    store.remove(key(3)).await.unwrap();
    assert_eq!(store.members(group(1)).await.unwrap(), [key(2), key(1)]);
    assert_eq!(store.members(group(2)).await.unwrap(), [key(1)]);
}

pub(crate) async fn a_group_forgets_what_has_ended(house: &impl House) {
    let store = house.store();
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    store
        .create(key(2), &record(0, NOW.plus(2 * HOUR)))
        .await
        .unwrap();
    house.pass(HOUR).await;
    let now = house.clock().now();
    store
        .create(key(3), &record(0, now.plus(HOUR / 2)))
        .await
        .unwrap();
    assert_eq!(store.members(group(1)).await.unwrap(), [key(2), key(3)]);
    house.pass(HOUR).await;
    assert_eq!(store.members(group(1)).await.unwrap(), []);
}

pub(crate) async fn a_full_group_keeps_its_latest(house: &impl House) {
    let store = house.store();
    let most = u32::try_from(MOST_OF_A_GROUP).unwrap();
    for at in 0..most + 3 {
        let end = NOW.plus(HOUR).plus(SECOND * at);
        store.create(key(at), &record(0, end)).await.unwrap();
    }
    let latest: Vec<_> = (3..most + 3).rev().map(key).collect();
    assert_eq!(store.members(group(1)).await.unwrap(), latest);
    assert!(store.load(key(0)).await.unwrap().is_some());
}

pub(crate) async fn all_records_are_given_and_no_more_than_asked_for(house: &impl House) {
    let store = house.store();
    for at in 0..700 {
        store
            .create(key(at), &record(at, NOW.plus(HOUR)))
            .await
            .unwrap();
    }
    store.lock(key(1), [1; 16], HOUR).await.unwrap();
    store.claim([1; 32], NOW.plus(HOUR)).await.unwrap();
    store.announce(b"words", NOW.plus(HOUR)).await.unwrap();
    let mut all = store.all(10_000).await.unwrap();
    all.sort_by_key(|(key, _)| *key);
    let expected: Vec<_> = (0..700)
        .map(|at| (key(at), record(at, NOW.plus(HOUR))))
        .collect();
    assert_eq!(all, expected);
    for most in [0, 1, 699] {
        let some = store.all(most).await.unwrap();
        let distinct: BTreeSet<_> = some.iter().map(|(key, _)| *key).collect();
        assert_eq!((some.len(), distinct.len()), (most, most));
    }
}

pub(crate) async fn a_lock_has_one_owner(house: &impl House) {
    let store = house.store();
    let (one, other) = ([1; 16], [2; 16]);
    assert!(store.lock(key(1), one, HOUR).await.unwrap());
    assert!(!store.lock(key(1), other, HOUR).await.unwrap());
    assert!(store.lock(key(1), one, HOUR).await.unwrap());
    assert!(store.lock(key(2), other, HOUR).await.unwrap());
    store.unlock(key(1), other).await.unwrap();
    assert!(!store.lock(key(1), other, HOUR).await.unwrap());
    store.unlock(key(1), one).await.unwrap();
    assert!(store.lock(key(1), other, HOUR).await.unwrap());
    assert!(!store.lock(key(1), one, HOUR).await.unwrap());
    assert_eq!(store.load(key(1)).await.unwrap(), None);
}

pub(crate) async fn a_lock_ends_by_itself(house: &impl House) {
    let store = house.store();
    assert!(store.lock(key(1), [1; 16], HOUR).await.unwrap());
    house.pass(HOUR / 2).await;
    assert!(!store.lock(key(1), [2; 16], HOUR).await.unwrap());
    house.pass(HOUR / 2).await;
    assert!(store.lock(key(1), [2; 16], HOUR).await.unwrap());
    store.unlock(key(1), [1; 16]).await.unwrap();
    assert!(!store.lock(key(1), [1; 16], HOUR).await.unwrap());
}

pub(crate) async fn a_claim_is_made_once(house: &impl House) {
    let store = house.store();
    let until = NOW.plus(HOUR);
    assert!(store.claim([1; 32], until).await.unwrap());
    assert!(!store.claim([1; 32], until).await.unwrap());
    assert!(!store.claim([1; 32], until.plus(HOUR)).await.unwrap());
    assert!(store.claim([2; 32], until).await.unwrap());
    house.pass(HOUR).await;
    assert!(store.claim([1; 32], until.plus(HOUR)).await.unwrap());
    assert!(!store.claim([1; 32], until.plus(HOUR)).await.unwrap());
}

pub(crate) async fn what_was_announced_is_known_until_its_end(house: &impl House) {
    let store = house.store();
    let bytes: Vec<u8> = (0..=255).collect();
    store.announce(&bytes, NOW.plus(HOUR)).await.unwrap();
    store.announce(b"two", NOW.plus(2 * HOUR)).await.unwrap();
    store.announce(b"two", NOW.plus(HOUR)).await.unwrap();
    store.announce(b"", NOW.plus(HOUR)).await.unwrap();
    store.announce(b"past", NOW).await.unwrap();
    let known = async || {
        let known = store.announced().await.unwrap();
        let distinct: BTreeSet<_> = known.iter().cloned().collect();
        assert_eq!(known.len(), distinct.len());
        distinct
    };
    let all = BTreeSet::from([bytes, b"two".to_vec(), Vec::new()]);
    assert_eq!(known().await, all);
    house.pass(HOUR).await;
    assert_eq!(known().await, BTreeSet::from([b"two".to_vec()]));
    house.pass(HOUR).await;
    assert_eq!(known().await, BTreeSet::new());
}

pub(crate) async fn whoever_listens_hears_that_nothing_is_missed(house: &impl House) {
    let mut first = house.store().listen();
    assert_eq!(first.recv().await, Some(Heard::Listening));
    let mut second = house.store().listen();
    assert_eq!(second.recv().await, Some(Heard::Listening));
}

pub(crate) async fn others_hear_of_changes_and_endings(house: &impl House) {
    let Some(other) = house.beside() else { return };
    let store = house.store();
    let mut ears = [store.listen(), other.listen()];
    for ear in &mut ears {
        assert_eq!(ear.recv().await, Some(Heard::Listening));
    }
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    store
        .replace(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    store
        .announce(b"same turn: not told", NOW.plus(HOUR))
        .await
        .unwrap();
    store
        .replace(key(1), &record(1, NOW.plus(HOUR)))
        .await
        .unwrap();
    store
        .announce(b"\0words\xFF", NOW.plus(HOUR))
        .await
        .unwrap();
    store.remove(key(1)).await.unwrap();
    // In no promised order: in a cluster they come from several servers.
    let expected = [
        Heard::Ended(b"same turn: not told".to_vec()),
        Heard::Changed(key(1)),
        Heard::Ended(b"\0words\xFF".to_vec()),
        Heard::Changed(key(1)),
    ];
    let sorted = |mut heard: Vec<Heard>| {
        heard.sort_by_key(|heard| format!("{heard:?}"));
        heard
    };
    for ear in &mut ears {
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            heard.push(ear.recv().await.unwrap());
        }
        assert_eq!(sorted(heard), sorted(expected.to_vec()));
    }
}

pub(crate) async fn processes_see_the_same(house: &impl House) {
    let Some(other) = house.beside() else { return };
    let store = house.store();
    let one = record(0, NOW.plus(HOUR));
    store.create(key(1), &one).await.unwrap();
    assert_eq!(other.load(key(1)).await.unwrap(), Some(one));
    assert_eq!(other.members(group(1)).await.unwrap(), [key(1)]);
    assert!(store.lock(key(1), [1; 16], HOUR).await.unwrap());
    assert!(!other.lock(key(1), [2; 16], HOUR).await.unwrap());
    assert!(store.claim([1; 32], NOW.plus(HOUR)).await.unwrap());
    assert!(!other.claim([1; 32], NOW.plus(HOUR)).await.unwrap());
    store.announce(b"words", NOW.plus(HOUR)).await.unwrap();
    assert_eq!(other.announced().await.unwrap(), [b"words"]);
    assert!(other.remove(key(1)).await.unwrap());
    assert_eq!(store.load(key(1)).await.unwrap(), None);
}

/// Runs them all at once and gives what came of each.
async fn at_once<T>(calls: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (call, done) in calls.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(came) = call.as_mut().poll(context)
            {
                *done = Some(came);
            }
        }
        if done.iter().all(Option::is_some) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    done.into_iter().flatten().collect()
}

pub(crate) async fn of_many_at_once_the_latest_stays(house: &impl House) {
    let store = house.store();
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    let turns = (1..=40).map(|at| at * 7 % 41);
    let records: Vec<_> = turns.map(|turn| record(turn, NOW.plus(HOUR))).collect();
    let came = at_once(records.iter().map(|one| store.replace(key(1), one))).await;
    assert!(came.contains(&Ok(Replaced::Done)));
    assert!(!came.contains(&Ok(Replaced::Gone)));
    let kept = store.load(key(1)).await.unwrap().unwrap();
    assert_eq!(kept, record(40, NOW.plus(HOUR)));
}

pub(crate) async fn of_many_at_once_one_wins(house: &impl House) {
    let store = house.store();
    let locked = at_once((0..30).map(|owner| store.lock(key(1), [owner; 16], HOUR))).await;
    assert_eq!(locked.iter().filter(|won| **won == Ok(true)).count(), 1);
    let claimed = at_once((0..30).map(|_| store.claim([1; 32], NOW.plus(HOUR)))).await;
    assert_eq!(claimed.iter().filter(|won| **won == Ok(true)).count(), 1);
}

// S5: whichever order they arrive in.
pub(crate) async fn sign_out_wins_over_whatever_is_on_its_way(house: &impl House) {
    let store = house.store();
    for at in 1..30 {
        store
            .create(key(at), &record(0, NOW.plus(HOUR)))
            .await
            .unwrap();
        let (early, late) = (record(at, NOW.plus(HOUR)), record(at + 1, NOW.plus(HOUR)));
        let (_, removed, _) = tokio::join!(
            store.replace(key(at), &early),
            store.remove(key(at)),
            store.replace(key(at), &late),
        );
        assert_eq!(removed, Ok(true));
        assert_eq!(store.load(key(at)).await.unwrap(), None);
    }
}

pub(crate) async fn a_dropped_call_leaves_nothing_half_done(house: &impl House) {
    let store = house.store();
    for at in 0..50 {
        let one = record(0, NOW.plus(HOUR));
        {
            let mut call = Box::pin(store.create(key(at), &one));
            std::future::poll_fn(|context| {
                drop(call.as_mut().poll(context));
                std::task::Poll::Ready(())
            })
            .await;
        }
        if store.load(key(at)).await.unwrap().is_some() {
            assert!(store.members(group(1)).await.unwrap().contains(&key(at)));
        }
        store.remove(key(1000 + at)).await.unwrap();
    }
}

pub(crate) async fn calls_may_come_from_any_runtime(house: &impl House) {
    let store = house.store();
    std::thread::scope(|scope| {
        for at in 0..4 {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.build().unwrap();
                let one = record(0, NOW.plus(HOUR));
                runtime.block_on(store.create(key(at), &one)).unwrap();
                assert_eq!(runtime.block_on(store.load(key(at))), Ok(Some(one)));
            });
        }
    });
    assert_eq!(store.all(10).await.unwrap().len(), 4);
}
