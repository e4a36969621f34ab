//! Floor 6: listeners, workers and connections; it does not know that this is an auth proxy.
//!
//! One acceptor, on the control runtime, hands each socket to the worker with the fewest
//! connections. A worker is a thread with a runtime of its own and a [`Service`] made for it, which
//! need not be `Send`: what a worker has, it shares with nobody.

pub mod admin;
pub mod connection;
pub mod descriptors;
pub mod drain;
pub mod entrance;
pub mod handover;
mod heap;
mod http2;
pub mod listener;
pub mod load;
pub mod passed;
mod preface;
pub mod probes;
mod reception;
mod refusal;
mod rest;
pub mod service_manager;
mod stream;
pub mod watch;
pub mod worker;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;

use self::connection::Wire;
use crate::base::peer::Peer;
use crate::transport::body::Body;
use crate::transport::server_tls::ServerTls;

/// What answers requests, one a worker.
pub trait Service: 'static {
    /// Answers one request of `peer`. It comes on the heap: each future that it is handed through
    /// would have room of its own for it.
    fn answer(
        &self,
        request: Box<Request<Incoming>>,
        peer: Peer,
    ) -> impl Future<Output = Response<Body>>;

    /// The answer to a request whose head, as a whole, is larger than `limit`; it comes instead of
    /// [`Service::answer`].
    fn too_large(&self, limit: HeadLimit, request: Request<Incoming>, peer: Peer)
    -> Response<Body>;

    /// The answer to a request that the service panicked at. It costs that request only.
    fn panicked(&self) -> Response<Body>;
}

/// Which limit a request's head exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadLimit {
    /// [`Limits::target`].
    Target,
    /// [`Limits::header_block`].
    Block,
    /// [`Limits::header_fields`].
    Fields,
}

impl HeadLimit {
    /// The setting's name.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Target => "limits.target",
            Self::Block => "limits.header_block",
            Self::Fields => "limits.header_fields",
        }
    }
}

/// Where a listener is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A Unix socket; a stale one is replaced.
    Unix(PathBuf),
    /// The sockets that the service manager passes under this name.
    Passed(String),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Passed(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// One listener: where it is, and how it receives who comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// Where it is bound.
    pub address: ListenAddress,
    /// How TLS is spoken there, if it is.
    pub tls: Option<ServerTls>,
    /// What is spoken on connections that are not protected by TLS.
    pub cleartext: Wire,
    /// Whether a proxy in front says whose each connection is.
    pub proxy_protocol: ProxyProtocol,
    /// What requests are for here.
    pub purpose: Purpose,
    /// The path at which a load balancer asks whether requests should be sent here.
    pub health_path: Option<String>,
}

/// Whether connections begin with the header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Unspoken,
    /// Each one must, and comes from a proxy that is trusted.
    Demanded,
}

/// What requests are for at a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To be served.
    #[default]
    Serve,
    /// To be sent on to the same target of this origin, which has no `/` at its end.
    Redirect(String),
}

impl ListenSettings {
    /// A listener at `address` that serves what comes.
    #[must_use]
    pub fn at(address: ListenAddress) -> Self {
        Self {
            address,
            tls: None,
            cleartext: Wire::default(),
            proxy_protocol: ProxyProtocol::default(),
            purpose: Purpose::default(),
            health_path: None,
        }
    }
}

/// What a connection may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest request target, in bytes.
    pub target: usize,
    /// Largest request head, in bytes.
    pub header_block: usize,
    /// Most header fields of a request.
    pub header_fields: usize,
    /// How long a request head may take to arrive.
    pub header_timeout: Duration,
    /// How long a body that is sent to us, or an answer that nobody reads, may stand still.
    pub idle_between_bytes: Duration,
    /// How long a connection may wait for its next request.
    pub keep_alive_idle: Duration,
    /// How long a WebSocket, or an answer that an app has begun, may stand still: event streams are silent for long.
    pub websocket_idle: Duration,
    /// Most connections at a time.
    pub connections: usize,
    /// Most requests that are answered at a time.
    pub requests: usize,
    /// Most requests at a time on an HTTP/2 connection.
    pub http2_streams: usize,
    /// After so many requests an HTTP/2 connection takes no more, and ends.
    pub http2_requests: u64,
    /// After this long an HTTP/2 connection takes no more requests, and ends.
    pub http2_age: Duration,
    /// How long the process goes on, not ready, once it was told to stop.
    pub drain_delay: Duration,
    /// How long requests in flight may take to finish after that.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target: 32 * 1024,
            header_block: 64 * 1024,
            header_fields: 100,
            header_timeout: Duration::from_secs(10),
            idle_between_bytes: Duration::from_secs(60),
            keep_alive_idle: Duration::from_secs(75),
            websocket_idle: Duration::from_secs(3600),
            connections: 10_000,
            requests: 10_000,
            http2_streams: 200,
            http2_requests: 1_000_000,
            http2_age: Duration::from_secs(3600),
            drain_delay: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}
