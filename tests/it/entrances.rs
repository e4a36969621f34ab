//! What a listener answers by itself: a balancer's question, and the way to https.

use std::net::SocketAddr;

use crate::support::instance::World;
use crate::support::raw::{Answer, Wire, exchange};

const OPEN: &str = "routes: [{ access: public }]";
const HEALTH: &str = "listen: [{ address: 127.0.0.1:0, health_path: /-/sidegate }]";

fn ask(address: SocketAddr, method: &str, target: &str, fields: &str) -> Answer {
    let text = format!("{method} {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
    exchange(address, text)
}

// T6: a balancer learns whether to send requests here, and nothing else; whatever it is called.
#[test]
fn a_balancer_is_answered_under_any_host_and_nothing_reaches_the_app() {
    let world = World::listening(HEALTH, OPEN);
    let address = world.gate.address;
    for (method, fields) in [
        ("GET", "Host: 10.0.0.7\r\n"),
        ("HEAD", "Host: gate.test\r\n"),
        ("GET", "Host: gate.test\r\nCookie: __Host-sidegate-x=y\r\n"),
        ("GET", ""),
    ] {
        let answer = ask(address, method, "/-/sidegate", fields);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, ""),
            "{fields}"
        );
        assert!(answer.all("set-cookie").next().is_none());
    }
    assert_eq!(world.app.arrived().len(), 0);
    assert!(!world.gate.log().contains("/-/sidegate"));
}

#[test]
fn what_only_resembles_the_health_path_is_a_request_like_any_other() {
    let world = World::listening(HEALTH, OPEN);
    let address = world.gate.address;
    let host = "Host: gate.test\r\n";
    for (method, target) in [
        ("GET", "/-/sidegate/"),
        ("GET", "/-/sidegate?x"),
        ("GET", "/-/Sidegate"),
        ("GET", "/-/%73idegate"),
        ("POST", "/-/sidegate"),
    ] {
        let before = world.app.arrived().len();
        assert_eq!(ask(address, method, target, host).status, 200, "{target}");
        assert_eq!(world.app.arrived().len(), before + 1, "{method} {target}");
    }
    // Another listener has no such path unless it says so.
    let world = World::with(OPEN);
    ask(world.gate.address, "GET", "/-/sidegate", host);
    assert_eq!(world.app.arrived().len(), 1);
}

const REDIRECT: &str =
    "listen: [{ address: 127.0.0.1:0 }, { address: 127.0.0.1:0, redirect: https }]";

// I8: where the way to https leads is the operator's word, whatever the request says.
#[test]
fn plain_http_is_led_to_the_same_target_of_the_public_url() {
    let world = World::listening(REDIRECT, OPEN);
    let address = world.gate.addresses[1];
    for (target, leads_to) in [
        ("/", "https://gate.test/"),
        (
            "/a%2Fb//c?q=%41&r=[x]",
            "https://gate.test/a%2Fb//c?q=%41&r=[x]",
        ),
        ("//evil.test/x", "https://gate.test//evil.test/x"),
        ("http://evil.test/x?y", "https://gate.test/x?y"),
        (
            "/.well-known/acme-challenge/x",
            "https://gate.test/.well-known/acme-challenge/x",
        ),
    ] {
        for method in ["GET", "HEAD"] {
            let fields = "Host: evil.test\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: https\r\nCookie: a=b\r\n";
            let answer = ask(address, method, target, fields);
            assert_eq!(answer.status, 308, "{target}");
            assert_eq!(answer.location(), leads_to);
            assert!(answer.all("set-cookie").next().is_none());
        }
    }
    assert_eq!(world.app.arrived().len(), 0);
}

#[test]
fn plain_http_does_nothing_but_lead_elsewhere() {
    let world = World::listening(REDIRECT, OPEN);
    let address = world.gate.addresses[1];
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "TRACE"] {
        let answer = ask(address, method, "/x", "Host: gate.test\r\n");
        assert_eq!(answer.status, 403, "{method}");
        assert!(answer.field("location").is_none());
        assert!(answer.text().contains("https"), "{}", answer.text());
    }
    // A body is not read, and not taken for another request either.
    let mut wire = Wire::connect(address);
    wire.send("POST /x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 40\r\n\r\nGET /y HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(wire.answer_to("POST").unwrap().status, 403);
    assert!(wire.is_closed());
    assert_eq!(world.app.arrived().len(), 0);
    // The listener beside it serves.
    let served = ask(world.gate.address, "GET", "/x", "Host: gate.test\r\n");
    assert_eq!(served.status, 200);
}
