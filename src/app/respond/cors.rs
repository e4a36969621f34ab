//! What scripts of other origins may ask and read, as header fields.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    CACHE_CONTROL, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::X_REQUEST_ID;
use crate::app::reference::Reference;
use crate::gate::cors::{AllowedOrigin, Credentials, Grant, Preflights};

/// Whose an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Ours.
    Ours,
    /// The app's.
    Apps,
}

/// The answer to a preflight: what is granted, and nothing besides.
#[must_use]
pub fn answer_preflight(grant: &Grant, reference: Reference) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        VARY,
        HeaderValue::from_static(
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        ),
    );
    if let Ok(reference) = HeaderValue::from_str(reference.as_str()) {
        headers.insert(X_REQUEST_ID, reference);
    }
    if !name_origin(headers, grant) {
        return response;
    }
    let cors = grant.cors();
    let methods = cors.methods.iter().map(http::Method::as_str);
    insert_list(headers, ACCESS_CONTROL_ALLOW_METHODS, methods);
    let fields = cors.headers.iter().map(HeaderName::as_str);
    insert_list(headers, ACCESS_CONTROL_ALLOW_HEADERS, fields);
    if let Some(span) = cors.max_age {
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(span.as_secs()));
    }
    response
}

/// Lets the script that asks read an answer, if its origin may. Where preflights are the app's, so are
/// the fields of its answers; else they are all ours.
pub fn let_read(headers: &mut HeaderMap, grant: &Grant, whose: Whose) {
    match (whose, grant.cors().preflights) {
        (Whose::Apps, Preflights::Passed) => return,
        (Whose::Apps | Whose::Ours, Preflights::Answered) => {
            while let Some(name) = headers.keys().find(|name| is_of_cors(name)).cloned() {
                headers.remove(name);
            }
        }
        (Whose::Ours, Preflights::Passed) => {}
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if name_origin(headers, grant) {
        let exposed = grant.cors().expose.iter().map(HeaderName::as_str);
        insert_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

fn is_of_cors(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("access-control-")
}

/// Writes who may read; whether anybody may.
fn name_origin(headers: &mut HeaderMap, grant: &Grant) -> bool {
    let value = match grant.origin() {
        None => return false,
        Some(AllowedOrigin::Any) => Ok(HeaderValue::from_static("*")),
        Some(AllowedOrigin::One(origin)) => HeaderValue::from_str(&origin.to_string()),
    };
    // An origin is ASCII; if it were not, nobody could read.
    let Ok(value) = value else { return false };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
    if grant.cors().credentials == Credentials::Allowed {
        let yes = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    true
}

/// Writes `words` as one field, where there are any.
fn insert_list<'a>(
    headers: &mut HeaderMap,
    name: HeaderName,
    words: impl Iterator<Item = &'a str>,
) {
    let mut list = String::new();
    for word in words {
        let comma = if list.is_empty() { "" } else { ", " };
        let _infallible = write!(list, "{comma}{word}");
    }
    if let Ok(list) = HeaderValue::try_from(list)
        && !list.is_empty()
    {
        headers.insert(name, list);
    }
}
