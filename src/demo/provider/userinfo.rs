//! The userinfo endpoint (OpenID Connect Core section 5.3, RFC 6750 section 2.1).

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use super::Provider;
use super::inbound::Inbound;
use super::issue::profile;
use super::reply::{self, ErrorCode, Refusal};

impl Provider {
    pub(super) fn userinfo(&self, inbound: &Inbound) -> Response<Bytes> {
        if !inbound.has_authorization() {
            // Without credentials there is nothing to call an error (RFC 6750 section 3).
            let mut response = reply::empty(StatusCode::UNAUTHORIZED);
            response.headers_mut().insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"sidegate provider\""),
            );
            return response;
        }
        match self.claims_for(inbound) {
            Ok(claims) => reply::json(StatusCode::OK, &claims.into()),
            Err(refusal) => refusal.bearer_response(),
        }
    }

    fn claims_for(&self, inbound: &Inbound) -> Result<Map<String, Value>, Refusal> {
        let invalid = Refusal::new(
            ErrorCode::InvalidToken,
            "the access token is unknown, expired or revoked",
        );
        let state = self.state();
        let token = inbound
            .credentials("Bearer")
            .and_then(|token| state.access_tokens.find(token, inbound.now))
            .ok_or(invalid)?;
        let (_, user) = state.standing(&token.grant, inbound.now).ok_or(invalid)?;
        if !token.scopes.contains("openid") {
            return Err(Refusal::new(
                ErrorCode::InsufficientScope,
                "userinfo needs the scope openid",
            ));
        }
        let mut claims = profile(user, &token.scopes);
        claims.insert("sub".to_owned(), user.subject.as_str().into());
        Ok(claims)
    }
}
