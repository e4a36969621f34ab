//! The loop that gives an engine a loopback socket.
//!
//! It is small on purpose: HTTP/1.1, a header deadline, a bound on what is read of a body, an
//! orderly end. The gate's own listeners (floor 6) are another matter and share nothing with it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a user agent may take over its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take over the body of a form.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest form that is read.
const BODY_LIMIT: usize = 64 * 1024;
/// How much of a head is kept while it is read.
const HEAD_LIMIT: usize = 64 * 1024;
/// How long connections may take to end after the loop was asked to.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// A pause after a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The body of an engine's answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Something that answers requests on a socket.
pub trait Engine: Send + Sync + 'static {
    /// Answers one request. What outlives the answer (an upgraded connection, an endless stream)
    /// keeps a clone of `closing` and ends when it says so.
    ///
    /// # Errors
    /// [`HangUp`] closes the connection without an answer.
    fn respond(
        &self,
        request: Request<Incoming>,
        closing: Closing,
    ) -> impl Future<Output = Result<Response<Body>, HangUp>> + Send;
}

/// The connection is to be closed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub struct HangUp;

/// Tells when the loop is asked to end. Whoever holds a clone is waited for, within a limit.
#[derive(Debug, Clone)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// What tells (`true` is the word), and what is told.
    #[must_use]
    pub fn pair() -> (watch::Sender<bool>, Self) {
        let (stop, closing) = watch::channel(false);
        (stop, Self(closing))
    }

    /// Waits until the loop is asked to end, or is gone.
    pub async fn wait(&mut self) {
        drop(self.0.wait_for(|closing| *closing).await);
    }
}

/// Why the loop did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener can be reached from elsewhere.
    #[error("{0} is not a loopback address, and this is not for production")]
    NotLoopback(SocketAddr),
    /// The listener has no address.
    #[error("the listener has no local address")]
    Listener(#[from] std::io::Error),
}

/// Serves `engine` on `listener` until `shutdown` is ready; then stops accepting and lets
/// connections finish what they are at, for at most five seconds.
///
/// # Errors
/// [`ServeError::NotLoopback`] for a listener that another machine could reach; nothing has been
/// accepted then.
pub async fn serve<E: Engine>(
    listener: TcpListener,
    engine: Arc<E>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().to_canonical().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let (stop, closing) = Closing::pair();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Reaps what has ended, so that the set does not grow.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Only latency depends on it.
                stream.set_nodelay(true).ok();
                connections.spawn(connection(stream, Arc::clone(&engine), closing.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(closing);
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN_LIMIT, stop.closed())
        .await
        .is_err()
    {
        tracing::info!("connections were cut at the end of the drain");
    }
    Ok(())
}

/// Serves one connection, which may be any stream (a TLS stream, say), until it ends.
pub async fn connection<S, E>(stream: S, engine: Arc<E>, mut closing: Closing)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Engine,
{
    let for_requests = closing.clone();
    let service = service_fn(move |request| {
        let (engine, closing) = (Arc::clone(&engine), for_requests.clone());
        async move { engine.respond(request, closing).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_LIMIT);
    let mut connection = pin!(
        http.serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Reads a whole request, its body within 64 KiB and ten seconds.
///
/// # Errors
/// The answer to give instead: 413 for a body over the limit; or [`HangUp`] when the body never
/// came.
pub async fn read(request: Request<Incoming>) -> Result<Request<Bytes>, Unread> {
    let (head, body) = request.into_parts();
    let whole = Limited::new(body, BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLong),
        Ok(Err(_)) | Err(_) => Err(Unread::Gone),
    }
}

/// Why a request's body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is longer than is read here.
    TooLong,
    /// The user agent went away or fell silent.
    Gone,
}

impl Unread {
    /// What follows from it: 413, or silence.
    ///
    /// # Errors
    /// [`HangUp`] when nobody is there to be answered.
    pub fn answer(self) -> Result<Response<Body>, HangUp> {
        match self {
            Self::Gone => Err(HangUp),
            Self::TooLong => {
                let mut response = Response::new(full(Bytes::from_static(b"body too large\n")));
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                Ok(response)
            }
        }
    }
}

/// A body that is there already.
#[must_use]
pub fn full(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}
