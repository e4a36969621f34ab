//! What the gate says: a [`Decision`], and the [`Permit`] that opens the way to the upstream.

use std::sync::Arc;

use http::request::Parts;

use super::access::{Missing, StepUp};
use super::client_address::ClientAddress;
use super::cors::Preflight;
use super::endpoint::Endpoint;
use super::facts::{Facts, Upgrade};
use super::routes::MethodOverride;
use crate::base::return_to::ReturnTo;
use crate::session::Session;

/// What should happen to a request.
#[derive(Debug)]
pub enum Decision {
    /// It may go on to the upstream.
    Forward(Permit, Upkeep),
    /// The route that it falls under answers by itself.
    Answer(Admission, Upkeep),
    /// It asks whether another request may be made: it should be told.
    Preflight(Preflight),
    /// The person should sign in and come back to this page.
    Login(ReturnTo),
    /// The person, who is signed in, should come by the provider, unseen if it can be, and then come
    /// back to this page.
    Reask(ReturnTo),
    /// The person, who is signed in, should sign in so at the same provider, and come back to this page
    /// (RFC 9470).
    StepUp(ReturnTo, StepUp),
    /// It is for one of our own endpoints.
    Serve(Endpoint, Box<Facts>),
    /// It may not go on.
    Deny(Denial),
}

/// What the answer should do for the session besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Nothing.
    None,
    /// Carry the session's cookie, sealed anew.
    Reseal,
}

/// Why a request may not go on. Data, not an error: nothing is broken.
#[derive(Debug, Clone)]
pub enum Denial {
    /// Nobody is signed in, and whoever asks cannot be sent to sign in.
    LoginRequired,
    /// Somebody is signed in, but the condition of the route with this index is not met.
    NotAdmitted(Arc<Session>, Missing, usize),
    /// Somebody is signed in, but not as the route with this index demands, and whoever asks cannot be sent
    /// to sign in.
    StepUpRequired(Arc<Session>, StepUp, usize),
    /// Somebody is signed in, but for too long nobody has vouched for that, and the provider does not
    /// answer.
    Unconfirmed,
    /// A session was shown that cannot be looked up: the store does not answer.
    StoreDown,
    /// No route matches.
    NoRoute,
    /// The host is not one that any route serves.
    UnknownHost,
    /// The readings of the target lead to different upstreams, or what a redirect should take over of it
    /// to different places.
    ManyUpstreams,
    /// The endpoint exists, but not for this method.
    MethodNotAllowed(&'static str),
    /// The route demands a client certificate, and none that it accepts was shown.
    ClientCertificate,
    /// A WebSocket handshake with our cookie from a page of another origin.
    ForeignWebSocket,
    /// A request that may change something, with our cookie, from a page of another origin: this one,
    /// where the browser named it.
    ForeignWrite(Box<str>),
}

/// The right to go on to the upstream, with the very head that was judged.
///
/// It has no public constructor: [`super::Gate::decide`] alone makes it, so that what is forwarded
/// was permitted, and what was permitted is what is forwarded.
#[derive(Debug)]
pub struct Permit {
    facts: Box<Facts>,
    route: usize,
    upstream: usize,
    session: Option<Arc<Session>>,
    method_override: MethodOverride,
}

impl Permit {
    pub(super) fn new(
        facts: Box<Facts>,
        (route, upstream): (usize, usize),
        session: Option<Arc<Session>>,
        method_override: MethodOverride,
    ) -> Self {
        Self {
            facts,
            route,
            upstream,
            session,
            method_override,
        }
    }

    /// The route that admitted the request, as an index for `Gate::named_route`.
    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    /// The upstream to go to, as an index into the generation's upstreams.
    #[must_use]
    pub fn upstream(&self) -> usize {
        self.upstream
    }

    /// Whom the upstream should be told; nobody on a public route.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The client's address by the trusted-proxy rule.
    #[must_use]
    pub fn client_address(&self) -> &ClientAddress {
        self.facts.client_address()
    }

    /// Whether fields that claim another method may pass.
    #[must_use]
    pub fn method_override(&self) -> MethodOverride {
        self.method_override
    }

    /// Whether the request asks to switch to the WebSocket protocol.
    #[must_use]
    pub fn upgrade(&self) -> Upgrade {
        self.facts.upgrade()
    }

    /// Spends the permit: the head, exactly as it was received and judged.
    #[must_use]
    pub fn into_head(self) -> Parts {
        self.facts.into_head()
    }
}

/// The right to what a route answers by itself.
///
/// Like a [`Permit`], only the gate makes one.
#[derive(Debug)]
pub struct Admission {
    route: usize,
    location: Option<String>,
    session: Option<Arc<Session>>,
}

impl Admission {
    pub(super) fn new(
        route: usize,
        location: Option<String>,
        session: Option<Arc<Session>>,
    ) -> Self {
        Self {
            route,
            location,
            session,
        }
    }

    /// The route that answers, as an index for `Gate::named_route`.
    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    /// Where a redirect leads; nothing for a fixed answer.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Who is signed in, unless the route is public.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }
}
