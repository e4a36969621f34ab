//! From a code to somebody who signed in. The order is the guard: the ID token is verified before
//! anybody is asked more, and nothing is a session before both have passed.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::errors::{LoginError, Stage};
use super::{Provider, ProviderKind, RefreshTokens, UserInfoUse};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::oidc::callback::CodeGrant;
use crate::oidc::claims::Claims;
use crate::oidc::endpoint::Endpoint;
use crate::oidc::id_token::{self, Expectations, IdTokenError, Nonce};
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::token::{LoginExpectations, TokenAnswer, TokenRequest, TokenSet};
use crate::oidc::user_info::{Profile, UserInfo};
use crate::session::Grant;
use crate::session::lifetime::SignedIn;
use crate::transport::http_client::Bounds;

/// How long one call at a login may take, in all.
const CALL_TIME: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// How far the provider's clock and ours may differ.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(30);

impl Provider {
    /// Redeems the grant and finds out who it is. The code is sent once, whatever happens (security
    /// requirement E4).
    ///
    /// # Errors
    /// [`LoginError`]: then nobody has signed in.
    pub async fn complete_login(&self, grant: CodeGrant) -> Result<SignedIn, LoginError> {
        let metadata = self.metadata.load_full().ok_or(LoginError::Unavailable)?;
        let (request, expectations) = TokenRequest::for_code(grant, &self.client, &metadata)?;
        let tokens = self.redeem(request, &metadata).await?;
        match &self.settings.kind {
            ProviderKind::Oidc { userinfo, .. } => {
                self.sign_in_oidc(&metadata, &tokens, &expectations, *userinfo)
                    .await
            }
            ProviderKind::OAuth2 { .. } => self.sign_in_oauth2(&metadata, &tokens).await,
        }
    }

    async fn redeem(
        &self,
        request: TokenRequest,
        metadata: &ProviderMetadata,
    ) -> Result<TokenSet, LoginError> {
        let response = self.call(request.into_http(), Stage::Token).await?;
        Ok(token_answer(&response).parse(metadata.kind())?)
    }

    async fn sign_in_oidc(
        &self,
        metadata: &ProviderMetadata,
        tokens: &TokenSet,
        expectations: &LoginExpectations,
        userinfo: UserInfoUse,
    ) -> Result<SignedIn, LoginError> {
        let raw_id_token = tokens
            .raw_id_token
            .as_ref()
            .ok_or(IdTokenError::Missing("id_token"))?;
        let expectations = Expectations {
            issuer: metadata.issuer(),
            client_id: self.client.id(),
            nonce: Nonce::Sent(expectations.nonce.as_ref().ok_or(IdTokenError::Nonce)?),
            max_age: expectations.max_age,
            trusted_audiences: &self.settings.trusted_audiences,
            algorithms: Self::algorithms(metadata),
            access_token: Some(&tokens.access_token),
            clock_skew: CLOCK_SKEW,
        };
        let now = self.clock.now();
        let claims = self
            .verify(raw_id_token, metadata, &expectations, now)
            .await?;
        let told = match metadata.userinfo_endpoint() {
            Some(endpoint) if self.wants_userinfo(userinfo, &claims) => {
                Some(self.userinfo(endpoint, tokens, claims.subject()).await?)
            }
            _ => None,
        };
        let identity = self.rules.identity(&claims, told.as_ref())?;
        Ok(SignedIn {
            identity,
            provider: self.settings.id.clone(),
            provider_sid: claims.sid().map(str::to_owned),
            auth_time: claims.auth_time(),
            acr: claims.acr().map(str::to_owned),
            grant: self.grant(tokens, None),
            raw_id_token: self
                .keeps_id_token(metadata, raw_id_token)
                .then(|| raw_id_token.clone()),
        })
    }

    /// What renews the session: the refresh token that came, or the one that was used where none did
    /// (RFC 6749 section 6).
    pub(super) fn grant(&self, tokens: &TokenSet, used: Option<&Secret>) -> Option<Grant> {
        if self.settings.refresh_tokens == RefreshTokens::Ignore {
            return None;
        }
        let refresh_token = tokens.refresh_token.as_ref().or(used)?.clone();
        Some(Grant {
            refresh_token,
            access_expires_at: tokens.expires_at(self.clock.now()),
        })
    }

    /// Verifies the ID token as of `now`, with a fresh key set where the known one may be out of date.
    pub(super) async fn verify(
        &self,
        raw: &Secret,
        metadata: &ProviderMetadata,
        expectations: &Expectations<'_>,
        now: UnixTime,
    ) -> Result<Claims, LoginError> {
        let jwks_uri = metadata.jwks_uri().ok_or(LoginError::Unavailable)?;
        let known = self.keys.current();
        let judge = |known: &Arc<super::keys::Known>| {
            id_token::verify(raw.expose(), &known.jwks, expectations, now)
        };
        let first = match &known {
            Some(known) => match judge(known) {
                Err(error) if error.keys_may_be_stale() => Some(error),
                outcome => return Ok(outcome?),
            },
            None => None,
        };
        match (
            self.keys
                .newer_than(known.as_ref(), &self.http, jwks_uri)
                .await,
            first,
        ) {
            (Some(newer), _) => Ok(judge(&newer)?),
            (None, Some(error)) => Err(LoginError::StaleKeys(error)),
            (None, None) => Err(LoginError::Unavailable),
        }
    }

    /// The endpoint is asked where the ID token leaves out something that a header or a rule could
    /// use.
    pub(super) fn wants_userinfo(&self, use_of_it: UserInfoUse, claims: &Claims) -> bool {
        match use_of_it {
            UserInfoUse::Always => true,
            UserInfoUse::Never => false,
            UserInfoUse::WhenNeeded => {
                let lacks = |path: &crate::oidc::claim_path::ClaimPath| {
                    path.find(claims.members()).is_none()
                };
                lacks(&self.rules.email)
                    || lacks(&self.rules.groups)
                    || lacks(&self.rules.preferred_username)
                    || self.rules.kept.iter().any(lacks)
            }
        }
    }

    pub(super) async fn sign_in_oauth2(
        &self,
        metadata: &ProviderMetadata,
        tokens: &TokenSet,
    ) -> Result<SignedIn, LoginError> {
        let endpoint = metadata
            .userinfo_endpoint()
            .ok_or(LoginError::Unavailable)?;
        let response = self.ask_userinfo(endpoint, tokens).await?;
        let profile = Profile::parse(response.body(), content_type(&response))?;
        Ok(SignedIn {
            identity: self.rules.identity_of_oauth2(metadata.issuer(), &profile)?,
            provider: self.settings.id.clone(),
            provider_sid: None,
            auth_time: None,
            acr: None,
            grant: self.grant(tokens, None),
            raw_id_token: None,
        })
    }

    pub(super) async fn userinfo(
        &self,
        endpoint: &Endpoint,
        tokens: &TokenSet,
        subject: &str,
    ) -> Result<UserInfo, LoginError> {
        let response = self.ask_userinfo(endpoint, tokens).await?;
        Ok(UserInfo::parse(
            response.body(),
            content_type(&response),
            subject,
        )?)
    }

    async fn ask_userinfo(
        &self,
        endpoint: &Endpoint,
        tokens: &TokenSet,
    ) -> Result<http::Response<bytes::Bytes>, LoginError> {
        let bearer = format!("Bearer {}", tokens.access_token.expose());
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| crate::oidc::token::TokenError::AccessToken)?;
        bearer.set_sensitive(true);
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = endpoint
            .as_str()
            .parse()
            .map_err(|_| LoginError::Unavailable)?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.call(request, Stage::UserInfo).await?;
        match response.status().as_u16() {
            200 => Ok(response),
            status => Err(LoginError::UserInfoStatus(status)),
        }
    }

    pub(super) async fn call(
        &self,
        request: Request<Vec<u8>>,
        stage: Stage,
    ) -> Result<http::Response<bytes::Bytes>, LoginError> {
        self.call_within(CALL_TIME, request, stage).await
    }

    pub(super) async fn call_within(
        &self,
        total: Duration,
        request: Request<Vec<u8>>,
        stage: Stage,
    ) -> Result<http::Response<bytes::Bytes>, LoginError> {
        let bounds = Bounds {
            total,
            body: ANSWER_LIMIT,
        };
        self.http
            .exchange(request, bounds)
            .await
            .map_err(|cause| LoginError::Exchange { stage, cause })
    }
}

pub(super) fn token_answer(response: &http::Response<bytes::Bytes>) -> TokenAnswer<'_> {
    TokenAnswer {
        status: response.status().as_u16(),
        content_type: content_type(response),
        body: response.body(),
    }
}

fn content_type(response: &http::Response<bytes::Bytes>) -> Option<&str> {
    response.headers().get(CONTENT_TYPE)?.to_str().ok()
}
