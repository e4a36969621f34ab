//! A request's body that can be sent once more, as long as little of it was sent: an app that refuses
//! a stream, or says goodbye, has not looked at the request (RFC 9113 section 8.7).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::transport::body::{Body, BodyError};

/// As much of a body is kept, in bytes, until its answer begins.
const KEPT: usize = 64 * 1024;

/// A body, and what was given out of it.
#[derive(Debug)]
pub(super) struct SpareBody(Rc<RefCell<Source>>);

#[derive(Debug)]
struct Source {
    body: Body,
    /// What was given out; nothing, once that is too much to keep.
    given: Option<VecDeque<Bytes>>,
    length: usize,
    has_ended: bool,
    /// Who may take of it: the first, or the second.
    holder: Holder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    First,
    Second,
}

/// The body as it is handed to a connection.
#[derive(Debug)]
struct Handed {
    source: Rc<RefCell<Source>>,
    holder: Holder,
    again: VecDeque<Bytes>,
}

impl SpareBody {
    pub(super) fn new(body: Body) -> Self {
        let has_ended = body.is_end_stream();
        Self(Rc::new(RefCell::new(Source {
            body,
            given: Some(VecDeque::new()),
            length: 0,
            has_ended,
            holder: Holder::First,
        })))
    }

    /// The body, for the first connection.
    pub(super) fn first(&self) -> Body {
        self.handed(Holder::First, VecDeque::new())
    }

    /// The body from its beginning, for a second connection; the first gets no more of it. Nothing,
    /// where too much of it is gone.
    pub(super) fn second(&self) -> Option<Body> {
        let given = {
            let mut source = self.0.borrow_mut();
            source.holder = Holder::Second;
            source.given.take()?
        };
        Some(self.handed(Holder::Second, given))
    }

    fn handed(&self, holder: Holder, again: VecDeque<Bytes>) -> Body {
        if again.is_empty() && self.0.borrow().has_ended {
            return Body::empty();
        }
        Body::stream(Handed {
            source: Rc::clone(&self.0),
            holder,
            again,
        })
    }
}

impl Source {
    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, BodyError>>) {
        match frame {
            None => self.has_ended = true,
            Some(Ok(frame)) => match (frame.data_ref(), &mut self.given) {
                (Some(data), Some(given)) if self.length + data.len() <= KEPT => {
                    self.length += data.len();
                    given.push_back(data.clone());
                }
                _ => self.given = None,
            },
            Some(Err(_)) => self.given = None,
        }
    }
}

impl HttpBody for Handed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(data) = self.again.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let source = &mut *self.source.borrow_mut();
        if source.holder != self.holder {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        }
        if source.has_ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut source.body).poll_frame(context);
        if let Poll::Ready(frame) = &polled {
            source.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.borrow();
        self.again.is_empty() && (source.has_ended || source.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        // Its length, where it has one, is in the head.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A body of these pieces.
    struct Pieces(VecDeque<&'static [u8]>);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            let piece = self.0.pop_front();
            Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
        }
    }

    async fn piece(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    // L13: what is sent anew is sent whole, and the one who had it first gets no more of it.
    #[tokio::test]
    async fn a_body_that_is_sent_anew_is_sent_from_its_beginning() {
        let pieces: VecDeque<&[u8]> = [&b"one"[..], b"two", b"three"].into();
        let spare = SpareBody::new(Body::stream(Pieces(pieces)));
        let mut first = spare.first();
        assert_eq!(
            piece(&mut first).await,
            Some(Ok(Bytes::from_static(b"one")))
        );
        assert_eq!(
            piece(&mut first).await,
            Some(Ok(Bytes::from_static(b"two")))
        );
        let mut second = spare.second().unwrap();
        assert_eq!(piece(&mut first).await, Some(Err(BodyError::Broken)));
        for wanted in [&b"one"[..], b"two", b"three"] {
            assert_eq!(
                piece(&mut second).await,
                Some(Ok(Bytes::from_static(wanted)))
            );
        }
        assert_eq!(piece(&mut second).await, None);
        assert!(second.is_end_stream());
        assert!(spare.second().is_none(), "once is enough");
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_to_keep_is_not_sent_anew() {
        static LONG: [u8; KEPT] = [1; KEPT];
        let pieces: VecDeque<&[u8]> = [&LONG[..], b"x"].into();
        let spare = SpareBody::new(Body::stream(Pieces(pieces)));
        let mut first = spare.first();
        for _ in 0..2 {
            assert!(piece(&mut first).await.unwrap().is_ok());
        }
        assert!(spare.second().is_none());
    }

    #[test]
    fn no_body_stays_none() {
        let spare = SpareBody::new(Body::empty());
        assert!(spare.first().is_end_stream());
        assert!(spare.second().unwrap().is_end_stream());
    }
}
