//! What broke, in the words of those who are told: every error of the floors below, as a [`Fault`].

use std::time::Duration;

use super::details::{
    CallbackFault, ClockSkew, CodeRefusal, IssuerMismatch, Outage, ProviderWords, SkewDirection,
    TokenCheck, TokenRefusal, UpstreamFailure,
};
use super::fault::Fault;
use crate::app::iso_time::Iso;
use crate::app::sessions::KeepError;
use crate::base::entropy::NoEntropy;
use crate::oidc::callback::{CallbackError, RedeemError};
use crate::oidc::id_token::IdTokenError;
use crate::oidc::identity_rules::IdentityError;
use crate::oidc::jws::JwsError;
use crate::oidc::token::TokenError;
use crate::provider::{LoginError, Provider, Standing};
use crate::proxy::{ForwardError, UpstreamSettings};
use crate::session::cookie::WriteError;
use crate::store::StoreError;

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
            RedeemError::Provider(refusal) => Self::ProviderRefused(ProviderWords::of(&refusal)),
            RedeemError::Expired => Self::StateExpired,
        }
    }
}

impl Fault {
    /// Why a login at `provider` came to nothing.
    #[must_use]
    pub fn of_login(error: LoginError, provider: &Provider) -> Self {
        let told = error.to_string();
        match error {
            LoginError::Unavailable => Self::ProviderUnavailable(standing(provider)),
            LoginError::Begin(_) | LoginError::Request(_) => Self::Internal(told.into()),
            LoginError::Exchange { cause, .. } if cause.is_timeout() => {
                Self::ProviderTimedOut(Outage::new(&told))
            }
            LoginError::Exchange { .. } => Self::ProviderUnavailable(Outage::new(&told)),
            LoginError::Token(TokenError::Refused { status, refusal }) => {
                Self::CodeExchangeFailed(CodeRefusal {
                    status: Some(status),
                    words: ProviderWords::of(&refusal),
                })
            }
            LoginError::Token(TokenError::Status(status)) | LoginError::UserInfoStatus(status)
                if status >= 500 =>
            {
                Self::ProviderUnavailable(Outage::new(&told))
            }
            LoginError::Token(_) => Self::CodeExchangeFailed(CodeRefusal {
                status: None,
                words: ProviderWords::new("unreadable", Some(&told)),
            }),
            LoginError::IdToken(error) | LoginError::StaleKeys(error) => of_id_token(error),
            LoginError::UserInfoStatus(_) | LoginError::UserInfo(_) => {
                Self::TokenInvalid(TokenRefusal::new(TokenCheck::UserInfo, &told))
            }
            LoginError::Identity(error) => of_identity(error),
        }
    }
}

/// What is known of a provider without usable metadata or keys.
fn standing(provider: &Provider) -> Outage {
    Outage::new(&match provider.health().standing() {
        Standing::Unasked => "it has not answered since the start".to_owned(),
        Standing::Up { .. } => "it answers, but without a key that is asked for".to_owned(),
        Standing::Down { since, cause } => format!("since {}: {cause}", Iso(since)),
    })
}

impl Fault {
    /// The system gave no random bytes.
    #[must_use]
    pub fn of_entropy(error: NoEntropy) -> Self {
        Self::Internal(error.to_string().into())
    }

    /// A session that could not be kept.
    #[must_use]
    pub fn of_keeping(error: KeepError) -> Self {
        match error {
            KeepError::Store(StoreError::Full) => Self::Overloaded,
            KeepError::Store(_) => Self::StoreDown,
            error => Self::Internal(error.to_string().into()),
        }
    }

    /// The same, told as what it is where the provider complains of our redirect URI, `sent`.
    #[must_use]
    pub fn with_redirect_uri(self, sent: &str) -> Self {
        let blamed = match &self {
            Self::ProviderRefused(words) => words.blame_redirect_uri(),
            Self::CodeExchangeFailed(refusal) => refusal.words.blame_redirect_uri(),
            _ => false,
        };
        if blamed {
            Self::RedirectMismatch {
                redirect_uri: sent.to_owned(),
            }
        } else {
            self
        }
    }

    /// What went wrong on the way to the upstream of these settings.
    #[must_use]
    pub fn of_upstream(error: &ForwardError, settings: &UpstreamSettings) -> Self {
        let failure = || UpstreamFailure::new(settings, &error.to_string());
        match error {
            ForwardError::Connect(_) => Self::UpstreamConnect(failure()),
            ForwardError::TimedOut(_) => Self::UpstreamTimeout(failure()),
            ForwardError::Broken(_)
            | ForwardError::Unread(_)
            | ForwardError::UnaskedSwitch
            | ForwardError::NoSwitch => Self::UpstreamProtocol(failure()),
            ForwardError::Upload(error) => Self::RequestBody(*error),
            ForwardError::IdentityTooLarge(header, limit) => Self::IdentityTooLarge {
                header: header.clone(),
                limit: *limit,
            },
        }
    }
}

fn of_id_token(error: IdTokenError) -> Fault {
    let told = error.to_string();
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
    Fault::TokenInvalid(TokenRefusal::new(check, &told))
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
        IdentityError::OtherSubject => {
            Fault::TokenInvalid(TokenRefusal::new(TokenCheck::UserInfo, &error.to_string()))
        }
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
            WriteError::Seal(_) | WriteError::Payload(_) => {
                Self::Internal(error.to_string().into())
            }
        }
    }
}
