//! Heads, trailers and lengths over HTTP/2 that are none: no app hears of them.

use crate::support::frames::{
    DATA, END_STREAM, Http2, NONE, Outcome, PROTOCOL_ERROR, asking, block, frame, literal,
};
use crate::support::instance::World;
use crate::support::upstream::Arrived;

const LISTEN: &str = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
const OPEN: &str = "routes: [{ access: public }]";

fn world(more: &str) -> World {
    World::listening(LISTEN, more)
}

/// What is wrong, the block or head, its flags, and the pieces of the body.
type Row<'a> = (&'a str, Vec<u8>, u8, &'a [&'a [u8]]);

// M2: what is no field is no request, and nothing of it reaches an app.
#[test]
#[expect(clippy::too_many_lines, reason = "a table, a row a case")]
fn malformed_heads_cost_their_stream_and_reach_no_app() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let with = |more: &[(&str, &str)]| {
        let mut fields = asking("GET", "/evil");
        fields.extend(more);
        block(&fields)
    };
    let pseudo = |fields: &[(&str, &str)]| block(fields);
    let raw = |name: &[u8], value: &[u8]| [with(&[]), literal(name, value)].concat();
    let path = |path: &str| {
        pseudo(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "gate.test"),
            (":path", path),
        ])
    };
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("upper case", raw(b"X-Big", b"1")),
        ("an upper-case letter inside", raw(b"x-biG", b"1")),
        ("an empty name", raw(b"", b"1")),
        ("a blank in a name", raw(b"x y", b"1")),
        ("a colon in a name", raw(b"x:y", b"1")),
        ("CR in a value", raw(b"x-a", b"1\rb")),
        ("LF in a value", raw(b"x-a", b"1\nx-injected: 1")),
        ("CRLF in a value", raw(b"x-a", b"1\r\nx-injected: 1")),
        ("NUL in a value", raw(b"x-a", b"1\x002")),
        ("LF in a name", raw(b"x-a\n", b"1")),
        ("CRLF in a name", raw(b"x-a: 1\r\nx-injected", b"1")),
        ("connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "timeout=5")])),
        (
            "proxy-connection",
            with(&[("proxy-connection", "keep-alive")]),
        ),
        (
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
        ),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("te that is more than trailers", with(&[("te", "gzip")])),
        (
            "te that is trailers and more",
            with(&[("te", "trailers, deflate")]),
        ),
        ("an unknown pseudo-header", {
            let mut fields = asking("GET", "/evil");
            fields.push((":user", "alice"));
            block(&fields)
        }),
        ("a pseudo-header of answers", {
            let mut fields = asking("GET", "/evil");
            fields.push((":status", "200"));
            block(&fields)
        }),
        (
            "a pseudo-header after a field",
            with(&[("x-a", "1"), (":path", "/other")]),
        ),
        ("two paths", with(&[(":path", "/other")])),
        ("two methods", with(&[(":method", "POST")])),
        ("two schemes", with(&[(":scheme", "http")])),
        ("two authorities", with(&[(":authority", "other.test")])),
        (
            "no method",
            pseudo(&[
                (":scheme", "https"),
                (":authority", "gate.test"),
                (":path", "/"),
            ]),
        ),
        (
            "no scheme",
            pseudo(&[
                (":method", "GET"),
                (":authority", "gate.test"),
                (":path", "/"),
            ]),
        ),
        (
            "no path",
            pseudo(&[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "gate.test"),
            ]),
        ),
        ("an empty path", path("")),
        ("a path without a slash", path("evil")),
        ("a path with a blank", path("/e vil")),
        (
            "a path with a request in it",
            path("/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        ),
        ("a path with a control character", path("/\u{1}")),
        ("a protocol without CONNECT", {
            let mut fields = asking("GET", "/evil");
            fields.push((":protocol", "websocket"));
            block(&fields)
        }),
        ("an authority with a blank", {
            pseudo(&[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "gate test"),
                (":path", "/"),
            ])
        }),
    ];
    let mut complaints = Vec::new();
    for (what, block) in rows {
        let (text, outcome) = (
            String::from_utf8_lossy(&block).into_owned(),
            connection.ask_block(&block),
        );
        match outcome {
            Outcome::Reset(PROTOCOL_ERROR) => {}
            // What cannot be a field at all may cost the connection (RFC 9113 section 5.4.1).
            Outcome::Gone(Some(_)) => connection = Http2::connect(world.gate.address),
            other => complaints.push(format!("{what}: {other:?}")),
        }
        assert!(world.app.arrived().is_empty(), "{what}: {text}");
        assert_eq!(connection.visit("/fine").status, 200, "after {what}");
        world.app.forget();
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

// M2, I3: the library cuts a fragment off; rules and app then see the same rest.
#[test]
fn a_fragment_in_a_path_is_seen_by_nobody() {
    let world =
        world("routes: [{ match: { path: /public/** }, access: public }, { access: signed_in }]");
    let mut connection = Http2::connect(world.gate.address);
    let cut = connection
        .ask(&asking("GET", "/private#/public/x"))
        .answer();
    assert_eq!(cut.status, 401);
    assert!(world.app.arrived().is_empty());
    let cut = connection
        .ask(&asking("GET", "/public/x#/private"))
        .answer();
    assert_eq!(cut.status, 200);
    assert!(
        world
            .app
            .last()
            .request_line()
            .starts_with("GET /public/x HTTP")
    );
}

// M2, J5: a trailer is no second head, and what cannot be a field ends the request. The library
// passes over pseudo-header fields in trailers instead of resetting the stream: nobody sees them.
#[test]
fn a_trailer_is_no_second_head() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    for trailer in [
        (":path", "/other"),
        (":method", "GET"),
        (":authority", "other.test"),
        ("X-Big", "other"),
        ("connection", "other"),
        ("host", "other.test"),
        ("x-forwarded-user", "other"),
    ] {
        let stream = connection.open();
        connection.send_block(stream, &block(&asking("POST", "/trailed")), NONE);
        connection.send(frame(DATA, NONE, stream, b"body"));
        connection.send_block(stream, &block(&[trailer]), END_STREAM);
        match connection.outcome(stream) {
            Outcome::Reset(PROTOCOL_ERROR) => {}
            Outcome::Gone(Some(_)) => connection = Http2::connect(world.gate.address),
            Outcome::Answered(answer) => assert_eq!(answer.status, 200, "{trailer:?}"),
            other => panic!("{trailer:?}: {other:?}"),
        }
        assert_eq!(connection.visit("/fine").status, 200);
    }
    let seen: String = world.app.arrived().iter().map(Arrived::text).collect();
    assert!(!seen.contains("other"), "{seen}");
}

// M3: an app is never told that a body was whole that was not.
#[test]
fn a_body_of_another_length_than_was_said_is_no_request() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let said = |length: &'static str| {
        let mut fields = asking("POST", "/sum");
        fields.push(("content-length", length));
        block(&fields)
    };
    let rows: [Row<'_>; 7] = [
        ("more", said("3"), NONE, &[b"four"]),
        ("less", said("5"), NONE, &[b"four"]),
        ("more in pieces", said("5"), NONE, &[b"thr", b"ee!"]),
        ("less in pieces", said("9"), NONE, &[b"thr", b"ee!"]),
        ("none at all", said("1"), END_STREAM, &[]),
        ("no number", said("+4"), NONE, &[b"four"]),
        (
            "two numbers",
            [said("4"), literal(b"content-length", b"5")].concat(),
            NONE,
            &[b"four"],
        ),
    ];
    for (what, head, flags, pieces) in rows {
        let stream = connection.open();
        connection.send_block(stream, &head, flags);
        for (at, piece) in pieces.iter().enumerate() {
            let last = if at + 1 == pieces.len() {
                END_STREAM
            } else {
                NONE
            };
            connection.send(frame(DATA, last, stream, piece));
        }
        match connection.outcome(stream) {
            Outcome::Reset(code) => assert_eq!(code, PROTOCOL_ERROR, "{what}"),
            Outcome::Answered(answer) => assert_eq!(answer.status, 400, "{what}"),
            Outcome::Gone(code) => panic!("{what}: {code:?}"),
        }
        assert!(
            world.app.arrived().is_empty(),
            "{what}: {:?}",
            world.app.arrived()
        );
        assert_eq!(connection.visit("/fine").status, 200, "after {what}");
        world.app.forget();
    }
    let mut fields = asking("POST", "/sum");
    fields.push(("content-length", "4"));
    assert_eq!(connection.post(&fields, b"four").answer().status, 200);
    assert_eq!(world.app.last().body(), b"four");
}

// M3: an app hears of one length, and of a number.
#[test]
fn a_length_that_is_said_twice_or_oddly_reaches_the_app_once_and_as_a_number() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let rows: [(&[&str], &[u8]); 5] = [
        (&["4", "4"], b"four"),
        (&["4", "004"], b"four"),
        (&["0004"], b"four"),
        (&[""], b""),
        (&["", "0"], b""),
    ];
    for (lengths, body) in rows {
        for method in ["POST", "GET"] {
            let mut fields = asking(method, "/sum");
            fields.extend(lengths.iter().map(|length| ("content-length", *length)));
            let outcome = connection.post(&fields, body);
            assert_eq!(outcome.answer().status, 200, "{lengths:?}");
            let arrived = world.app.last();
            let said = arrived.fields("Content-Length");
            assert_eq!(said, [body.len().to_string()], "{lengths:?}");
            assert!(
                arrived.fields("Transfer-Encoding").is_empty(),
                "{lengths:?}"
            );
            assert_eq!(arrived.body(), body, "{lengths:?}");
        }
    }
    // The same where the head is all there is.
    for lengths in [&[""][..], &["0", "0"], &["", "00"]] {
        let mut fields = asking("GET", "/sum");
        fields.extend(lengths.iter().map(|length| ("content-length", *length)));
        assert_eq!(connection.ask(&fields).answer().status, 200, "{lengths:?}");
        let said = world.app.last().fields("Content-Length");
        assert_eq!(said, ["0"], "{lengths:?}");
    }
}
