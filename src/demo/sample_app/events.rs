//! The event stream: one event a second, until somebody leaves.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use crate::base::clock::Clock;
use crate::demo::serve::{Body, Closing};

/// The time between two events.
const PERIOD: Duration = Duration::from_secs(1);

/// An answer that lasts until the user agent leaves or the server closes.
pub(super) fn answer(clock: Clock, closing: Closing) -> Response<Body> {
    // One event waits at most: a slow reader slows the writer.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(clock, closing, sender));
    let mut response = Response::new(Events(receiver).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn tell(clock: Clock, mut closing: Closing, sender: mpsc::Sender<Bytes>) {
    let mut ticks = tokio::time::interval(PERIOD);
    for number in 1_u64.. {
        tokio::select! {
            () = closing.wait() => return,
            () = sender.closed() => return,
            _ = ticks.tick() => {}
        }
        let moment = clock.now().as_seconds();
        let event = format!("id: {number}\ndata: event {number} at {moment}\n\n");
        tokio::select! {
            () = closing.wait() => return,
            sent = sender.send(Bytes::from(event)) => if sent.is_err() { return },
        }
    }
}

/// A body that is fed from a channel, and ends with it.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
