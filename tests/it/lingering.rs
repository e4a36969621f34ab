//! An answer that comes before the request was read is an answer all the same: the connection is
//! closed only when the client could read it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::instance::World;
use crate::support::raw::{PATIENCE, Wire};

const LARGE: usize = 10 * 1024 * 1024;

fn upload(framing: &str) -> String {
    format!("POST /upload HTTP/1.1\r\nHost: gate.test\r\n{framing}\r\n\r\n")
}

// L6, Q5: a client that writes all before it reads anything gets its refusal, and the connection is
// of no further use.
#[test]
fn a_refusal_before_a_large_body_reaches_who_writes_first_and_reads_then() {
    let world = World::start();
    let length = format!("Content-Length: {LARGE}");
    let chunked = format!("{LARGE:x}\r\n");
    for (framing, before, after) in [
        (length.as_str(), "", ""),
        (
            "Transfer-Encoding: chunked",
            chunked.as_str(),
            "\r\n0\r\n\r\n",
        ),
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(upload(framing));
        wire.send(before);
        wire.send(vec![b'x'; LARGE]);
        wire.send(after);
        wire.send("GET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        let answer = wire.answer_to("POST").expect("the refusal");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.field("connection"), Some("close"), "{framing}");
        assert_eq!(answer.json()["code"], "login_required");
        assert!(wire.is_closed(), "{framing}: nothing more is answered");
    }
    assert!(world.app.arrived().is_empty());
}

// L6: nor is a connection of use behind any other refusal, and it says so.
#[test]
fn a_refusal_of_any_kind_says_that_a_large_body_ends_its_connection() {
    let world = World::start();
    let long = format!("/{}", "a".repeat(33 * 1024));
    for (target, status) in [("/%00", 400), (long.as_str(), 414), ("/oauth2/none", 404)] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "POST {target} HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {LARGE}\r\n\r\n"
        ));
        wire.send(vec![b'x'; LARGE]);
        let answer = wire.answer_to("POST").expect("the refusal");
        assert_eq!(answer.status, status);
        assert_eq!(answer.field("connection"), Some("close"), "{status}");
        assert!(wire.is_closed(), "{status}");
    }
    assert!(world.app.arrived().is_empty());
}

// Q5: who never ends is not listened to for long, and nothing of it is kept.
#[test]
fn what_follows_a_refusal_is_ignored_for_a_bounded_time_and_in_bounded_number() {
    let world = World::start();
    // A client that goes on and on: cut after a number of bytes.
    let mut stream = TcpStream::connect(world.gate.address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let framing = upload("Transfer-Encoding: chunked");
    stream.write_all(framing.as_bytes()).unwrap();
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while stream.write_all(&piece).is_ok() {
        sent += piece.len();
        assert!(sent < 64 * 1024 * 1024, "nobody cuts it");
    }
    // A client that says no more, and does not go either: closed after a time.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(world.gate.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(framing.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401 "));
    let address = world.gate.address;
    drop(stream);
    drop(world);
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert!(TcpStream::connect(address).is_err());
}

// Q4: so is a head that is refused before its end.
#[test]
fn a_head_that_is_far_too_large_is_told_so() {
    let world = World::start();
    for bomb in [
        format!(
            "GET /x HTTP/1.1\r\nHost: gate.test\r\nX: {}\r\n\r\n",
            "x".repeat(1 << 20)
        ),
        format!(
            "GET /x HTTP/1.1\r\nHost: gate.test\r\n{}\r\n",
            "X: y\r\n".repeat(10_000)
        ),
        format!(
            "GET /{} HTTP/1.1\r\nHost: gate.test\r\n\r\n",
            "x".repeat(64 * 1024)
        ),
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(&bomb);
        wire.finish_sending();
        let answer = wire.answer_to("GET").expect("the refusal");
        assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
        assert!(wire.is_closed());
    }
    assert!(world.app.arrived().is_empty());
}
