//! The inbound head becomes the outbound one, and the other way round, by calling the rooms beside
//! this one in a fixed order: what must not pass goes first, what is ours is written last.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};

use super::credentials::OwnCookies;
use super::forwarded::PublicFields;
use super::identity::Stripper;
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
    stripper: Stripper,
}

impl Rewriter {
    /// A rewriter for an upstream behind `public`, that knows our cookies by `names`.
    #[must_use]
    pub fn new(public: &PublicUrl, names: CookieNames, settings: &UpstreamSettings) -> Self {
        Self {
            public: PublicFields::new(public),
            cookies: OwnCookies::new(names),
            stripper: Stripper::new(settings.headers.iter().map(|rule| &rule.name)),
        }
    }

    /// The head that goes to the upstream.
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
    match (&settings.host, &settings.address) {
        (HostPolicy::Preserve, _) => public.keep_port(headers),
        (HostPolicy::Fixed(name), _) => {
            headers.insert(HOST, name.clone());
        }
        (HostPolicy::Upstream, UpstreamAddress::Tcp { host, port }) => {
            let text = if *port == 80 {
                host.clone()
            } else {
                format!("{host}:{port}")
            };
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HOST, value);
            }
        }
        (HostPolicy::Upstream, UpstreamAddress::Unix(_)) => {
            headers.insert(HOST, HeaderValue::from_static("localhost"));
        }
    }
}

/// An answer to somebody who is signed in is theirs alone, whatever the app says: it does not know
/// that a gate stands before it, and a shared cache in front may keep what says nothing, what only
/// says how long, and what says `public` (RFC 9111 section 3; security requirement P2). How long the
/// browser itself may keep it stays as it was.
pub fn make_private(headers: &mut HeaderMap) {
    let quoted = |line: &HeaderValue| line.as_bytes().contains(&b'"');
    let unqualified = !headers.get_all(CACHE_CONTROL).iter().any(quoted);
    if unqualified && says(headers, &["private", "no-store"]) && !says(headers, SHARING) {
        remove_targeted(headers);
        return;
    }
    // With a field name in quotes, `private` is about that field alone.
    let mut kept: Vec<String> = Vec::new();
    if unqualified {
        let lines = headers.get_all(CACHE_CONTROL).iter();
        for directive in lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
        {
            let name = directive.split('=').next().unwrap_or_default().trim();
            let shares = SHARING.iter().any(|one| one.eq_ignore_ascii_case(name));
            if !name.is_empty() && !shares && !name.eq_ignore_ascii_case("private") {
                kept.push(directive.trim().to_owned());
            }
        }
    }
    kept.push("private".to_owned());
    let value = HeaderValue::try_from(kept.join(", "));
    headers.insert(
        CACHE_CONTROL,
        value.unwrap_or(HeaderValue::from_static("private")),
    );
    remove_targeted(headers);
}

/// Directives by which an answer is shared.
const SHARING: &[&str] = &["public", "s-maxage", "proxy-revalidate"];

/// Takes away what speaks to shared caches past `Cache-Control` (RFC 9213 and its forerunners).
fn remove_targeted(headers: &mut HeaderMap) {
    let is_targeted = |name: &HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control") || name == "surrogate-control" || name == "x-accel-expires"
    };
    while let Some(name) = headers.keys().find(|name| is_targeted(name)).cloned() {
        headers.remove(name);
    }
}

/// Whether an answer may be kept by a shared cache, so that no cookie may ride on it.
#[must_use]
pub fn may_be_shared(headers: &HeaderMap) -> bool {
    let targeted = [
        "cdn-cache-control",
        "surrogate-control",
        "cloudflare-cdn-cache-control",
    ];
    !says(headers, &["private", "no-store"])
        || targeted.iter().any(|name| headers.contains_key(*name))
}

/// Whether `Cache-Control` has one of these directives (RFC 9111 section 5.2).
fn says(headers: &HeaderMap, directives: &[&str]) -> bool {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| {
            line.split(',').any(|directive| {
                let name = directive.split('=').next().unwrap_or_default().trim();
                directives.iter().any(|one| one.eq_ignore_ascii_case(name))
            })
        })
}

/// The header fields of `names` as constants, for rooms beside this one.
pub(super) fn constant(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// Whether the protocol is being switched.
pub(super) fn is_websocket(upgrade: Upgrade) -> bool {
    upgrade == Upgrade::WebSocket
}
