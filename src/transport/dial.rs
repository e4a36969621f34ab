//! Connections out: to TCP, with or without TLS, or to a Unix socket. Whoever asks sets the time.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::reach::Reach;
use super::{race, resolve};

/// A connection that many requests share is looked after by the system: whoever is gone without a
/// word is noticed in a minute. HTTP/2 has PING for that, but servers of gRPC take it for abuse.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 3;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The system said no: refused, unreachable, no such name.
    #[error("{0}")]
    Refused(#[from] io::Error),
    /// Nobody answered in time.
    #[error("no connection within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The name leads only to addresses that it may not lead to.
    #[error("the name leads to this machine or to a link-local address, and may not")]
    OutOfReach,
    /// No trust: the certificate, or the handshake.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
}

/// A connection to somewhere.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The protocol that was agreed on by ALPN (RFC 7301), if any was.
    #[must_use]
    pub fn agreed(&self) -> Option<&[u8]> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }

    /// Has the system notice when the other side is gone without a word.
    pub fn look_after(&self) {
        let tcp = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Unix(_) => return,
        };
        let keep_alive = TcpKeepalive::new()
            .with_time(KEEP_ALIVE)
            .with_interval(KEEP_ALIVE_INTERVAL)
            .with_retries(KEEP_ALIVE_PROBES);
        // Without it, the next request notices.
        drop(SockRef::from(tcp).set_tcp_keepalive(&keep_alive));
    }
}

/// Every address of `host`, in the order in which the system would try them.
///
/// # Errors
/// [`DialError::Refused`]: no such name.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    Ok(resolve::addresses(host, port).await?)
}

/// Connects to `address`.
///
/// # Errors
/// [`DialError::Refused`].
pub async fn tcp(address: SocketAddr) -> Result<TcpStream, DialError> {
    let stream = TcpStream::connect(address).await?;
    // Answers go out as they are written: a small one must not wait for a full segment.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to `host`, a name or an address, but only to addresses that `reach` permits, within
/// `limit` in all. What was looked up is what is connected to: no second look-up can give another
/// answer.
///
/// # Errors
/// [`DialError`]: of several addresses, the last one's; [`DialError::OutOfReach`] where no permitted
/// address is left.
pub async fn tcp_within(
    reach: &Reach,
    (host, port): (&str, u16),
    limit: Duration,
) -> Result<Stream, DialError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let connecting = async {
        let found = resolve::addresses(bare, port).await?;
        let permitted: Vec<_> = found
            .iter()
            .copied()
            .filter(|address| reach.permits(host, address.ip()))
            .collect();
        if permitted.is_empty() && !found.is_empty() {
            return Err(DialError::OutOfReach);
        }
        Ok(race::connect(&permitted).await?)
    };
    let connected = tokio::time::timeout(limit, connecting).await;
    let stream = connected.map_err(|_| DialError::TimedOut(limit))??;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

/// Connects to the Unix socket at `path`.
///
/// # Errors
/// [`DialError::Refused`].
pub async fn unix(path: &Path) -> Result<Stream, DialError> {
    Ok(Stream::Unix(UnixStream::connect(path).await?))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
