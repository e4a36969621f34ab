//! Connections out: to TCP or a Unix socket, within a time.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::reach::Reach;
use super::{race, resolve};

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
}

/// A plain connection to somewhere.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// Connects to `host`, a name or an address, trying every address it has, within `limit` in all.
///
/// # Errors
/// [`DialError`]: of several addresses, the last one's.
pub async fn tcp(host: &str, port: u16, limit: Duration) -> Result<Stream, DialError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let connecting = async { race::connect(&resolve::addresses(bare, port).await?).await };
    let connected = tokio::time::timeout(limit, connecting).await;
    let stream = connected.map_err(|_| DialError::TimedOut(limit))??;
    // Answers go out as they are written: a small one must not wait for a full segment.
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

/// Connects to `host` as [`tcp`] does, but only to addresses that `reach` permits. What was looked up
/// is what is connected to: no second look-up can give another answer.
///
/// # Errors
/// [`DialError`]; [`DialError::OutOfReach`] where no permitted address is left.
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
/// [`DialError`].
pub async fn unix(path: &Path, limit: Duration) -> Result<Stream, DialError> {
    let connected = tokio::time::timeout(limit, UnixStream::connect(path)).await;
    Ok(Stream::Unix(
        connected.map_err(|_| DialError::TimedOut(limit))??,
    ))
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
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
