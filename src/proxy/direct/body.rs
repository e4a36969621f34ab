//! The body of an answer, read as it is taken.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::AsyncReadExt as _;

use super::DirectLease;
use crate::base::answer::{Chunked, Framing, Piece, Reuse};
use crate::transport::body::BodyError;

/// What is read at a time: first this much, and more while there is always more.
const LEAST: usize = 16 * 1024;
const MOST: usize = 64 * 1024;

/// A body that is on its way. Dropped before its end, its connection closes.
#[derive(Debug)]
pub(super) struct DirectBody {
    /// Nothing, when the body has ended.
    lease: Option<DirectLease>,
    /// What was read and not yet given.
    rest: Bytes,
    end: End,
    reuse: Reuse,
    broken: Broken,
    buffer: BytesMut,
    piece: usize,
}

/// Whether the body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    No,
    /// It did, and whoever takes it has had time to pass on what came before.
    Noticed,
}

/// How the body ends.
#[derive(Debug)]
enum End {
    /// After so many bytes more.
    Left(u64),
    Chunks(Box<Chunked>),
    Close,
}

impl DirectBody {
    /// The body that begins with `rest`.
    pub(super) fn new(lease: DirectLease, rest: Bytes, (framing, reuse): (Framing, Reuse)) -> Self {
        Self {
            lease: Some(lease),
            rest,
            end: match framing {
                Framing::None => End::Left(0),
                Framing::Length(length) => End::Left(length),
                Framing::Chunked => End::Chunks(Box::default()),
                Framing::UntilClose => End::Close,
            },
            reuse,
            broken: Broken::No,
            buffer: BytesMut::new(),
            piece: LEAST,
        }
    }

    /// The answer is whole. What has come behind it was not asked for.
    fn ended(&mut self) {
        let reuse = if self.rest.is_empty() {
            self.reuse
        } else {
            Reuse::Over
        };
        self.rest = Bytes::new();
        if let Some(lease) = self.lease.take() {
            lease.done(reuse);
        }
    }

    /// What came before is passed on first, a head above all: an answer that is seen to break off tells
    /// more than none.
    fn broken(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        (self.lease, self.rest) = (None, Bytes::new());
        self.broken = Broken::Noticed;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads into `rest`, which is empty; how much.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(Ok(0));
        };
        // Never beyond the end, where that is known: what comes behind it is then seen for what it is.
        let most = match self.end {
            End::Left(left) => usize::try_from(left).unwrap_or(usize::MAX).min(self.piece),
            End::Chunks(_) | End::Close => self.piece,
        };
        self.buffer.reserve(most);
        let mut room = (&mut self.buffer).limit(most);
        let polled = pin!(lease.line.stream.read_buf(&mut room)).poll(context);
        if polled.is_pending() {
            self.buffer = BytesMut::new(); // for as long as nothing comes, nothing is held
        }
        let read = ready!(polled)?;
        if read == self.piece {
            self.piece = self.piece.saturating_mul(2).min(MOST);
        }
        self.rest = self.buffer.split().freeze();
        Poll::Ready(Ok(read))
    }
}

impl HttpBody for DirectBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if this.lease.is_none() {
                let broken = std::mem::replace(&mut this.broken, Broken::No);
                let error = (broken == Broken::Noticed).then_some(Err(BodyError::Broken));
                return Poll::Ready(error);
            }
            match &mut this.end {
                End::Chunks(chunks) => match chunks.read(&mut this.rest) {
                    Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Ok(Piece::End(trailers)) => {
                        this.ended();
                        let trailers = (!trailers.is_empty()).then(|| Frame::trailers(trailers));
                        return Poll::Ready(trailers.map(Ok));
                    }
                    Ok(Piece::More) => {}
                    Err(_) => return this.broken(context),
                },
                End::Left(left) if !this.rest.is_empty() || *left == 0 => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let data = this.rest.split_to(most.min(this.rest.len()));
                    *left -= u64::try_from(data.len()).unwrap_or(u64::MAX);
                    if *left == 0 {
                        this.ended();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                End::Close if !this.rest.is_empty() => {
                    let data = std::mem::take(&mut this.rest);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                End::Left(_) | End::Close => {}
            }
            match (ready!(this.poll_read(context)), &this.end) {
                (Ok(0), End::Close) => {
                    this.lease = None;
                    return Poll::Ready(None);
                }
                (Ok(0) | Err(_), _) => return this.broken(context),
                (Ok(_), _) => {}
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none() && self.broken == Broken::No
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Left(left) => SizeHint::with_exact(left),
            End::Chunks(_) | End::Close => SizeHint::default(),
        }
    }
}
