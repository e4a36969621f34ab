//! WebSocket tunnels: two streams spliced once both sides have switched, and not a byte before.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use tokio::sync::watch;

/// What ends a tunnel besides its two sides.
#[derive(Debug, Clone)]
pub struct TunnelEnd {
    /// How long it may stand still.
    pub idle: Duration,
    /// When the process stops.
    pub ended: watch::Receiver<bool>,
}

/// Splices `browser` and `app` in a task of its own.
pub(super) fn splice(browser: OnUpgrade, app: OnUpgrade, mut end: TunnelEnd) {
    tokio::task::spawn_local(async move {
        let (Ok(browser), Ok(app)) = (browser.await, app.await) else {
            return;
        };
        let moved = Rc::new(Cell::new(Instant::now()));
        let mut browser = Moving {
            inner: TokioIo::new(browser),
            moved: Rc::clone(&moved),
        };
        let mut app = Moving {
            inner: TokioIo::new(app),
            moved: Rc::clone(&moved),
        };
        tokio::select! {
            // Either side may break off at any time; there is nobody to tell.
            _ = tokio::io::copy_bidirectional(&mut browser, &mut app) => {}
            () = stand_still(&moved, end.idle) => {}
            () = gone(&mut end.ended) => {}
        }
    });
}

/// Resolves when nothing has moved for `limit`.
async fn stand_still(moved: &Cell<Instant>, limit: Duration) {
    loop {
        let still = moved.get().elapsed();
        if still >= limit {
            return;
        }
        tokio::time::sleep(limit.saturating_sub(still)).await;
    }
}

/// A stream that notes when bytes come.
struct Moving<S> {
    inner: S,
    moved: Rc<Cell<Instant>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if polled.is_ready() {
            self.moved.set(Instant::now());
        }
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

/// Resolves when the process stops, or when nobody is left to say so.
async fn gone(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|&ended| ended).await);
}
