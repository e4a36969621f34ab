//! A map whose entries go away by themselves and that never grows without bound.

use std::collections::HashMap;

use crate::base::clock::UnixTime;

/// Entries under unguessable keys, each kept until its time.
pub(super) struct Shelf<V> {
    entries: HashMap<String, Entry<V>>,
    most: usize,
    sweep_at: usize,
}

struct Entry<V> {
    keep_until: UnixTime,
    value: V,
}

impl<V> Shelf<V> {
    /// An empty shelf for at most `most` entries; one more pushes out the one that would have gone
    /// first.
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            most: most.max(1),
            sweep_at: most.clamp(1, 1024),
        }
    }

    /// Puts `value` under `key` until `keep_until`, in place of what was there.
    pub(super) fn put(&mut self, key: String, value: V, keep_until: UnixTime, now: UnixTime) {
        if self.entries.len() >= self.sweep_at {
            self.sweep(now);
        }
        self.entries.insert(key, Entry { keep_until, value });
    }

    /// Removes what is over. The next sweep comes when the rest has doubled, so that putting stays
    /// cheap on average.
    fn sweep(&mut self, now: UnixTime) {
        self.entries.retain(|_, entry| entry.keep_until > now);
        while self.entries.len() >= self.most {
            let first = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.keep_until)
                .map(|(key, _)| key.clone());
            match first {
                Some(key) => drop(self.entries.remove(&key)),
                None => break,
            }
        }
        self.sweep_at = self.entries.len().saturating_mul(2).clamp(1, self.most);
    }

    /// What lies under `key`, if its time is not over.
    pub(super) fn find(&self, key: &str, now: UnixTime) -> Option<&V> {
        let entry = self.entries.get(key)?;
        (entry.keep_until > now).then_some(&entry.value)
    }

    /// Like [`Shelf::find`], to change it.
    pub(super) fn find_mut(&mut self, key: &str, now: UnixTime) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        (entry.keep_until > now).then_some(&mut entry.value)
    }

    /// Keeps what lies under `key` at least until `moment`.
    pub(super) fn keep_until(&mut self, key: &str, moment: UnixTime) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.keep_until = entry.keep_until.max(moment);
        }
    }

    /// Takes what lies under `key` away; gives it if its time was not over.
    pub(super) fn take(&mut self, key: &str, now: UnixTime) -> Option<V> {
        let entry = self.entries.remove(key)?;
        (entry.keep_until > now).then_some(entry.value)
    }

    /// Keeps only what `keep` says.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.entries.retain(|_, entry| keep(&entry.value));
    }

    /// All values, whatever their time, to change them.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|entry| &mut entry.value)
    }

    /// Everything whose time is not over, with its key.
    pub(super) fn iter(&self, now: UnixTime) -> impl Iterator<Item = (&str, &V)> {
        self.entries
            .iter()
            .filter(move |(_, entry)| entry.keep_until > now)
            .map(|(key, entry)| (key.as_str(), &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn what_is_over_is_not_found() {
        let mut shelf = Shelf::new(8);
        shelf.put("a".to_owned(), 1, at(10), at(0));
        assert_eq!(shelf.find("a", at(9)), Some(&1));
        assert_eq!(shelf.find("a", at(10)), None);
        assert_eq!(shelf.find_mut("a", at(10)), None);
        shelf.keep_until("a", at(20));
        assert_eq!(shelf.take("a", at(19)), Some(1));
        assert_eq!(shelf.take("a", at(19)), None);
    }

    #[test]
    fn a_full_shelf_loses_what_would_have_gone_first() {
        let mut shelf = Shelf::new(4);
        for until in [40, 10, 30, 20, 50, 60] {
            shelf.put(until.to_string(), until, at(until), at(0));
        }
        let mut kept: Vec<_> = shelf.iter(at(0)).map(|(_, until)| *until).collect();
        kept.sort_unstable();
        assert_eq!(kept, [30, 40, 50, 60]);
    }

    #[test]
    fn what_is_over_makes_room_before_anything_else_is_lost() {
        let mut shelf = Shelf::new(2000);
        for n in 0..1024 {
            shelf.put(format!("old {n}"), n, at(5), at(0));
        }
        shelf.put("new".to_owned(), 7, at(50), at(10));
        assert_eq!(shelf.entries.len(), 1);
        assert_eq!(shelf.find("new", at(10)), Some(&7));
    }
}
