//! What becomes of a request: an answer of ours, and the line of the access log.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::{CONNECTION, HeaderValue, SET_COOKIE};
use hyper::body::{Body as _, Incoming};

use super::{Equipped, Worker};
use crate::app::access_log::AccessRecord;
use crate::app::iso_time::Timestamp;
use crate::app::pages::Circumstances;
use crate::app::reference::LazyReference;
use crate::app::reply::{Answer, Reply};
use crate::app::respond::{self, Fault, Form, Redirect};
use crate::app::seen::Seen;
use crate::gate::client_address::ClientAddress;
use crate::session::Session;
use crate::transport::body::Body;

/// A body of more bytes that nobody wants costs its connection.
const READ_ALL_THE_SAME: u64 = 64 * 1024;

/// An answer, and what the access log says of it besides.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) response: Response<Body>,
    pub(super) told: Told,
}

/// What the access log says of a request besides what came and went.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) client_address: Option<ClientAddress>,
    pub(super) fault: Option<Fault>,
    pub(super) route: Option<usize>,
    pub(super) endpoint: Option<&'static str>,
    pub(super) session: Option<Arc<Session>>,
    pub(super) upstream: Option<Duration>,
}

impl Worker {
    /// Renders a reply: words and status, then the cookies that go with it.
    pub(super) fn respond(
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
            Answer::Done => respond::done(&circumstances),
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

    /// Writes the line of the access log, where one is wanted.
    pub(super) fn log(
        &self,
        equipped: &Equipped,
        seen: &Seen,
        outcome: &Outcome,
        reference: &LazyReference,
    ) {
        let told = &outcome.told;
        let mut access_log = self.access_log.borrow_mut();
        if !access_log.wants(told.fault.as_ref()) {
            return;
        }
        let session = told
            .session
            .as_ref()
            .map(|session| access_log.names.of(&session.id));
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

/// Leaves a request's body unread: an answer of ours does not wait for it, and whoever sends much is
/// told to stop.
pub(super) fn leave_unread(body: Incoming, response: &mut Response<Body>) {
    let length = body.size_hint().upper();
    if !body.is_end_stream() && length.is_none_or(|length| length > READ_ALL_THE_SAME) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    drop(body);
}
