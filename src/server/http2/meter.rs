//! How much of what a peer sends carries anything.
//!
//! Frames that only tell of the connection are cheap to send and not free to read: a peer that sends
//! little else is hung up on. What it may send grows with the time, and with what is really carried,
//! since every window that opens for an answer is told by such a frame. And a peer that sends many
//! at once waits for its turn like everybody else.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::watch::Seconds;

/// How many frames that carry nothing may come at once, and how many more each second.
const AT_ONCE: u32 = 10_000;
const A_SECOND: u32 = 1_000;
/// How many more may come with each request, and with each piece of a body.
const WITH_REQUEST: u32 = 8;
const WITH_DATA: u32 = 2;
/// With so many bytes of a body one more.
const WITH_BYTES: usize = 1024;
/// After so many frames or bytes the connection lets others have their turn.
const TURN_FRAMES: u32 = 512;
const TURN_BYTES: usize = 64 * 1024;

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// A socket that knows what comes and goes on it.
#[derive(Debug)]
pub(super) struct Metered<S> {
    inner: S,
    received: Walker,
    sent: Walker,
    allowance: Allowance,
    /// Whether the first frame has come.
    begun: bool,
    frames: u32,
    bytes: usize,
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, seconds: Seconds) -> Self {
        Self {
            inner,
            received: Walker::after(PREFACE),
            sent: Walker::after(0),
            allowance: Allowance::new(seconds),
            begun: false,
            frames: 0,
            bytes: 0,
        }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        let allowance = &mut self.allowance;
        self.sent.walk(bytes, |kind, length| {
            if kind == DATA && length > 0 {
                allowance.carried(length);
            }
        });
    }

    /// Whether the peer still may.
    fn note_received(&mut self, bytes: &[u8]) -> bool {
        let (allowance, frames) = (&mut self.allowance, &mut self.frames);
        let (begun, mut within) = (&mut self.begun, true);
        self.received.walk(bytes, |kind, length| {
            *frames = frames.saturating_add(1);
            // A preface is whole with settings only (RFC 9113 section 3.4).
            within &= std::mem::replace(begun, true) || kind == SETTINGS;
            match kind {
                DATA if length > 0 => allowance.carried(length),
                HEADERS => allowance.add(WITH_REQUEST),
                _ => within &= allowance.take_one(),
            }
        });
        self.bytes = self.bytes.saturating_add(bytes.len());
        within
    }
}

/// How many more frames that carry nothing may come.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: u32,
    seconds: Seconds,
}

impl Allowance {
    fn new(seconds: Seconds) -> Self {
        Self {
            left: AT_ONCE,
            since: seconds.now(),
            seconds,
        }
    }

    fn add(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(AT_ONCE);
    }

    fn carried(&mut self, bytes: usize) {
        let more = u32::try_from(bytes / WITH_BYTES).unwrap_or(AT_ONCE);
        self.add(more.saturating_add(WITH_DATA));
    }

    fn take_one(&mut self) -> bool {
        let now = self.seconds.now();
        if now != self.since {
            let passed = now.saturating_sub(self.since);
            self.add(passed.saturating_mul(A_SECOND));
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

/// Finds the frames in what passes, in whatever pieces.
#[derive(Debug)]
struct Walker {
    head: [u8; 9],
    /// How much of `head` is there.
    known: usize,
    /// What passes before the next head.
    left: usize,
}

impl Walker {
    /// `skipped` bytes come before the first frame.
    fn after(skipped: usize) -> Self {
        Self {
            head: [0; 9],
            known: 0,
            left: skipped,
        }
    }

    /// Tells kind and length of each frame whose head ends in `bytes`.
    fn walk(&mut self, mut bytes: &[u8], mut tell: impl FnMut(u8, usize)) {
        while !bytes.is_empty() {
            let passed = self.left.min(bytes.len());
            self.left -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            while let (Some(place), Some((&byte, rest))) =
                (self.head.get_mut(self.known), bytes.split_first())
            {
                *place = byte;
                self.known += 1;
                bytes = rest;
            }
            if self.known == self.head.len() {
                let [a, b, c, kind, ..] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]);
                self.left = usize::try_from(length).unwrap_or(usize::MAX);
                self.known = 0;
                tell(kind, self.left);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.frames >= TURN_FRAMES || self.bytes >= TURN_BYTES {
            (self.frames, self.bytes) = (0, 0);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if self.note_received(read) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(ErrorKind::ConnectionAborted.into()))
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        self.note_sent(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, slices))?;
        let mut left = written;
        for slice in slices {
            let most = left.min(slice.len());
            self.note_sent(slice.get(..most).unwrap_or_default());
            left -= most;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_in_whatever_pieces_they_come() {
        let mut bytes = vec![b'P'; PREFACE];
        for (kind, length) in [(4_u8, 6_usize), (1, 300), (0, 0), (0, 70_000), (6, 8)] {
            let length_bytes = u32::try_from(length).unwrap().to_be_bytes();
            bytes.extend(&length_bytes[1..]);
            bytes.extend([kind, 0, 0, 0, 0, 1]);
            bytes.extend(vec![0xff; length]);
        }
        for piece in [1, 2, 3, 8, 9, 10, 4096, bytes.len()] {
            let mut walker = Walker::after(PREFACE);
            let mut found = Vec::new();
            for chunk in bytes.chunks(piece) {
                walker.walk(chunk, |kind, length| found.push((kind, length)));
            }
            assert_eq!(
                found,
                [(4, 6), (1, 300), (0, 0), (0, 70_000), (6, 8)],
                "{piece}"
            );
        }
    }

    // M4: what carries nothing is limited; what comes with a body, or now and then, is not.
    #[test]
    fn frames_that_carry_nothing_run_out_and_come_back_with_time_and_with_bodies() {
        let seconds = Seconds::default();
        let mut allowance = Allowance::new(seconds.clone());
        let mut all = || (0..20_000).take_while(|_| allowance.take_one()).count();
        assert_eq!(all(), 10_000);
        assert_eq!(all(), 0);
        seconds.pass_one();
        assert_eq!(all(), 1_000);
        allowance.carried(1);
        assert!(allowance.take_one() && allowance.take_one() && !allowance.take_one());
        for _ in 0..100 {
            seconds.pass_one();
        }
        allowance.add(5);
        assert_eq!(
            (0..20_000).take_while(|_| allowance.take_one()).count(),
            10_000
        );
    }
}
