//! `upstreams`, as written.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

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
    /// `http://HOST:PORT` or `unix:/PATH`; `https` and `h2c` are not yet. Needed.
    pub url: Option<String>,
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
                url: Some(url.clone()),
                ..UpstreamFull::default()
            },
            Self::Full(full) => full.clone(),
        }
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
