//! The server as such: how long and how many connections may be, what a reload and a panic cost, and
//! whom it believes about where a request came from.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use sidegate::base::peer::Peer;
use sidegate::demo::provider::Endpoint;
use sidegate::server::drain::{Drain, Stage};
use sidegate::server::listener::Listener;
use sidegate::server::passed::Passed;
use sidegate::server::worker::Workers;
use sidegate::server::{HeadLimit, Limits, ListenAddress, Service};
use sidegate::transport::body::Body;

use crate::support::instance::{Instance, PUBLIC, World, yaml};
use crate::support::provider::{Fault, Gate};
use crate::support::raw::{Answer, PATIENCE, Wire, exchange};
use crate::support::upstream::Upstream;

const OPEN: &str = "routes: [{ access: public }]";

/// A request that leaves the connection open.
fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n")
}

fn ask(wire: &mut Wire, target: &str) -> Option<Answer> {
    wire.try_send(request(target));
    wire.answer_to("GET")
}

/// A connection on which a request was answered and that waits for the next.
fn idle(world: &World) -> Wire {
    let mut wire = Wire::connect(world.gate.address);
    assert_eq!(ask(&mut wire, "/first").unwrap().status, 200);
    wire
}

/// An app that says when `/held` has come, and answers it when it is told to.
struct Held {
    app: Upstream,
    arrived: Receiver<()>,
    release: Sender<()>,
}

impl Held {
    fn start() -> Self {
        let (tell, arrived) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (tell, released) = (Mutex::new(tell), Mutex::new(released));
        let app = Upstream::answering(move |request| {
            if request.request_line().contains("/held") {
                tell.lock().unwrap().send(()).ok();
                released.lock().unwrap().recv().ok();
            }
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall of it".to_vec()
        });
        Self {
            app,
            arrived,
            release,
        }
    }

    /// A request that is with the app now.
    fn request(&self, world: &World) -> Wire {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(request("/held"));
        self.arrived.recv_timeout(PATIENCE).unwrap();
        wire
    }
}

/// How many connections the gate says that it has.
fn connections(world: &World) -> u64 {
    let ask = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let status = exchange(world.gate.probes, ask).json();
    status["connections"].as_u64().unwrap()
}

/// Until there are so many: a connection that ended is counted a moment longer.
fn until_connections(world: &World, wanted: u64) {
    let late = Instant::now() + PATIENCE;
    while connections(world) != wanted {
        assert!(Instant::now() < late, "never {wanted} connections");
    }
}

// Q3: beyond the most connections a further one is told to come again, unread; those that are there go on, and a
// place that is free again is given.
#[test]
fn one_connection_too_many_is_closed_and_costs_the_others_nothing() {
    let world = World::with(&format!("{OPEN}\nlimits: {{ connections: 2 }}"));
    let (mut first, second) = (idle(&world), idle(&world));
    assert_eq!(connections(&world), 2);
    world.app.forget();
    for _ in 0..5 {
        let mut further = Wire::connect(world.gate.address);
        let answer = ask(&mut further, "/further").expect("a word");
        assert_eq!(
            (answer.status, answer.field("retry-after")),
            (503, Some("5"))
        );
        assert!(further.is_closed());
    }
    assert!(world.app.arrived().is_empty(), "nothing of it was read");
    assert_eq!(connections(&world), 2);
    assert_eq!(ask(&mut first, "/again").unwrap().status, 200);
    drop(second);
    until_connections(&world, 1);
    let mut next = idle(&world);
    assert_eq!(ask(&mut next, "/again").unwrap().status, 200);
}

// Q1: a head that does not come to its end within its time ends the connection, however much of it
// is there; a connection that waits between requests has another time.
#[test]
fn a_head_that_does_not_come_ends_its_connection() {
    let world = World::with(&format!("{OPEN}\nlimits: {{ header_timeout: 1s }}"));
    let mut patient = idle(&world);
    world.app.forget();
    let mut silent = Wire::connect(world.gate.address);
    let mut half = Wire::connect(world.gate.address);
    half.send("GET /half HTTP/1.1\r\nHost: gate.test\r\nX-More: ");
    let mut second = idle(&world);
    second.send("GET /second HT");
    for (what, wire) in [
        ("nothing", &mut silent),
        ("half a head", &mut half),
        ("half a second head", &mut second),
    ] {
        assert!(wire.answer_to("GET").is_none(), "{what}");
    }
    assert_eq!(world.app.arrived().len(), 1, "the first of the second");
    assert_eq!(ask(&mut patient, "/again").unwrap().status, 200);
}

// Q1: a head that comes byte by byte has no more time than another.
#[test]
fn a_head_that_drips_gains_no_time() {
    let limits = "limits: { header_timeout: 2s, keep_alive_idle: 1s }";
    let world = World::with(&format!("{OPEN}\n{limits}"));
    let mut measure = idle(&world);
    let mut drips = Wire::connect(world.gate.address);
    drips.send("GET /drips HTTP/1.1\r\nHost: gate.test\r\nX-More: a");
    assert!(measure.is_closed(), "a second or two have passed");
    drips.send("b");
    let mut fresh = Wire::connect(world.gate.address);
    fresh.send("GET /fresh HTTP/1.1\r\nHost: ga");
    assert!(drips.answer_to("GET").is_none());
    fresh.send("te.test\r\n\r\n");
    let answer = fresh.answer_to("GET").expect("it has its own two seconds");
    assert_eq!(answer.status, 200);
}

// Q1: a connection that asks nothing more is closed; one whose request is being answered is not.
#[test]
fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let held = Held::start();
    let limits = "limits: { keep_alive_idle: 1s, header_timeout: 1s }";
    let world = World::before(held.app.clone(), &format!("{OPEN}\n{limits}"));
    let mut busy = held.request(&world);
    let mut idle = idle(&world);
    assert!(idle.is_closed());
    held.release.send(()).unwrap();
    let answer = busy.answer_to("GET").expect("the answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "all of it"));
    assert!(busy.is_closed(), "it is idle now");
}

/// A world before an app that runs `act` on each of its connections.
fn before(limits: &str, act: impl Fn(TcpStream) + Send + Sync + 'static) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let act = Arc::new(act);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let act = Arc::clone(&act);
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                act(stream);
            });
        }
    });
    let world = World::with(&format!("{OPEN}\n{limits}"));
    let text = yaml(world.provider.issuer(), &url, &format!("{OPEN}\n{limits}"));
    world.gate.reload(&text).unwrap();
    world
}

const STALLS: &str = "limits: { idle_between_bytes: 1s }";

// Q2: a client that does not read what it asked for keeps neither its connection nor the app's.
#[test]
fn a_client_that_does_not_read_is_let_go() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let world = before(STALLS, move |mut stream| {
        let chunk = vec![b'x'; 64 * 1024];
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
        let mut gone = stream.write_all(head.as_bytes()).is_err();
        while !gone {
            gone = stream.write_all(&chunk).is_err();
        }
        tell.lock().unwrap().send(()).ok();
    });
    let mut wire = Wire::connect(world.gate.address);
    wire.send(request("/large"));
    assert_eq!(wire.head().unwrap().status, 200);
    told.recv_timeout(PATIENCE).expect("the app is let go");
    until_connections(&world, 0);
}

/// A body that has no end, in either framing.
const HALVES: [(&str, &str); 2] = [
    ("Content-Length: 10", "hello"),
    ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
];

// Q2: an upload that stands still ends, at the app too, which does not take the half for the whole.
#[test]
fn an_upload_that_stands_still_is_given_up() {
    for (framing, half) in HALVES {
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let world = before(STALLS, move |mut stream| {
            let mut body = Vec::new();
            stream.read_to_end(&mut body).ok();
            tell.lock().unwrap().send(body).ok();
        });
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "POST /upload HTTP/1.1\r\nHost: gate.test\r\n{framing}\r\n\r\n{half}"
        ));
        let answer = wire.answer_to("POST");
        assert!(answer.is_none_or(|answer| answer.status >= 400));
        assert!(wire.is_closed());
        let arrived = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(arrived, half.as_bytes(), "{framing}");
    }
}

// Q2, L12: an answer that stands still is cut, so that nobody takes the half for the whole.
#[test]
fn an_answer_that_stands_still_is_cut() {
    for (framing, half) in HALVES {
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let world = before("limits: { websocket_idle: 1s }", move |mut stream| {
            let begins = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{half}");
            stream.write_all(begins.as_bytes()).ok();
            let ended = stream.read(&mut [0]).unwrap_or(0) == 0;
            tell.lock().unwrap().send(ended).ok();
        });
        let mut wire = Wire::connect(world.gate.address);
        wire.send(request("/x"));
        assert_eq!(wire.head().unwrap().status, 200);
        let got = wire.exactly(half.len() + 5);
        assert_eq!(got, half.as_bytes(), "{framing}: and then the end");
        assert!(told.recv_timeout(PATIENCE).unwrap());
    }
}

/// An app that switches protocols, echoes what comes then, and says when the end has come.
fn echo(limits: &str) -> (World, Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let world = before(limits, move |mut stream| {
        let switches =
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let mut buffer = [0; 64];
        let mut ended = stream.write_all(switches).is_err();
        while !ended {
            let read = stream.read(&mut buffer).unwrap_or(0);
            ended = read == 0 || stream.write_all(&buffer[..read]).is_err();
        }
        tell.lock().unwrap().send(()).ok();
    });
    (world, told)
}

fn tunnel(world: &World) -> Wire {
    let mut wire = Wire::connect(world.gate.address);
    wire.send("GET /socket HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
    assert_eq!(wire.head().unwrap().status, 101);
    wire.send("hello");
    assert_eq!(wire.exactly(5), b"hello");
    wire
}

// Q2: a tunnel in which nothing moves ends after its own time, on both sides.
#[test]
fn a_tunnel_that_stands_still_ends_on_both_sides() {
    let (world, told) = echo("limits: { websocket_idle: 1s }");
    let mut wire = tunnel(&world);
    assert!(wire.is_closed());
    told.recv_timeout(PATIENCE).unwrap();
    until_connections(&world, 0);
}

// Q1: the limits of requests are none of a tunnel's.
#[test]
fn a_tunnel_outlives_the_limits_of_requests() {
    let (world, told) = echo(
        "limits: { keep_alive_idle: 1s, header_timeout: 1s, idle_between_bytes: 1s, upstream_first_byte: 1s }",
    );
    let mut wire = tunnel(&world);
    for _ in 0..2 {
        // Two sweeps: each ends a connection that says nothing at all.
        assert!(Wire::connect(world.gate.address).is_closed());
    }
    wire.send("still there");
    assert_eq!(wire.exactly(11), b"still there");
    assert!(told.try_recv().is_err());
}

// Q9: a tunnel does not keep the gate from stopping.
#[test]
fn a_tunnel_ends_with_the_gate() {
    let (world, told) = echo("limits: { drain: 1s }");
    let mut wire = tunnel(&world);
    let stopping = std::thread::spawn(move || drop(world));
    assert!(wire.is_closed());
    told.recv_timeout(PATIENCE).unwrap();
    stopping.join().unwrap();
}

// T8: the next request after a reload sees it, on a connection that was there before; what was under
// way is answered by the app that it went to.
#[test]
fn a_reload_is_seen_by_the_next_request_and_disturbs_none_under_way() {
    let held = Held::start();
    let world = World::before(
        held.app.clone(),
        "routes: [{ match: { path: /held }, access: public }]",
    );
    let mut kept = Wire::connect(world.gate.address);
    assert_eq!(ask(&mut kept, "/new/x").unwrap().status, 404);
    let mut busy = held.request(&world);
    let other = Upstream::start();
    let routes = "routes: [{ match: { path: /new/** }, access: public }]";
    let text = yaml(world.provider.issuer(), &other.url(), routes);
    world.gate.reload(&text).unwrap();
    assert_eq!(ask(&mut kept, "/new/x").unwrap().status, 200);
    assert!(other.last().request_line().contains("/new/x"));
    assert_eq!(ask(&mut kept, "/held").unwrap().status, 404);
    held.release.send(()).unwrap();
    let answer = busy.answer_to("GET").expect("the answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "all of it"));
    assert_eq!(ask(&mut busy, "/held").unwrap().status, 404);
    assert_eq!(other.arrived().len(), 1);
}

// T8: a configuration with a fault changes nothing.
#[test]
fn a_reload_with_a_fault_changes_nothing() {
    let world = World::with("routes: [{ match: { path: /a }, access: public }]");
    let faulty = "routes: [{ match: { path: /b }, access: publik }]";
    let text = yaml(world.provider.issuer(), &world.app.url(), faulty);
    assert!(world.gate.reload(&text).is_err());
    let mut wire = Wire::connect(world.gate.address);
    assert_eq!(ask(&mut wire, "/a").unwrap().status, 200);
    assert_eq!(ask(&mut wire, "/b").unwrap().status, 404);
}

// Q9, A6: a login whose code is with the provider is finished, too, and its session is good wherever
// the keys are.
#[test]
fn a_login_in_flight_is_finished_when_the_gate_is_told_to_stop() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.reach_callback(&format!("{PUBLIC}/page"), "alice");
    let (held, mut other) = (Gate::closed(), Wire::connect(world.gate.address));
    assert_eq!(ask(&mut other, "/x").unwrap().status, 401);
    let fault = Fault::AnswerHeld(Endpoint::Token, held.clone());
    world.provider.set_fault(fault);
    let World {
        provider,
        app,
        gate,
    } = world;
    let finishing = std::thread::spawn(move || {
        let answer = browser.open(callback.as_str());
        (browser, answer)
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(held.arrived(1));
    let stopping = std::thread::spawn(move || drop(gate));
    assert!(other.is_closed(), "the stop has begun");
    held.open();
    let (browser, answer) = finishing.join().unwrap();
    assert_eq!(answer.status, 303);
    assert!(answer.sets_session(), "{answer:?}");
    stopping.join().unwrap();
    let next = Instance::start(&yaml(provider.issuer(), &app.url(), ""), provider.clock());
    let mut browser = browser.resolve(PUBLIC, next.address);
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 200);
}

/// A service that panics where it is told to.
struct Fragile;

impl Service for Fragile {
    async fn answer(&self, request: Box<Request<Incoming>>, _peer: Peer) -> Response<Body> {
        let path = request.uri().path();
        assert_ne!(path, "/at-once");
        tokio::task::yield_now().await;
        assert_ne!(path, "/later");
        Response::new(Body::from(Bytes::from_static(b"fine")))
    }

    fn too_large(&self, _: HeadLimit, _: Request<Incoming>, _: Peer) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        response
    }

    fn panicked(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }
}

// Q8: a panic costs the request that it happened in, and no other: not on the same connection, not
// on another one of the same worker.
#[test]
fn a_panic_costs_one_request() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (drain, drained) = Drain::pair();
    let workers =
        Workers::start(1, &Limits::default(), &drained, &Arc::from([]), |_| Fragile).unwrap();
    let workers = Arc::new(workers);
    let address = runtime.block_on(async {
        let any = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let mut listeners = Listener::bind(&any, 0, &mut Passed::default()).unwrap();
        let listener = listeners.remove(0);
        let address = listener.address().unwrap();
        let accepting = Arc::clone(&workers);
        tokio::spawn(async move { accepting.accept(listener, drained).await });
        address
    });
    let mut neighbour = Wire::connect(address);
    assert_eq!(ask(&mut neighbour, "/x").unwrap().status, 200);
    for path in ["/at-once", "/later"] {
        let mut wire = Wire::connect(address);
        assert_eq!(ask(&mut wire, "/x").unwrap().status, 200);
        assert_eq!(ask(&mut wire, path).unwrap().status, 500, "{path}");
        assert_eq!(ask(&mut wire, "/x").unwrap().text(), "fine", "{path}");
        assert_eq!(ask(&mut neighbour, "/x").unwrap().text(), "fine", "{path}");
    }
    drain.move_on(Stage::Gone);
    runtime.shutdown_timeout(PATIENCE);
    Arc::into_inner(workers).unwrap().join();
}

// K1, K7, J8: the address in the app's field and in the log is what a trusted peer says, entry by
// entry from the right, and the peer's own where it is not trusted.
#[test]
fn only_a_trusted_peer_is_believed_about_the_client() {
    let gates = [
        ("", false),
        ("trusted_proxies: { peers: [192.0.2.0/24] }", false),
        ("trusted_proxies: { peers: [127.0.0.1] }", true),
    ];
    for (setting, trusted) in gates {
        let world = World::with(&format!("{OPEN}\n{setting}"));
        for (fields, client) in [
            ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n", "203.0.113.9"),
            (
                "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n",
                "203.0.113.9",
            ),
            ("X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7"),
            ("X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1"),
            ("X-Forwarded-For: \r\n", "127.0.0.1"),
            ("Forwarded: for=6.6.6.6\r\n", "127.0.0.1"),
            ("X-Real-IP: 6.6.6.6\r\n", "127.0.0.1"),
            ("X_Forwarded_For: 6.6.6.6\r\n", "127.0.0.1"),
            ("", "127.0.0.1"),
        ] {
            let wanted = if trusted { client } else { "127.0.0.1" };
            let text =
                format!("GET /x HTTP/1.1\r\nHost: gate.test\r\n{fields}Connection: close\r\n\r\n");
            assert_eq!(exchange(world.gate.address, text).status, 200);
            let seen = world.app.last();
            assert_eq!(
                seen.fields("X-Forwarded-For"),
                [wanted],
                "{setting} {fields}"
            );
            assert!(seen.fields("Forwarded").is_empty());
        }
        let believed = world.gate.log().contains("203.0.113.9");
        world.gate.logged("\"client_address\":\"127.0.0.1\"");
        assert!(!believed || trusted, "{setting}");
        if trusted {
            world.gate.logged("\"client_address\":\"203.0.113.9\"");
        }
        assert!(!world.gate.log().contains("\"client_address\":\"6.6.6.6\""));
    }
}

// K2, K8, P4: not even a trusted peer says what was asked for, of which host, or that cookies need no
// TLS.
#[test]
fn a_trusted_peer_changes_no_path_no_redirect_and_no_cookie() {
    let world = World::with(
        "trusted_proxies: { peers: [127.0.0.1] }\nroutes:\n  - { match: { path: /open/** }, access: public }\n  - { access: signed_in }",
    );
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nX-Forwarded-Uri: /open/x\r\nX-Original-URI: /open/x\r\nX-Original-URL: /open/x\r\nX-Rewrite-URL: /open/x\r\nX-Forwarded-Method: OPTIONS\r\nX-HTTP-Method-Override: OPTIONS\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-For: 203.0.113.9\r\n";
    let answer = world
        .browser()
        .request("GET", &format!("{PUBLIC}/shut"), fields, b"");
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(world.app.arrived().is_empty());
    let to = answer.location();
    assert!(to.contains("redirect_uri=https%3A%2F%2Fgate.test%2Foauth2%2Fcallback"));
    assert!(!to.contains("evil"), "{to}");
    for line in answer.all("set-cookie") {
        assert!(line.starts_with("__Host-") && line.contains("Secure"));
    }
    let answer = world
        .browser()
        .request("GET", &format!("{PUBLIC}/open/y"), fields, b"");
    assert_eq!(answer.status, 200);
    let seen = world.app.last();
    assert!(seen.request_line().starts_with("GET /open/y "));
    assert_eq!(seen.fields("X-Forwarded-Host"), ["gate.test"]);
    assert_eq!(seen.fields("X-Forwarded-Proto"), ["https"]);
}
