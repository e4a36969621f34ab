//! Copies of the sessions that a store has, for all workers, within a bound of bytes; and who is
//! reading one right now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Read;
use crate::base::clock::UnixTime;
use crate::session::loaded::Loaded;
use crate::session::record::RecordKey;

/// The most that copies take, in bytes, roughly counted.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The copies.
#[derive(Debug, Default)]
pub(super) struct Copies {
    by_key: HashMap<RecordKey, (Arc<Loaded>, u64)>,
    /// The order in which they came: the number of each.
    order: BTreeMap<u64, RecordKey>,
    reading: HashMap<RecordKey, watch::Receiver<Option<Read>>>,
    bytes: usize,
    counter: u64,
}

impl Copies {
    /// The copy of this record that is good at `now`, where it was read within `span`.
    pub(super) fn get(
        &self,
        key: RecordKey,
        span: Duration,
        now: UnixTime,
    ) -> Option<&Arc<Loaded>> {
        let (loaded, _) = self.by_key.get(&key)?;
        loaded.is_good(span, now).then_some(loaded)
    }

    /// The copy of this record, however old.
    pub(super) fn last(&self, key: RecordKey) -> Option<Arc<Loaded>> {
        self.by_key.get(&key).map(|(loaded, _)| Arc::clone(loaded))
    }

    /// Puts a copy in the place of the one that was there, which is old from now on.
    pub(super) fn put(&mut self, key: RecordKey, loaded: Arc<Loaded>) {
        self.remove(key);
        self.counter += 1;
        self.bytes += loaded.session.weight();
        self.order.insert(self.counter, key);
        self.by_key.insert(key, (loaded, self.counter));
        // Only a copy: whoever it was is read anew.
        while self.bytes > MOST_BYTES
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.forget(oldest);
        }
    }

    /// Nothing that is known counts any more.
    pub(super) fn clear(&mut self) {
        for (loaded, _) in self.by_key.values() {
            loaded.outdate();
        }
        self.by_key.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// There is none any more, and the one that was there is old.
    pub(super) fn remove(&mut self, key: RecordKey) {
        if let Some(number) = self.forget(key) {
            self.order.remove(&number);
        }
    }

    fn forget(&mut self, key: RecordKey) -> Option<u64> {
        let (loaded, number) = self.by_key.remove(&key)?;
        loaded.outdate();
        self.bytes = self.bytes.saturating_sub(loaded.session.weight());
        Some(number)
    }

    /// Who reads this record now will tell here.
    pub(super) fn reading(&self, key: RecordKey) -> Option<watch::Receiver<Option<Read>>> {
        self.reading.get(&key).cloned()
    }

    /// Somebody begins to read it, and will tell here.
    pub(super) fn begin(&mut self, key: RecordKey, told: watch::Receiver<Option<Read>>) {
        self.reading.insert(key, told);
    }

    /// They have read it.
    pub(super) fn finish(&mut self, key: RecordKey) {
        self.reading.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::respond::samples;
    use crate::session::Session;

    const SPAN: Duration = Duration::from_secs(5);

    fn key(number: u16) -> RecordKey {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        RecordKey::from_bytes(bytes)
    }

    fn now() -> UnixTime {
        UnixTime::from_seconds(1_800_000_000)
    }

    fn loaded(name_bytes: usize) -> Arc<Loaded> {
        let mut session = Session::clone(&samples::session("x"));
        session.identity.name = Some("n".repeat(name_bytes));
        Arc::new(Loaded::new(Arc::new(session), now()))
    }

    #[test]
    fn a_copy_is_good_for_its_span_and_no_longer_than_it_is_the_last() {
        let mut copies = Copies::default();
        let first = loaded(10);
        copies.put(key(1), Arc::clone(&first));
        assert!(copies.get(key(1), SPAN, now()).is_some());
        assert!(copies.get(key(1), SPAN, now().plus(SPAN)).is_none());
        // A clock that was set back does not make it younger.
        let second = Duration::from_secs(1);
        assert!(copies.get(key(1), SPAN, now().minus(second)).is_none());
        copies.put(key(1), loaded(10));
        assert!(!first.is_good(SPAN, now()), "somebody may still hold it");
        assert!(copies.get(key(1), SPAN, now()).is_some());
        copies.remove(key(1));
        assert!(copies.get(key(1), SPAN, now()).is_none());
    }

    #[test]
    fn copies_take_so_much_and_no_more_and_the_oldest_go_first() {
        let mut copies = Copies::default();
        for number in 0..100 {
            copies.put(key(number), loaded(1024 * 1024));
        }
        assert!(copies.bytes <= MOST_BYTES);
        assert!(copies.get(key(0), SPAN, now()).is_none());
        assert!(copies.get(key(99), SPAN, now()).is_some());
        assert_eq!(copies.by_key.len(), copies.order.len());
        for number in 0..100 {
            copies.remove(key(number));
        }
        assert_eq!((copies.bytes, copies.order.len()), (0, 0));
    }
}
