//! Notes when something last moved, and tells when it has stood still for too long.

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream that notes when bytes came.
#[derive(Debug)]
pub(super) struct Moving<S> {
    inner: S,
    moved: Rc<Cell<Instant>>,
}

impl<S> Moving<S> {
    pub(super) fn new(inner: S, moved: Rc<Cell<Instant>>) -> Self {
        Self { inner, moved }
    }

    fn note<T>(&self, polled: &Poll<T>) {
        if polled.is_ready() {
            self.moved.set(Instant::now());
        }
    }
}

/// A timer for one limit that is kept and set anew only when it has rung: a connection that is in
/// use all the time sets it once in as long as the limit, not once a request.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Resolves when nothing has moved for `limit`, which must be the same at every call.
    pub(super) async fn stand_still(&mut self, moved: &Cell<Instant>, limit: Duration) {
        poll_fn(|context| {
            loop {
                let Some(due) = moved.get().checked_add(limit) else {
                    return Poll::Pending; // later than time goes
                };
                let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
                match sleep.as_mut().poll(context) {
                    // It was set for an earlier moment, so it rings in time.
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if Instant::now() >= due => return Poll::Ready(()),
                    Poll::Ready(()) => sleep.as_mut().reset(due),
                }
            }
        })
        .await;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.note(&polled);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
