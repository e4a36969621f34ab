//! The WebSocket that echoes (RFC 6455): the handshake, and the loop over messages.

mod frame;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{
    ALLOW, CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::demo::serve::{self, Body, Closing};
use frame::{CloseCode, Frame, Malformed, Opcode};

/// The longest message that is echoed, in bytes, whole or in fragments.
const MESSAGE_LIMIT: usize = 1024 * 1024;
/// How long a peer may take to hang up after the last frame.
const PARTING_LIMIT: Duration = Duration::from_secs(2);
/// RFC 6455 section 1.3.
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Switches protocols and echoes, or says why not.
pub(super) fn answer(request: Request<Incoming>, closing: Closing) -> Response<Body> {
    let accept = match accept(request.headers()) {
        Ok(accept) => accept,
        Err(refusal) => return refusal.response(),
    };
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => {
                if let Err(error) = echo(TokioIo::new(upgraded), closing).await {
                    tracing::debug!(%error, "a WebSocket ended early");
                }
            }
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
    });
    let mut response = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Why a request does not open a WebSocket (RFC 6455 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoHandshake {
    /// It does not ask for one.
    NotAsked,
    /// Another version than 13 (section 4.4).
    Version,
    /// No key of 16 bytes.
    Key,
}

impl NoHandshake {
    fn response(self) -> Response<Body> {
        let upgrade = HeaderValue::from_static("websocket");
        let (status, name, value): (_, HeaderName, _) = match self {
            Self::NotAsked => (StatusCode::UPGRADE_REQUIRED, UPGRADE, upgrade),
            Self::Version => (
                StatusCode::UPGRADE_REQUIRED,
                SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            ),
            Self::Key => (
                StatusCode::BAD_REQUEST,
                ALLOW,
                HeaderValue::from_static("GET"),
            ),
        };
        let mut response = text(status, "this is a WebSocket\n");
        response.headers_mut().insert(name, value);
        response
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(serve::full(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

/// The value of `Sec-WebSocket-Accept` (section 4.2.2).
fn accept(headers: &HeaderMap) -> Result<HeaderValue, NoHandshake> {
    if !lists(headers, &UPGRADE, "websocket") || !lists(headers, &CONNECTION, "upgrade") {
        return Err(NoHandshake::NotAsked);
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes)
        != Some(b"13")
    {
        return Err(NoHandshake::Version);
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok())
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or(NoHandshake::Key)?;
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{ACCEPT_GUID}").as_bytes(),
    );
    HeaderValue::try_from(STANDARD.encode(hash)).map_err(|_| NoHandshake::Key)
}

/// Whether a list field has `word` among its members, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .any(|member| member.trim().eq_ignore_ascii_case(word))
}

// --- the open connection -------------------------------------------------------------------------

/// What the connection is in the middle of.
#[derive(Default)]
struct Message {
    /// The kind of the first fragment, while fragments are coming.
    kind: Option<Opcode>,
    payload: BytesMut,
}

/// What follows from a frame.
enum Next {
    /// Send this.
    Reply(Frame),
    /// Wait for more.
    Wait,
    /// Send this and end.
    Close(Frame),
}

/// Echoes messages until either side closes.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut closing: Closing,
) -> std::io::Result<()> {
    let mut received = BytesMut::new();
    let mut message = Message::default();
    loop {
        let next = match frame::parse(&mut received, MESSAGE_LIMIT) {
            Ok(None) => {
                tokio::select! {
                    () = closing.wait() => {
                        return part(stream, &Frame::close(CloseCode::GoingAway)).await;
                    }
                    read = stream.read_buf(&mut received) => if read? == 0 { return Ok(()) },
                }
                continue;
            }
            Ok(Some(frame)) => message.take(frame),
            Err(Malformed(code)) => Next::Close(Frame::close(code)),
        };
        match next {
            Next::Wait => {}
            Next::Reply(frame) => stream.write_all(&frame.encode()).await?,
            Next::Close(frame) => return part(stream, &frame).await,
        }
    }
}

/// Sends the last frame, then lets the peer finish what it is sending: bytes that nobody reads make
/// the system reset the connection, and the frame is lost with it.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    frame: &Frame,
) -> std::io::Result<()> {
    stream.write_all(&frame.encode()).await?;
    stream.shutdown().await?;
    let rest = async { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await };
    tokio::time::timeout(PARTING_LIMIT, rest).await.ok();
    Ok(())
}

impl Message {
    /// Judges a frame by what came before it (RFC 6455 sections 5.4, 5.5, 8.1).
    fn take(&mut self, frame: Frame) -> Next {
        match frame.opcode {
            Opcode::Ping => Next::Reply(Frame::whole(Opcode::Pong, frame.payload)),
            Opcode::Pong => Next::Wait,
            Opcode::Close => Next::Close(frame::answer_to_close(&frame.payload)),
            Opcode::Text | Opcode::Binary if self.kind.is_some() => {
                Next::Close(Frame::close(CloseCode::ProtocolError))
            }
            Opcode::Text | Opcode::Binary => {
                self.kind = Some(frame.opcode);
                self.append(&frame)
            }
            Opcode::Continuation if self.kind.is_none() => {
                Next::Close(Frame::close(CloseCode::ProtocolError))
            }
            Opcode::Continuation => self.append(&frame),
        }
    }

    fn append(&mut self, frame: &Frame) -> Next {
        if self.payload.len() + frame.payload.len() > MESSAGE_LIMIT {
            return Next::Close(Frame::close(CloseCode::TooBig));
        }
        self.payload.extend_from_slice(&frame.payload);
        if !frame.last {
            return Next::Wait;
        }
        let payload = std::mem::take(&mut self.payload).freeze();
        let kind = self.kind.take().unwrap_or(Opcode::Binary);
        if kind == Opcode::Text && std::str::from_utf8(&payload).is_err() {
            return Next::Close(Frame::close(CloseCode::NotText));
        }
        Next::Reply(Frame::whole(kind, payload))
    }
}
