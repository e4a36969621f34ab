//! The provider's metadata (OpenID Connect Discovery 1.0, RFC 8414) and its public keys.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::authorization::Strength;
use super::signing::SigningAlgorithm;
use super::{OldKeys, Provider, reply};

impl Provider {
    pub(super) fn discovery(&self) -> Response<Bytes> {
        reply::json(StatusCode::OK, &self.metadata())
    }

    /// The metadata document.
    #[must_use]
    pub fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let client_authentication = ["client_secret_basic", "client_secret_post", "none"];
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks"),
            "revocation_endpoint": at("/revoke"),
            "introspection_endpoint": at("/introspect"),
            "end_session_endpoint": at("/end_session"),
            "scopes_supported": self.supported_scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": client_authentication,
            "revocation_endpoint_auth_methods_supported": client_authentication,
            "introspection_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": Strength::NAMES,
            "prompt_values_supported": ["none", "login", "select_account", "consent"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid",
                "name", "preferred_username", "email", "email_verified", "groups",
            ],
            "claims_parameter_supported": false,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "authorization_response_iss_parameter_supported": true,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
        })
    }

    pub(super) fn jwks(&self) -> Response<Bytes> {
        reply::json(StatusCode::OK, &self.key_set())
    }

    /// The public key set (RFC 7517 section 5): today's keys, then retired ones that are still
    /// published.
    #[must_use]
    pub fn key_set(&self) -> Value {
        let state = self.state();
        let published = state
            .retired
            .iter()
            .filter(|(_, old)| *old == OldKeys::Published)
            .map(|(keys, _)| keys);
        let keys: Vec<_> = std::iter::once(&state.keys)
            .chain(published)
            .flat_map(|keys| {
                [SigningAlgorithm::Rs256, SigningAlgorithm::Es256].map(|it| keys.jwk(it).clone())
            })
            .collect();
        json!({ "keys": keys })
    }
}
