//! The sample app: something to put behind the gate.
//!
//! A small web app without a login of its own, as the apps are that Sidegate is for: it believes
//! the identity headers, shows every header that it received, and has what is hard to carry
//! through a proxy: a WebSocket that echoes (`/ws`) and an event stream (`/events`).

mod events;
mod page;
mod websocket;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::pages::{Pages, Sources};
use super::serve::{self, Body, Closing, Engine, HangUp};
use crate::base::clock::Clock;

/// The app. Made by [`SampleApp::new`], shared behind an [`Arc`].
#[derive(Debug)]
pub struct SampleApp {
    pages: Pages,
    clock: Clock,
}

/// The app cannot be built: a page's template does not compile.
#[derive(Debug, thiserror::Error)]
#[error("a page's template is broken")]
pub struct SampleAppError(#[from] minijinja::Error);

impl SampleApp {
    /// Builds the app for a gate whose own endpoints live under `prefix`, such as `/oauth2`: what
    /// the app's links to "who am I" and to signing out need to know.
    ///
    /// # Errors
    /// [`SampleAppError`].
    pub fn new(prefix: &str, clock: Clock) -> Result<Arc<Self>, SampleAppError> {
        let pages = Pages::new(Sources {
            templates: &[("page.html", include_str!("page.html"))],
            script: Some(include_str!("page.js")),
            // Not `no-referrer`: a browser would then send `Origin: null` with the form that signs
            // out, and the gate could not tell it from a foreign one.
            referrer_policy: "same-origin",
            globals: vec![("prefix", prefix.to_owned())],
        })?;
        Ok(Arc::new(Self { pages, clock }))
    }

    fn page(&self, request: &Request<Incoming>) -> Response<Bytes> {
        let context = page::context(request.uri().path(), request.headers());
        self.pages
            .show(StatusCode::OK, "page.html", context)
            .unwrap_or_else(|error| {
                tracing::error!(%error, "the sample app could not render its page");
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            })
    }
}

impl Engine for SampleApp {
    async fn respond(
        &self,
        request: Request<Incoming>,
        closing: Closing,
    ) -> Result<Response<Body>, HangUp> {
        Ok(match (request.method(), request.uri().path()) {
            (&Method::GET, "/ws") => websocket::answer(request, closing),
            (&Method::GET, "/events") => events::answer(self.clock.clone(), closing),
            _ => self.page(&request).map(serve::full),
        })
    }
}
