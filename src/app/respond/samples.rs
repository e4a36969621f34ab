//! One fault of every kind, for tests that must hold for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::details::{
    CallbackFault, ClockSkew, CodeRefusal, IssuerMismatch, LostCookie, LostCookieReason, Outage,
    ProviderWords, SkewDirection, TokenCheck, TokenRefusal, UpstreamFailure,
};
use super::fault::Fault;
use super::unmet::Unmet;
use crate::app::pages::OtherSession;
use crate::base::clock::UnixTime;
use crate::base::target::Malformed as MalformedTarget;
use crate::gate::access::{Missing, StepUp};
use crate::gate::facts::Malformed;
use crate::oidc::claims::{Email, Groups, Identity, Verification};
use crate::server::HeadLimit;
use crate::session::groups::SessionGroups;
use crate::session::{Session, SessionId};
use crate::transport::body::BodyError;

/// An identity in which every text is `text`.
pub(crate) fn identity(text: &str) -> Identity {
    Identity {
        issuer: text.to_owned(),
        subject: text.to_owned(),
        email: Some(Email {
            address: text.to_owned(),
            verification: Verification::Unverified,
        }),
        groups: Groups::Complete(vec![text.to_owned(), text.to_owned()]),
        preferred_username: Some(text.to_owned()),
        name: Some(text.to_owned()),
        claims: BTreeMap::from([(text.to_owned(), text.into())]),
    }
}

/// A session of that identity, from the provider with the id `text`.
pub(crate) fn session(text: &str) -> Arc<Session> {
    let at = |seconds| UnixTime::from_seconds(seconds);
    Arc::new(Session {
        id: SessionId::from_bytes([7; 16]),
        identity: identity(text),
        provider: text.to_owned(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        stepped_up: None,
        started_at: at(1_000_000_000),
        seen_at: at(1_000_000_000),
        idle_expires_at: at(1_000_028_800),
        absolute_expires_at: at(1_000_086_400),
        vouched_at: at(1_000_000_000),
        grant: None,
        turn: 0,
        raw_id_token: None,
        ticket: None,
        family: None,
        groups: SessionGroups::default(),
    })
}

/// Another session of somebody.
pub(crate) fn other_session() -> OtherSession {
    let at = UnixTime::from_seconds(1_000_000_000);
    OtherSession {
        started_at: at,
        seen_at: at,
    }
}

/// A condition that is not met, by a rule that reads `text`.
pub(crate) fn unmet(missing: Missing, text: &str) -> Unmet {
    Unmet {
        missing,
        rule: text.to_owned(),
    }
}

/// A failure of an upstream whose name, address and trouble are `text`.
pub(crate) fn upstream_failure(text: &str) -> UpstreamFailure {
    UpstreamFailure::of(text, text, text)
}

fn missing(text: &str) -> Vec<Missing> {
    vec![
        Missing::Group,
        Missing::CompleteGroups,
        Missing::Email,
        Missing::VerifiedEmail,
        Missing::OtherEmail,
        Missing::Subject,
        Missing::Claim,
        Missing::Address,
        Missing::Exclusion,
        Missing::Alternative,
        Missing::SignIn(StepUp::default()),
        Missing::SignIn(StepUp {
            acr: vec![text.to_owned()],
            max_age: None,
        }),
    ]
}

/// A fault of every kind; whatever text somebody else may choose in it is `text`.
pub(crate) fn faults(text: &str) -> Vec<Fault> {
    let missing = missing(text);
    let malformed = [
        Malformed::Target(MalformedTarget::Nul),
        Malformed::Host,
        Malformed::Method,
        Malformed::TransferCoding,
        Malformed::RepeatedField,
    ];
    let cookie = |why| LostCookie {
        name: text.to_owned(),
        why,
    };
    let skew = |direction| ClockSkew {
        by: Duration::from_secs(90),
        direction,
    };
    let issuers = IssuerMismatch::new("https://id.test", text);
    let words = ProviderWords::new(text, Some(text));
    let upstream = upstream_failure(text);
    let step_up = Missing::SignIn(StepUp {
        acr: vec!["mfa".to_owned()], // a program is told: it has to ask for it
        max_age: Some(Duration::from_secs(60)),
    });
    let mut faults: Vec<Fault> = missing
        .into_iter()
        .flat_map(|missing| {
            [
                Fault::NotAdmitted(session(text), unmet(missing.clone(), text)),
                Fault::NotAdmittedHere(Box::new(identity(text)), unmet(missing, text)),
            ]
        })
        .collect();
    faults.extend(malformed.map(Fault::Malformed));
    faults.extend([
        Fault::LoginRequired,
        Fault::StepUpRequired(session(text), unmet(step_up, text)),
        Fault::BodyLost,
        Fault::NoRoute,
        Fault::UnknownHost,
        Fault::ClientCertificate,
        Fault::ForeignWebSocket,
        Fault::ForeignWrite(text.into()),
        Fault::ForeignWrite(String::new().into()),
        Fault::ManyUpstreams,
        Fault::RequestBody(BodyError::Broken),
        Fault::RequestBody(BodyError::Idle),
        Fault::TargetTooLong,
        Fault::HeaderTooLarge(HeadLimit::Block),
        Fault::HeaderTooLarge(HeadLimit::Fields),
        Fault::MethodNotAllowed("GET, HEAD"),
        Fault::RepeatedParameter,
        Fault::UnknownProvider,
        Fault::StateMissing,
        Fault::StateExpired,
        Fault::StateMismatch,
        Fault::Callback(CallbackFault::Duplicate("state")),
        Fault::CallbackIssuer(issuers.clone()),
        Fault::LoginLoop(cookie(LostCookieReason::SameSite)),
        Fault::LoginLoop(cookie(LostCookieReason::Domain)),
        Fault::LoginLoop(cookie(LostCookieReason::Blocked)),
        Fault::ProviderRefused(words.clone()),
        Fault::ProviderRefused(ProviderWords::new("access_denied", None)),
        Fault::RedirectMismatch {
            redirect_uri: text.to_owned(),
        },
        Fault::ProviderUnavailable(Outage::new(text)),
        Fault::ProviderTimedOut(Outage::new(text)),
        Fault::CodeExchangeFailed(CodeRefusal {
            status: Some(401),
            words,
        }),
        Fault::TokenInvalid(TokenRefusal::new(TokenCheck::Audience, text)),
        Fault::TokenIssuer(issuers),
        Fault::NonceMismatch,
        Fault::ClockSkew(skew(SkewDirection::Ahead)),
        Fault::ClockSkew(skew(SkewDirection::Behind)),
        Fault::IdentityUnusable {
            claim: text.to_owned(),
        },
        Fault::UpstreamConnect(upstream.clone()),
        Fault::UpstreamTimeout(upstream.clone()),
        Fault::UpstreamProtocol(upstream.clone()),
        Fault::CookieTooLarge {
            size: 9000,
            limit: 4000,
            largest: "groups",
        },
        Fault::IdentityTooLarge {
            header: HeaderName::from_static("x-forwarded-groups"),
            limit: 8192,
        },
        Fault::LogoutToken(text.to_owned().into()),
        Fault::LogoutNotShared,
        Fault::StoreDown,
        Fault::Overloaded,
        Fault::Internal(text.to_owned().into()),
    ]);
    faults
}

/// How many kinds of fault [`kind`] tells apart.
pub(crate) const KINDS: usize = 44;

/// The kind's number. A new kind does not compile until it has one here, and then the test fails
/// until [`faults`] has a sample of it.
pub(crate) fn kind(fault: &Fault) -> usize {
    match fault {
        Fault::LoginRequired => 0,
        Fault::BodyLost => 1,
        Fault::NotAdmitted(..) => 2,
        Fault::NotAdmittedHere(..) => 3,
        Fault::StepUpRequired(..) => 42,
        Fault::NoRoute => 4,
        Fault::UnknownHost => 5,
        Fault::ClientCertificate => 38,
        Fault::ForeignWebSocket => 6,
        Fault::ForeignWrite(_) => 43,
        Fault::ManyUpstreams => 7,
        Fault::Malformed(_) => 8,
        Fault::TargetTooLong => 9,
        Fault::HeaderTooLarge(_) => 10,
        Fault::MethodNotAllowed(_) => 11,
        Fault::RepeatedParameter => 12,
        Fault::UnknownProvider => 13,
        Fault::StateMissing => 14,
        Fault::StateExpired => 15,
        Fault::StateMismatch => 16,
        Fault::Callback(_) => 17,
        Fault::CallbackIssuer(_) => 18,
        Fault::LoginLoop(_) => 19,
        Fault::ProviderRefused(_) => 20,
        Fault::RedirectMismatch { .. } => 21,
        Fault::ProviderUnavailable(_) => 22,
        Fault::ProviderTimedOut(_) => 23,
        Fault::CodeExchangeFailed(_) => 24,
        Fault::TokenInvalid(_) => 25,
        Fault::TokenIssuer(_) => 26,
        Fault::NonceMismatch => 27,
        Fault::ClockSkew(_) => 28,
        Fault::IdentityUnusable { .. } => 29,
        Fault::UpstreamConnect(_) => 30,
        Fault::UpstreamTimeout(_) => 31,
        Fault::UpstreamProtocol(_) => 32,
        Fault::CookieTooLarge { .. } => 33,
        Fault::Overloaded => 34,
        Fault::Internal(_) => 35,
        Fault::IdentityTooLarge { .. } => 36,
        Fault::RequestBody(_) => 37,
        Fault::StoreDown => 39,
        Fault::LogoutToken(_) => 40,
        Fault::LogoutNotShared => 41,
    }
}
