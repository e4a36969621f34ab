//! The head of a request that may be sent once more, kept in one piece of memory that stays with its
//! connection: a copy of the table of fields would take memory for each of them, at every request.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::Body as _;

use crate::transport::body::Body;

/// More memory than this is given back after use.
const KEPT: usize = 16 * 1024;

/// A kept head, or none.
#[derive(Debug, Default)]
pub(super) struct SpareHead {
    line: Option<(Method, Uri)>,
    /// Names and values, one after the other.
    text: Vec<u8>,
    /// How long each name is, and the value behind it.
    lengths: Vec<(usize, usize)>,
}

impl SpareHead {
    /// Keeps the head of `request` if sending that twice is as good as once (RFC 9110 section 9.2.2),
    /// and otherwise nothing.
    pub(super) fn keep(&mut self, request: &Request<Body>) {
        self.clear();
        if !is_repeatable(request) {
            return;
        }
        for (name, value) in request.headers() {
            let name = name.as_str().as_bytes();
            self.text.extend_from_slice(name);
            self.text.extend_from_slice(value.as_bytes());
            self.lengths.push((name.len(), value.len()));
        }
        self.line = Some((request.method().clone(), request.uri().clone()));
    }

    /// Keeps nothing any longer.
    pub(super) fn clear(&mut self) {
        self.line = None;
        self.lengths.clear();
        if self.text.capacity() > KEPT {
            self.text = Vec::new();
        }
        self.text.clear();
    }

    /// The request once more, if it was kept.
    pub(super) fn take(&mut self) -> Option<Request<Body>> {
        let (method, uri) = self.line.take()?;
        let mut headers = HeaderMap::with_capacity(self.lengths.len());
        let mut rest = self.text.as_slice();
        for (name, value) in &self.lengths {
            let (name, behind) = rest.split_at_checked(*name)?;
            let (value, behind) = behind.split_at_checked(*value)?;
            let name = HeaderName::from_bytes(name).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
            rest = behind;
        }
        self.clear();
        let mut again = Request::new(Body::empty());
        *again.method_mut() = method;
        *again.uri_mut() = uri;
        *again.headers_mut() = headers;
        Some(again)
    }
}

/// Whether sending the request twice is as good as once: it is safe, has no body, and switches to
/// nothing.
pub(super) fn is_repeatable(request: &Request<Body>) -> bool {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    safe && request.body().is_end_stream() && !request.headers().contains_key(http::header::UPGRADE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static("/a%2Fb?c=d");
        let headers = request.headers_mut();
        headers.append("cookie", HeaderValue::from_static("a=1"));
        headers.append("x-own", HeaderValue::from_static(""));
        headers.append("cookie", HeaderValue::from_bytes(b"b=\xff").unwrap());
        headers.append("x-own", HeaderValue::from_static("\ttwo"));
        request
    }

    #[test]
    fn a_kept_head_comes_back_to_the_byte_and_once() {
        let (mut spare, sent) = (SpareHead::default(), request(Method::GET));
        spare.keep(&sent);
        let again = spare.take().unwrap();
        assert_eq!(
            (again.method(), again.uri(), again.headers()),
            (sent.method(), sent.uri(), sent.headers())
        );
        let lines = |request: &Request<Body>| -> Vec<HeaderValue> {
            request.headers().get_all("x-own").iter().cloned().collect()
        };
        assert_eq!(lines(&again), lines(&sent));
        assert!(spare.take().is_none());
    }

    // What changes something is sent once, and nobody's head is sent for somebody else's.
    #[test]
    fn of_a_request_that_must_not_be_repeated_nothing_is_kept() {
        let mut spare = SpareHead::default();
        spare.keep(&request(Method::GET));
        spare.keep(&request(Method::POST));
        assert!(spare.take().is_none());
        spare.keep(&request(Method::GET));
        spare.clear();
        assert!(spare.take().is_none());
    }

    #[test]
    fn a_large_head_takes_no_memory_afterwards() {
        let (mut spare, mut large) = (SpareHead::default(), request(Method::GET));
        let value = HeaderValue::from_str(&"a".repeat(KEPT + 1)).unwrap();
        large.headers_mut().insert("cookie", value);
        spare.keep(&large);
        spare.clear();
        assert_eq!(spare.text.capacity(), 0);
    }
}
