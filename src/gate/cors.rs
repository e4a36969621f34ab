//! What scripts of other origins may ask and read (Fetch standard, section 3.3), as far as a route says
//! so.
//!
//! A preflight asks whether another request may be made. It carries no credentials, so it is decided by
//! the route of that other request, and nobody is let in by it: it is answered here, or goes on to the
//! app as a bare question where the route says so.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use crate::base::origin::Origin;

/// What a route lets scripts of other origins do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Whose.
    pub origins: AllowedOrigins,
    /// The methods that they may use.
    pub methods: Vec<Method>,
    /// The fields that they may send, besides those that need no leave.
    pub headers: Vec<HeaderName>,
    /// The fields of answers that they may read, besides those that need no leave.
    pub expose: Vec<HeaderName>,
    /// Whether what they ask may carry the session.
    pub credentials: Credentials,
    /// How long a preflight's answer is good.
    pub max_age: Option<Duration>,
    /// Who answers preflights, and so whose the fields of answers are.
    pub preflights: Preflights,
}

/// Whose scripts may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Those of every origin that is one; never `null`, which many documents share.
    Any,
    /// Those of these.
    Listed(Vec<Origin>),
}

/// Whether requests of other origins' scripts may carry cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// They may.
    Allowed,
    /// They may not; their answers cannot be read.
    Withheld,
}

/// Who answers preflights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preflights {
    /// The gate; the app's own fields for other origins do not count.
    Answered,
    /// The app; the gate's own refusals alone get fields from us.
    Passed,
}

/// What one request's origin is granted by the route that the request falls under.
#[derive(Debug, Clone)]
pub struct Grant {
    cors: Arc<Cors>,
    origin: Option<AllowedOrigin>,
}

/// An origin that may read the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Every one may.
    Any,
    /// This one may.
    One(Origin),
}

impl Grant {
    /// What `cors` grants to `origin`, the text of an `Origin` field.
    pub(super) fn of(cors: &Arc<Cors>, origin: Option<&str>) -> Self {
        let origin = origin.and_then(|text| Origin::parse(text).ok());
        let origin = match (&cors.origins, origin) {
            (_, None) => None,
            (AllowedOrigins::Any, Some(_)) => Some(AllowedOrigin::Any),
            (AllowedOrigins::Listed(list), Some(origin)) => {
                list.contains(&origin).then_some(AllowedOrigin::One(origin))
            }
        };
        Self {
            cors: Arc::clone(cors),
            origin,
        }
    }

    /// The origin that may read the answer; nothing, where none or another one asks.
    #[must_use]
    pub fn origin(&self) -> Option<&AllowedOrigin> {
        self.origin.as_ref()
    }

    /// What is granted to it.
    #[must_use]
    pub fn cors(&self) -> &Cors {
        &self.cors
    }
}

/// A preflight, and the route that the request it asks about would fall under.
#[derive(Debug)]
pub struct Preflight {
    /// The route.
    pub(super) route: usize,
    /// The upstream that it goes on to; none, where the gate answers.
    pub(super) upstream: Option<usize>,
    /// What is granted.
    pub(super) grant: Grant,
}

impl Preflight {
    /// The route, as an index for `Gate::named_route`.
    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    /// What is granted to whoever asks.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}
