//! An upstream, as configured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::base::origin::Host;

/// One upstream, as configured.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its name in the configuration, for logs.
    pub name: String,
    /// Where it listens.
    pub address: UpstreamAddress,
    /// What it is told as `Host`.
    pub host: HostPolicy,
    /// The identity headers that it gets.
    pub headers: Vec<HeaderRule>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long it may take to begin its answer.
    pub first_byte_timeout: Duration,
    /// Whether it must be out of everybody's reach but ours.
    pub privacy: Privacy,
}

/// Whether an upstream must be out of everybody's reach but ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// It should be: where it is not, that is said.
    Wanted,
    /// It must be: where it is not, nothing runs.
    Required,
}

/// Where an upstream listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// A host name or address, and a port.
    Tcp {
        /// Looked up each time a connection is made.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl UpstreamAddress {
    /// The loopback addresses that its host names; nothing for any other host, and for a Unix socket.
    #[must_use]
    pub fn loopback(&self) -> Option<Vec<IpAddr>> {
        let Self::Tcp { host, .. } = self else {
            return None;
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return ip.is_loopback().then(|| vec![ip]);
        }
        let is_here = Host::parse(host).is_ok_and(|host| host.is_loopback());
        is_here.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }
}

/// What the upstream is told as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPolicy {
    /// What the browser sent: many apps compare it with `Origin`.
    Preserve,
    /// The upstream's own host and port; `localhost` for a Unix socket.
    Upstream,
    /// This.
    Fixed(HeaderValue),
}

/// One identity header of an upstream.
#[derive(Debug, Clone)]
pub struct HeaderRule {
    /// The field's name.
    pub name: HeaderName,
    /// What it says.
    pub value: IdentityField,
    /// Whether values are prefixed `PROVIDER:`, as they are where there are several providers.
    pub qualified: Qualification,
}

/// The part of an identity that a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityField {
    /// `{sub}`
    Subject,
    /// `{email}`
    Email,
    /// `{groups}`, joined by commas; a comma inside a group is percent-encoded.
    Groups,
    /// `{preferred_username}`
    PreferredUsername,
    /// `{name}`
    Name,
}

/// Whether identity values name their provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualification {
    /// There is one provider; values stand alone.
    Plain,
    /// There are several; subjects and groups are written `PROVIDER:VALUE`.
    Qualified,
}
