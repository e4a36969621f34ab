//! The other end of a connection, as plain data.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::certificate::CertificateFacts;

/// Who is connected to a listener of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub address: PeerAddress,
    /// Which listener it came in by, counted from 0 in the order of the configuration.
    pub entrance: usize,
    /// The certificate that it showed and that roots of ours vouch for.
    pub certificate: Option<Arc<CertificateFacts>>,
}

/// Where a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A peer on a Unix socket; the file system decides who may connect.
    Unix,
    /// A proxy in front passed the connection on and did not say whose it is. It is nobody's that
    /// could be trusted, not even where that proxy is.
    Untold,
}

impl Peer {
    /// A peer at `address` that came in by the listener with the index `entrance`.
    #[must_use]
    pub fn new(address: PeerAddress, entrance: usize) -> Self {
        Self {
            address,
            entrance,
            certificate: None,
        }
    }

    /// The peer's IP address, in its canonical form (an IPv4-mapped IPv6 address is the IPv4
    /// address); nothing for one that has none.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.address {
            PeerAddress::Tcp(address) => Some(address.ip().to_canonical()),
            PeerAddress::Unix | PeerAddress::Untold => None,
        }
    }
}
