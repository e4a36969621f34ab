//! What is known of a request before anybody looks at who sent it.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version};

use super::client_address::{ClientAddress, TrustedProxies};
use crate::base::certificate::CertificateFacts;
use crate::base::fields::{
    PURPOSE, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE, SEC_FETCH_USER, SEC_PURPOSE, X_MOZ,
    X_REQUESTED_WITH,
};
use crate::base::origin::{Authority, Host};
use crate::base::peer::Peer;
use crate::base::target::{Malformed as MalformedTarget, Target};

/// The facts of one request. They own its head, so that what is judged is what is forwarded.
#[derive(Debug)]
pub struct Facts {
    head: Parts,
    target: Target,
    host: Host,
    client_address: ClientAddress,
    client_certificate: Option<Arc<CertificateFacts>>,
    asker: Asker,
    upgrade: Upgrade,
}

/// Who asks, by the browser's own word (Fetch Metadata) or, without it, by what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A person opens a page: only this can be sent to sign in.
    Navigation,
    /// The same in a frame of another page.
    Frame,
    /// A navigation re-made by a service worker: it wants HTML, but cannot follow to the provider.
    ServiceWorker,
    /// The browser looks ahead; the person has not asked yet.
    Prefetch,
    /// Everything else: scripts, images, event streams, handshakes, other methods, other programs.
    Program,
}

/// Whether the request asks to switch protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// It does not, or in a way that is not passed on.
    None,
    /// To WebSocket, in the form of RFC 6455 section 4.1.
    WebSocket,
}

/// The request is refused before anything else runs: it is not HTTP as we speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The target has a byte or form that no reading covers.
    #[error("the request target is malformed")]
    Target(#[from] MalformedTarget),
    /// `Host` is missing, repeated or broken, or differs from the authority in the target.
    #[error("the Host field is missing, repeated or malformed")]
    Host,
    /// CONNECT and TRACE are not for a reverse proxy (RFC 9110 sections 9.3.6 and 9.3.8), and a method
    /// with small letters is none.
    #[error("this method is not served")]
    Method,
    /// A transfer coding other than a single `chunked` (RFC 9112 section 6.1).
    #[error("only the transfer coding `chunked` is understood")]
    TransferCoding,
    /// A header field that must stand once stands twice.
    #[error("a header field is repeated that may stand only once")]
    RepeatedField,
}

/// Fields that mean something to the decision, so two of them would mean two things.
static SINGLE_FIELDS: [&HeaderName; 6] = [
    &ACCESS_CONTROL_REQUEST_METHOD,
    &CONTENT_LENGTH,
    &ORIGIN,
    &SEC_FETCH_MODE,
    &SEC_FETCH_DEST,
    &SEC_FETCH_SITE,
];

/// What a preflight brings along.
const PREFLIGHT_FIELDS: [&str; 15] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-local-network",
    "access-control-request-method",
    "access-control-request-private-network",
    "cache-control",
    "content-length",
    "host",
    "origin",
    "pragma",
    "priority",
    "referer",
    "user-agent",
];

impl Facts {
    /// Gathers the facts of a request that came from `peer`, on the heap: they go through many hands.
    ///
    /// # Errors
    /// [`Malformed`]; the head is dropped with it, so nothing else can be done with the request.
    pub fn gather(
        head: Parts,
        peer: &Peer,
        trusted_proxies: &TrustedProxies,
    ) -> Result<Box<Self>, Malformed> {
        if !is_served(&head.method) {
            return Err(Malformed::Method);
        }
        let host = host_of(&head)?;
        check_transfer_coding(&head.headers)?;
        // Mostly no field at all stands twice, and then none needs to be looked up.
        let several = head.headers.len() > head.headers.keys_len();
        let repeated = |name: &HeaderName| head.headers.get_all(name).iter().nth(1).is_some();
        if several && SINGLE_FIELDS.into_iter().any(repeated) {
            return Err(Malformed::RepeatedField);
        }
        let received = head
            .uri
            .path_and_query()
            .map_or("", http::uri::PathAndQuery::as_str);
        let target = Target::parse(received)?;
        let client_address = trusted_proxies.client_address(peer, &head.headers);
        let upgrade = upgrade_of(&head);
        let asker = asker_of(&head, upgrade);
        Ok(Box::new(Self {
            head,
            target,
            host,
            client_address,
            client_certificate: peer.certificate.clone(),
            asker,
            upgrade,
        }))
    }

    /// The method, exactly as sent: `get` is not `GET` (RFC 9110 section 9.1).
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The target as the HTTP library has it, sharing the head's bytes.
    #[must_use]
    pub fn uri(&self) -> &http::Uri {
        &self.head.uri
    }

    /// The received target and its readings.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The host that the request is for, in canonical form.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The client's address by the trusted-proxy rule.
    #[must_use]
    pub fn client_address(&self) -> &ClientAddress {
        &self.client_address
    }

    /// The verified certificate of the other end of the connection, if it showed one.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&CertificateFacts> {
        self.client_certificate.as_deref()
    }

    /// Who asks.
    #[must_use]
    pub fn asker(&self) -> Asker {
        self.asker
    }

    /// Whether the request asks to switch protocols.
    #[must_use]
    pub fn upgrade(&self) -> Upgrade {
        self.upgrade
    }

    /// The header fields, as received.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The `Origin` field, where it is text.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        text(&self.head.headers, &ORIGIN)
    }

    /// The method that a preflight asks about (Fetch standard, section 3.2.2): OPTIONS from an origin,
    /// without a body, that names one. Nothing, where it is no preflight.
    #[must_use]
    pub fn preflight(&self) -> Option<Method> {
        if self.head.method != Method::OPTIONS || has_body(&self.head.headers) {
            return None;
        }
        self.origin()?;
        let asked = self.head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let method = Method::from_bytes(asked.as_bytes()).ok()?;
        is_served(&method).then_some(method)
    }

    /// The same request with nothing but what a browser sends with a preflight: no cookie, no
    /// credentials, no field that claims another method or another person.
    pub(super) fn into_bare_preflight(mut self: Box<Self>) -> Box<Self> {
        let sent = |name: &HeaderName| {
            PREFLIGHT_FIELDS.contains(&name.as_str()) || name.as_str().starts_with("sec-fetch-")
        };
        let fields = self.head.headers.iter();
        self.head.headers = fields
            .filter(|(name, _)| sent(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self
    }

    /// Whether the page that made the request is of our own origin and a person acted there
    /// (`Sec-Fetch-Site: same-origin`, `Sec-Fetch-User: ?1`).
    #[must_use]
    pub fn person_on_own_page(&self) -> bool {
        text(&self.head.headers, &SEC_FETCH_SITE) == Some("same-origin")
            && text(&self.head.headers, &SEC_FETCH_USER) == Some("?1")
    }

    /// Gives the head up.
    #[must_use]
    pub fn into_head(self) -> Parts {
        self.head
    }
}

/// Methods are upper case (RFC 9110 section 9.1); many apps make them so, and then `post` would be a
/// POST that no rule for POST has seen.
fn is_served(method: &Method) -> bool {
    let lower = method.as_str().bytes().any(|b| b.is_ascii_lowercase());
    !lower && !matches!(*method, Method::CONNECT | Method::TRACE)
}

/// Whether a body comes with a head of these fields, by their word.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || text(headers, &CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// The host of the target, if it has one, and of `Host`, which must then be the same
/// (RFC 9112 section 3.2).
fn host_of(head: &Parts) -> Result<Host, Malformed> {
    let mut lines = head.headers.get_all(HOST).iter();
    let field = match (lines.next(), lines.next()) {
        (Some(line), None) => {
            let text = line.to_str().map_err(|_| Malformed::Host)?;
            Authority::parse(text).map_err(|_| Malformed::Host)?
        }
        _ => return Err(Malformed::Host),
    };
    match head.uri.authority() {
        None => Ok(field.host),
        Some(target) => match Authority::parse(target.as_str()) {
            Ok(target) if target == field => Ok(field.host),
            _ => Err(Malformed::Host),
        },
    }
}

fn check_transfer_coding(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Malformed::TransferCoding),
    }
}

fn upgrade_of(head: &Parts) -> Upgrade {
    let websocket = head.headers.contains_key(UPGRADE)
        && head.version == Version::HTTP_11
        && head.method == Method::GET
        && !has_body(&head.headers)
        && has_token(&head.headers, &CONNECTION, "upgrade")
        && head.headers.get_all(UPGRADE).iter().count() == 1
        && text(&head.headers, &UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    if websocket {
        Upgrade::WebSocket
    } else {
        Upgrade::None
    }
}

fn asker_of(head: &Parts, upgrade: Upgrade) -> Asker {
    let headers = &head.headers;
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    if !reads || upgrade == Upgrade::WebSocket || is_grpc(headers) {
        return Asker::Program;
    }
    let purpose = text(headers, &SEC_PURPOSE).or_else(|| text(headers, &PURPOSE));
    if purpose.is_some_and(|purpose| purpose.contains("prefetch"))
        || text(headers, &X_MOZ) == Some("prefetch")
    {
        return Asker::Prefetch;
    }
    let wants_html = accepts_html(headers);
    match (
        text(headers, &SEC_FETCH_MODE),
        text(headers, &SEC_FETCH_DEST),
    ) {
        (Some("navigate"), Some("document") | None) => Asker::Navigation,
        (Some("navigate"), Some("iframe" | "frame" | "fencedframe" | "embed" | "object")) => {
            Asker::Frame
        }
        (Some(_), dest) if wants_html && matches!(dest, None | Some("document" | "empty")) => {
            Asker::ServiceWorker
        }
        (Some(_), _) => Asker::Program,
        // No Fetch Metadata: an old browser, plain http, or a program that says what it accepts.
        (None, _) if wants_html && !headers.contains_key(&X_REQUESTED_WITH) => Asker::Navigation,
        (None, _) => Asker::Program,
    }
}

/// A call of gRPC follows no redirect, whatever else it says that it accepts.
fn is_grpc(headers: &HeaderMap) -> bool {
    text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// Whether `text/html` (or XHTML) is named in `Accept`; `*/*` is what programs say.
fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| {
            line.split(',').any(|range| {
                let kind = range.split(';').next().unwrap_or("").trim();
                kind.eq_ignore_ascii_case("text/html")
                    || kind.eq_ignore_ascii_case("application/xhtml+xml")
            })
        })
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| {
            line.split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(token))
        })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
