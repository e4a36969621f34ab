//! The embedded provider: a small, real OAuth 2.0 and OpenID Connect authorization server.
//!
//! It is a plain value with one act, [`Provider::answer`]: a whole request in, a whole response
//! out, without sockets and without waiting. Time and randomness come in with
//! [`ProviderOptions`]. Everything is held in memory behind one lock.
//!
//! It keeps the rules that honest providers keep: exact redirect URIs, PKCE with S256 for
//! everybody, codes for one use, refresh tokens that rotate and whose reuse ends the whole grant,
//! `iss` in every authorization response (RFC 9207), logout by RP-Initiated Logout and told to
//! others by Back-Channel Logout. It is no faulty provider: what a broken one does is added around
//! it, in the tests.
//!
//! | file | endpoint |
//! | --- | --- |
//! | `discovery.rs` | metadata, keys |
//! | `authorization.rs`, `sign_in.rs`, `forms.rs` | authorize, with the sign-in and consent pages |
//! | `client.rs`, `token.rs`, `issue.rs` | token |
//! | `userinfo.rs` | userinfo |
//! | `revocation.rs`, `introspection.rs` | revoke, introspect |
//! | `end_session.rs` | `end_session` |
//! | `control.rs` | no endpoint: what whoever embeds the provider may see and change |

mod authorization;
mod client;
mod control;
mod discovery;
mod end_session;
mod endpoint;
mod forms;
mod inbound;
mod introspection;
mod issue;
mod options;
mod parameters;
mod reply;
mod revocation;
mod scopes;
mod shelf;
mod sign_in;
pub mod signing;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use minijinja::context;

pub use control::{LogoutNotice, NoSuchUser, OldKeys, Unannounced};
pub use endpoint::Endpoint;
pub use options::{
    ClientRegistration, DEMO_NOTE, EmailStatus, IdTokenClaims, Ledger, Lifetimes, ProviderOptions,
    RefreshTokens, RegistrationError, User, demo_users,
};
pub use parameters::Parameters;

use super::notices;
use super::pages::{Pages, Sources};
use super::serve::{self, Body, Closing, Engine, HangUp};
use crate::base::clock::Clock;
use crate::base::entropy::{Entropy, NoEntropy};
use crate::base::secret::Secret;
use inbound::Inbound;
use signing::{SigningError, SigningKeys};
use state::State;

/// The provider. Made by [`Provider::new`], shared behind an [`Arc`].
pub struct Provider {
    issuer: String,
    /// The issuer's path: empty, or starting with `/` and not ending with one.
    path: String,
    cookie_name: String,
    clock: Clock,
    entropy: Entropy,
    supported_scopes: Vec<String>,
    refresh_tokens: RefreshTokens,
    id_token_claims: IdTokenClaims,
    ledger: Ledger,
    pages: Pages,
    state: Mutex<State>,
}

/// Why a provider cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The issuer is somewhere else, or has a form that clients could not compare.
    #[error(
        "the issuer is an http or https URL of a loopback host, without a slash at the end, a query or a fragment"
    )]
    Issuer,
    /// A client's registration is not sound.
    #[error("the client {client_id:?} cannot be registered")]
    Client {
        /// Which.
        client_id: String,
        /// Why.
        #[source]
        reason: RegistrationError,
    },
    /// The signing keys could not be made.
    #[error(transparent)]
    Keys(#[from] SigningError),
    /// A page's template does not compile.
    #[error("a page's template is broken")]
    Template(#[from] minijinja::Error),
}

/// Why a sound request has no answer: something of ours broke.
#[derive(Debug, thiserror::Error)]
enum Unable {
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("a page could not be rendered")]
    Page(#[from] minijinja::Error),
}

impl Provider {
    /// Builds a provider.
    ///
    /// # Errors
    /// [`ProviderError`]: an issuer that is not on loopback or of another form, an unsound client,
    /// or a cryptographic library that makes no keys.
    pub fn new(options: ProviderOptions) -> Result<Arc<Self>, ProviderError> {
        let path = issuer_path(&options.issuer).ok_or(ProviderError::Issuer)?;
        let keys = match options.keys {
            Some(keys) => keys,
            None => Arc::new(SigningKeys::generate()?),
        };
        let mut state = State::new(keys, options.lifetimes);
        for user in options.users {
            state.users.insert(user.username.clone(), user);
        }
        for client in options.clients {
            client.check().map_err(|reason| ProviderError::Client {
                client_id: client.client_id.clone(),
                reason,
            })?;
            state.clients.insert(client.client_id.clone(), client);
        }
        let mut supported_scopes: Vec<_> = scopes::STANDARD.iter().map(|&s| s.to_owned()).collect();
        supported_scopes.extend(options.extra_scopes);
        let globals = vec![
            ("issuer", options.issuer.clone()),
            ("note", options.note.unwrap_or_default()),
        ];
        Ok(Arc::new(Self {
            cookie_name: cookie_name(&options.issuer),
            issuer: options.issuer,
            path,
            clock: options.clock,
            entropy: options.entropy,
            supported_scopes,
            refresh_tokens: options.refresh_tokens,
            id_token_claims: options.id_token_claims,
            ledger: options.ledger,
            pages: Pages::new(Sources {
                templates: &TEMPLATES,
                script: None,
                referrer_policy: "no-referrer",
                globals,
            })?,
            state: Mutex::new(state),
        }))
    }

    /// Answers one request. What it leads to elsewhere (logout notices) waits in
    /// [`Provider::take_logout_notices`].
    pub fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let Some(endpoint) = self.endpoint(request.uri().path()) else {
            return reply::empty(StatusCode::NOT_FOUND);
        };
        *self.state().hits.entry(endpoint).or_default() += 1;
        if !endpoint.takes(request.method()) {
            return reply::method_not_allowed(endpoint.methods());
        }
        let inbound = Inbound::parse(request, self.clock.now());
        let answered = match endpoint {
            Endpoint::Home => self.home(),
            Endpoint::Discovery => Ok(self.discovery()),
            Endpoint::Jwks => Ok(self.jwks()),
            Endpoint::Authorize => self.authorize(&inbound),
            Endpoint::Login => self.login(&inbound),
            Endpoint::Consent => self.consent(&inbound),
            Endpoint::Token => self.token(&inbound),
            Endpoint::Userinfo => Ok(self.userinfo(&inbound)),
            Endpoint::Revoke => Ok(self.revoke(&inbound)),
            Endpoint::Introspect => Ok(self.introspect(&inbound)),
            Endpoint::EndSession => self.end_session(&inbound),
            Endpoint::ConfirmSignOut => self.confirm_sign_out(&inbound),
        };
        answered.unwrap_or_else(|unable| {
            tracing::error!(error = %unable, "the embedded provider could not answer");
            reply::empty(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// Which endpoint `path`, the path of a request's target, leads to.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> Option<Endpoint> {
        Endpoint::at(path.strip_prefix(self.path.as_str())?)
    }

    fn home(&self) -> Result<Response<Bytes>, Unable> {
        Ok(self.pages.show(StatusCode::OK, "home.html", context! {})?)
    }

    /// A page that says one thing and asks nothing.
    fn message(
        &self,
        status: StatusCode,
        title: &str,
        text: &str,
    ) -> Result<Response<Bytes>, Unable> {
        let context = context! { title, text };
        Ok(self.pages.show(status, "message.html", context)?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in another request has cost that request; the maps are whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws a code, token or cookie.
    fn draw(&self, state: &mut State) -> Result<String, NoEntropy> {
        let drawn = self.entropy.token()?;
        self.note_issued(state, &drawn);
        Ok(drawn)
    }

    fn note_issued(&self, state: &mut State, secret: &str) {
        if self.ledger == Ledger::Kept {
            state.ledger.push(Secret::new(secret.to_owned()));
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

// --- on a socket ---------------------------------------------------------------------------------

impl Engine for Provider {
    /// Tells the other clients of a logout before the person hears that it is done.
    async fn respond(
        &self,
        request: Request<Incoming>,
        _closing: Closing,
    ) -> Result<Response<Body>, HangUp> {
        let request = match serve::read(request).await {
            Ok(request) => request,
            Err(unread) => return unread.answer(),
        };
        let response = self.answer(&request);
        notices::deliver_all(self.take_logout_notices()).await;
        Ok(response.map(serve::full))
    }
}

const TEMPLATES: [(&str, &str); 7] = [
    ("layout.html", include_str!("pages/layout.html")),
    ("home.html", include_str!("pages/home.html")),
    ("sign_in.html", include_str!("pages/sign_in.html")),
    ("consent.html", include_str!("pages/consent.html")),
    ("form_post.html", include_str!("pages/form_post.html")),
    ("sign_out.html", include_str!("pages/sign_out.html")),
    ("message.html", include_str!("pages/message.html")),
];

/// The path of an issuer that is sound.
fn issuer_path(issuer: &str) -> Option<String> {
    if !options::leads_to_loopback(issuer, &["http", "https"]) || issuer.contains(['?', '#']) {
        return None;
    }
    let (_, rest) = issuer.split_once("://")?;
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("");
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
    let sound = !path.ends_with('/') && !path.contains("//") && path.bytes().all(plain);
    sound.then(|| path.to_owned())
}

/// Browsers keep cookies by host and not by port: the name tells one provider's from another's.
fn cookie_name(issuer: &str) -> String {
    let hash = digest(&SHA256, issuer.as_bytes());
    let short = URL_SAFE_NO_PAD.encode(hash.as_ref().get(..6).unwrap_or_default());
    format!("sidegate-provider-{short}")
}
