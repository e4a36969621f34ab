//! One request, one answer: sent on a connection that is there or on a new one, and once more where
//! nobody has looked at it.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::direct::{DirectError, DirectLease};
use super::moving::Alarm;
use super::pool::{Lease, LineLease, Need, Origin};
use super::shared_line::SharedLease;
use super::spare_body::SpareBody;
use super::upload::Progress;
use super::{ForwardError, Upstream};
use crate::transport::body::Body;

/// An answer, and where the rest of it comes from.
#[derive(Debug)]
pub(super) enum Answered {
    /// Its body sees to that.
    Direct(Response<Body>),
    /// From this connection, which is in use as long as this is kept.
    Carried(Response<Incoming>, Lease),
}

/// Why there is no answer, and the request where it may be sent once more.
#[derive(Debug)]
struct Failed {
    error: ForwardError,
    again: Option<Box<Request<Body>>>,
}

impl From<ForwardError> for Box<Failed> {
    fn from(error: ForwardError) -> Self {
        Self::new(Failed { error, again: None })
    }
}

impl Upstream {
    /// Sends on a connection that is there, or on a new one. A second time it is tried, on a newer
    /// one, only where that is as good as once: what was not sent at all or was refused unseen
    /// (RFC 9113 section 8.7), and, where an app that had answered before closed the connection
    /// meanwhile, a request without a body that may safely be repeated (RFC 9110 section 9.2.2) and
    /// of which no answer has begun.
    pub(super) async fn exchange(
        &self,
        request: Box<Request<Body>>,
        progress: &Progress,
    ) -> Result<Answered, ForwardError> {
        let need = need(&request);
        let (mut request, mut tries) = (request, 0);
        let mut lease = self.pool.take(need).await?;
        loop {
            tries += 1;
            let failed = match lease {
                Lease::Direct(line) => match self.ask_directly(line, request, progress).await {
                    Ok(response) => return Ok(Answered::Direct(response)),
                    Err(failed) => failed,
                },
                Lease::Line(mut line) => match self.ask(&mut line, request, progress).await {
                    Ok(response) => return Ok(Answered::Carried(response, Lease::Line(line))),
                    Err(failed) => failed,
                },
                Lease::Shared(line) => {
                    match Box::pin(self.ask_shared(&line, *request, progress)).await {
                        Ok(response) => {
                            return Ok(Answered::Carried(response, Lease::Shared(line)));
                        }
                        Err(failed) => failed,
                    }
                }
            };
            match failed.again {
                Some(again) if tries == 1 => {
                    request = again;
                    progress.moved.set(Instant::now());
                    lease = self.pool.take_newer(need).await?;
                }
                _ => return Err(failed.error),
            }
        }
    }

    async fn ask_directly(
        &self,
        lease: DirectLease,
        request: Box<Request<Body>>,
        progress: &Progress,
    ) -> Result<Response<Body>, Box<Failed>> {
        let limit = self.settings.first_byte_timeout;
        let reused = lease.origin() == Origin::Reused;
        let idle = self.patience.stream;
        match lease.ask(&request, (&progress.moved, limit), idle).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => {
                let gone = matches!(error, DirectError::Gone);
                Err(Box::new(Failed {
                    error: ForwardError::Unread(error),
                    again: (reused && gone).then_some(request),
                }))
            }
            None => Err(ForwardError::TimedOut(limit).into()),
        }
    }

    async fn ask(
        &self,
        lease: &mut LineLease,
        request: Box<Request<Body>>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Box<Failed>> {
        let limit = self.settings.first_byte_timeout;
        let reused = lease.origin() == Origin::Reused;
        let Some(line) = lease.line() else {
            return Err(ForwardError::TimedOut(limit).into());
        };
        let (sender, alarm, meter) = line.parts();
        meter.start();
        // Counted from the last piece of the request: an upload may take as long as it moves.
        let answer = tokio::select! {
            biased;
            answer = sender.try_send_request(*request) => answer,
            () = alarm.stand_still(&progress.moved, limit) => return Err(ForwardError::TimedOut(limit).into()),
        };
        match answer {
            Ok(response) => {
                meter.stop();
                Ok(response)
            }
            Err(mut error) => {
                let unsent = error.take_message().filter(|_| reused);
                let error = broken(error.into_error(), progress);
                let again = unsent.map(Box::new);
                Err(Box::new(Failed { error, again }))
            }
        }
    }

    async fn ask_shared(
        &self,
        lease: &SharedLease,
        request: Request<Body>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Box<Failed>> {
        let limit = self.settings.first_byte_timeout;
        let reused = lease.origin() == Origin::Reused;
        let repeatable = reused && is_repeatable(&request);
        let (head, body) = request.into_parts();
        let body = SpareBody::new(body);
        let sent = Request::from_parts(self.in_http2(head.clone()), body.first());
        let (mut sender, mut alarm) = (lease.sender(), Alarm::default());
        let answer = tokio::select! {
            biased;
            answer = sender.try_send_request(sent) => answer,
            () = alarm.stand_still(&progress.moved, limit) => {
                // Whatever keeps it, the next request should not wait behind it.
                lease.retire();
                return Err(ForwardError::TimedOut(limit).into());
            }
        };
        answer.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            let unseen = unsent || is_unseen(&error);
            let gone = is_gone(&error);
            if unseen || gone {
                lease.retire();
            }
            let again = if unseen {
                body.second().map(|body| Request::from_parts(head, body))
            } else {
                (repeatable && gone).then(|| Request::from_parts(head, Body::empty()))
            };
            let again = again.map(Box::new);
            let error = broken(error, progress);
            Box::new(Failed { error, again })
        })
    }

    /// The head as HTTP/2 has it (RFC 9113 section 8.3): no field of the connection, and the host in
    /// `:authority`. `Connection` in particular has to be gone: the HTTP library takes away whatever
    /// it names, and would take ours.
    fn in_http2(&self, mut head: Parts) -> Parts {
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        let host = head.headers.remove(HOST);
        let authority = host
            .and_then(|host| Authority::try_from(host.as_bytes()).ok())
            .unwrap_or_else(|| Authority::from_static("localhost"));
        let path = head.uri.path_and_query().cloned();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(match self.settings.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        });
        uri.authority = Some(authority);
        uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        if let Ok(uri) = Uri::from_parts(uri) {
            head.uri = uri;
        }
        head.version = Version::HTTP_2;
        head
    }
}

/// What the request needs of a connection.
fn need(request: &Request<Body>) -> Need {
    let headers = request.headers();
    let is_framed = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    if headers.contains_key(UPGRADE) {
        Need::Switch
    } else if is_repeatable(request) && !is_framed {
        Need::Bodiless
    } else {
        Need::Any
    }
}

/// Whether sending the request twice is as good as once: it is safe, has no body, and switches to
/// nothing.
fn is_repeatable(request: &Request<Body>) -> bool {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    safe && request.body().is_end_stream() && !request.headers().contains_key(UPGRADE)
}

/// The request failed, or the upstream did: whoever broke off first is told of.
fn broken(error: hyper::Error, progress: &Progress) -> ForwardError {
    let upload = progress.failed.get().map(ForwardError::Upload);
    upload.unwrap_or(ForwardError::Broken(error))
}

/// Whether the connection was closed or torn down rather than answered on.
fn is_gone(error: &hyper::Error) -> bool {
    let torn = |kind| {
        matches!(
            kind,
            std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::BrokenPipe
                | std::io::ErrorKind::UnexpectedEof
        )
    };
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let h2 = cause.and_then(|cause| cause.downcast_ref::<h2::Error>());
    error.is_incomplete_message()
        || error.is_closed()
        || io.is_some_and(|io| torn(io.kind()))
        || h2
            .and_then(h2::Error::get_io)
            .is_some_and(|io| torn(io.kind()))
}

/// Whether the app says that it has not looked at the request: it refused the stream, or said goodbye
/// before it came to it.
fn is_unseen(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    let h2 = cause.and_then(|cause| cause.downcast_ref::<h2::Error>());
    h2.is_some_and(|h2| {
        let refused = h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
        h2.is_remote() && (refused || h2.is_go_away())
    })
}
