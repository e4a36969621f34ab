//! Asking the provider again without the person: the refresh token's one use, and its revocation.

use std::time::Duration;

use super::errors::{LoginError, Stage};
use super::login::{CLOCK_SKEW, token_answer};
use super::{Provider, ProviderKind, UserInfoUse};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::oidc::claims::Identity;
use crate::oidc::error_code::ErrorCode;
use crate::oidc::id_token::{Expectations, IdTokenError, Nonce};
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::token::{Finality, TokenError, TokenRequest, TokenSet};
use crate::oidc::user_info::UserInfoError;
use crate::session::lifetime::Renewed;
use crate::session::{Grant, Session};

/// How long a revocation may take: nobody waits for it, and nothing depends on it (security
/// requirement E17).
const REVOCATION_TIME: Duration = Duration::from_secs(2);

/// How long the token endpoint may take for a renewal: long, because whoever waits for it gives up
/// earlier, while an answer that is not awaited takes a token with it that was spent for it.
const RENEWAL_TIME: Duration = Duration::from_mins(1);

/// Why a session was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The provider says that it is over, in the words of RFC 6749 section 5.2.
    #[error("the provider ended it: {0}")]
    Refused(TokenError),
    /// What came is not for this session: another person's, or not of the provider's making
    /// (OpenID Connect Core section 12.2).
    #[error("what the provider answered is not for this session: {0}")]
    Mismatch(LoginError),
    /// The answer does not say who it is now, or refuses to renew at all, or without saying why, as
    /// some do where the standard has `invalid_grant`: the person must come by.
    #[error("the answer says too little")]
    TooLittle,
    /// It may work later. The session is as good as before.
    #[error("not now: {0}")]
    Transient(LoginError),
    /// The same, but the provider gave another grant, and the one that was used may be spent.
    #[error("not now: {cause}")]
    Regranted {
        /// What renews the session from now on.
        grant: Grant,
        /// Why nothing was learned about the person.
        cause: LoginError,
    },
}

impl From<LoginError> for RenewalError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Token(error) if error.finality() == Finality::Final => Self::Refused(error),
            // Nothing is wrong with the provider, and asking it again would bring the same.
            LoginError::Token(TokenError::Status(400)) | LoginError::Identity(_) => Self::TooLittle,
            LoginError::Token(TokenError::Refused { status, refusal })
                if status < 500 && denies_renewal(&refusal.code) =>
            {
                Self::TooLittle
            }
            // Our clock or theirs is wrong, and nobody's session is the worse for it.
            LoginError::IdToken(
                IdTokenError::IssuedAhead { .. } | IdTokenError::NotYetValid { .. },
            ) => Self::Transient(error),
            LoginError::IdToken(_) | LoginError::UserInfo(UserInfoError::SubjectMismatch) => {
                Self::Mismatch(error)
            }
            error => Self::Transient(error),
        }
    }
}

/// Whether the code says that this is renewed for nobody, or not any more, which is no word about the
/// person and does not pass by itself: a sign-in may go well all the same.
fn denies_renewal(code: &ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnauthorizedClient | ErrorCode::UnsupportedGrantType | ErrorCode::InvalidScope
    )
}

impl Provider {
    /// Asks the provider anew, once, with the session's refresh token; the answer's ID token is held
    /// to everything that the first one was but the nonce (security requirement E9).
    ///
    /// # Errors
    /// [`RenewalError`]; only [`RenewalError::Refused`] and [`RenewalError::Mismatch`] end a session.
    pub async fn renew(&self, session: &Session) -> Result<Renewed, RenewalError> {
        // What comes is younger than this, however long a machine sleeps before it looks at it.
        let asked_at = self.clock.now();
        let grant = session.grant.as_ref().ok_or(RenewalError::TooLittle)?;
        let metadata = self.metadata.load_full().ok_or(LoginError::Unavailable)?;
        let request = TokenRequest::for_refresh(&grant.refresh_token, &self.client, &metadata)
            .map_err(LoginError::from)?;
        let response = self
            .call_within(RENEWAL_TIME, request.into_http(), Stage::Token)
            .await?;
        let tokens = token_answer(&response)
            .parse_refreshed(metadata.kind())
            .map_err(LoginError::from)?;
        let grant = self
            .grant(&tokens, Some(&grant.refresh_token))
            .ok_or(RenewalError::TooLittle)?;
        match self
            .learn_who((&metadata, asked_at), &tokens, session)
            .await
        {
            Ok((identity, raw_id_token)) if session.is_of(&identity) => Ok(Renewed {
                identity,
                grant,
                raw_id_token,
            }),
            Ok(_) => Err(RenewalError::Mismatch(LoginError::UserInfo(
                UserInfoError::SubjectMismatch,
            ))),
            Err(RenewalError::Transient(cause)) => Err(RenewalError::Regranted { grant, cause }),
            Err(error) => Err(error),
        }
    }

    async fn learn_who(
        &self,
        (metadata, asked_at): (&ProviderMetadata, UnixTime),
        tokens: &TokenSet,
        session: &Session,
    ) -> Result<(Identity, Option<Secret>), RenewalError> {
        match (&self.settings.kind, &tokens.raw_id_token) {
            (ProviderKind::OAuth2 { .. }, _) => {
                let who = self.sign_in_oauth2(metadata, tokens).await?;
                Ok((who.identity, None))
            }
            (ProviderKind::Oidc { userinfo, .. }, Some(raw)) => {
                self.reread((metadata, asked_at), tokens, raw, *userinfo)
                    .await
            }
            (ProviderKind::Oidc { .. }, None) => {
                Ok((self.reheard(metadata, tokens, session).await?, None))
            }
        }
    }

    /// Who it is by the new ID token, as of when it was asked for.
    async fn reread(
        &self,
        (metadata, asked_at): (&ProviderMetadata, UnixTime),
        tokens: &TokenSet,
        raw: &Secret,
        userinfo: UserInfoUse,
    ) -> Result<(Identity, Option<Secret>), RenewalError> {
        let expectations = Expectations {
            issuer: metadata.issuer(),
            client_id: self.client.id(),
            nonce: Nonce::Refreshed,
            max_age: None,
            trusted_audiences: &self.settings.trusted_audiences,
            algorithms: Self::algorithms(metadata),
            access_token: Some(&tokens.access_token),
            clock_skew: CLOCK_SKEW,
        };
        let claims = self.verify(raw, metadata, &expectations, asked_at).await?;
        let told = match metadata.userinfo_endpoint() {
            Some(endpoint) if self.wants_userinfo(userinfo, &claims) => {
                Some(self.userinfo(endpoint, tokens, claims.subject()).await?)
            }
            _ => None,
        };
        let identity = self
            .rules
            .identity(&claims, told.as_ref())
            .map_err(LoginError::from)?;
        let kept = self.keeps_id_token(metadata, raw).then(|| raw.clone());
        Ok((identity, kept))
    }

    /// Who it is by the `UserInfo` alone.
    async fn reheard(
        &self,
        metadata: &ProviderMetadata,
        tokens: &TokenSet,
        session: &Session,
    ) -> Result<Identity, RenewalError> {
        let endpoint = metadata
            .userinfo_endpoint()
            .ok_or(RenewalError::TooLittle)?;
        let before = &session.identity;
        let told = self.userinfo(endpoint, tokens, &before.subject).await?;
        self.rules
            .identity_refreshed(before, &told)
            .map_err(LoginError::from)?
            .ok_or(RenewalError::TooLittle)
    }

    /// Tells the provider that the refresh token is no longer wanted (RFC 7009), within two seconds
    /// or not at all. Where it has no place for that, nothing is told.
    ///
    /// # Errors
    /// [`RevocationError`]: the token may be good for as long as the provider lets it be.
    pub async fn revoke(&self, refresh_token: &Secret) -> Result<(), RevocationError> {
        let Some(metadata) = self.metadata.load_full() else {
            return Ok(());
        };
        let Some(request) = TokenRequest::for_revocation(refresh_token, &self.client, &metadata)
        else {
            return Ok(());
        };
        let call = self.call(request.into_http(), Stage::Revocation);
        let called = tokio::time::timeout(REVOCATION_TIME, call).await;
        match called.map_err(|_| RevocationError::TimedOut)? {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(RevocationError::Status(response.status().as_u16())),
            Err(error) => Err(RevocationError::Failed(error)),
        }
    }
}

/// Why a refresh token was perhaps not revoked. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The provider answered with another status than 200.
    #[error("the revocation endpoint answered {0}")]
    Status(u16),
    /// It was not reached, or its answer is none.
    #[error("{0}")]
    Failed(LoginError),
    /// It did not answer within two seconds.
    #[error("the revocation endpoint did not answer in time")]
    TimedOut,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::identity_rules::IdentityError;

    // E10: what only one person's claims are to blame for is no outage for all.
    #[test]
    fn claims_that_make_no_identity_are_no_outage() {
        for error in [
            LoginError::Identity(IdentityError::TooManyGroups),
            LoginError::Token(TokenError::Status(400)),
        ] {
            assert!(matches!(RenewalError::from(error), RenewalError::TooLittle));
        }
        for error in [
            LoginError::Unavailable,
            LoginError::Token(TokenError::Status(500)),
        ] {
            let error = RenewalError::from(error);
            assert!(matches!(error, RenewalError::Transient(_)), "{error}");
        }
    }
}
