use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;

use super::{Chunked, Framing, Head, Malformed, Piece, Read, Reuse, may_end, read};

fn head(text: &str, method: &Method) -> Result<Box<Head>, Malformed> {
    match read(&Bytes::copy_from_slice(text.as_bytes()), method)? {
        Read::Head(head) => Ok(head),
        other => panic!("{other:?} of {text:?}"),
    }
}

fn framed(fields: &str) -> Result<(Framing, Reuse), Malformed> {
    let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    head(&text, &Method::GET).map(|head| (head.framing, head.reuse))
}

// L12: where a body ends is known in one way, or there is no answer.
#[test]
fn the_end_of_a_body_is_known_in_one_way() {
    use Framing::{Chunked, Length, UntilClose};
    use Reuse::{Kept, Over};
    for (fields, wanted) in [
        ("Content-Length: 5\r\n", Ok((Length(5), Kept))),
        ("Content-Length: 0\r\n", Ok((Framing::None, Kept))),
        (
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            Ok((Length(5), Kept)),
        ),
        (
            "Content-Length: 5\r\nContent-Length: 05\r\n",
            Err(Malformed::Length),
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            Err(Malformed::Length),
        ),
        ("Content-Length: 5, 5\r\n", Err(Malformed::Length)),
        ("Content-Length: +5\r\n", Err(Malformed::Length)),
        ("Content-Length: -5\r\n", Err(Malformed::Length)),
        ("Content-Length: 0x5\r\n", Err(Malformed::Length)),
        ("Content-Length:\r\n", Err(Malformed::Length)),
        (
            "Content-Length: 18446744073709551616\r\n",
            Err(Malformed::Length),
        ),
        ("Transfer-Encoding: Chunked\r\n", Ok((Chunked, Kept))),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            Ok((Chunked, Over)),
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            Err(Malformed::Coding),
        ),
        ("Transfer-Encoding: identity\r\n", Err(Malformed::Coding)),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            Err(Malformed::Coding),
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Err(Malformed::Coding),
        ),
        ("Transfer-Encoding: \x0bchunked\r\n", Err(Malformed::Head)),
        ("", Ok((UntilClose, Over))),
        (
            "Content-Length: 5\r\nConnection: foo, Close\r\n",
            Ok((Length(5), Over)),
        ),
    ] {
        assert_eq!(framed(fields), wanted, "{fields:?}");
    }
}

// What has no body has none, and what says that it has one all the same is not trusted again.
#[test]
fn an_answer_without_a_body_ends_with_its_head() {
    for (status, method, fields, reuse) in [
        ("204 No Content", Method::GET, "", Reuse::Kept),
        (
            "204 No Content",
            Method::GET,
            "Content-Length: 0\r\n",
            Reuse::Kept,
        ),
        (
            "204 No Content",
            Method::GET,
            "Content-Length: 9\r\n",
            Reuse::Over,
        ),
        (
            "304 Not Modified",
            Method::GET,
            "Content-Length: 9\r\n",
            Reuse::Kept,
        ),
        (
            "304 Not Modified",
            Method::GET,
            "Transfer-Encoding: chunked\r\n",
            Reuse::Over,
        ),
        ("200 OK", Method::HEAD, "Content-Length: 9\r\n", Reuse::Kept),
        (
            "200 OK",
            Method::HEAD,
            "Transfer-Encoding: chunked\r\n",
            Reuse::Kept,
        ),
        ("101 Switching Protocols", Method::GET, "", Reuse::Over),
    ] {
        let head = head(&format!("HTTP/1.1 {status}\r\n{fields}\r\n"), &method).unwrap();
        assert_eq!(
            (head.framing, head.reuse),
            (Framing::None, reuse),
            "{status} {method} {fields}"
        );
    }
}

#[test]
fn an_old_answer_ends_its_connection_unless_it_says_otherwise() {
    for (fields, wanted) in [
        (
            "Content-Length: 5\r\n",
            Ok((Framing::Length(5), Reuse::Over)),
        ),
        (
            "Content-Length: 5\r\nConnection: Keep-Alive\r\n",
            Ok((Framing::Length(5), Reuse::Kept)),
        ),
        ("Transfer-Encoding: chunked\r\n", Err(Malformed::Coding)),
    ] {
        let text = format!("HTTP/1.0 200 OK\r\n{fields}\r\n");
        let got = head(&text, &Method::GET).map(|head| (head.framing, head.reuse));
        assert_eq!(got, wanted, "{fields}");
    }
}

#[test]
fn a_head_is_read_to_the_byte() {
    let text = "HTTP/1.1 418 I'm a teapot\r\nX-One: a b \r\nSet-Cookie: a=1\r\nx-empty:\r\nSet-Cookie: b=\u{e9}\r\n\r\nrest";
    let head = head(text, &Method::GET).unwrap();
    assert_eq!(head.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(text.get(head.length..), Some("rest"));
    let fields: Vec<(&str, &[u8])> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    assert_eq!(
        fields,
        [
            ("x-one", &b"a b"[..]),
            ("set-cookie", b"a=1"),
            ("set-cookie", "b=\u{e9}".as_bytes()),
            ("x-empty", b"")
        ]
    );
}

#[test]
fn what_is_no_head_is_refused_and_what_may_become_one_is_awaited() {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    for text in [
        "SSH-2.0-x\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        &many,
    ] {
        assert!(read(&bytes(text), &Method::GET).is_err(), "{text:?}");
    }
    let whole = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    for end in 0..whole.len() {
        let part = read(&bytes(&whole[..end]), &Method::GET);
        assert!(matches!(part, Ok(Read::More)), "{end}");
    }
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let Ok(Read::Interim(length)) = read(&bytes(interim), &Method::GET) else {
        panic!("no interim answer");
    };
    assert_eq!(length, interim.len());
}

#[test]
fn the_end_of_a_head_is_noticed_however_it_comes() {
    for text in [
        "HTTP/1.1 200 OK\r\nX: y\r\n\r\n",
        "HTTP/1.1 200 OK\nX: y\n\n",
    ] {
        let bytes = text.as_bytes();
        for from in 0..bytes.len() {
            assert!(may_end(bytes, from), "{from}");
            assert!(!may_end(&bytes[..bytes.len() - 1], 0));
        }
    }
}

/// A body, what is left behind it, and its trailer fields.
type Whole = (Vec<u8>, Vec<u8>, HeaderMap);

/// The body that comes in these pieces, if it is whole.
fn unchunked(pieces: &[&[u8]]) -> Result<Option<Whole>, Malformed> {
    let (mut chunks, mut body, mut rest) = (Chunked::default(), Vec::new(), BytesMut::new());
    let mut trailers = None;
    for piece in pieces {
        rest.extend_from_slice(piece);
        let mut bytes = rest.split().freeze();
        while trailers.is_none() {
            match chunks.read(&mut bytes)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::More => break,
                Piece::End(fields) => trailers = Some(fields),
            }
        }
        rest.extend_from_slice(&bytes);
    }
    Ok(trailers.map(|trailers| (body, rest.to_vec(), trailers)))
}

#[test]
fn chunks_are_taken_apart_and_trailers_read() {
    let text = b"5;a=b\r\nwords\r\n00A \r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nrest";
    let (body, rest, trailers) = unchunked(&[text]).unwrap().unwrap();
    assert_eq!(
        (&body[..], &rest[..]),
        (&b"words0123456789"[..], &b"rest"[..])
    );
    assert_eq!(trailers.get("x-sum").unwrap(), "1");
}

// L12: a body whose end could be seen elsewhere has none.
#[test]
fn what_is_not_between_chunks_is_refused() {
    let long = format!("5;{}", "x".repeat(20_000));
    let trailers = format!("0\r\nx: {}", "y".repeat(20_000));
    for text in [
        "\r\n",
        "zz\r\n",
        "-1\r\n",
        "+1\r\nx",
        "0x5\r\n",
        " 5\r\nwords\r\n",
        "5\nwords\r\n",
        "5\r\nwords\n",
        "5\r\nwordsx",
        "5 5\r\n",
        "5;a\nb\r\n",
        "5\rX",
        "10000000000000000\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx y\r\n\r\n",
        &long,
        &trailers,
    ] {
        assert_eq!(
            unchunked(&[text.as_bytes()]),
            Err(Malformed::Chunk),
            "{text:?}"
        );
    }
}

proptest! {
    // However the bytes come, the body is the same.
    #[test]
    fn chunks_are_the_same_however_they_come(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut text = Vec::new();
        for chunk in &chunks {
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\nrest");
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
        let (body, rest, _) = unchunked(&pieces).unwrap().unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(rest, b"rest");
    }

    // Nothing that an upstream sends brings the reader down.
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        drop(read(&bytes, &Method::GET));
        drop(unchunked(&[&bytes]));
    }
}
