//! A head of HTTP/2 as HTTP/1.1 would have brought it (RFC 9113 section 8.3.1 and RFC 9110), so that
//! everything that judges heads judges one form.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as _, Incoming};

use crate::transport::body::Body;

/// Whether a request brings a body of which its head does not say how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// There is none, or the head says.
    Said,
    /// It ends when it ends.
    Unsaid,
}

/// The same request with a head as of HTTP/1.1. Its target is in absolute form where there is an
/// `:authority`, so that it is compared with `Host` as that form is.
pub(super) fn as_http1(request: Request<Incoming>) -> Request<Incoming> {
    let (mut head, body) = request.into_parts();
    let said = body.is_end_stream() || head.headers.contains_key(CONTENT_LENGTH);
    let length = if said { Length::Said } else { Length::Unsaid };
    rewrite(&mut head, length);
    Request::from_parts(head, body)
}

fn rewrite(head: &mut Parts, length: Length) {
    if let Some(authority) = head.uri.authority()
        && !head.headers.contains_key(HOST)
        // An authority is text without blanks, and so is a field's value.
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(HOST, host);
    }
    join_crumbs(&mut head.headers);
    say_length_once(&mut head.headers);
    if length == Length::Unsaid {
        let chunked = HeaderValue::from_static("chunked");
        head.headers.insert(TRANSFER_ENCODING, chunked);
    }
}

/// The answer to a HEAD request, whose body nobody may send (RFC 9110 section 9.3.2); its length stays
/// said. Over HTTP/1.1 the library sees to that.
pub(super) fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0)
        && !head.headers.contains_key(CONTENT_LENGTH)
    {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Body::empty())
}

/// One line with one number out of several that say the same (RFC 9110 section 8.6), as the library
/// read them: it takes digits, and nothing at all for 0, and has refused what contradicts itself. If
/// it had not, all of them would stay, and be refused with the head.
fn say_length_once(headers: &mut HeaderMap) {
    let mut said = headers.get_all(CONTENT_LENGTH).iter().map(number);
    let Some(Some(length)) = said.next() else {
        return;
    };
    if said.all(|other| other == Some(length)) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    match value.to_str() {
        Ok("") => Some(0),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        Ok(_) | Err(_) => None,
    }
}

/// One line of cookies out of many (RFC 9113 section 8.2.3).
fn join_crumbs(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut line = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(crumb.as_bytes());
    }
    // What is made of values is a value.
    if let Ok(line) = HeaderValue::from_bytes(&line) {
        headers.insert(COOKIE, line);
    }
}
