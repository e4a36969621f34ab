//! What a provider is made from: its users, its clients, its spans.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::signing::{SigningAlgorithm, SigningKeys};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::secret::Secret;

/// Everything a provider needs to be built. [`ProviderOptions::new`] has a sensible value for all
/// but the issuer.
#[derive(Debug)]
pub struct ProviderOptions {
    /// The issuer, exactly as clients will compare it: `http` or `https`, a loopback host, perhaps
    /// a path, no slash at the end, no query and no fragment.
    pub issuer: String,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where codes, tokens and cookies come from.
    pub entropy: Entropy,
    /// Who can sign in.
    pub users: Vec<User>,
    /// Who may ask. More can be added with `Provider::register`.
    pub clients: Vec<ClientRegistration>,
    /// How long what is issued lives.
    pub lifetimes: Lifetimes,
    /// The signing keys; made anew when absent, which takes a noticeable part of a second. Shared
    /// ones make many providers quickly, whose tokens then differ in the issuer alone.
    pub keys: Option<Arc<SigningKeys>>,
    /// When a refresh token is issued.
    pub refresh_tokens: RefreshTokens,
    /// Which claims an ID token has.
    pub id_token_claims: IdTokenClaims,
    /// Scopes that are granted besides the standard ones.
    pub extra_scopes: Vec<String>,
    /// A sentence for the sign-in page, such as who may sign in; HTML is escaped.
    pub note: Option<String>,
    /// Whether issued secrets are remembered for a search of logs and pages.
    pub ledger: Ledger,
}

impl ProviderOptions {
    /// The demo's users, no clients, the system's time, defaults for the rest.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            clock: Clock::system(),
            entropy: Entropy::system(),
            users: demo_users(),
            clients: Vec::new(),
            lifetimes: Lifetimes::default(),
            keys: None,
            refresh_tokens: RefreshTokens::Always,
            id_token_claims: IdTokenClaims::Full,
            extra_scopes: Vec::new(),
            note: None,
            ledger: Ledger::Off,
        }
    }
}

/// Somebody who can sign in.
#[derive(Debug, Clone)]
pub struct User {
    /// The subject: stable, and not the user name, so that nobody takes one for the other.
    pub subject: String,
    /// What is typed into the form; also `preferred_username`.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The full name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// Whether it is told as verified.
    pub email_status: EmailStatus,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is told with the scope `profile`.
    pub claims: Map<String, Value>,
}

/// What `email_verified` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailStatus {
    /// `true`.
    Verified,
    /// `false`.
    Unverified,
}

/// What the demo's sign-in page says about [`demo_users`].
pub const DEMO_NOTE: &str = "The demo's users are alice (groups admins and dev) and bob (group dev); both have the password sidegate.";

/// `alice`, of the groups `admins` and `dev`, and `bob`, of `dev`; the password is `sidegate`.
#[must_use]
pub fn demo_users() -> Vec<User> {
    let user = |username: &str, name: &str, groups: &[&str]| User {
        subject: format!("u-{username}"),
        username: username.to_owned(),
        password: Secret::new("sidegate".to_owned()),
        name: name.to_owned(),
        email: format!("{username}@example.com"),
        email_status: EmailStatus::Verified,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        claims: Map::new(),
    };
    vec![
        user("alice", "Alice Example", &["admins", "dev"]),
        user("bob", "Bob Example", &["dev"]),
    ]
}

/// A client as the provider knows it (RFC 7591 section 2).
#[derive(Debug, Clone)]
pub struct ClientRegistration {
    /// The client's public name.
    pub client_id: String,
    /// Its secret; absent for a public client, which then has PKCE alone.
    pub client_secret: Option<Secret>,
    /// Where codes may go; compared byte for byte (RFC 9700 section 4.1.3).
    pub redirect_uris: Vec<String>,
    /// Where people may go after signing out; compared byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens go: plain `http` on a loopback host.
    pub backchannel_logout_uri: Option<String>,
    /// How its ID tokens and logout tokens are signed.
    pub id_token_algorithm: SigningAlgorithm,
}

impl ClientRegistration {
    /// A client with one redirect URI; confidential where there is a secret.
    #[must_use]
    pub fn new(
        client_id: impl Into<String>,
        client_secret: Option<Secret>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret,
            redirect_uris: vec![redirect_uri.into()],
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            id_token_algorithm: SigningAlgorithm::Rs256,
        }
    }

    /// Checks what can be checked before anybody uses it.
    pub(super) fn check(&self) -> Result<(), RegistrationError> {
        let plain = |b: u8| (0x20..=0x7e).contains(&b);
        if self.client_id.is_empty() || !self.client_id.bytes().all(plain) {
            return Err(RegistrationError::ClientId);
        }
        let redirects = self
            .redirect_uris
            .iter()
            .chain(&self.post_logout_redirect_uris);
        for uri in redirects {
            let sound = uri.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
                && Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !sound {
                return Err(RegistrationError::RedirectUri);
            }
        }
        match &self.backchannel_logout_uri {
            Some(uri) if !leads_to_loopback(uri, &["http"]) => {
                Err(RegistrationError::BackchannelLogoutUri)
            }
            _ => Ok(()),
        }
    }
}

/// Why a client is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Empty, or not printable ASCII.
    #[error("a client_id is printable ASCII")]
    ClientId,
    /// Not an absolute `http` or `https` URL, or one with a fragment.
    #[error("a redirect URI is an absolute http or https URL without a fragment")]
    RedirectUri,
    /// Somewhere else than on this machine.
    #[error("a back-channel logout URI is a plain http URL of a loopback host")]
    BackchannelLogoutUri,
}

/// Whether `uri` is an absolute URL of one of `schemes` whose host is this machine.
pub(super) fn leads_to_loopback(uri: &str, schemes: &[&str]) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    let local = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    local
        && schemes.contains(&url.scheme())
        && url.username().is_empty()
        && url.fragment().is_none()
}

/// How long what is issued lives, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authorization code (RFC 6749 section 4.1.2 asks for ten minutes at most).
    pub code: Duration,
    /// An access token.
    pub access_token: Duration,
    /// An ID token.
    pub id_token: Duration,
    /// A refresh token, from its issue; each renewal brings a new one.
    pub refresh_token: Duration,
    /// A person's sign-in at the provider itself.
    pub session: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: Duration::from_mins(1),
            access_token: Duration::from_mins(5),
            id_token: Duration::from_mins(5),
            refresh_token: Duration::from_hours(8),
            session: Duration::from_hours(10),
        }
    }
}

/// When a refresh token is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokens {
    /// With every code.
    Always,
    /// When `offline_access` was asked for (OpenID Connect Core section 11).
    OfflineAccess,
}

/// Which claims an ID token has besides those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdTokenClaims {
    /// Everything that the scopes ask for.
    Full,
    /// None: they are at the userinfo endpoint (OpenID Connect Core section 5.4).
    UserinfoOnly,
}

/// Whether issued secrets are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    /// No.
    Off,
    /// Each code, token and cookie, so that a test can search for them where they must not be.
    Kept,
}
