//! What is permitted passes as it is: bodies, streams, upgrades, connections.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World, yaml};
use crate::support::nobody::nobody;
use crate::support::raw::Wire;
use crate::support::upstream::Upstream;

fn cookie(browser: &Browser) -> String {
    let pairs: Vec<_> = browser
        .jar
        .iter()
        .filter(|one| one.host == "gate.test")
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    pairs.join("; ")
}

/// An app that runs `act` on each connection.
fn app(act: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(act));
    url
}

fn head_of(stream: &mut std::net::TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[test]
fn a_large_body_arrives_as_it_was_sent() {
    let world = World::start();
    let alice = world.signed_in("alice");
    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|at| at.to_le_bytes()[usize::try_from(at % 4).unwrap()])
        .collect();
    for framing in [
        format!("Content-Length: {}\r\n", body.len()),
        "Transfer-Encoding: chunked\r\n".to_owned(),
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "POST /upload HTTP/1.1\r\nHost: gate.test\r\nCookie: {}\r\n{framing}\r\n",
            cookie(&alice)
        ));
        if framing.starts_with("Content") {
            wire.send(&body);
        } else {
            for chunk in body.chunks(100_000) {
                wire.send(format!("{:x}\r\n", chunk.len()));
                wire.send(chunk);
                wire.send("\r\n");
            }
            wire.send("0\r\n\r\n");
        }
        assert_eq!(wire.answer_to("POST").unwrap().status, 200);
        let arrived = world.app.last();
        if framing.starts_with("Content") {
            assert!(arrived.body() == body);
        } else {
            assert!(arrived.bytes.len() > body.len());
            assert_eq!(
                arrived.fields("content-length").len() + arrived.fields("transfer-encoding").len(),
                1
            );
        }
    }
}

/// Alice before the app at `url`, where she has heard the first event of a stream: what came of it.
fn at_the_first_event(url: &str) -> (World, Browser, Wire, Vec<u8>) {
    let world = World::start();
    let alice = world.signed_in("alice");
    let text = yaml(world.provider.issuer(), url, "");
    world.gate.reload(&text).unwrap();
    let mut wire = Wire::connect(world.gate.address);
    wire.send(format!(
        "GET /events HTTP/1.1\r\nHost: gate.test\r\nCookie: {}\r\n\r\n",
        cookie(&alice)
    ));
    assert_eq!(wire.head().unwrap().status, 200);
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first\n\n") {
        seen.extend(wire.some());
    }
    (world, alice, wire, seen)
}

// G13, N6: an event stream ends with its session, between two of its pieces.
#[test]
fn a_stream_ends_when_its_session_is_signed_out() {
    let stream = app(move |mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nfirst\n\n\r\n").unwrap();
        // Until the gate hangs up.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let (_world, mut alice, mut wire, mut seen) = at_the_first_event(&stream);
    let out = format!("{PUBLIC}/oauth2/sign_out");
    assert_eq!(alice.submit(&out, &format!("{PUBLIC}/"), "").status, 303);
    while !String::from_utf8_lossy(&seen).ends_with("0\r\n\r\n") {
        seen.extend(wire.some());
    }
}

// N6-like: what the app says is seen at once, before it has said everything.
#[test]
fn a_stream_is_seen_as_it_is_written() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let stream = app(move |mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nfirst\n\n\r\n").unwrap();
        told.lock().unwrap().recv().unwrap();
        stream.write_all(b"8\r\nsecond\n\n\r\n0\r\n\r\n").unwrap();
    });
    let (_world, _alice, mut wire, mut seen) = at_the_first_event(&stream);
    assert!(!String::from_utf8_lossy(&seen).contains("second"));
    tell.send(()).unwrap();
    while !String::from_utf8_lossy(&seen).contains("second\n\n") {
        seen.extend(wire.some());
    }
}

// N1, N3, N4: a WebSocket passes byte for byte once the app has switched, and not a byte before.
#[test]
fn a_websocket_passes_once_both_sides_have_switched() {
    let echo = app(|mut stream| {
        let head = head_of(&mut stream);
        if head.contains("/refuse") {
            let body = "no";
            stream
                .write_all(
                    format!(
                        "HTTP/1.1 426 Upgrade Required\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                    .as_bytes(),
                )
                .unwrap();
            return;
        }
        assert!(
            head.to_lowercase().contains("x-forwarded-user: u-alice"),
            "{head}"
        );
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n").unwrap();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..read]).unwrap();
        }
    });
    let world = World::start();
    let alice = world.signed_in("alice");
    world
        .gate
        .reload(&yaml(world.provider.issuer(), &echo, ""))
        .unwrap();
    let handshake = |target: &str, cookie: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nHost: gate.test\r\nOrigin: {PUBLIC}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nCookie: {cookie}\r\n\r\n"
        )
    };
    let mut wire = Wire::connect(world.gate.address);
    wire.send(handshake("/ws", &cookie(&alice)));
    assert_eq!(wire.head().unwrap().status, 101);
    let noise: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    wire.send(&noise);
    assert!(wire.exactly(noise.len()) == noise);
    wire.finish_sending();
    assert!(wire.is_closed());
    let mut wire = Wire::connect(world.gate.address);
    wire.send(handshake("/ws", ""));
    assert_eq!(wire.head().unwrap().status, 401);
    // A refused upgrade is plain HTTP: the request behind it is judged by itself.
    let mut wire = Wire::connect(world.gate.address);
    wire.send(
        handshake("/refuse", &cookie(&alice)) + "GET /page HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    );
    assert_eq!(wire.answer_to("GET").unwrap().status, 426);
    if let Some(second) = wire.answer_to("GET") {
        assert_eq!(
            second.status, 401,
            "the session of the first is not the second's"
        );
    }
}

// L10: a session on one request of a connection is none on the next.
#[test]
fn each_request_of_a_connection_is_judged_by_itself() {
    let world = World::start();
    let alice = world.signed_in("alice");
    let mut wire = Wire::connect(world.gate.address);
    for (cookie, status) in [
        (cookie(&alice), 200),
        (String::new(), 401),
        (cookie(&alice), 200),
    ] {
        wire.send(format!(
            "GET /page HTTP/1.1\r\nHost: gate.test\r\nCookie: {cookie}\r\n\r\n"
        ));
        assert_eq!(wire.answer_to("GET").unwrap().status, status);
    }
}

// L13: a connection that the app has closed meanwhile costs nobody a request.
#[test]
fn a_connection_that_went_stale_is_replaced() {
    let closing =
        Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec());
    let once = app(|mut stream| {
        head_of(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
    });
    let world = World::before(closing, "");
    let alice = world.signed_in("alice");
    world
        .gate
        .reload(&yaml(world.provider.issuer(), &once, ""))
        .unwrap();
    for _ in 0..20 {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "GET /page HTTP/1.1\r\nHost: gate.test\r\nCookie: {}\r\n\r\n",
            cookie(&alice)
        ));
        assert_eq!(wire.answer_to("GET").unwrap().status, 200);
    }
}

#[test]
fn an_app_that_is_not_there_gets_a_page_that_says_which_link_is_broken() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    world
        .gate
        .reload(&yaml(
            world.provider.issuer(),
            &format!("http://{}", nobody()),
            "",
        ))
        .unwrap();
    let page = alice.open(&format!("{PUBLIC}/page"));
    assert_eq!(page.status, 502);
    assert!(page.field("retry-after").is_some());
    let reference = page.field("x-request-id").unwrap();
    assert!(
        page.text().contains(reference)
            && world.gate.logged(reference).contains("upstream_connect")
    );
    world
        .gate
        .reload(&yaml(world.provider.issuer(), &world.app.url(), ""))
        .unwrap();
    assert_eq!(
        alice.open(&format!("{PUBLIC}/page")).status,
        200,
        "the session outlived it all"
    );
}

// T7, F6: what is wrong with a new configuration changes nothing, and an older key still opens.
#[test]
fn a_broken_reload_changes_nothing_and_a_new_key_signs_nobody_out() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    assert!(world.gate.reload("public_url: nonsense").is_err());
    assert_eq!(alice.open(&format!("{PUBLIC}/page")).status, 200);
    let mut rotated = tempfile::NamedTempFile::new().unwrap();
    let fresh =
        sidegate::base::keyring::SessionKey::generate(sidegate::base::entropy::Entropy::system())
            .unwrap();
    writeln!(
        rotated,
        "{}\n{}",
        *fresh.to_line(),
        crate::support::instance::KEY
    )
    .unwrap();
    let text = yaml(world.provider.issuer(), &world.app.url(), "");
    let text = text.replace(
        &crate::support::instance::key_file(),
        &rotated.path().display().to_string(),
    );
    world.gate.reload(&text).unwrap();
    let answer = alice.open(&format!("{PUBLIC}/page"));
    assert_eq!(answer.status, 200);
    assert!(
        answer.field("set-cookie").is_some(),
        "sealed anew under the new key"
    );
    assert_eq!(alice.open(&format!("{PUBLIC}/page")).status, 200);
}

// F15: the limits are inside the seal: a client that ignores Max-Age gains nothing.
#[test]
fn a_session_ends_by_its_own_limits() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let kept = alice.jar.clone();
    world
        .gate
        .clock
        .advance(std::time::Duration::from_secs(7 * 3600));
    assert_eq!(
        alice.open(&format!("{PUBLIC}/page")).status,
        200,
        "used within the idle limit"
    );
    world
        .gate
        .clock
        .advance(std::time::Duration::from_secs(7 * 3600));
    assert_eq!(
        alice.open(&format!("{PUBLIC}/page")).status,
        200,
        "and again: the cookie was sealed anew"
    );
    world
        .gate
        .clock
        .advance(std::time::Duration::from_secs(11 * 3600));
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        401,
        "past the absolute limit"
    );
    alice.jar = kept;
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        401,
        "an old copy is over too"
    );
}
