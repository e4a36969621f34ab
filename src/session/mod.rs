//! Floor 2: an authenticated user's standing with us, and the cookies that carry it. Pure.
//!
//! A request's head becomes a [`presented::Presented`], still sealed; [`presented::Presented::open`]
//! makes [`evidence::Evidence`] of it, the only thing the gate looks at. On the way out,
//! [`cookie::SessionCookie`] writes and clears the session, [`pending::LoginCookies`] keeps logins in
//! flight, one cookie each, and [`state`] holds what travels through the provider and back. All names
//! and attributes come from one [`names::CookieNames`].
//!
//! Nothing here believes a `Max-Age`, a count or a name that a request brought: what does not open
//! under our keys, for this purpose, name, client and host, is nothing.

pub mod card;
pub mod cookie;
pub mod ending;
pub mod evidence;
pub mod groups;
pub mod lifetime;
pub mod loaded;
pub mod log_name;
pub mod names;
mod payload;
pub mod pending;
pub mod presented;
pub mod recent;
pub mod record;
pub mod revocations;
pub mod state;
pub mod ticket;
mod weight;

#[cfg(test)]
pub(crate) mod tests;

pub use payload::PayloadError;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use self::groups::SessionGroups;
use self::ticket::Ticket;
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::oidc::claims::Identity;

/// A session: who, since when, until when. Its id survives re-sealing and renewal.
#[derive(Debug, Clone)]
pub struct Session {
    /// The stable id.
    pub id: SessionId,
    /// Who it is.
    pub identity: Identity,
    /// The `id` of the provider in the configuration that vouched for the identity.
    pub provider: String,
    /// The provider's own session id (`sid`, OpenID Connect Front-Channel Logout section 3).
    pub provider_sid: Option<String>,
    /// When the person last proved who they are, as far as the provider said.
    pub auth_time: Option<UnixTime>,
    /// In which authentication context they signed in, where the provider said.
    pub acr: Option<String>,
    /// Which authentication contexts the provider was asked for, where an earlier session was not enough:
    /// it is not asked twice in a moment for what it does not give.
    pub stepped_up: Option<Vec<String>>,
    /// When the session began. The absolute limit counts from here, through every renewal.
    pub started_at: UnixTime,
    /// When it was last seen, as of the last sealing.
    pub seen_at: UnixTime,
    /// When it ends for want of use.
    pub idle_expires_at: UnixTime,
    /// When it ends in any case.
    pub absolute_expires_at: UnixTime,
    /// When the provider last vouched for the identity: at the login, and at each renewal since.
    pub vouched_at: UnixTime,
    /// What renews the session, where the provider gave it.
    pub grant: Option<Grant>,
    /// How often the provider was asked anew: of two of the same id, the one with more succeeds the
    /// other.
    pub turn: u32,
    /// The raw ID token, kept only where the provider needs it as `id_token_hint`.
    pub raw_id_token: Option<Secret>,
    /// What the browser has in its place, where it is kept in a store.
    pub ticket: Option<Arc<Ticket>>,
    /// The first of the sessions that this person has had at this browser, one after the other, where
    /// this is a later one.
    pub family: Option<SessionId>,
    /// What it has in common with others.
    pub groups: SessionGroups,
}

impl Session {
    /// The same session as the one that follows `before` at its browser.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        let first = before.family.as_ref().unwrap_or(&before.id);
        Self {
            family: Some(first.clone()),
            ..self
        }
    }

    /// Whether `other` is the same subject of the same issuer.
    #[must_use]
    pub fn is_of_same_person(&self, other: &Self) -> bool {
        let (own, other) = (&self.identity, &other.identity);
        own.issuer == other.issuer && own.subject == other.subject
    }
}

/// What a provider gave so that it can be asked again without the person (RFC 6749 section 1.5).
#[derive(Debug, Clone)]
pub struct Grant {
    /// The refresh token, which may be good for one use only.
    pub refresh_token: Secret,
    /// When the access token that came with it ends.
    pub access_expires_at: UnixTime,
}

/// 128 random bits that name a session, as 22 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// The id of these 16 unguessable bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The id of this text, where it is the text of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self::from_bytes(bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 16] {
        // The text was made of 16 bytes.
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).unwrap_or_default();
        bytes.try_into().unwrap_or_default()
    }
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// A session that is not used for this long ends.
    pub idle: Duration,
    /// A session ends after this long in any case.
    pub absolute: Duration,
    /// How old the provider's word may get before it is asked again.
    pub recheck: Duration,
    /// How long past that the old word is good while the provider does not answer.
    pub outage_grace: Duration,
}

/// Whether a session is in use while a stream of it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamUse {
    /// It is.
    #[default]
    Counts,
    /// Requests alone are its use.
    Ignored,
}

/// How the session's cookies look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieSettings {
    /// The operator's part of the name, by default `sidegate`.
    pub name: String,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Domain`, to share the session over the hosts below it; by default the host alone.
    pub domain: Option<String>,
    /// How long a browser keeps it.
    pub kept: CookieKept,
}

/// How long a browser keeps the session's cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CookieKept {
    /// Until the session's absolute end (`Max-Age`).
    #[default]
    UntilTheEnd,
    /// Until the browser itself ends.
    WithTheBrowser,
}

/// The `SameSite` attribute (RFC 6265bis section 5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent along on top-level navigations from other sites.
    Lax,
    /// Never sent along from other sites.
    Strict,
}
