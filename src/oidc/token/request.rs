//! The token requests: what redeems a code, renews by a refresh token, and revokes one.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ErrorResponse, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, SyncHttpClient, TokenUrl,
};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::oidc::callback::CodeGrant;
use crate::oidc::client::{Client, TokenEndpointAuthMethod};
use crate::oidc::metadata::ProviderMetadata;

/// The client as `oauth2` has it, once its token endpoint is known.
type Oauth =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

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
        let oauth = oauth(client, metadata).set_redirect_uri(redirect_uri);
        let unsent = oauth
            .exchange_code(AuthorizationCode::new(grant.code.expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(
                grant.code_verifier.expose().to_owned(),
            ))
            .request(&GivesBack);
        let request = Self::built(unsent)?;
        let expectations = LoginExpectations {
            nonce: grant.nonce,
            max_age: grant.max_age,
        };
        Ok((request, expectations))
    }

    /// Builds the request that renews by `refresh_token` (RFC 6749 section 6). No scope is named, so
    /// that the one granted stays.
    ///
    /// # Errors
    /// [`RequestError::Unbuildable`], only if a checked value turns out not to be what was checked.
    pub fn for_refresh(
        refresh_token: &Secret,
        client: &Client,
        metadata: &ProviderMetadata,
    ) -> Result<Self, RequestError> {
        let token = RefreshToken::new(refresh_token.expose().to_owned());
        Self::built(
            oauth(client, metadata)
                .exchange_refresh_token(&token)
                .request(&GivesBack),
        )
    }

    /// Builds the request that revokes `refresh_token`, and with it what it renewed (RFC 7009
    /// section 2.1); nothing where the provider has no endpoint for that.
    #[must_use]
    pub fn for_revocation(
        refresh_token: &Secret,
        client: &Client,
        metadata: &ProviderMetadata,
    ) -> Option<Self> {
        let endpoint = metadata.revocation_endpoint()?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", refresh_token.expose());
        form.append_pair("token_type_hint", "refresh_token");
        let mut request = Request::post(endpoint.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match (client.auth_method(metadata), client.secret()) {
            (TokenEndpointAuthMethod::ClientSecretBasic, Some(secret)) => {
                request = request.header(AUTHORIZATION, basic(client.id(), secret)?);
            }
            (_, secret) => {
                form.append_pair("client_id", client.id());
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose());
                }
            }
        }
        let request = request.body(form.finish().into_bytes()).ok()?;
        Some(Self { request })
    }

    fn built<T, E: ErrorResponse>(
        unsent: Result<T, RequestTokenError<Unsent, E>>,
    ) -> Result<Self, RequestError> {
        let Err(RequestTokenError::Request(Unsent(mut request))) = unsent else {
            return Err(RequestError::Unbuildable);
        };
        if let Some(credentials) = request.headers_mut().get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        Ok(Self { request })
    }

    /// The request itself, to be sent.
    #[must_use]
    pub fn into_http(self) -> Request<Vec<u8>> {
        self.request
    }
}

/// The client with its authentication, at this provider's token endpoint.
fn oauth(client: &Client, metadata: &ProviderMetadata) -> Oauth {
    let mut oauth = BasicClient::new(ClientId::new(client.id().to_owned()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint().url().clone()))
        .set_auth_type(auth_type(client.auth_method(metadata)));
    if let Some(secret) = client.secret() {
        oauth = oauth.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
    }
    oauth
}

/// Credentials as RFC 6749 section 2.3.1 has them: both parts form-encoded first.
fn basic(id: &str, secret: &Secret) -> Option<HeaderValue> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(&*pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
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
