//! One connection: what is spoken on it, and HTTP/1.1 within its limits until it, the drain or the
//! sweep ends it.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::drain::{Drained, Stage};
use super::entrance::Entrance;
use super::heap;
use super::load::Load;
use super::preface::{self, Spoken};
use super::rest::{self, Woken};
use super::watch::{Seconds, Watch, WatchedStream, Wish};
use super::{HeadLimit, Limits, Service, http2};
use crate::base::peer::Peer;
use crate::transport::body::{Body, InUse};

/// How many fields of a head hyper reads if it is not told otherwise.
const HYPER_FIELDS: usize = 100;
/// What a field has on the wire besides name and value: a colon, a blank, and the end of the line.
const FIELD_OVERHEAD: usize = 4;

/// What hyper reads beyond the limits of a head, in fields and in bytes.
const MORE_FIELDS: usize = 32;
const MORE_BYTES: usize = 8 * 1024;

/// How long an idle connection may still bring a request when the process stops.
pub(super) const LULL: Duration = Duration::from_millis(250);

/// What the connections of a worker have in common.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) service: S,
    pub(super) limits: Limits,
    pub(super) load: Rc<Load>,
    pub(super) seconds: Seconds,
    pub(super) entrances: Arc<[Entrance]>,
    /// Whether connections close after the request that they are at.
    pub(super) closing: Cell<bool>,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wire {
    /// HTTP/1.1, and nothing is looked at before it.
    #[default]
    Http1,
    /// HTTP/2, as was agreed on in the TLS handshake.
    Http2,
    /// HTTP/2 if the peer begins with its preface (prior knowledge, RFC 9113 section 3.3), and
    /// HTTP/1.1 if it does not.
    Either,
}

/// Serves one connection to its end.
pub(super) async fn serve<S: Service>(
    (stream, in_use): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, InUse),
    (peer, wire): (Peer, Wire),
    watch: Arc<Watch>,
    shared: Rc<Shared<S>>,
    mut drained: Drained,
) {
    let mut stream = WatchedStream::new(stream, Arc::clone(&watch), shared.seconds.clone());
    let spoken = match wire {
        Wire::Http1 => Spoken::Http1,
        Wire::Http2 => Spoken::Http2,
        Wire::Either => match preface::await_first(&mut stream, &watch, &mut drained).await {
            Some(spoken) => spoken,
            None => return,
        },
    };
    if spoken == Spoken::Http2 {
        // On the heap, so that an HTTP/1.1 connection is not as large as this.
        Box::pin(http2::serve(stream, peer, &watch, &shared, drained)).await;
        return;
    }
    let most = most_of_head(&shared.limits);
    // Whoever connects and says nothing holds nothing.
    if !stream.has_ahead()
        && rest::until_read(&mut stream, most, &watch, &mut drained).await == Woken::Over
    {
        return;
    }
    loop {
        // On the heap, so that it is gone while the connection rests.
        let speaking = Box::pin(speak(
            stream,
            (&in_use, &peer),
            &watch,
            &shared,
            &mut drained,
        ));
        let Some(resting) = speaking.await else {
            return;
        };
        stream = resting;
        if rest::until_read(&mut stream, most, &watch, &mut drained).await == Woken::Over {
            return;
        }
    }
}

/// How much is read of one head. What exceeds a limit by a little is read whole, so that it can be
/// told and logged like any other refusal; what exceeds it by more, hyper refuses with a bare 431.
fn most_of_head(limits: &Limits) -> usize {
    limits.header_block.saturating_add(MORE_BYTES)
}

/// Speaks HTTP/1.1 until the connection ends, or gives it back to rest.
async fn speak<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: WatchedStream<T>,
    (in_use, peer): (&InUse, &Peer),
    watch: &Arc<Watch>,
    shared: &Rc<Shared<S>>,
    drained: &mut Drained,
) -> Option<WatchedStream<T>> {
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .max_buf_size(most_of_head(&shared.limits));
    // Left alone, its own limit needs no memory for the tables of each head.
    if shared.limits.header_fields != HYPER_FIELDS {
        builder.max_headers(shared.limits.header_fields.saturating_add(MORE_FIELDS));
    }
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, watch) = (Rc::clone(shared), Arc::clone(watch));
        let mut request = Box::new(request);
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(in_use.clone());
        }
        let peer = peer.clone();
        // At once, so that nothing rests that has a request.
        let busy = watch.busy(&shared.seconds, shared.load.one_more());
        watch.has_body(!request.body().is_end_stream());
        async move {
            let mut response = answer(&shared, request, peer).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                watch.switched(&shared.seconds);
            } else if shared.closing.get() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response.map(|body| body.guarded(busy)))
        }
    });
    let mut connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    loop {
        tokio::select! {
            biased;
            // An error is the peer's doing: it went away or does not speak HTTP. hyper has answered
            // what can be answered, and there is nobody left to tell.
            _ = &mut connection => return None,
            wish = watch.wished() => match wish {
                Wish::End => return None,
                Wish::Rest if watch.may_rest(&shared.seconds) => return rested(connection),
                Wish::Rest | Wish::Look => {}
            },
            () = drained.reached(Stage::Draining) => break,
            // All that has come was read, and is a faultless part of a head. Last, since a stop waits
            // for the rest of it here.
            () = at_head(watch) => return rested(connection),
        }
    }
    let mut connection = pin!(connection);
    // A request that is on its way to an idle connection is lost if that is closed at once.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return None,
        () = watch.ended() => return None,
        () = tokio::time::sleep(LULL) => {
            watch.closes();
            connection.as_mut().graceful_shutdown();
        }
        () = drained.reached(Stage::Ended) => return None,
    }
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        () = watch.ended() => {}
        () = drained.reached(Stage::Ended) => {}
    }
    None
}

/// Resolves if a head has begun and is not whole: to be asked after the connection was.
fn at_head(watch: &Watch) -> impl Future<Output = ()> {
    poll_fn(|_| {
        if watch.is_at_head() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

/// What a connection that is taken apart needs to be put together again.
fn rested<T: AsyncRead + AsyncWrite + Unpin + Send + 'static, S>(
    connection: http1::UpgradeableConnection<TokioIo<WatchedStream<T>>, S>,
) -> Option<WatchedStream<T>>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let parts = connection.into_parts()?;
    let mut stream = parts.io.into_inner();
    stream.put_back(parts.read_buf);
    heap::freed();
    Some(stream)
}

/// Answers one request, if its head is within the limits. A panic costs this request alone.
pub(super) async fn answer<S: Service>(
    shared: &Shared<S>,
    request: Box<Request<Incoming>>,
    peer: Peer,
) -> Response<Body> {
    let entrance = shared.entrances.get(peer.entrance);
    if let Some(response) = entrance.and_then(|entrance| entrance.answer(&request)) {
        return response;
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    // hyper looks at the size of its buffer while a head is not whole; one that comes whole in a
    // single read has passed that.
    let fields: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD)
        .sum();
    let exceeded = if target > shared.limits.target {
        Some(HeadLimit::Target)
    } else if request.headers().len() > shared.limits.header_fields {
        Some(HeadLimit::Fields)
    } else if target + fields > shared.limits.header_block {
        Some(HeadLimit::Block)
    } else {
        None
    };
    if let Some(limit) = exceeded {
        return shared.service.too_large(limit, *request, peer);
    }
    let mut answering = pin!(shared.service.answer(request, peer));
    // A panic ends this future and nothing else; whatever it held is dropped with it.
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Some(response)),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
    .unwrap_or_else(|| shared.service.panicked())
}
