//! The other end of a connection, as plain data.

use std::net::{IpAddr, SocketAddr};

/// Who is connected to a listener of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A peer on a Unix socket; the file system decides who may connect.
    Unix,
}

impl Peer {
    /// The peer's IP address, in its canonical form (an IPv4-mapped IPv6 address is the IPv4
    /// address); nothing for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}
