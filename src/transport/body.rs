//! The bodies that floors above hand to each other, and the guards that travel with them.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ending::Ending;
pub use super::ending::Over;
use super::paced::Paced;

/// A body that broke off. The cause was logged where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The other side broke off or broke the rules.
    #[error("the body broke off")]
    Broken,
    /// No byte came for too long.
    #[error("the body stood still for too long")]
    Idle,
}

type Stream = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError>>>;

/// A body: none, a few bytes at hand, or a stream.
#[derive(Default)]
pub struct Body {
    kind: Kind,
    /// Dropped with the body: whoever must know that it has ended.
    guard: Option<Box<dyn Guard>>,
}

/// Kept by whoever keeps a connection in use after its protocol was switched: as long as a clone of
/// it lives, the connection counts.
#[derive(Clone)]
pub struct InUse(Arc<dyn Any + Send + Sync>);

impl InUse {
    /// In use for as long as clones of this live; then `count` is dropped.
    pub fn new(count: impl Any + Send + Sync) -> Self {
        Self(Arc::new(count))
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InUse({})", Arc::strong_count(&self.0))
    }
}

/// Something that happens when a body has ended, one way or the other: dropping it is the act.
pub trait Guard {}

struct Both<A, B>(A, B);

impl<A, B> Guard for Both<A, B> {}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Stream),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A stream.
    #[must_use]
    pub fn stream(stream: impl HttpBody<Data = Bytes, Error = BodyError> + 'static) -> Self {
        Self {
            kind: Kind::Stream(Box::pin(stream)),
            guard: None,
        }
    }

    /// A stream of which one piece at a time is on its way: the next is asked for when the last was
    /// written, or thrown away.
    #[must_use]
    pub fn paced(stream: impl HttpBody<Data = Bytes, Error = BodyError> + 'static) -> Self {
        Self::stream(Paced::new(stream))
    }

    /// The same body, which ends at `over` at the latest.
    #[must_use]
    pub fn until(self, over: Over) -> Self {
        Self::stream(Ending::new(self, over, None))
    }

    /// The same body, which ends at `over` at the latest, and with these trailer fields if it does.
    #[must_use]
    pub fn until_saying(self, over: Over, last_words: HeaderMap) -> Self {
        Self::stream(Ending::new(self, over, Some(last_words)))
    }

    /// The same body, with a guard more that is dropped when it has ended.
    #[must_use]
    pub fn guarded(mut self, guard: impl Guard + 'static) -> Self {
        self.guard = Some(match self.guard.take() {
            None => Box::new(guard),
            Some(first) => Box::new(Both(first, guard)),
        });
        self
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let kind = if bytes.is_empty() {
            Kind::Empty
        } else {
            Kind::Full(bytes)
        };
        Self { kind, guard: None }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Empty => "Body::Empty",
            Kind::Full(_) => "Body::Full",
            Kind::Stream(_) => "Body::Stream",
        })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream(stream) => stream.as_mut().poll_frame(context),
        };
        if matches!(self.kind, Kind::Full(_)) {
            self.kind = Kind::Empty;
        }
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.guard = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len().try_into().unwrap_or(u64::MAX)),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

pin_project_lite::pin_project! {
    /// A stream that fails when no frame comes for too long, and may keep a guard until it has
    /// ended. The timer is set only when somebody really waits.
    pub struct Watched<B, G = ()> {
        #[pin]
        inner: B,
        limit: Duration,
        timer: Option<Pin<Box<Sleep>>>,
        guard: Option<G>,
    }
}

impl<B> Watched<B> {
    /// `inner`, which may stand still for `limit` between frames.
    pub fn new(inner: B, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            timer: None,
            guard: None,
        }
    }

    /// The same, with a guard that is dropped when it has ended.
    pub fn keeping<G: Guard>(self, guard: G) -> Watched<B, G> {
        Watched {
            inner: self.inner,
            limit: self.limit,
            timer: self.timer,
            guard: Some(guard),
        }
    }
}

impl<B, G> fmt::Debug for Watched<B, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<B: HttpBody<Data = Bytes>, G> HttpBody for Watched<B, G> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        match this.inner.poll_frame(context) {
            Poll::Ready(frame) => {
                *this.timer = None;
                if matches!(frame, None | Some(Err(_))) {
                    *this.guard = None;
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyError::Broken)))
            }
            Poll::Pending => {
                let limit = *this.limit;
                let timer = this.timer.get_or_insert_with(|| {
                    let at = Instant::now().checked_add(limit);
                    Box::pin(sleep_until(at.unwrap_or_else(Instant::now)))
                });
                timer
                    .as_mut()
                    .poll(context)
                    .map(|()| Some(Err(BodyError::Idle)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
