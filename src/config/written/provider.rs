//! `providers`, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::route::ConditionWritten;
use super::values::{Ordered, ShortOrLong, short_or_long};
use crate::config::secret_source::SecretSource;

/// One provider.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ProviderWritten {
    /// Its name in rules and paths: letters, digits, `-`, `_`, `.`. Needed where there are several.
    pub id: Option<String>,
    /// `oidc`, or `oauth2` with its three endpoints; presets are not yet. Default: `oidc`.
    pub kind: Option<KindWritten>,
    /// The issuer, exactly as the provider writes it; for `oidc`.
    pub issuer: Option<String>,
    /// Where people are sent; for `oauth2`.
    pub authorization_endpoint: Option<String>,
    /// Where codes are redeemed; for `oauth2`.
    pub token_endpoint: Option<String>,
    /// Who it is; for `oauth2`.
    pub userinfo_endpoint: Option<String>,
    /// Our name at the provider. Needed.
    pub client_id: Option<String>,
    /// Our secret at the provider; absent for a public client.
    pub client_secret: Option<SecretSource>,
    /// The path of our callback. Default: `PREFIX/callback`, and `PREFIX/callback/ID` where there are several providers.
    pub redirect_path: Option<String>,
    /// How we prove who we are when a code is redeemed. Default: `auto`.
    pub token_endpoint_auth_method: Option<AuthMethodWritten>,
    /// What is asked for. Default: `[openid, profile, email]` for `oidc`, nothing for `oauth2`.
    pub scopes: Option<Vec<String>>,
    /// Who may sign in at all: `everyone` or a condition. Default: `everyone`; open-enrolment providers demand it written.
    pub admit: Option<AdmitWritten>,
    /// The certificates that vouch for the provider instead of the system's.
    pub ca: Option<CaWritten>,
    /// Audiences that an ID token may have beside ours. Default: `[]`.
    pub trusted_audiences: Option<Vec<String>>,
    /// Where to find what in the claims, when the provider is unusual.
    pub claims: Option<ClaimsWritten>,
    /// Further parameters of every authorization request.
    pub authorization_parameters: Option<Ordered<String>>,
    /// When the userinfo endpoint is asked. Default: `when_needed`.
    pub userinfo: Option<UserInfoWritten>,
    /// Whether the ID token is kept for the provider's logout. Default: `auto`.
    pub id_token_hint: Option<HintWritten>,
    /// Whether sessions are renewed by its refresh tokens. Default: `use`.
    pub refresh_tokens: Option<RefreshTokensWritten>,
    /// Takes every e-mail address of this provider for verified. Default: `false`.
    pub insecure_trust_email: Option<bool>,
}

/// The kind of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = "the kind of a provider")]
pub enum KindWritten {
    /// OpenID Connect, found by discovery.
    Oidc,
    /// Plain OAuth 2.0.
    OAuth2,
    /// Not yet.
    Google,
    /// Not yet.
    Entra,
    /// Not yet.
    GitHub,
    /// Not yet.
    GitLab,
    /// Not yet.
    Keycloak,
    /// Not yet.
    Okta,
}

/// How we prove who we are at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "an authentication method")]
pub enum AuthMethodWritten {
    /// By what the provider says it takes.
    Auto,
    /// The secret in `Authorization: Basic`.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// Not yet.
    PrivateKeyJwt,
    /// Not yet.
    TlsClientAuth,
    /// Not at all: a public client.
    None,
}

/// When the userinfo endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "snake_case",
    expecting = "`when_needed`, `always` or `never`"
)]
pub enum UserInfoWritten {
    /// Where the ID token lacks a claim.
    WhenNeeded,
    /// At every login.
    Always,
    /// Never.
    Never,
}

/// Whether the ID token is kept for the provider's logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`auto`, `always` or `never`")]
pub enum HintWritten {
    /// Where it fits and may be needed.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether sessions are renewed by a provider's refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = "`use` or `ignore`")]
pub enum RefreshTokensWritten {
    /// Wherever one came.
    Use,
    /// Never: people come by the provider instead.
    Ignore,
}

/// The certificates that vouch for somebody.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ file: PATH }`")]
pub struct CaWritten {
    /// A file of PEM certificates. Needed.
    pub file: PathBuf,
}

/// Where to find what in the claims.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ClaimsWritten {
    /// The stable subject; for `oauth2` only. Default: `sub`.
    pub subject: Option<String>,
    /// The e-mail address. Default: `email`.
    pub email: Option<String>,
    /// Whether the address is verified. Default: `email_verified`.
    pub email_verified: Option<String>,
    /// The groups. Default: `groups`.
    pub groups: Option<String>,
    /// The short name. Default: `preferred_username`.
    pub preferred_username: Option<String>,
    /// The full name. Default: `name`.
    pub name: Option<String>,
}

/// Who may sign in at all.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum AdmitWritten {
    /// `everyone`.
    Word(Everyone),
    /// A condition.
    Condition(Box<ConditionWritten>),
}

/// The word for everybody that the provider lets sign in.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Everyone {
    /// Everybody that the provider lets sign in.
    Everyone,
}

impl<'de> ShortOrLong<'de> for AdmitWritten {
    const EXPECTED: &'static str = "`everyone` or a condition";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        match text {
            "everyone" => Ok(Self::Word(Everyone::Everyone)),
            _ => Err(E::unknown_variant(text, &["everyone"])),
        }
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ConditionWritten::deserialize(deserializer).map(|one| Self::Condition(Box::new(one)))
    }
}

impl<'de> Deserialize<'de> for AdmitWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}
