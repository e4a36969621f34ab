//! What goes wrong in the conversation, and at which stage of it.

use crate::oidc::authorization::BeginError;
use crate::oidc::client::ClientError;
use crate::oidc::id_token::IdTokenError;
use crate::oidc::identity_rules::IdentityError;
use crate::oidc::jwks::JwksError;
use crate::oidc::metadata::{MetadataError, UpdateFault};
use crate::oidc::token::{RequestError, TokenError};
use crate::oidc::user_info::UserInfoError;
use crate::transport::http_client::ExchangeError;

/// Settings of a provider that do not hold together.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderFault {
    /// The registration.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The endpoints that were written down.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A claim path.
    #[error("`{0}` is not a claim path")]
    ClaimPath(String),
}

/// A step of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The discovery document.
    Discovery,
    /// The key set.
    Keys,
    /// The token endpoint.
    Token,
    /// The userinfo endpoint.
    UserInfo,
    /// The revocation endpoint.
    Revocation,
}

impl Stage {
    /// The stage's name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "jwks",
            Self::Token => "token",
            Self::UserInfo => "userinfo",
            Self::Revocation => "revocation",
        }
    }
}

/// Why nothing was learned from the discovery document or the key set.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    #[error("the {} endpoint answered {status}", stage.as_str())]
    Status { stage: Stage, status: u16 },
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error("the provider's metadata changed for the worse and were not taken: {0}")]
    Update(#[from] UpdateFault),
    #[error(transparent)]
    Jwks(#[from] JwksError),
    #[error("the request could not be built")]
    Request,
}

/// Why a login came to nothing. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The provider's metadata or keys are not known, and no fresh ones can be had.
    #[error("the provider is not answering")]
    Unavailable,
    /// The login could not begin.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The token request could not be built.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An exchange with the provider failed.
    #[error("{}: {cause}", stage.as_str())]
    Exchange {
        /// With which endpoint.
        stage: Stage,
        /// How.
        cause: ExchangeError,
    },
    /// The token endpoint's answer yields no tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The ID token is refused.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// The ID token's key is not among those that are known, and no newer ones can be had now.
    #[error("{0}; and no newer keys can be had")]
    StaleKeys(IdTokenError),
    /// The userinfo endpoint answered with another status than 200.
    #[error("the userinfo endpoint answered {0}")]
    UserInfoStatus(u16),
    /// The UserInfo is refused.
    #[error(transparent)]
    UserInfo(#[from] UserInfoError),
    /// No identity comes of the claims.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}
