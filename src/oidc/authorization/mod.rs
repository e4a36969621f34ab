//! The authorization request, built together with the [`PendingLogin`] that will judge its answer
//! (OpenID Connect Core section 3.1.2.1, RFC 6749 section 4.1.1, RFC 7636 section 4.3).

use std::fmt;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, Scope};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::metadata::{ProviderKind, ProviderMetadata, ResponseIss};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;

/// The scope that makes an authorization request an OpenID Connect one.
const OPENID: &str = "openid";
/// 128 bits in base64url: fewer characters than this can be guessed.
const SHORTEST_STATE: usize = 22;
/// The longest `state`: what a provider and a request line still carry.
const LONGEST_STATE: usize = 8 * 1024;
/// The longest hint that is passed on (an e-mail address has at most 320 characters).
const LONGEST_HINT: usize = 320;

/// Where to send the browser.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    url: String,
}

/// The unguessable parts of one login, drawn by the caller.
#[derive(Debug)]
pub struct Randomness {
    /// `state`: 22 to 8192 unreserved characters (RFC 3986 section 2.3), unguessable as a whole.
    pub state: Secret,
    /// `nonce`: likewise.
    pub nonce: Secret,
    /// `code_verifier`: 43 to 128 unreserved characters (RFC 7636 section 4.1).
    pub code_verifier: Secret,
}

/// One attempt at a login.
#[derive(Debug)]
pub struct Attempt {
    /// The `id` of the provider in the configuration.
    pub provider: String,
    /// The unguessable parts.
    pub randomness: Randomness,
    /// What whoever started the login wishes for.
    pub parameters: LoginParameters,
    /// Where the person wants to go, as it was judged to be ours.
    pub return_to: String,
    /// When the login starts.
    pub started_at: UnixTime,
    /// How many attempts went before this one without a session coming of it (A20).
    pub number: u8,
}

/// What a caller may ask of the provider's login. There is nothing else that a caller may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginParameters {
    prompt: Option<Prompt>,
    login_hint: Option<String>,
    ui_locales: Option<String>,
    max_age: Option<Duration>,
    acr_values: Option<Vec<String>>,
}

/// What the provider should show in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// The sign-in form, even for somebody who is signed in there.
    Login,
    /// The choice of an account.
    SelectAccount,
    /// Nothing is shown: who is not signed in there comes back with an error.
    None,
}

/// A hint is too long, or is written with characters that it cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hint is too long or has control characters")]
pub struct HintError;

/// Why a login cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// `state` or `nonce` is too short or too long, or has characters that need escaping.
    #[error("state and nonce are 22 to 8192 unreserved characters")]
    WeakRandomness,
    /// `code_verifier` is not as RFC 7636 section 4.1 wants it.
    #[error("a code_verifier is 43 to 128 unreserved characters")]
    CodeVerifier,
}

/// A login whose answer has not come yet. It is sealed into a cookie of the browser that started
/// it, hence the short names; only [`AuthorizationRequest::begin`] and that seal make one.
#[derive(Debug, Serialize, Deserialize)]
pub struct PendingLogin {
    #[serde(rename = "s", with = "sealed_secret")]
    pub(super) state: Secret,
    #[serde(
        rename = "n",
        with = "sealed_optional_secret",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) nonce: Option<Secret>,
    #[serde(rename = "v", with = "sealed_secret")]
    pub(super) code_verifier: Secret,
    #[serde(rename = "p")]
    pub(super) provider: String,
    #[serde(rename = "u")]
    pub(super) redirect_uri: String,
    #[serde(rename = "i")]
    pub(super) issuer: String,
    #[serde(rename = "e")]
    pub(super) response_iss: ResponseIss,
    #[serde(rename = "r")]
    pub(super) return_to: String,
    #[serde(rename = "t")]
    pub(super) started_at: UnixTime,
    #[serde(rename = "k", default)]
    pub(super) attempt: u8,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub(super) max_age: Option<u64>,
    #[serde(rename = "q", default, skip_serializing_if = "Visibility::is_default")]
    pub(super) visibility: Visibility,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) acr_values: Option<Vec<String>>,
}

/// Whether the provider was asked to show nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visibility {
    /// It may show what it likes.
    #[default]
    #[serde(rename = "s")]
    Seen,
    /// `prompt=none`.
    #[serde(rename = "u")]
    Unseen,
}

impl Visibility {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// ------------------------------------------------------------------ AuthorizationRequest

impl AuthorizationRequest {
    /// Builds the request and what will judge its answer. To an OpenID provider `openid` is always
    /// asked for and a nonce is always sent; to any provider a S256 challenge.
    ///
    /// # Errors
    /// [`BeginError`] when the randomness cannot be what it is for.
    pub fn begin(
        client: &Client,
        metadata: &ProviderMetadata,
        attempt: Attempt,
    ) -> Result<(Self, PendingLogin), BeginError> {
        check_randomness(&attempt.randomness)?;
        let max_age = attempt.parameters.shortest_max_age(client);
        let url = url(client, metadata, &attempt, max_age);
        let Randomness {
            state,
            nonce,
            code_verifier,
        } = attempt.randomness;
        let nonce = match metadata.kind() {
            ProviderKind::Oidc => Some(nonce),
            ProviderKind::Oauth2 => None,
        };
        let pending = PendingLogin {
            state,
            nonce,
            code_verifier,
            provider: attempt.provider,
            redirect_uri: client.redirect_uri().to_owned(),
            issuer: metadata.issuer().to_owned(),
            response_iss: metadata.response_iss(),
            return_to: attempt.return_to,
            started_at: attempt.started_at,
            attempt: attempt.number,
            max_age,
            visibility: match attempt.parameters.prompt {
                Some(Prompt::None) => Visibility::Unseen,
                Some(Prompt::Login | Prompt::SelectAccount) | None => Visibility::Seen,
            },
            acr_values: attempt.parameters.acr_values,
        };
        Ok((Self { url }, pending))
    }

    /// The URL to redirect the browser to, which starts with the provider's authorization endpoint.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for AuthorizationRequest {
    /// Without the query: it carries the state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.url.split('?').next().unwrap_or_default();
        write!(f, "AuthorizationRequest({endpoint})")
    }
}

fn check_randomness(randomness: &Randomness) -> Result<(), BeginError> {
    let long_enough = |text: &str| (SHORTEST_STATE..=LONGEST_STATE).contains(&text.len());
    for secret in [&randomness.state, &randomness.nonce] {
        let text = secret.expose();
        if !long_enough(text) || !text.bytes().all(is_unreserved) {
            return Err(BeginError::WeakRandomness);
        }
    }
    let verifier = randomness.code_verifier.expose();
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        return Err(BeginError::CodeVerifier);
    }
    Ok(())
}

/// RFC 3986 section 2.3.
fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

fn url(
    client: &Client,
    metadata: &ProviderMetadata,
    attempt: &Attempt,
    max_age: Option<u64>,
) -> String {
    let randomness = &attempt.randomness;
    let verifier = PkceCodeVerifier::new(randomness.code_verifier.expose().to_owned());
    let oauth = BasicClient::new(ClientId::new(client.id().to_owned()))
        .set_auth_uri(AuthUrl::from_url(
            metadata.authorization_endpoint().url().clone(),
        ))
        .set_redirect_uri(client.redirect_url().clone());
    let mut request = oauth
        .authorize_url(|| CsrfToken::new(randomness.state.expose().to_owned()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .add_scopes(scopes(client, metadata.kind()));
    if metadata.kind() == ProviderKind::Oidc {
        request = request.add_extra_param("nonce", randomness.nonce.expose().to_owned());
    }
    for (name, value) in attempt.parameters.beside(client, max_age) {
        request = request.add_extra_param(name, value);
    }
    let (url, _state) = request.url();
    url.into()
}

fn scopes(client: &Client, kind: ProviderKind) -> Vec<Scope> {
    let mut names: Vec<&str> = Vec::new();
    if kind == ProviderKind::Oidc {
        names.push(OPENID);
    }
    for scope in client.scopes() {
        if !names.contains(&scope.as_str()) {
            names.push(scope);
        }
    }
    names
        .into_iter()
        .map(|name| Scope::new(name.to_owned()))
        .collect()
}

// ----------------------------------------------------------------------- LoginParameters

impl LoginParameters {
    /// Asks the provider to show something in any case.
    #[must_use]
    pub fn prompt(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// Tells the provider who might be signing in.
    ///
    /// # Errors
    /// [`HintError`]: more than 320 bytes, or control characters.
    pub fn login_hint(mut self, hint: &str) -> Result<Self, HintError> {
        self.login_hint = Some(checked_hint(hint)?);
        Ok(self)
    }

    /// Tells the provider the person's languages, as tags separated by spaces (RFC 5646).
    ///
    /// # Errors
    /// [`HintError`]: more than 320 bytes, or control characters.
    pub fn ui_locales(mut self, tags: &str) -> Result<Self, HintError> {
        self.ui_locales = Some(checked_hint(tags)?);
        Ok(self)
    }

    /// Demands that the person proved who they are no longer than `span` ago. The answer is held
    /// to it.
    #[must_use]
    pub fn max_age(mut self, span: Duration) -> Self {
        self.max_age = Some(span);
        self
    }

    /// Asks for a sign-in in one of these authentication contexts, the best liked first (Core section
    /// 3.1.2.1), or with an empty list for any other sign-in than there has been: what an app or a rule
    /// wants beyond a session that is there (RFC 9470 section 4).
    ///
    /// # Errors
    /// [`HintError`]: one that is empty or has spaces or control characters, or more than 320 bytes of them.
    pub fn step_up(mut self, acr_values: &[String]) -> Result<Self, HintError> {
        let is_one = |acr: &String| !acr.is_empty() && !acr.contains(char::is_whitespace);
        checked_hint(&acr_values.join(" "))?;
        if !acr_values.iter().all(is_one) {
            return Err(HintError);
        }
        self.acr_values = Some(acr_values.to_vec());
        Ok(self)
    }

    /// The shorter of what the operator and the caller demand, in seconds.
    fn shortest_max_age(&self, client: &Client) -> Option<u64> {
        let configured = client
            .authorization_parameters()
            .iter()
            .find(|(name, _)| name == "max_age")
            .and_then(|(_, value)| value.parse().ok());
        let wished = self.max_age.map(|span| span.as_secs());
        configured.into_iter().chain(wished).min()
    }

    /// The operator's parameters and these, no name twice: what the operator set stays, but `prompt`
    /// is a list (OpenID Connect Core section 3.1.2.1) and takes both.
    fn beside(&self, client: &Client, max_age: Option<u64>) -> Vec<(String, String)> {
        let mut all: Vec<_> = client
            .authorization_parameters()
            .iter()
            .filter(|(name, _)| name != "max_age")
            .cloned()
            .collect();
        if let Some(prompt) = self.prompt.map(Prompt::as_str) {
            match all.iter_mut().find(|(name, _)| name == "prompt") {
                // It stands alone or means nothing.
                Some((_, configured)) if prompt == Prompt::None.as_str() => {
                    prompt.clone_into(configured);
                }
                Some((_, configured)) => {
                    if !configured.split(' ').any(|word| word == prompt) {
                        *configured = format!("{configured} {prompt}");
                    }
                }
                None => all.push(("prompt".to_owned(), prompt.to_owned())),
            }
        }
        if let Some(acr_values) = self.acr_values.as_ref().filter(|all| !all.is_empty()) {
            // What this one page needs goes before what the operator asks for at every login.
            all.retain(|(name, _)| name != "acr_values");
            all.push(("acr_values".to_owned(), acr_values.join(" ")));
        }
        let hints = [
            ("login_hint", &self.login_hint),
            ("ui_locales", &self.ui_locales),
        ];
        for (name, hint) in hints {
            let configured = all.iter().any(|(other, _)| other == name);
            if let (Some(hint), false) = (hint, configured) {
                all.push((name.to_owned(), hint.clone()));
            }
        }
        if let Some(seconds) = max_age {
            all.push(("max_age".to_owned(), seconds.to_string()));
        }
        all
    }
}

impl Prompt {
    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SelectAccount => "select_account",
            Self::None => "none",
        }
    }
}

fn checked_hint(hint: &str) -> Result<String, HintError> {
    if hint.len() > LONGEST_HINT || hint.contains(char::is_control) {
        Err(HintError)
    } else {
        Ok(hint.to_owned())
    }
}

// -------------------------------------------------------------------------- PendingLogin

impl PendingLogin {
    /// The `state` that was sent: for the browser and for no log.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// The `id` of the provider in the configuration.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Where the person wants to go.
    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// When the login started.
    #[must_use]
    pub fn started_at(&self) -> UnixTime {
        self.started_at
    }

    /// How many attempts went before this one without a session coming of it.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.attempt
    }

    /// Which authentication contexts a session was not enough for, where that is why this login began.
    #[must_use]
    pub fn stepping_up(&self) -> Option<&[String]> {
        self.acr_values.as_deref()
    }

    /// Whether the provider was asked to show nothing.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        self.visibility
    }
}

/// The one place where a [`Secret`] is serialised: the result only ever goes under a seal.
mod sealed_secret {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::base::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// [`sealed_secret`] for one that may be missing.
mod sealed_optional_secret {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::base::secret::Secret;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => super::sealed_secret::serialize(secret, out),
            None => out.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(from).map(|text| text.map(Secret::new))
    }
}

#[cfg(test)]
mod tests;
