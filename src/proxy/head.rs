//! The inbound head becomes the outbound one, and the other way round, by calling the rooms beside
//! this one in a fixed order: what must not pass goes first, what is ours is written last.

use std::rc::Rc;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};

use super::credentials::OwnCookies;
use super::forwarded::PublicFields;
use super::identity::Stripper;
use super::trailers::{RequestTrailers, is_grpc};
use super::{ForwardError, HostPolicy, UpstreamAddress, UpstreamSettings, hop, identity};
use crate::base::origin::PublicUrl;
use crate::gate::decision::Permit;
use crate::gate::facts::Upgrade;
use crate::session::names::CookieNames;

/// Rewrites heads for one upstream.
#[derive(Debug, Clone)]
pub struct Rewriter {
    public: PublicFields,
    cookies: OwnCookies,
    stripper: Rc<Stripper>,
}

impl Rewriter {
    /// A rewriter for an upstream behind `public`, that knows our cookies by `names`.
    #[must_use]
    pub fn new(public: &PublicUrl, names: CookieNames, settings: &UpstreamSettings) -> Self {
        Self {
            public: PublicFields::new(public),
            cookies: OwnCookies::new(names),
            stripper: Rc::new(Stripper::new(
                settings.headers.iter().map(|rule| &rule.name),
            )),
        }
    }

    /// What becomes of the trailer fields of a request with this head.
    pub(super) fn trailers(&self, headers: &HeaderMap) -> RequestTrailers {
        if is_grpc(headers) {
            RequestTrailers::Passed(Rc::clone(&self.stripper))
        } else {
            RequestTrailers::Dropped
        }
    }

    /// The head that goes to the upstream, as HTTP/1.1 has it.
    ///
    /// # Errors
    /// [`ForwardError::IdentityTooLarge`]: an identity is sent whole or not at all.
    pub fn outbound(
        &self,
        permit: Permit,
        settings: &UpstreamSettings,
    ) -> Result<Parts, ForwardError> {
        let (client, session) = (*permit.client_address(), permit.session().cloned());
        let (upgrade, overrides) = (permit.upgrade(), permit.method_override());
        let mut head = permit.into_head();
        hop::strip_request(&mut head.headers, upgrade);
        self.stripper.strip(&mut head.headers, overrides);
        self.cookies.leave_request(&mut head.headers);
        in_origin_form(&mut head.uri);
        set_host(&mut head.headers, settings, &self.public);
        self.public.set(&mut head.headers, client);
        if let Some(session) = session {
            identity::set(&mut head.headers, &session, &settings.headers)?;
        }
        head.version = http::Version::HTTP_11;
        Ok(head)
    }

    /// The head that goes back to the user agent.
    pub fn inbound(&self, headers: &mut HeaderMap) {
        hop::strip_response(headers);
        self.cookies.stay_ours(headers);
    }

    /// The head of a switch to WebSocket, which keeps the two fields that say so.
    pub fn inbound_switch(&self, headers: &mut HeaderMap) {
        let upgrade = headers.get(UPGRADE).cloned();
        self.inbound(headers);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(
            UPGRADE,
            upgrade.unwrap_or(HeaderValue::from_static("websocket")),
        );
    }
}

/// Path and query, byte for byte as received; the authority of an absolute form is in `Host`.
fn in_origin_form(uri: &mut Uri) {
    if uri.authority().is_some() || uri.scheme().is_some() {
        let path = uri.path_and_query().cloned();
        *uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
}

fn set_host(headers: &mut HeaderMap, settings: &UpstreamSettings, public: &PublicFields) {
    match &settings.host {
        HostPolicy::Preserve => public.keep_port(headers),
        HostPolicy::Fixed(name) => {
            headers.insert(HOST, name.clone());
        }
        HostPolicy::Upstream => match settings.addresses.first() {
            Some(address @ UpstreamAddress::Tcp { port, .. }) => {
                let usual = if settings.tls.is_some() { 443 } else { 80 };
                let text = address.to_string();
                let text = match text.rsplit_once(':') {
                    Some((host, _)) if *port == usual => host,
                    _ => &text,
                };
                if let Ok(value) = HeaderValue::from_str(text) {
                    headers.insert(HOST, value);
                }
            }
            Some(UpstreamAddress::Unix(_)) | None => {
                headers.insert(HOST, HeaderValue::from_static("localhost"));
            }
        },
    }
}

/// An answer to somebody who is signed in is theirs alone, whatever the app says about it: what a
/// shared cache in front kept, it would hand to whoever asks next, past the gate (RFC 9111 section 3).
/// Directives that speak of the browser's own cache stay as they are.
pub fn make_private(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|name| is_targeted(name)).cloned() {
        headers.remove(name);
    }
    let (mut kept, mut closed, mut open, mut quoted) = (Vec::new(), false, false, false);
    for line in headers.get_all(CACHE_CONTROL) {
        // A mark that is never closed could swallow what another line says.
        quoted |= line.as_bytes().contains(&b'"');
        for directive in directives(line.as_bytes()) {
            match Sharing::of(directive) {
                Sharing::Closed => closed = true,
                Sharing::Open => open = true,
                Sharing::Unsaid => {}
            }
            kept.push(directive);
        }
    }
    if closed && !open && !quoted {
        return;
    }
    if kept.is_empty() {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        return;
    }
    // First, where no such mark comes before it.
    let mut told = b"private".to_vec();
    for directive in kept {
        if Sharing::of(directive) != Sharing::Open && !directive.eq_ignore_ascii_case(b"private") {
            told.extend_from_slice(b", ");
            told.extend_from_slice(directive);
        }
    }
    let told = HeaderValue::from_bytes(&told);
    headers.insert(
        CACHE_CONTROL,
        told.unwrap_or(HeaderValue::from_static("private")),
    );
}

/// Whether shared caches heed this field before `Cache-Control` (RFC 9213, and what was before it).
fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-cache-control")
        || matches!(
            name,
            "edge-control" | "surrogate-control" | "x-accel-expires"
        )
}

/// What one directive of `Cache-Control` says to a shared cache (RFC 9111 section 5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Nothing is to be kept.
    Closed,
    /// The answer, or some of it, may be kept: `private` with names of fields lets the rest be.
    Open,
    Unsaid,
}

impl Sharing {
    fn of(directive: &[u8]) -> Self {
        let mut parts = directive.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let is = |one: &str| name.eq_ignore_ascii_case(one.as_bytes());
        match parts.next() {
            None if is("private") || is("no-store") => Self::Closed,
            Some(_) if is("private") => Self::Open,
            _ if is("public") || is("s-maxage") || is("proxy-revalidate") => Self::Open,
            _ => Self::Unsaid,
        }
    }
}

/// The directives of one line: between commas that stand in no quotes (RFC 9110 section 5.6).
fn directives(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |byte| {
        let plain = !std::mem::take(&mut escaped);
        match byte {
            b'"' if plain => quoted = !quoted,
            b'\\' if plain && quoted => escaped = true,
            _ => {}
        }
        *byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|directive| !directive.is_empty())
}

/// Whether the protocol is being switched.
pub(super) fn is_websocket(upgrade: Upgrade) -> bool {
    upgrade == Upgrade::WebSocket
}
