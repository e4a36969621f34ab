//! Sessions in this process, until it ends. One lock is enough: requests go by copies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Heard, MOST_OF_A_GROUP, Replaced, Store, StoreError};
use crate::base::clock::{Clock, UnixTime};
use crate::session::record::{GroupKey, Record, RecordKey};

/// How much is kept at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of all records together, as they are written.
    pub bytes: usize,
    /// Of records; as many locks, claims and announcements each.
    pub records: usize,
}

impl Default for Bounds {
    /// 256 MiB, and 100,000 of each kind.
    fn default() -> Self {
        Self {
            bytes: 256 * 1024 * 1024,
            records: 100_000,
        }
    }
}

/// The store. Nobody who is signed in makes room for somebody else: when it is full, sessions that
/// have ended go, and then there is no place for a new one until another ends. To throw out whoever
/// was not seen for the longest would let anybody who can sign in often sign others out.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    bounds: Bounds,
    kept: Mutex<All>,
    /// Held so that whoever listens waits: nothing more is ever said.
    listeners: Mutex<Vec<Sender<Heard>>>,
}

#[derive(Debug, Default)]
struct All {
    records: HashMap<RecordKey, Record>,
    /// When each record ends.
    ends: BTreeSet<(UnixTime, RecordKey)>,
    groups: HashMap<GroupKey, BTreeSet<RecordKey>>,
    bytes: usize,
    locks: HashMap<RecordKey, ([u8; 16], UnixTime)>,
    claims: HashMap<[u8; 32], UnixTime>,
    announced: BTreeMap<Vec<u8>, UnixTime>,
}

impl MemoryStore {
    /// Nothing yet.
    #[must_use]
    pub fn new(clock: Clock, bounds: Bounds) -> Self {
        Self {
            clock,
            bounds,
            kept: Mutex::default(),
            listeners: Mutex::default(),
        }
    }

    /// What is kept, without the records that have ended, and the time.
    fn kept(&self) -> (MutexGuard<'_, All>, UnixTime) {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((ends, key)) = kept.ends.first().copied()
            && ends <= now
        {
            kept.remove(key);
        }
        (kept, now)
    }
}

impl All {
    fn put(&mut self, key: RecordKey, record: &Record) {
        self.remove(key);
        self.bytes += weight(record);
        self.ends.insert((record.expires_at, key));
        for group in groups(record) {
            self.groups.entry(group).or_default().insert(key);
        }
        self.records.insert(key, record.clone());
    }

    fn remove(&mut self, key: RecordKey) -> Option<Record> {
        let record = self.records.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(weight(&record));
        self.ends.remove(&(record.expires_at, key));
        for group in groups(&record) {
            if let Some(members) = self.groups.get_mut(&group) {
                members.remove(&key);
                if members.is_empty() {
                    self.groups.remove(&group);
                }
            }
        }
        Some(record)
    }
}

fn groups(record: &Record) -> impl Iterator<Item = GroupKey> {
    std::iter::once(record.person).chain(record.provider_session)
}

/// What a record takes, with its places in the tables.
fn weight(record: &Record) -> usize {
    record.sealed.len() + record.card.len() + 512
}

impl Store for MemoryStore {
    async fn load(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.kept().0.records.get(&key).cloned())
    }

    async fn create(&self, key: RecordKey, record: &Record) -> Result<(), StoreError> {
        let (mut kept, now) = self.kept();
        if record.expires_at <= now {
            return Ok(());
        }
        let before = kept.records.get(&key).map_or(0, weight);
        let bytes = kept.bytes - before + weight(record);
        let is_new = !kept.records.contains_key(&key);
        if bytes > self.bounds.bytes || (is_new && kept.records.len() >= self.bounds.records) {
            return Err(StoreError::Full);
        }
        kept.put(key, record);
        Ok(())
    }

    async fn replace(&self, key: RecordKey, record: &Record) -> Result<Replaced, StoreError> {
        let (mut kept, _) = self.kept();
        // Whoever is here already may grow: there is a bound of records, too.
        Ok(match kept.records.get(&key) {
            None => Replaced::Gone,
            Some(known) if known.turn > record.turn => Replaced::Later,
            Some(_) => {
                kept.put(key, record);
                Replaced::Done
            }
        })
    }

    async fn remove(&self, key: RecordKey) -> Result<bool, StoreError> {
        Ok(self.kept().0.remove(key).is_some())
    }

    async fn members(&self, of: GroupKey) -> Result<Vec<RecordKey>, StoreError> {
        let (kept, _) = self.kept();
        let mut members: Vec<(UnixTime, RecordKey)> = kept
            .groups
            .get(&of)
            .into_iter()
            .flatten()
            .filter_map(|key| Some((kept.records.get(key)?.expires_at, *key)))
            .collect();
        drop(kept);
        members.sort_unstable_by(|one, other| other.cmp(one));
        members.truncate(MOST_OF_A_GROUP);
        Ok(members.into_iter().map(|(_, key)| key).collect())
    }

    async fn all(&self, most: usize) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let (kept, _) = self.kept();
        let records = kept.records.iter().take(most);
        Ok(records
            .map(|(key, record)| (*key, record.clone()))
            .collect())
    }

    async fn lock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
        span: Duration,
    ) -> Result<bool, StoreError> {
        let (mut kept, now) = self.kept();
        match kept.locks.get(&name) {
            Some((other, until)) if *other != owner && *until > now => return Ok(false),
            Some(_) => {}
            None => {
                if kept.locks.len() >= self.bounds.records {
                    kept.locks.retain(|_, (_, until)| *until > now);
                }
                if kept.locks.len() >= self.bounds.records {
                    return Err(StoreError::Full);
                }
            }
        }
        kept.locks.insert(name, (owner, now.plus(span)));
        Ok(true)
    }

    async fn unlock(&self, name: RecordKey, owner: [u8; 16]) -> Result<(), StoreError> {
        let (mut kept, _) = self.kept();
        if kept.locks.get(&name).is_some_and(|(own, _)| *own == owner) {
            kept.locks.remove(&name);
        }
        Ok(())
    }

    async fn claim(&self, name: [u8; 32], until: UnixTime) -> Result<bool, StoreError> {
        let (mut kept, now) = self.kept();
        if kept.claims.get(&name).is_some_and(|until| *until > now) {
            return Ok(false);
        }
        if kept.claims.len() >= self.bounds.records {
            kept.claims.retain(|_, until| *until > now);
        }
        if kept.claims.len() >= self.bounds.records {
            return Err(StoreError::Full);
        }
        kept.claims.insert(name, until);
        Ok(true)
    }

    async fn announce(&self, words: &[u8], until: UnixTime) -> Result<(), StoreError> {
        let (mut kept, now) = self.kept();
        if kept.announced.len() >= self.bounds.records {
            kept.announced.retain(|_, until| *until > now);
        }
        if kept.announced.len() >= self.bounds.records && !kept.announced.contains_key(words) {
            return Err(StoreError::Full);
        }
        let known = kept.announced.entry(words.to_vec()).or_insert(until);
        *known = until.max(*known);
        Ok(())
    }

    async fn announced(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let (kept, now) = self.kept();
        let alive = kept.announced.iter().filter(|(_, until)| **until > now);
        Ok(alive.map(|(words, _)| words.clone()).collect())
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
