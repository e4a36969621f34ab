//! `upstreams`, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::provider::CaWritten;
use super::values::{Later, Ordered, ShortOrLong, short_or_long};

/// One upstream: its URL, or a mapping.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum UpstreamWritten {
    /// The URL alone.
    Url(String),
    /// The long form.
    Full(UpstreamFull),
}

/// One upstream, in full.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct UpstreamFull {
    /// `http://HOST:PORT`, `https://HOST:PORT`, `h2c://HOST:PORT` or `unix:/PATH`, or a list of them where each is as good as the others. Needed.
    pub url: Option<UrlsWritten>,
    /// Speaks HTTP/2: over `https` where the app takes it, in the clear without asking. Default: `false`, and `true` with `h2c`.
    pub http2: Option<bool>,
    /// What the app's certificate is held to, and what it is shown of us; for `https` alone.
    pub tls: Option<UpstreamTlsWritten>,
    /// What the app is told as `Host`: `preserve` what the browser sent, `upstream` for its own, or a name. Default: `preserve`.
    pub host: Option<String>,
    /// Not yet: takes the path of the rule away.
    pub strip_prefix: Option<Later>,
    /// The identity headers, each one field: `{sub}`, `{email}`, `{groups}`, `{preferred_username}` or `{name}`.
    pub headers: Option<Ordered<String>>,
    /// A known set of identity headers; only `default` yet. Default: `default`.
    pub header_preset: Option<PresetWritten>,
    /// Not yet: a signed statement of who is asking.
    pub assertion: Option<Later>,
    /// Not yet: tokens that the app gets.
    pub forward_tokens: Option<Later>,
    /// Refuses to run while the app can be reached around the gate. Default: `false`.
    pub require_private: Option<bool>,
}

/// One URL, or several.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum UrlsWritten {
    /// The only one.
    One(String),
    /// Each as good as the others.
    Several(Vec<String>),
}

/// TLS toward an app.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct UpstreamTlsWritten {
    /// The certificates that vouch for the app, in place of the system's.
    pub ca: Option<CaWritten>,
    /// The name that its certificate must be for. Default: the host of `url`.
    pub server_name: Option<String>,
    /// The file of the certificate, and of those between it and its root, that the app is shown. Default: none.
    pub certificate: Option<PathBuf>,
    /// The file of the key to it. Default: none.
    pub key: Option<PathBuf>,
    /// Takes any certificate: whoever is on the way to the app can then read and change everything. Default: `false`.
    pub insecure_skip_verification: Option<bool>,
}

/// A known set of identity headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", expecting = "the name of a header preset")]
pub enum PresetWritten {
    /// `X-Forwarded-User`, `-Email`, `-Groups` and `-Preferred-Username`.
    Default,
    /// Not yet.
    Grafana,
    /// Not yet.
    Xauth,
    /// Not yet.
    RemoteUser,
    /// Not yet.
    Pgadmin,
    /// Not yet.
    KubernetesDashboard,
}

impl UpstreamWritten {
    /// The long form of either.
    #[must_use]
    pub fn full(&self) -> UpstreamFull {
        match self {
            Self::Url(url) => UpstreamFull {
                url: Some(UrlsWritten::One(url.clone())),
                ..UpstreamFull::default()
            },
            Self::Full(full) => full.clone(),
        }
    }
}

impl UrlsWritten {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(url) => std::slice::from_ref(url),
            Self::Several(urls) => urls,
        }
    }
}

impl<'de> ShortOrLong<'de> for UrlsWritten {
    const EXPECTED: &'static str = "a URL or a list of URLs";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::One(text.to_owned()))
    }

    fn list<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Several)
    }
}

impl<'de> Deserialize<'de> for UrlsWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}

impl<'de> ShortOrLong<'de> for UpstreamWritten {
    const EXPECTED: &'static str = "a URL or a mapping";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::Url(text.to_owned()))
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UpstreamFull::deserialize(deserializer).map(Self::Full)
    }
}

impl<'de> Deserialize<'de> for UpstreamWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}
