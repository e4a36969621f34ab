//! `routes`, and the conditions that rules and providers share, as written.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::values::{Later, ShortOrLong, short_or_long};

/// One rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct RouteWritten {
    /// The name in logs. Default: made from the path.
    pub name: Option<String>,
    /// What it matches. Default: everything on the host of `public_url`.
    #[serde(rename = "match")]
    pub matches: Option<MatchWritten>,
    /// Who may pass: `public`, `optional`, `signed_in` or a condition. Needed.
    pub access: Option<AccessWritten>,
    /// The name of the upstream it leads to. Default: the only one.
    pub upstream: Option<String>,
    /// Which evidence counts; only `session` yet. Default: `[session]`.
    pub credentials: Option<Vec<CredentialWritten>>,
    /// Not yet: what other sites' scripts may ask.
    pub cors: Option<Later>,
    /// Who may open a WebSocket.
    pub websocket: Option<WebSocketWritten>,
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

/// Who may pass.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum AccessWritten {
    /// One word.
    Word(AccessWord),
    /// A condition on who is signed in.
    Condition(ConditionWritten),
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
    /// Not yet: values of other claims.
    pub claims: Option<Later>,
    /// Not yet: scopes of a bearer token.
    pub scopes: Option<Later>,
    /// Not yet: how the person signed in.
    pub acr: Option<Later>,
    /// Not yet: how long ago the person signed in.
    pub max_age: Option<Later>,
    /// Not yet: an expression.
    pub when: Option<Later>,
    /// At least one of these conditions.
    pub any: Option<Vec<Self>>,
    /// Not yet: who may not pass.
    pub deny: Option<Later>,
}

impl<'de> ShortOrLong<'de> for AccessWritten {
    const EXPECTED: &'static str = "`public`, `optional`, `signed_in` or a condition";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        let word = match text {
            "public" => AccessWord::Public,
            "optional" => AccessWord::Optional,
            "signed_in" => AccessWord::SignedIn,
            _ => {
                return Err(E::unknown_variant(
                    text,
                    &["public", "optional", "signed_in"],
                ));
            }
        };
        Ok(Self::Word(word))
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ConditionWritten::deserialize(deserializer).map(Self::Condition)
    }
}

impl<'de> Deserialize<'de> for AccessWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}
