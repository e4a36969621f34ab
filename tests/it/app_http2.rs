//! The way to an app over HTTP/2: what reaches it, what comes back, and what becomes of a request that
//! it refuses, or of an app that says goodbye.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::browser::Browser;
use crate::support::http2_app::Http2App;
use crate::support::instance::{World, yaml};
use crate::support::raw::{Wire, exchange};

const PUBLIC_ROUTE: &str = "routes: [{ access: public }]";

fn before(address: SocketAddr, routes: &str) -> World {
    let world = World::start();
    lead(&world, address, routes);
    world
}

fn lead(world: &World, address: SocketAddr, routes: &str) {
    let url = format!("h2c://{address}");
    let text = yaml(world.provider.issuer(), &url, routes);
    world.gate.reload(&text).unwrap();
}

fn cookie(browser: &Browser) -> String {
    let pairs: Vec<_> = browser
        .jar
        .iter()
        .filter(|one| one.host == "gate.test")
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    pairs.join("; ")
}

// J3: over HTTP/2 too, nobody deletes a field of ours by naming it: the HTTP library would obey.
#[test]
fn connection_deletes_no_field_of_ours_over_http2() {
    let app = Http2App::start();
    let world = World::start();
    let alice = world.signed_in("alice");
    lead(&world, app.address, "");
    let request = format!(
        "GET /page?q=1 HTTP/1.1\r\nHost: gate.test\r\nCookie: {}; theirs=1\r\nConnection: close, X-Forwarded-User, X-Forwarded-For, TE, Host, Cookie, X-Mine\r\nX-Mine: hop\r\nX-Forwarded-User: root\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-Own: theirs\r\n\r\n",
        cookie(&alice)
    );
    assert_eq!(exchange(world.gate.address, request).status, 200);
    let seen = app.last();
    assert_eq!(seen.headers["x-forwarded-user"], "u-alice");
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen.headers["cookie"], "theirs=1");
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-own"], "theirs");
    for gone in [
        "connection",
        "x-mine",
        "keep-alive",
        "host",
        "transfer-encoding",
    ] {
        assert!(!seen.headers.contains_key(gone), "{gone}: {seen:?}");
    }
    assert_eq!(seen.uri.to_string(), "http://gate.test/page?q=1");
    assert_eq!(seen.method, "GET");
}

#[test]
fn a_body_passes_whole_whatever_frames_it() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    let large = "0123456789abcdef".repeat(64 * 1024);
    let chunked = format!("{:x}\r\n{large}\r\n3\r\nend\r\n0\r\n\r\n", large.len());
    for (framing, sent, wanted) in [
        (
            format!("Content-Length: {}", large.len()),
            large.clone(),
            large.clone(),
        ),
        (
            "Transfer-Encoding: chunked".to_owned(),
            chunked,
            format!("{large}end"),
        ),
        ("Content-Length: 0".to_owned(), String::new(), String::new()),
    ] {
        wire.send(format!(
            "POST /up HTTP/1.1\r\nHost: gate.test\r\n{framing}\r\n\r\n{sent}"
        ));
        let answer = wire.answer_to("POST").unwrap();
        assert_eq!(answer.status, 200, "{framing}");
        assert_eq!(
            answer.text(),
            format!("the app saw /up {wanted}"),
            "{framing}"
        );
        assert_eq!(app.last().body, wanted.as_bytes(), "{framing}");
    }
    assert_eq!(app.connections(), 1, "one connection carries them all");
}

// J5: trailer fields reach whoever reads them, and never set a cookie.
#[test]
fn trailers_of_the_app_reach_a_client_that_reads_them() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    wire.send(
        "GET /page HTTP/1.1\r\nHost: gate.test\r\nConnection: close, TE\r\nTE: trailers\r\n\r\n",
    );
    let all = String::from_utf8(wire.exactly(usize::MAX)).unwrap();
    assert!(all.contains("\r\n0\r\n"), "{all}");
    let (_, trailers) = all.split_once("\r\n0\r\n").unwrap();
    assert!(trailers.contains("x-checksum: fine\r\n"), "{trailers}");
    assert!(!trailers.contains("cookie"), "{trailers}");
    let plain = "GET /page HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
    assert_eq!(
        exchange(world.gate.address, plain).text(),
        "the app saw /page "
    );
}

// J5: trailer fields of a request are dropped, but for gRPC, where those that identify are.
#[test]
fn trailers_of_a_request_pass_for_grpc_alone_and_never_identify() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let send = |kind: &str| {
        let request = format!(
            "POST /call HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Note, X-Forwarded-User\r\n\r\n3\r\nabc\r\n0\r\nX-Note: fine\r\nX-Forwarded-User: root\r\nx_forwarded_user: root\r\nAuthorization: Basic x\r\nCookie: a=b\r\nHost: other\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(exchange(world.gate.address, request).status, 200);
        app.last()
    };
    assert!(send("application/json").trailers.is_none());
    let trailers = send("application/grpc+proto").trailers.unwrap();
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(trailers["x-note"], "fine");
}

// L13: what an app refused unseen is sent anew, once, with its whole body, whatever the method.
#[test]
fn a_request_that_was_refused_unseen_is_sent_anew_once() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    let request = "POST /up HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\n\r\nwords";
    app.refuse(1);
    wire.send(request);
    assert_eq!(
        wire.answer_to("POST").unwrap().text(),
        "the app saw /up words"
    );
    assert_eq!(app.seen().len(), 1);
    app.refuse(2);
    wire.send(request);
    assert_eq!(wire.answer_to("POST").unwrap().status, 502);
    assert_eq!(app.seen().len(), 1);
    wire.send(request);
    assert_eq!(wire.answer_to("POST").unwrap().status, 200);
}

#[test]
fn an_app_that_says_goodbye_loses_no_request() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    for round in 1..6 {
        for path in ["/page", "/goodbye", "/page"] {
            let request =
                format!("POST {path} HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 2\r\n\r\nhi");
            wire.send(request);
            let answer = wire.answer_to("POST").unwrap();
            assert_eq!(answer.text(), format!("the app saw {path} hi"), "{round}");
        }
    }
    assert_eq!(app.seen().len(), 15);
    assert!(app.connections() > 1);
}

#[test]
fn a_client_that_goes_away_ends_the_stream_and_not_the_connection() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    for (request, reset) in [
        ("GET /hang HTTP/1.1\r\nHost: gate.test\r\n\r\n", true),
        (
            "POST /hang HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 10\r\n\r\nhalf",
            true,
        ),
        ("GET /stream HTTP/1.1\r\nHost: gate.test\r\n\r\n", false),
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(request);
        if reset {
            assert_eq!(app.told(), "asked");
        } else {
            assert_eq!(wire.head().unwrap().status, 200);
        }
        drop(wire);
        assert!(app.told().starts_with("reset "), "{request}");
    }
    let plain = "GET /page HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(world.gate.address, plain).status, 200);
    assert!(app.connections() <= 2, "one a worker");
}

// L12: a stream that breaks, or is shorter than it said, is a broken transfer.
#[test]
fn an_answer_that_breaks_is_never_a_whole_one() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let get = |path: &str| {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
        ));
        String::from_utf8(wire.exactly(usize::MAX)).unwrap()
    };
    let short = get("/short");
    let wholesome =
        short.contains("200 OK") && !short.to_lowercase().contains("content-length: 10");
    assert!(!wholesome, "{short}");
    assert!(get("/large-head").contains("502 Bad Gateway"));
    assert!(get("/no-content").contains("204 No Content"));
    assert!(get("/page").contains("the app saw /page"));

    let broken = Scripted::start(|_, stream| {
        let head = frame(1, 0x4, stream, &[0x88]);
        let part = frame(0, 0, stream, b"part");
        vec![head, part, frame(3, 0, stream, &[0, 0, 0, 2])]
    });
    lead(&world, broken.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    wire.send("GET /page HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let broken = String::from_utf8(wire.exactly(usize::MAX)).unwrap();
    assert!(
        !broken.contains("200 OK") || !broken.ends_with("0\r\n\r\n"),
        "{broken}"
    );
}

#[test]
fn an_early_answer_ends_the_upload_and_not_the_connection() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    wire.send("POST /early HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000000\r\n\r\npart");
    assert_eq!(wire.answer_to("POST").unwrap().status, 413);
    let plain = "GET /page HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
    for _ in 0..4 {
        assert_eq!(exchange(world.gate.address, plain).status, 200);
    }
    assert!(app.connections() <= 2, "one a worker");
}

#[test]
fn an_app_that_speaks_http2_in_the_clear_opens_no_websocket() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let request = "GET /socket HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    assert_eq!(exchange(world.gate.address, request).status, 502);
    assert!(world.gate.logged("upstream_protocol").contains("WebSocket"));
    assert!(app.seen().is_empty());
}

/// What a scripted app does with a request: the number of its connection and of its stream.
type Script = dyn Fn(usize, u32) -> Vec<Vec<u8>> + Send + Sync;

/// An app that says these frames to the head of each request, and closes after no frame at all.
/// It tells which requests it got.
struct Scripted {
    address: SocketAddr,
    got: Arc<Mutex<Vec<(usize, u32)>>>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()[..]].concat();
    [head, payload.to_vec()].concat()
}

/// `:status: 200`, and the end of the stream.
fn fine(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, &[0x88])
}

fn goodbye(last: u32) -> Vec<u8> {
    frame(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat())
}

impl Scripted {
    fn start(script: impl Fn(usize, u32) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (script, record): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&got));
        std::thread::spawn(move || {
            for (at, stream) in listener.incoming().flatten().enumerate() {
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                std::thread::spawn(move || drop(serve(stream, at + 1, &*script, &record)));
            }
        });
        Self { address, got }
    }

    fn got(&self) -> Vec<(usize, u32)> {
        self.got.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &Script,
    got: &Mutex<Vec<(usize, u32)>>,
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?; // the preface
    stream.write_all(&frame(4, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload)?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            (4, 0) => stream.write_all(&frame(4, 1, 0, &[]))?,
            (1, _) => {
                got.lock().unwrap().push((connection, id));
                let frames = script(connection, id);
                if frames.is_empty() {
                    return Ok(());
                }
                for frame in frames {
                    stream.write_all(&frame)?;
                }
            }
            _ => {}
        }
    }
}

// L13: a request beyond the last one that a goodbye names was not looked at and is sent anew; one
// that it names may have been, and is not.
#[test]
fn a_goodbye_tells_which_requests_were_not_looked_at() {
    let unseen = Scripted::start(|connection, stream| match (connection, stream) {
        (1, 3) => vec![goodbye(1)],
        _ => vec![fine(stream)],
    });
    let world = before(unseen.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    let request = "POST /up HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\n\r\nwords";
    for _ in 0..3 {
        wire.send(request);
        assert_eq!(wire.answer_to("POST").unwrap().status, 200);
    }
    assert_eq!(unseen.got(), [(1, 1), (1, 3), (2, 1), (2, 3)]);

    let perhaps = Scripted::start(|connection, stream| match (connection, stream) {
        // What is no frame ends the connection, right after it named the request as seen.
        (1, 3) => vec![goodbye(3), frame(1, 0x5, 0, &[])],
        _ => vec![fine(stream)],
    });
    lead(&world, perhaps.address, PUBLIC_ROUTE);
    for status in [200, 502, 200] {
        wire.send(request);
        assert_eq!(wire.answer_to("POST").unwrap().status, status);
    }
    assert_eq!(perhaps.got(), [(1, 1), (1, 3), (2, 1)]);
}

// L13: on a connection that breaks, what may be repeated is, once; what may not is not.
#[test]
fn a_connection_that_breaks_repeats_what_may_be_repeated_once() {
    let broken = Scripted::start(|connection, stream| match (connection, stream) {
        (1, 3) | (2, 1) => Vec::new(),
        _ => vec![fine(stream)],
    });
    let world = before(broken.address, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    for status in [200, 502, 200] {
        wire.send("GET /page HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        assert_eq!(wire.answer_to("GET").unwrap().status, status);
    }
    assert_eq!(broken.got(), [(1, 1), (1, 3), (2, 1), (3, 1)]);

    let broken = Scripted::start(|connection, stream| match (connection, stream) {
        (1, 3) => Vec::new(),
        _ => vec![fine(stream)],
    });
    lead(&world, broken.address, PUBLIC_ROUTE);
    for status in [200, 502, 200] {
        wire.send("POST /up HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(wire.answer_to("POST").unwrap().status, status);
    }
    assert_eq!(broken.got(), [(1, 1), (1, 3), (2, 1)]);
}

// The app's own bound of requests at once is kept: what is beyond it waits, or goes elsewhere.
#[test]
fn many_requests_share_few_connections() {
    let app = Http2App::start();
    let world = before(app.address, PUBLIC_ROUTE);
    let mut wires: Vec<Wire> = (0..40).map(|_| Wire::connect(world.gate.address)).collect();
    for round in 0..5 {
        for (at, wire) in wires.iter_mut().enumerate() {
            wire.send(format!(
                "GET /{round}/{at} HTTP/1.1\r\nHost: gate.test\r\n\r\n"
            ));
        }
        for (at, wire) in wires.iter_mut().enumerate() {
            let answer = wire.answer_to("GET").unwrap();
            assert_eq!(answer.text(), format!("the app saw /{round}/{at} "));
        }
    }
    assert_eq!(app.seen().len(), 200);
    assert!(
        app.connections() <= 2,
        "one a worker: {}",
        app.connections()
    );
}
