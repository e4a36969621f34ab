//! An answer of HTTP/1.1 as it comes from an upstream (RFC 9112): its head, and where its body ends.
//!
//! Stricter than the RFC where readers differ: whoever frames an answer in a way that two readers may
//! understand differently gets no answer through.

mod chunked;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

pub use self::chunked::{Chunked, Piece};

/// The most fields of a head: what other proxies allow, too.
const FIELDS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// Its status, 101 or one that is final.
    pub status: StatusCode,
    /// Its fields, in the order in which they came.
    pub headers: HeaderMap,
    /// How long the head is, in bytes.
    pub length: usize,
    /// Where its body ends.
    pub framing: Framing,
    /// Whether another request may follow on the same connection.
    pub reuse: Reuse,
}

/// Where the body of an answer ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Whether a connection can be used again after an answer that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It can.
    Kept,
    /// It closes, or the answer was odd.
    Over,
}

/// How far the reading has come.
#[derive(Debug)]
pub enum Read {
    /// What is there may be the beginning of a head; more bytes are needed.
    More,
    /// An interim answer (RFC 9110 section 15.2) of so many bytes, which means nothing to us.
    Interim(usize),
    /// The answer.
    Head(Box<Head>),
}

/// Why there is no answer in what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No status line, or no fields.
    #[error("its head is no head of HTTP/1.1")]
    Head,
    /// More fields than are read.
    #[error("its head has more than {FIELDS} fields")]
    Fields,
    /// A length that is none, or several.
    #[error("its `Content-Length` is none")]
    Length,
    /// A coding that is not `chunked` alone.
    #[error("its `Transfer-Encoding` is not `chunked`")]
    Coding,
    /// What is between the chunks.
    #[error("its chunks are none")]
    Chunk,
}

/// Reads the head that `bytes` begin with, of the answer to a request with this `method`. The values
/// of the fields share the memory of `bytes`.
///
/// # Errors
/// [`Malformed`], as soon as no further bytes can make it a head that is understood in one way.
pub fn read(bytes: &Bytes, method: &Method) -> Result<Read, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut answer,
        bytes,
        &mut fields,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Read::More),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::Fields),
        Err(_) => return Err(Malformed::Head),
    };
    let code = answer.code.ok_or(Malformed::Head)?;
    let status = StatusCode::from_u16(code).map_err(|_| Malformed::Head)?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Read::Interim(length));
    }
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for field in answer.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // A value without bytes has no place in `bytes`.
        let value = if field.value.is_empty() {
            HeaderValue::from_static("")
        } else {
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
            value.map_err(|_| Malformed::Head)?
        };
        headers.append(name.map_err(|_| Malformed::Head)?, value);
    }
    let version = match answer.version {
        Some(1) => Version::Http11,
        _ => Version::Http10,
    };
    let (framing, odd) = framing(&mut headers, (status, method), version)?;
    let reuse = match (odd, persists(&headers, version)) {
        (Oddity::None, true)
            if framing != Framing::UntilClose && status != StatusCode::SWITCHING_PROTOCOLS =>
        {
            Reuse::Kept
        }
        _ => Reuse::Over,
    };
    Ok(Read::Head(Box::new(Head {
        status,
        headers,
        length,
        framing,
        reuse,
    })))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// Whether an answer says something that another reader may take for another end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    None,
    Some,
}

fn framing(
    headers: &mut HeaderMap,
    (status, method): (StatusCode, &Method),
    version: Version,
) -> Result<(Framing, Oddity), Malformed> {
    let length = length(headers)?;
    let chunked = is_chunked(headers, version)?;
    let bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *method == Method::HEAD;
    if bodiless {
        // What a body would be like, an answer to HEAD may say, and of its length one with 304.
        let long = length.is_some_and(|length| length > 0) && status != StatusCode::NOT_MODIFIED;
        let odd = (chunked || long) && *method != Method::HEAD;
        let odd = if odd { Oddity::Some } else { Oddity::None };
        return Ok((Framing::None, odd));
    }
    Ok(match (chunked, length) {
        (true, None) => (Framing::Chunked, Oddity::None),
        (true, Some(_)) => (Framing::Chunked, Oddity::Some),
        (false, Some(0)) => (Framing::None, Oddity::None),
        (false, Some(length)) => (Framing::Length(length), Oddity::None),
        (false, None) => (Framing::UntilClose, Oddity::None),
    })
}

/// The length that is said, which is left said once; several are one if they are the same.
fn length(headers: &mut HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let digits = first.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    let text = first.to_str().map_err(|_| Malformed::Length)?;
    let length = text.parse().map_err(|_| Malformed::Length)?;
    let mut repeated = false;
    for line in lines {
        if line != first {
            return Err(Malformed::Length);
        }
        repeated = true;
    }
    if repeated || digits.len() > 1 && digits.starts_with(b"0") {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(Some(length))
}

/// Whether the body comes in chunks, which it can in HTTP/1.1 alone (RFC 9112 section 6.1).
fn is_chunked(headers: &HeaderMap, version: Version) -> Result<bool, Malformed> {
    match check_coding(headers)? {
        Coding::Chunked if version == Version::Http10 => Err(Malformed::Coding),
        coding => Ok(coding == Coding::Chunked),
    }
}

/// How a body is coded for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    None,
    /// In chunks.
    Chunked,
}

/// The transfer coding that the fields of a head say.
///
/// # Errors
/// [`Malformed::Coding`]: any but `chunked`, said once. Another one would stay in the body unsaid.
pub fn check_coding(headers: &HeaderMap) -> Result<Coding, Malformed> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(first) = lines.next() else {
        return Ok(Coding::None);
    };
    let known = first.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !known || lines.next().is_some() {
        return Err(Malformed::Coding);
    }
    Ok(Coding::Chunked)
}

/// Whether the connection is kept (RFC 9112 section 9.3).
fn persists(headers: &HeaderMap, version: Version) -> bool {
    let says = |wanted: &str| {
        let lines = headers.get_all(CONNECTION).iter();
        let mut options = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    match version {
        Version::Http11 => !says("close"),
        Version::Http10 => says("keep-alive") && !says("close"),
    }
}

/// Whether a head may end in `bytes` at or after `from`: an empty line is there.
#[must_use]
pub fn may_end(bytes: &[u8], from: usize) -> bool {
    let mut rest = bytes.get(from.saturating_sub(3)..).unwrap_or_default();
    while let Some(at) = memchr::memchr(b'\n', rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return true;
        }
    }
    false
}
