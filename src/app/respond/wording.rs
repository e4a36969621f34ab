//! What people read about a [`Fault`]: which of a language's texts, and what they can do first.
//! Nothing of a rule or the configuration, nothing of the provider's but a sanitised refusal.

use super::details::{KnownRefusal, LostCookie, LostCookieReason, ProviderWords};
use super::fault::Fault;
use crate::app::language::words::{Advice, Words};
use crate::app::respond::unmet::Unmet;
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
    UpstreamUnreachable(UpstreamTrouble),
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

/// What an app does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamTrouble {
    /// It takes no connection.
    Connect,
    /// It does not begin its answer in time.
    Timeout,
    /// Its answer is not HTTP.
    Protocol,
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
    pub fn title(&self, words: &Words) -> &'static str {
        let titles = &words.titles;
        match self {
            Self::LoginRequired => titles.login_required,
            Self::BodyLost => titles.body_lost,
            Self::NotAdmitted(..) | Self::StepUpRequired(..) | Self::NotAdmittedHere(..) => {
                titles.denied
            }
            Self::NoRoute => titles.no_route,
            Self::UnknownHost => titles.unknown_host,
            Self::ClientCertificate => titles.client_certificate,
            Self::ForeignWebSocket => titles.foreign_websocket,
            Self::ForeignWrite(_) => titles.foreign_write,
            Self::ManyUpstreams
            | Self::RepeatedParameter
            | Self::LogoutToken(_)
            | Self::Malformed(
                Malformed::Target(_)
                | Malformed::Host
                | Malformed::TransferCoding
                | Malformed::RepeatedField,
            ) => titles.not_understood,
            Self::Malformed(Malformed::Method)
            | Self::MethodNotAllowed(_)
            | Self::LogoutNotShared => titles.not_done_here,
            Self::RequestBody(_) => titles.body_broken,
            Self::TargetTooLong => titles.address_too_long,
            Self::HeaderTooLarge(_) => titles.head_too_large,
            Self::UnknownProvider => titles.unknown_provider,
            Self::StateMissing
            | Self::StateMismatch
            | Self::Callback(_)
            | Self::CallbackIssuer(_)
            | Self::NonceMismatch => titles.login_unfinished,
            Self::StateExpired => titles.login_expired,
            Self::LoginLoop(_) => titles.login_loop,
            Self::ProviderRefused(_) => titles.refused,
            Self::ProviderUnavailable(_) | Self::ProviderTimedOut(_) => titles.provider_silent,
            Self::RedirectMismatch { .. }
            | Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. } => titles.login_failed,
            Self::UpstreamConnect(_) => titles.app_unreachable,
            Self::UpstreamTimeout(_) => titles.app_slow,
            Self::UpstreamProtocol(_) => titles.app_unreadable,
            Self::CookieTooLarge { .. } | Self::IdentityTooLarge { .. } => titles.too_much_to_keep,
            Self::StoreDown => titles.store_down,
            Self::Overloaded => titles.overloaded,
            Self::Internal(_) => titles.internal,
        }
    }

    /// A sentence or two for the person: what it means for them and what helps.
    #[must_use]
    pub fn advice(&self, words: &Words) -> &'static str {
        let advice = &words.advice;
        match self {
            Self::LoginRequired => advice.login_required,
            Self::BodyLost => advice.body_lost,
            Self::NotAdmitted(_, unmet)
            | Self::StepUpRequired(_, unmet)
            | Self::NotAdmittedHere(_, unmet) => lacking(&unmet.missing, advice),
            Self::NoRoute => advice.no_route,
            Self::UnknownHost => advice.unknown_host,
            Self::ClientCertificate => advice.client_certificate,
            Self::ForeignWebSocket => advice.foreign_websocket,
            Self::ForeignWrite(_) => advice.foreign_write,
            Self::ManyUpstreams | Self::Malformed(Malformed::Target(_)) => advice.ambiguous_address,
            Self::Malformed(
                Malformed::Host | Malformed::TransferCoding | Malformed::RepeatedField,
            )
            | Self::RepeatedParameter
            | Self::LogoutToken(_) => advice.changed_on_the_way,
            Self::Malformed(Malformed::Method)
            | Self::MethodNotAllowed(_)
            | Self::LogoutNotShared => advice.not_done_here,
            Self::RequestBody(_) => advice.body_broken,
            Self::TargetTooLong => advice.address_too_long,
            Self::HeaderTooLarge(_) => advice.head_too_large,
            Self::UnknownProvider => advice.unknown_provider,
            Self::StateMissing => advice.state_missing,
            Self::StateExpired => advice.state_expired,
            Self::StateMismatch | Self::NonceMismatch | Self::CallbackIssuer(_) => {
                advice.other_login
            }
            Self::Callback(_) => advice.callback,
            Self::LoginLoop(cookie) => match cookie.why {
                LostCookieReason::SameSite => advice.loop_same_site,
                LostCookieReason::Domain => advice.loop_domain,
                LostCookieReason::Blocked => advice.loop_blocked,
            },
            Self::ProviderRefused(refusal) => refused(refusal, advice),
            Self::ProviderUnavailable(_) | Self::ProviderTimedOut(_) => advice.provider_silent,
            Self::RedirectMismatch { .. } => advice.redirect_mismatch,
            Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_) => advice.disagreement,
            Self::IdentityUnusable { .. } => advice.identity_unusable,
            Self::UpstreamConnect(_) | Self::UpstreamTimeout(_) | Self::UpstreamProtocol(_) => {
                advice.app_trouble
            }
            Self::CookieTooLarge { .. } => advice.too_much_for_browser,
            Self::IdentityTooLarge { .. } => advice.too_much_for_app,
            Self::StoreDown => advice.store_down,
            Self::Overloaded => advice.overloaded,
            Self::Internal(_) => advice.internal,
        }
    }

    /// The page that tells of it.
    #[must_use]
    pub fn page(&self) -> FaultPage<'_> {
        match self {
            Self::NotAdmitted(session, _) | Self::StepUpRequired(session, _) => {
                FaultPage::Denied(&session.identity, DeniedScope::Page)
            }
            Self::NotAdmittedHere(identity, _) => FaultPage::Denied(identity, DeniedScope::Site),
            Self::ProviderRefused(words) => FaultPage::Refused(words),
            Self::ProviderUnavailable(_) | Self::ProviderTimedOut(_) => {
                FaultPage::ProviderUnreachable
            }
            Self::UpstreamConnect(_) => FaultPage::UpstreamUnreachable(UpstreamTrouble::Connect),
            Self::UpstreamTimeout(_) => FaultPage::UpstreamUnreachable(UpstreamTrouble::Timeout),
            Self::UpstreamProtocol(_) => FaultPage::UpstreamUnreachable(UpstreamTrouble::Protocol),
            Self::LoginLoop(cookie) => FaultPage::LoginLoop(cookie),
            Self::UnknownHost => FaultPage::UnknownHost,
            Self::LoginRequired
            | Self::BodyLost
            | Self::NoRoute
            | Self::ClientCertificate
            | Self::ForeignWebSocket
            | Self::ForeignWrite(_)
            | Self::ManyUpstreams
            | Self::Malformed(_)
            | Self::RequestBody(_)
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
            | Self::LogoutToken(_)
            | Self::LogoutNotShared
            | Self::StoreDown
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
            Self::NotAdmitted(
                _,
                Unmet {
                    missing: Missing::SignIn(_),
                    ..
                },
            )
            | Self::StepUpRequired(..) => FirstStep::SignInAgain,
            Self::NotAdmitted(..) | Self::NotAdmittedHere(..) => FirstStep::SwitchAccount,
            Self::HeaderTooLarge(_)
            | Self::RequestBody(_)
            | Self::UpstreamConnect(_)
            | Self::UpstreamTimeout(_)
            | Self::UpstreamProtocol(_)
            | Self::LogoutToken(_)
            | Self::LogoutNotShared
            | Self::StoreDown
            | Self::Overloaded
            | Self::Internal(_) => FirstStep::Retry,
            Self::NoRoute
            | Self::UnknownHost
            | Self::ClientCertificate
            | Self::ForeignWebSocket
            | Self::ForeignWrite(_)
            | Self::ManyUpstreams
            | Self::Malformed(_)
            | Self::TargetTooLong
            | Self::MethodNotAllowed(_)
            | Self::RepeatedParameter => FirstStep::Home,
        }
    }
}

impl UpstreamTrouble {
    /// What follows "the app", and what its operator looks at first.
    #[must_use]
    pub fn told(self, words: &Words) -> (&'static str, &'static str) {
        let outage = &words.outage;
        match self {
            Self::Connect => (outage.connect, outage.connect_advice),
            Self::Timeout => (outage.timeout, outage.timeout_advice),
            Self::Protocol => (outage.protocol, outage.protocol_advice),
        }
    }
}

/// What the operator looks at first when a cookie does not come back.
#[must_use]
pub fn loop_operator_advice(why: LostCookieReason, words: &Words) -> &'static str {
    match why {
        LostCookieReason::SameSite => words.circles.same_site_advice,
        LostCookieReason::Domain => words.circles.domain_advice,
        LostCookieReason::Blocked => words.circles.blocked_advice,
    }
}

/// What a person lacks, without showing the rule.
fn lacking(missing: &Missing, advice: &Advice) -> &'static str {
    match missing {
        Missing::Group => advice.no_group,
        Missing::CompleteGroups => advice.groups_incomplete,
        Missing::Email => advice.no_email,
        Missing::VerifiedEmail => advice.email_unverified,
        Missing::OtherEmail => advice.other_email,
        Missing::Subject => advice.other_subject,
        Missing::Claim => advice.other_claim,
        Missing::Address => advice.other_address,
        Missing::Exclusion => advice.excluded,
        Missing::Alternative => advice.no_alternative,
        Missing::SignIn(step_up) if step_up.acr.is_empty() => advice.fresher_sign_in,
        Missing::SignIn(_) => advice.stronger_sign_in,
    }
}

/// What a provider's refusal means for the person.
fn refused(refusal: &ProviderWords, advice: &Advice) -> &'static str {
    match (refusal.known(), refusal.code()) {
        (Some(KnownRefusal::NotAssigned), _) => advice.not_assigned,
        (Some(KnownRefusal::ConsentNeeded), _) => advice.consent_needed,
        (None, "access_denied") => advice.declined,
        (None, "temporarily_unavailable" | "server_error") => advice.provider_trouble,
        (None, _) => advice.refused_otherwise,
    }
}
