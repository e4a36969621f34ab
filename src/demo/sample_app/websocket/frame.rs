//! WebSocket frames as bytes (RFC 6455 section 5.2).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(nibble: u8) -> Option<Self> {
        Some(match nibble {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn nibble(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Why a connection is closed (section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseCode {
    GoingAway,
    ProtocolError,
    NotText,
    TooBig,
}

impl CloseCode {
    fn number(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::NotText => 1007,
            Self::TooBig => 1009,
        }
    }
}

/// A frame, its payload unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Whether it ends its message.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Bytes,
}

/// The peer breaks the protocol, and is told so by this code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) CloseCode);

impl Frame {
    /// A message of one frame.
    pub(super) fn whole(opcode: Opcode, payload: Bytes) -> Self {
        Self {
            last: true,
            opcode,
            payload,
        }
    }

    /// A close frame with a code.
    pub(super) fn close(code: CloseCode) -> Self {
        let payload = Bytes::copy_from_slice(&code.number().to_be_bytes());
        Self::whole(Opcode::Close, payload)
    }

    /// The bytes as a server sends them: never masked (section 5.1).
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.payload.len() + 10);
        out.put_u8(u8::from(self.last) << 7 | self.opcode.nibble());
        match self.payload.len() {
            length @ 0..=125 => out.put_u8(u8::try_from(length).unwrap_or(125)),
            length => {
                if let Ok(length) = u16::try_from(length) {
                    out.put_u8(126);
                    out.put_u16(length);
                } else {
                    out.put_u8(127);
                    out.put_u64(u64::try_from(length).unwrap_or(u64::MAX));
                }
            }
        }
        out.extend_from_slice(&self.payload);
        out.freeze()
    }
}

/// Takes one whole frame of a client off `received`, or nothing while it is not whole. A frame
/// that announces more than `limit` bytes is refused before they are read.
///
/// # Errors
/// [`Malformed`]: reserved bits or opcodes, no mask, an oversized or fragmented control frame, a
/// length that is not written in the shortest form.
pub(super) fn parse(received: &mut BytesMut, limit: usize) -> Result<Option<Frame>, Malformed> {
    let broken = Malformed(CloseCode::ProtocolError);
    let mut rest = received.as_ref();
    if rest.len() < 2 {
        return Ok(None);
    }
    let (first, second) = (rest.get_u8(), rest.get_u8());
    let last = first & 0x80 != 0;
    let opcode = Opcode::parse(first & 0x0F).ok_or(broken)?;
    let short = second & 0x7F;
    let masked = second & 0x80 != 0;
    let fits_control = last && short <= 125;
    if first & 0x70 != 0 || !masked || (opcode.is_control() && !fits_control) {
        return Err(broken);
    }
    let length = match short {
        126 => match rest.try_get_u16() {
            Ok(length @ 126..) => u64::from(length),
            Ok(_) => return Err(broken),
            Err(_) => return Ok(None),
        },
        127 => match rest.try_get_u64() {
            Ok(length) if length > u64::from(u16::MAX) => length,
            Ok(_) => return Err(broken),
            Err(_) => return Ok(None),
        },
        short => u64::from(short),
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|&length| length <= limit)
        .ok_or(Malformed(CloseCode::TooBig))?;
    let Ok(mask) = rest.try_get_u32() else {
        return Ok(None);
    };
    if rest.len() < length {
        return Ok(None);
    }
    received.advance(received.len() - rest.len());
    let mut payload = received.split_to(length);
    for (byte, key) in payload
        .iter_mut()
        .zip(mask.to_be_bytes().into_iter().cycle())
    {
        *byte ^= key;
    }
    Ok(Some(Frame {
        last,
        opcode,
        payload: payload.freeze(),
    }))
}

/// The frame that answers a close frame: its own code back, if it is one that may be sent (section
/// 7.4.2) with a reason that is text.
pub(super) fn answer_to_close(payload: &[u8]) -> Frame {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Frame::whole(Opcode::Close, Bytes::new())
        } else {
            Frame::close(CloseCode::ProtocolError)
        };
    };
    let may_be_sent = matches!(
        u16::from_be_bytes(*code),
        1000..=1003 | 1007..=1014 | 3000..=4999
    );
    if !may_be_sent {
        return Frame::close(CloseCode::ProtocolError);
    }
    if std::str::from_utf8(reason).is_err() {
        return Frame::close(CloseCode::NotText);
    }
    Frame::whole(Opcode::Close, Bytes::copy_from_slice(code))
}
