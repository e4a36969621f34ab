//! A connection on which an answer's head, with all the interim answers before it, may be so long and
//! no longer: an app that says "continue" for ever is not read for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

use crate::transport::dial::Stream;

/// All that may come before an answer's body, in bytes.
pub(super) const BEFORE_A_BODY: usize = 1024 * 1024;
/// The most bytes that are read at a time. The HTTP library doubles its room whenever that was filled,
/// up to what a head may have; so filled, a room of 64 KiB never is.
const PIECE: u64 = 64 * 1024 - 1;
const UNBOUNDED: usize = usize::MAX;

/// How much may still come. Only one thread has it; the type is what a connection demands that is
/// handed over when the protocol is switched.
#[derive(Debug, Clone)]
pub(super) struct Meter(Arc<AtomicUsize>);

impl Meter {
    pub(super) fn unbounded() -> Self {
        Self(Arc::new(AtomicUsize::new(UNBOUNDED)))
    }

    /// From now on an answer's head is awaited.
    pub(super) fn start(&self) {
        self.0.store(BEFORE_A_BODY, Ordering::Relaxed);
    }

    /// The head is there; its body may be of any length.
    pub(super) fn stop(&self) {
        self.0.store(UNBOUNDED, Ordering::Relaxed);
    }

    /// Counts what came; whether it was still within bounds.
    fn passes(&self, came: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left == UNBOUNDED {
            return true;
        }
        let rest = left.checked_sub(came);
        self.0.store(rest.unwrap_or(0), Ordering::Relaxed);
        rest.is_some()
    }
}

/// A connection with a meter.
#[derive(Debug)]
pub(super) struct Metered {
    stream: Take<Stream>,
    meter: Meter,
}

impl Metered {
    pub(super) fn new(stream: Stream, meter: Meter) -> Self {
        Self {
            stream: stream.take(PIECE),
            meter,
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.stream.set_limit(PIECE);
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if !self
            .meter
            .passes(buffer.filled().len().saturating_sub(before))
        {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_a_body_is_bounded_and_a_body_is_not() {
        let meter = Meter::unbounded();
        assert!(meter.passes(BEFORE_A_BODY * 100));
        meter.start();
        assert!(meter.passes(BEFORE_A_BODY));
        assert!(!meter.passes(1));
        assert!(!meter.passes(1));
        meter.stop();
        assert!(meter.passes(BEFORE_A_BODY * 100));
    }
}
