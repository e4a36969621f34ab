//! Notes when something last moved, and tells when it has stood still for too long.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A stream or body that notes when bytes came.
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

/// Resolves when nothing has moved for `limit`.
pub(super) async fn stand_still(moved: &Cell<Instant>, limit: Duration) {
    loop {
        let still = moved.get().elapsed();
        if still >= limit {
            return;
        }
        tokio::time::sleep(limit.saturating_sub(still)).await;
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Moving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        self.note(&polled);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
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
