//! What a connection is doing and since when, so that one sweep a second can end those that stand
//! still. A timer a request would cost more than the request's own checks.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::Limits;
use super::load::Counted;
use crate::transport::body::Guard;

/// After this many whole seconds in which nothing happened a connection gives back what it holds.
const RESTLESS: u32 = 1;

/// What the sweep wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// That it ends.
    End,
    /// That it gives back what it holds, if nothing has begun meanwhile.
    Rest,
    /// That it looks after its streams, and says when to be asked again.
    Look,
}

/// How long, and of how many bytes, what still comes after a last answer is ignored before the
/// connection is closed. A socket that is closed while bytes are unread is reset, which can cost
/// the peer an answer that it has not read yet, and one that writes all before it reads, any answer.
const LINGER: Duration = Duration::from_secs(2);
const MOST_IGNORED: usize = 16 * 1024 * 1024;
/// What is ignored at a time.
const IGNORED: usize = 8 * 1024;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing: it waits for its next request.
    Idle = 0,
    /// It has begun to send a request head.
    Head = 1,
    /// A request is being answered.
    Busy = 2,
    /// It speaks another protocol now, and is watched by whoever switched it.
    Switched = 3,
    /// We have said everything, and the peer may still be sending.
    Lingering = 4,
    /// It speaks HTTP/2, and watches its streams itself.
    Streams = 5,
}

/// One connection, as the sweep sees it. Touched by one thread only, but it travels with a socket
/// that must be `Send`; the atomics are never contended.
#[derive(Debug, Default)]
pub struct Watch {
    phase: AtomicU8,
    /// The worker's second in which the phase began or bytes last moved.
    since: AtomicU32,
    /// The worker's second in which a connection with streams wants to look after them.
    due: AtomicU32,
    /// Whether the peer is not reading what we write.
    blocked: AtomicBool,
    /// Whether the last request had a body, of which the end may not have been read: then only the
    /// protocol's own state says what the next byte is.
    unread: AtomicBool,
    resting: AtomicBool,
    ending: AtomicBool,
    wish: Notify,
}

/// The worker's seconds, counted by its sweep.
#[derive(Debug, Clone, Default)]
pub struct Seconds(Arc<AtomicU32>);

impl Seconds {
    /// The second it is now.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn pass_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Watch {
    fn enter(&self, phase: Phase, seconds: &Seconds) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.since.store(seconds.now(), Ordering::Relaxed);
    }

    /// The connection is there, and has the time of a head for all that comes before its first
    /// request has arrived whole.
    pub(super) fn begin(&self, seconds: &Seconds) {
        self.enter(Phase::Head, seconds);
    }

    /// A request has arrived whole; the guard, dropped with the answer's body, ends it.
    pub(super) fn busy(self: &Arc<Self>, seconds: &Seconds, counted: Counted) -> Busy {
        self.enter(Phase::Busy, seconds);
        Busy {
            watch: Arc::clone(self),
            seconds: seconds.clone(),
            _counted: counted,
        }
    }

    /// Whether the request that has arrived has a body.
    pub(super) fn has_body(&self, has_body: bool) {
        self.unread.store(has_body, Ordering::Relaxed);
    }

    /// The connection is about to be closed from our side. Between requests nothing is unread.
    pub(super) fn closes(&self) {
        if self.phase.load(Ordering::Relaxed) == Phase::Idle as u8 {
            self.has_body(false);
        }
    }

    /// We say nothing more.
    fn linger(&self, seconds: &Seconds) {
        if self.phase.load(Ordering::Relaxed) != Phase::Lingering as u8 {
            self.enter(Phase::Lingering, seconds);
        }
    }

    /// The protocol was switched: the limits of HTTP no longer hold.
    pub(super) fn switched(&self, seconds: &Seconds) {
        self.enter(Phase::Switched, seconds);
    }

    /// The connection looks after its streams itself, and wants to be woken for it in the second `due`.
    pub(super) fn look_at(&self, due: u32) {
        self.phase.store(Phase::Streams as u8, Ordering::Relaxed);
        self.due.store(due, Ordering::Relaxed);
    }

    /// Ends the connection, at once.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.wish.notify_one();
    }

    /// Resolves when the sweep wants something of the connection.
    pub(super) async fn wished(&self) -> Wish {
        self.wish.notified().await;
        if self.ending.load(Ordering::Relaxed) {
            Wish::End
        } else if self.phase.load(Ordering::Relaxed) == Phase::Streams as u8 {
            Wish::Look
        } else {
            Wish::Rest
        }
    }

    /// Resolves when the sweep wants the connection to end.
    pub(super) async fn ended(&self) {
        while self.wished().await != Wish::End {}
    }

    /// Whether there is nothing but the socket that the next request needs: every request was read
    /// whole, every answer was written, and for a while no byte has come.
    pub(super) fn may_rest(&self, seconds: &Seconds) -> bool {
        let idle = self.phase.load(Ordering::Relaxed) == Phase::Idle as u8;
        idle && !self.blocked.load(Ordering::Relaxed)
            && !self.unread.load(Ordering::Relaxed)
            && self.still(seconds) >= RESTLESS
    }

    /// Whether a head has begun and is not whole, and nothing is needed for it but the socket.
    pub(super) fn is_at_head(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Head as u8
            && !self.blocked.load(Ordering::Relaxed)
            && !self.unread.load(Ordering::Relaxed)
    }

    /// It rests, or no longer.
    pub(super) fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Whether it rests.
    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    /// For how many seconds nothing has happened.
    fn still(&self, seconds: &Seconds) -> u32 {
        seconds
            .now()
            .wrapping_sub(self.since.load(Ordering::Relaxed))
    }

    /// Ends the connection if it has stood still for longer than it may; lets it rest before.
    pub(super) fn sweep(&self, seconds: &Seconds, limits: &Limits) {
        let phase = self.phase.load(Ordering::Relaxed);
        let still = u64::from(self.still(seconds));
        let blocked = self.blocked.load(Ordering::Relaxed);
        if phase == Phase::Streams as u8 {
            if seconds.now() >= self.due.load(Ordering::Relaxed) {
                self.wish.notify_one();
            }
            return;
        }
        let limit = match phase {
            0 => limits.keep_alive_idle,
            1 => limits.header_timeout,
            2 if blocked => limits.idle_between_bytes,
            4 => LINGER,
            _ => return,
        };
        if still > limit.as_secs() {
            self.end();
        } else if self.may_rest(seconds) && !self.resting.load(Ordering::Relaxed) {
            self.wish.notify_one();
        }
    }
}

/// A request under way on a connection.
#[derive(Debug)]
pub struct Busy {
    watch: Arc<Watch>,
    seconds: Seconds,
    _counted: Counted,
}

impl Guard for Busy {}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.watch.phase.load(Ordering::Relaxed) == Phase::Busy as u8 {
            self.watch.enter(Phase::Idle, &self.seconds);
        }
    }
}

/// A socket that tells its [`Watch`] when bytes move.
#[derive(Debug)]
pub struct WatchedStream<S> {
    inner: S,
    /// What was read and given back.
    ahead: Bytes,
    watch: Arc<Watch>,
    seconds: Seconds,
    /// How many bytes were ignored since we have said everything.
    ignored: Option<usize>,
}

impl<S> WatchedStream<S> {
    pub(super) fn new(inner: S, watch: Arc<Watch>, seconds: Seconds) -> Self {
        // A connection that sends nothing at all has the time of a head, not that of keep-alive; one
        // that something came before on has what is left of it.
        if watch.phase.load(Ordering::Relaxed) != Phase::Head as u8 {
            watch.enter(Phase::Head, &seconds);
        }
        Self {
            inner,
            ahead: Bytes::new(),
            watch,
            seconds,
            ignored: None,
        }
    }

    /// Gives back what was read last; it is read again, before anything else.
    pub(super) fn put_back(&mut self, read: Bytes) {
        self.ahead = read;
        self.let_go();
    }

    /// Takes what was given back, and nobody has read since.
    pub(super) fn take_back(&mut self) -> BytesMut {
        let ahead = std::mem::take(&mut self.ahead);
        // A copy: a few bytes of a large buffer keep all of it.
        BytesMut::from(ahead.as_ref())
    }

    /// No bytes are still a share in the buffer that they were read into.
    fn let_go(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = Bytes::new();
        }
    }

    /// Whether something was given back that nobody has read since.
    pub(super) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        self.watch
            .blocked
            .store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.touch();
        }
    }

    fn touch(&self) {
        if self.watch.phase.load(Ordering::Relaxed) == Phase::Busy as u8 {
            self.watch
                .since
                .store(self.seconds.now(), Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let most = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(most));
            self.let_go();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            if self.watch.phase.load(Ordering::Relaxed) == Phase::Idle as u8 {
                self.watch.enter(Phase::Head, &self.seconds);
            }
            self.touch();
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        // TLS takes bytes that the socket does not take yet: until it has, nothing is written.
        self.watch
            .blocked
            .store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    /// Says that we have said everything, and ignores what still comes of a request that was
    /// answered before it was read.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.phase.load(Ordering::Relaxed) == Phase::Switched as u8 {
            return Pin::new(&mut self.inner).poll_shutdown(context);
        }
        let mut ignored = if let Some(ignored) = self.ignored {
            ignored
        } else {
            // First: whatever comes now is no request, so nothing of this may rest.
            self.watch.linger(&self.seconds);
            ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
            self.ignored = Some(0);
            0
        };
        while ignored < MOST_IGNORED {
            let mut space = [MaybeUninit::uninit(); IGNORED];
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    ignored += buffer.filled().len();
                    self.ignored = Some(ignored);
                    self.watch.has_body(true);
                }
                Poll::Pending if self.watch.unread.load(Ordering::Relaxed) => return Poll::Pending,
                // Its end, or nothing to wait for.
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
