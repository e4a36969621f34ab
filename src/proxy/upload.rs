//! The request's body on its way to the upstream, and what is known of its progress.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::trailers::RequestTrailers;
use crate::transport::body::BodyError;

/// How far a request has come, for whoever waits for its answer.
#[derive(Debug)]
pub(super) struct Progress {
    /// When a piece of it came last.
    pub(super) moved: Cell<Instant>,
    /// Why no more of it will come.
    pub(super) failed: Cell<Option<BodyError>>,
}

impl Progress {
    /// A request that begins now.
    pub(super) fn begin() -> Rc<Self> {
        Rc::new(Self {
            moved: Cell::new(Instant::now()),
            failed: Cell::default(),
        })
    }
}

/// A request's body that notes its progress, with the trailer fields that may pass.
#[derive(Debug)]
pub(super) struct Upload<B> {
    inner: B,
    progress: Rc<Progress>,
    trailers: RequestTrailers,
}

impl<B> Upload<B> {
    pub(super) fn new(inner: B, progress: Rc<Progress>, trailers: RequestTrailers) -> Self {
        Self {
            inner,
            progress,
            trailers,
        }
    }
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> HttpBody for Upload<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            self.progress.moved.set(Instant::now());
            match frame {
                Some(Ok(frame)) => {
                    if let Some(frame) = self.trailers.pass(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Some(Err(error)) => {
                    self.progress.failed.set(Some(error));
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
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
