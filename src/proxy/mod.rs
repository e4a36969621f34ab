//! Floor 5: the one way to the upstream. [`Upstream::forward`] takes a permit, which only the gate
//! makes, and spends it: what is sent is the head that was judged, less what must not pass and plus
//! what we say of it.

mod credentials;
mod forwarded;
mod frames;
pub mod head;
mod hop;
mod identity;
mod moving;
mod pool;
mod settings;
mod upgrade;
mod upload;
mod way;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use self::head::Rewriter;
use self::pool::Pool;
pub use self::settings::{
    HeaderRule, HostPolicy, IdentityField, Privacy, Qualification, UpstreamAddress,
    UpstreamSettings,
};
pub use self::upgrade::{FAREWELL, TunnelEnd};
use self::upload::{Progress, Upload};
use crate::gate::decision::Permit;
use crate::gate::facts::Upgrade;
use crate::transport::body::{Body, BodyError, InUse, Watched};
use crate::transport::dial::DialError;

/// One upstream, as one worker has it: its connections are this worker's alone.
#[derive(Debug)]
pub struct Upstream {
    settings: UpstreamSettings,
    rewriter: Rewriter,
    pool: Pool,
    patience: Patience,
}

/// How long bodies may stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A request's, between two pieces.
    pub upload: Duration,
    /// An answer's: an event stream may be silent for long.
    pub stream: Duration,
}

/// Why there is no answer of the upstream.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No connection.
    #[error("cannot connect to the upstream: {0}")]
    Connect(#[from] DialError),
    /// It did not begin its answer in time.
    #[error("the upstream did not begin its answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It broke off, or what it says is not HTTP.
    #[error("the upstream broke off or does not speak HTTP/1.1: {0}")]
    Broken(hyper::Error),
    /// The request itself did not come whole: that is the user agent's doing, not the upstream's.
    #[error("of the request: {0}")]
    Upload(BodyError),
    /// The person's identity does not fit into the header fields; it is never cut.
    #[error("the identity header `{0}` would be larger than {1} bytes")]
    IdentityTooLarge(http::HeaderName, usize),
    /// It switched protocols without having been asked to.
    #[error("the upstream switched protocols unasked")]
    UnaskedSwitch,
}

impl Upstream {
    /// An upstream with no connection yet.
    #[must_use]
    pub fn new(settings: UpstreamSettings, rewriter: Rewriter, patience: Patience) -> Self {
        let pool = Pool::new(settings.address.clone(), settings.connect_timeout);
        Self {
            settings,
            rewriter,
            pool,
            patience,
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// Sends the permitted request and gives the head of the answer as soon as it is there; its
    /// body streams. Dropping the future or the body aborts the exchange. `tunnel` ends a
    /// switched connection.
    ///
    /// # Errors
    /// [`ForwardError`]; of the request nothing was answered then.
    pub async fn forward(
        &self,
        permit: Permit,
        body: Incoming,
        tunnel: TunnelEnd,
    ) -> Result<Response<Body>, ForwardError> {
        let upgrade = permit.upgrade();
        let mut head = self.rewriter.outbound(permit, &self.settings)?;
        let browser = match upgrade {
            Upgrade::WebSocket => head.extensions.remove::<OnUpgrade>(),
            Upgrade::None => None,
        };
        let has_body = head.headers.contains_key(CONTENT_LENGTH)
            || head.headers.contains_key(TRANSFER_ENCODING);
        let progress = Progress::begin();
        // `Transfer-Encoding: chunked`, the only one that came so far, stays: without a field that
        // says so a GET would be sent without its body.
        let body = if has_body {
            let body = Watched::new(body, self.patience.upload);
            Body::stream(Upload::new(body, Rc::clone(&progress)))
        } else {
            Body::empty()
        };
        let in_use = head.extensions.remove::<InUse>();
        head.extensions = http::Extensions::new();
        let request = Request::from_parts(head, body);
        let (mut response, lease) = self.exchange(request, &progress).await?;
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match (switched, browser) {
            (true, Some(browser)) => {
                let app = hyper::upgrade::on(&mut response);
                upgrade::splice(browser, app, tunnel, in_use);
                self.rewriter.inbound_switch(response.headers_mut());
                Ok(response.map(|_| Body::empty()))
            }
            (true, None) => Err(ForwardError::UnaskedSwitch),
            (false, _) => {
                self.rewriter.inbound(response.headers_mut());
                let idle = self.patience.stream;
                Ok(response.map(|body| Body::stream(Watched::new(body, idle).keeping(lease))))
            }
        }
    }

    /// Sends on a connection that is there, or on a new one. A second time it is tried, on a new one,
    /// only where an app that had answered before closed the connection meanwhile: what was not sent
    /// at all, and a request without a body that may safely be repeated (RFC 9110 section 9.2.2) and
    /// of which no answer has begun.
    async fn exchange(
        &self,
        request: Request<Body>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, pool::Lease), ForwardError> {
        let limit = self.settings.first_byte_timeout;
        let mut request = request;
        let mut fresh = None;
        loop {
            let mut lease = match fresh.take() {
                Some(lease) => lease,
                None => self.pool.take().await?,
            };
            let reused = lease.is_reused();
            let Some((sender, alarm)) = lease.parts() else {
                continue;
            };
            let spare = if reused { repeatable(&request) } else { None };
            // Counted from the last piece of the request: an upload may take as long as it moves.
            let answer = tokio::select! {
                biased;
                answer = sender.try_send_request(request) => answer,
                () = alarm.stand_still(&progress.moved, limit) => return Err(ForwardError::TimedOut(limit)),
            };
            match answer {
                Ok(response) => return Ok((response, lease)),
                Err(mut error) => {
                    let unsent = error.take_message().filter(|_| reused);
                    let error = error.into_error();
                    let closed =
                        error.is_incomplete_message() || error.is_closed() || is_reset(&error);
                    match unsent.or(spare.filter(|_| closed)) {
                        Some(again) => {
                            request = again;
                            progress.moved.set(Instant::now());
                            fresh = Some(self.pool.connect().await?);
                        }
                        None => {
                            let upload = progress.failed.get().map(ForwardError::Upload);
                            return Err(upload.unwrap_or(ForwardError::Broken(error)));
                        }
                    }
                }
            }
        }
    }
}

/// The same request once more, if sending it twice is as good as once.
fn repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !safe || !request.body().is_end_stream() || request.headers().contains_key(UPGRADE) {
        return None;
    }
    let mut again = Request::new(Body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// Whether the connection was torn down rather than answered on.
fn is_reset(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    cause
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| {
            matches!(
                cause.kind(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
            )
        })
}
