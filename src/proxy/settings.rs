//! An upstream, as configured.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::base::origin::Host;
use crate::transport::trust::{PeerName, TlsClient};

/// One upstream, as configured.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its name in the configuration, for logs.
    pub name: String,
    /// Where it listens: at least one address. Where there are several, each is as good as any other.
    pub addresses: Vec<UpstreamAddress>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How it is spoken over TLS; in the clear, where absent.
    pub tls: Option<UpstreamTls>,
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

/// What is spoken with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: in the clear by prior knowledge (RFC 9113 section 3.3); over TLS it is offered by ALPN,
    /// and HTTP/1.1 is spoken where it is not taken.
    Http2,
}

/// TLS toward an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// What its certificate is held to, and what it is shown and offered.
    pub client: TlsClient,
    /// Whose certificate it must be; the host's of the address, where absent.
    pub server_name: Option<PeerName>,
    /// The files it comes from.
    pub files: TlsFiles,
    /// Whether certificates are looked at.
    pub verification: Verification,
}

/// The files that the TLS toward an upstream comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its roots; the system's, where absent.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// The key to it.
    pub key: Option<PathBuf>,
}

/// Whether certificates of an upstream are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// They are.
    Demanded,
    /// They are not: the operator switched it off.
    Skipped,
}

impl UpstreamSettings {
    /// The scheme of requests to it.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Its addresses as they are written, for people.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let scheme = match (&self.tls, self.protocol) {
            (Some(_), _) => "https",
            (None, Protocol::Http2) => "h2c",
            (None, Protocol::Http1) => "http",
        };
        let url = |address: &UpstreamAddress| match address {
            UpstreamAddress::Unix(_) => format!("unix:{address}"),
            UpstreamAddress::Tcp { .. } => format!("{scheme}://{address}"),
        };
        self.addresses.iter().map(url).collect()
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
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
        /// Looked up each time a connection is made; without the brackets of IPv6.
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
