//! `routes[].cors`: what scripts of other origins may ask and read.

use std::sync::Arc;

use http::{HeaderName, Method};

use super::Findings;
use crate::base::origin::Origin;
use crate::config::tree::Path;
use crate::config::written::route::{CorsWritten, PreflightsWritten, RouteWritten};
use crate::config::written::values::Span;
use crate::gate::cors::{AllowedOrigins, Cors, Credentials, Preflights};

/// The methods where neither the route nor `methods` names any: those that need no preflight.
const METHODS: [Method; 3] = [Method::GET, Method::HEAD, Method::POST];

/// Something is wrong, and was said.
pub(super) struct Faulty;

/// What `written`, at `here`, says; `methods` are those that the route matches.
///
/// # Errors
/// [`Faulty`].
pub(super) fn check(
    written: &RouteWritten,
    here: &Path,
    methods: Option<&[Method]>,
    findings: &mut Findings<'_>,
) -> Result<Option<Arc<Cors>>, Faulty> {
    let Some(cors) = &written.cors else {
        return Ok(None);
    };
    let here = here.key("cors");
    let preflights = match cors.preflights {
        Some(PreflightsWritten::Passed) => Preflights::Passed,
        Some(PreflightsWritten::Answered) | None => Preflights::Answered,
    };
    let mut good = true;
    if preflights == Preflights::Passed {
        good = passes(written, cors, &here, findings);
    }
    let credentials = match cors.credentials {
        Some(true) => Credentials::Allowed,
        Some(false) | None => Credentials::Withheld,
    };
    let origins = origins(cors, &here, findings);
    if origins == Some(AllowedOrigins::Any) && credentials == Credentials::Allowed {
        findings.fault(
            &here.key("credentials"),
            "every site could act as whoever is signed in",
            "list the origins, or take `credentials` away",
        );
        good = false;
    }
    let allowed = self::methods(cors, &here, methods, findings);
    let headers = names(cors.headers.as_deref(), &here.key("headers"), findings);
    let expose = names(cors.expose.as_deref(), &here.key("expose"), findings);
    let whole = || {
        Some(Cors {
            origins: origins?,
            methods: allowed?,
            headers: headers?,
            expose: expose?,
            credentials,
            max_age: cors.max_age.map(|Span(span)| span),
            preflights,
        })
    };
    match whole().filter(|_| good) {
        Some(cors) => Ok(Some(Arc::new(cors))),
        None => Err(Faulty),
    }
}

/// Whether there is an app to pass preflights to, and nothing is said that it would say.
fn passes(
    route: &RouteWritten,
    cors: &CorsWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> bool {
    let mut good = true;
    if route.respond.is_some() || route.redirect.is_some() {
        findings.fault(
            &here.key("preflights"),
            "there is no app that preflights could be passed to",
            "write `answered`, or take the key away",
        );
        good = false;
    }
    let theirs = [
        ("methods", cors.methods.is_some()),
        ("headers", cors.headers.is_some()),
        ("max_age", cors.max_age.is_some()),
    ];
    for (key, _) in theirs.iter().filter(|(_, written)| *written) {
        findings.fault(
            &here.key(key),
            "the app says this, since preflights are passed to it",
            format!("take `{key}` away, or write `preflights: answered`"),
        );
        good = false;
    }
    good
}

fn origins(cors: &CorsWritten, here: &Path, findings: &mut Findings<'_>) -> Option<AllowedOrigins> {
    let here = here.key("origins");
    let written = cors.origins.as_deref().unwrap_or_default();
    if written.is_empty() {
        if !findings.is_torn(&here) {
            findings.fault(
                &here,
                "no origin is named, so this is about nobody",
                "list origins, such as `https://x.example.com`",
            );
        }
        return None;
    }
    if written.len() == 1 && written.first().is_some_and(|one| one == "*") {
        return Some(AllowedOrigins::Any);
    }
    let mut origins = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let at = here.index(index);
        match Origin::parse(text) {
            Ok(origin) => origins.push(origin),
            Err(_) if text == "*" => findings.fault(
                &at,
                "`*` beside origins would make them needless",
                "write it alone, or not at all",
            ),
            Err(_) if text == "null" => findings.fault(
                &at,
                "`null` is what every sandboxed page of every site calls itself",
                "list origins, such as `https://x.example.com`",
            ),
            Err(error) => findings.fault(
                &at,
                error.to_string(),
                "write it like `https://x.example.com`",
            ),
        }
    }
    (origins.len() == written.len()).then_some(AllowedOrigins::Listed(origins))
}

fn methods(
    cors: &CorsWritten,
    here: &Path,
    of_route: Option<&[Method]>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Method>> {
    let Some(written) = &cors.methods else {
        return Some(of_route.unwrap_or(&METHODS).to_vec());
    };
    let here = here.key("methods");
    let mut methods = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let method = Method::from_bytes(text.as_bytes()).ok();
        let sound = |method: &Method| {
            let letters = method.as_str();
            letters != "*" && !letters.bytes().any(|b| b.is_ascii_lowercase())
        };
        let served = |method: &Method| {
            of_route.is_none_or(|list| {
                list.contains(method) || (*method == Method::HEAD && list.contains(&Method::GET))
            })
        };
        match method.filter(sound) {
            Some(method) if served(&method) => methods.push(method),
            Some(_) => findings.fault(
                &here.index(index),
                "the route does not match this method",
                "write it into `match.methods` too, or take it away",
            ),
            None => findings.fault(
                &here.index(index),
                "not a method",
                "list methods in capitals: `PUT`",
            ),
        }
    }
    (methods.len() == written.len()).then_some(methods)
}

fn names(
    written: Option<&[String]>,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Option<Vec<HeaderName>> {
    let written = written.unwrap_or_default();
    let mut names = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        match name.filter(|name| name != "*") {
            Some(name) => names.push(name),
            None => findings.fault(
                &here.index(index),
                "not a field's name",
                "list them, such as `Content-Type`",
            ),
        }
    }
    (names.len() == written.len()).then_some(names)
}
