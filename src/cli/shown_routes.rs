//! How a route's own answers, and what it lets other origins do, are shown.

use http::HeaderName;

use super::yaml::Shown;
use crate::gate::cors::{AllowedOrigins, Cors, Credentials, Preflights};
use crate::gate::own_answer::{FixedAnswer, Kept, OwnAnswer, Redirection};
use crate::gate::write_shield::{ShieldMode, WriteShield};

/// The key of what a route answers by itself, and its value.
pub(super) fn own_answer(answer: &OwnAnswer) -> (&'static str, Shown) {
    match answer {
        OwnAnswer::Respond(fixed) => ("respond", respond(fixed)),
        OwnAnswer::Redirect(there) => ("redirect", redirect(there)),
    }
}

fn respond(fixed: &FixedAnswer) -> Shown {
    let kind = fixed.headers.get(http::header::CONTENT_TYPE);
    let text = |bytes: &[u8]| Shown::text(String::from_utf8_lossy(bytes));
    let headers = fixed.headers.iter();
    let headers = headers
        .filter(|(name, _)| *name != http::header::CONTENT_TYPE)
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect();
    Shown::map([
        ("status", Shown::word(fixed.status.as_u16())),
        ("body", text(&fixed.body)),
        ("headers", Shown::Map(headers)),
    ])
    .with("content_type", kind.map(|kind| text(kind.as_bytes())))
}

fn redirect(there: &Redirection) -> Shown {
    let kept = |kept: Kept| Shown::word(kept == Kept::Kept);
    Shown::map([
        ("to", Shown::text(there.to.to_string())),
        ("status", Shown::word(there.status.as_u16())),
        ("keep_path", kept(there.path)),
        ("keep_query", kept(there.query)),
    ])
}

/// What scripts of other origins may ask and read.
pub(super) fn cors(cors: &Cors) -> Shown {
    let origins = match &cors.origins {
        AllowedOrigins::Any => vec!["*".to_owned()],
        AllowedOrigins::Listed(list) => list.iter().map(ToString::to_string).collect(),
    };
    let names = |list: &[HeaderName]| {
        let names: Vec<&str> = list.iter().map(HeaderName::as_str).collect();
        Shown::texts(&names)
    };
    let credentials = Shown::word(cors.credentials == Credentials::Allowed);
    let shown = Shown::map([("origins", Shown::texts(&origins))]);
    match cors.preflights {
        Preflights::Passed => shown.with("preflights", Some(Shown::word("passed"))),
        Preflights::Answered => {
            let methods: Vec<&str> = cors.methods.iter().map(http::Method::as_str).collect();
            let span = cors.max_age.map(humantime::format_duration);
            shown
                .with("preflights", Some(Shown::word("answered")))
                .with("methods", Some(Shown::texts(&methods)))
                .with("headers", Some(names(&cors.headers)))
                .with("max_age", span.map(|span| Shown::text(span.to_string())))
        }
    }
    .with("expose", Some(names(&cors.expose)))
    .with("credentials", Some(credentials))
}

/// Whose pages may change something.
pub(super) fn write_shield(shield: &WriteShield) -> Shown {
    let mode = match shield.mode {
        ShieldMode::Enforce => "enforce",
        ShieldMode::Shadow => "shadow",
        ShieldMode::Off => "off",
    };
    let origins: Vec<String> = shield.origins.iter().map(ToString::to_string).collect();
    Shown::map([
        ("mode", Shown::word(mode)),
        ("origins", Shown::texts(&origins)),
    ])
}
