//! What the browser has of a session that is kept in a store: which one it is, and the key that alone
//! opens it (security requirement S1). The store has neither; whoever reads it learns nothing.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::card::Card;
use super::names::CookieNames;
use super::record::{Record, RecordKey};
use super::{Session, SessionId, groups, payload};
use crate::base::clock::UnixTime;
use crate::base::keyring::{Keyring, Purpose, SealError, SealedBy, SessionKey, sealed_len};
use crate::base::secret::Secret;

/// The format of what is sealed. Another one does not open.
const FORMAT: u8 = 1;
const ID_LEN: usize = 16;
const KEY_LEN: usize = 32;
/// How many characters a sealed ticket has. No sealed session is as short.
pub(super) const TICKET_LEN: usize = sealed_len(1 + ID_LEN + KEY_LEN);
/// How long a store keeps a session that is over. It admits to nothing, but tells whose it was: a
/// sign-out then reaches the provider all the same.
pub const LINGER: Duration = Duration::from_hours(1);

/// A ticket. `Debug` shows none of it.
#[derive(Clone)]
pub struct Ticket {
    id: SessionId,
    key: Zeroizing<[u8; KEY_LEN]>,
    record_key: RecordKey,
}

/// A session cannot be written for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordWriteError {
    /// It has no ticket: it travels in its cookie.
    #[error("the session has no ticket")]
    NoTicket,
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It has no written form.
    #[error(transparent)]
    Payload(#[from] payload::PayloadError),
}

impl Ticket {
    /// The ticket of the session `id` at the gate whose cookies have `names`; `key` are 32
    /// unguessable bytes drawn for this session.
    #[must_use]
    pub fn new(id: SessionId, key: [u8; KEY_LEN], names: &CookieNames) -> Self {
        let record_key = record_key(&id, names);
        Self {
            id,
            key: Zeroizing::new(key),
            record_key,
        }
    }

    /// The ticket under which those who share a store find the successor of a session that travels in
    /// its cookie. Its key is made of what only that cookie holds: the id and the refresh token that
    /// the renewal spends.
    #[must_use]
    pub fn of_successor(session: &Session) -> Self {
        let id = session.id.as_str().as_bytes();
        let token = session.grant.as_ref().map(|grant| &grant.refresh_token);
        let token = token.map_or("", Secret::expose).as_bytes();
        Self {
            id: session.id.clone(),
            key: Zeroizing::new(hash(&[b"successor key", id, token])),
            record_key: RecordKey::from_bytes(hash(&[b"successor", id])),
        }
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The name under which the store has the session.
    #[must_use]
    pub fn record_key(&self) -> RecordKey {
        self.record_key
    }

    /// The text that the cookie holds: [`TICKET_LEN`] characters.
    pub(super) fn seal(&self, keyring: &Keyring, names: &CookieNames) -> Result<String, SealError> {
        let mut bytes = Zeroizing::new(vec![FORMAT]);
        bytes.extend_from_slice(&self.id.to_bytes());
        bytes.extend_from_slice(&*self.key);
        keyring.seal(Purpose::Ticket, names.session_context(), &bytes)
    }

    /// The ticket that this text holds, if it is one of this gate's.
    pub(super) fn open(
        sealed: &str,
        keyring: &Keyring,
        names: &CookieNames,
    ) -> Option<(Self, SealedBy)> {
        let context = names.session_context();
        let opened = keyring.open(Purpose::Ticket, context, sealed).ok()?;
        let bytes = Zeroizing::new(opened.plaintext);
        let (&[FORMAT], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (id, key) = rest.split_first_chunk::<ID_LEN>()?;
        let key: [u8; KEY_LEN] = key.try_into().ok()?;
        let ticket = Self::new(SessionId::from_bytes(*id), key, names);
        Some((ticket, opened.sealed_by))
    }

    /// The session that the store has under this ticket; none where it is another's, or was touched.
    #[must_use]
    pub fn open_record(&self, record: &Record) -> Option<Session> {
        let sealed = str::from_utf8(&record.sealed).ok()?;
        let opened = self.keyring().ok()?;
        let opened = opened.open(Purpose::Session, self.record_key.as_bytes(), sealed);
        let plaintext = Zeroizing::new(opened.ok()?.plaintext);
        let session = payload::read_session(&plaintext).ok()?;
        (session.id == self.id && session.turn == record.turn).then_some(session)
    }

    fn keyring(&self) -> Result<Keyring, SealError> {
        Keyring::new(&[SessionKey::of_session(&self.key)])
    }
}

impl Session {
    /// What a store keeps of this session: the session under its ticket's key, and a card under the
    /// gate's.
    ///
    /// # Errors
    /// [`RecordWriteError`].
    pub fn to_record(&self, keyring: &Keyring) -> Result<Record, RecordWriteError> {
        let ticket = self.ticket.as_ref().ok_or(RecordWriteError::NoTicket)?;
        let card = Card::of(self).seal(keyring, ticket.record_key)?;
        self.record_under(ticket, card)
    }

    /// What those who share a store keep of this session where it succeeds `predecessor` and travels in
    /// its cookie. It has no card: it is no session that somebody could list, and a card holds its id.
    ///
    /// # Errors
    /// [`RecordWriteError`].
    pub fn to_successor_record(&self, predecessor: &Self) -> Result<Record, RecordWriteError> {
        self.record_under(&Ticket::of_successor(predecessor), Vec::new())
    }

    fn record_under(&self, ticket: &Ticket, card: Vec<u8>) -> Result<Record, RecordWriteError> {
        let payload = payload::write_session(self)?;
        let context = ticket.record_key.as_bytes();
        let sealed = ticket
            .keyring()?
            .seal(Purpose::Session, context, &payload)?;
        let issuer = &self.identity.issuer;
        Ok(Record {
            turn: self.turn,
            expires_at: self.record_expires_at(),
            person: groups::of_person(issuer, &self.identity.subject),
            provider_session: self
                .provider_sid
                .as_deref()
                .map(|sid| groups::of_provider_session(issuer, sid)),
            card,
            sealed: sealed.into_bytes(),
        })
    }

    /// When nobody can want it any more.
    fn record_expires_at(&self) -> UnixTime {
        self.idle_expires_at
            .min(self.absolute_expires_at)
            .plus(LINGER)
    }
}

fn record_key(id: &SessionId, names: &CookieNames) -> RecordKey {
    let parts = [b"record", names.session_context(), id.as_str().as_bytes()];
    RecordKey::from_bytes(hash(&parts))
}

/// A hash of the parts, each after its length, so that no two lists of parts give the same bytes.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        context.update(&length.to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        self.record_key == other.record_key && crate::base::secret::same(&*self.key, &*other.key)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket([redacted])")
    }
}
