//! How a route's own answers are shown.

use super::yaml::Shown;
use crate::gate::own_answer::{FixedAnswer, Kept, OwnAnswer, Redirection};

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
