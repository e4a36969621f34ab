//! A provider, as configured.

use crate::transport::reach::Reach;
use std::path::PathBuf;
use url::Url;

use crate::base::secret::Secret;
use crate::gate::access::Condition;
use crate::oidc::claim_path::ClaimPath;

/// One provider, as configured.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Its id: unique, the name of its callback path where there are several.
    pub id: String,
    /// Which protocol it speaks, and where.
    pub kind: ProviderKind,
    /// Our name there (RFC 6749 section 2.2).
    pub client_id: String,
    /// Our secret there; none for a public client.
    pub client_secret: Option<Secret>,
    /// How we authenticate at the token endpoint.
    pub auth_method: AuthMethod,
    /// The path of our callback, below the public URL: starts with `/`.
    pub redirect_path: String,
    /// What we ask for, in order.
    pub scopes: Vec<String>,
    /// Who may sign in at all.
    pub admit: Admit,
    /// Roots that vouch for its certificate instead of the system's.
    pub ca: Option<PathBuf>,
    /// Audiences that an ID token may have beside ours.
    pub trusted_audiences: Vec<String>,
    /// Where to find what in the claims.
    pub claims: ClaimPaths,
    /// Further parameters of every authorization request.
    pub authorization_parameters: Vec<(String, String)>,
    /// Whether the raw ID token is kept for `id_token_hint`.
    pub id_token_hint: IdTokenHint,
    /// Whether sessions are renewed by its refresh tokens.
    pub refresh_tokens: RefreshTokens,
}

/// Whether sessions are renewed by a provider's refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokens {
    /// Wherever one came.
    Use,
    /// Never: several gates with one key and no store between them would spend a token twice.
    Ignore,
}

/// Which protocol a provider speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect, found by discovery.
    Oidc {
        /// The issuer, exactly.
        issuer: String,
        /// Whether the userinfo endpoint is asked too.
        userinfo: UserInfoUse,
    },
    /// Plain OAuth 2.0 with a userinfo endpoint.
    OAuth2 {
        /// Where people are sent.
        authorization_endpoint: String,
        /// Where codes are redeemed.
        token_endpoint: String,
        /// Who it is.
        userinfo_endpoint: String,
    },
}

impl ProviderSettings {
    /// Where calls to it may go: the hosts that are written down here, and what the provider's
    /// metadata name as far as [`Reach`] permits it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let written = match &self.kind {
            ProviderKind::Oidc { issuer, .. } => vec![issuer],
            ProviderKind::OAuth2 {
                authorization_endpoint,
                token_endpoint,
                userinfo_endpoint,
            } => vec![authorization_endpoint, token_endpoint, userinfo_endpoint],
        };
        let urls: Vec<_> = written
            .iter()
            .filter_map(|url| Url::parse(url).ok())
            .collect();
        Reach::of_hosts(urls.iter().filter_map(Url::host_str))
    }
}

/// Whether the userinfo endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserInfoUse {
    /// Only where the ID token lacks a configured or default claim and the provider has one.
    WhenNeeded,
    /// At every login.
    Always,
    /// Never.
    Never,
}

/// How we authenticate at the token endpoint (OpenID Connect Core section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// By the provider's metadata: Basic if it may, else the body; none without a secret.
    Auto,
    /// `client_secret_basic`.
    ClientSecretBasic,
    /// `client_secret_post`.
    ClientSecretPost,
    /// `none`: a public client.
    None,
}

/// Who may sign in at a provider at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admit {
    /// Everybody that the provider lets sign in.
    Everyone,
    /// Those who meet the condition.
    When(Condition),
}

/// Claim paths; `None` is the standard claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimPaths {
    /// The stable subject; only for plain OAuth 2.0.
    pub subject: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the address is verified.
    pub email_verified: Option<String>,
    /// Whether the provider is known to verify every address it tells.
    pub email_trust: EmailTrust,
    /// The groups.
    pub groups: Option<String>,
    /// The short name.
    pub preferred_username: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// Further claims, which rules ask for.
    pub kept: Vec<ClaimPath>,
}

/// Whose word it takes for an e-mail address to be used in rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmailTrust {
    /// The claim must say that it is verified.
    #[default]
    VerifiedClaim,
    /// The operator says (`insecure_trust_email`) that the provider verifies all of them.
    Provider,
}

/// Whether the raw ID token is kept in the session for the provider's logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdTokenHint {
    /// Only where it fits a small cookie and the provider has an end-session endpoint that may need it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
