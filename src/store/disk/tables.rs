//! What is in the file: tables of bytes, and the acts on them. Nothing here knows of time or threads.

use redb::{
    Database, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, StorageError, Table,
    TableDefinition, TableError, WriteTransaction,
};

use crate::base::clock::UnixTime;
use crate::session::record::{GroupKey, Record, RecordKey};
use crate::store::{MOST_OF_A_GROUP, Replaced, StoreError};

type Bytes = &'static [u8];
type Written<'t> = Table<'t, Bytes, Bytes>;

/// The format of the tables below.
const FORMAT: u8 = 1;
const META: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("meta");
/// Key to record.
const RECORDS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("records");
/// Group and key to the moment when the record ends.
const GROUPS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("groups");
/// Name to the moment when the claim ends.
const CLAIMS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("claims");
/// Words to the moment when they are past.
const ANNOUNCED: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("announced");
/// Moment, kind and key of everything that ends, to nothing.
const ENDS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("ends");

/// In [`META`]: the format, and how many bytes all records have.
const FORMAT_KEY: &[u8] = b"format";
const BYTES_KEY: &[u8] = b"bytes";
/// So much has ended goes with each act at the most.
const SWEPT_AT_ONCE: usize = 64;
/// The most claims, and the most announcements.
const MOST_SMALL: u64 = 100_000;

/// What ends.
#[derive(Clone, Copy)]
enum Kind {
    Record = 0,
    Claim = 1,
    Announced = 2,
}

/// The tables while they are written. One at a time.
pub(super) struct Writing<'t> {
    meta: Written<'t>,
    records: Written<'t>,
    groups: Written<'t>,
    claims: Written<'t>,
    announced: Written<'t>,
    ends: Written<'t>,
}

/// Makes the tables of a new file, or finds that those of an old one are of this format.
pub(super) fn prepare(database: &Database) -> Result<(), String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let transaction = database.begin_write().map_err(|error| words(&error))?;
    {
        let is_new = transaction
            .list_tables()
            .map_err(|error| words(&error))?
            .next()
            .is_none();
        let mut meta = transaction
            .open_table(META)
            .map_err(|error| words(&error))?;
        let format = meta.get(FORMAT_KEY).map_err(|error| words(&error))?;
        let format = format.map(|format| format.value().to_vec());
        match format.as_deref() {
            Some([FORMAT]) => {}
            None if is_new => {
                meta.insert(FORMAT_KEY, [FORMAT].as_slice())
                    .map_err(|error| words(&error))?;
            }
            Some([newer]) => return Err(format!("its format is {newer}, known is {FORMAT}")),
            Some(_) | None => return Err("it has tables of something else".to_owned()),
        }
        drop(meta);
        drop(Writing::open(&transaction).map_err(|error| error.to_string())?);
    }
    transaction.commit().map_err(|error| words(&error))
}

impl<'t> Writing<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let open = |table| transaction.open_table(table).map_err(of_table);
        Ok(Self {
            meta: open(META)?,
            records: open(RECORDS)?,
            groups: open(GROUPS)?,
            claims: open(CLAIMS)?,
            announced: open(ANNOUNCED)?,
            ends: open(ENDS)?,
        })
    }

    /// Takes out what has ended, a bounded part of it.
    pub(super) fn sweep(&mut self, now: UnixTime) -> Result<(), StoreError> {
        let mut over = Vec::new();
        for one in self.ends.iter().map_err(of_storage)?.take(SWEPT_AT_ONCE) {
            let (key, _) = one.map_err(of_storage)?;
            let key = key.value();
            let ends = key.first_chunk().map(|ends| moment(*ends));
            if ends.is_some_and(|ends| ends > now) {
                break;
            }
            over.push(key.to_vec());
        }
        for one in over {
            self.ends.remove(one.as_slice()).map_err(of_storage)?;
            match one.get(8..).and_then(<[u8]>::split_first) {
                Some((0, key)) => {
                    if let Ok(key) = key.try_into() {
                        self.remove(RecordKey::from_bytes(key))?;
                    }
                }
                Some((1, name)) => {
                    self.claims.remove(name).map_err(of_storage)?;
                }
                Some((2, words)) => {
                    self.announced.remove(words).map_err(of_storage)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn record(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let found = self.records.get(key.as_bytes().as_slice());
        match found.map_err(of_storage)? {
            None => Ok(None),
            Some(bytes) => Record::from_bytes(bytes.value())
                .map(Some)
                .map_err(|_| StoreError::Corrupt),
        }
    }

    pub(super) fn create(
        &mut self,
        key: RecordKey,
        record: &Record,
        most_bytes: u64,
    ) -> Result<(), StoreError> {
        if self.bytes()?.saturating_add(length(&record.to_bytes())) > most_bytes {
            return Err(StoreError::Full);
        }
        self.remove(key)?;
        self.put(key, record)
    }

    /// What came of it, and whether the turn is a later one.
    pub(super) fn replace(
        &mut self,
        key: RecordKey,
        record: &Record,
        now: UnixTime,
    ) -> Result<(Replaced, bool), StoreError> {
        match self.record(key)? {
            None => Ok((Replaced::Gone, false)),
            Some(known) if known.expires_at <= now => Ok((Replaced::Gone, false)),
            Some(known) if known.turn > record.turn => Ok((Replaced::Later, false)),
            Some(known) => {
                self.remove(key)?;
                self.put(key, record)?;
                Ok((Replaced::Done, record.turn > known.turn))
            }
        }
    }

    fn put(&mut self, key: RecordKey, record: &Record) -> Result<(), StoreError> {
        let bytes = record.to_bytes();
        let ends = moment_bytes(record.expires_at);
        for group in groups(record) {
            let member = [group.as_bytes().as_slice(), key.as_bytes()].concat();
            let put = self.groups.insert(member.as_slice(), ends.as_slice());
            put.map_err(of_storage)?;
        }
        self.ends(record.expires_at, Kind::Record, key.as_bytes())?;
        let put = self.records.insert(key.as_bytes().as_slice(), &*bytes);
        put.map_err(of_storage)?;
        self.count(|all| all.saturating_add(length(&bytes)))
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: RecordKey) -> Result<bool, StoreError> {
        let removed = self.records.remove(key.as_bytes().as_slice());
        let bytes = match removed.map_err(of_storage)? {
            None => return Ok(false),
            Some(bytes) => bytes.value().to_vec(),
        };
        self.count(|all| all.saturating_sub(length(&bytes)))?;
        // What cannot be read has no groups that could be told; they dangle until they end.
        if let Ok(record) = Record::from_bytes(&bytes) {
            for group in groups(&record) {
                let member = [group.as_bytes().as_slice(), key.as_bytes()].concat();
                let gone = self.groups.remove(member.as_slice());
                gone.map_err(of_storage)?;
            }
            let end = end_key(record.expires_at, Kind::Record, key.as_bytes());
            self.ends.remove(end.as_slice()).map_err(of_storage)?;
        }
        Ok(true)
    }

    pub(super) fn claim(
        &mut self,
        name: [u8; 32],
        until: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let known = self.claims.get(name.as_slice()).map_err(of_storage)?;
        let known = known.and_then(|until| until.value().try_into().ok().map(moment));
        match known {
            Some(until) if until > now => return Ok(false),
            Some(ended) => {
                let end = end_key(ended, Kind::Claim, &name);
                self.ends.remove(end.as_slice()).map_err(of_storage)?;
            }
            None if redb::ReadableTableMetadata::len(&self.claims).map_err(of_storage)?
                >= MOST_SMALL =>
            {
                return Err(StoreError::Full);
            }
            None => {}
        }
        self.ends(until, Kind::Claim, &name)?;
        let until = moment_bytes(until);
        let put = self.claims.insert(name.as_slice(), until.as_slice());
        put.map_err(of_storage)?;
        Ok(true)
    }

    pub(super) fn announce(&mut self, words: &[u8], until: UnixTime) -> Result<(), StoreError> {
        let known = self.announced.get(words).map_err(of_storage)?;
        let known = known.and_then(|until| until.value().try_into().ok().map(moment));
        match known {
            Some(known) if known >= until => return Ok(()),
            Some(known) => {
                let end = end_key(known, Kind::Announced, words);
                self.ends.remove(end.as_slice()).map_err(of_storage)?;
            }
            None if redb::ReadableTableMetadata::len(&self.announced).map_err(of_storage)?
                >= MOST_SMALL =>
            {
                return Err(StoreError::Full);
            }
            None => {}
        }
        self.ends(until, Kind::Announced, words)?;
        let until = moment_bytes(until);
        let put = self.announced.insert(words, until.as_slice());
        put.map_err(of_storage)?;
        Ok(())
    }

    fn ends(&mut self, at: UnixTime, kind: Kind, key: &[u8]) -> Result<(), StoreError> {
        let end = end_key(at, kind, key);
        let put = self.ends.insert(end.as_slice(), [].as_slice());
        put.map_err(of_storage)?;
        Ok(())
    }

    fn bytes(&self) -> Result<u64, StoreError> {
        let found = self.meta.get(BYTES_KEY).map_err(of_storage)?;
        let bytes = found.and_then(|bytes| bytes.value().try_into().ok());
        Ok(bytes.map_or(0, u64::from_be_bytes))
    }

    fn count(&mut self, change: impl FnOnce(u64) -> u64) -> Result<(), StoreError> {
        let bytes = change(self.bytes()?).to_be_bytes();
        let put = self.meta.insert(BYTES_KEY, bytes.as_slice());
        put.map_err(of_storage)?;
        Ok(())
    }
}

/// The record of this key, whether or not it has ended.
pub(super) fn load(database: &Database, key: RecordKey) -> Result<Option<Record>, StoreError> {
    let records = read(database, RECORDS)?;
    let found = records.get(key.as_bytes().as_slice()).map_err(of_storage)?;
    found
        .map(|bytes| Record::from_bytes(bytes.value()).map_err(|_| StoreError::Corrupt))
        .transpose()
}

/// The keys of the group's records that end after `now`, the latest first.
pub(super) fn members(
    database: &Database,
    of: GroupKey,
    now: UnixTime,
) -> Result<Vec<RecordKey>, StoreError> {
    let groups = read(database, GROUPS)?;
    let (first, last) = ([0; 32], [0xff; 32]);
    let first = [of.as_bytes().as_slice(), &first].concat();
    let last = [of.as_bytes().as_slice(), &last].concat();
    let mut members = Vec::new();
    let range = groups.range(first.as_slice()..=last.as_slice());
    for one in range.map_err(of_storage)? {
        let (member, ends) = one.map_err(of_storage)?;
        let key = member.value().get(32..).and_then(|key| key.try_into().ok());
        if let (Some(key), Ok(ends)) = (key, ends.value().try_into().map(moment))
            && ends > now
        {
            members.push((ends, RecordKey::from_bytes(key)));
        }
    }
    members.sort_unstable_by(|one, other| other.cmp(one));
    members.truncate(MOST_OF_A_GROUP);
    Ok(members.into_iter().map(|(_, key)| key).collect())
}

/// All records that end after `now`, at most `most`. What cannot be read is left out.
pub(super) fn all(
    database: &Database,
    most: usize,
    now: UnixTime,
) -> Result<Vec<(RecordKey, Record)>, StoreError> {
    let records = read(database, RECORDS)?;
    let mut all = Vec::new();
    for one in records.iter().map_err(of_storage)? {
        if all.len() >= most {
            break;
        }
        let (key, bytes) = one.map_err(of_storage)?;
        let key = key.value().try_into().ok().map(RecordKey::from_bytes);
        if let (Some(key), Ok(record)) = (key, Record::from_bytes(bytes.value()))
            && record.expires_at > now
        {
            all.push((key, record));
        }
    }
    Ok(all)
}

/// What was announced and is not past at `now`.
pub(super) fn announced(database: &Database, now: UnixTime) -> Result<Vec<Vec<u8>>, StoreError> {
    let announced = read(database, ANNOUNCED)?;
    let mut all = Vec::new();
    for one in announced.iter().map_err(of_storage)? {
        let (words, until) = one.map_err(of_storage)?;
        if until
            .value()
            .try_into()
            .is_ok_and(|until| moment(until) > now)
        {
            all.push(words.value().to_vec());
        }
    }
    Ok(all)
}

fn read(
    database: &Database,
    table: TableDefinition<'static, Bytes, Bytes>,
) -> Result<ReadOnlyTable<Bytes, Bytes>, StoreError> {
    let transaction = database
        .begin_read()
        .map_err(|error| StoreError::Refused(error.to_string()))?;
    transaction.open_table(table).map_err(of_table)
}

fn groups(record: &Record) -> impl Iterator<Item = GroupKey> {
    std::iter::once(record.person).chain(record.provider_session)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn end_key(at: UnixTime, kind: Kind, key: &[u8]) -> Vec<u8> {
    [moment_bytes(at).as_slice(), &[kind as u8], key].concat()
}

/// Moments as bytes that sort as they do.
fn moment_bytes(at: UnixTime) -> [u8; 8] {
    (at.as_seconds().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn moment(bytes: [u8; 8]) -> UnixTime {
    UnixTime::from_seconds((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

pub(super) fn of_storage(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(_) => StoreError::Corrupt,
        StorageError::Io(cause) if cause.kind() == std::io::ErrorKind::StorageFull => {
            StoreError::Full
        }
        StorageError::DatabaseClosed => StoreError::Unreachable("it is closed".to_owned()),
        error => StoreError::Refused(error.to_string()),
    }
}

fn of_table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => of_storage(error),
        error => StoreError::Refused(error.to_string()),
    }
}

/// Says that a file is of another format.
#[cfg(test)]
pub(super) fn write_format(database: &Database, format: u8) {
    let transaction = database.begin_write().unwrap();
    let mut meta = transaction.open_table(META).unwrap();
    drop(meta.insert(FORMAT_KEY, [format].as_slice()).unwrap());
    drop(meta);
    transaction.commit().unwrap();
}
