//! The chunked coding (RFC 9112 section 7.1).

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::Malformed;

/// All that may come between chunks beside their sizes, in bytes of one body.
const EXTENSIONS: usize = 16 * 1024;
/// The trailer fields, in bytes and in number.
const TRAILERS: usize = 16 * 1024;
const TRAILER_FIELDS: usize = 64;
/// The digits of a size that fits into 64 bits.
const DIGITS: u8 = 16;

/// Takes a body out of its chunks.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// Of the chunk that is being read.
    left: u64,
    extensions: usize,
    trailers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many digits of a size were read.
    Size(u8),
    /// Blanks behind a size.
    Blank,
    Extension,
    /// The line feed that ends the line of a size.
    SizeEnd,
    Data,
    /// The end of line behind a chunk.
    DataReturn,
    DataFeed,
    Trailers,
    Ended,
}

/// What comes next of a body.
#[derive(Debug, PartialEq)]
pub enum Piece {
    /// So much of it.
    Data(Bytes),
    /// Nothing, until more bytes are there.
    More,
    /// Its end, with these trailer fields, or none.
    End(HeaderMap),
}

impl Default for Chunked {
    fn default() -> Self {
        Self {
            state: State::Size(0),
            left: 0,
            extensions: 0,
            trailers: Vec::new(),
        }
    }
}

impl Chunked {
    /// Reads on: takes from `bytes` what it has read. What is left there after the end is none of the
    /// body's.
    ///
    /// # Errors
    /// [`Malformed`]; the end of the body cannot be known then.
    pub fn read(&mut self, bytes: &mut Bytes) -> Result<Piece, Malformed> {
        loop {
            match self.state {
                State::Data => {
                    if bytes.is_empty() {
                        return Ok(Piece::More);
                    }
                    let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                    let data = bytes.split_to(left.min(bytes.len()));
                    self.left -= u64::try_from(data.len()).unwrap_or(u64::MAX);
                    if self.left == 0 {
                        self.state = State::DataReturn;
                    }
                    return Ok(Piece::Data(data));
                }
                State::Trailers => return self.trailers(bytes),
                State::Ended => return Ok(Piece::End(HeaderMap::new())),
                _ => {
                    let Some(&byte) = bytes.first() else {
                        return Ok(Piece::More);
                    };
                    self.state = self.after(byte)?;
                    bytes.advance(1);
                }
            }
        }
    }

    /// The state after a byte that is neither of a chunk nor of the trailer fields.
    fn after(&mut self, byte: u8) -> Result<State, Malformed> {
        let state = match (self.state, byte) {
            (State::Size(digits), byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed::Chunk)?;
                if digits == DIGITS {
                    return Err(Malformed::Chunk);
                }
                self.left = (self.left << 4) | u64::from(digit);
                State::Size(digits + 1)
            }
            (State::Size(0), _) => return Err(Malformed::Chunk),
            (State::Size(_) | State::Blank, b' ' | b'\t') => State::Blank,
            (State::Size(_) | State::Blank, b';') => State::Extension,
            (State::Size(_) | State::Blank | State::Extension, b'\r') => State::SizeEnd,
            // A line feed alone ends a line for some readers only.
            (State::Extension, byte) if byte != b'\n' && byte != 0 => State::Extension,
            (State::SizeEnd, b'\n') if self.left == 0 => State::Trailers,
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataReturn, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => State::Size(0),
            _ => return Err(Malformed::Chunk),
        };
        if matches!(state, State::Blank | State::Extension) {
            self.extensions += 1;
            if self.extensions > EXTENSIONS {
                return Err(Malformed::Chunk);
            }
        }
        Ok(state)
    }

    /// Takes of `bytes` up to the empty line behind the trailer fields.
    fn trailers(&mut self, bytes: &mut Bytes) -> Result<Piece, Malformed> {
        while let Some(&byte) = bytes.first() {
            bytes.advance(1);
            self.trailers.push(byte);
            let line_feed_alone = byte == b'\n' && !self.trailers.ends_with(b"\r\n");
            if line_feed_alone || self.trailers.len() > TRAILERS {
                return Err(Malformed::Chunk);
            }
            if self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
                self.state = State::Ended;
                return Ok(Piece::End(self.fields()?));
            }
        }
        Ok(Piece::More)
    }

    fn fields(&mut self) -> Result<HeaderMap, Malformed> {
        let text = std::mem::take(&mut self.trailers);
        let mut room = [httparse::EMPTY_HEADER; TRAILER_FIELDS];
        let parsed = httparse::parse_headers(&text, &mut room);
        let Ok(httparse::Status::Complete((_, fields))) = parsed else {
            return Err(Malformed::Chunk);
        };
        let mut headers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            headers.append(
                name.map_err(|_| Malformed::Chunk)?,
                value.map_err(|_| Malformed::Chunk)?,
            );
        }
        Ok(headers)
    }
}
