//! `session`, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

use super::provider::CaWritten;
use super::values::{ShortOrLong, Span, short_or_long};
use crate::config::secret_source::SecretSource;

/// How sessions are kept.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct SessionWritten {
    /// The keys that seal sessions: the first seals, all open; or `ephemeral`. Default: one file, made once in the state directory.
    pub keys: Option<KeysWritten>,
    /// Where sessions live. Default: `cookie`.
    pub store: Option<StoreWritten>,
    /// A session that is not used for this long ends. Default: `8h`.
    pub idle: Option<Span>,
    /// A session ends after this long in any case. Default: `24h`.
    pub absolute: Option<Span>,
    /// How old the provider's word about a person may get before it is asked again. Default: `15m`.
    pub recheck: Option<Span>,
    /// How long past that the old word is good while the provider does not answer. Default: `1h`.
    pub outage_grace: Option<Span>,
    /// Whether a session is in use while a WebSocket, an event stream or a gRPC stream of it is open. Default: `true`.
    pub streams_are_use: Option<bool>,
    /// The most sessions that a person may have at a time, with a `store`: one more ends the oldest. Default: no limit.
    pub max_per_user: Option<u64>,
    /// How the cookies look.
    pub cookie: Option<CookieWritten>,
    /// The Redis that holds sessions, or what gates share that keep them in cookies.
    pub redis: Option<RedisWritten>,
    /// Says that there is only one gate. Default: `false`.
    pub single_instance: Option<bool>,
    /// The store that people move away from. Default: none.
    pub previous_store: Option<StoreWritten>,
    /// The file that holds sessions, or which of those in cookies were ended.
    pub disk: Option<DiskWritten>,
}

/// The keys that seal sessions.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum KeysWritten {
    /// `ephemeral`: a fresh key at every start.
    Word(EphemeralWritten),
    /// Where the keys are.
    Sources(Vec<SecretSource>),
}

/// The word for a fresh key at every start.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum EphemeralWritten {
    /// A fresh key at every start: a restart signs everybody out.
    Ephemeral,
}

/// Where sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "`cookie`, `memory`, `disk` or `redis`"
)]
pub enum StoreWritten {
    /// In the cookie itself: no state here.
    Cookie,
    /// In this process, until it ends.
    Memory,
    /// In a file of this process.
    Disk,
    /// In a Redis that other gates use, too.
    Redis,
}

/// The file that holds sessions.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct DiskWritten {
    /// Where it is. Default: `sessions` in the state directory.
    pub path: Option<PathBuf>,
}

/// The Redis that holds sessions, or what gates share that keep them in cookies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct RedisWritten {
    /// Where it is. Needed.
    pub url: String,
    /// Who we are there. Default: the default user.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<SecretSource>,
    /// Certificates that vouch for it, with `rediss`. Default: those of public authorities.
    pub ca: Option<CaWritten>,
    /// What all keys begin with. Default: `sidegate`.
    pub prefix: Option<String>,
}

/// How the cookies look.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct CookieWritten {
    /// The operator's part of the name. Default: `sidegate`.
    pub name: Option<String>,
    /// Whether the session is sent along on navigations from other sites. Default: `lax`.
    pub same_site: Option<SameSiteWritten>,
    /// Shares the session over the hosts below this domain. Default: the host of `public_url` alone.
    pub domain: Option<String>,
    /// Whether the browser keeps the session when it is closed and opened again. Default: `true`.
    pub persistent: Option<bool>,
}

/// The `SameSite` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`lax` or `strict`")]
pub enum SameSiteWritten {
    /// Sent along on navigations from other sites.
    Lax,
    /// Never sent along from other sites.
    Strict,
}

impl<'de> ShortOrLong<'de> for KeysWritten {
    const EXPECTED: &'static str = "a list of key files, or `ephemeral`";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        match text {
            "ephemeral" => Ok(Self::Word(EphemeralWritten::Ephemeral)),
            _ => Err(E::invalid_type(Unexpected::Str(text), &Self::EXPECTED)),
        }
    }

    fn list<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Sources)
    }
}

impl<'de> Deserialize<'de> for KeysWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}
