//! What a [`Fault`](super::fault::Fault) knows besides its kind: for the log, and cleaned where it
//! came from outside.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::app::shown::shown;
use crate::oidc::error_code::Refusal;
use crate::proxy::UpstreamSettings;
use crate::session::{CookieSettings, SameSite};

/// What is wrong with what came to the callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackFault {
    /// More bytes or parameters than any provider sends.
    #[error("too large")]
    TooLarge,
    /// A parameter came twice (RFC 6749 section 3.1).
    #[error("`{0}` is there twice")]
    Duplicate(&'static str),
    /// Both a code and an error, or neither.
    #[error("not exactly one of `code` and `error`")]
    NotOneAnswer,
    /// A parameter of a flow that was not asked for.
    #[error("`{0}` belongs to a flow that was not asked for")]
    ForeignFlow(&'static str),
    /// A parameter that is empty, too long, or has characters that it cannot have.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
}

/// Two issuers that should be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMismatch {
    expected: String,
    got: String,
}

/// A refusal in a provider's own words, made fit to be shown: a code of at most 64 letters, digits
/// and `_`, and a description of at most 200 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderWords {
    code: String,
    description: Option<String>,
}

/// What a provider's best-known refusals mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownRefusal {
    /// Entra: the person is not assigned to the app.
    NotAssigned,
    /// Entra: an administrator has to consent to the app first.
    ConsentNeeded,
}

/// The check of an ID token that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenCheck {
    /// It is no token, or not of the right type.
    #[error("form")]
    Form,
    /// The algorithm is not one that is accepted.
    #[error("algorithm")]
    Algorithm,
    /// No key of the provider's is meant.
    #[error("key")]
    Key,
    /// The signature is not by that key.
    #[error("signature")]
    Signature,
    /// It is not for us.
    #[error("audience")]
    Audience,
    /// It was issued to another client.
    #[error("authorized party")]
    AuthorizedParty,
    /// A claim is missing or of another type.
    #[error("claim `{0}`")]
    Claim(&'static str),
    /// The person's sign-in is older than was asked for.
    #[error("age of the sign-in")]
    SignInTooOld,
    /// It belongs to another access token.
    #[error("access token hash")]
    AccessTokenHash,
    /// The `UserInfo` is about somebody else, or unreadable.
    #[error("userinfo")]
    UserInfo,
}

/// Why what a provider says of a person is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The check that failed.
    pub check: TokenCheck,
    what: String,
}

/// What does not answer at a provider, and why, cut to 300 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage(String);

/// A refusal by the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRefusal {
    /// The status, where the provider refused in words.
    pub status: Option<u16>,
    /// The provider's words, or ours about what cannot be read.
    pub words: ProviderWords,
}

/// Which upstream failed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFailure {
    name: String,
    address: String,
    why: String,
}

/// How far two clocks are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// By how much, cut to seconds.
    pub by: Duration,
    /// In which direction.
    pub direction: SkewDirection,
}

/// What the token looks like to our clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkewDirection {
    /// Issued in the future: our clock is slow, or the provider's is fast.
    Ahead,
    /// Over before it came: our clock is fast, or the provider's is slow.
    Behind,
}

/// A cookie that a browser did not send back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostCookie {
    /// Its name.
    pub name: String,
    /// The likeliest reason.
    pub why: LostCookieReason,
}

/// Why a browser does not send the session's cookie back, while those of its logins come: they are
/// for the host alone, and `SameSite=Lax` or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostCookieReason {
    /// It is `SameSite=Strict`, and the way back from a provider begins at another site.
    SameSite,
    /// It is for a domain that the browser does not take here.
    Domain,
    /// None that can be told from here: the browser, or something before it, blocks or drops it.
    Blocked,
}

/// What stands for a code that is none.
const UNREADABLE: &str = "unreadable";

impl ProviderWords {
    /// Reads code and description, however long or hostile: what is no code becomes `unreadable`,
    /// and the description loses what is not seen (RFC 6749 sections 4.1.2.1 and 5.2).
    #[must_use]
    pub fn new(code: &str, description: Option<&str>) -> Self {
        let sound = !code.is_empty()
            && code.len() <= 64
            && code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        Self {
            code: if sound { code } else { UNREADABLE }.to_owned(),
            description: description
                .map(|text| shown(text, 200).trim().to_owned())
                .filter(|text| !text.is_empty()),
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The description, if there is one.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// What a page quotes: the description and the code, as far as they can be read.
    #[must_use]
    pub fn quoted(&self) -> Option<String> {
        if self.code == UNREADABLE {
            self.description.clone()
        } else {
            Some(self.to_string())
        }
    }

    /// The provider's words as they came.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Self {
        Self::new(refusal.code.as_str(), refusal.description.as_deref())
    }

    /// What it means, where the description holds one of the numbers by which a provider of many
    /// tenants tells its refusals apart: they mean the same in every language.
    #[must_use]
    pub fn known(&self) -> Option<KnownRefusal> {
        const MARKS: [(&str, KnownRefusal); 2] = [
            ("AADSTS50105", KnownRefusal::NotAssigned),
            ("AADSTS65001", KnownRefusal::ConsentNeeded),
        ];
        let described = self.description.as_deref()?;
        let known = MARKS.iter().find(|(mark, _)| described.contains(mark))?;
        Some(known.1)
    }

    /// Whether the provider complains of the redirect URI: the only refusal that names its own
    /// remedy. There is no standard code for it (RFC 6749 section 3.1.2.4 lets a provider say it on
    /// its own page only), so the best-known spellings are looked for.
    #[must_use]
    pub fn blame_redirect_uri(&self) -> bool {
        const MARKS: [&str; 4] = [
            "redirect_uri",
            "redirect uri",
            "redirect url",
            "aadsts50011",
        ];
        let about = |text: &str| {
            let text = text.to_ascii_lowercase();
            MARKS.iter().any(|mark| text.contains(mark))
        };
        match self.code.as_str() {
            "redirect_uri_mismatch" | "invalid_redirect_uri" => true,
            "invalid_request" | "invalid_grant" | "unauthorized_client" | "invalid_client" => {
                self.description.as_deref().is_some_and(about)
            }
            _ => false,
        }
    }

    /// A person's or a rule's "no" is a 403, everything else that the provider dislikes a 400.
    pub(super) fn status(&self) -> StatusCode {
        if self.code == "access_denied" {
            StatusCode::FORBIDDEN
        } else {
            StatusCode::BAD_REQUEST
        }
    }
}

impl fmt::Display for ProviderWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        match &self.description {
            Some(description) => write!(f, " ({description})"),
            None => Ok(()),
        }
    }
}

impl KnownRefusal {
    /// For the operator; goes on where the provider's words end.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotAssigned => {
                ": the person is not assigned to the application at the provider; assign them, or \
                 let the application take everybody"
            }
            Self::ConsentNeeded => {
                ": an administrator of the tenant has to consent to the application first"
            }
        }
    }
}

impl TokenRefusal {
    /// The check, and what it expected against what it got; cut to 300 characters.
    #[must_use]
    pub fn new(check: TokenCheck, what: &str) -> Self {
        Self {
            check,
            what: shown(what, 300),
        }
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.check)
    }
}

impl Outage {
    /// What is wrong, in words for an operator.
    #[must_use]
    pub fn new(what: &str) -> Self {
        Self(shown(what, 300))
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CodeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        write!(f, "{}", self.words)?;
        f.write_str(match self.words.code() {
            "invalid_client" => {
                "; the provider does not take our client_id with this client_secret and this way \
                 to prove it: compare the three with what is registered there"
            }
            "invalid_grant" => {
                "; the code is spent, was too old, or was issued for another redirect_uri"
            }
            "unauthorized_client" => {
                "; the client is not allowed the authorization code grant at the provider"
            }
            _ => "",
        })
    }
}

impl UpstreamFailure {
    /// The failure of the upstream of these settings; `why` is cut to 200 characters.
    #[must_use]
    pub fn new(settings: &UpstreamSettings, why: &str) -> Self {
        let addresses: Vec<_> = settings.addresses.iter().map(ToString::to_string).collect();
        Self::of(&settings.name, &addresses.join(", "), why)
    }

    /// The failure of the upstream with this name and address.
    #[must_use]
    pub fn of(name: &str, address: &str, why: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            why: shown(why, 200),
        }
    }
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "upstream `{}` at {}: {}",
            self.name, self.address, self.why
        )
    }
}

impl IssuerMismatch {
    /// The issuer that was meant, and what came instead, cut to 200 characters.
    #[must_use]
    pub fn new(expected: &str, got: &str) -> Self {
        Self {
            expected: expected.to_owned(),
            got: shown(got, 200),
        }
    }
}

impl fmt::Display for IssuerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected `{}`, got `{}`", self.expected, self.got)?;
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        if self.expected != self.got && bare(&self.expected) == bare(&self.got) {
            f.write_str("; they differ in a trailing slash only: configure the issuer exactly as the provider writes it")?;
        }
        Ok(())
    }
}

impl SkewDirection {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "in the future; our clock is slow, or the provider's is fast",
            Self::Behind => "past its end; our clock is fast, or the provider's is slow",
        }
    }
}

impl LostCookieReason {
    /// The likeliest reason with these settings.
    #[must_use]
    pub fn of(settings: &CookieSettings) -> Self {
        match settings {
            CookieSettings {
                same_site: SameSite::Strict,
                ..
            } => Self::SameSite,
            CookieSettings {
                domain: Some(_), ..
            } => Self::Domain,
            CookieSettings { .. } => Self::Blocked,
        }
    }

    /// For the operator.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameSite => {
                "with same_site: strict it is left out on the way back from another site"
            }
            Self::Domain => "it is for session.cookie.domain, which the browser may not take here",
            Self::Blocked => "the browser, or something before it, blocks or drops it",
        }
    }
}
