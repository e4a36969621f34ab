//! Floor 5: the one way to the upstream. [`Upstream::forward`] takes a permit, which only the gate
//! makes, and spends it: what is sent is the head that was judged, less what must not pass and plus
//! what we say of it.

mod credentials;
mod direct;
mod exchange;
mod forwarded;
mod frames;
pub mod head;
mod health;
mod hop;
mod identity;
mod metered;
mod moving;
mod place;
mod pool;
mod settings;
mod shared_line;
mod spare_body;
mod trailers;
mod upgrade;
mod upload;
mod way;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

pub use self::direct::DirectError;
use self::exchange::Answered;
use self::head::Rewriter;
use self::pool::{Lease, Pool};
pub use self::settings::{
    HeaderRule, HostPolicy, IdentityField, Privacy, Protocol, Qualification, TlsFiles,
    UpstreamAddress, UpstreamSettings, UpstreamTls, Verification,
};
use self::trailers::Download;
pub use self::upgrade::{FAREWELL, TunnelEnd};
use self::upload::{Progress, Upload};
use crate::base::answer;
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

/// The browser's end of a connection that is to be switched, and what counts it.
type Switch = (OnUpgrade, Option<InUse>);

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
    #[error("the upstream broke off or does not speak HTTP as it should: {0}")]
    Broken(hyper::Error),
    /// The same, where we read the answer ourselves.
    #[error("the upstream broke off or does not speak HTTP as it should: {0}")]
    Unread(DirectError),
    /// The request itself did not come whole: that is the user agent's doing, not the upstream's.
    #[error("of the request: {0}")]
    Upload(BodyError),
    /// The person's identity does not fit into the header fields; it is never cut.
    #[error("the identity header `{0}` would be larger than {1} bytes")]
    IdentityTooLarge(http::HeaderName, usize),
    /// It switched protocols without having been asked to.
    #[error("the upstream switched protocols unasked")]
    UnaskedSwitch,
    /// It was to switch protocols, and speaks HTTP/2 alone.
    #[error(
        "over HTTP/2 in the clear no WebSocket can be opened; give its route an upstream of `http://`"
    )]
    NoSwitch,
}

impl Upstream {
    /// An upstream with no connection yet.
    #[must_use]
    pub fn new(settings: UpstreamSettings, rewriter: Rewriter, patience: Patience) -> Self {
        let pool = Pool::new(&settings);
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
        let progress = Progress::begin();
        let (request, switch) = self.request(permit, body, &progress)?;
        let (mut response, lease) = match self.exchange(request, &progress).await? {
            Answered::Direct(mut response) => {
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(ForwardError::UnaskedSwitch);
                }
                self.rewriter.inbound(response.headers_mut());
                return Ok(response);
            }
            Answered::Carried(response, lease) => (response, lease),
        };
        if let Err(error) = answer::check_coding(response.headers()) {
            if let Lease::Line(line) = lease {
                line.close();
            }
            return Err(ForwardError::Unread(error.into()));
        }
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match (switched, switch) {
            (true, Some((browser, in_use))) => {
                let app = hyper::upgrade::on(&mut response);
                upgrade::splice(browser, app, tunnel, in_use);
                self.rewriter.inbound_switch(response.headers_mut());
                Ok(response.map(|_| Body::empty()))
            }
            (true, None) => Err(ForwardError::UnaskedSwitch),
            (false, _) => {
                self.rewriter.inbound(response.headers_mut());
                let idle = self.patience.stream;
                Ok(response.map(|body| {
                    let body = Download::new(body);
                    Body::paced(Watched::new(body, idle).keeping(lease))
                }))
            }
        }
    }

    /// The request as it goes to the upstream, on the heap as everything that waits for an answer
    /// would have room for it, and the browser's end of the connection where it is to be switched.
    fn request(
        &self,
        permit: Permit,
        body: Incoming,
        progress: &Rc<Progress>,
    ) -> Result<(Box<Request<Body>>, Option<Switch>), ForwardError> {
        let upgrade = permit.upgrade();
        let mut head = self.rewriter.outbound(permit, &self.settings)?;
        let in_use = head.extensions.remove::<InUse>();
        let switch = match upgrade {
            Upgrade::WebSocket => head.extensions.remove::<OnUpgrade>(),
            Upgrade::None => None,
        };
        head.extensions = http::Extensions::new();
        let is_framed = head.headers.contains_key(CONTENT_LENGTH)
            || head.headers.contains_key(TRANSFER_ENCODING);
        // `Transfer-Encoding: chunked`, the only one that came so far, stays: without a field that
        // says so a GET would be sent without its body. HTTP/2 frames a body without any field.
        let body = if is_framed || !body.is_end_stream() {
            if !is_framed {
                let chunked = HeaderValue::from_static("chunked");
                head.headers.insert(TRANSFER_ENCODING, chunked);
            }
            let body = Watched::new(body, self.patience.upload);
            let trailers = self.rewriter.trailers(&head.headers);
            Body::stream(Upload::new(body, Rc::clone(progress), trailers))
        } else {
            Body::empty()
        };
        let request = Box::new(Request::from_parts(head, body));
        Ok((request, switch.map(|browser| (browser, in_use))))
    }
}
