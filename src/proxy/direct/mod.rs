//! A connection over which one request at a time goes and its answer comes, in the task of whoever
//! asks: nothing is handed from task to task, and while an answer is awaited nothing is kept for it
//! (`docs/decisions/0012-direct-lines.md`).
//!
//! It carries requests without a body that may be sent twice: all that is written is a head, so
//! nothing has to be written while an answer comes.

mod body;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{Method, Request, Response};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use self::body::DirectBody;
use super::metered::BEFORE_A_BODY;
use super::moving::Alarm;
use super::place::Place;
use super::pool::{HEAD_LIMIT, IDLE_AGE, MOST_IDLE, Origin};
use super::trailers::Download;
use crate::base::answer::{self, Framing, Head, Malformed, Read, Reuse};
use crate::transport::body::{Body, Watched};
use crate::transport::dial::Stream;

/// What is read at a time while a head is awaited.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    /// Touched only while bytes move between it and a socket, which is never begun twice at a time.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
    static WRITE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// More memory than this is given back after a head was written.
const KEPT: usize = 64 * 1024;
/// And after one was read.
const SPARE: usize = 4 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// The connection was closed or torn down before any of an answer came.
    #[error("it closed the connection before it answered")]
    Gone,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The answer ended in the middle of its head.
    #[error("it broke off in the middle of a head")]
    CutOff,
    /// A head, or what came before it, that is too long.
    #[error("its head is too long")]
    TooLong,
    /// What came is no answer, or one that could be understood in two ways.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

/// A connection.
#[derive(Debug)]
pub(super) struct DirectLine {
    stream: Stream,
    alarm: Alarm,
    /// Behind the last head: its memory is used again once nobody has any of that.
    spare: BytesMut,
}

/// The connections to one address that carry no request.
#[derive(Debug, Default)]
pub(super) struct IdleLines {
    lines: RefCell<Vec<(DirectLine, Instant)>>,
    is_watched: Cell<bool>,
}

/// A connection taken from the pool. Dropped it closes: it goes back by [`DirectLease::done`]
/// alone, once its answer was read to the last byte.
#[derive(Debug)]
pub(super) struct DirectLease {
    line: DirectLine,
    origin: Origin,
    share: Share,
}

/// Counts a request as in flight.
#[derive(Debug)]
struct Share(Rc<Place>);

impl Drop for Share {
    fn drop(&mut self) {
        let busy = &self.0.busy;
        busy.set(busy.get().saturating_sub(1));
    }
}

impl DirectLine {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            alarm: Alarm::default(),
            spare: BytesMut::new(),
        }
    }

    /// The connection itself, for somebody who speaks on it in another way.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether nothing has come since the last answer, neither an end nor what nobody asked for.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        let polled = Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer);
        polled.is_pending()
    }

    /// Writes the request's head and reads the answer's, with what came behind it.
    async fn ask(&mut self, request: &Request<Body>) -> Result<(Box<Head>, Bytes), DirectError> {
        let mut unsent = None;
        poll_fn(|context| self.poll_send(request, &mut unsent, context))
            .await
            .map_err(|error| {
                if is_torn(&error) {
                    DirectError::Gone
                } else {
                    error.into()
                }
            })?;
        let (mut kept, mut came) = (std::mem::take(&mut self.spare), 0_usize);
        loop {
            let had = kept.len();
            let read = poll_fn(|context| self.poll_receive(&mut kept, context)).await;
            let read = read.or_else(|error| match came {
                0 if is_torn(&error) => Ok(0),
                _ => Err(error),
            })?;
            if read == 0 {
                return Err(match came {
                    0 => DirectError::Gone,
                    _ => DirectError::CutOff,
                });
            }
            came += read;
            // Read again only where a head may have come to its end: a head that comes in drops is
            // not read anew for each.
            if (came == read || answer::may_end(&kept, had))
                && let Some(whole) = whole_head(&mut kept, request.method())?
            {
                if came <= SPARE {
                    self.spare = kept;
                }
                return Ok(whole);
            }
            if kept.len() > HEAD_LIMIT || came > BEFORE_A_BODY {
                return Err(DirectError::TooLong);
            }
        }
    }

    /// Writes the head; what is not taken at once is kept in `unsent`.
    fn poll_send(
        &mut self,
        request: &Request<Body>,
        unsent: &mut Option<BytesMut>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut self.stream;
        if unsent.is_none() {
            let left = WRITE.with_borrow_mut(|text| {
                text.clear();
                write_head(request, text);
                let polled = poll_write(stream, text, context);
                let left = polled.map_ok(|written| text.get(written..).map(BytesMut::from));
                text.shrink_to(KEPT);
                left
            });
            *unsent = Some(match left {
                Poll::Ready(left) => left?.unwrap_or_default(),
                // Nothing was taken: it is written anew when it can be.
                Poll::Pending => return Poll::Pending,
            });
        }
        let unsent = unsent.get_or_insert_default();
        while !unsent.is_empty() {
            let written = ready!(poll_write(stream, unsent, context))?;
            unsent.advance(written);
        }
        Pin::new(stream).poll_flush(context)
    }

    /// Reads what is there to the end of `kept`; how much that was.
    fn poll_receive(
        &mut self,
        kept: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        READ.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            kept.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}

/// Writes some of `bytes`, which are not empty.
fn poll_write(
    stream: &mut Stream,
    bytes: &[u8],
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let written = ready!(Pin::new(stream).poll_write(context, bytes))?;
    Poll::Ready(match written {
        // Somebody who takes nothing will never take anything.
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    })
}

/// The head in `kept` and what is behind it, less interim answers; what is not whole stays in `kept`.
fn whole_head(
    kept: &mut BytesMut,
    method: &Method,
) -> Result<Option<(Box<Head>, Bytes)>, Malformed> {
    let mut bytes = kept.split().freeze();
    loop {
        match answer::read(&bytes, method)? {
            Read::Interim(length) => bytes.advance(length),
            Read::Head(head) => {
                bytes.advance(head.length);
                return Ok(Some((head, bytes)));
            }
            Read::More => {
                *kept = BytesMut::from(&*bytes);
                return Ok(None);
            }
        }
    }
}

/// The head as it goes over the wire (RFC 9112 section 3). Its parts cannot hold an end of line.
fn write_head(request: &Request<Body>, text: &mut Vec<u8>) {
    let target = request.uri().path_and_query();
    text.extend_from_slice(request.method().as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.map_or("/", |target| target.as_str()).as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
}

fn is_torn(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

impl DirectLease {
    pub(super) fn new(line: DirectLine, origin: Origin, home: &Rc<Place>) -> Self {
        home.busy.set(home.busy.get() + 1);
        Self {
            line,
            origin,
            share: Share(Rc::clone(home)),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Sends the request and gives the answer as soon as its head is there. Nothing, where that takes
    /// longer than `limit`, counted from `moved`.
    ///
    /// # Errors
    /// [`DirectError`].
    pub(super) async fn ask(
        mut self,
        request: &Request<Body>,
        (moved, limit): (&Cell<Instant>, Duration),
        idle: Duration,
    ) -> Option<Result<Response<Body>, DirectError>> {
        let mut alarm = std::mem::take(&mut self.line.alarm);
        let asked = tokio::select! {
            biased;
            asked = self.line.ask(request) => asked,
            () = alarm.stand_still(moved, limit) => return None,
        };
        self.line.alarm = alarm;
        Some(asked.map(|(head, rest)| self.answered(*head, rest, idle)))
    }

    fn answered(self, head: Head, mut rest: Bytes, idle: Duration) -> Response<Body> {
        let whole = match head.framing {
            Framing::None => Some(0),
            Framing::Length(length) => usize::try_from(length)
                .ok()
                .filter(|length| *length <= rest.len()),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let body = match whole {
            Some(length) => {
                let is_all = rest.len() == length;
                rest.truncate(length);
                self.done(if is_all { head.reuse } else { Reuse::Over });
                Body::from(rest)
            }
            None => {
                let body = DirectBody::new(self, rest, (head.framing, head.reuse));
                Body::paced(Watched::new(Download::new(body), idle))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }

    /// The answer was read to its end.
    fn done(self, reuse: Reuse) {
        let Self { line, share, .. } = self;
        let place = &share.0;
        if reuse == Reuse::Kept {
            place.direct.put(line, place);
        }
    }
}

impl IdleLines {
    /// A connection that is ready, the youngest.
    pub(super) fn take(&self) -> Option<DirectLine> {
        loop {
            let (mut line, since) = self.lines.borrow_mut().pop()?;
            if since.elapsed() > IDLE_AGE {
                self.lines.borrow_mut().clear(); // all below it are older
                return None;
            }
            if line.is_quiet() {
                return Some(line);
            }
        }
    }

    fn put(&self, line: DirectLine, place: &Rc<Place>) {
        let mut lines = self.lines.borrow_mut();
        if lines.len() >= MOST_IDLE {
            return;
        }
        lines.push((line, Instant::now()));
        if !self.is_watched.replace(true) {
            tokio::task::spawn_local(let_age(Rc::downgrade(place), IDLE_AGE));
        }
    }
}

/// Closes what has been idle for longer than `age`, until nothing is.
async fn let_age(place: Weak<Place>, age: Duration) {
    loop {
        tokio::time::sleep(age).await;
        let Some(place) = place.upgrade() else {
            return;
        };
        let mut lines = place.direct.lines.borrow_mut();
        lines.retain(|(_, since)| since.elapsed() <= age);
        if lines.is_empty() {
            place.direct.is_watched.set(false);
            *lines = Vec::new();
            return;
        }
    }
}
