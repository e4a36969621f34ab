//! `routes[].respond` and `routes[].redirect`: what a route answers by itself.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::Findings;
use crate::base::origin::Host;
use crate::config::tree::Path;
use crate::config::written::route::{RedirectFull, RespondFull, RouteWritten};
use crate::gate::own_answer::{Destination, FixedAnswer, Kept, OwnAnswer, Redirection};
use crate::gate::path_pattern::PathPattern;
use crate::gate::routes::{HostRule, Route};

/// The longest body that a route answers: what is longer is a page of an app.
const LONGEST_BODY: usize = 64 * 1024;

/// Fields that say how the message is framed, or that are somebody else's to set: the connection's,
/// the session's, or another key's.
const NOT_TO_WRITE: [(&str, &str); 16] = [
    ("connection", "the connection is the gate's"),
    ("content-length", "the length is counted"),
    ("content-type", "write `content_type`"),
    ("date", "the time is not known yet"),
    ("keep-alive", "the connection is the gate's"),
    ("location", "write `redirect` in place of `respond`"),
    (
        "proxy-authenticate",
        "write 403, or let `access` ask people to sign in",
    ),
    ("proxy-connection", "the connection is the gate's"),
    ("set-cookie", "cookies are the app's, or the session's"),
    (
        "strict-transport-security",
        "it holds for the whole host, not for one path",
    ),
    ("te", "the connection is the gate's"),
    ("trailer", "the connection is the gate's"),
    ("transfer-encoding", "the connection is the gate's"),
    ("upgrade", "the connection is the gate's"),
    (
        "www-authenticate",
        "write 403, or let `access` ask people to sign in",
    ),
    ("x-request-id", "it names the line in the log"),
];

/// What a route with a `respond` or `redirect` answers.
pub(super) enum Checked {
    /// Neither is written.
    None,
    /// Something is wrong, and was said.
    Faulty,
    /// This.
    Answer(OwnAnswer),
}

/// What `written`, at `here`, answers by itself; `pattern` is its path.
pub(super) fn check(
    written: &RouteWritten,
    here: &Path,
    pattern: Option<&PathPattern>,
    findings: &mut Findings<'_>,
) -> Checked {
    let (key, answer) = match (&written.respond, &written.redirect) {
        (None, None) => return Checked::None,
        (Some(_), Some(_)) => {
            findings.fault(
                &here.key("redirect"),
                "a route either answers or leads elsewhere",
                "take `respond` or `redirect` away",
            );
            return Checked::Faulty;
        }
        (Some(respond), None) => {
            let path = here.key("respond");
            let answer = fixed(&respond.full(), &path, findings).map(OwnAnswer::Respond);
            ("respond", answer)
        }
        (None, Some(redirect)) => {
            let path = here.key("redirect");
            let answer = redirection(&redirect.full(), &path, pattern, findings);
            ("redirect", answer.map(OwnAnswer::Redirect))
        }
    };
    if written.upstream.is_some() {
        findings.fault(
            &here.key("upstream"),
            format!("with `{key}`, no upstream is asked"),
            format!("take `upstream` or `{key}` away"),
        );
    }
    if written.websocket.is_some() {
        findings.fault(
            &here.key("websocket"),
            format!("with `{key}`, nothing opens a WebSocket"),
            format!("take `websocket` or `{key}` away"),
        );
    }
    answer.map_or(Checked::Faulty, Checked::Answer)
}

/// The status at `path`, if `fits`.
fn status(
    written: Option<u64>,
    default: StatusCode,
    path: &Path,
    (fits, remedy): (fn(u16) -> bool, &str),
    findings: &mut Findings<'_>,
) -> Option<StatusCode> {
    let Some(written) = written else {
        return Some(default);
    };
    let number = u16::try_from(written).ok().filter(|number| fits(*number));
    let status = number.and_then(|number| StatusCode::from_u16(number).ok());
    if status.is_none() {
        findings.fault(path, "not a status for this", remedy);
    }
    status
}

/// 206 answers a `Range`, 401 and 407 need a challenge, 426 an `Upgrade`; redirects have their key.
fn is_answer(status: u16) -> bool {
    matches!(status, 200..=299 | 400..=599) && !matches!(status, 206 | 401 | 407 | 426)
}

fn fixed(written: &RespondFull, here: &Path, findings: &mut Findings<'_>) -> Option<FixedAnswer> {
    // The short form has no key of its own.
    let at = |key: &str| match key {
        "status" if findings_of_short_form(written) => here.clone(),
        key => here.key(key),
    };
    let fits: (fn(u16) -> bool, &str) = (
        is_answer,
        "write 200, 403, 404, 410, 503 or the like; `redirect` leads elsewhere, and `access` asks people to sign in",
    );
    let status = status(
        written.status,
        StatusCode::OK,
        &at("status"),
        fits,
        findings,
    );
    let body = written.body.clone().unwrap_or_default();
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT];
    let mut good = true;
    if !body.is_empty() && status.is_some_and(|status| bodiless.contains(&status)) {
        findings.fault(
            &here.key("body"),
            "an answer with this status has no body",
            "take `body` away, or write another status",
        );
        good = false;
    }
    if body.len() > LONGEST_BODY {
        findings.fault(
            &here.key("body"),
            "longer than 64 KiB",
            "let an app answer it",
        );
        good = false;
    }
    let mut headers = fields(written, here, findings)?;
    let kind = written.content_type.as_deref();
    let kind = HeaderValue::from_str(kind.unwrap_or("text/plain; charset=utf-8"));
    match kind.ok().filter(is_media_type) {
        Some(_) if body.is_empty() && written.content_type.is_none() => {}
        Some(kind) => {
            headers.insert(CONTENT_TYPE, kind);
        }
        None => {
            findings.fault(
                &here.key("content_type"),
                "not a media type",
                "write it like `text/html; charset=utf-8`",
            );
            good = false;
        }
    }
    let status = status.filter(|_| good)?;
    Some(FixedAnswer {
        status,
        body: Bytes::from(body),
        headers,
    })
}

/// Whether nothing but the status is written, so that faults of it stand where it stands.
fn findings_of_short_form(written: &RespondFull) -> bool {
    written.body.is_none() && written.content_type.is_none() && written.headers.is_none()
}

fn is_media_type(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| HeaderName::from_bytes(part.as_bytes()).is_ok();
    kind.split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

fn fields(written: &RespondFull, here: &Path, findings: &mut Findings<'_>) -> Option<HeaderMap> {
    let here = here.key("headers");
    let mut headers = HeaderMap::new();
    let mut good = true;
    for (name, value) in written.headers.iter().flat_map(|all| &all.0) {
        let path = here.key(name);
        let fault = |what: &str, remedy: &str, findings: &mut Findings<'_>| {
            findings.fault(&path, what, remedy);
        };
        let known = HeaderName::from_bytes(name.as_bytes());
        let theirs = known.as_ref().ok().and_then(|name| {
            let of = |row: &&(&str, &str)| row.0 == name.as_str();
            NOT_TO_WRITE.iter().find(of)
        });
        match (known, HeaderValue::from_str(value.trim()), theirs) {
            (_, _, Some((_, remedy))) => {
                fault("not a field for a route to set", remedy, findings);
                good = false;
            }
            (Ok(name), _, None) if headers.contains_key(&name) => {
                fault("a field stands once", "write it in one spelling", findings);
                good = false;
            }
            (Ok(name), Ok(value), None) => {
                headers.insert(name, value);
            }
            (Err(_), _, None) => {
                fault(
                    "not a field's name",
                    "write it like `Retry-After`",
                    findings,
                );
                good = false;
            }
            (Ok(_), Err(_), None) => {
                fault(
                    "not a field's value",
                    "write visible ASCII on one line",
                    findings,
                );
                good = false;
            }
        }
    }
    good.then_some(headers)
}

fn redirection(
    written: &RedirectFull,
    here: &Path,
    pattern: Option<&PathPattern>,
    findings: &mut Findings<'_>,
) -> Option<Redirection> {
    let fits: (fn(u16) -> bool, &str) = (
        |status| matches!(status, 301 | 302 | 303 | 307 | 308),
        "write 301, 302, 303, 307 or 308",
    );
    let path = here.key("status");
    let status = status(written.status, StatusCode::FOUND, &path, fits, findings);
    let kept = |wanted: Option<bool>| match wanted {
        Some(true) => Kept::Kept,
        Some(false) | None => Kept::Dropped,
    };
    let (path, query) = (kept(written.keep_path), kept(written.keep_query));
    let Some(text) = &written.to else {
        findings.fault(
            &here.key("to"),
            "`to` is missing",
            "write where it leads, such as `/new` or `https://new.example.com`",
        );
        return None;
    };
    let to = match Destination::parse(text) {
        Ok(to) => to,
        Err(error) => {
            findings.fault(
                &here.key("to"),
                error.to_string(),
                "write it like `/new` or `https://new.example.com/x`",
            );
            return None;
        }
    };
    let keeps = path == Kept::Kept || query == Kept::Kept;
    let mut good = true;
    if keeps && (to.has_query() || to.has_fragment()) {
        findings.fault(
            &here.key("to"),
            "what is kept would stand behind this query or fragment",
            "end `to` with its path, or keep nothing",
        );
        good = false;
    }
    if path == Kept::Kept && pattern.is_some_and(PathPattern::is_exact) {
        findings.fault(
            &here.key("keep_path"),
            "a path without `/**` has no rest to keep",
            "write `path: /x/**`, or take `keep_path` away",
        );
        good = false;
    }
    let status = status.filter(|_| good)?;
    Some(Redirection {
        status,
        to,
        path,
        query,
    })
}

/// Warns of redirects that lead to themselves, as far as paths tell: browsers give up after a while.
pub(super) fn warn_of_circles(
    routes: &[Route],
    public_host: Option<&Host>,
    here: &Path,
    findings: &mut Findings<'_>,
) {
    for (index, route) in routes.iter().enumerate() {
        let Some(OwnAnswer::Redirect(there)) = route.own_answer() else {
            continue;
        };
        let host = there.to.origin().map(crate::base::origin::Origin::host);
        let stays = match (&route.hosts, host) {
            (_, None) | (HostRule::Any, Some(_)) => true,
            (HostRule::Public, Some(host)) => public_host == Some(host),
            (HostRule::One(one), Some(host)) => one == host,
        };
        let path = there.to.path().as_bytes();
        let takes = |route: &Route| {
            let pattern = route.path.as_ref();
            pattern.is_none_or(|pattern| pattern.matches(path))
        };
        // An earlier rule for that path may be about other hosts or methods; then nothing is said.
        let before = routes.get(..index).unwrap_or_default();
        if stays && takes(route) && !before.iter().any(takes) {
            findings.warn(
                &here.index(index).key("redirect"),
                "leads to itself, round and round",
                "lead to a path that the route does not match, or write a route for that path before",
            );
        }
    }
}
