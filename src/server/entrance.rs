//! What a listener answers by itself, before anybody looks at who asks: a load balancer's question,
//! and where the same page is over https. No session, no cookie and no app has a part in it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};

use super::connection::Wire;
use super::drain::{Drained, Stage};
use super::refusal::Told;
use super::{ListenSettings, ProxyProtocol, Purpose};
use crate::base::peer::Peer;
use crate::transport::body::Body;
use crate::transport::server_tls::Tls;

/// How one listener receives who comes.
#[derive(Debug)]
pub struct Entrance {
    cleartext: Wire,
    purpose: Purpose,
    health_path: Option<String>,
    tls: Option<Arc<Tls>>,
    proxy_protocol: ProxyProtocol,
    trust: Trust,
    hung_up: Mutex<Told>,
    drained: Drained,
}

/// Tells which peers are proxies of ours.
#[derive(Clone)]
pub struct Trust(Arc<dyn Fn(&Peer) -> bool + Send + Sync>);

impl Trust {
    /// Those for which `judge` says so.
    pub fn new(judge: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

impl Entrance {
    /// The entrance that `settings` describe, with its `tls`, of a process that trusts the proxies of `trust` and
    /// whose stop `drained` tells.
    #[must_use]
    pub fn new(
        settings: &ListenSettings,
        tls: Option<Arc<Tls>>,
        trust: Trust,
        drained: Drained,
    ) -> Self {
        Self {
            cleartext: settings.cleartext,
            purpose: settings.purpose.clone(),
            health_path: settings.health_path.clone(),
            tls,
            proxy_protocol: settings.proxy_protocol,
            trust,
            hung_up: Mutex::default(),
            drained,
        }
    }

    /// Whether something comes before HTTP here.
    pub(super) fn receives(&self) -> bool {
        self.proxy_protocol == ProxyProtocol::Demanded || self.tls.is_some()
    }

    /// How TLS is spoken here, if it is.
    pub(super) fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// What is spoken on a connection that is not protected by TLS.
    pub(super) fn cleartext(&self) -> Wire {
        self.cleartext
    }

    pub(super) fn proxy_protocol(&self) -> ProxyProtocol {
        self.proxy_protocol
    }

    pub(super) fn trusts(&self, peer: &Peer) -> bool {
        (self.trust.0)(peer)
    }

    /// Tells the log that `peer` was hung up on, now and then, so that nobody fills it.
    pub(super) fn tell(&self, peer: &Peer, reason: &'static str) {
        let mut hung_up = self.hung_up.lock().unwrap_or_else(PoisonError::into_inner);
        let told = hung_up.now();
        drop(hung_up);
        if let Some(count) = told {
            let peer = peer.address().map(|address| address.to_string());
            let peer = peer.as_deref().unwrap_or("unix");
            tracing::warn!(
                event = "hung_up",
                peer,
                reason,
                count,
                "a connection was closed before it was served"
            );
        }
    }

    /// The answer to `request`, if it is for the listener itself.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = |path: &String| request.uri().path() == path && request.uri().query().is_none();
        if is_read(request.method()) && self.health_path.as_ref().is_some_and(asks) {
            return Some(self.health());
        }
        match &self.purpose {
            Purpose::Serve => None,
            Purpose::Redirect(origin) => Some(redirect(origin, request)),
        }
    }

    fn health(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if self.drained.stage() != Stage::Open {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let uncached = HeaderValue::from_static("no-store");
        response.headers_mut().insert(CACHE_CONTROL, uncached);
        response
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// To the same target of `origin`, byte for byte. Neither `Host` nor an authority in the target has
/// a say in where that is.
fn redirect<B>(origin: &str, request: &Request<B>) -> Response<Body> {
    // What was sent unprotected must not be done, and not be sent a second time either.
    if !is_read(request.method()) {
        return words(
            StatusCode::FORBIDDEN,
            "This address only leads GET and HEAD requests to https. Send this one there.\n",
        );
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let location = format!("{origin}{target}");
    match HeaderValue::from_bytes(location.as_bytes()) {
        Ok(location) if target.starts_with('/') => {
            let mut response = words(StatusCode::PERMANENT_REDIRECT, "It is served over https.\n");
            response.headers_mut().insert(LOCATION, location);
            response
        }
        _ => words(
            StatusCode::BAD_REQUEST,
            "This target cannot be led to https.\n",
        ),
    }
}

fn words(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Nothing more is to be had on this connection.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
