//! Token introspection (RFC 7662).

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Provider;
use super::inbound::Inbound;
use super::reply::{self, ErrorCode, Refusal};
use super::state::{Rotated, State};
use super::token::sound_form;
use crate::base::clock::UnixTime;

impl Provider {
    pub(super) fn introspect(&self, inbound: &Inbound) -> Response<Bytes> {
        match self.introspection(inbound) {
            Ok(facts) => reply::json(StatusCode::OK, &facts),
            Err(refusal) => refusal.response(),
        }
    }

    fn introspection(&self, inbound: &Inbound) -> Result<Value, Refusal> {
        let form = sound_form(inbound)?;
        let state = self.state();
        let client = state.authenticate(inbound, form)?;
        if client.client_secret.is_none() {
            // Anybody could be it, and would learn about tokens by trying (section 4).
            return Err(Refusal::new(
                ErrorCode::InvalidClient,
                "a public client may not introspect",
            ));
        }
        let token = form
            .value("token")
            .ok_or(Refusal::new(ErrorCode::InvalidRequest, "token is missing"))?;
        let active = self
            .access_token_facts(&state, token, inbound.now)
            .or_else(|| self.refresh_token_facts(&state, token, inbound.now));
        // Nothing is said about why a token is not active (section 2.2).
        Ok(active.unwrap_or_else(|| json!({ "active": false })))
    }

    fn access_token_facts(&self, state: &State, token: &str, now: UnixTime) -> Option<Value> {
        let token = state.access_tokens.find(token, now)?;
        let (grant, user) = state.standing(&token.grant, now)?;
        Some(json!({
            "active": true,
            "token_type": "Bearer",
            "iss": self.issuer,
            "sub": user.subject,
            "username": user.username,
            "client_id": grant.client_id,
            "aud": grant.client_id,
            "scope": token.scopes.to_string(),
            "iat": token.issued_at.as_seconds(),
            "exp": token.expires_at.as_seconds(),
        }))
    }

    fn refresh_token_facts(&self, state: &State, token: &str, now: UnixTime) -> Option<Value> {
        let token = state.refresh_tokens.find(token, now)?;
        if token.rotated == Rotated::Yes {
            return None;
        }
        let (grant, user) = state.standing(&token.grant, now)?;
        Some(json!({
            "active": true,
            "iss": self.issuer,
            "sub": user.subject,
            "username": user.username,
            "client_id": grant.client_id,
            "scope": grant.scopes.to_string(),
            "iat": token.issued_at.as_seconds(),
            "exp": token.expires_at.as_seconds(),
        }))
    }
}
