//! The header that a proxy puts before a connection that it passes on, to say whose it is: the PROXY
//! protocol of `HAProxy`, versions 1 (a line of text) and 2 (binary).
//!
//! Only the source counts here. The destination and what version 2 may add are passed over.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is read, in bytes; version 2 allows for 64 KiB of additions, and those in
/// use fit many times.
pub const MOST: usize = 4096;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2: the signature, version and command, family, length.
const FIXED: usize = 16;
/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;

/// How far the reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// What is there may be the beginning of a header; more bytes are needed.
    More,
    /// The header ends after `length` bytes.
    Read {
        /// How long the header is, in bytes.
        length: usize,
        /// Whose connection it is.
        source: Source,
    },
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It comes from this address.
    Address(SocketAddr),
    /// The proxy does not say: it asks for itself, as for a health check, or passes on what has no
    /// address of the internet.
    Untold,
}

/// It is no header of the PROXY protocol, or one that is broken, too long, or for datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol")]
pub struct NoHeader;

/// Reads the header that `bytes` begin with; `bytes` are the first of a connection, however many of
/// them have come.
///
/// # Errors
/// [`NoHeader`] as soon as no further bytes can make it one.
pub fn read(bytes: &[u8]) -> Result<Progress, NoHeader> {
    if begins(bytes, SIGNATURE) {
        binary(bytes)
    } else if begins(bytes, WORD) {
        line(bytes)
    } else {
        Err(NoHeader)
    }
}

/// Whether `bytes` begin with `word`, as far as both go.
fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes.iter().zip(word).all(|(one, other)| one == other)
}

fn binary(bytes: &[u8]) -> Result<Progress, NoHeader> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else {
        return Ok(Progress::More);
    };
    let [.., command, family, high, low] = fixed else {
        return Err(NoHeader);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let whole = FIXED.saturating_add(length);
    if whole > MOST {
        return Err(NoHeader);
    }
    // Version 2 stands in the upper half, and there are two commands.
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(NoHeader),
    };
    // The family above, the transport below; datagrams do not come over a stream.
    if !matches!(family, 0x00 | 0x11 | 0x21 | 0x31) {
        return Err(NoHeader);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Progress::More);
    };
    let source = match family {
        _ if local => Source::Untold,
        0x11 => Source::Address(v4(body).ok_or(NoHeader)?),
        0x21 => Source::Address(v6(body).ok_or(NoHeader)?),
        _ => Source::Untold,
    };
    Ok(Progress::Read {
        length: whole,
        source,
    })
}

/// Source address, destination address, source port, destination port.
fn v4(body: &[u8]) -> Option<SocketAddr> {
    let (block, _) = body.split_first_chunk::<12>()?;
    let [a, b, c, d, _, _, _, _, high, low, _, _] = *block;
    let port = u16::from_be_bytes([high, low]);
    Some(SocketAddr::from((Ipv4Addr::new(a, b, c, d), port)))
}

fn v6(body: &[u8]) -> Option<SocketAddr> {
    let (block, _) = body.split_first_chunk::<36>()?;
    let (address, rest) = block.split_first_chunk::<16>()?;
    let port = rest.get(16..)?.first_chunk::<2>()?;
    let address = Ipv6Addr::from(*address);
    Some(SocketAddr::from((address, u16::from_be_bytes(*port))))
}

fn line(bytes: &[u8]) -> Result<Progress, NoHeader> {
    let within = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = within.iter().position(|&byte| byte == b'\n') else {
        return if within.len() < LONGEST_LINE {
            Ok(Progress::More)
        } else {
            Err(NoHeader)
        };
    };
    let line = within.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| line.strip_prefix(WORD));
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let line = line.ok_or(NoHeader)?;
    let source = if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        Source::Untold
    } else {
        Source::Address(words(line).ok_or(NoHeader)?)
    };
    Ok(Progress::Read {
        length: end.saturating_add(1),
        source,
    })
}

/// `TCP4 SOURCE DESTINATION SOURCE_PORT DESTINATION_PORT`, with one blank between.
fn words(line: &str) -> Option<SocketAddr> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let mut address = || -> Option<std::net::IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(Into::into),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(Into::into),
            _ => None,
        }
    };
    let (source, _destination) = (address()?, address()?);
    let (port, _destination) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then(|| (source, port).into())
}

/// Digits, without zeros that say nothing.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let padded = word.len() > 1 && word.starts_with('0');
    (plain && !padded).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
