//! One request, one way: facts, route, evidence, decision, effect, reply.

mod forward;
mod outcome;

use std::cell::RefCell;
use std::hash::RandomState;
use std::rc::Rc;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;

use self::outcome::{Outcome, Told, leave_unread};
use super::Shared;
use super::access_log::AccessLog;
use super::audit::AuditEvent;
use super::endpoint::{self, Teller, Visit, login};
use super::generation::Generation;
use super::pages::Page;
use super::reference::LazyReference;
use super::renewal::{Upkeeping, Use};
use super::reply::{Answer, Reply};
use super::respond::unmet::rule_of_route;
use super::respond::{self, Fault, Form, Whose};
use super::seen::Seen;
use super::shadow::{self, Difference};
use crate::base::clock::UnixTime;
use crate::base::peer::Peer;
use crate::config::Fragment;
use crate::gate::client_address::TrustedProxies;
use crate::gate::decision::{Decision, Denial};
use crate::gate::endpoint::Endpoint;
use crate::gate::facts::{Facts, Malformed};
use crate::gate::live_session;
use crate::gate::outlook::Outlook;
use crate::gate::routes::{Matched, Need};
use crate::oidc::authorization::LoginParameters;
use crate::proxy::head::Rewriter;
use crate::proxy::{Patience, Upstream};
use crate::server::load::{Load, Strain};
use crate::server::{HeadLimit, Service};
use crate::session::StreamUse;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Word;
use crate::session::presented::{Opener, Presented};
use crate::session::recent::Recent;
use crate::transport::body::Body;

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
        let (seen, gathered, body) = arrived(request, &peer, trusted);
        let mut outcome = match gathered {
            Ok(facts) => {
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
                let mut outcome = self.respond(&equipped, reply, seen.form(), &reference);
                leave_unread(body, &mut outcome.response);
                outcome
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
        let equipped = self.equipped();
        let (seen, reference) = (Seen::of(&head), LazyReference::default());
        let trusted = &equipped.generation.config.trusted_proxies;
        let client_address = trusted.client_address(&peer, &head.headers);
        let fault = match limit {
            HeadLimit::Target => Fault::TargetTooLong,
            HeadLimit::Block | HeadLimit::Fields => Fault::HeaderTooLarge(limit),
        };
        let mut outcome = self.respond(&equipped, Reply::refuse(fault), seen.form(), &reference);
        leave_unread(body, &mut outcome.response);
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
        (matched, facts, mut body): (Matched, Box<Facts>, Incoming),
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
        let evidence = self.opened(equipped, &presented, now).await;
        let settings = &generation.config.session;
        let evidence = match settings.streams {
            StreamUse::Counts => live.streams.judge(evidence, settings.limits, now),
            StreamUse::Ignored => evidence,
        };
        // Nothing is renewed of what was ended; and it may be ended while a renewal is waited for.
        let evidence = live.ended.judge(evidence);
        let evidence = self.kept_up(equipped, evidence, &matched, now).await;
        let evidence = generation.accepted(live.ended.judge(evidence));
        if self.sheds(equipped, (&matched, &facts, &evidence), now) {
            let reply = Reply::refuse(Fault::Overloaded);
            let mut outcome = self.respond(equipped, reply, seen.form(), reference);
            leave_unread(body, &mut outcome.response);
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
        if let Some((outcome, would)) = generation.gate.tried(&matched, &facts, (&evidence, now)) {
            self.note_tried((&outcome, &would), (&matched, &facts), &visit);
        }
        let (reply, endpoint) = match generation.gate.decide(matched, facts, &evidence, now) {
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
                let mut outcome = self
                    .answer_itself(equipped, (&admission, upkeep), &visit, seen)
                    .await;
                leave_unread(body, &mut outcome.response);
                return outcome;
            }
            Decision::Login(page) if generation.config.login.fragment == Fragment::Kept => {
                let page = Page::KeepFragment(page);
                (Reply::new(Answer::Page(page)), "login")
            }
            Decision::Reask(page) => (login::reask(&page, &visit), "login"),
            Decision::StepUp(page, wanted) => {
                Box::pin(visit.first_answers()).await;
                (login::step_up(&page, &wanted, &visit), "login")
            }
            Decision::Login(page) => {
                Box::pin(visit.first_answers()).await;
                let reply = login::begin(&page, LoginParameters::default(), &visit);
                (reply, "login")
            }
            Decision::Serve(endpoint, facts) => {
                let name = endpoint.name();
                (
                    Box::pin(endpoint::serve(endpoint, facts, &mut body, &visit)).await,
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

    /// Notes where a rule that is only tried would decide otherwise.
    fn note_tried(
        &self,
        (outcome, would): (&Outlook, &Outlook),
        (matched, facts): (&Matched, &Facts),
        visit: &Visit<'_>,
    ) {
        let (outcome, would) = (shadow::word(outcome), shadow::word(would));
        let Matched::Routes(set) = matched else {
            return;
        };
        if outcome == would {
            return;
        }
        let route = visit.generation.gate.named_route(set.first());
        let difference = Difference {
            route: route.map(|route| route.name.as_str()),
            outcome,
            would,
        };
        self.shared.differences.count(&difference);
        visit.teller.tell(&AuditEvent::Shadow {
            session: live_session(visit.evidence).map(|session| &**session),
            difference,
            method: facts.method().as_str(),
            path: facts.target().path(),
            origin: facts.origin(),
        });
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
                Matched::Endpoint(Endpoint::Callback(_) | Endpoint::BackchannelLogout) => false,
                _ if live_session(evidence).is_some() => false,
                // On a public route nobody has looked for a session yet.
                _ => {
                    let generation = &equipped.generation;
                    let presented = Presented::read(facts.headers(), &generation.names);
                    let opener = Opener::new(&generation.keyring, &generation.names);
                    let opener = opener.remembering(&equipped.recent);
                    let opener = self.shared.live.sessions.opening(opener);
                    let limits = generation.config.session.limits;
                    let evidence = presented.open(&opener, limits, now);
                    let evidence = generation.accepted(self.shared.live.ended.judge(evidence));
                    live_session(&evidence).is_none()
                }
            },
        }
    }

    /// The evidence that was presented; a store is asked only where no good copy is known.
    async fn opened(&self, equipped: &Equipped, presented: &Presented, now: UnixTime) -> Evidence {
        let (generation, sessions) = (&*equipped.generation, &self.shared.live.sessions);
        let opener = Opener::new(&generation.keyring, &generation.names);
        let opener = sessions.opening(opener.remembering(&equipped.recent));
        let limits = generation.config.session.limits;
        if let Some(evidence) = presented.open_known(&opener, limits, now) {
            return evidence;
        }
        let found = Box::pin(sessions.find(presented, &opener, now)).await;
        let evidence = presented.open(&opener.having(&found.loaded), limits, now);
        match evidence {
            // Whoever has a session that lives is not asked to wait for another.
            Evidence::Session(..) => evidence,
            _ if found.is_down => Evidence::StoreDown,
            evidence => evidence,
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
}

/// What is kept of a request whatever becomes of it, what is known of it, and its body.
fn arrived(
    request: Box<Request<Incoming>>,
    peer: &Peer,
    trusted: &TrustedProxies,
) -> (Seen, Result<Box<Facts>, Malformed>, Incoming) {
    let (head, body) = request.into_parts();
    let mut seen = Seen::of(&head);
    let facts = Facts::gather(head, peer, trusted);
    seen.asker = facts.as_ref().ok().map(|facts| facts.asker());
    (seen, facts, body)
}

/// The gate's no, in the words that fit who hears it; the audit log hears of people who were denied.
fn refusal(denial: Denial, visit: &Visit<'_>, seen: &Seen) -> Fault {
    let generation = visit.generation;
    let named = match &denial {
        Denial::NotAdmitted(_, _, route) | Denial::StepUpRequired(_, _, route) => {
            generation.gate.named_route(*route)
        }
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
            if let Fault::NotAdmitted(session, unmet) | Fault::StepUpRequired(session, unmet) =
                &fault
            {
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
