//! What is seen of the gate while something behind it is out of order: each place that can break, in
//! each way. Always a defined answer, in a bounded time, with the cause in the log; and whoever is
//! signed in notices as little as can be. The table is in `docs/OUTAGES.md`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use sidegate::demo::provider::Endpoint;

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::nobody::nobody;
use crate::support::provider::{Fault, Gate, TestProvider};
use crate::support::raw::{Answer, Wire};
use crate::support::upstream::Upstream;

/// One way to be out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breakage {
    /// Nobody listens.
    Refuses,
    /// It takes the request and says nothing.
    BlackHole,
    /// It says something every now and then, and never comes to the end.
    Drips,
    /// It closes the connection.
    HangsUp,
    /// 503.
    Unavailable,
    /// 200 with a page in HTML.
    Html,
    /// A certificate that nobody trusts.
    BadCertificate,
}

const ALL: [Breakage; 7] = [
    Breakage::Refuses,
    Breakage::BlackHole,
    Breakage::Drips,
    Breakage::HangsUp,
    Breakage::Unavailable,
    Breakage::Html,
    Breakage::BadCertificate,
];

/// What an answer may take that waits for no more than two seconds: less than any call's bound.
const QUICK: Duration = Duration::from_secs(8);
/// What one may take that waits for a call, which is bounded by ten seconds.
const A_CALL: Duration = Duration::from_secs(14);

/// A server that is out of order so; its URL.
fn broken(how: Breakage) -> String {
    let scheme = match how {
        Breakage::BadCertificate => "https",
        _ => "http",
    };
    if how == Breakage::Refuses {
        return format!("{scheme}://{}", nobody());
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || misbehave(stream, how));
        }
    });
    format!("{scheme}://{address}")
}

fn misbehave(mut stream: TcpStream, how: Breakage) {
    let mut request = [0; 16 * 1024];
    let html = "<!doctype html><title>Sign in to the hotel's network</title>";
    match how {
        Breakage::Refuses => {}
        Breakage::BlackHole => while stream.read(&mut request).is_ok_and(|read| read > 0) {},
        Breakage::Drips => {
            drop(stream.read(&mut request));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"));
            // As slowly as the peer itself gives up: nobody sleeps here.
            stream
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            while stream.write_all(b" ").is_ok() {
                if matches!(stream.read(&mut request), Ok(0)) {
                    return;
                }
            }
        }
        Breakage::HangsUp => {
            drop(stream.read(&mut request));
        }
        Breakage::Unavailable => {
            drop(stream.read(&mut request));
            drop(stream.write_all(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ));
        }
        Breakage::Html => {
            drop(stream.read(&mut request));
            drop(write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{html}",
                html.len()
            ));
        }
        Breakage::BadCertificate => {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            let config = ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            drop(StreamOwned::new(connection, stream).read(&mut request));
        }
    }
}

/// Runs one cell for each breakage, all at the same time: they wait for their own bounds.
fn for_each(cell: impl Fn(Breakage) + Sync) {
    std::thread::scope(|scope| {
        let running: Vec<_> = ALL
            .into_iter()
            .map(|how| {
                let cell = &cell;
                (how, scope.spawn(move || cell(how)))
            })
            .collect();
        for (how, thread) in running {
            assert!(thread.join().is_ok(), "{how:?}");
        }
    });
}

fn within(bound: Duration, what: impl FnOnce() -> Answer) -> Answer {
    let begin = Instant::now();
    let answer = what();
    assert!(begin.elapsed() < bound, "{:?}: {answer:?}", begin.elapsed());
    answer
}

/// A person signed in at a healthy gate, and a second gate with the same key for which `member` of
/// the provider's discovery document leads to a server that is out of order.
fn half_broken(member: &'static str, how: Breakage, lines: &str) -> (World, Instance, Browser) {
    let world = World::with_provider(lines, "");
    let alice = world.signed_in("alice");
    world.provider.set_fault(Fault::Member(
        Endpoint::Discovery,
        member,
        Some(json!(format!("{}/{member}", broken(how)))),
    ));
    let text = yaml(world.provider.issuer(), &world.app.url(), "");
    let client = "    client_id: dashboards\n";
    let text = text.replace(client, &format!("{client}{lines}\n"));
    let gate = Instance::start(&text, world.provider.clock());
    (world, gate, alice)
}

/// The same jar, at another gate.
fn moved_to(browser: &Browser, gate: SocketAddr) -> Browser {
    browser.clone().resolve(PUBLIC, gate)
}

/// As far as the callback's answer, which is the gate's own word.
fn login(gate: &Instance, how: Breakage) -> Answer {
    let mut browser = Browser::new().resolve(PUBLIC, gate.address);
    let form = browser.visit(&format!("{PUBLIC}/page"));
    let bound = match how {
        Breakage::BlackHole | Breakage::Drips => A_CALL,
        _ => QUICK,
    };
    within(bound, || browser.sign_in(&form, "alice").answer)
}

/// Whoever is signed in gets to the app, also when the word is due and cannot be had.
fn assert_unaffected(world: &World, gate: &Instance, alice: &Browser) {
    let mut alice = moved_to(alice, gate.address);
    world.app.forget();
    let mut get = || within(QUICK, || alice.fetch("GET", &format!("{PUBLIC}/x"), ""));
    assert_eq!(get().status, 200);
    gate.clock.advance(Duration::from_mins(20));
    assert_eq!(get().status, 200);
    assert_eq!(world.app.arrived().len(), 2);
}

fn code(answer: &Answer) -> String {
    let text = answer.text();
    let at = text.find("<code>").map(|at| at + "<code>".len());
    let at = at.unwrap_or_else(|| panic!("no code: {answer:?}"));
    text[at..].split('<').next().unwrap().to_owned()
}

// R7: nothing is known of the provider: nobody can sign in, and everybody who is stays.
#[test]
fn without_a_discovery_document_there_is_a_503_and_whoever_is_in_stays() {
    for_each(|how| {
        let world = World::start();
        let alice = world.signed_in("alice");
        let (at, app) = (broken(how), &world.app);
        let gate = Instance::start(&yaml(&at, &app.url(), ""), world.provider.clock());
        let mut browser = Browser::new().resolve(PUBLIC, gate.address);
        let answer = within(QUICK, || browser.open(&format!("{PUBLIC}/page")));
        assert_eq!(answer.status, 503, "{how:?}");
        assert_eq!(code(&answer), "provider_unavailable", "{how:?}");
        assert!(answer.field("retry-after").is_some(), "{how:?}");
        gate.logged("provider_unavailable");
        // Sessions are of the other issuer: this gate has none to keep, the healthy one has.
        let mut alice = alice;
        assert_eq!(alice.fetch("GET", &format!("{PUBLIC}/x"), "").status, 200);
    });
}

// R7: a gate that starts while the provider of its sessions tells nothing keeps them all the same.
#[test]
fn a_gate_that_starts_without_the_provider_of_its_sessions_keeps_them() {
    let held = Gate::closed();
    for fault in [
        Fault::HungUp(Endpoint::Discovery),
        Fault::Status(Endpoint::Discovery, StatusCode::SERVICE_UNAVAILABLE),
        Fault::Html(Endpoint::Discovery),
        Fault::Held(Endpoint::Discovery, held.clone()),
    ] {
        let world = World::start();
        let alice = world.signed_in("alice");
        world.provider.set_fault(fault);
        let text = yaml(world.provider.issuer(), &world.app.url(), "");
        let gate = Instance::start(&text, world.provider.clock());
        assert_unaffected(&world, &gate, &alice);
        let mut browser = Browser::new().resolve(PUBLIC, gate.address);
        let answer = within(QUICK, || browser.open(&format!("{PUBLIC}/page")));
        assert_eq!(
            (answer.status, &*code(&answer)),
            (503, "provider_unavailable")
        );
    }
    held.open();
}

// R7
#[test]
fn without_keys_nobody_signs_in_and_whoever_is_in_stays() {
    for_each(|how| {
        let (world, gate, alice) = half_broken("jwks_uri", how, "");
        let mut browser = Browser::new().resolve(PUBLIC, gate.address);
        let answer = within(QUICK, || browser.open(&format!("{PUBLIC}/page")));
        assert_eq!(answer.status, 503, "{how:?}");
        assert_eq!(code(&answer), "provider_unavailable", "{how:?}");
        assert!(answer.field("retry-after").is_some(), "{how:?}");
        gate.logged("provider_unavailable");
        assert_unaffected(&world, &gate, &alice);
    });
}

// R7
#[test]
fn without_a_token_endpoint_a_login_ends_with_a_page_and_whoever_is_in_stays() {
    for_each(|how| {
        let (world, gate, alice) = half_broken("token_endpoint", how, "");
        gate.await_providers();
        let answer = login(&gate, how);
        let expected = match how {
            Breakage::BlackHole | Breakage::Drips => (504, "provider_timeout"),
            Breakage::Html => (502, "code_exchange_failed"),
            _ => (503, "provider_unavailable"),
        };
        assert_eq!((answer.status, &*code(&answer)), expected, "{how:?}");
        gate.logged(expected.1);
        assert_unaffected(&world, &gate, &alice);
    });
}

// R7
#[test]
fn without_the_userinfo_endpoint_a_login_ends_with_a_page_and_whoever_is_in_stays() {
    for_each(|how| {
        let lines = "    userinfo: always";
        let (world, gate, alice) = half_broken("userinfo_endpoint", how, lines);
        gate.await_providers();
        let answer = login(&gate, how);
        let expected = match how {
            Breakage::BlackHole | Breakage::Drips => (504, "provider_timeout"),
            Breakage::Html => (502, "token_invalid"),
            _ => (503, "provider_unavailable"),
        };
        assert_eq!((answer.status, &*code(&answer)), expected, "{how:?}");
        gate.logged(expected.1);
        assert_unaffected(&world, &gate, &alice);
    });
}

// R7, E17: nobody waits for a revocation, and what does not work there is the provider's loss.
#[test]
fn without_the_revocation_endpoint_signing_out_takes_no_longer() {
    for_each(|how| {
        let (_world, gate, alice) = half_broken("revocation_endpoint", how, "");
        gate.await_providers();
        let mut alice = moved_to(&alice, gate.address);
        let begin = Instant::now();
        let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
        assert!(begin.elapsed() < Duration::from_secs(2), "{how:?}");
        assert_eq!(answer.status, 303, "{how:?}");
        assert_eq!(alice.fetch("GET", &format!("{PUBLIC}/x"), "").status, 401);
        // A page with status 200 is a yes: what an answer says besides does not count (RFC 7009
        // section 2.2).
        if how != Breakage::Html {
            gate.logged("\"event\":\"not_revoked\"");
        }
    });
}

// R7: the browser goes to the provider after it was signed out here.
#[test]
fn without_the_end_session_endpoint_one_is_signed_out_here() {
    for_each(|how| {
        let (_world, gate, alice) = half_broken("end_session_endpoint", how, "");
        gate.await_providers();
        let mut alice = moved_to(&alice, gate.address);
        let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
        assert_eq!(answer.status, 303, "{how:?}");
        assert_eq!(alice.fetch("GET", &format!("{PUBLIC}/x"), "").status, 401);
    });
}

// R7: the app's own 503 and HTML are its answers; everything else is told as what it is.
#[test]
fn an_app_that_is_out_of_order_is_told_as_such() {
    for_each(|how| {
        if how == Breakage::BadCertificate {
            return; // apps are spoken to without TLS
        }
        let provider = TestProvider::start();
        register(&provider, "dashboards", "/oauth2/callback");
        let more =
            "routes: [{ access: public }]\nlimits: { upstream_first_byte: 1s, websocket_idle: 2s }";
        let gate = Instance::start(
            &yaml(provider.issuer(), &broken(how), more),
            provider.clock(),
        );
        let mut wire = Wire::connect(gate.address);
        wire.send("GET /x HTTP/1.1\r\nHost: gate.test\r\nAccept: text/html\r\n\r\n");
        let begin = Instant::now();
        let head = wire.head().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(6), "{how:?}");
        let (status, logged) = match how {
            Breakage::Refuses => (502, Some("upstream_connect")),
            Breakage::BlackHole => (504, Some("upstream_timeout")),
            Breakage::HangsUp => (502, Some("upstream_protocol")),
            Breakage::Unavailable => (503, None),
            Breakage::Drips | Breakage::Html | Breakage::BadCertificate => (200, None),
        };
        assert_eq!(head.status, status, "{how:?}");
        if let Some(code) = logged {
            gate.logged(code);
        }
        drop(Upstream::start());
    });
}

// R7: no stampede when it comes back, and a login works within five seconds.
#[test]
fn a_provider_that_comes_back_is_asked_by_few() {
    let provider = TestProvider::start();
    register(&provider, "dashboards", "/oauth2/callback");
    provider.set_fault(Fault::HungUp(Endpoint::Discovery));
    let app = Upstream::start();
    let gate = Instance::start(&yaml(provider.issuer(), &app.url(), ""), provider.clock());
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let mut browser = Browser::new().resolve(PUBLIC, gate.address);
                assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 503);
            });
        }
    });
    let asked = provider.hits_of(Endpoint::Discovery).len();
    assert!(asked <= 12, "{asked} times for fifty people");
    provider.clear_faults();
    let begin = Instant::now();
    gate.await_providers();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(provider.hits_of(Endpoint::Discovery).len() <= asked + 2);
    let mut browser = Browser::new().resolve(PUBLIC, gate.address);
    let form = browser.visit(&format!("{PUBLIC}/page"));
    assert_eq!(browser.sign_in(&form, "alice").answer.status, 200);
}
