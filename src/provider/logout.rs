//! What a provider says of sessions that it ended.

use super::login::CLOCK_SKEW;
use super::{Provider, ProviderKind};
use crate::oidc::logout_token::{self, Expectations, LogoutToken, LogoutTokenError};

/// Why a logout token was not believed.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// It is wrong.
    #[error(transparent)]
    Token(#[from] LogoutTokenError),
    /// The provider has no keys that could have signed it, or none are known yet.
    #[error("the keys of the provider are not known")]
    Unavailable,
}

impl Provider {
    /// Verifies a logout token of this provider, with a fresh key set where the known one may be out of
    /// date, no more often than for any other token (security requirement D2).
    ///
    /// # Errors
    /// [`LogoutError`].
    pub async fn verify_logout(&self, raw: &str) -> Result<LogoutToken, LogoutError> {
        if matches!(self.settings.kind, ProviderKind::OAuth2 { .. }) {
            return Err(LogoutError::Unavailable);
        }
        let metadata = self.metadata.load_full();
        let metadata = metadata.ok_or(LogoutError::Unavailable)?;
        let jwks_uri = metadata.jwks_uri().ok_or(LogoutError::Unavailable)?;
        let expectations = Expectations {
            issuer: metadata.issuer(),
            client_id: self.client.id(),
            algorithms: Self::algorithms(&metadata),
            clock_skew: CLOCK_SKEW,
        };
        let now = self.clock.now();
        let judge = |known: &std::sync::Arc<super::keys::Known>| {
            logout_token::verify(raw, &known.jwks, &expectations, now)
        };
        let known = self.keys.current();
        let first = match &known {
            Some(known) => match judge(known) {
                Err(error) if error.keys_may_be_stale() => Some(error),
                outcome => return Ok(outcome?),
            },
            None => None,
        };
        let newer = self
            .keys
            .newer_than(known.as_ref(), &self.http, jwks_uri)
            .await;
        match (newer, first) {
            (Some(newer), _) => Ok(judge(&newer)?),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(LogoutError::Unavailable),
        }
    }
}
