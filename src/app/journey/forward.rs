//! A request that may pass: to its upstream, or to the answer that its route has.

use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::outcome::{Outcome, Told};
use super::{Equipped, Worker};
use crate::app::endpoint::{Visit, login};
use crate::app::reply::Reply;
use crate::app::respond::{self, Fault};
use crate::app::seen::Seen;
use crate::app::streams;
use crate::base::return_to::ReturnTo;
use crate::gate::access::StepUp;
use crate::gate::decision::{Admission, Permit, Upkeep};
use crate::gate::facts::{Asker, Upgrade};
use crate::gate::routes::Route;
use crate::oidc::authorization::LoginParameters;
use crate::proxy::TunnelEnd;
use crate::proxy::head::make_private;
use crate::session::cookie::SessionCookie;
use crate::transport::body::Body;

/// An answer that took longer carries no cookie; the next one will.
const PROMPT: Duration = Duration::from_secs(1);

impl Worker {
    /// Sends a request on, if its upstream takes it.
    pub(super) async fn forward(
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
        let over = || {
            let session = told.session.as_ref()?;
            let settings = &equipped.generation.config.session;
            let (limits, kind) = (settings.limits, settings.streams);
            Some(streams::over(&self.shared, session, limits, kind))
        };
        let tunnel = TunnelEnd {
            idle: equipped.generation.config.limits.websocket_idle,
            ended: self.shared.ended.clone(),
            entropy: self.shared.live.entropy,
            over: match permit.upgrade() {
                Upgrade::WebSocket => over(),
                Upgrade::None => None,
            },
        };
        let reference = visit.teller.reference;
        let Some(upstream) = equipped.upstreams.get(permit.upstream()) else {
            let why = Fault::Internal("a permit for an upstream that is not there".into());
            return self.respond(equipped, Reply::refuse(why), seen.form(), reference);
        };
        let asked = Instant::now();
        match upstream.forward(permit, body, tunnel).await {
            Ok(mut response) => {
                if let Some((page, wanted)) = step_up_wanted(&response, &told, visit, seen) {
                    Box::pin(visit.first_answers()).await;
                    let reply = login::step_up(&page, &wanted, visit);
                    let outcome = self.respond(equipped, reply, seen.form(), reference);
                    let (fault, upstream) = (outcome.told.fault, Some(asked.elapsed()));
                    return Outcome {
                        response: outcome.response,
                        told: Told {
                            fault,
                            upstream,
                            ..told
                        },
                    };
                }
                if told.session.is_some() {
                    make_private(response.headers_mut());
                }
                // A late answer could bring back a session that was ended, or replaced, meanwhile.
                let took = asked.elapsed();
                if upkeep == Upkeep::Reseal && took <= PROMPT {
                    reseal(&mut response, visit).await;
                }
                // What has no end of its own that it could miss ends with the session.
                let kind = stream_kind(&response);
                if let (Some(kind), Some(over)) = (kind, kind.and_then(|_| over())) {
                    response = response.map(|body| match kind {
                        StreamKind::Events => body.until(over),
                        StreamKind::Grpc => body.until_saying(over, respond::grpc_session_over()),
                    });
                }
                let upstream = Some(took);
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
    pub(super) async fn answer_itself(
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
                    reseal(&mut response, visit).await;
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
}

/// What the app wants of a sign-in, where a person opens a page of it that it does not show for want of one
/// (RFC 9470); but not right after such a sign-in, and nothing that no provider can be asked for.
fn step_up_wanted(
    response: &Response<Body>,
    told: &Told,
    visit: &Visit<'_>,
    seen: &Seen,
) -> Option<(ReturnTo, StepUp)> {
    if response.status() != StatusCode::UNAUTHORIZED || seen.asker != Some(Asker::Navigation) {
        return None;
    }
    let session = told.session.as_ref()?;
    let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let mut wanted = challenges.filter_map(|one| StepUp::of_challenge(one.to_str().ok()?));
    let wanted = wanted.next()?;
    let can_be_asked = LoginParameters::default().step_up(&wanted.acr).is_ok();
    let has_just = session.has_just_stepped_up(&wanted.acr, visit.now);
    let page = seen.page(visit.generation)?;
    (can_be_asked && !has_just).then_some((page, wanted))
}

/// An answer that may go on for ever.
#[derive(Debug, Clone, Copy)]
enum StreamKind {
    Events,
    Grpc,
}

fn stream_kind(response: &Response<Body>) -> Option<StreamKind> {
    let kind = response.headers().get(CONTENT_TYPE)?.as_bytes();
    let kind = kind.split(|byte| *byte == b';').next()?.trim_ascii();
    let grpc = kind.get(..b"application/grpc".len());
    if grpc.is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/grpc")) {
        return Some(StreamKind::Grpc);
    }
    let is_events = kind.eq_ignore_ascii_case(b"text/event-stream")
        && !response.headers().contains_key(CONTENT_LENGTH);
    is_events.then_some(StreamKind::Events)
}

/// Lets the session's cookie ride on the answer, sealed anew. A cookie that cannot be written stays
/// as it is: it is still good.
async fn reseal(response: &mut Response<Body>, visit: &Visit<'_>) {
    let (Some(session), generation) = (visit.session(), visit.generation) else {
        return;
    };
    let touched = session.touched(generation.config.session.limits, visit.now);
    let sessions = &visit.live.sessions;
    let Some(touched) = Box::pin(sessions.touch(touched, &generation.names)).await else {
        return;
    };
    let (keyring, names) = (&generation.keyring, &generation.names);
    match SessionCookie::write_fitting(touched, keyring, names, visit.presented, visit.now) {
        Ok((touched, lines)) => {
            visit.live.streams.note(&touched);
            for line in lines {
                response
                    .headers_mut()
                    .append(SET_COOKIE, line.header_value());
            }
        }
        Err(error) => tracing::warn!(reason = %error, "the session was not sealed anew"),
    }
}
