//! An answer of HTTP/1.1: read in one way, the same in whatever pieces it comes, and never beyond what
//! it says of itself.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method};
use sidegate::base::answer::{
    Chunked, Framing, Head, Malformed, Piece, Read, Reuse, may_end, read,
};

use super::Outcome;

/// The first byte chooses the method; the rest is what an upstream sends.
pub fn run(data: &[u8]) -> Outcome {
    let Some((first, sent)) = data.split_first() else {
        return Outcome::Refused;
    };
    let method = if first % 8 == 0 {
        Method::HEAD
    } else {
        Method::GET
    };
    let bytes = Bytes::copy_from_slice(sent);
    let length = match read(&bytes, &method) {
        Ok(Read::Head(head)) => {
            let rest = bytes.slice(head.length..);
            hold(&head, &method);
            if head.framing == Framing::Chunked {
                the_same_in_pieces(&rest);
            }
            head.length
        }
        Ok(Read::Interim(length)) => length,
        Ok(Read::More) | Err(_) => return Outcome::Refused,
    };
    assert!(length > 0 && length <= bytes.len());
    assert!(may_end(&bytes[..length], 0) && may_end(&bytes[..length], length - 1));
    for torn in 0..length {
        let part = read(&bytes.slice(..torn), &method);
        assert!(matches!(part, Ok(Read::More)), "torn at {torn}");
    }
    Outcome::Accepted
}

/// What is true of every head.
fn hold(head: &Head, method: &Method) {
    for value in head.headers.values() {
        let bytes = value.as_bytes();
        assert!(!bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let lengths: Vec<_> = head.headers.get_all(CONTENT_LENGTH).iter().collect();
    assert!(lengths.len() <= 1, "one length, said once");
    let is_coded = head.headers.contains_key(TRANSFER_ENCODING);
    match head.framing {
        Framing::Length(length) => {
            assert_eq!(lengths[0].to_str().unwrap(), length.to_string());
            assert!(length > 0 && !is_coded);
        }
        Framing::Chunked => assert!(is_coded),
        Framing::UntilClose => {
            assert!(lengths.is_empty() && !is_coded);
            assert_eq!(head.reuse, Reuse::Over);
        }
        Framing::None => {
            let empty = lengths.first().is_some_and(|length| *length == "0");
            let bodiless = matches!(head.status.as_u16(), 101 | 204 | 304);
            assert!(empty || bodiless || *method == Method::HEAD);
        }
    }
    if is_coded && !lengths.is_empty() && *method != Method::HEAD {
        assert_eq!(head.reuse, Reuse::Over, "two framings");
    }
}

/// A body, how much is left behind it, and its trailer fields; nothing, if it is not whole.
type Whole = Option<(Vec<u8>, usize, HeaderMap)>;

fn unchunked(rest: &Bytes, step: usize) -> Result<Whole, Malformed> {
    let (mut chunks, mut body, mut left) = (Chunked::default(), Vec::new(), BytesMut::new());
    let mut taken = 0;
    while taken < rest.len() {
        let end = rest.len().min(taken + step);
        left.extend_from_slice(&rest[taken..end]);
        taken = end;
        let mut bytes = left.split().freeze();
        loop {
            match chunks.read(&mut bytes)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::More => break,
                Piece::End(trailers) => {
                    let behind = rest.len() - taken + bytes.len();
                    return Ok(Some((body, behind, trailers)));
                }
            }
        }
        assert!(bytes.is_empty(), "nothing is left to be read again");
    }
    Ok(None)
}

fn the_same_in_pieces(rest: &Bytes) {
    let whole = unchunked(rest, rest.len().max(1));
    if let Ok(Some((body, behind, _))) = &whole {
        assert!(body.len() + behind <= rest.len());
    }
    for step in [1, 2, 7] {
        assert_eq!(unchunked(rest, step), whole, "in pieces of {step}");
    }
}
