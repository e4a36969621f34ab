//! What a store is asked, in Redis' words.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, FromRedisValue, Value};
use tokio::task::JoinSet;

use super::fault::Fault;
use super::keys::Names;
use super::link::Link;
use super::listen::{changed, ended};
use super::scripts;
use crate::base::clock::{Clock, UnixTime};
use crate::session::record::{GroupKey, MOST_BYTES, Record, RecordKey};
use crate::store::{MOST_OF_A_GROUP, Replaced, StoreError};

/// The most announcements that are kept at a time.
pub const MOST_ANNOUNCED: usize = 100_000;
/// How many announcements are asked for at once.
const PAGE: usize = 1000;
/// How many names a server looks at before it answers others.
const SCANNED: usize = 500;
/// How many records are read at a time.
const READ_AT_ONCE: usize = 32;
/// The longest span that a key is kept: some thirty years, which Redis can count to.
const LONGEST_SPAN_MS: u64 = 1_000_000_000_000;

/// What is needed for the acts.
#[derive(Debug, Clone)]
pub(super) struct Acts {
    pub(super) link: Arc<Link>,
    pub(super) names: Names,
    pub(super) clock: Clock,
    pub(super) most_announced: usize,
}

impl Acts {
    pub(super) async fn load(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let mut command = redis::cmd("GETRANGE");
        // Of what is too large no more is fetched than tells that it is.
        command
            .arg(self.names.record(key))
            .arg(0)
            .arg(2 * MOST_BYTES);
        let bytes: Vec<u8> = self.link.ask_twice(&command).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let record = Record::from_bytes(&bytes).map_err(|_| StoreError::Corrupt)?;
        Ok((record.expires_at > self.clock.now()).then_some(record))
    }

    pub(super) async fn create(&self, key: RecordKey, record: &Record) -> Result<(), StoreError> {
        let Some(span) = self.span_until(record.expires_at) else {
            return Ok(());
        };
        self.join_groups(key, record, span).await?;
        let mut command = redis::cmd("SET");
        command.arg(self.names.record(key)).arg(record.to_bytes());
        command.arg("PX").arg(span);
        self.link.ask(&command).await
    }

    pub(super) async fn replace(
        &self,
        key: RecordKey,
        record: &Record,
    ) -> Result<Replaced, StoreError> {
        // What has its end behind it is put there all the same, for the moment that Redis counts in.
        let span = self.span_until(record.expires_at).unwrap_or(1);
        if span > 1 {
            self.join_groups(key, record, span).await?;
        }
        let mut command = script(scripts::REPLACE, &self.names.record(key));
        command.arg(record.to_bytes()).arg(span).arg(record.turn);
        command.arg(self.clock.now().as_seconds());
        command.arg(self.names.news()).arg(changed(key));
        match self.link.ask(&command).await? {
            0 => Ok(Replaced::Gone),
            1 => Ok(Replaced::Done),
            2 => Ok(Replaced::Later),
            _ => Err(StoreError::Corrupt),
        }
    }

    pub(super) async fn remove(&self, key: RecordKey) -> Result<bool, StoreError> {
        let mut command = script(scripts::REMOVE, &self.names.record(key));
        command
            .arg(2 * MOST_BYTES)
            .arg(self.names.news())
            .arg(changed(key));
        let (had, bytes): (u8, Vec<u8>) = self.link.ask(&command).await?;
        let Ok(record) = Record::from_bytes(&bytes) else {
            return Ok(had != 0);
        };
        for group in [Some(record.person), record.provider_session]
            .into_iter()
            .flatten()
        {
            let mut command = redis::cmd("ZREM");
            command.arg(self.names.group(group)).arg(key.as_bytes());
            // The session has ended; an entry that leads nowhere is no harm.
            drop(self.link.ask::<u8>(&command).await);
        }
        Ok(record.expires_at > self.clock.now())
    }

    pub(super) async fn members(&self, of: GroupKey) -> Result<Vec<RecordKey>, StoreError> {
        let command = self.latest(&self.names.group(of), 0, MOST_OF_A_GROUP);
        let members: Vec<Vec<u8>> = self.link.ask_twice(&command).await?;
        let key = |bytes: Vec<u8>| bytes.try_into().ok().map(RecordKey::from_bytes);
        Ok(members.into_iter().filter_map(key).collect())
    }

    pub(super) async fn all(&self, most: usize) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let mut names = BTreeSet::new();
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let first = self.link.ask_at(self.scan("0"), masters).await?;
        let servers = match first {
            Value::Map(servers) => servers,
            // Of one server that is not in a cluster.
            page => vec![(Value::Nil, page)],
        };
        for (server, mut page) in servers {
            loop {
                let (cursor, found): (String, Vec<Vec<u8>>) = answered(page)?;
                names.extend(found.iter().filter_map(|name| self.names.recorded(name)));
                if cursor == "0" || names.len() >= most {
                    break;
                }
                page = self
                    .link
                    .ask_at(self.scan(&cursor), one_node(&server)?)
                    .await?;
            }
        }
        self.load_all(names, most).await
    }

    async fn load_all(
        &self,
        names: BTreeSet<RecordKey>,
        most: usize,
    ) -> Result<Vec<(RecordKey, Record)>, StoreError> {
        let mut names = names.into_iter().take(most);
        let mut reading = JoinSet::new();
        let mut records = Vec::new();
        loop {
            while reading.len() < READ_AT_ONCE {
                let Some(key) = names.next() else { break };
                let acts = self.clone();
                reading.spawn(async move { (key, acts.load(key).await) });
            }
            match reading.join_next().await {
                None => return Ok(records),
                Some(Ok((key, Ok(Some(record))))) => records.push((key, record)),
                // Ended meanwhile; or not ours, which hides nothing of what is.
                Some(Ok((_, Ok(None) | Err(StoreError::Corrupt)))) => {}
                Some(Ok((_, Err(error)))) => return Err(error),
                Some(Err(_)) => return Err(super::stopped()),
            }
        }
    }

    pub(super) async fn lock(
        &self,
        name: RecordKey,
        owner: [u8; 16],
        span: Duration,
    ) -> Result<bool, StoreError> {
        let mut command = script(scripts::LOCK, &self.names.lock(name));
        command.arg(&owner).arg(milliseconds(span));
        self.link.ask(&command).await
    }

    pub(super) async fn unlock(&self, name: RecordKey, owner: [u8; 16]) -> Result<(), StoreError> {
        let mut command = script(scripts::UNLOCK, &self.names.lock(name));
        command.arg(&owner);
        self.link.ask::<u8>(&command).await.map(|_| ())
    }

    pub(super) async fn claim(&self, name: [u8; 32], until: UnixTime) -> Result<bool, StoreError> {
        let span = self.span_until(until).unwrap_or(1);
        let mut command = redis::cmd("SET");
        command.arg(self.names.claim(name)).arg("").arg("NX");
        command.arg("PX").arg(span);
        let done: Option<String> = self.link.ask(&command).await?;
        Ok(done.is_some())
    }

    pub(super) async fn announce(&self, words: &[u8], until: UnixTime) -> Result<(), StoreError> {
        let Some(span) = self.span_until(until) else {
            return Ok(());
        };
        let mut command = script(scripts::ANNOUNCE, &self.names.announced());
        command.arg(words).arg(until.as_seconds());
        command.arg(self.clock.now().as_seconds()).arg(span);
        command.arg(self.most_announced);
        command.arg(self.names.news()).arg(ended(words));
        match self.link.ask(&command).await? {
            0 => Err(StoreError::Full),
            _ => Ok(()),
        }
    }

    /// Page by page from the latest on: what is added meanwhile shifts the rest to a later page and
    /// hides nothing, and what ends meanwhile is at the far end. Words whose end is moved may be
    /// passed over; of them everybody hears.
    pub(super) async fn announced(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut all = BTreeSet::new();
        let name = self.names.announced();
        for page in (0..=self.most_announced).step_by(PAGE) {
            let command = self.latest(&name, page, PAGE);
            let words: Vec<Vec<u8>> = self.link.ask_twice(&command).await?;
            let last = words.len() < PAGE;
            all.extend(words);
            if last {
                break;
            }
        }
        Ok(all.into_iter().collect())
    }

    /// Publishes to one channel.
    pub(super) async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(message);
        self.link.ask::<u64>(&command).await.map(|_| ())
    }

    async fn join_groups(
        &self,
        key: RecordKey,
        record: &Record,
        span: u64,
    ) -> Result<(), StoreError> {
        for group in [Some(record.person), record.provider_session]
            .into_iter()
            .flatten()
        {
            let mut command = script(scripts::JOIN_GROUP, &self.names.group(group));
            command
                .arg(key.as_bytes())
                .arg(record.expires_at.as_seconds());
            command.arg(self.clock.now().as_seconds()).arg(span);
            command.arg(MOST_OF_A_GROUP);
            self.link.ask::<u8>(&command).await?;
        }
        Ok(())
    }

    /// The members of a sorted set that are not past, the latest first.
    fn latest(&self, set: &str, from: usize, most: usize) -> Cmd {
        let mut command = redis::cmd("ZREVRANGEBYSCORE");
        let past = format!("({}", self.clock.now().as_seconds());
        command.arg(set).arg("+inf").arg(past);
        command.arg("LIMIT").arg(from).arg(most);
        command
    }

    fn scan(&self, cursor: &str) -> Cmd {
        let mut command = redis::cmd("SCAN");
        command
            .arg(cursor)
            .arg("MATCH")
            .arg(self.names.any_record());
        command.arg("COUNT").arg(SCANNED);
        command
    }

    /// The milliseconds until then, where it is not past.
    fn span_until(&self, moment: UnixTime) -> Option<u64> {
        let span = moment.since(self.clock.now());
        (!span.is_zero()).then(|| milliseconds(span))
    }
}

/// A span as Redis counts it: never none, and never more than it can count to.
fn milliseconds(span: Duration) -> u64 {
    let span = u64::try_from(span.as_millis()).unwrap_or(LONGEST_SPAN_MS);
    span.clamp(1, LONGEST_SPAN_MS)
}

fn script(text: &str, key: &str) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}

fn answered<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    T::from_redis_value(value).map_err(|_| Fault::nonsense().error)
}

/// The way to the node of a cluster with this address.
fn one_node(address: &Value) -> Result<RoutingInfo, StoreError> {
    if *address == Value::Nil {
        return Ok(RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random));
    }
    let address: String = answered(address.clone())?;
    let (host, port) = address.rsplit_once(':').ok_or(StoreError::Corrupt)?;
    Ok(RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress {
        host: host.to_owned(),
        port: port.parse().map_err(|_| StoreError::Corrupt)?,
    }))
}
