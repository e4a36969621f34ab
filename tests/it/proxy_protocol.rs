//! A trusted proxy says whose a connection is, by the PROXY protocol; nobody else does.

use crate::support::instance::World;
use crate::support::raw::{Answer, Wire};

const LISTEN: &str = "listen: [{ address: 127.0.0.1:0, proxy_protocol: true }]";
const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";

fn world(more: &str) -> World {
    World::listening(LISTEN, &format!("routes: [{{ access: public }}]\n{more}"))
}

/// Before a proxy that is this machine.
fn trusting() -> World {
    world("trusted_proxies: { peers: [127.0.0.1] }")
}

/// Version 2 with this command and family.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [
        &b"\r\n\r\n\0\r\nQUIT\n"[..],
        &[command, family],
        &length,
        body,
    ]
    .concat()
}

fn body4(source: [u8; 4]) -> Vec<u8> {
    [&source[..], &[192, 0, 2, 1], &[0x12, 0x67, 1, 0xbb]].concat()
}

fn said(world: &World, header: &[u8], fields: &str) -> Option<Answer> {
    let mut wire = Wire::connect(world.gate.address);
    let request = REQUEST.replace("Host", &format!("{fields}Host"));
    wire.try_send([header, request.as_bytes()].concat());
    wire.answer_to("GET")
}

// K7: the app, the rules and the log hear of the address in the header.
#[test]
fn the_address_in_the_header_is_the_clients() {
    let world = trusting();
    let mut with_additions = body4([203, 0, 113, 8]);
    with_additions.extend([0x05, 0, 4, 1, 2, 3, 4, 0x20, 0xff, 0xff]);
    for (header, client) in [
        (
            b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n".to_vec(),
            "203.0.113.9",
        ),
        (
            b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n".to_vec(),
            "2001:db8::9",
        ),
        (v2(0x21, 0x11, &body4([203, 0, 113, 7])), "203.0.113.7"),
        (v2(0x21, 0x11, &with_additions), "203.0.113.8"),
    ] {
        assert_eq!(said(&world, &header, "").unwrap().status, 200, "{client}");
        assert_eq!(world.app.last().fields("X-Forwarded-For"), [client]);
        world
            .gate
            .logged(&format!("\"client_address\":\"{client}\""));
    }
}

// K1, K7: whoever comes through the proxy is not the proxy, and is not believed for it.
#[test]
fn forwarded_headers_of_a_client_behind_the_proxy_are_not_believed() {
    let world = trusting();
    let spoofed = "X-Forwarded-For: 6.6.6.6\r\n";
    for (header, wanted) in [
        (
            b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n".to_vec(),
            Some("203.0.113.9"),
        ),
        // The proxy does not say whose it is: then it is nobody's that is trusted.
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x21, 0x31, &[7; 216]), None),
    ] {
        assert_eq!(said(&world, &header, spoofed).unwrap().status, 200);
        let fields = world.app.last().fields("X-Forwarded-For");
        assert!(
            !fields.iter().any(|field| field.contains("6.6.6.6")),
            "{fields:?}"
        );
        if let Some(wanted) = wanted {
            assert_eq!(fields, [wanted]);
        }
    }
}

// K7: a header of somebody who is no proxy of ours opens nothing, nor does its absence.
#[test]
fn a_peer_that_is_not_trusted_is_hung_up_on() {
    let world = world("trusted_proxies: { peers: [192.0.2.0/24] }");
    for header in [&b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"[..], b""] {
        assert!(said(&world, header, "").is_none());
    }
    assert!(world.app.arrived().is_empty());
}

#[test]
fn a_trusted_proxy_must_say_whose_it_is() {
    let world = trusting();
    for header in [
        &b""[..],
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
        &v2(0x11, 0x11, &body4([203, 0, 113, 9])),
        &v2(0x21, 0x11, &vec![0; 8000]),
    ] {
        assert!(
            said(&world, header, "").is_none(),
            "{}",
            header.escape_ascii()
        );
    }
    assert!(world.app.arrived().is_empty());
}

#[test]
fn a_header_torn_at_any_byte_is_the_same_header() {
    let world = trusting();
    for header in [
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n".to_vec(),
        v2(0x21, 0x11, &body4([203, 0, 113, 9])),
    ] {
        for at in 0..=header.len() {
            let mut wire = Wire::connect(world.gate.address);
            wire.send(&header[..at]);
            wire.send([&header[at..], REQUEST.as_bytes()].concat());
            assert_eq!(wire.answer_to("GET").unwrap().status, 200, "{at}");
            assert_eq!(world.app.last().fields("X-Forwarded-For"), ["203.0.113.9"]);
        }
        // One byte at a time.
        let mut wire = Wire::connect(world.gate.address);
        for byte in &header {
            wire.send([*byte]);
        }
        wire.send(REQUEST);
        assert_eq!(wire.answer_to("GET").unwrap().status, 200);
        assert_eq!(world.app.last().fields("X-Forwarded-For"), ["203.0.113.9"]);
    }
}

// Q1: half a header keeps nothing open beyond the time of a head, and neither does a whole one.
#[test]
fn a_header_and_the_head_after_it_have_the_time_of_one_head() {
    let world = world("trusted_proxies: { peers: [127.0.0.1] }\nlimits: { header_timeout: 1s }");
    for begun in [
        &b""[..],
        b"PROXY TCP4 203.0",
        &v2(0x21, 0x11, &body4([1, 1, 1, 1]))[..20],
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\nGET /x HTT",
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(begun);
        assert!(wire.is_closed(), "{}", begun.escape_ascii());
    }
    assert!(world.app.arrived().is_empty());
}

// K7: a listener that does not demand the header takes it for the nonsense that it is.
#[test]
fn without_the_setting_a_header_is_no_request() {
    let world =
        World::with("routes: [{ access: public }]\ntrusted_proxies: { peers: [127.0.0.1] }");
    let header = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";
    assert_eq!(
        said(&world, header, "").map(|answer| answer.status),
        Some(400)
    );
    assert!(world.app.arrived().is_empty());
}
