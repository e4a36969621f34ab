//! The sample app: something to put behind the gate.
//!
//! A small web app without a login of its own, as the apps are that Sidegate is for: it believes
//! the identity headers, shows every header that it received, and has what is hard to carry
//! through a proxy: a WebSocket that echoes (`/ws`) and an event stream (`/events`). At `/spa` it is
//! an app of one page, which signs in again in a window of its own (`docs/SPA.md`).

mod events;
mod page;
mod websocket;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::pages::{Pages, Sources};
use super::serve::{self, Body, Closing, Engine, HangUp};
use crate::base::clock::Clock;

/// The app. Made by [`SampleApp::new`], shared behind an [`Arc`].
#[derive(Debug)]
pub struct SampleApp {
    pages: Pages,
    /// The app of one page, which has a script of its own.
    spa: Pages,
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
        let spa = Pages::new(Sources {
            templates: &[("spa.html", include_str!("spa.html"))],
            script: Some(include_str!("spa.js")),
            referrer_policy: "same-origin",
            globals: vec![("prefix", prefix.to_owned())],
        })?;
        Ok(Arc::new(Self { pages, spa, clock }))
    }

    fn page(&self, request: &Request<Incoming>) -> Response<Bytes> {
        let context = page::context(request.uri().path(), request.headers());
        shown(self.pages.show(StatusCode::OK, "page.html", context))
    }

    fn spa(&self, window: Window) -> Response<Bytes> {
        let (title, closing) = match window {
            Window::Main => ("An app of one page", false),
            Window::SignedIn => ("You are signed in", true),
        };
        let context = minijinja::context! { title, closing };
        shown(self.spa.show(StatusCode::OK, "spa.html", context))
    }
}

/// A window of the app of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// The page itself.
    Main,
    /// The one that a login in a window of its own ends in: it tells the page, and closes.
    SignedIn,
}

/// Who asks, as the app of one page fetches it.
fn data(request: &Request<Incoming>) -> Response<Bytes> {
    let user = page::told(request.headers(), "x-forwarded-preferred-username");
    let mut response = Response::new(serde_json::json!({ "user": user }).to_string().into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn shown(page: Result<Response<Bytes>, minijinja::Error>) -> Response<Bytes> {
    page.unwrap_or_else(|error| {
        tracing::error!(%error, "the sample app could not render its page");
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
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
            (&Method::GET, "/spa") => self.spa(Window::Main).map(serve::full),
            (&Method::GET, "/spa/signed-in") => self.spa(Window::SignedIn).map(serve::full),
            (&Method::GET, "/spa/data") => data(&request).map(serve::full),
            _ => self.page(&request).map(serve::full),
        })
    }
}
