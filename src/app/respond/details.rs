//! What a [`Fault`](super::fault::Fault) knows besides its kind: for the log, and cleaned where it
//! came from outside.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::app::shown::shown;
use crate::gate::access::Missing;

/// Which limit a request's head exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadLimit {
    /// `limits.header_block`.
    Block,
    /// `limits.header_fields`.
    Fields,
}

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

/// Why a browser does not send a cookie back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostCookieReason {
    /// The page was opened over plain http, and the cookie is for https alone.
    SecureOverHttp,
    /// The page is on a host that the cookie is not for.
    OtherHost,
    /// None that can be told from here: the browser blocks or drops cookies.
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

impl HeadLimit {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Block => "limits.header_block",
            Self::Fields => "limits.header_fields",
        }
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
    /// For the operator.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecureOverHttp => "it is for https, and the page was opened over plain http",
            Self::OtherHost => "it is for another host than the page was opened on",
            Self::Blocked => "the browser blocks or drops it",
        }
    }
}

/// What is missing, in a word for logs.
#[must_use]
pub fn word(missing: Missing) -> &'static str {
    match missing {
        Missing::Group => "group",
        Missing::CompleteGroups => "complete groups",
        Missing::Email => "e-mail address",
        Missing::VerifiedEmail => "verified e-mail address",
        Missing::OtherEmail => "another e-mail address",
        Missing::Subject => "another subject",
        Missing::Alternative => "every alternative",
    }
}
