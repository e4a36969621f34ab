//! Floor 3: the decision. Pure and total: no clock, no chance, no sockets, no logging, no failure.
//!
//! [`Gate::route`] says which rules a request falls under and so what evidence is worth looking at;
//! [`Gate::decide`] turns facts and evidence into a [`Decision`]. A decision says *what* should
//! happen, never how it looks in HTTP: status codes, `Location` and cookies are written in `app/`.
//! The only way to the upstream is a [`Permit`], and the only place that makes one is here.

pub mod access;
pub mod client_address;
pub mod client_certificate;
pub mod cors;
pub mod decision;
pub mod endpoint;
pub mod facts;
pub mod outlook;
pub mod own_answer;
pub mod path_pattern;
mod route_index;
pub mod routes;
pub mod write_shield;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::access::{Access, Applicant, Asked, Missing, StepUp, Verdict};
use self::cors::{Grant, Preflight};
use self::decision::{Admission, Decision, Denial, Permit, Upkeep};
use self::endpoint::Endpoint;
use self::facts::{Asker, Facts, Upgrade};
use self::outlook::Lens;
use self::own_answer::OwnAnswer;
use self::routes::{HostRule, Leads, Matched, MethodOverride, Need, Route, RouteSet, Routes};
use self::write_shield::ShieldMode;
use crate::base::clock::UnixTime;
use crate::base::origin::{Origin, PublicUrl};
use crate::base::return_to::ReturnTo;
use crate::base::target::Target;
use crate::session::Session;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Freshness;

/// The rules of one generation, ready to decide.
#[derive(Debug)]
pub struct Gate {
    public_url: PublicUrl,
    prefix: String,
    callbacks: Vec<Callback>,
    routes: Routes,
}

/// Where a provider sends people back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The path below the public URL; starts with `/`.
    pub path: String,
    /// The provider's id.
    pub provider: String,
}

impl Gate {
    /// A gate for `public_url` whose own endpoints live under `prefix` (starting with `/`), below
    /// the public URL's path, and whose providers send people back to `callbacks`.
    #[must_use]
    pub fn new(
        public_url: PublicUrl,
        prefix: &str,
        mut callbacks: Vec<Callback>,
        routes: Vec<Route>,
    ) -> Self {
        let base = public_url.path();
        let prefix = format!("{base}{prefix}");
        for callback in &mut callbacks {
            callback.path.insert_str(0, base);
        }
        let routes = Routes::new(public_url.origin().host(), routes);
        Self {
            public_url,
            prefix,
            callbacks,
            routes,
        }
    }

    /// The route a decision named.
    #[must_use]
    pub fn named_route(&self, index: usize) -> Option<&Route> {
        self.routes.at(index)
    }

    /// Which endpoint or routes the request falls under.
    #[must_use]
    pub fn route(&self, facts: &Facts) -> Matched {
        let path = facts.target().path();
        let below = path.strip_prefix(self.prefix.as_str());
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let callback = self.callbacks.iter().find(|callback| callback.path == path);
        match (callback, below) {
            // An app may read it as a path of ours and believe that it comes from here.
            (None, None) if self.has_own_reading(facts.target()) => {
                Matched::Refused(Denial::NoRoute)
            }
            (None, None) => match self.routes.preflight(facts) {
                Some(preflight) => Matched::Preflight(preflight),
                None => self.routes.find(facts),
            },
            _ if !self.routes.knows_host(facts.host()) => Matched::Refused(Denial::UnknownHost),
            (Some(callback), _) => Endpoint::callback(&callback.provider, facts.method()),
            (None, Some(rest)) => Endpoint::find(rest, facts.method()),
        }
    }

    /// What evidence the matched rules ask for.
    #[must_use]
    pub fn need(&self, matched: &Matched) -> Need {
        self.routes.need(matched)
    }

    /// What the matched rules grant to the origin whose script asks; nothing, where they do not speak of
    /// that, or not with one voice. It opens nothing: it says who may read whatever is answered.
    #[must_use]
    pub fn grant(&self, matched: &Matched, facts: &Facts) -> Option<Grant> {
        match matched {
            Matched::Routes(set) => {
                let cors = self.routes.common_cors(set)?;
                Some(Grant::of(cors, facts.origin()))
            }
            Matched::Endpoint(_) | Matched::Preflight(_) | Matched::Refused(_) => None,
        }
    }

    /// What should happen to the request, which is judged at `now`.
    ///
    /// Every route that some reading of the target falls under is asked; the first that refuses
    /// answers for all.
    #[must_use]
    pub fn decide(
        &self,
        matched: Matched,
        facts: Box<Facts>,
        evidence: &Evidence,
        now: UnixTime,
    ) -> Decision {
        let indices = match matched {
            Matched::Endpoint(endpoint) => return Decision::Serve(endpoint, facts),
            Matched::Refused(denial) => return Decision::Deny(denial),
            Matched::Preflight(preflight) => return Self::ask_or_answer(preflight, facts),
            Matched::Routes(indices) => indices,
        };
        let identified = match self.weigh(&indices, &facts, (evidence, now), Lens::InForce) {
            Weighed::Pass(identified) => identified,
            Weighed::Refuse(denial) => return Decision::Deny(denial),
            Weighed::Ask => return self.ask(&facts),
            Weighed::StepUp(session, step_up, index) => {
                return match facts.asker() {
                    Asker::Navigation => Decision::StepUp(self.return_to(&facts), step_up),
                    _ => Decision::Deny(Denial::StepUpRequired(session, step_up, index)),
                };
            }
        };
        let unheard = matches!(evidence, Evidence::Unheard(..));
        if unheard && identified == Identified::BySession && facts.asker() == Asker::Navigation {
            return Decision::Reask(self.return_to(&facts));
        }
        let (session, upkeep) = match (identified, evidence) {
            (
                Identified::BySession,
                Evidence::Session(session, freshness) | Evidence::Unheard(session, freshness),
            ) => {
                let upkeep = match freshness {
                    Freshness::Reseal => Upkeep::Reseal,
                    Freshness::Fresh => Upkeep::None,
                };
                (Some(Arc::clone(session)), upkeep)
            }
            _ => (None, Upkeep::None),
        };
        if let Some(index) = indices.answering() {
            return self.answer(index, &facts, (session, upkeep));
        }
        let first = self.routes.at(indices.first());
        let Some(upstream) = first.and_then(Route::upstream) else {
            return Decision::Deny(Denial::NoRoute);
        };
        let at = (indices.first(), upstream);
        let permit = Permit::new(facts, at, session, self.routes.method_override());
        Decision::Forward(permit, upkeep)
    }

    /// A preflight goes on to the app as nobody's, or is answered.
    fn ask_or_answer(preflight: Preflight, facts: Box<Facts>) -> Decision {
        match preflight.upstream {
            None => Decision::Preflight(preflight),
            Some(upstream) => {
                let (facts, at) = (facts.into_bare_preflight(), (preflight.route, upstream));
                let permit = Permit::new(facts, at, None, MethodOverride::Dropped);
                Decision::Forward(permit, Upkeep::None)
            }
        }
    }

    /// What the route at `index` answers by itself.
    fn answer(
        &self,
        index: usize,
        facts: &Facts,
        (session, upkeep): (Option<Arc<Session>>, Upkeep),
    ) -> Decision {
        let Some(route) = self.routes.at(index) else {
            return Decision::Deny(Denial::NoRoute);
        };
        let location = match &route.leads {
            Leads::Own(OwnAnswer::Respond(_)) => None,
            Leads::Own(OwnAnswer::Redirect(there)) => {
                match there.location(facts.target(), route.path.as_ref()) {
                    Some(location) => Some(location),
                    None => return Decision::Deny(Denial::ManyUpstreams),
                }
            }
            Leads::Upstream(_) => return Decision::Deny(Denial::NoRoute),
        };
        Decision::Answer(Admission::new(index, location, session), upkeep)
    }

    /// What all routes of `set` say together: the first that refuses answers for all.
    fn weigh(
        &self,
        set: &RouteSet,
        facts: &Facts,
        (evidence, now): (&Evidence, UnixTime),
        lens: Lens,
    ) -> Weighed {
        let mut identified = Identified::Anonymous;
        for index in set.iter() {
            let Some(route) = self.routes.at(index) else {
                return Weighed::Refuse(Denial::NoRoute);
            };
            match self.judge((index, route), facts, (evidence, now), lens) {
                Weighed::Pass(one) => identified = identified.and(one),
                otherwise => return otherwise,
            }
        }
        Weighed::Pass(identified)
    }

    fn judge(
        &self,
        (index, route): (usize, &Route),
        facts: &Facts,
        (evidence, now): (&Evidence, UnixTime),
        lens: Lens,
    ) -> Weighed {
        if !route.certificate_fits(facts) {
            return Weighed::Refuse(Denial::ClientCertificate);
        }
        let session = live_session(evidence);
        // To sign in anew would not help: whoever would have to answer does not.
        let unanswered = match evidence {
            Evidence::Unconfirmed(_) => Some(Denial::Unconfirmed),
            Evidence::StoreDown => Some(Denial::StoreDown),
            _ => None,
        };
        let identified = match (route.access_by(lens), session) {
            (Access::Public, _) | (Access::Optional, None) => Identified::Anonymous,
            (Access::Optional, Some(_)) => Identified::BySession,
            (Access::SignedIn | Access::When(_), None) => {
                return unanswered.map_or(Weighed::Ask, Weighed::Refuse);
            }
            (Access::SignedIn, Some(_)) => Identified::BySession,
            (Access::When(condition), Some(session)) => {
                match condition.judge(&applicant(session, facts, now)) {
                    Verdict::Met => Identified::BySession,
                    Verdict::NotMet(Missing::SignIn(step_up))
                        if !session.has_just_stepped_up(&step_up.acr, now) =>
                    {
                        return Weighed::StepUp(Arc::clone(session), step_up, index);
                    }
                    Verdict::NotMet(missing) => {
                        return Weighed::Refuse(Denial::NotAdmitted(
                            Arc::clone(session),
                            missing,
                            index,
                        ));
                    }
                }
            }
        };
        match self.foreign(route, facts, identified, lens) {
            Some(denial) => Weighed::Refuse(denial),
            None => Weighed::Pass(identified),
        }
    }

    /// Whether the request comes from a page that must not act in the name of whoever is signed in.
    ///
    /// A browser sends the cookie with what any page asks for, and shows its certificate: only its own
    /// word tells whose page it was. A program that has either gives no such word.
    fn foreign(
        &self,
        route: &Route,
        facts: &Facts,
        identified: Identified,
        lens: Lens,
    ) -> Option<Denial> {
        let by_certificate = route.client_certificate.is_some();
        if identified == Identified::Anonymous && !by_certificate {
            return None;
        }
        let is_own = |origin: &Origin| self.is_own_origin(route, origin);
        if facts.upgrade() == Upgrade::WebSocket {
            // RFC 6455 section 10.2.
            let named = identified == Identified::BySession || facts.origin().is_some();
            let origin = facts.origin().and_then(|text| Origin::parse(text).ok());
            let may = origin
                .is_some_and(|origin| is_own(&origin) || route.websocket_origins.contains(&origin));
            return (named && !may).then_some(Denial::ForeignWebSocket);
        }
        let shield = &route.write_shield;
        let counts = match (shield.mode, lens) {
            (ShieldMode::Enforce, _) | (ShieldMode::Shadow, Lens::Tried) => true,
            (ShieldMode::Shadow, Lens::InForce) | (ShieldMode::Off, _) => false,
        };
        let stops = counts && shield.stops(facts, route.cors.as_deref(), is_own);
        stops.then(|| Denial::ForeignWrite(facts.origin().unwrap_or_default().into()))
    }

    /// Whether pages of `origin` are the app's own: they have the scheme and port of `public_url`, and its
    /// host or the one that the route is for.
    fn is_own_origin(&self, route: &Route, origin: &Origin) -> bool {
        let public = self.public_url.origin();
        match &route.hosts {
            HostRule::One(host) => *origin == public.with_host(host.clone()),
            HostRule::Public | HostRule::Any => origin == public,
        }
    }

    /// Only a person in front of a page can be sent to sign in.
    fn ask(&self, facts: &Facts) -> Decision {
        match facts.asker() {
            Asker::Navigation => Decision::Login(self.return_to(facts)),
            Asker::Prefetch | Asker::Frame | Asker::ServiceWorker | Asker::Program => {
                Decision::Deny(Denial::LoginRequired)
            }
        }
    }
}

impl Gate {
    fn return_to(&self, facts: &Facts) -> ReturnTo {
        ReturnTo::of_target(facts.target()).unwrap_or_else(|| ReturnTo::home(&self.public_url))
    }
}

/// Whoever has `session` and asks at `now`.
#[must_use]
pub fn applicant<'a>(session: &'a Session, facts: &'a Facts, now: UnixTime) -> Applicant<'a> {
    Applicant {
        provider: &session.provider,
        identity: &session.identity,
        acr: session.acr.as_deref(),
        auth_time: session.auth_time,
        client: Some(*facts.client_address()),
        asked: Some(Asked {
            method: facts.method(),
            host: facts.host(),
        }),
        now,
    }
}

/// What a route says, or all of them.
enum Weighed {
    Pass(Identified),
    Refuse(Denial),
    Ask,
    /// By the route with this index.
    StepUp(Arc<Session>, StepUp, usize),
}

/// Whether the upstream is told who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identified {
    Anonymous,
    BySession,
}

impl Identified {
    fn and(self, other: Self) -> Self {
        if other == Self::BySession {
            other
        } else {
            self
        }
    }
}

impl Gate {
    /// Whether a person who returns to `place`, a path and query, would land on an endpoint of ours
    /// under some reading: no page to go to.
    #[must_use]
    pub fn is_own_place(&self, place: &str) -> bool {
        Target::parse(place).map_or(true, |target| self.has_own_reading(&target))
    }

    fn has_own_reading(&self, target: &Target) -> bool {
        target.readings().any(|reading| {
            let below = reading.strip_prefix(self.prefix.as_bytes());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
                || self
                    .callbacks
                    .iter()
                    .any(|callback| callback.path.as_bytes() == reading)
        })
    }
}

/// Tells a live session from everything else, for callers that only want to know who is there.
#[must_use]
pub fn live_session(evidence: &Evidence) -> Option<&Arc<Session>> {
    match evidence {
        Evidence::Session(session, _) | Evidence::Unheard(session, _) => Some(session),
        Evidence::None
        | Evidence::Unconfirmed(_)
        | Evidence::Expired(_)
        | Evidence::Unusable
        | Evidence::StoreDown => None,
    }
}
