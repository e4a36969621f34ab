//! What broke, in the words of those who are told: every error of the floors below, as a [`Fault`].

use std::time::Duration;

use super::details::{
    CallbackFault, ClockSkew, IssuerMismatch, ProviderWords, SkewDirection, TokenCheck,
};
use super::fault::Fault;
use crate::oidc::callback::{CallbackError, RedeemError};
use crate::oidc::error_code::Refusal;
use crate::oidc::id_token::IdTokenError;
use crate::oidc::identity_rules::IdentityError;
use crate::oidc::jws::JwsError;
use crate::oidc::token::TokenError;
use crate::provider::LoginError;
use crate::proxy::ForwardError;
use crate::session::cookie::WriteError;

impl From<CallbackError> for Fault {
    fn from(error: CallbackError) -> Self {
        Self::Callback(match error {
            CallbackError::TooLarge => CallbackFault::TooLarge,
            CallbackError::Duplicate(name) => CallbackFault::Duplicate(name),
            CallbackError::CodeAndError | CallbackError::Nothing => CallbackFault::NotOneAnswer,
            CallbackError::ForeignFlow(name) => CallbackFault::ForeignFlow(name),
            CallbackError::Malformed(name) => CallbackFault::Malformed(name),
        })
    }
}

impl From<RedeemError> for Fault {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::StateMissing => Self::StateMissing,
            RedeemError::StateMismatch | RedeemError::OtherProvider => Self::StateMismatch,
            RedeemError::IssuerMissing => {
                Self::CallbackIssuer(IssuerMismatch::new("the promised `iss`", "none"))
            }
            RedeemError::IssuerMismatch { expected, got } => {
                Self::CallbackIssuer(IssuerMismatch::new(&expected, &got))
            }
            RedeemError::Provider(refusal) => Self::ProviderRefused(words(&refusal)),
            RedeemError::Expired => Self::StateExpired,
        }
    }
}

impl From<LoginError> for Fault {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Unavailable => Self::ProviderUnavailable,
            LoginError::Begin(_) | LoginError::Request(_) => Self::Internal,
            LoginError::Exchange { cause, .. } if cause.is_timeout() => Self::ProviderTimedOut,
            LoginError::Exchange { .. } => Self::ProviderUnavailable,
            LoginError::Token(TokenError::Refused { refusal, .. }) => {
                Self::CodeExchangeFailed(words(&refusal))
            }
            LoginError::Token(TokenError::Status(status)) if status >= 500 => {
                Self::ProviderUnavailable
            }
            LoginError::Token(error) => {
                Self::CodeExchangeFailed(ProviderWords::new("unreadable", Some(&error.to_string())))
            }
            LoginError::IdToken(error) => of_id_token(error),
            LoginError::UserInfoStatus(status) if status >= 500 => Self::ProviderUnavailable,
            LoginError::UserInfoStatus(_) | LoginError::UserInfo(_) => {
                Self::TokenInvalid(TokenCheck::UserInfo)
            }
            LoginError::Identity(error) => of_identity(error),
        }
    }
}

fn words(refusal: &Refusal) -> ProviderWords {
    ProviderWords::new(refusal.code.as_str(), refusal.description.as_deref())
}

fn of_id_token(error: IdTokenError) -> Fault {
    let behind = |seconds| {
        Fault::ClockSkew(ClockSkew {
            by: Duration::from_secs(seconds),
            direction: SkewDirection::Behind,
        })
    };
    let ahead = |seconds| {
        Fault::ClockSkew(ClockSkew {
            by: Duration::from_secs(seconds),
            direction: SkewDirection::Ahead,
        })
    };
    let check = match error {
        IdTokenError::Expired { seconds_ago } => return behind(seconds_ago),
        IdTokenError::IssuedAhead { seconds_ahead }
        | IdTokenError::NotYetValid { seconds_ahead } => return ahead(seconds_ahead),
        IdTokenError::Issuer { expected, got } => {
            return Fault::TokenIssuer(IssuerMismatch::new(&expected, &got));
        }
        IdTokenError::Nonce => return Fault::NonceMismatch,
        IdTokenError::Jws(error) => of_jws(&error),
        IdTokenError::Missing(claim) | IdTokenError::Malformed(claim) => TokenCheck::Claim(claim),
        IdTokenError::Audience { .. } => TokenCheck::Audience,
        IdTokenError::AuthorizedParty { .. } => TokenCheck::AuthorizedParty,
        IdTokenError::TooOld(_) => TokenCheck::SignInTooOld,
        IdTokenError::AccessTokenHash => TokenCheck::AccessTokenHash,
    };
    Fault::TokenInvalid(check)
}

fn of_jws(error: &JwsError) -> TokenCheck {
    match error {
        JwsError::Algorithm { .. } => TokenCheck::Algorithm,
        JwsError::UnknownKey | JwsError::UnfitKey => TokenCheck::Key,
        JwsError::Signature => TokenCheck::Signature,
        _ => TokenCheck::Form,
    }
}

fn of_identity(error: IdentityError) -> Fault {
    match error {
        IdentityError::Subject(claim) | IdentityError::Groups(claim) => {
            Fault::IdentityUnusable { claim }
        }
        IdentityError::OtherSubject => Fault::TokenInvalid(TokenCheck::UserInfo),
        IdentityError::TooManyGroups => Fault::IdentityUnusable {
            claim: "groups (too many)".to_owned(),
        },
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::TooLarge(found) => Self::CookieTooLarge {
                size: found.bytes,
                limit: found.limit,
                largest: found.largest,
            },
            WriteError::Seal(_) | WriteError::Payload(_) => Self::Internal,
        }
    }
}

impl From<&ForwardError> for Fault {
    fn from(error: &ForwardError) -> Self {
        match error {
            ForwardError::Connect(_) => Self::UpstreamConnect,
            ForwardError::TimedOut(_) => Self::UpstreamTimeout,
            ForwardError::Broken(_) | ForwardError::UnaskedSwitch => Self::UpstreamProtocol,
            ForwardError::Upload(error) => Self::RequestBody(*error),
            ForwardError::IdentityTooLarge(..) => Self::Internal,
        }
    }
}
