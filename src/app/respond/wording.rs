//! What people read about a [`Fault`]: a title, and what they can do first. Plain words, no rule,
//! no configuration, nothing of the provider's but a sanitised refusal.

use super::details::{CallbackFault, KnownRefusal, LostCookie, LostCookieReason, ProviderWords};
use super::fault::Fault;
use crate::gate::access::Missing;
use crate::gate::facts::Malformed;
use crate::oidc::claims::Identity;

/// Which page tells of a fault, and what it needs to know of it.
#[derive(Debug, Clone, Copy)]
pub enum FaultPage<'a> {
    /// The plain one.
    Error,
    /// The plain one, with a provider's own words.
    Refused(&'a ProviderWords),
    /// Who is signed in, and how to be somebody else.
    Denied(&'a Identity, DeniedScope),
    /// Between us and the provider.
    ProviderUnreachable,
    /// Between us and the app.
    UpstreamUnreachable(&'a UpstreamTrouble),
    /// Which cookie does not come back.
    LoginLoop(&'a LostCookie),
    /// Where the app is at home.
    UnknownHost,
}

/// How much of a site is closed to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedScope {
    /// A page; others may be open.
    Page,
    /// All of it.
    Site,
}

/// What an app does, in two words, and what its operator looks at first.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamTrouble {
    /// What follows "the app".
    pub what: &'static str,
    /// What the operator looks at first.
    pub operator_advice: &'static str,
}

/// What a person can do first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstStep {
    /// Sign in; the way back is kept.
    SignIn,
    /// Try once more to sign in; the way back is kept.
    SignInAgain,
    /// Sign in as somebody else.
    SwitchAccount,
    /// Open the same page again.
    Retry,
    /// Go to the app's first page.
    Home,
}

impl Fault {
    /// The page's heading and the problem's `title`: a short phrase without a full stop.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::LoginRequired => "Please sign in",
            Self::BodyLost => "Your session ended before this was sent",
            Self::NotAdmitted(..) | Self::NotAdmittedHere(..) => "You don’t have access",
            Self::NoRoute => "There is nothing at this address",
            Self::UnknownHost => "This name is not served here",
            Self::ForeignWebSocket => "This connection came from another site",
            Self::ManyUpstreams
            | Self::RepeatedParameter
            | Self::Malformed(
                Malformed::Target(_)
                | Malformed::Host
                | Malformed::TransferCoding
                | Malformed::RepeatedField,
            ) => "This request can’t be understood",
            Self::Malformed(Malformed::Method) | Self::MethodNotAllowed(_) => {
                "This can’t be done here"
            }
            Self::TargetTooLong => "This address is too long",
            Self::HeaderTooLarge(_) => "Your browser sent too much",
            Self::UnknownProvider => "This way to sign in is not offered",
            Self::StateMissing
            | Self::StateMismatch
            | Self::Callback(_)
            | Self::CallbackIssuer(_)
            | Self::NonceMismatch => "Signing in didn’t finish",
            Self::StateExpired => "Signing in took too long",
            Self::LoginLoop(_) => "Signing in goes in circles",
            Self::ProviderRefused(_) => "The sign-in service said no",
            Self::ProviderUnavailable(_) | Self::ProviderTimedOut(_) => {
                "The sign-in service is not answering"
            }
            Self::RedirectMismatch { .. }
            | Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. } => "Signing in failed",
            Self::UpstreamConnect(_) => "The app can’t be reached",
            Self::UpstreamTimeout(_) => "The app is taking too long",
            Self::UpstreamProtocol(_) => "The app’s answer can’t be read",
            Self::CookieTooLarge { .. } | Self::IdentityTooLarge { .. } => {
                "Your session doesn’t fit"
            }
            Self::Overloaded => "Too much is going on right now",
            Self::Internal(_) => "Something went wrong on our side",
        }
    }

    /// A sentence or two for the person: what it means for them and what helps.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::LoginRequired => "You need to be signed in to see this page.",
            Self::BodyLost => {
                "What you had entered was not saved. Sign in again, go back to the form and send it \
                 once more."
            }
            Self::NotAdmitted(_, unmet) | Self::NotAdmittedHere(_, unmet) => lacking(unmet.missing),
            Self::NoRoute => "Check the address, or start from the first page.",
            Self::UnknownHost => "Check the address: the app is at home somewhere else.",
            Self::ForeignWebSocket => {
                "A page of another site tried to open a connection in your name. It was refused."
            }
            Self::ManyUpstreams | Self::Malformed(Malformed::Target(_)) => {
                "The address can be read in more than one way, or holds characters that don’t \
                 belong there. Check it, or start from the first page."
            }
            Self::Malformed(
                Malformed::Host | Malformed::TransferCoding | Malformed::RepeatedField,
            )
            | Self::RepeatedParameter => {
                "Something between you and this site changed the request. Start from the first page."
            }
            Self::Malformed(Malformed::Method) | Self::MethodNotAllowed(_) => {
                "The page exists, but not for what was asked of it. Start from the first page."
            }
            Self::TargetTooLong => "Start from the first page and go on from there.",
            Self::HeaderTooLarge(_) => {
                "Usually these are old cookies. Clear the cookies of this site, then try again."
            }
            Self::UnknownProvider => "Choose another way to sign in.",
            Self::StateMissing => {
                "This browser doesn’t remember starting to sign in. Try again here, in the same \
                 browser and window, and allow cookies for this site."
            }
            Self::StateExpired => "The sign-in page was open for too long. Try again.",
            Self::StateMismatch | Self::NonceMismatch | Self::CallbackIssuer(_) => {
                "The answer belonged to another sign-in. Nothing was done with it. Try again."
            }
            Self::Callback(fault) => callback_advice(*fault),
            Self::LoginLoop(cookie) => loop_advice(cookie.why),
            Self::ProviderRefused(words) => refusal_advice(words),
            Self::ProviderUnavailable(_) | Self::ProviderTimedOut(_) => {
                "Nothing is wrong with your account. Wait a moment, then try again."
            }
            Self::RedirectMismatch { .. } => {
                "The sign-in service doesn’t know this site’s address yet. Whoever runs this site \
                 can mend that; trying again won’t help."
            }
            Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_) => {
                "This site and the sign-in service don’t agree. Nothing is wrong with your account. \
                 Try again; if it stays like this, whoever runs this site can mend it."
            }
            Self::IdentityUnusable { .. } => {
                "The sign-in service didn’t say enough about you. Whoever runs this site can mend \
                 that."
            }
            Self::UpstreamConnect(_) | Self::UpstreamTimeout(_) | Self::UpstreamProtocol(_) => {
                "Nothing is wrong with your account or your connection. Wait a moment, then try \
                 again."
            }
            Self::CookieTooLarge { .. } | Self::IdentityTooLarge { .. } => {
                "What the sign-in service says about you is more than a browser keeps. Whoever \
                 runs this site can mend that."
            }
            Self::Overloaded => "Wait a moment, then try again.",
            Self::Internal(_) => "It is not your doing. Wait a moment, then try again.",
        }
    }

    /// The page that tells of it.
    #[must_use]
    pub fn page(&self) -> FaultPage<'_> {
        match self {
            Self::NotAdmitted(session, _) => {
                FaultPage::Denied(&session.identity, DeniedScope::Page)
            }
            Self::NotAdmittedHere(identity, _) => FaultPage::Denied(identity, DeniedScope::Site),
            Self::ProviderRefused(words) => FaultPage::Refused(words),
            Self::ProviderUnavailable(_) | Self::ProviderTimedOut(_) => {
                FaultPage::ProviderUnreachable
            }
            Self::UpstreamConnect(_) => FaultPage::UpstreamUnreachable(&UpstreamTrouble {
                what: "doesn’t answer",
                operator_advice: "Nothing took a connection at the upstream’s address. Is the app \
                                  running, and does it listen there?",
            }),
            Self::UpstreamTimeout(_) => FaultPage::UpstreamUnreachable(&UpstreamTrouble {
                what: "is too slow",
                operator_advice: "The app took the request but didn’t begin its answer in time. Is \
                                  it busy, or waiting for something else?",
            }),
            Self::UpstreamProtocol(_) => FaultPage::UpstreamUnreachable(&UpstreamTrouble {
                what: "answered oddly",
                operator_advice: "What came back is not HTTP, or ended too early. Is the \
                                  upstream’s scheme (http or https) the right one?",
            }),
            Self::LoginLoop(cookie) => FaultPage::LoginLoop(cookie),
            Self::UnknownHost => FaultPage::UnknownHost,
            Self::LoginRequired
            | Self::BodyLost
            | Self::NoRoute
            | Self::ForeignWebSocket
            | Self::ManyUpstreams
            | Self::Malformed(_)
            | Self::TargetTooLong
            | Self::HeaderTooLarge(_)
            | Self::MethodNotAllowed(_)
            | Self::RepeatedParameter
            | Self::UnknownProvider
            | Self::StateMissing
            | Self::StateExpired
            | Self::StateMismatch
            | Self::Callback(_)
            | Self::CallbackIssuer(_)
            | Self::RedirectMismatch { .. }
            | Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::NonceMismatch
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. }
            | Self::CookieTooLarge { .. }
            | Self::IdentityTooLarge { .. }
            | Self::Overloaded
            | Self::Internal(_) => FaultPage::Error,
        }
    }

    /// What the page offers first.
    #[must_use]
    pub fn first_step(&self) -> FirstStep {
        match self {
            Self::LoginRequired | Self::BodyLost | Self::UnknownProvider => FirstStep::SignIn,
            Self::StateMissing
            | Self::StateExpired
            | Self::StateMismatch
            | Self::Callback(_)
            | Self::CallbackIssuer(_)
            | Self::NonceMismatch
            | Self::LoginLoop(_)
            | Self::ProviderRefused(_)
            | Self::ProviderUnavailable(_)
            | Self::ProviderTimedOut(_)
            | Self::RedirectMismatch { .. }
            | Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. }
            | Self::CookieTooLarge { .. }
            | Self::IdentityTooLarge { .. } => FirstStep::SignInAgain,
            Self::NotAdmitted(..) | Self::NotAdmittedHere(..) => FirstStep::SwitchAccount,
            Self::HeaderTooLarge(_)
            | Self::UpstreamConnect(_)
            | Self::UpstreamTimeout(_)
            | Self::UpstreamProtocol(_)
            | Self::Overloaded
            | Self::Internal(_) => FirstStep::Retry,
            Self::NoRoute
            | Self::UnknownHost
            | Self::ForeignWebSocket
            | Self::ManyUpstreams
            | Self::Malformed(_)
            | Self::TargetTooLong
            | Self::MethodNotAllowed(_)
            | Self::RepeatedParameter => FirstStep::Home,
        }
    }
}

/// What a person lacks, without showing the rule.
fn lacking(missing: Missing) -> &'static str {
    match missing {
        Missing::Group => "Your account is not in a group that may open it.",
        Missing::CompleteGroups => {
            "The sign-in service didn’t name all of your groups, so none of them could be counted."
        }
        Missing::Email => "The sign-in service didn’t name an e-mail address for your account.",
        Missing::VerifiedEmail => {
            "Your e-mail address is not verified at the sign-in service. Verify it there, then \
             sign in again."
        }
        Missing::OtherEmail => "It is not open to your e-mail address.",
        Missing::Subject => "It is open to named accounts only, and yours is not among them.",
        Missing::Alternative => "Your account meets none of the conditions for it.",
    }
}

fn callback_advice(fault: CallbackFault) -> &'static str {
    match fault {
        CallbackFault::TooLarge
        | CallbackFault::Duplicate(_)
        | CallbackFault::NotOneAnswer
        | CallbackFault::ForeignFlow(_)
        | CallbackFault::Malformed(_) => {
            "What came back from the sign-in service can’t be understood. Try again from the start."
        }
    }
}

fn loop_advice(why: LostCookieReason) -> &'static str {
    match why {
        LostCookieReason::SecureOverHttp => {
            "Your browser keeps this site’s cookie for https only, and this page was opened over \
             plain http. Open the address with https."
        }
        LostCookieReason::OtherHost => {
            "This site’s cookie belongs to another address than the one you opened. Start from the \
             address below."
        }
        LostCookieReason::Blocked => {
            "You signed in, but your browser didn’t send this site’s cookie back. Allow cookies for \
             this site, switch off what blocks them, then try again."
        }
    }
}

/// What the operator looks at first when a cookie does not come back.
#[must_use]
pub fn loop_operator_advice(why: LostCookieReason) -> &'static str {
    match why {
        LostCookieReason::SecureOverHttp => {
            "The cookie is Secure because public_url says https. Serve the site over https, or let \
             public_url say what browsers really see."
        }
        LostCookieReason::OtherHost => {
            "The cookie is sent to the host of public_url alone. Redirect other names there, or set \
             session.cookie.domain."
        }
        LostCookieReason::Blocked => {
            "Does something between browser and Sidegate drop Set-Cookie? Is the site shown in a \
             frame of another one? With same_site: strict, a browser leaves the cookie out on the \
             way back from another site."
        }
    }
}

/// What providers' best-known refusals mean for the person.
fn refusal_advice(words: &ProviderWords) -> &'static str {
    match words.known() {
        Some(KnownRefusal::NotAssigned) => {
            return "Your account is not assigned to this app. Ask whoever runs it to assign you.";
        }
        Some(KnownRefusal::ConsentNeeded) => {
            return "An administrator has to consent to this app before anybody can use it.";
        }
        None => {}
    }
    match words.code() {
        "access_denied" => {
            "You or the sign-in service declined. If that was not meant, try again, perhaps with \
             another account."
        }
        "temporarily_unavailable" | "server_error" => {
            "It has trouble of its own. Wait a moment, then try again."
        }
        _ => "Try again; if it stays like this, whoever runs this site can mend it.",
    }
}
