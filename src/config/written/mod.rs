//! The configuration as it is written: every key of the file, none of them checked against another.
//!
//! A key is absent or `None`; its default is applied in `config::check`. The comments here are the
//! descriptions of the JSON Schema. No `flatten` and no `untagged`: both would lose the place of an
//! error.

pub mod policy_tests;
pub mod provider;
pub mod route;
pub mod scalar;
pub mod session;
pub mod upstream;
pub mod values;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Error, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};

use self::provider::ProviderWritten;
use self::route::{AccessWritten, RouteWritten, WriteShieldWritten};
use self::session::SessionWritten;
use self::upstream::UpstreamWritten;
use self::values::{Later, Ordered, ShortOrLong, Size, Span, short_or_long};

/// The configuration of Sidegate.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
#[schemars(title = "sidegate.yaml")]
pub struct ConfigFile {
    /// What browsers see: scheme, host, port and perhaps a path. Needed.
    pub public_url: Option<String>,
    /// Where requests are taken. Default: `127.0.0.1:4180`.
    pub listen: Option<Vec<ListenWritten>>,
    /// Where `/livez`, `/readyz`, `/metrics` and `/status` are answered.
    pub probes: Option<ProbesWritten>,
    /// The socket over which whoever looks after this process sees and ends sessions. Default: none.
    pub admin: Option<AdminWritten>,
    /// Whose forwarded headers are believed. Default: nobody's.
    pub trusted_proxies: Option<TrustedProxiesWritten>,
    /// The path of our own endpoints. Default: `/oauth2`.
    pub prefix: Option<String>,
    /// Who vouches for people. At least one is needed.
    pub providers: Option<Vec<ProviderWritten>>,
    /// How sessions are kept.
    pub session: Option<SessionWritten>,
    /// The apps behind, by name. At least one is needed, unless every route answers by itself.
    pub upstreams: Option<Ordered<UpstreamWritten>>,
    /// Not yet: whose bearer tokens are accepted.
    pub bearer: Option<Later>,
    /// Rules about who may pass that several routes have in common, by the names under which their `access` calls them. Default: `{}`.
    pub access: Option<Ordered<AccessWritten>>,
    /// The rules: the first match wins, and what none matches is refused. Default: one rule, everybody who is signed in.
    pub routes: Option<Vec<RouteWritten>>,
    /// Whose pages may change something in the name of whoever is signed in, on routes that do not say so themselves.
    pub write_shield: Option<WriteShieldWritten>,
    /// What a connection may cost.
    pub limits: Option<LimitsWritten>,
    /// How logins are begun.
    pub login: Option<LoginWritten>,
    /// What our pages say.
    pub pages: Option<PagesWritten>,
    /// What is logged, and how.
    pub log: Option<LogWritten>,
    /// How long browsers shall come by `https` alone: a span, or a mapping; written into every answer, ours and the app's. Default: nothing is said.
    pub hsts: Option<HstsWritten>,
    /// Allows a `public_url` with `http` that is not loopback: everybody on the way can then take sessions over. Default: `false`.
    pub insecure_public_http: Option<bool>,
    /// Allows `0.0.0.0/0` and `::/0` among the trusted proxies: everybody can then name any client address. Default: `false`.
    pub insecure_trust_any_proxy: Option<bool>,
}

/// One listener: `ADDRESS` or a mapping.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum ListenWritten {
    /// The address alone.
    Address(String),
    /// The long form.
    Full(ListenFull),
}

/// One listener, in full.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ListenFull {
    /// `IP:PORT`, `unix:/PATH`, or `systemd:NAME` for the sockets that a socket unit passes under that `FileDescriptorName`. Needed.
    pub address: Option<String>,
    /// Certificate and key: TLS 1.2 and 1.3 are spoken, and nothing else.
    pub tls: Option<TlsWritten>,
    /// Serves HTTP/2 without TLS to peers that begin with it, beside HTTP/1.1 to those that do not. Default: `false`.
    pub h2c: Option<bool>,
    /// Demands the header of the PROXY protocol, version 1 or 2, from peers that are `trusted_proxies`; others are hung up on. Default: `false`.
    pub proxy_protocol: Option<bool>,
    /// The exact path at which a load balancer asks, with any `Host`, whether requests should be sent here: an empty 200 or 503. Default: none.
    pub health_path: Option<String>,
    /// Serves nothing, and leads to the same target of `public_url`, which is `https`. Default: none.
    pub redirect: Option<RedirectWritten>,
}

/// How TLS is spoken at a listener.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct TlsWritten {
    /// The file of the certificate and those between it and a root, as PEM, its own first; it is read again when it changes. Needed, or `certificates`.
    pub certificate: Option<PathBuf>,
    /// The file of its private key, as PEM without a passphrase. Needed beside `certificate`.
    pub key: Option<PathBuf>,
    /// Several certificates instead, chosen by the name that the client asks for; the first is for the others.
    pub certificates: Option<Vec<PairWritten>>,
    /// The file of the roots that vouch for client certificates, as PEM. Needed where they are asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether clients may show a certificate of `client_ca`, `request`, or must, `require`. Default: they are not asked.
    pub client_certificates: Option<ClientCertificatesWritten>,
}

/// One of several certificates.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PairWritten {
    /// The file of the certificate. Needed.
    pub certificate: Option<PathBuf>,
    /// The file of its private key. Needed.
    pub key: Option<PathBuf>,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`request` or `require`")]
pub enum ClientCertificatesWritten {
    /// They may.
    Request,
    /// They must.
    Require,
}

/// Where a listener leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`https`")]
pub enum RedirectWritten {
    /// To `public_url`.
    Https,
}

/// The listener of the probes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ProbesWritten {
    /// `IP:PORT`. Default: `127.0.0.1:4181`.
    pub address: Option<String>,
}

/// The socket for whoever looks after this process.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct AdminWritten {
    /// `unix:/PATH`; the file is for its owner alone, and only that user and root are heard. Needed.
    pub address: Option<String>,
}

/// Whose forwarded headers are believed: a list of peers, or a mapping.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum TrustedProxiesWritten {
    /// The peers alone.
    Peers(Vec<String>),
    /// The long form.
    Full(TrustedProxiesFull),
}

/// Whose forwarded headers are believed, in full.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct TrustedProxiesFull {
    /// Addresses and networks of front proxies, and `unix` for peers on a Unix listener. Default: none.
    pub peers: Option<Vec<String>>,
    /// The one header family that they write. Default: `x_forwarded_for`.
    pub header: Option<HeaderFamily>,
    /// Not yet: how many proxies a request comes through.
    pub hops: Option<Later>,
}

/// A family of forwarded headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "`x_forwarded_for` or `forwarded`"
)]
pub enum HeaderFamily {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded`.
    Forwarded,
}

/// What a connection may cost.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct LimitsWritten {
    /// The longest request target. Default: `32KiB`.
    pub target: Option<Size>,
    /// The largest request head. Default: `64KiB`.
    pub header_block: Option<Size>,
    /// The most header fields of a request. Default: `100`.
    pub header_fields: Option<u64>,
    /// How long a request head may take to arrive. Default: `10s`.
    pub header_timeout: Option<Span>,
    /// How long a body that is sent to us, or an answer that nobody reads, may stand still. Default: `60s`.
    pub idle_between_bytes: Option<Span>,
    /// How long a connection may wait for its next request. Default: `75s`.
    pub keep_alive_idle: Option<Span>,
    /// How long a WebSocket, or an answer that an app has begun, may stand still: event streams are silent for long. Default: `1h`.
    pub websocket_idle: Option<Span>,
    /// The most connections at a time. Default: `10000`.
    pub connections: Option<u64>,
    /// The most requests that are answered at a time; the last quarter is kept for those who are signed in. Default: `10000`.
    pub requests: Option<u64>,
    /// How long connecting to an upstream may take. Default: `5s`.
    pub upstream_connect: Option<Span>,
    /// How long an upstream may take to begin its answer. Default: `60s`.
    pub upstream_first_byte: Option<Span>,
    /// The most requests at a time on an HTTP/2 connection. Default: `200`.
    pub http2_streams: Option<u64>,
    /// How long the process goes on serving, not ready, when it is told to stop: whoever sends requests here has time to hear of it. Default: `0s`.
    pub drain_delay: Option<Span>,
    /// How long requests in flight may take to finish after that. Default: `30s`.
    pub drain: Option<Span>,
}

/// How logins are begun.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct LoginWritten {
    /// Keeps the fragment of the page that was wanted, by a page with one script. Default: `false`.
    pub keep_fragment: Option<bool>,
    /// Origins whose pages may show in a frame where to sign in. Default: `[]`.
    pub embed_origins: Option<Vec<String>>,
}

/// What our pages say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PagesWritten {
    /// A folder of templates that take the place of ours, and a style that adds to ours. Default: none.
    pub directory: Option<PathBuf>,
    /// A picture on every page, of 32 KiB at most, below `directory` if that is set. Default: a shield.
    pub logo: Option<PathBuf>,
    /// Whom to ask for help: an address or a sentence. Default: nothing is said.
    pub support: Option<String>,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct LogWritten {
    /// The form of a line; `auto` is for people on a terminal and JSON elsewhere. Default: `auto`.
    pub format: Option<FormatWritten>,
    /// The least important line that is written. Default: `info`.
    pub level: Option<LevelWritten>,
}

/// How long browsers shall come by `https` alone: a span or a mapping.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum HstsWritten {
    /// The span alone.
    MaxAge(Span),
    /// The long form.
    Full(HstsFull),
}

/// How long browsers shall come by `https` alone, in full.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct HstsFull {
    /// For how long after an answer; `0s` takes back what was said. Needed.
    pub max_age: Option<Span>,
    /// Whether it holds for every host below this one, too. Default: `false`.
    pub include_subdomains: Option<bool>,
    /// Whether browser vendors may put the host on the lists that they ship; there it stays for long. Default: `false`.
    pub preload: Option<bool>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`auto`, `human` or `json`")]
pub enum FormatWritten {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The importance of a log line.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "`error`, `warn`, `info`, `debug` or `trace`"
)]
pub enum LevelWritten {
    /// Something of ours broke.
    Error,
    /// A provider or an upstream failed.
    Warn,
    /// What happened.
    Info,
    /// Why it happened.
    Debug,
    /// Everything.
    Trace,
}

impl ListenWritten {
    /// The long form of either.
    #[must_use]
    pub fn full(&self) -> ListenFull {
        match self {
            Self::Address(address) => ListenFull {
                address: Some(address.clone()),
                ..ListenFull::default()
            },
            Self::Full(full) => full.clone(),
        }
    }
}

impl TrustedProxiesWritten {
    /// The long form of either.
    #[must_use]
    pub fn full(&self) -> TrustedProxiesFull {
        match self {
            Self::Peers(peers) => TrustedProxiesFull {
                peers: Some(peers.clone()),
                ..TrustedProxiesFull::default()
            },
            Self::Full(full) => full.clone(),
        }
    }
}

impl<'de> ShortOrLong<'de> for ListenWritten {
    const EXPECTED: &'static str = "an address or a mapping";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::Address(text.to_owned()))
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ListenFull::deserialize(deserializer).map(Self::Full)
    }
}

impl<'de> Deserialize<'de> for ListenWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}

impl HstsWritten {
    /// The long form of either.
    #[must_use]
    pub fn full(&self) -> HstsFull {
        match self {
            Self::MaxAge(span) => HstsFull {
                max_age: Some(*span),
                ..HstsFull::default()
            },
            Self::Full(full) => full.clone(),
        }
    }
}

impl<'de> ShortOrLong<'de> for HstsWritten {
    const EXPECTED: &'static str = "a span of time or a mapping";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Span::deserialize(text.into_deserializer()).map(Self::MaxAge)
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HstsFull::deserialize(deserializer).map(Self::Full)
    }
}

impl<'de> Deserialize<'de> for HstsWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}

impl<'de> ShortOrLong<'de> for TrustedProxiesWritten {
    const EXPECTED: &'static str = "a list of addresses and networks, or a mapping";

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TrustedProxiesFull::deserialize(deserializer).map(Self::Full)
    }

    fn list<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Peers)
    }
}

impl<'de> Deserialize<'de> for TrustedProxiesWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}
