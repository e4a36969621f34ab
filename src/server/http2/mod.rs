//! HTTP/2 on one connection (RFC 9113).
//!
//! What one connection may cost at most: [`STREAM_WINDOW`] of a request body that nobody takes, for
//! all streams together [`CONNECTION_WINDOW`]; of each answer [`SEND_BUFFER`] and the piece in hand,
//! for a peer that opens its windows and does not read, and what is gathered for one turn; and one head at a time that is not whole.

#[cfg(test)]
mod tests;

mod gather;
mod head;
mod meter;
mod streams;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use self::gather::{Outlet, gathering};
use self::meter::Metered;
use self::streams::{Spawner, Streams, Verdict};
use super::connection::{Shared, answer};
use super::drain::{Drained, Stage};
use super::watch::{Watch, WatchedStream, Wish};
use super::{Limits, Service};
use crate::base::peer::Peer;

/// How much of one request's body is read before somebody takes it.
const STREAM_WINDOW: u32 = 512 * 1024;
/// The same for all requests of a connection together: more than one stream's, so that one upload
/// that nobody takes does not hold up the others.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// How much of one answer waits for the peer to read.
const SEND_BUFFER: usize = 64 * 1024;
/// How many streams may be reset by us for errors of the peer's before the connection ends.
const ERRORS: usize = 128;
/// How many streams may be reset by the peer before we have begun with them.
const EARLY_RESETS: usize = 20;
/// What a field counts beyond its name and value (RFC 9113 section 10.5.1, `SETTINGS_MAX_HEADER_LIST_SIZE`).
const FIELD_COST: usize = 32;
/// What is read of a head beyond its limits, so that it can be told and logged like any other refusal.
const MORE_FIELDS: usize = 32;
const MORE_BYTES: usize = 8 * 1024;

/// Serves the connection to its end.
pub(super) async fn serve<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: WatchedStream<T>,
    peer: Peer,
    watch: &Arc<Watch>,
    shared: &Rc<Shared<S>>,
    mut drained: Drained,
) {
    let streams = Streams::new(&shared.limits, shared.seconds.clone(), Arc::clone(watch));
    let service = service_fn(|request: Request<Incoming>| {
        let under_way = streams.begin(shared.load.one_more());
        let (shared, peer) = (Rc::clone(shared), peer.clone());
        let request = Box::new(head::as_http1(request));
        async move {
            let is_head = request.method() == Method::HEAD;
            let mut response = answer(&shared, request, peer).await;
            if is_head {
                response = head::without_body(response);
            }
            Ok::<_, Infallible>(response.map(|body| under_way.answered(body)))
        }
    });
    let builder = builder(&shared.limits, Spawner::new(&streams));
    let (stream, outlet) = gathering(Metered::new(stream, shared.seconds.clone()));
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(stream), service));
    // What comes after a last GOAWAY is ignored for a while, so that the peer can read that.
    watch.has_body(true);
    watch.look_at(streams.due());
    loop {
        tokio::select! {
            biased;
            // An error is the peer's doing; it was told by a GOAWAY.
            () = poll_fn(|context| turn(connection.as_mut(), &outlet, context)) => break,
            wish = watch.wished() => match wish {
                Wish::End => break,
                Wish::Rest => {}
                Wish::Look => match streams.look() {
                    Verdict::Stay => watch.look_at(streams.due()),
                    Verdict::Leave => {
                        connection.as_mut().graceful_shutdown();
                        watch.look_at(streams.due());
                    }
                    Verdict::End => break,
                }
            },
            () = drained.reached(Stage::Draining) => {
                connection.as_mut().graceful_shutdown();
                break tokio::select! {
                    biased;
                    () = poll_fn(|context| turn(connection.as_mut(), &outlet, context)) => {}
                    () = watch.ended() => {}
                    () = drained.reached(Stage::Ended) => {}
                };
            }
        }
    }
    streams.end();
}

/// One turn of a connection, and then what it has written. It is over when the peer is gone, too.
fn turn<T: AsyncWrite + Unpin>(
    connection: Pin<&mut impl Future>,
    outlet: &Outlet<T>,
    context: &mut Context<'_>,
) -> Poll<()> {
    let ended = connection.poll(context).is_ready();
    match outlet.poll_drain(context) {
        Poll::Ready(Ok(())) if !ended => Poll::Pending,
        // What it said last is on its way, or never will be.
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending if ended => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    }
}

fn builder(limits: &Limits, spawner: Spawner) -> http2::Builder<Spawner> {
    let list = limits.header_block.saturating_add(MORE_BYTES);
    let fields = limits.header_fields.saturating_add(MORE_FIELDS);
    let list = list.saturating_add(fields.saturating_mul(FIELD_COST));
    let mut builder = http2::Builder::new(spawner);
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(u32::try_from(limits.http2_streams).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(ERRORS)
        .max_pending_accept_reset_streams(EARLY_RESETS);
    builder
}
