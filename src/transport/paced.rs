//! A body that gives its next piece when the last one is gone. Whoever writes to a peer that reads
//! slowly, or not at all, otherwise takes piece after piece until it has had enough.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Smaller pieces are given without waiting: they cost little, and whoever writes takes a few at most.
const SMALL: usize = 1024;

pin_project_lite::pin_project! {
    /// See above.
    pub(super) struct Paced<B> {
        #[pin]
        inner: B,
        way: Arc<Mutex<Way>>,
    }
}

/// Whether a piece is on its way, and who waits for it to be gone. A piece may end on any thread, as
/// far as its type is concerned.
#[derive(Debug)]
enum Way {
    Free,
    Taken(Option<Waker>),
}

/// A piece on its way.
struct Held {
    bytes: Bytes,
    way: Arc<Mutex<Way>>,
}

impl<B> Paced<B> {
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            way: Arc::new(Mutex::new(Way::Free)),
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // First, so that its memory can be used for the next.
        drop(std::mem::take(&mut self.bytes));
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Way::Taken(Some(waker)) = std::mem::replace(&mut *way, Way::Free) {
            waker.wake();
        }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if let Way::Taken(waiting) = &mut *this.way.lock().unwrap_or_else(PoisonError::into_inner) {
            *waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let frame = ready!(this.inner.poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(bytes) if bytes.len() >= SMALL => {
                    let mut way = this.way.lock().unwrap_or_else(PoisonError::into_inner);
                    *way = Way::Taken(None);
                    let way = Arc::clone(this.way);
                    Frame::data(Bytes::from_owner(Held { bytes, way }))
                }
                Ok(bytes) => Frame::data(bytes),
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// A body without end, of pieces of this length.
    struct Endless(usize);

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = Bytes::from(vec![b'x'; self.0]);
            Poll::Ready(Some(Ok(Frame::data(piece))))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    // Q2: of an answer that nobody reads there is one piece, and the next comes when that is gone.
    #[test]
    fn one_piece_at_a_time_is_on_its_way() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut body = Paced::new(Endless(SMALL));
        let mut poll = || Pin::new(&mut body).poll_frame(&mut context);
        let Poll::Ready(Some(Ok(frame))) = poll() else {
            panic!("no piece");
        };
        let piece = frame.into_data().unwrap();
        assert_eq!(piece.len(), SMALL);
        assert!(poll().is_pending());
        let part = piece.slice(1..);
        drop(piece);
        assert!(poll().is_pending(), "a part of it is still there");
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        drop(part);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(poll().is_ready());
    }

    #[tokio::test]
    async fn small_pieces_do_not_wait() {
        let mut body = Paced::new(Endless(SMALL - 1));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await);
        }
        assert_eq!(held.len(), 3);
    }
}
