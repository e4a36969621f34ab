//! Floor 1: OAuth 2.0 and OpenID Connect as words. Pure: nothing here opens a socket, reads a clock
//! or draws a random byte.
//!
//! | the standards say | our type | file |
//! | --- | --- | --- |
//! | client, client registration | [`Client`](client::Client) | `client.rs` |
//! | OpenID Provider metadata (Discovery) | [`ProviderMetadata`](metadata::ProviderMetadata) | `metadata/` |
//! | authorization request, PKCE | [`AuthorizationRequest`](authorization::AuthorizationRequest) | `authorization/` |
//! | state, nonce, `code_verifier` of a login | [`PendingLogin`](authorization::PendingLogin) | `authorization/` |
//! | authorization response, `iss` (RFC 9207) | [`AuthorizationResponse`](callback::AuthorizationResponse) | `callback/` |
//! | authorization code grant | [`CodeGrant`](callback::CodeGrant) | `callback/` |
//! | token request and answer | [`TokenRequest`](token::TokenRequest), [`TokenAnswer`](token::TokenAnswer) | `token/` |
//! | JWK set | [`Jwks`](jwks::Jwks) | `jwks/` |
//! | JWS | [`jws::verify`] | `jws/` |
//! | ID token validation | [`id_token::verify`] | `id_token/` |
//! | claims | [`Claims`](claims::Claims) | `claims.rs` |
//! | `UserInfo` answer | [`UserInfo`](user_info::UserInfo) | `user_info.rs` |
//! | end session request | [`EndSessionRequest`](logout::EndSessionRequest) | `logout.rs` |
//!
//! A login passes through them in this order, and each step takes by value what only the one before
//! it can make: [`AuthorizationRequest::begin`](authorization::AuthorizationRequest::begin) gives a
//! pending login; that and a response that answers it give a code grant; a code grant gives one
//! token request; a raw ID token that is held to the same login's nonce gives claims; and claims
//! give an [`Identity`](claims::Identity). There is no other way to any of these.

pub mod algorithm;
pub mod authorization;
pub mod callback;
pub mod claim_path;
pub mod claims;
pub mod client;
mod email_address;
pub mod endpoint;
pub mod error_code;
pub mod foreign_text;
#[cfg(test)]
mod forge;
pub mod id_token;
pub mod identity_rules;
pub mod json;
pub mod jwks;
pub mod jws;
pub mod logout;
pub mod logout_token;
pub mod metadata;
pub mod numeric_date;
pub mod token;
pub mod user_info;
