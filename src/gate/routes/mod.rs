//! Which rules a request falls under: host, path and method, under every reading of the target.

use std::sync::Arc;

use http::Method;

use super::access::Access;
use super::client_certificate::{CertificatePattern, accepts};
use super::cors::{Cors, Grant, Preflight, Preflights};
use super::decision::Denial;
use super::endpoint::Endpoint;
use super::facts::Facts;
use super::outlook::Lens;
use super::own_answer::OwnAnswer;
use super::path_pattern::PathPattern;
use super::route_index::{Entry, RouteIndex};
use super::write_shield::{ShieldMode, WriteShield};
use crate::base::origin::{Host, Origin};

/// One rule: what it matches, who may pass, and where it leads.
#[derive(Debug, Clone)]
pub struct Route {
    /// The name in logs.
    pub name: String,
    /// The hosts it serves.
    pub hosts: HostRule,
    /// The paths it serves; all, where absent.
    pub path: Option<PathPattern>,
    /// The methods it serves; all, where absent. A list that holds GET holds HEAD.
    pub methods: Option<Vec<Method>>,
    /// Who may pass.
    pub access: Access,
    /// The client certificates that it demands, besides: one of these. None are, where it is absent.
    pub client_certificate: Option<Vec<CertificatePattern>>,
    /// What answers whoever may pass.
    pub leads: Leads,
    /// Who might pass instead: judged and noted, and of no effect.
    pub tried_access: Option<Access>,
    /// Whose pages may change something here with a session.
    pub write_shield: WriteShield,
    /// Whose pages may open a WebSocket here with a session, besides our own origin's.
    pub websocket_origins: Vec<Origin>,
    /// What scripts of other origins may ask and read.
    pub cors: Option<Arc<Cors>>,
}

/// What answers a request that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// The upstream with this index among the generation's.
    Upstream(usize),
    /// The route itself.
    Own(OwnAnswer),
}

impl Route {
    /// The upstream it leads to, as an index into the generation's upstreams; none, where it answers by
    /// itself.
    #[must_use]
    pub fn upstream(&self) -> Option<usize> {
        match self.leads {
            Leads::Upstream(index) => Some(index),
            Leads::Own(_) => None,
        }
    }

    /// Who may pass, or might.
    #[must_use]
    pub fn access_by(&self, lens: Lens) -> &Access {
        match (lens, &self.tried_access) {
            (Lens::Tried, Some(tried)) => tried,
            (Lens::Tried, None) | (Lens::InForce, _) => &self.access,
        }
    }

    /// Whether something of it is only tried.
    #[must_use]
    pub fn tries(&self) -> bool {
        self.tried_access.is_some() || self.write_shield.mode == ShieldMode::Shadow
    }

    /// What it answers by itself.
    #[must_use]
    pub fn own_answer(&self) -> Option<&OwnAnswer> {
        match &self.leads {
            Leads::Upstream(_) => None,
            Leads::Own(answer) => Some(answer),
        }
    }

    /// Whether the connection has shown what certificate the route demands, if it demands one.
    pub(super) fn certificate_fits(&self, facts: &Facts) -> bool {
        let patterns = self.client_certificate.as_deref();
        patterns.is_none_or(|patterns| accepts(patterns, facts.client_certificate()))
    }

    fn is_exact(&self) -> bool {
        self.path.as_ref().is_some_and(PathPattern::is_exact)
    }
}

/// The hosts a route serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// The host of `public_url`.
    Public,
    /// Whatever the `Host` field says.
    Any,
    /// This host.
    One(Host),
}

/// Whether a client may claim another method than the one that it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodOverride {
    /// No rule names a method, so it cannot slip past one.
    Passed,
    /// Some rule names a method: what claims another is dropped.
    Dropped,
}

/// What [`super::Gate::route`] found.
#[derive(Debug)]
pub enum Matched {
    /// One of our own endpoints.
    Endpoint(Endpoint),
    /// The routes that the readings of the target fall under.
    Routes(RouteSet),
    /// A preflight, and the route that speaks of it.
    Preflight(Preflight),
    /// Nothing that could be admitted.
    Refused(Denial),
}

/// Whether a session is worth looking for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No: only public routes, or nothing, matched.
    Nothing,
    /// A session, if the request brought one.
    Session,
}

/// Indices of routes, each once: usually one.
#[derive(Debug)]
pub struct RouteSet {
    first: usize,
    others: Vec<usize>,
    answering: Option<usize>,
}

impl RouteSet {
    /// The route that the raw target falls under.
    #[must_use]
    pub fn first(&self) -> usize {
        self.first
    }

    /// The one that answers by itself, so that no upstream is asked.
    #[must_use]
    pub fn answering(&self) -> Option<usize> {
        self.answering
    }

    /// All of them, the raw target's first.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// The routes of a generation, in the operator's order: the first match wins.
#[derive(Debug)]
pub struct Routes {
    all: Vec<Route>,
    index: RouteIndex,
    /// The same with every pattern in lower case.
    folded_index: RouteIndex,
    method_override: MethodOverride,
    /// Whether some pattern has capitals, so that a server which ignores case reads it otherwise.
    patterns_with_capitals: bool,
    /// Whether some exact pattern ends with a slash.
    patterns_with_final_slash: bool,
}

/// The routes found so far.
enum Found {
    Nothing,
    /// Some reading is matched by no route: refused, whatever the others say.
    Unmatched,
    Set(RouteSet),
}

impl Found {
    fn and(self, index: Option<usize>) -> Self {
        match (self, index) {
            (Self::Unmatched, _) | (_, None) => Self::Unmatched,
            (Self::Nothing, Some(first)) => Self::Set(RouteSet {
                first,
                others: Vec::new(),
                answering: None,
            }),
            (Self::Set(mut set), Some(index)) => {
                if !set.iter().any(|known| known == index) {
                    set.others.push(index);
                }
                Self::Set(set)
            }
        }
    }

    /// A twin that matches nothing says nothing.
    fn and_twin(self, index: Option<usize>) -> Self {
        if index.is_some() {
            self.and(index)
        } else {
            self
        }
    }

    /// The first that answers by itself answers for all.
    fn answered_by(mut self, index: Option<usize>) -> Self {
        if let Self::Set(set) = &mut self {
            set.answering = set.answering.or(index);
        }
        self
    }
}

/// A request, and the method that it is asked about: its own, or that which a preflight names.
#[derive(Clone, Copy)]
struct Asked<'a> {
    facts: &'a Facts,
    method: &'a Method,
}

/// Whether the server behind tells capitals from small letters.
#[derive(Clone, Copy)]
enum Case {
    Told,
    Ignored,
}

impl Routes {
    /// Compiles the routes; `public_host` is what a route without a host serves.
    #[must_use]
    pub fn new(public_host: &Host, routes: Vec<Route>) -> Self {
        let folded: Vec<Option<PathPattern>> = routes
            .iter()
            .map(|route| route.path.as_ref().map(PathPattern::folded))
            .collect();
        let paths = routes.iter().map(|route| route.path.as_ref());
        let sorted = |paths: &mut dyn Iterator<Item = Option<&PathPattern>>| {
            let entries = routes.iter().zip(paths).map(|(route, path)| Entry {
                hosts: &route.hosts,
                path,
                methods: route.methods.as_deref(),
            });
            RouteIndex::new(public_host, entries)
        };
        let index = sorted(&mut paths.clone());
        let folded_index = sorted(&mut folded.iter().map(Option::as_ref));
        let patterns_with_capitals = paths
            .clone()
            .zip(&folded)
            .any(|(path, folded)| path != folded.as_ref());
        let patterns_with_final_slash = paths.flatten().any(PathPattern::ends_with_slash);
        let method_override = if routes.iter().any(|route| route.methods.is_some()) {
            MethodOverride::Dropped
        } else {
            MethodOverride::Passed
        };
        Self {
            all: routes,
            index,
            folded_index,
            method_override,
            patterns_with_capitals,
            patterns_with_final_slash,
        }
    }

    /// The route at `index`.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Route> {
        self.all.get(index)
    }

    /// Whether fields that claim another method may pass.
    #[must_use]
    pub fn method_override(&self) -> MethodOverride {
        self.method_override
    }

    /// Whether any route serves `host`.
    #[must_use]
    pub fn knows_host(&self, host: &Host) -> bool {
        self.index.knows(host)
    }

    /// The routes that the request falls under, under every reading of its target.
    ///
    /// A reading that no route matches refuses the request, as does a set of routes that lead to
    /// different upstreams: then nobody can say which app would understand what. Where one of them
    /// answers by itself no app is asked, so that its answer is everybody's who may pass all of them.
    #[must_use]
    pub fn find(&self, facts: &Facts) -> Matched {
        let method = facts.method();
        self.find_for(Asked { facts, method })
    }

    /// The preflight that `facts` is, where the routes of the request that it asks about speak of
    /// preflights, and with one voice.
    #[must_use]
    pub fn preflight(&self, facts: &Facts) -> Option<Preflight> {
        let method = facts.preflight()?;
        // A rule for OPTIONS is asked like every other.
        if let Matched::Routes(own) = self.find(facts)
            && own.iter().any(|index| self.names_options(index))
        {
            return None;
        }
        let method = &method;
        let Matched::Routes(set) = self.find_for(Asked { facts, method }) else {
            return None;
        };
        let cors = self.common_cors(&set)?;
        // A preflight brings no session, but it comes over a connection that shows a certificate or
        // does not: without it, the app hears nothing.
        let fits = |index| {
            self.at(index)
                .is_some_and(|one| one.certificate_fits(facts))
        };
        if cors.preflights == Preflights::Passed && !set.iter().all(fits) {
            return None;
        }
        let grant = Grant::of(cors, facts.origin());
        let passes = cors.preflights == Preflights::Passed
            && grant.origin().is_some()
            && set.answering.is_none();
        let upstream = self.at(set.first).and_then(Route::upstream);
        Some(Preflight {
            route: set.first,
            upstream: upstream.filter(|_| passes),
            grant,
        })
    }

    /// What the routes of `set` say of other origins' scripts, if they all say the same.
    #[must_use]
    pub fn common_cors(&self, set: &RouteSet) -> Option<&Arc<Cors>> {
        let first = self.at(set.first)?.cors.as_ref()?;
        let same = |index| self.at(index).and_then(|route| route.cors.as_ref()) == Some(first);
        set.iter().all(same).then_some(first)
    }

    fn names_options(&self, index: usize) -> bool {
        let methods = self.at(index).and_then(|route| route.methods.as_ref());
        methods.is_some_and(|methods| methods.contains(&Method::OPTIONS))
    }

    fn find_for(&self, asked: Asked<'_>) -> Matched {
        let facts = asked.facts;
        if !self.knows_host(facts.host()) {
            return Matched::Refused(Denial::UnknownHost);
        }
        let mut found = Found::Nothing;
        for reading in facts.target().unfolded_readings() {
            found = self.find_more(found, asked, reading, Case::Told);
        }
        let case_matters =
            self.patterns_with_capitals || facts.target().readings().nth(1).is_some();
        let folded = |reading: &&[u8]| !reading.iter().any(u8::is_ascii_uppercase);
        for reading in facts
            .target()
            .readings()
            .filter(folded)
            .filter(|_| case_matters)
        {
            found = self.find_more(found, asked, reading, Case::Ignored);
        }
        let Found::Set(set) = found else {
            return Matched::Refused(Denial::NoRoute);
        };
        // What answers by itself but not for this spelling leads nowhere.
        let mut upstreams = set.iter().filter_map(|index| self.at(index)?.upstream());
        let first = upstreams.next();
        let agreed = upstreams.all(|upstream| Some(upstream) == first);
        drop(upstreams);
        if set.answering.is_some() || agreed {
            Matched::Routes(set)
        } else {
            Matched::Refused(Denial::ManyUpstreams)
        }
    }

    /// The same with what one more reading falls under.
    fn find_more(&self, found: Found, asked: Asked<'_>, reading: &[u8], case: Case) -> Found {
        let index = self.first_match(asked, reading, case);
        let found = found
            .and(index)
            .answered_by(index.filter(|index| self.own_answer(*index).is_some()));
        let twin = self.slash_twin(asked, reading, case);
        let speaks = |twin: &usize| {
            let named = index.and_then(|index| self.at(index));
            !named.is_some_and(Route::is_exact)
                && self.answers_for_twin(*twin, asked.facts, reading)
        };
        found.and_twin(twin).answered_by(twin.filter(speaks))
    }

    fn own_answer(&self, index: usize) -> Option<&OwnAnswer> {
        self.at(index).and_then(Route::own_answer)
    }

    /// Whether what the route answers by itself is also the answer to `reading`, which is its path
    /// save for the slash at the end. What closes `/wp-login` closes `/wp-login/`; but what leads from
    /// `/docs` to `/docs/` does not lead from there.
    fn answers_for_twin(&self, index: usize, facts: &Facts, reading: &[u8]) -> bool {
        match self.own_answer(index) {
            None => false,
            Some(OwnAnswer::Respond(_)) => true,
            Some(OwnAnswer::Redirect(there)) => !there.leads_to(facts.host(), reading),
        }
    }

    /// What evidence the matched routes ask for.
    #[must_use]
    pub fn need(&self, matched: &Matched) -> Need {
        let public = |index| {
            self.at(index).is_some_and(|route| {
                route.access == Access::Public
                    && route
                        .tried_access
                        .as_ref()
                        .is_none_or(|one| *one == Access::Public)
            })
        };
        match matched {
            Matched::Endpoint(_) => Need::Session,
            Matched::Routes(set) if set.iter().all(public) => Need::Nothing,
            Matched::Routes(_) => Need::Session,
            Matched::Preflight(_) | Matched::Refused(_) => Need::Nothing,
        }
    }

    /// Most servers answer `/admin/` as they answer `/admin`: a rule that names exactly the one is
    /// asked about the other too. It can only refuse what another rule admits.
    fn slash_twin(&self, asked: Asked<'_>, reading: &[u8], case: Case) -> Option<usize> {
        let index = match reading.strip_suffix(b"/") {
            Some([]) => return None,
            Some(without) => self.first_match(asked, without, case)?,
            None if !self.patterns_with_final_slash => return None,
            None => self.first_match(asked, &[reading, b"/"].concat(), case)?,
        };
        let path = self.at(index)?.path.as_ref()?;
        path.is_exact().then_some(index)
    }

    fn first_match(&self, asked: Asked<'_>, reading: &[u8], case: Case) -> Option<usize> {
        let index = match case {
            Case::Told => &self.index,
            Case::Ignored => &self.folded_index,
        };
        index.first(asked.facts.host(), reading, asked.method)
    }
}

#[cfg(test)]
mod tests;
