//! One request, one way: facts, route, evidence, decision, effect, reply.

use std::cell::RefCell;
use std::hash::RandomState;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};

use super::Shared;
use super::access_log::{AccessLog, AccessRecord};
use super::audit::AuditEvent;
use super::endpoint::{self, Teller, Visit, login};
use super::generation::Generation;
use super::iso_time::Timestamp;
use super::log_names::SessionName;
use super::pages::{Circumstances, Page};
use super::reference::LazyReference;
use super::renewal::{Upkeeping, Use};
use super::reply::{Answer, Reply};
use super::respond::unmet::rule_of_route;
use super::respond::{self, Fault, Form, Redirect, Whose};
use super::seen::Seen;
use crate::base::clock::UnixTime;
use crate::base::peer::Peer;
use crate::config::Fragment;
use crate::gate::client_address::{ClientAddress, TrustedProxies};
use crate::gate::decision::{Admission, Decision, Denial, Permit, Upkeep};
use crate::gate::endpoint::Endpoint;
use crate::gate::facts::{Facts, Malformed};
use crate::gate::live_session;
use crate::gate::routes::{Matched, Need, Route};
use crate::oidc::authorization::LoginParameters;
use crate::proxy::head::{Rewriter, make_private};
use crate::proxy::{Patience, TunnelEnd, Upstream};
use crate::server::load::{Load, Strain};
use crate::server::{HeadLimit, Service};
use crate::session::Session;
use crate::session::cookie::SessionCookie;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Word;
use crate::session::presented::{Opener, Presented};
use crate::session::recent::Recent;
use crate::transport::body::Body;

/// An answer that took longer carries no cookie; the next one will.
const PROMPT: Duration = Duration::from_secs(1);

/// A body of more bytes that nobody wants costs its connection.
const READ_ALL_THE_SAME: u64 = 64 * 1024;

/// What one worker has: the generation it last saw, and its own connections to the upstreams.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    equipped: RefCell<Rc<Equipped>>,
    access_log: RefCell<AccessLog>,
    load: Rc<Load>,
}

/// A generation and this worker's upstreams under it.
#[derive(Debug)]
struct Equipped {
    generation: Arc<Generation>,
    upstreams: Vec<Upstream>,
    recent: Recent,
}

/// An answer, and what the access log says of it besides.
#[derive(Debug)]
struct Outcome {
    response: Response<Body>,
    told: Told,
}

/// What the access log says of a request besides what came and went.
#[derive(Debug, Default)]
struct Told {
    client_address: Option<ClientAddress>,
    fault: Option<Fault>,
    route: Option<usize>,
    endpoint: Option<&'static str>,
    session: Option<Arc<Session>>,
    upstream: Option<Duration>,
}

impl Worker {
    /// A worker under the current generation, with so much to do.
    #[must_use]
    pub fn new(shared: Arc<Shared>, load: Rc<Load>) -> Self {
        let generation = shared.current.load_full();
        Self {
            equipped: RefCell::new(Rc::new(Equipped::new(generation))),
            access_log: RefCell::new(shared.access.clone()),
            load,
            shared,
        }
    }

    /// The generation for a new request, equipped: once per reload on each worker.
    fn equipped(&self) -> Rc<Equipped> {
        let current = self.shared.current.load();
        let mut equipped = self.equipped.borrow_mut();
        if !Arc::ptr_eq(&equipped.generation, &current) {
            *equipped = Rc::new(Equipped::new(Arc::clone(&current)));
        }
        Rc::clone(&equipped)
    }
}

impl Equipped {
    fn new(generation: Arc<Generation>) -> Self {
        let config = &generation.config;
        let patience = Patience {
            upload: config.limits.idle_between_bytes,
            stream: config.limits.websocket_idle,
        };
        let upstreams = config
            .upstreams
            .iter()
            .map(|settings| {
                let names = generation.names.clone();
                let rewriter = Rewriter::new(&config.public_url, names, settings);
                Upstream::new(settings.clone(), rewriter, patience)
            })
            .collect();
        Self {
            generation,
            upstreams,
            recent: Recent::new(RandomState::new()),
        }
    }
}

impl Service for Worker {
    async fn answer(&self, request: Box<Request<Incoming>>, peer: Peer) -> Response<Body> {
        let equipped = self.equipped();
        let reference = LazyReference::default();
        let trusted = &equipped.generation.config.trusted_proxies;
        let (seen, gathered) = arrived(request, &peer, trusted);
        let mut outcome = match gathered {
            Ok((facts, body)) => {
                let gate = &equipped.generation.gate;
                let matched = gate.route(&facts);
                let grant = gate.grant(&matched, &facts);
                let mut outcome = self
                    .travel(&equipped, (matched, facts, body), &seen, &reference)
                    .await;
                if let Some(grant) = grant {
                    let whose = match outcome.told.upstream {
                        Some(_) => Whose::Apps,
                        None => Whose::Ours,
                    };
                    respond::let_read(outcome.response.headers_mut(), &grant, whose);
                }
                outcome
            }
            Err(malformed) => {
                let reply = Reply::refuse(Fault::Malformed(malformed));
                self.respond(&equipped, reply, seen.form(), &reference)
            }
        };
        equipped.generation.sign(outcome.response.headers_mut());
        self.log(&equipped, &seen, &outcome, &reference);
        outcome.response
    }

    fn too_large(
        &self,
        limit: HeadLimit,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        drop(body);
        let equipped = self.equipped();
        let (seen, reference) = (Seen::of(&head), LazyReference::default());
        let trusted = &equipped.generation.config.trusted_proxies;
        let client_address = trusted.client_address(&peer, &head.headers);
        let fault = match limit {
            HeadLimit::Target => Fault::TargetTooLong,
            HeadLimit::Block | HeadLimit::Fields => Fault::HeaderTooLarge(limit),
        };
        let mut outcome = self.respond(&equipped, Reply::refuse(fault), seen.form(), &reference);
        outcome.told.client_address = Some(client_address);
        equipped.generation.sign(outcome.response.headers_mut());
        self.log(&equipped, &seen, &outcome, &reference);
        outcome.response
    }

    fn panicked(&self) -> Response<Body> {
        let (equipped, reference) = (self.equipped(), LazyReference::default());
        let reply = Reply::refuse(Fault::Internal("a panic".into()));
        let mut outcome = self.respond(&equipped, reply, Form::Json, &reference);
        equipped.generation.sign(outcome.response.headers_mut());
        // Which request it was is gone with what panicked; the panic itself has its own line.
        tracing::error!(reference = ?reference.drawn(), reason = "internal", "a request panicked");
        outcome.response
    }
}

impl Worker {
    async fn travel(
        &self,
        equipped: &Equipped,
        (matched, facts, body): (Matched, Box<Facts>, Incoming),
        seen: &Seen,
        reference: &LazyReference,
    ) -> Outcome {
        let (generation, live) = (&*equipped.generation, &self.shared.live);
        let now = live.clock.now();
        let client_address = *facts.client_address();
        let presented = match generation.gate.need(&matched) {
            Need::Nothing => Presented::default(),
            Need::Session => Presented::read(facts.headers(), &generation.names),
        };
        let limits = generation.config.session.limits;
        let opener = Opener::new(&generation.keyring, &generation.names);
        let evidence = presented.open(&opener.remembering(&equipped.recent), limits, now);
        let evidence = generation.accepted(self.kept_up(equipped, evidence, &matched, now).await);
        if self.sheds(equipped, (&matched, &facts, &evidence), now) {
            let reply = Reply::refuse(Fault::Overloaded);
            let mut outcome = self.respond(equipped, reply, seen.form(), reference);
            outcome.told.client_address = Some(client_address);
            outcome.told.session = live_session(&evidence).cloned();
            return outcome;
        }
        let teller = Teller {
            log: &self.shared.audit,
            reference,
            entropy: live.entropy,
            client_address: &client_address,
        };
        let visit = Visit {
            live,
            generation,
            presented: &presented,
            evidence: &evidence,
            now,
            teller,
        };
        let (reply, endpoint) = match generation.gate.decide(matched, facts, &evidence) {
            Decision::Forward(permit, upkeep) => {
                return self
                    .forward(equipped, (permit, upkeep, body), &visit, seen)
                    .await;
            }
            Decision::Preflight(preflight) => {
                let drawn = reference.get_or_draw(live.entropy);
                let response = respond::answer_preflight(preflight.grant(), drawn);
                let mut response = response.map(Body::from);
                leave_unread(body, &mut response);
                let told = Told {
                    client_address: Some(client_address),
                    route: Some(preflight.route()),
                    ..Told::default()
                };
                return Outcome { response, told };
            }
            Decision::Answer(admission, upkeep) => {
                let mut outcome = self.answer_itself(equipped, (&admission, upkeep), &visit, seen);
                leave_unread(body, &mut outcome.response);
                return outcome;
            }
            Decision::Login(page) if generation.config.login.fragment == Fragment::Kept => {
                let page = Page::KeepFragment(page);
                (Reply::new(Answer::Page(page)), "login")
            }
            Decision::Reask(page) => (login::reask(&page, &visit), "login"),
            Decision::Login(page) => {
                Box::pin(visit.first_answers()).await;
                let reply = login::begin(&page, LoginParameters::default(), &visit);
                (reply, "login")
            }
            Decision::Serve(endpoint, facts) => {
                let name = endpoint.name();
                (
                    Box::pin(endpoint::serve(endpoint, facts, &visit)).await,
                    name,
                )
            }
            Decision::Deny(denial) => {
                let reply = Reply::refuse(refusal(denial, &visit, seen));
                (reply.leading_to(seen.page(generation)), "denied")
            }
        };
        let mut outcome = self.respond(equipped, reply, seen.form(), reference);
        leave_unread(body, &mut outcome.response);
        outcome.told.endpoint = Some(endpoint);
        outcome.told.client_address = Some(client_address);
        outcome.told.session = visit.session().cloned();
        outcome
    }

    /// Whether there is no room for this request. The last of the room is for those who are signed
    /// in, and for logins that need this one step only.
    fn sheds(
        &self,
        equipped: &Equipped,
        (matched, facts, evidence): (&Matched, &Facts, &Evidence),
        now: UnixTime,
    ) -> bool {
        match self.load.strain() {
            Strain::None => false,
            Strain::Full => true,
            Strain::High => match matched {
                Matched::Endpoint(Endpoint::Callback(_)) => false,
                _ if live_session(evidence).is_some() => false,
                // On a public route nobody has looked for a session yet.
                _ => {
                    let generation = &equipped.generation;
                    let presented = Presented::read(facts.headers(), &generation.names);
                    let opener = Opener::new(&generation.keyring, &generation.names);
                    let opener = opener.remembering(&equipped.recent);
                    let limits = generation.config.session.limits;
                    let evidence = generation.accepted(presented.open(&opener, limits, now));
                    live_session(&evidence).is_none()
                }
            },
        }
    }

    /// The evidence, with the provider's word for it as young as it can be had.
    async fn kept_up(
        &self,
        equipped: &Equipped,
        evidence: Evidence,
        matched: &Matched,
        now: UnixTime,
    ) -> Evidence {
        let (generation, renewals) = (&*equipped.generation, &self.shared.live.renewals);
        if let Some(session) = equipped.recent.take_learned() {
            renewals.seen(&session, now);
        }
        let limits = generation.config.session.limits;
        let Some(session) = live_session(&evidence) else {
            return evidence;
        };
        if session.word(limits, now) == Word::Good {
            return evidence;
        }
        let of_use = match matched {
            Matched::Routes(_) => Use::App,
            Matched::Endpoint(_) | Matched::Preflight(_) | Matched::Refused(_) => Use::Endpoint,
        };
        let with = Upkeeping {
            provider: generation
                .provider(&session.provider)
                .filter(|provider| provider.issuer() == session.identity.issuer),
            limits,
            audit: &self.shared.audit,
            now,
        };
        Box::pin(renewals.keep_up(evidence.clone(), with, of_use)).await
    }

    async fn forward(
        &self,
        equipped: &Equipped,
        (permit, upkeep, body): (Permit, Upkeep, Incoming),
        visit: &Visit<'_>,
        seen: &Seen,
    ) -> Outcome {
        let told = Told {
            client_address: Some(*permit.client_address()),
            route: Some(permit.route()),
            session: permit.session().cloned(),
            ..Told::default()
        };
        let tunnel = TunnelEnd {
            idle: equipped.generation.config.limits.websocket_idle,
            ended: self.shared.ended.clone(),
            entropy: self.shared.live.entropy,
            at_most: told.session.as_ref().map(|session| {
                let limits = equipped.generation.config.session.limits;
                session.absolute_expires_in(limits, visit.now)
            }),
        };
        let reference = visit.teller.reference;
        let Some(upstream) = equipped.upstreams.get(permit.upstream()) else {
            let why = Fault::Internal("a permit for an upstream that is not there".into());
            return self.respond(equipped, Reply::refuse(why), seen.form(), reference);
        };
        let asked = Instant::now();
        match upstream.forward(permit, body, tunnel).await {
            Ok(mut response) => {
                if told.session.is_some() {
                    make_private(response.headers_mut());
                }
                // A late answer could bring back a session that was ended, or replaced, meanwhile.
                let prompt = asked.elapsed() <= PROMPT;
                if upkeep == Upkeep::Reseal && prompt {
                    reseal(&mut response, visit);
                }
                let upstream = Some(asked.elapsed());
                Outcome {
                    response,
                    told: Told { upstream, ..told },
                }
            }
            Err(error) => {
                let reply = Reply::refuse(Fault::of_upstream(&error, upstream.settings()));
                let reply = reply.leading_to(seen.page(&equipped.generation));
                let outcome = self.respond(equipped, reply, seen.form(), reference);
                let fault = outcome.told.fault;
                Outcome {
                    response: outcome.response,
                    told: Told { fault, ..told },
                }
            }
        }
    }

    /// What a route answers in place of an app.
    fn answer_itself(
        &self,
        equipped: &Equipped,
        (admission, upkeep): (&Admission, Upkeep),
        visit: &Visit<'_>,
        seen: &Seen,
    ) -> Outcome {
        let told = Told {
            client_address: Some(*visit.teller.client_address),
            route: Some(admission.route()),
            session: admission.session().cloned(),
            ..Told::default()
        };
        let reference = visit.teller.reference;
        let route = visit.generation.gate.named_route(admission.route());
        let drawn = reference.get_or_draw(self.shared.live.entropy);
        let answered = match route.and_then(Route::own_answer) {
            Some(answer) => respond::own(answer, admission, seen.form(), drawn),
            None => Err(Fault::Internal("a route without its answer".into())),
        };
        match answered {
            Ok(response) => {
                let mut response = response.map(Body::from);
                if upkeep == Upkeep::Reseal {
                    reseal(&mut response, visit);
                }
                Outcome { response, told }
            }
            Err(why) => {
                let outcome = self.respond(equipped, Reply::refuse(why), seen.form(), reference);
                let fault = outcome.told.fault;
                Outcome {
                    response: outcome.response,
                    told: Told { fault, ..told },
                }
            }
        }
    }

    /// Renders a reply: words and status, then the cookies that go with it.
    fn respond(
        &self,
        equipped: &Equipped,
        reply: Reply,
        form: Form,
        reference: &LazyReference,
    ) -> Outcome {
        let pages = &equipped.generation.pages;
        let form = reply.form.unwrap_or(form);
        let circumstances = Circumstances {
            reference: reference.get_or_draw(self.shared.live.entropy),
            now: self.shared.live.clock.now(),
            return_to: reply.return_to.as_ref(),
        };
        let mut fault = None;
        let response = match reply.answer {
            Answer::SignIn(url) => respond::redirect(pages, Redirect::Found, &url, &circumstances),
            Answer::SeeOther(url) => {
                respond::redirect(pages, Redirect::SeeOther, &url, &circumstances)
            }
            Answer::Page(page) => respond::page(pages, &page, form, &circumstances),
            Answer::Refuse(why) => {
                let response = respond::fault(pages, &why, form, &circumstances);
                fault = Some(why);
                response
            }
        };
        let mut response = response.map(Body::from);
        for line in reply.cookies {
            response
                .headers_mut()
                .append(SET_COOKIE, line.header_value());
        }
        Outcome {
            response,
            told: Told {
                fault,
                ..Told::default()
            },
        }
    }

    fn log(&self, equipped: &Equipped, seen: &Seen, outcome: &Outcome, reference: &LazyReference) {
        let told = &outcome.told;
        let mut access_log = self.access_log.borrow_mut();
        if !access_log.wants(told.fault.as_ref()) {
            return;
        }
        let session = told
            .session
            .as_ref()
            .map(|session| SessionName::of(&session.id));
        let route = told
            .route
            .and_then(|index| equipped.generation.gate.named_route(index));
        let length = outcome.response.headers().get(http::header::CONTENT_LENGTH);
        access_log.write(&AccessRecord {
            at: Timestamp::now(),
            reference: reference.drawn(),
            client_address: told.client_address.as_ref(),
            version: seen.version,
            method: &seen.method,
            host: seen
                .host
                .as_ref()
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default(),
            path: seen.target.path(),
            status: outcome.response.status(),
            bytes_in: None,
            bytes_out: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            duration: seen.since.elapsed(),
            upstream: told.upstream,
            user: None,
            session: session.as_ref(),
            provider: told
                .session
                .as_ref()
                .map(|session| session.provider.as_str()),
            route: route.map(|route| route.name.as_str()).or(told.endpoint),
            fault: told.fault.as_ref(),
            user_agent: seen.hints.agent(),
        });
    }
}

/// What is known of a request, and its body; and what is kept of it whatever becomes of it.
fn arrived(
    request: Box<Request<Incoming>>,
    peer: &Peer,
    trusted: &TrustedProxies,
) -> (Seen, Result<(Box<Facts>, Incoming), Malformed>) {
    let (head, body) = request.into_parts();
    let mut seen = Seen::of(&head);
    let facts = Facts::gather(head, peer, trusted);
    seen.asker = facts.as_ref().ok().map(|facts| facts.asker());
    (seen, facts.map(|facts| (facts, body)))
}

/// Leaves a request's body unread: an answer of ours does not wait for it, and whoever sends much is
/// told to stop.
fn leave_unread(body: Incoming, response: &mut Response<Body>) {
    let length = body.size_hint().upper();
    if !body.is_end_stream() && length.is_none_or(|length| length > READ_ALL_THE_SAME) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    drop(body);
}

/// The gate's no, in the words that fit who hears it; the audit log hears of people who were denied.
fn refusal(denial: Denial, visit: &Visit<'_>, seen: &Seen) -> Fault {
    let generation = visit.generation;
    let named = match &denial {
        Denial::NotAdmitted(_, _, route) => generation.gate.named_route(*route),
        _ => None,
    };
    let over = matches!(visit.evidence, Evidence::Expired(_));
    match denial {
        Denial::LoginRequired if over && seen.method == Method::POST => Fault::BodyLost,
        denial => {
            let fault = Fault::of_denial(denial, |session, missing, _| {
                let provider = generation.provider(&session.provider);
                let settings = provider.map(|provider| provider.settings());
                named.map_or_else(String::new, |route| rule_of_route(route, missing, settings))
            });
            if let Fault::NotAdmitted(session, unmet) = &fault {
                visit.teller.tell(&AuditEvent::Deny {
                    session,
                    route: named.map(|route| route.name.as_str()),
                    unmet,
                });
            }
            fault
        }
    }
}

/// Lets the session's cookie ride on the answer, sealed anew. A cookie that cannot be written stays
/// as it is: it is still good.
fn reseal(response: &mut Response<Body>, visit: &Visit<'_>) {
    let (Some(session), generation) = (visit.session(), visit.generation) else {
        return;
    };
    let touched = session.touched(generation.config.session.limits, visit.now);
    let (keyring, names) = (&generation.keyring, &generation.names);
    match SessionCookie::write_fitting(touched, keyring, names, visit.presented, visit.now) {
        Ok((_, lines)) => {
            for line in lines {
                response
                    .headers_mut()
                    .append(SET_COOKIE, line.header_value());
            }
        }
        Err(error) => tracing::warn!(reason = %error, "the session was not sealed anew"),
    }
}
