//! The token request: what redeems a code.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, SyncHttpClient, TokenUrl,
};

use crate::base::secret::Secret;
use crate::oidc::callback::CodeGrant;
use crate::oidc::client::{Client, TokenEndpointAuthMethod};
use crate::oidc::metadata::ProviderMetadata;

/// A request to the token endpoint, ready to be sent once. It is not `Clone`: a code is redeemed
/// at most once, also when the network fails (security requirement E4).
pub struct TokenRequest {
    request: HttpRequest,
}

/// What the answer's ID token will be held to.
#[derive(Debug)]
pub struct LoginExpectations {
    /// The nonce that was sent; none to a plain OAuth 2.0 provider.
    pub nonce: Option<Secret>,
    /// How long ago the person may have proved who they are.
    pub max_age: Option<Duration>,
}

/// Why a grant does not become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The grant is of another issuer than the metadata: the code would go to a stranger (B9).
    #[error("the login was begun with another issuer")]
    OtherIssuer,
    /// The redirect URI of the login is none. It was checked when the login began.
    #[error("the login's redirect_uri is unusable")]
    RedirectUri,
    /// The request could not be put together.
    #[error("the token request could not be built")]
    Unbuildable,
}

impl TokenRequest {
    /// Builds the request that redeems `grant`, with the client's authentication: HTTP Basic with
    /// form-encoded id and secret, or both in the body (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    /// [`RequestError::OtherIssuer`] when the grant is not for `metadata`'s issuer; the others only
    /// if a checked value turns out not to be what was checked.
    pub fn for_code(
        grant: CodeGrant,
        client: &Client,
        metadata: &ProviderMetadata,
    ) -> Result<(Self, LoginExpectations), RequestError> {
        if grant.issuer != metadata.issuer() {
            return Err(RequestError::OtherIssuer);
        }
        let redirect_uri =
            RedirectUrl::new(grant.redirect_uri).map_err(|_| RequestError::RedirectUri)?;
        let mut oauth = BasicClient::new(ClientId::new(client.id().to_owned()))
            .set_token_uri(TokenUrl::from_url(metadata.token_endpoint().url().clone()))
            .set_redirect_uri(redirect_uri)
            .set_auth_type(auth_type(client.auth_method(metadata)));
        if let Some(secret) = client.secret() {
            oauth = oauth.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        let unsent = oauth
            .exchange_code(AuthorizationCode::new(grant.code.expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(
                grant.code_verifier.expose().to_owned(),
            ))
            .request(&GivesBack);
        let Err(RequestTokenError::Request(Unsent(mut request))) = unsent else {
            return Err(RequestError::Unbuildable);
        };
        if let Some(credentials) = request.headers_mut().get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        let expectations = LoginExpectations {
            nonce: grant.nonce,
            max_age: grant.max_age,
        };
        Ok((Self { request }, expectations))
    }

    /// The request itself, to be sent.
    #[must_use]
    pub fn into_http(self) -> http::Request<Vec<u8>> {
        self.request
    }
}

fn auth_type(method: TokenEndpointAuthMethod) -> AuthType {
    match method {
        TokenEndpointAuthMethod::ClientSecretBasic => AuthType::BasicAuth,
        // Without a secret, `RequestBody` sends the client_id alone.
        TokenEndpointAuthMethod::ClientSecretPost
        | TokenEndpointAuthMethod::None
        | TokenEndpointAuthMethod::Automatic => AuthType::RequestBody,
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest({})", self.request.uri())
    }
}

/// The "client" that `oauth2` hands its finished request to. It sends nothing and gives the request
/// back as its error, so that building stays here and sending stays with the rim.
struct GivesBack;

#[derive(thiserror::Error)]
#[error("the request was not sent")]
struct Unsent(HttpRequest);

impl SyncHttpClient for GivesBack {
    type Error = Unsent;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, Unsent> {
        Err(Unsent(request))
    }
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsent([redacted])")
    }
}
