//! What carries a connection that something stands before: the header of a proxy, or TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::connection::Wire;
use super::listener::Socketed;
use crate::transport::server_tls::TlsStream;

/// A connection on which HTTP can be spoken.
#[derive(Debug)]
pub(super) enum Received {
    /// As it came, after the header of a proxy.
    Plain(Ahead),
    /// Within TLS.
    Tls(Box<TlsStream<Ahead>>),
}

/// A socket of either kind, and bytes of it that were read ahead.
#[derive(Debug)]
pub(super) struct Ahead {
    socket: Socket,
    ahead: Bytes,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Ahead {
    /// Nothing was read yet. Must be called within a runtime.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new(socket: Socketed) -> io::Result<Self> {
        let socket = match socket {
            Socketed::Tcp(socket) => Socket::Tcp(TcpStream::from_std(socket)?),
            Socketed::Unix(socket) => Socket::Unix(UnixStream::from_std(socket)?),
        };
        let ahead = Bytes::new();
        Ok(Self { socket, ahead })
    }

    /// Gives back what was read ahead; it is read before anything else.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }
}

/// Calls the method of whichever stream it is.
macro_rules! on_either {
    ($either:expr, $kind:ident($one:ident, $other:ident), $stream:ident => $call:expr) => {
        match $either {
            $kind::$one($stream) => $call,
            $kind::$other($stream) => $call,
        }
    };
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(self.ahead.get(..length).unwrap_or_default());
            self.ahead.advance(length);
            if self.ahead.is_empty() {
                self.ahead = Bytes::new(); // its memory is not needed any more
            }
            return Poll::Ready(Ok(()));
        }
        on_either!(&mut self.get_mut().socket, Socket(Tcp, Unix), socket => Pin::new(socket).poll_read(context, buffer))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(&mut self.get_mut().socket, Socket(Tcp, Unix), socket => Pin::new(socket).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(&mut self.get_mut().socket, Socket(Tcp, Unix), socket => Pin::new(socket).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(&mut self.get_mut().socket, Socket(Tcp, Unix), socket => Pin::new(socket).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(&mut self.get_mut().socket, Socket(Tcp, Unix), socket => Pin::new(socket).poll_shutdown(context))
    }
}

impl Received {
    /// What is spoken: by TLS that was agreed on in the handshake (RFC 7301), and else `cleartext`.
    pub(super) fn wire(&self, cleartext: Wire) -> Wire {
        match self {
            Self::Plain(_) => cleartext,
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => Wire::Http2,
            Self::Tls(_) => Wire::Http1,
        }
    }
}

impl AsyncRead for Received {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self.get_mut(), Received(Plain, Tls), stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Received {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self.get_mut(), Received(Plain, Tls), stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self.get_mut(), Received(Plain, Tls), stream => Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self.get_mut(), Received(Plain, Tls), stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self.get_mut(), Received(Plain, Tls), stream => Pin::new(stream).poll_shutdown(context))
    }
}
