//! Reads an authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1,
//! RFC 7636) and says what is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ClientRegistration;
use super::parameters::Parameters;
use super::reply::{ErrorCode, Refusal};
use super::scopes::Scopes;

/// Where and how the answer goes. It exists only for a registered client and URI, so that no error
/// can be sent anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplyTo {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) response_mode: ResponseMode,
    pub(super) state: Option<String>,
}

/// How the answer travels (OAuth 2.0 Multiple Response Type Encoding Practices section 2.1, OAuth
/// 2.0 Form Post Response Mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseMode {
    Query,
    FormPost,
}

/// Why there is nobody to send an answer to. The person gets a page (RFC 6749 section 4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswerable {
    Client,
    RedirectUri,
}

impl ReplyTo {
    pub(super) fn parse(
        parameters: &Parameters,
        clients: &BTreeMap<String, ClientRegistration>,
    ) -> Result<Self, Unanswerable> {
        let client = parameters
            .value("client_id")
            .and_then(|client_id| clients.get(client_id))
            .ok_or(Unanswerable::Client)?;
        let redirect_uri = parameters
            .value("redirect_uri")
            .filter(|uri| client.redirect_uris.iter().any(|known| known == uri))
            .ok_or(Unanswerable::RedirectUri)?;
        Ok(Self {
            client_id: client.client_id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            response_mode: match parameters.value("response_mode") {
                Some("form_post") => ResponseMode::FormPost,
                _ => ResponseMode::Query,
            },
            state: parameters.value("state").map(str::to_owned),
        })
    }
}

/// A sound authorization request.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRequest {
    pub(super) reply_to: ReplyTo,
    pub(super) scopes: Scopes,
    pub(super) nonce: Option<String>,
    /// The S256 challenge.
    pub(super) code_challenge: String,
    pub(super) prompt: Prompt,
    pub(super) max_age: Option<Duration>,
    /// How strong the sign-in should be at least.
    pub(super) strength: Strength,
    pub(super) login_hint: Option<String>,
    pub(super) id_token_hint: Option<String>,
}

/// How somebody proved who they are, the weaker first: here both by the same form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// A password.
    Password,
    /// A second factor as well.
    SecondFactor,
}

impl Strength {
    /// What both are called in `acr`.
    pub(super) const NAMES: [&'static str; 2] = ["pwd", "mfa"];

    /// The first of `acr_values` that is known; what is not known is passed over (Core section 3.1.2.1).
    fn of(acr_values: &str) -> Self {
        let known = acr_values.split(' ').find(|acr| Self::NAMES.contains(acr));
        match known {
            Some("mfa") => Self::SecondFactor,
            _ => Self::Password,
        }
    }

    /// Its name in `acr`.
    pub(super) fn acr(self) -> &'static str {
        let [password, second_factor] = Self::NAMES;
        match self {
            Self::Password => password,
            Self::SecondFactor => second_factor,
        }
    }
}

/// What the client wants the person to be asked (OpenID Connect Core section 3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Nothing said: ask what is needed.
    AsNeeded,
    /// `none`: ask nothing.
    Nothing,
    /// `login` or `select_account`: who it is.
    SignIn,
    /// `consent`: whether the client may.
    Consent,
    /// Both of these.
    SignInAndConsent,
}

impl AuthorizationRequest {
    /// # Errors
    /// What to send to `reply_to` instead of a code.
    pub(super) fn parse(
        parameters: &Parameters,
        reply_to: ReplyTo,
        supported: &[String],
    ) -> Result<Self, Refusal> {
        use ErrorCode::{
            InvalidRequest, InvalidScope, RegistrationNotSupported, RequestNotSupported,
            RequestUriNotSupported, UnsupportedResponseType,
        };
        let value = |name| parameters.value(name);
        if parameters.any_repeats() {
            return Err(Refusal::new(
                InvalidRequest,
                "a parameter came more than once",
            ));
        }
        for (name, code) in [
            ("request", RequestNotSupported),
            ("request_uri", RequestUriNotSupported),
            ("registration", RegistrationNotSupported),
        ] {
            if value(name).is_some() {
                return Err(Refusal::new(code, "request objects are not supported here"));
            }
        }
        match value("response_type") {
            Some("code") => {}
            Some(_) => {
                return Err(Refusal::new(
                    UnsupportedResponseType,
                    "only the code flow is supported",
                ));
            }
            None => return Err(Refusal::new(InvalidRequest, "response_type is missing")),
        }
        if !matches!(value("response_mode"), None | Some("query" | "form_post")) {
            return Err(Refusal::new(
                InvalidRequest,
                "the response modes are query and form_post",
            ));
        }
        let scopes = Scopes::grant(value("scope").unwrap_or_default(), supported);
        if scopes == Scopes::default() {
            return Err(Refusal::new(InvalidScope, "no known scope was asked for"));
        }
        Ok(Self {
            reply_to,
            scopes,
            nonce: value("nonce").map(str::to_owned),
            code_challenge: parse_challenge(parameters)?,
            prompt: parse_prompt(value("prompt"))?,
            max_age: parse_max_age(value("max_age"))?,
            strength: Strength::of(value("acr_values").unwrap_or_default()),
            login_hint: value("login_hint").map(str::to_owned),
            id_token_hint: value("id_token_hint").map(str::to_owned),
        })
    }
}

/// PKCE is demanded of everybody, and with S256 only (RFC 9700 section 2.1.1): a method that is
/// left out means `plain` (RFC 7636 section 4.3).
fn parse_challenge(parameters: &Parameters) -> Result<String, Refusal> {
    let refuse = |description| Err(Refusal::new(ErrorCode::InvalidRequest, description));
    let Some(challenge) = parameters.value("code_challenge") else {
        return refuse("code_challenge is missing: PKCE is required");
    };
    if parameters.value("code_challenge_method") != Some("S256") {
        return refuse("code_challenge_method must be S256");
    }
    // BASE64URL of a SHA-256 hash (RFC 7636 section 4.2).
    let base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if challenge.len() != 43 || !challenge.bytes().all(base64url) {
        return refuse("code_challenge is no S256 challenge");
    }
    Ok(challenge.to_owned())
}

fn parse_prompt(prompt: Option<&str>) -> Result<Prompt, Refusal> {
    let words: Vec<_> = prompt
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect();
    let known = |word: &&str| matches!(*word, "none" | "login" | "select_account" | "consent");
    if !words.iter().all(known) || (words.contains(&"none") && words.len() > 1) {
        return Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "prompt is none, or any of login, select_account and consent",
        ));
    }
    let consent = words.contains(&"consent");
    Ok(match words.as_slice() {
        [] => Prompt::AsNeeded,
        ["none"] => Prompt::Nothing,
        ["consent"] => Prompt::Consent,
        _ if consent => Prompt::SignInAndConsent,
        _ => Prompt::SignIn,
    })
}

fn parse_max_age(max_age: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let Some(text) = max_age else {
        return Ok(None);
    };
    match text.parse() {
        Ok(seconds) if text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Some(Duration::from_secs(seconds)))
        }
        _ => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "max_age is a number of seconds",
        )),
    }
}
