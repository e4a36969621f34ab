//! Trailer fields (RFC 9110 section 6.5). An app may merge them into the head, so they are held to
//! more than the head is: what frames, routes, identifies or signs in never comes this way.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::identity::Stripper;
use crate::gate::routes::MethodOverride;

/// Fields that mean nothing, or harm, behind a body (RFC 9110 section 6.5.1). Sorted.
const NEVER: [&str; 32] = [
    "age",
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "warning",
    "www-authenticate",
];

/// Takes out of `trailers` what may not come behind a body.
fn strip(trailers: &mut HeaderMap) {
    let never = |name: &&HeaderName| NEVER.binary_search(&name.as_str()).is_ok();
    while let Some(name) = trailers.keys().find(never).cloned() {
        trailers.remove(name);
    }
}

/// What becomes of the trailer fields of a request: they pass where the protocol has a meaning for
/// them, which is gRPC, and nowhere else.
#[derive(Debug, Clone)]
pub(super) enum RequestTrailers {
    Dropped,
    /// Less what this takes away.
    Passed(Rc<Stripper>),
}

impl RequestTrailers {
    /// `frame`, or nothing where all of it is taken away.
    pub(super) fn pass(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        match (self, frame.into_trailers()) {
            (_, Err(frame)) => Some(frame),
            (Self::Dropped, Ok(_)) => None,
            (Self::Passed(stripper), Ok(mut trailers)) => {
                strip(&mut trailers);
                stripper.strip(&mut trailers, MethodOverride::Dropped);
                (!trailers.is_empty()).then(|| Frame::trailers(trailers))
            }
        }
    }
}

/// Whether the message is one of gRPC (`application/grpc`, with or without a suffix).
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| {
        kind.split_at_checked(b"application/grpc".len())
            .is_some_and(|(kind, rest)| {
                kind.eq_ignore_ascii_case(b"application/grpc")
                    && matches!(rest.first(), None | Some(b'+' | b'-' | b';' | b' '))
            })
    })
}

/// Whether the client reads trailer fields: it says `TE: trailers`.
pub(super) fn are_read(headers: &HeaderMap) -> bool {
    let mut codings = headers
        .get_all(TE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

pin_project_lite::pin_project! {
    /// An answer's body, whose trailer fields are held to the rules.
    #[derive(Debug)]
    pub(super) struct Download<B> {
        #[pin]
        inner: B,
    }
}

impl<B> Download<B> {
    pub(super) fn new(inner: B) -> Self {
        Self { inner }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for Download<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = self.project().inner.poll_frame(context);
        polled.map_ok(|frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                strip(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_list_can_be_searched() {
        assert!(NEVER.is_sorted());
    }

    // J5: no field that identifies, frames or signs in comes behind a body, in whatever spelling.
    #[test]
    fn a_trailer_is_never_an_identity_a_host_a_length_or_a_credential() {
        let own = HeaderName::from_static("x-who");
        let passed = RequestTrailers::Passed(Rc::new(Stripper::new([own].iter())));
        let trailers = fields(&[
            ("x-forwarded-user", "root"),
            ("x_forwarded_user", "root"),
            ("x-who", "root"),
            ("x.who", "root"),
            ("host", "other"),
            ("content-length", "0"),
            ("authorization", "Basic x"),
            ("cookie", "a=b"),
            ("transfer-encoding", "chunked"),
            ("x-http-method-override", "DELETE"),
            ("x-checksum", "1"),
        ]);
        let left = passed.pass(Frame::trailers(trailers.clone())).unwrap();
        let left = left.into_trailers().unwrap();
        assert_eq!(left, fields(&[("x-checksum", "1")]));
        let gone = RequestTrailers::Dropped.pass(Frame::trailers(trailers));
        assert!(gone.is_none());
        let data = Frame::data(Bytes::from_static(b"x"));
        assert!(RequestTrailers::Dropped.pass(data).is_some());
    }

    #[test]
    fn grpc_is_told_by_its_content_type_alone() {
        for (kind, is) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/grpc-web", true),
            ("application/grpc;charset=x", true),
            ("application/grpcx", false),
            ("application/json", false),
            ("application/gr", false),
        ] {
            assert_eq!(is_grpc(&fields(&[("content-type", kind)])), is, "{kind}");
        }
        assert!(are_read(&fields(&[("te", "deflate, Trailers")])));
        assert!(!are_read(&fields(&[("te", "trailersx")])));
    }
}
