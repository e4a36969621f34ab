//! Who a session in a store is and since when, for those who look after sessions: sealed under the
//! gate's keys, so that a store tells nobody else who is signed in.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::record::{GroupKey, RecordKey};
use super::{Session, SessionId, groups, payload};
use crate::base::clock::UnixTime;
use crate::base::keyring::{Keyring, Purpose, SealError};

/// The format of a card.
const FORMAT: u8 = 1;

/// A session without anything that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The session's id.
    pub id: SessionId,
    /// The `id` of the provider in the configuration.
    pub provider: String,
    /// The issuer.
    pub issuer: String,
    /// The subject there.
    pub subject: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The preferred user name.
    pub preferred_username: Option<String>,
    /// When the session began.
    pub started_at: UnixTime,
    /// When it was last seen, as of the last time that was written down.
    pub seen_at: UnixTime,
    /// When it ends in any case.
    pub absolute_expires_at: UnixTime,
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    #[serde(rename = "i")]
    id: Cow<'a, str>,
    #[serde(rename = "p")]
    provider: Cow<'a, str>,
    #[serde(rename = "o")]
    issuer: Cow<'a, str>,
    #[serde(rename = "s")]
    subject: Cow<'a, str>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    email: Option<Cow<'a, str>>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    preferred_username: Option<Cow<'a, str>>,
    #[serde(rename = "b")]
    started_at: UnixTime,
    #[serde(rename = "u")]
    seen_at: UnixTime,
    #[serde(rename = "e")]
    absolute_expires_at: UnixTime,
}

impl Card {
    /// The card of this session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let identity = &session.identity;
        let email = identity.email.as_ref().map(|email| &email.address);
        Self {
            id: session.id.clone(),
            provider: session.provider.clone(),
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            email: email.cloned(),
            preferred_username: identity.preferred_username.clone(),
            started_at: session.started_at,
            seen_at: session.seen_at,
            absolute_expires_at: session.absolute_expires_at,
        }
    }

    /// What a person would be called on a list: the address, the preferred user name, or the subject.
    #[must_use]
    pub fn shown(&self) -> &str {
        let known = self.email.as_ref().or(self.preferred_username.as_ref());
        known.unwrap_or(&self.subject)
    }

    /// The groups that the session is in, except that of its session at the provider.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupKey> {
        let names = self.email.iter().chain(&self.preferred_username);
        let names = names.map(String::as_str);
        groups::of_session(&self.id, &self.issuer, &self.subject, names).collect()
    }

    pub(super) fn seal(&self, keyring: &Keyring, of: RecordKey) -> Result<Vec<u8>, SealError> {
        let written = Written {
            id: Cow::Borrowed(self.id.as_str()),
            provider: Cow::Borrowed(&self.provider),
            issuer: Cow::Borrowed(&self.issuer),
            subject: Cow::Borrowed(&self.subject),
            email: self.email.as_deref().map(Cow::Borrowed),
            preferred_username: self.preferred_username.as_deref().map(Cow::Borrowed),
            started_at: self.started_at,
            seen_at: self.seen_at,
            absolute_expires_at: self.absolute_expires_at,
        };
        let bytes = payload::write(FORMAT, &written).map_err(|_| SealError::Refused)?;
        let sealed = keyring.seal(Purpose::Card, of.as_bytes(), &bytes)?;
        Ok(sealed.into_bytes())
    }

    /// The card of the record with this key, if it was sealed under a key of the ring.
    #[must_use]
    pub fn open(sealed: &[u8], keyring: &Keyring, of: RecordKey) -> Option<Self> {
        let sealed = str::from_utf8(sealed).ok()?;
        let opened = keyring.open(Purpose::Card, of.as_bytes(), sealed).ok()?;
        let written: Written<'_> = payload::read(FORMAT, &opened.plaintext).ok()?;
        Some(Self {
            id: SessionId::parse(&written.id)?,
            provider: written.provider.into_owned(),
            issuer: written.issuer.into_owned(),
            subject: written.subject.into_owned(),
            email: written.email.map(Cow::into_owned),
            preferred_username: written.preferred_username.map(Cow::into_owned),
            started_at: written.started_at,
            seen_at: written.seen_at,
            absolute_expires_at: written.absolute_expires_at,
        })
    }
}
