//! Client certificates as evidence for a route.

use rcgen::{DnType, SanType};
use sidegate::config::Verdict;
use sidegate::config::environment::Environment;

use super::Desk;
use crate::support::browser::Browser;
use crate::support::instance::{World, yaml};
use crate::support::tls_client::TlsClient;

const ROUTES: &str = "routes:
  - { match: { path: /open }, access: public }
  - { match: { path: /any }, access: { client_certificate: [any] } }
  - { match: { path: /robot }, access: { client_certificate: [\"uri:spiffe://corp/*\", \"dns:*.robots.test\"] } }
  - { match: { path: /device }, access: { client_certificate: [any], signed_in: true } }
  - { match: { path: /admin }, access: { client_certificate: [any], groups: [admins] } }
  - match: { path: /passed }
    access: { client_certificate: [\"uri:spiffe://corp/*\"] }
    cors: { origins: [\"*\"], preflights: passed }
  - match: { path: /answered }
    access: { client_certificate: [any] }
    cors: { origins: [\"*\"] }";

fn world(desk: &Desk, asked: &str) -> World {
    let pair = desk.pair("gate", &["gate.test"]);
    let ca = desk.ca();
    World::listening(
        &format!(
            "listen: [{{ address: 127.0.0.1:0, tls: {{ {pair}, client_ca: {}, client_certificates: {asked} }} }}, {{ address: 127.0.0.1:0 }}]",
            ca.display()
        ),
        ROUTES,
    )
}

/// A client with a certificate of `by` that says `uri` of it.
fn showing(desk: &Desk, by: &Desk, uri: &str) -> TlsClient {
    let issued = by.authority.issue(&[], |params| {
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.distinguished_name.push(DnType::CommonName, "robot");
    });
    TlsClient::speaking(&desk.ca(), rustls::ALL_VERSIONS, Some(&issued))
}

fn status(world: &World, client: &TlsClient, path: &str) -> std::io::Result<u16> {
    let mut tunnel = client.connect(world.gate.address, "gate.test")?;
    Ok(tunnel.get(path)?.0)
}

// R2: a certificate is evidence where the route says so, for the name that it says, and only when
// our own roots vouch for it.
#[test]
fn a_verified_certificate_opens_the_routes_that_name_it() {
    let desk = Desk::new();
    let world = world(&desk, "request");
    let robot = showing(&desk, &desk, "spiffe://corp/ns/robot");
    let other = showing(&desk, &desk, "spiffe://evil/ns/robot");
    let nobody = desk.client();
    for (client, path, wanted) in [
        (&nobody, "/open", 200),
        (&nobody, "/any", 403),
        (&nobody, "/robot", 403),
        (&other, "/any", 200),
        (&other, "/robot", 403),
        (&robot, "/any", 200),
        (&robot, "/robot", 200),
        // The certificate alone is not enough where somebody must be signed in as well.
        (&robot, "/device", 401),
        (&robot, "/admin", 401),
        (&nobody, "/device", 403),
    ] {
        assert_eq!(status(&world, client, path).unwrap(), wanted, "{path}");
    }
    // What the app hears is no identity: nobody signed in.
    assert_eq!(status(&world, &robot, "/robot").unwrap(), 200);
    assert!(world.app.last().fields("X-Forwarded-User").is_empty());
}

// R2: no root of the system, and no name that merely says so, stands in for our own roots.
#[test]
fn a_certificate_of_others_shakes_no_hands() {
    let (desk, others) = (Desk::new(), Desk::new());
    for asked in ["request", "require"] {
        let world = world(&desk, asked);
        let foreign = showing(&desk, &others, "spiffe://corp/ns/robot");
        let issued = desk.authority.issue(&["robot.robots.test"], |params| {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        });
        let ended = TlsClient::speaking(&desk.ca(), rustls::ALL_VERSIONS, Some(&issued));
        for client in [&foreign, &ended] {
            assert!(status(&world, client, "/open").is_err(), "{asked}");
        }
        assert!(world.app.arrived().is_empty());
    }
}

#[test]
fn where_a_certificate_is_required_nobody_comes_without_one() {
    let desk = Desk::new();
    let world = world(&desk, "require");
    assert!(status(&world, &desk.client(), "/open").is_err());
    let robot = showing(&desk, &desk, "spiffe://corp/ns/robot");
    assert_eq!(status(&world, &robot, "/open").unwrap(), 200);
}

// R2: a header is no certificate, and neither is what another listener saw.
#[test]
fn nothing_but_the_handshake_counts_as_a_certificate() {
    let desk = Desk::new();
    let world = world(&desk, "request");
    let mut browser = Browser::new().resolve("https://gate.test", world.gate.addresses[1]);
    let fields = "X-Forwarded-Client-Cert: Subject=\"CN=robot\";URI=spiffe://corp/ns/robot\r\nSsl-Client-Verify: SUCCESS\r\nX-SSL-Client-S-DN: CN=robot\r\n";
    for path in ["/any", "/robot"] {
        let answer = browser.request("GET", &format!("https://gate.test{path}"), fields, b"");
        assert_eq!(answer.status, 403, "{path}");
        assert!(
            answer.text().contains("client_certificate"),
            "{}",
            answer.text()
        );
    }
    assert!(world.app.arrived().is_empty());
}

// I11, R2: a preflight brings no session, but it comes over a connection: an app that nobody reaches
// without a certificate hears of no preflight without one.
#[test]
fn a_preflight_without_the_certificate_does_not_reach_the_app() {
    let desk = Desk::new();
    let world = world(&desk, "request");
    let asked = |client: &TlsClient, path: &str| {
        let mut tunnel = client.connect(world.gate.address, "gate.test").unwrap();
        let fields =
            "Host: gate.test\r\nOrigin: https://x.test\r\nAccess-Control-Request-Method: GET";
        let request = format!("OPTIONS {path} HTTP/1.1\r\n{fields}\r\n\r\n");
        tunnel.ask(&request).unwrap()
    };
    let other = showing(&desk, &desk, "spiffe://elsewhere/robot");
    for client in [&desk.client(), &other] {
        let (status, text) = asked(client, "/passed");
        assert_eq!(status, 403);
        assert!(text.contains("client_certificate"), "{text}");
    }
    // What the gate answers itself is no secret, and browsers ask without a certificate.
    assert_eq!(asked(&desk.client(), "/answered").0, 204);
    assert!(world.app.arrived().is_empty());
    let robot = showing(&desk, &desk, "spiffe://corp/ns/robot");
    assert_eq!(asked(&robot, "/passed").0, 200);
    assert_eq!(world.app.last().request_line(), "OPTIONS /passed HTTP/1.1");
}

// R3: each handshake shows its certificate: none is remembered from one before.
#[test]
fn no_session_of_tls_carries_a_certificate_along() {
    let desk = Desk::new();
    let world = world(&desk, "request");
    let robot = showing(&desk, &desk, "spiffe://corp/ns/robot");
    for _ in 0..4 {
        let mut tunnel = robot.connect(world.gate.address, "gate.test").unwrap();
        assert_eq!(tunnel.get("/robot").unwrap().0, 200);
        let kind = tunnel.stream.conn.handshake_kind();
        assert_ne!(kind, Some(rustls::HandshakeKind::Resumed));
    }
}

#[test]
fn a_rule_about_certificates_that_cannot_hold_is_a_fault() {
    for (access, wanted) in [
        ("{ client_certificate: [any] }", "no listener asks"),
        (
            "{ client_certificate: [robot] }",
            "not a way to name certificates",
        ),
        (
            "{ any: [{ client_certificate: [any] }] }",
            "asked of a connection",
        ),
        ("{ signed_in: true }", "asked of a connection"),
    ] {
        let more = format!("routes: [{{ access: {access} }}]");
        let text = yaml("https://id.test", "http://127.0.0.1:1", &more);
        let verdict = Verdict::of_text(&text, &Environment::of_process());
        let said: Vec<String> = verdict.faults.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|one| one.contains(wanted)),
            "{access}: {said:?}"
        );
    }
}
