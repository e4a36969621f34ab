//! `routes`, and the conditions that rules and providers share, as written.

use schemars::JsonSchema;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

use super::scalar::ScalarsWritten;
use super::values::{Later, Ordered, ShortOrLong, Span, short_or_long};

/// One rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct RouteWritten {
    /// The name in logs. Default: made from the path.
    pub name: Option<String>,
    /// What it matches. Default: everything on the host of `public_url`.
    #[serde(rename = "match")]
    pub matches: Option<MatchWritten>,
    /// Who may pass: `public`, `optional`, `signed_in`, a condition, or the name of one under `access`. Needed.
    pub access: Option<AccessWritten>,
    /// The name of the upstream it leads to. Default: the only one.
    pub upstream: Option<String>,
    /// What the route answers by itself, in place of an upstream: a status, or a mapping. Default: nothing.
    pub respond: Option<RespondWritten>,
    /// Where the route leads whoever asks, in place of an upstream: a path or URL, or a mapping. Default: nowhere.
    pub redirect: Option<RouteRedirectWritten>,
    /// Which evidence counts; only `session` yet. Default: `[session]`.
    pub credentials: Option<Vec<CredentialWritten>>,
    /// What scripts of other origins may ask and read. Default: nothing is said; that is the app's.
    pub cors: Option<CorsWritten>,
    /// Who may open a WebSocket.
    pub websocket: Option<WebSocketWritten>,
    /// Whose pages may change something here in the name of whoever is signed in. Default: what the file says.
    pub write_shield: Option<WriteShieldWritten>,
    /// What `access` might become: judged beside it, noted where the outcome differs, and of no effect. Default: nothing is tried.
    pub shadow_access: Option<AccessWritten>,
}

/// What is done about requests that may change something (any method but GET, HEAD and OPTIONS) and come with a session from a page of another origin.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct WriteShieldWritten {
    /// `enforce` refuses them, `shadow` passes them on and notes them, `off` does not look. Default: `enforce`.
    pub mode: Option<ShieldModeWritten>,
    /// Origins whose pages may all the same, besides those that `cors` grants credentials. Default: `[]`.
    pub origins: Option<Vec<String>>,
}

/// Whether they are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`enforce`, `shadow` or `off`")]
pub enum ShieldModeWritten {
    /// They are.
    Enforce,
    /// They are passed on, and noted.
    Shadow,
    /// They are not looked at.
    Off,
}

/// What a rule matches: all keys that are there must fit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct MatchWritten {
    /// A host name, or `"*"` for whatever the request says. Default: the host of `public_url`.
    pub host: Option<String>,
    /// A path: exact, `/x/*` for one segment, `/x/**` for the rest and `/x` itself. Default: all.
    pub path: Option<String>,
    /// Not yet: a regular expression for the path.
    pub path_regex: Option<Later>,
    /// The methods; GET brings HEAD along. Default: all.
    pub methods: Option<Vec<String>>,
}

/// What a route answers by itself: a status or a mapping.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum RespondWritten {
    /// The status alone.
    Status(u64),
    /// The long form.
    Full(RespondFull),
}

/// What a route answers by itself, in full.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct RespondFull {
    /// The status: from 200 on but no redirect, nor one that asks for what only the gate can ask for. Default: `200`.
    pub status: Option<u64>,
    /// The body, as text, of 64 KiB at most. Default: empty.
    pub body: Option<String>,
    /// What the body is. Default: `text/plain; charset=utf-8`.
    pub content_type: Option<String>,
    /// Further fields of the answer; they replace `Cache-Control: no-store` and `X-Content-Type-Options: nosniff`, which it has otherwise. Default: `{}`.
    pub headers: Option<Ordered<String>>,
}

/// Where a route leads: a path or URL, or a mapping.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum RouteRedirectWritten {
    /// The place alone.
    To(String),
    /// The long form.
    Full(RedirectFull),
}

/// Where a route leads, in full.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct RedirectFull {
    /// A path that begins with `/`, or an `https` or `http` URL. Needed.
    pub to: Option<String>,
    /// `301`, `302`, `303`, `307` or `308`; with the last two the browser sends the same method and body again. Default: `302`.
    pub status: Option<u64>,
    /// Appends what `/**` stands for in the route's path; what has more than one reading is refused. Default: `false`.
    pub keep_path: Option<bool>,
    /// Appends the query. Default: `false`.
    pub keep_query: Option<bool>,
}

/// Evidence that a rule may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "`session`, `bearer`, `basic` or `api_key`"
)]
pub enum CredentialWritten {
    /// The session cookie.
    Session,
    /// Not yet.
    Bearer,
    /// Not yet.
    Basic,
    /// Not yet.
    ApiKey,
}

/// Who may open a WebSocket.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct WebSocketWritten {
    /// Origins beside our own whose pages may open one. Default: `[]`.
    pub origins: Option<Vec<String>>,
}

/// What scripts of other origins may ask and read.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct CorsWritten {
    /// The origins, or `["*"]` for every one. Needed.
    pub origins: Option<Vec<String>>,
    /// Who answers preflights: the gate, `answered`, or the app, `passed`. Default: `answered`.
    pub preflights: Option<PreflightsWritten>,
    /// The methods that they may use. Default: those of the route's `match`, or `[GET, HEAD, POST]`.
    pub methods: Option<Vec<String>>,
    /// The fields that they may send, besides those that browsers let them send anyway. Default: `[]`.
    pub headers: Option<Vec<String>>,
    /// The fields of answers that they may read, besides those that browsers let them read anyway. Default: `[]`.
    pub expose: Option<Vec<String>>,
    /// Whether what they ask may carry the session, so that they act as whoever is signed in. Default: `false`.
    pub credentials: Option<bool>,
    /// How long browsers may remember the answer to a preflight. Default: nothing is said; browsers take a few seconds.
    pub max_age: Option<Span>,
}

/// Who answers preflights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`answered` or `passed`")]
pub enum PreflightsWritten {
    /// The gate; and what the app says to other origins is replaced by what is written here.
    Answered,
    /// The app.
    Passed,
}

/// Who may pass.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum AccessWritten {
    /// One word.
    Word(AccessWord),
    /// A condition on who is signed in.
    Condition(Box<ConditionWritten>),
    /// What stands under this name in `access`.
    Named(String),
}

/// Who may pass, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum AccessWord {
    /// Everybody.
    Public,
    /// Everybody; who is signed in is told to the app.
    Optional,
    /// Everybody who is signed in.
    SignedIn,
}

/// A condition: all keys must hold, the values of one key are alternatives, and an empty list is met
/// by nobody.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ConditionWritten {
    /// A member of one of these groups; `PROVIDER:GROUP` where there are several providers.
    pub groups: Option<Vec<String>>,
    /// The owner of one of these verified addresses; `@example.com` is a whole domain.
    pub emails: Option<Vec<String>>,
    /// One of these subjects; `PROVIDER:SUBJECT` where there are several providers.
    pub subjects: Option<Vec<String>>,
    /// Only in a route's `access`: one of these certificates was shown in the handshake, `any`, or `dns:`, `uri:`, `email:` or `cn:` with a name that may begin or end with `*`, or `sha256:` with a fingerprint. By itself it asks nobody to sign in.
    pub client_certificate: Option<Vec<String>>,
    /// Only in a route's `access`, beside `client_certificate`: somebody must be signed in as well, whoever it is. Default: `false`.
    pub signed_in: Option<bool>,
    /// Other claims by their paths, each with a value or a list of values of which it must be or have one; `PROVIDER:PATH` where there are several providers.
    pub claims: Option<Ordered<ScalarsWritten>>,
    /// Not yet: scopes of a bearer token.
    pub scopes: Option<Later>,
    /// Signed in in one of these authentication contexts, the best liked first; `PROVIDER:ACR` where there are several providers. Whoever did not is sent to sign in so. Only in a route's `access`.
    pub acr: Option<Vec<String>>,
    /// Signed in no longer ago than this, by the provider's `auth_time`; a minute at least. Whoever did not is sent to sign in anew. Only in a route's `access`.
    pub max_age: Option<Span>,
    /// Comes from one of these networks, such as `10.0.0.0/8`; who comes from where is told by `trusted_proxies`. Only in a route's `access`.
    pub addresses: Option<Vec<String>>,
    /// A condition in a strict subset of CEL; what has no value is not met. Default: nothing is asked.
    pub when: Option<String>,
    /// At least one of these conditions.
    pub any: Option<Vec<Self>>,
    /// Not this condition. Where there is too little to judge it by, nobody passes.
    pub deny: Option<Box<Self>>,
}

impl<'de> ShortOrLong<'de> for AccessWritten {
    const EXPECTED: &'static str =
        "`public`, `optional`, `signed_in`, a condition, or the name of one under `access`";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Ok(match text {
            "public" => Self::Word(AccessWord::Public),
            "optional" => Self::Word(AccessWord::Optional),
            "signed_in" => Self::Word(AccessWord::SignedIn),
            name => Self::Named(name.to_owned()),
        })
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ConditionWritten::deserialize(deserializer).map(|one| Self::Condition(Box::new(one)))
    }
}

impl<'de> Deserialize<'de> for AccessWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}

impl RespondWritten {
    /// The long form of either.
    #[must_use]
    pub fn full(&self) -> RespondFull {
        match self {
            Self::Status(status) => RespondFull {
                status: Some(*status),
                ..RespondFull::default()
            },
            Self::Full(full) => full.clone(),
        }
    }
}

impl RouteRedirectWritten {
    /// The long form of either.
    #[must_use]
    pub fn full(&self) -> RedirectFull {
        match self {
            Self::To(to) => RedirectFull {
                to: Some(to.clone()),
                ..RedirectFull::default()
            },
            Self::Full(full) => full.clone(),
        }
    }
}

impl<'de> ShortOrLong<'de> for RespondWritten {
    const EXPECTED: &'static str = "a status or a mapping";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        match text.parse() {
            Ok(status) => Ok(Self::Status(status)),
            Err(_) => Err(E::invalid_value(
                Unexpected::Str(text),
                &"a status such as `404`, or a mapping",
            )),
        }
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RespondFull::deserialize(deserializer).map(Self::Full)
    }
}

impl<'de> Deserialize<'de> for RespondWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}

impl<'de> ShortOrLong<'de> for RouteRedirectWritten {
    const EXPECTED: &'static str = "a path or URL, or a mapping";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::To(text.to_owned()))
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RedirectFull::deserialize(deserializer).map(Self::Full)
    }
}

impl<'de> Deserialize<'de> for RouteRedirectWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}
