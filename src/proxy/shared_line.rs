//! HTTP/2 connections: many requests at once on one, each on a stream of its own, within bounds that
//! we set and those that the app tells.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::{Mutex, MutexGuard};

use super::ForwardError;
use super::place::Place;
use super::pool::{HEAD_LIMIT, Origin};
use crate::transport::body::Body;
use crate::transport::dial::Stream;

/// No more requests at once on a connection, even where the app would take them.
const MOST_STREAMS: usize = 100;
/// No more connections to an address; then requests wait on one that is there.
const MOST_LINES: usize = 8;
/// What may lie here unread of one answer, in bytes. All streams together may fill their windows, so
/// that a client which reads slowly holds up its own answer and nobody else's.
const STREAM_WINDOW: u32 = 64 * 1024;
const LINE_WINDOW: u32 = 100 * STREAM_WINDOW;
/// What may lie here unsent of one request's body, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// The HTTP/2 connections to one address, the oldest first.
#[derive(Debug, Default)]
pub(super) struct SharedLines {
    lines: RefCell<Vec<Rc<SharedLine>>>,
    dialing: Mutex<()>,
    /// Whether the address was offered HTTP/2 and did not take it.
    refused: Cell<bool>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct SharedLine {
    sender: SendRequest<Body>,
    streams: Cell<usize>,
    /// How many the app takes at once.
    most: Rc<Cell<usize>>,
}

/// A share of a connection, for one request.
#[derive(Debug)]
pub(super) struct SharedLease {
    line: Rc<SharedLine>,
    origin: Origin,
    home: Rc<Place>,
}

/// Runs the tasks of a connection on the worker that has it.
#[derive(Debug, Clone, Copy)]
struct OnThisWorker;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for OnThisWorker {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

impl SharedLines {
    /// A share of the least busy connection, unless a new one may be made instead.
    pub(super) fn lease(&self, home: &Rc<Place>) -> Option<SharedLease> {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| !line.sender.is_closed());
        let least = lines.iter().min_by_key(|line| line.streams.get())?;
        let has_room = least.streams.get() < least.most.get().min(MOST_STREAMS);
        let taken = has_room || lines.len() >= MOST_LINES;
        taken.then(|| SharedLease::new(least, Origin::Reused, home))
    }

    /// Takes a new connection in, and a first share of it.
    pub(super) fn add(&self, line: SharedLine, home: &Rc<Place>) -> SharedLease {
        self.refused.set(false);
        let line = Rc::new(line);
        self.lines.borrow_mut().push(Rc::clone(&line));
        SharedLease::new(&line, Origin::Fresh, home)
    }

    /// Makes sure that one connection at a time is made.
    pub(super) async fn dialing(&self) -> MutexGuard<'_, ()> {
        self.dialing.lock().await
    }

    /// The address speaks HTTP/1.1: whoever wants a connection makes one.
    pub(super) fn refuse(&self) {
        self.refused.set(true);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.get()
    }
}

impl SharedLine {
    pub(super) async fn open(stream: Stream) -> Result<Self, ForwardError> {
        stream.look_after();
        let (sender, connection) = http2::Builder::new(OnThisWorker)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(LINE_WINDOW)
            .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ForwardError::Broken)?;
        let most = Rc::new(Cell::new(connection.current_max_send_streams()));
        let told = Rc::clone(&most);
        tokio::task::spawn_local(async move {
            let mut connection = pin!(connection);
            // Its errors reach whoever waits for an answer.
            let ended = poll_fn(|context| {
                told.set(connection.current_max_send_streams());
                connection.as_mut().poll(context)
            });
            drop(ended.await);
        });
        Ok(Self {
            sender,
            streams: Cell::default(),
            most,
        })
    }
}

impl SharedLease {
    fn new(line: &Rc<SharedLine>, origin: Origin, home: &Rc<Place>) -> Self {
        line.streams.set(line.streams.get() + 1);
        home.busy.set(home.busy.get() + 1);
        Self {
            line: Rc::clone(line),
            origin,
            home: Rc::clone(home),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Where the request goes in.
    pub(super) fn sender(&self) -> SendRequest<Body> {
        self.line.sender.clone()
    }

    /// Nobody else gets a share of this connection, nor of any older one: an app that says goodbye
    /// says so on all of them. Requests in flight go on.
    pub(super) fn retire(&self) {
        let mut lines = self.home.shared.lines.borrow_mut();
        let own = |line: &Rc<SharedLine>| Rc::ptr_eq(line, &self.line);
        if let Some(at) = lines.iter().position(own) {
            lines.drain(..=at);
        }
    }
}

impl Drop for SharedLease {
    fn drop(&mut self) {
        let one_less = |count: &Cell<usize>| count.set(count.get().saturating_sub(1));
        one_less(&self.line.streams);
        one_less(&self.home.busy);
    }
}
