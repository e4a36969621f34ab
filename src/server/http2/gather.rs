//! What a connection writes in one turn goes out together. The HTTP library flushes after each frame
//! with a body, so that every small answer costs a system call of its own, and over TLS a record,
//! however many answers are ready at a time.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are gathered; larger writes go out as they are.
const MOST: usize = 16 * 1024;

/// A connection to write to. What is written is on its way when [`Outlet::poll_drain`] says so.
#[derive(Debug)]
pub(super) struct Gathering<T>(Rc<RefCell<Inner<T>>>);

/// The other hand on the same connection: drains it at the end of each turn.
#[derive(Debug)]
pub(super) struct Outlet<T>(Rc<RefCell<Inner<T>>>);

#[derive(Debug)]
struct Inner<T> {
    stream: T,
    gathered: Vec<u8>,
    /// How much of it is out.
    written: usize,
    is_flushed: bool,
}

/// `stream` for the one who speaks on it, and for the one who knows when a turn is over.
pub(super) fn gathering<T>(stream: T) -> (Gathering<T>, Outlet<T>) {
    let inner = Rc::new(RefCell::new(Inner {
        stream,
        gathered: Vec::new(),
        written: 0,
        is_flushed: true,
    }));
    (Gathering(Rc::clone(&inner)), Outlet(inner))
}

impl<T: AsyncWrite + Unpin> Outlet<T> {
    /// Writes all that was gathered.
    ///
    /// # Errors
    /// The connection's own.
    pub(super) fn poll_drain(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_drain(context)
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(context))?;
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands everything over to the connection.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .gathered
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        if self.written > 0 {
            // A connection on which nothing is written holds no buffer.
            (self.gathered, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room for `length` bytes; whether they are to be gathered at all.
    fn poll_room(&mut self, length: usize, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.is_flushed = false;
        if self.gathered.len() + length > MOST {
            ready!(self.poll_out(context))?;
        }
        Poll::Ready(Ok(length <= MOST))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gathering<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gathering<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0.borrow_mut();
        if ready!(inner.poll_room(bytes.len(), context))? {
            inner.gathered.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut inner.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0.borrow_mut();
        let length = slices.iter().map(|slice| slice.len()).sum();
        if ready!(inner.poll_room(length, context))? {
            for slice in slices {
                inner.gathered.extend_from_slice(slice);
            }
            return Poll::Ready(Ok(length));
        }
        Pin::new(&mut inner.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }

    /// Nothing: the end of the turn does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(inner.poll_drain(context))?;
        Pin::new(&mut inner.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_written_in_a_turn_goes_out_at_its_end_and_in_order() {
        let (ours, mut theirs) = duplex(1 << 20);
        let (mut stream, outlet) = gathering(ours);
        stream.write_all(b"one ").await.unwrap();
        let slices = [IoSlice::new(b"two "), IoSlice::new(b"three ")];
        assert_eq!(stream.write_vectored(&slices).await.unwrap(), 10);
        stream.flush().await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut nothing = ReadBuf::new(&mut byte);
        let early = Pin::new(&mut theirs).poll_read(&mut context, &mut nothing);
        assert!(early.is_pending(), "not before the end of the turn");
        // What is large does not wait, nor does what came before it.
        let large = vec![b'x'; MOST + 1];
        stream.write_all(&large).await.unwrap();
        stream.write_all(b" four").await.unwrap();
        poll_fn(|context| outlet.poll_drain(context)).await.unwrap();
        drop((stream, outlet));
        let mut came = Vec::new();
        theirs.read_to_end(&mut came).await.unwrap();
        let wanted = [&b"one two three "[..], &large, b" four"].concat();
        assert!(came == wanted, "{} bytes came", came.len());
    }

    // Q2: a peer that does not read holds so much and no more.
    #[tokio::test]
    async fn whoever_does_not_read_holds_little() {
        let (ours, _theirs) = duplex(64);
        let (mut stream, outlet) = gathering(ours);
        let mut context = Context::from_waker(Waker::noop());
        let mut taken = 0;
        while let Poll::Ready(written) =
            Pin::new(&mut stream).poll_write(&mut context, &[b'x'; 100])
        {
            taken += written.unwrap();
        }
        assert!(taken <= MOST + 64, "{taken}");
        assert!(outlet.poll_drain(&mut context).is_pending());
        assert!(outlet.0.borrow().gathered.capacity() <= 2 * MOST);
    }
}
