//! Connections to one upstream, of one worker. The last one back is the first one out, so that few
//! are kept warm and the rest age away.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{ForwardError, UpstreamAddress};
use crate::transport::body::{Body, Guard};
use crate::transport::dial;

/// No more idle connections than this are kept.
const MOST_IDLE: usize = 128;
/// An idle connection is not used after this long: shorter than what common servers keep.
const IDLE_AGE: Duration = Duration::from_secs(4);
/// The largest head of an answer, in bytes.
const HEAD_LIMIT: usize = 256 * 1024;
const MOST_FIELDS: usize = 256;

/// The idle connections, shared with the answers that are still being read.
type Idle = Rc<RefCell<Vec<(SendRequest<Body>, Instant)>>>;

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
    sender: Option<SendRequest<Body>>,
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
            let Some((sender, since)) = self.idle.borrow_mut().pop() else {
                break;
            };
            if since.elapsed() > IDLE_AGE {
                self.idle.borrow_mut().clear(); // all below it are older
                break;
            }
            if is_ready_soon(&sender).await {
                return Ok(self.lease(sender, Origin::Reused));
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
            .max_headers(MOST_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ForwardError::Broken)?;
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for the answer.
            drop(connection.with_upgrades().await);
        });
        Ok(self.lease(sender, Origin::Fresh))
    }

    fn lease(&self, sender: SendRequest<Body>, origin: Origin) -> Lease {
        Lease {
            sender: Some(sender),
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

    pub(super) fn sender(&mut self) -> Option<&mut SendRequest<Body>> {
        self.sender.as_mut()
    }
}

impl Guard for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        let mut idle = self.home.borrow_mut();
        if !sender.is_closed() && idle.len() < MOST_IDLE {
            idle.push((sender, Instant::now()));
        }
    }
}
