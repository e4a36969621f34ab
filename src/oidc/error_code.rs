//! The error codes of the authorization endpoint and of the token endpoint.

use super::foreign_text::legible;

/// The longest error code that is kept.
const LONGEST_CODE: usize = 64;
/// The most characters of a description that are kept.
const LONGEST_DESCRIPTION: usize = 200;

/// Why a provider refused (RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core section 3.1.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// The person or the provider said no.
    AccessDenied,
    /// The provider is not able to answer now.
    TemporarilyUnavailable,
    /// The provider broke.
    ServerError,
    /// The request lacks something, or has it twice.
    InvalidRequest,
    /// The client could not prove who it is.
    InvalidClient,
    /// The code or the refresh token is spent, expired, revoked or somebody else's.
    InvalidGrant,
    /// The client may not do this.
    UnauthorizedClient,
    /// The provider does not know this grant.
    UnsupportedGrantType,
    /// The provider does not know this response type.
    UnsupportedResponseType,
    /// A scope is unknown or not allowed.
    InvalidScope,
    /// `prompt=none` was asked for, and somebody would have to sign in.
    LoginRequired,
    /// `prompt=none` was asked for, and something would have to be shown.
    InteractionRequired,
    /// `prompt=none` was asked for, and an account would have to be chosen.
    AccountSelectionRequired,
    /// `prompt=none` was asked for, and consent would have to be given.
    ConsentRequired,
    /// A code of lower-case letters and underscores that is none of the above.
    Other(String),
    /// Something that is no code at all. It is not repeated.
    Unreadable,
}

impl ErrorCode {
    /// Reads a code. What is not made of `a` to `z` and `_` alone, or is too long, becomes
    /// [`ErrorCode::Unreadable`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "access_denied" => Self::AccessDenied,
            "temporarily_unavailable" => Self::TemporarilyUnavailable,
            "server_error" => Self::ServerError,
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            // GitHub's words for the same.
            "invalid_grant" | "bad_verification_code" | "bad_refresh_token" => Self::InvalidGrant,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "unsupported_response_type" => Self::UnsupportedResponseType,
            "invalid_scope" => Self::InvalidScope,
            "login_required" => Self::LoginRequired,
            "interaction_required" => Self::InteractionRequired,
            "account_selection_required" => Self::AccountSelectionRequired,
            "consent_required" => Self::ConsentRequired,
            other => {
                let sound = !other.is_empty()
                    && other.len() <= LONGEST_CODE
                    && other.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                if sound {
                    Self::Other(other.to_owned())
                } else {
                    Self::Unreadable
                }
            }
        }
    }

    /// The code as the standards write it; safe to log and to show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::ConsentRequired => "consent_required",
            Self::Other(code) => code,
            Self::Unreadable => "unreadable",
        }
    }
}

/// A provider's refusal in its own words, made fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// The description, at most 200 characters; see [`legible`].
    pub description: Option<String>,
}

impl Refusal {
    /// Reads code and description.
    #[must_use]
    pub fn parse(code: &str, description: Option<&str>) -> Self {
        Self {
            code: ErrorCode::parse(code),
            description: description
                .map(|text| legible(text, LONGEST_DESCRIPTION))
                .filter(|text| !text.is_empty()),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())?;
        match &self.description {
            Some(description) => write!(f, " ({description})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_standards_is_read_and_written_alike() {
        for code in [
            "access_denied",
            "temporarily_unavailable",
            "server_error",
            "invalid_request",
            "invalid_client",
            "invalid_grant",
            "unauthorized_client",
            "unsupported_grant_type",
            "unsupported_response_type",
            "invalid_scope",
            "login_required",
            "interaction_required",
            "account_selection_required",
            "consent_required",
        ] {
            let parsed = ErrorCode::parse(code);
            assert_eq!(parsed.as_str(), code);
            assert!(!matches!(
                parsed,
                ErrorCode::Other(_) | ErrorCode::Unreadable
            ));
        }
        assert_eq!(
            ErrorCode::parse("mfa_enrollment_needed").as_str(),
            "mfa_enrollment_needed"
        );
    }

    // A9: a code is words of the provider too; nothing but letters and underscores is repeated.
    #[test]
    fn what_is_no_code_is_not_repeated() {
        for text in [
            "",
            "<script>",
            "a b",
            "a\r\nb",
            "ACCESS",
            "a\u{202e}",
            "a1",
            &"a".repeat(65),
        ] {
            assert_eq!(ErrorCode::parse(text), ErrorCode::Unreadable, "{text:?}");
        }
    }
}
