//! One bounded HTTP exchange: in time, in size, on a connection of its own, following nothing.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::dial::{self, DialError};
use super::reach::Reach;
use super::tls::{self, TlsError};

/// The largest head of an answer, in bytes, and its most fields.
const HEAD_LIMIT: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// A client for calls to a configured party. Clones share the trust.
#[derive(Debug, Clone)]
pub struct HttpClient {
    tls: Arc<ClientConfig>,
    reach: Reach,
}

/// What one exchange may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// From the first look-up to the last byte.
    pub total: Duration,
    /// The answer's body, in bytes.
    pub body: usize,
}

/// Why there is no answer. Nothing of the request or the answer is in it.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The URL has no host or another scheme.
    #[error("not an absolute http or https URL")]
    Url,
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[from] DialError),
    /// No trust: the certificate, or the handshake.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The head or the body is too large.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is compressed, which was not asked for.
    #[error("the answer has a content coding that was not asked for")]
    Encoded,
    /// Not HTTP, or broken off.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
}

impl ExchangeError {
    /// Whether nobody answered in time, rather than badly.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::TimedOut(_) | Self::Connect(DialError::TimedOut(_))
        )
    }
}

impl HttpClient {
    /// A client that trusts the roots in `ca` alone, or the system's, and connects to what `reach`
    /// permits. Reading the system's roots takes milliseconds, so it is done once.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(ca: Option<&Path>, reach: Reach) -> Result<Self, TlsError> {
        static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let tls = match (ca, SYSTEM.get()) {
            (None, Some(known)) => Arc::clone(known),
            (None, None) => Arc::clone(SYSTEM.get_or_init({
                let config = tls::client_config(None)?;
                move || config
            })),
            (Some(_), _) => tls::client_config(ca)?,
        };
        Ok(Self { tls, reach })
    }

    /// Sends `request`, whose URI is absolute, and reads the whole answer, whatever its status. A
    /// redirect is an answer like any other. The request is sent at most once.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn exchange(
        &self,
        request: Request<Vec<u8>>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, ExchangeError> {
        tokio::time::timeout(bounds.total, self.unbounded(request, bounds))
            .await
            .map_err(|_| ExchangeError::TimedOut(bounds.total))?
    }

    async fn unbounded(
        &self,
        request: Request<Vec<u8>>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, ExchangeError> {
        let uri = request.uri().clone();
        let (host, secure) = match (uri.host(), uri.scheme()) {
            (Some(host), Some(scheme)) if *scheme == Scheme::HTTPS => (host, true),
            (Some(host), Some(scheme)) if *scheme == Scheme::HTTP => (host, false),
            _ => return Err(ExchangeError::Url),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let request = in_origin_form(request, &uri)?;
        let stream = dial::tcp_within(&self.reach, (host, port), bounds.total).await?;
        if secure {
            let name = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = ServerName::try_from(name).map_err(|_| ExchangeError::Url)?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(ExchangeError::Tls)?;
            converse(stream, request, bounds.body).await
        } else {
            converse(stream, request, bounds.body).await
        }
    }
}

fn in_origin_form(
    mut request: Request<Vec<u8>>,
    uri: &Uri,
) -> Result<Request<Full<Bytes>>, ExchangeError> {
    let authority = uri.authority().ok_or(ExchangeError::Url)?.as_str();
    let host = HeaderValue::from_str(authority).map_err(|_| ExchangeError::Url)?;
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    *request.uri_mut() = path.parse().map_err(|_| ExchangeError::Url)?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let agent = concat!("sidegate/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    Ok(request.map(|body| Full::new(Bytes::from(body))))
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response<Bytes>, ExchangeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .max_headers(MOST_FIELDS)
        .handshake(TokioIo::new(stream))
        .await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let coding = response.headers().get(CONTENT_ENCODING);
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(ExchangeError::Encoded);
        }
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                if bytes.len() + data.len() > limit {
                    return Err(ExchangeError::TooLarge(limit));
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(Response::from_parts(head, bytes.freeze()))
    };
    // Driven in this task, so that giving up on the exchange closes the connection with it.
    let driven = async {
        drop(connection.await);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = answer => answer,
        never = driven => match never {},
    }
}
