//! Who is signed in, as far as a store can tell; and the ending of sessions that are known by their cards
//! alone.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{PATIENCE, Sessions};
use crate::base::clock::UnixTime;
use crate::base::keyring::Keyring;
use crate::session::card::Card;
use crate::session::ending::{Ending, Whom};
use crate::session::record::{GroupKey, Record, RecordKey};
use crate::session::ticket::LINGER;
use crate::session::{Session, groups};
use crate::store::any::AnyStore;
use crate::store::{MOST_OF_A_GROUP, Store as _, StoreError};

/// The most sessions that a list has.
pub const MOST_LISTED: usize = 10_000;
/// How long a session is good for after its browser has another one.
const RETIRING: Duration = Duration::from_mins(1);
/// How many records are read at a time.
const AT_ONCE: usize = 16;

/// A session on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is in its store.
    pub key: RecordKey,
    /// Whose it is, and since when.
    pub card: Card,
    /// When it ends, unless it is used.
    pub ends_at: UnixTime,
}

impl Sessions {
    /// Whether there is a store, which alone can tell who is signed in.
    #[must_use]
    pub fn can_list(&self) -> bool {
        self.places.current.is_some()
    }

    /// The sessions that are not over, the latest first; at most [`MOST_LISTED`].
    ///
    /// # Errors
    /// [`StoreError`]: a store does not answer.
    pub async fn list(self: &Arc<Self>) -> Result<Vec<Listed>, StoreError> {
        let sessions = Arc::clone(self);
        let listing = self.control.spawn(async move {
            let mut all = Vec::new();
            for store in sessions.stores() {
                all.extend(store.all(MOST_LISTED).await?);
            }
            Ok(sessions.cards(all))
        });
        listing.await.unwrap_or_else(|error| {
            // It was broken off with the process.
            Err(StoreError::Unreachable(error.to_string()))
        })
    }

    /// The sessions of whoever has `session`, the latest first; at most so many of each store, and no
    /// more than [`crate::store::MOST_OF_A_GROUP`].
    ///
    /// # Errors
    /// [`StoreError`]: a store does not answer.
    pub async fn of_same_person(
        self: &Arc<Self>,
        session: &Session,
        most: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let identity = &session.identity;
        let person = groups::of_person(&identity.issuer, &identity.subject);
        let sessions = Arc::clone(self);
        let listing = self.control.spawn(async move {
            let mut all = Vec::new();
            for store in sessions.stores() {
                all.extend(members(store, person, most).await?);
            }
            Ok(sessions.cards(all))
        });
        match timeout(PATIENCE, listing).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned())),
        }
    }

    /// Ends these, as far as that can be done at once; what cannot be is tried on.
    pub async fn end_listed(self: &Arc<Self>, listed: &[Listed]) {
        let mut ending = JoinSet::new();
        for one in listed {
            let (sessions, key) = (Arc::clone(self), one.key);
            let this = Ending {
                whom: Whom::Session(one.card.id.clone()),
                begun_until: one.card.started_at,
                until: one.card.absolute_expires_at,
            };
            ending.spawn_on(
                async move { sessions.end_one(this, Some(key)).await },
                &self.control,
            );
        }
        ending.join_all().await;
    }

    /// Takes sessions that are over out of the store, behind whoever asked for it: an ending says of them
    /// already that they are.
    pub fn sweep(self: &Arc<Self>, listed: Vec<Listed>) {
        let sessions = Arc::clone(self);
        self.control.spawn(async move {
            for one in listed {
                sessions.copies().remove(one.key);
                if !sessions.removed(one.key).await {
                    // It ends by itself.
                    return;
                }
            }
        });
    }

    /// Ends the oldest sessions of whoever has `session`, which has just begun, until there are `most`;
    /// the one that it replaced does not count.
    pub async fn keep_to(
        self: &Arc<Self>,
        most: usize,
        session: &Session,
        replaced: Option<&Arc<Session>>,
    ) {
        match self.of_same_person(session, MOST_OF_A_GROUP).await {
            Ok(mut own) => {
                let replaced = replaced.map(|replaced| &replaced.id);
                own.retain(|one| one.card.id != session.id && Some(&one.card.id) != replaced);
                // Nor do those that go by themselves in a moment, having been replaced.
                let soon = self.clock.now().plus(RETIRING);
                own.retain(|one| one.ends_at > soon);
                let others = most.saturating_sub(1);
                if own.len() > others {
                    self.end_listed(&own.split_off(others)).await;
                }
            }
            Err(error) => {
                tracing::warn!(reason = %error, "how many sessions a person has is not known");
            }
        }
    }

    /// Lets a session go whose browser has another one by now: what it asked for a moment ago is still
    /// answered, and what it has open stays so.
    pub fn retire(self: &Arc<Self>, session: &Arc<Session>) {
        let (Some(ticket), Some(store)) = (&session.ticket, &self.places.current) else {
            return;
        };
        let soon = self.clock.now().plus(RETIRING);
        let retired = Arc::new(Session {
            idle_expires_at: session.idle_expires_at.min(soon),
            ..Session::clone(session)
        });
        let (sessions, store, key) = (Arc::clone(self), Arc::clone(store), ticket.record_key());
        self.control.spawn(async move {
            if let Err(error) = sessions.replace(&store, &retired).await {
                tracing::warn!(reason = %error, "a session that was replaced stays until it ends by itself");
            }
            sessions.copies().remove(key);
        });
    }

    /// The cards that open and whose sessions are not over, the latest first.
    fn cards(&self, records: Vec<(RecordKey, Record)>) -> Vec<Listed> {
        let now = self.clock.now();
        let Some(keyring) = self.keyring.load_full() else {
            return Vec::new();
        };
        let mut listed: Vec<Listed> = records
            .into_iter()
            .filter_map(|(key, record)| self.listed(key, &record, &keyring))
            .filter(|one| one.ends_at > now)
            .collect();
        // The id tells two of the same second apart, for everybody in the same way.
        listed.sort_by_cached_key(|one| {
            let id = one.card.id.as_str().to_owned();
            Reverse((one.card.started_at, id))
        });
        listed
    }

    fn listed(&self, key: RecordKey, record: &Record, keyring: &Keyring) -> Option<Listed> {
        let card = Card::open(&record.card, keyring, key)?;
        let mut groups = card.groups();
        groups.extend(record.provider_session);
        let ends_at = record.expires_at.minus(LINGER);
        (!self.ended.has_card(&card, &groups)).then_some(Listed { key, card, ends_at })
    }
}

/// The records of a person.
async fn members(
    store: &Arc<AnyStore>,
    person: GroupKey,
    most: usize,
) -> Result<Vec<(RecordKey, Record)>, StoreError> {
    let mut keys = store.members(person).await?;
    keys.truncate(most);
    let mut found = Vec::new();
    for some in keys.chunks(AT_ONCE) {
        let mut reading = JoinSet::new();
        for key in some.iter().copied() {
            let store = Arc::clone(store);
            reading.spawn(async move { (key, store.load(key).await) });
        }
        for (key, read) in reading.join_all().await {
            match read {
                Ok(record) => found.extend(record.map(|record| (key, record))),
                // One that cannot be read is no session of anybody.
                Err(StoreError::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}
