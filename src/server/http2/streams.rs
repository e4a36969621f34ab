//! The streams of one connection: who waits for whom, and since when.
//!
//! A peer that opens no window for an answer is seen by that the answer's body is asked for no more
//! of itself: what moves on the socket meanwhile, pings or a byte now and then, does not count.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::Notify;

use crate::server::Limits;
use crate::server::load::Counted;
use crate::server::watch::{Seconds, Watch};
use crate::transport::body::{Body, BodyError};

/// How many requests more a peer may give up before they are answered than it lets be answered.
const GIVEN_UP: u32 = 100;
/// How many more it may give up each second.
const GIVEN_UP_A_SECOND: u32 = 10;
/// The largest piece of an answer that is handed out at once: the last one is not watched.
const PIECE: usize = 16 * 1024;

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Stay,
    /// It takes no new requests, and ends after those that it has.
    Leave,
    /// It ends.
    End,
}

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    open: RefCell<BTreeMap<u64, Rc<Stream>>>,
    /// The last one that began, for the task that it gets.
    newest: RefCell<Option<Rc<Stream>>>,
    begun: Cell<u64>,
    /// The second in which the connection began, or was asked to leave.
    since: Cell<u32>,
    /// The second in which there was a stream last.
    active: Cell<u32>,
    leaving: Cell<bool>,
    given_up: Cell<u32>,
    forgiven: Cell<u32>,
    limits: StreamLimits,
    seconds: Seconds,
    watch: Arc<Watch>,
}

/// In seconds.
#[derive(Debug, Clone, Copy)]
struct StreamLimits {
    idle: u32,
    blocked: u32,
    /// How long a peer may take to leave.
    leave: u32,
    age: u32,
    requests: u64,
}

/// One stream whose answer has not been handed out whole.
#[derive(Debug, Default)]
struct Stream {
    /// The second in which a piece of the answer was handed out, until somebody asks for the next.
    handed: Cell<Option<u32>>,
    abort: Notify,
}

impl Streams {
    pub(super) fn new(limits: &Limits, seconds: Seconds, watch: Arc<Watch>) -> Rc<Self> {
        let whole = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let now = seconds.now();
        Rc::new(Self {
            open: RefCell::default(),
            newest: RefCell::default(),
            begun: Cell::new(0),
            since: Cell::new(now),
            active: Cell::new(now),
            leaving: Cell::new(false),
            given_up: Cell::new(0),
            forgiven: Cell::new(now),
            limits: StreamLimits {
                idle: whole(limits.keep_alive_idle),
                blocked: whole(limits.idle_between_bytes),
                leave: whole(limits.header_timeout),
                age: whole(limits.http2_age),
                requests: limits.http2_requests,
            },
            seconds,
            watch,
        })
    }

    /// A request has come.
    pub(super) fn begin(self: &Rc<Self>, counted: Counted) -> UnderWay {
        let (id, stream) = (self.begun.get(), Rc::<Stream>::default());
        self.begun.set(id.saturating_add(1));
        self.open.borrow_mut().insert(id, Rc::clone(&stream));
        *self.newest.borrow_mut() = Some(Rc::clone(&stream));
        if id.saturating_add(1) == self.limits.requests {
            self.watch.look_at(self.seconds.now());
        }
        UnderWay {
            streams: Rc::clone(self),
            id,
            stream,
            answered: false,
            _counted: counted,
        }
    }

    /// The second in which something may be overdue, at the earliest.
    pub(super) fn due(&self) -> u32 {
        let limits = &self.limits;
        let now = self.seconds.now();
        let shortest = limits.idle.min(limits.blocked).min(limits.leave);
        let open = self.open.borrow();
        let handed = open.values().filter_map(|stream| stream.handed.get());
        let blocked = handed.map(|since| since.saturating_add(limits.blocked));
        let idle = open
            .is_empty()
            .then(|| self.active.get().saturating_add(limits.idle));
        let first = blocked.chain(idle).min();
        let latest = now.saturating_add(shortest);
        // More than a limit has to have passed, in whole seconds.
        first
            .map_or(latest, |first| first.min(latest))
            .saturating_add(1)
            .max(now)
    }

    /// Ends streams whose answer nobody reads, and says what is to become of the connection.
    pub(super) fn look(&self) -> Verdict {
        let (now, limits) = (self.seconds.now(), &self.limits);
        let over = |since: u32, limit: u32| now.saturating_sub(since) > limit;
        let open = self.open.borrow();
        for stream in open.values() {
            if stream
                .handed
                .get()
                .is_some_and(|since| over(since, limits.blocked))
            {
                stream.abort.notify_one();
            }
        }
        let idle = open.is_empty() && over(self.active.get(), limits.idle);
        let old = over(self.since.get(), limits.age) || self.begun.get() >= limits.requests;
        if self.leaving.get() {
            let waited = over(self.since.get(), limits.leave);
            return if open.is_empty() && waited {
                Verdict::End
            } else {
                Verdict::Stay
            };
        }
        if idle || old {
            self.leaving.set(true);
            self.since.set(now);
            return Verdict::Leave;
        }
        Verdict::Stay
    }

    /// Ends them all.
    pub(super) fn end(&self) {
        for stream in self.open.borrow().values() {
            stream.abort.notify_one();
        }
    }

    fn ended(&self, id: u64) {
        let mut open = self.open.borrow_mut();
        open.remove(&id);
        if open.is_empty() {
            self.active.set(self.seconds.now());
        }
    }

    /// A request was given up before it was answered. A few are what people do who change their
    /// mind; many, and nothing else, make work and have no other purpose (rapid reset).
    fn gave_up(&self) {
        let now = self.seconds.now();
        let passed = now.saturating_sub(self.forgiven.replace(now));
        let forgiven = passed.saturating_mul(GIVEN_UP_A_SECOND);
        let count = self
            .given_up
            .get()
            .saturating_sub(forgiven)
            .saturating_add(1);
        self.given_up.set(count);
        if count > GIVEN_UP {
            self.watch.end();
        }
    }
}

/// A request under way; dropped without an answer, it was given up.
#[derive(Debug)]
pub(super) struct UnderWay {
    streams: Rc<Streams>,
    id: u64,
    stream: Rc<Stream>,
    answered: bool,
    _counted: Counted,
}

impl UnderWay {
    /// Its answer has begun.
    pub(super) fn answered(mut self, body: Body) -> Answering {
        self.answered = true;
        let given_up = &self.streams.given_up;
        given_up.set(given_up.get().saturating_sub(1));
        Answering {
            body,
            rest: Bytes::new(),
            under_way: self,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.streams.ended(self.id);
        if !self.answered {
            self.streams.gave_up();
        }
    }
}

/// An answer's body that is handed out in pieces, and knows when one was.
#[derive(Debug)]
pub(super) struct Answering {
    body: Body,
    /// What was taken from the body and not handed out yet.
    rest: Bytes,
    under_way: UnderWay,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        this.rest = data;
                        Poll::Ready(Some(Ok(Frame::data(next_piece(&mut this.rest)))))
                    }
                    Err(frame) => Poll::Ready(Some(Ok(frame))),
                },
                other => other,
            }
        } else {
            Poll::Ready(Some(Ok(Frame::data(next_piece(&mut this.rest)))))
        };
        let handed = matches!(polled, Poll::Ready(Some(Ok(_))));
        let now = this.under_way.streams.seconds.now();
        this.under_way.stream.handed.set(handed.then_some(now));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn next_piece(rest: &mut Bytes) -> Bytes {
    let most = rest.len().min(PIECE);
    rest.split_to(most)
}

/// Gives each stream a task on the worker's own thread, which ends with the stream.
#[derive(Debug, Clone)]
pub(super) struct Spawner(Rc<Streams>);

impl Spawner {
    pub(super) fn new(streams: &Rc<Streams>) -> Self {
        Self(Rc::clone(streams))
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Spawner {
    fn execute(&self, future: F) {
        let stream = self.0.newest.borrow_mut().take();
        tokio::task::spawn_local(async move {
            let aborted = async {
                match &stream {
                    Some(stream) => stream.abort.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = future => {}
                () = aborted => {}
            }
        });
    }
}
