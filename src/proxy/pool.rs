//! Connections to one upstream, of one worker. The last one back is the first one out, so that few
//! are kept warm and the rest age away.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::moving::Alarm;
use super::{ForwardError, UpstreamAddress};
use crate::transport::body::{Body, Guard};
use crate::transport::dial;

/// No more idle connections than this are kept.
const MOST_IDLE: usize = 128;
/// An idle connection is not used after this long: shorter than what common servers keep.
const IDLE_AGE: Duration = Duration::from_secs(4);
/// The largest head of an answer, in bytes. It may have 100 fields, which is what the HTTP library
/// reads without taking memory for its tables, and what other proxies allow too.
const HEAD_LIMIT: usize = 256 * 1024;

/// The idle connections, shared with the answers that are still being read.
type Idle = Rc<RefCell<Vec<(Line, Instant)>>>;

/// One connection: where requests go in, and the timer that watches over them.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Body>,
    alarm: Alarm,
}

#[derive(Debug)]
pub(super) struct Pool {
    address: UpstreamAddress,
    connect_timeout: Duration,
    idle: Idle,
}

/// A connection taken from the pool. Dropped when its answer has been read whole, it goes back;
/// dropped earlier, the connection is not ready and closes.
#[derive(Debug)]
pub(super) struct Lease {
    line: Option<Line>,
    origin: Origin,
    home: Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Fresh,
    Reused,
}

impl Pool {
    pub(super) fn new(address: UpstreamAddress, connect_timeout: Duration) -> Self {
        Self {
            address,
            connect_timeout,
            idle: Idle::default(),
        }
    }

    /// A connection that was used before and is ready, or a new one.
    pub(super) async fn take(&self) -> Result<Lease, ForwardError> {
        loop {
            let Some((line, since)) = self.idle.borrow_mut().pop() else {
                break;
            };
            if since.elapsed() > IDLE_AGE {
                self.idle.borrow_mut().clear(); // all below it are older
                break;
            }
            if is_ready_soon(&line.sender).await {
                return Ok(self.lease(line, Origin::Reused));
            }
        }
        self.connect().await
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Lease, ForwardError> {
        let stream = match &self.address {
            UpstreamAddress::Tcp { host, port } => {
                dial::tcp(host, *port, self.connect_timeout).await?
            }
            UpstreamAddress::Unix(path) => dial::unix(path, self.connect_timeout).await?,
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ForwardError::Broken)?;
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for the answer.
            drop(connection.with_upgrades().await);
        });
        let alarm = Alarm::default();
        Ok(self.lease(Line { sender, alarm }, Origin::Fresh))
    }

    fn lease(&self, line: Line, origin: Origin) -> Lease {
        Lease {
            line: Some(line),
            origin,
            home: Rc::clone(&self.idle),
        }
    }
}

/// Whether the connection is free: at once, or after the few turns that its own task may need to
/// notice that an answer has ended. Never longer: an app may answer before it has read the whole
/// request, and then the connection is still busy with a body that somebody else sends slowly.
async fn is_ready_soon(sender: &SendRequest<Body>) -> bool {
    for _ in 0..3 {
        if sender.is_ready() {
            return true;
        }
        if sender.is_closed() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    sender.is_ready()
}

impl Lease {
    pub(super) fn is_reused(&self) -> bool {
        self.origin == Origin::Reused
    }

    /// Where the request goes in, and the timer for the wait.
    pub(super) fn parts(&mut self) -> Option<(&mut SendRequest<Body>, &mut Alarm)> {
        let line = self.line.as_mut()?;
        Some((&mut line.sender, &mut line.alarm))
    }
}

impl Guard for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else {
            return;
        };
        let mut idle = self.home.borrow_mut();
        if !line.sender.is_closed() && idle.len() < MOST_IDLE {
            idle.push((line, Instant::now()));
        }
    }
}
