//! Everything that can be refused or can go wrong while a request is answered, as tables: status,
//! code, whose fault. What people read about it is in [`super::wording`].
//!
//! `Display` is the operator's text. It goes to the log beside the reference, never to a page, and
//! holds no secret: codes, tokens, cookies and bodies have no place in these variants.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, StatusCode};

use super::details::{
    CallbackFault, ClockSkew, CodeRefusal, IssuerMismatch, KnownRefusal, LostCookie, Outage,
    ProviderWords, TokenRefusal, UpstreamFailure,
};
use super::unmet::Unmet;
use crate::gate::access::Missing;
use crate::gate::decision::Denial;
use crate::gate::facts::Malformed;
use crate::oidc::claims::Identity;
use crate::server::HeadLimit;
use crate::session::Session;
use crate::transport::body::BodyError;

/// A refusal or a failure that somebody is told about.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    // --- asked for nothing that we may give
    /// Nobody is signed in, and whoever asks cannot be sent to sign in.
    #[error("nobody is signed in")]
    LoginRequired,
    /// The same for a form that was sent after the session's end: what it held is lost.
    #[error("nobody is signed in any more; the request's body is lost")]
    BodyLost,
    /// Somebody is signed in, but the route's condition is not met.
    #[error("{1}")]
    NotAdmitted(Arc<Session>, Unmet),
    /// Somebody is signed in, but not as the route demands; with another sign-in they would pass.
    #[error("{1}")]
    StepUpRequired(Arc<Session>, Unmet),
    /// Somebody proved who they are, but the provider's `admit` condition is not met.
    #[error("{1}")]
    NotAdmittedHere(Box<Identity>, Unmet),
    /// No route matches.
    #[error("no route matches")]
    NoRoute,
    /// The host is not one that any route serves.
    #[error("no route serves this host")]
    UnknownHost,
    /// The route demands a client certificate, and none that it accepts was shown.
    #[error("no client certificate that the route accepts was shown")]
    ClientCertificate,
    /// A WebSocket handshake with our cookie from a page of another origin.
    #[error("a WebSocket handshake from another origin")]
    ForeignWebSocket,
    /// A request that may change something, with our cookie, from a page of another origin; its text,
    /// where the browser named it.
    #[error("a request that may change something came with a session from a page of another origin{}{}", if .0.is_empty() { "" } else { ": " }, .0)]
    ForeignWrite(Box<str>),

    // --- not HTTP as we speak it
    /// The readings of the target lead to different upstreams, or to different places.
    #[error("the readings of the target lead to different places")]
    ManyUpstreams,
    /// The request is refused before anything else runs.
    #[error("malformed request: {0}")]
    Malformed(Malformed),
    /// The request's body came broken, or stopped coming.
    #[error("of the request: {0}")]
    RequestBody(BodyError),
    /// The target is longer than the limit.
    #[error("the request target is longer than limits.target")]
    TargetTooLong,
    /// The head is larger than a limit, which is not that of [`Fault::TargetTooLong`].
    #[error("the request head is larger than {}", .0.setting())]
    HeaderTooLarge(HeadLimit),
    /// The endpoint exists, but not for this method; the methods that it takes.
    #[error("the endpoint takes {0} only")]
    MethodNotAllowed(&'static str),
    /// A parameter of our own endpoint that may stand only once stands twice.
    #[error("a parameter is repeated that may stand only once")]
    RepeatedParameter,
    /// No provider has that id.
    #[error("no provider has the id that was asked for")]
    UnknownProvider,

    // --- the way back from the provider
    /// The browser came back without the cookie of its login.
    #[error("the cookie of this login did not come back, or the login is another browser's")]
    StateMissing,
    /// The login took too long.
    #[error("the login was begun too long ago")]
    StateExpired,
    /// The answer is to another login.
    #[error("the state is not that of this login")]
    StateMismatch,
    /// What came to the callback is no authorization response (RFC 6749 section 4.1.2).
    #[error("no authorization response: {0}")]
    Callback(CallbackFault),
    /// The callback's `iss` is another issuer (RFC 9207 section 2.4): perhaps a mix-up attack.
    #[error("the response is of another issuer: {0}")]
    CallbackIssuer(IssuerMismatch),
    /// Too many logins in a row came to nothing.
    #[error("logins go in circles: the cookie `{}` did not come back; {}", .0.name, .0.why.as_str())]
    LoginLoop(LostCookie),

    // --- the provider
    /// The provider refused, in its own words.
    #[error("the provider refused: {}{}", .0, .0.known().map_or("", KnownRefusal::as_str))]
    ProviderRefused(ProviderWords),
    /// The provider does not know our redirect URI; this is how it must be registered.
    #[error("the provider does not know our redirect_uri; register exactly `{redirect_uri}`")]
    RedirectMismatch {
        /// The URI that we sent.
        redirect_uri: String,
    },
    /// The provider cannot be reached, or its metadata and keys are not known yet.
    #[error("the provider is not answering: {0}")]
    ProviderUnavailable(Outage),
    /// The provider took too long.
    #[error("the provider took too long to answer: {0}")]
    ProviderTimedOut(Outage),
    /// The token endpoint refused the code.
    #[error("the token endpoint refused the code: {0}")]
    CodeExchangeFailed(CodeRefusal),
    /// A check of the ID token failed: which one.
    #[error("the provider's word is refused: {0}")]
    TokenInvalid(TokenRefusal),
    /// The ID token is of another issuer.
    #[error("the ID token is of another issuer: {0}")]
    TokenIssuer(IssuerMismatch),
    /// The ID token answers another login.
    #[error("the ID token's nonce is not that of this login")]
    NonceMismatch,
    /// The ID token is from the future, or over before it came.
    #[error("clocks differ: the ID token is {} s {}", .0.by.as_secs(), .0.direction.as_str())]
    ClockSkew(ClockSkew),
    /// No identity comes of the claims: which claim was looked for.
    #[error("no usable identity: looked for the claim `{claim}`")]
    IdentityUnusable {
        /// The claim's path in the configuration.
        claim: String,
    },

    // --- the upstream
    /// No connection to the upstream.
    #[error("no connection to {0}")]
    UpstreamConnect(UpstreamFailure),
    /// The upstream took too long to begin its answer.
    #[error("no answer from {0}")]
    UpstreamTimeout(UpstreamFailure),
    /// The upstream's answer is not HTTP, or ended in the middle of its head.
    #[error("no usable answer from {0}")]
    UpstreamProtocol(UpstreamFailure),

    // --- ourselves
    /// The session does not fit into cookies that browsers keep.
    #[error(
        "the session's cookie has {size} bytes, room is for {limit}; the most of it is `{largest}`"
    )]
    CookieTooLarge {
        /// How large it would be.
        size: usize,
        /// How much there is room for.
        limit: usize,
        /// The claim or value that takes the most of it.
        largest: &'static str,
    },
    /// An identity header for the app would be larger than apps take; it is never cut.
    #[error(
        "the identity header `{header}` would be larger than {limit} bytes, and it is never cut"
    )]
    IdentityTooLarge {
        /// The header's name.
        header: HeaderName,
        /// How many bytes there is room for.
        limit: usize,
    },
    /// A logout token that ends nothing, or that not everybody heard of who should.
    #[error("the logout token is refused: {0}")]
    LogoutToken(Cow<'static, str>),
    /// There may be gates that would not hear of it, as nothing is shared (security requirement G10).
    #[error(
        "other gates would not hear of it: no store is shared, and `single_instance` is not said"
    )]
    LogoutNotShared,
    /// The store that has the session does not answer.
    #[error("the store of sessions does not answer")]
    StoreDown,
    /// There is no room for more work of this kind now.
    #[error("too much at once")]
    Overloaded,
    /// Something that should not happen.
    #[error("internal error: {0}")]
    Internal(Cow<'static, str>),
}

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever asks.
    UserAgent,
    /// The provider.
    Provider,
    /// The app behind us.
    Upstream,
    /// We, or our operator.
    Ours,
}

/// What becomes of the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It may carry the next request.
    Keep,
    /// It is closed.
    Close,
}

// ----------------------------------------------------------------------------- Fault

impl Fault {
    /// The status of the answer, except to gRPC, which always gets 200.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::LoginRequired | Self::BodyLost | Self::StepUpRequired(..) => {
                StatusCode::UNAUTHORIZED
            }
            Self::NotAdmitted(..)
            | Self::NotAdmittedHere(..)
            | Self::ClientCertificate
            | Self::ForeignWebSocket
            | Self::ForeignWrite(_) => StatusCode::FORBIDDEN,
            Self::NoRoute | Self::UnknownHost | Self::UnknownProvider => StatusCode::NOT_FOUND,
            Self::Malformed(malformed) => match malformed {
                Malformed::Target(_) | Malformed::Host | Malformed::RepeatedField => {
                    StatusCode::BAD_REQUEST
                }
                // RFC 9112 section 6.1 for codings, RFC 9110 section 15.6.2 for methods.
                Malformed::Method | Malformed::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            },
            Self::RequestBody(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Self::RequestBody(BodyError::Idle) => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeaderTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ManyUpstreams
            | Self::RepeatedParameter
            | Self::StateMissing
            | Self::StateExpired
            | Self::StateMismatch
            | Self::Callback(_)
            | Self::CallbackIssuer(_)
            | Self::NonceMismatch
            | Self::LoginLoop(_)
            | Self::LogoutToken(_) => StatusCode::BAD_REQUEST,
            Self::LogoutNotShared => StatusCode::NOT_IMPLEMENTED,
            Self::ProviderRefused(words) => words.status(),
            Self::RedirectMismatch { .. }
            | Self::CookieTooLarge { .. }
            | Self::IdentityTooLarge { .. }
            | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ProviderUnavailable(_) | Self::StoreDown | Self::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::ProviderTimedOut(_) | Self::UpstreamTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. }
            | Self::UpstreamConnect(_)
            | Self::UpstreamProtocol(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The stable code: on the page, in the problem's `code`, in the log's `reason`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::LoginRequired => "login_required",
            Self::BodyLost => "csrf_post_replay",
            Self::NotAdmitted(_, unmet)
            | Self::StepUpRequired(_, unmet)
            | Self::NotAdmittedHere(_, unmet) => Self::missing_code(&unmet.missing),
            Self::NoRoute => "no_route",
            Self::UnknownHost => "unknown_host",
            Self::ClientCertificate => "client_certificate",
            Self::ForeignWebSocket => "foreign_websocket",
            Self::ForeignWrite(_) => "foreign_write",
            Self::ManyUpstreams => "ambiguous_target",
            Self::Malformed(malformed) => match malformed {
                Malformed::Target(_) => "malformed_target",
                Malformed::Host => "malformed_host",
                Malformed::Method => "method_not_served",
                Malformed::TransferCoding => "unknown_transfer_coding",
                Malformed::RepeatedField => "repeated_field",
            },
            Self::RequestBody(BodyError::Broken) => "body_broken",
            Self::RequestBody(BodyError::Idle) => "body_timeout",
            Self::TargetTooLong => "target_too_long",
            Self::HeaderTooLarge(_) => "header_too_large",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::RepeatedParameter => "repeated_parameter",
            Self::UnknownProvider => "unknown_provider",
            Self::StateMissing => "state_missing",
            Self::StateExpired => "state_expired",
            Self::StateMismatch => "state_mismatch",
            Self::Callback(_) => "callback_malformed",
            Self::CallbackIssuer(_) | Self::TokenIssuer(_) => "issuer_mismatch",
            Self::LoginLoop(_) => "login_loop",
            Self::ProviderRefused(_) => "provider_error",
            Self::RedirectMismatch { .. } => "redirect_mismatch",
            Self::ProviderUnavailable(_) => "provider_unavailable",
            Self::ProviderTimedOut(_) => "provider_timeout",
            Self::CodeExchangeFailed(_) => "code_exchange_failed",
            Self::TokenInvalid(_) => "token_invalid",
            Self::NonceMismatch => "nonce_mismatch",
            Self::ClockSkew(_) => "clock_skew",
            Self::IdentityUnusable { .. } => "identity_unusable",
            Self::UpstreamConnect(_) => "upstream_connect",
            Self::UpstreamTimeout(_) => "upstream_timeout",
            Self::UpstreamProtocol(_) => "upstream_protocol",
            Self::CookieTooLarge { .. } => "cookie_too_large",
            Self::LogoutToken(_) => "logout_token_invalid",
            Self::LogoutNotShared => "logout_not_shared",
            Self::StoreDown => "session_store_down",
            Self::Overloaded => "overloaded",
            Self::IdentityTooLarge { .. } => "identity_too_large",
            Self::Internal(_) => "internal",
        }
    }

    /// The code of a denial for want of `missing`.
    #[must_use]
    pub fn missing_code(missing: &Missing) -> &'static str {
        match missing {
            Missing::Group => "group_denied",
            Missing::CompleteGroups => "groups_incomplete",
            Missing::Email => "email_missing",
            Missing::VerifiedEmail => "email_unverified",
            Missing::OtherEmail => "domain_denied",
            Missing::Subject => "subject_denied",
            Missing::Claim => "claim_denied",
            Missing::Address => "address_denied",
            Missing::Exclusion => "excluded",
            Missing::Alternative => "access_denied",
            Missing::SignIn(_) => "insufficient_user_authentication",
        }
    }

    /// Who can mend it; the log's level follows.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::LoginRequired
            | Self::BodyLost
            | Self::NotAdmitted(..)
            | Self::StepUpRequired(..)
            | Self::NotAdmittedHere(..)
            | Self::NoRoute
            | Self::UnknownHost
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
            | Self::NonceMismatch
            | Self::LoginLoop(_)
            | Self::LogoutToken(_) => Blame::UserAgent,
            Self::ProviderRefused(_)
            | Self::ProviderUnavailable(_)
            | Self::ProviderTimedOut(_)
            | Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. } => Blame::Provider,
            Self::UpstreamConnect(_) | Self::UpstreamTimeout(_) | Self::UpstreamProtocol(_) => {
                Blame::Upstream
            }
            Self::RedirectMismatch { .. }
            | Self::CookieTooLarge { .. }
            | Self::IdentityTooLarge { .. }
            | Self::LogoutNotShared
            | Self::StoreDown
            | Self::Overloaded
            | Self::Internal(_) => Blame::Ours,
        }
    }

    /// Whether the connection can go on. After some requests nobody knows where the next one begins.
    #[must_use]
    pub fn connection(&self) -> Connection {
        match self {
            Self::Malformed(_)
            | Self::RequestBody(_)
            | Self::ManyUpstreams
            | Self::TargetTooLong
            | Self::HeaderTooLarge(_) => Connection::Close,
            Self::LoginRequired
            | Self::BodyLost
            | Self::NotAdmitted(..)
            | Self::StepUpRequired(..)
            | Self::NotAdmittedHere(..)
            | Self::NoRoute
            | Self::UnknownHost
            | Self::ClientCertificate
            | Self::ForeignWebSocket
            | Self::ForeignWrite(_)
            | Self::MethodNotAllowed(_)
            | Self::RepeatedParameter
            | Self::UnknownProvider
            | Self::StateMissing
            | Self::StateExpired
            | Self::StateMismatch
            | Self::Callback(_)
            | Self::CallbackIssuer(_)
            | Self::LoginLoop(_)
            | Self::ProviderRefused(_)
            | Self::RedirectMismatch { .. }
            | Self::ProviderUnavailable(_)
            | Self::ProviderTimedOut(_)
            | Self::CodeExchangeFailed(_)
            | Self::TokenInvalid(_)
            | Self::TokenIssuer(_)
            | Self::NonceMismatch
            | Self::ClockSkew(_)
            | Self::IdentityUnusable { .. }
            | Self::UpstreamConnect(_)
            | Self::UpstreamTimeout(_)
            | Self::UpstreamProtocol(_)
            | Self::CookieTooLarge { .. }
            | Self::IdentityTooLarge { .. }
            | Self::LogoutToken(_)
            | Self::LogoutNotShared
            | Self::StoreDown
            | Self::Overloaded
            | Self::Internal(_) => Connection::Keep,
        }
    }

    /// After how many seconds it is worth asking again (RFC 9110 section 10.2.3), where waiting may
    /// help.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        let may_pass = [
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        may_pass.contains(&self.status()).then_some(5)
    }
}

impl Fault {
    /// A denial of the gate's; `rule` says, for the log, what the route with this index wants.
    #[must_use]
    pub fn of_denial(
        denial: Denial,
        rule: impl FnOnce(&Session, &Missing, usize) -> String,
    ) -> Self {
        match denial {
            Denial::LoginRequired => Self::LoginRequired,
            Denial::NotAdmitted(session, missing, route) => {
                let rule = rule(&session, &missing, route);
                Self::NotAdmitted(session, Unmet { missing, rule })
            }
            Denial::StepUpRequired(session, step_up, route) => {
                let missing = Missing::SignIn(step_up);
                let rule = rule(&session, &missing, route);
                Self::StepUpRequired(session, Unmet { missing, rule })
            }
            Denial::Unconfirmed => Self::ProviderUnavailable(Outage::new(
                "the session must be confirmed, and the provider does not answer",
            )),
            Denial::StoreDown => Self::StoreDown,
            Denial::NoRoute => Self::NoRoute,
            Denial::UnknownHost => Self::UnknownHost,
            Denial::ManyUpstreams => Self::ManyUpstreams,
            Denial::MethodNotAllowed(methods) => Self::MethodNotAllowed(methods),
            Denial::ClientCertificate => Self::ClientCertificate,
            Denial::ForeignWebSocket => Self::ForeignWebSocket,
            Denial::ForeignWrite(origin) => Self::ForeignWrite(origin),
        }
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
