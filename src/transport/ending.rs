//! A body that ends when something else does, as far as it has not ended by itself; and says so in its
//! trailer fields, where whoever reads it looks for an outcome there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Resolves when what it was made for is over.
pub type Over = Pin<Box<dyn Future<Output = ()>>>;

/// See above. It ends between two pieces, as if there were no more.
pub(super) struct Ending<B> {
    inner: Option<B>,
    over: Over,
    last_words: Option<HeaderMap>,
}

impl<B> Ending<B> {
    pub(super) fn new(inner: B, over: Over, last_words: Option<HeaderMap>) -> Self {
        Self {
            inner: Some(inner),
            over,
            last_words,
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Ending<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.inner.is_some() && self.over.as_mut().poll(context).is_ready() {
            self.inner = None; // and with it the connection that it came from
        }
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => {
                let words = self.last_words.take();
                Poll::Ready(words.map(|words| Ok(Frame::trailers(words))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Some(inner) => inner.is_end_stream(),
            None => self.last_words.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        // It may end early, so it is framed by its end.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    /// A body that never comes to its end, and says nothing after one piece.
    struct Silent(bool);

    impl HttpBody for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    // G13: what waits for its next piece is woken when it is over.
    #[tokio::test]
    async fn a_body_ends_with_what_it_was_made_for() {
        let (end, ended) = oneshot::channel::<()>();
        let over = Box::pin(async move { drop(ended.await) });
        let mut body = Ending::new(Silent(false), over, None);
        let first = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert!(first.is_some());
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let (next, ()) = tokio::join!(next, async { end.send(()).unwrap() });
        assert!(next.is_none());
    }
}
