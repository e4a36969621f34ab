//! One direction of a tunnel: what is read is written at once, from a buffer that all tunnels of a
//! worker share. Only what the other side does not take is kept, and only until it does: a tunnel in
//! which nothing moves holds no buffer.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::Frames;

/// What is read at a time, and so the most that is kept of a direction.
const BUFFER: usize = 16 * 1024;

thread_local! {
    /// Touched only while bytes move from one socket to another, which is never begun twice at a time.
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// One direction.
#[derive(Debug)]
pub(super) struct Way {
    /// What has been read; all of it is written before anything else is.
    pub(super) frames: Frames,
    kept: Vec<u8>,
    written: usize,
    source: Source,
    /// Whether a frame of ours is under way, or was.
    said: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Open,
    /// It says no more; the other side is yet to be told.
    Ended,
    /// It was told.
    Shut,
}

impl Way {
    pub(super) fn new(frames: Frames) -> Self {
        Self {
            frames,
            kept: Vec::new(),
            written: 0,
            source: Source::Open,
            said: false,
        }
    }

    /// Moves bytes until `from` has ended and `to` was told so.
    pub(super) fn poll_move(
        &mut self,
        (from, to): (
            &mut (impl AsyncRead + Unpin),
            &mut (impl AsyncWrite + Unpin),
        ),
        moved: &Cell<Instant>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_kept(to, context))?;
            match self.source {
                Source::Shut => return Poll::Ready(Ok(())),
                Source::Ended => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                    self.source = Source::Shut;
                }
                Source::Open => {
                    let polled = self.poll_once(from, to, BUFFER, context);
                    if polled.is_pending() {
                        ready!(Pin::new(&mut *to).poll_flush(context))?;
                    }
                    ready!(polled)?;
                    moved.set(Instant::now());
                }
            }
        }
    }

    /// Lets the frame that is under way pass, and then `frame` of ours, which is the last.
    pub(super) fn poll_close(
        &mut self,
        (from, to): (
            &mut (impl AsyncRead + Unpin),
            &mut (impl AsyncWrite + Unpin),
        ),
        frame: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_kept(to, context))?;
            let over = self.source != Source::Open || self.frames.lost() || self.frames.closed();
            if self.said || over {
                return Pin::new(&mut *to).poll_flush(context);
            }
            if self.frames.between() {
                self.said = true;
                self.kept = frame.to_vec();
            } else {
                let most = self.frames.of_this_frame();
                ready!(self.poll_once(from, to, most, context))?;
            }
        }
    }

    /// Reads what still comes and gives it to nobody, until there is no more or all was said.
    pub(super) fn poll_ignore(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.source == Source::Open && !self.frames.closed() && !self.frames.lost() {
            let read = SHARED.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                let polled = Pin::new(&mut *from).poll_read(context, &mut buffer);
                polled.map_ok(|()| self.note(buffer.filled()))
            });
            ready!(read)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_kept(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(left) = self
            .kept
            .get(self.written..)
            .filter(|left| !left.is_empty())
        {
            self.written += some(ready!(Pin::new(&mut *to).poll_write(context, left))?)?;
        }
        if self.written > 0 {
            (self.kept, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, `most` at most, and writes what is taken of it.
    fn poll_once(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        SHARED.with_borrow_mut(|buffer| {
            let most = most.min(buffer.len());
            let mut buffer = ReadBuf::new(buffer.get_mut(..most).unwrap_or_default());
            ready!(Pin::new(&mut *from).poll_read(context, &mut buffer))?;
            let mut bytes = buffer.filled();
            self.note(bytes);
            while !bytes.is_empty() {
                match Pin::new(&mut *to).poll_write(context, bytes) {
                    Poll::Ready(written) => {
                        bytes = bytes.get(some(written?)?..).unwrap_or_default();
                    }
                    Poll::Pending => {
                        self.kept = bytes.to_vec();
                        break;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    fn note(&mut self, read: &[u8]) {
        if read.is_empty() {
            self.source = Source::Ended;
        } else {
            self.frames.follow(read);
        }
    }
}

/// Somebody who takes nothing will never take anything.
fn some(written: usize) -> io::Result<usize> {
    match written {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}
