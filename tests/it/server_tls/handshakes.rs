//! What is offered in a handshake, to whom, and for how long somebody may take over it.

use std::io::Write as _;

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, version};
use sidegate::config::Verdict;
use sidegate::config::environment::Environment;

use super::{Desk, put, world};
use crate::support::instance::yaml;
use crate::support::raw::Wire;
use crate::support::tls_client::TlsClient;

// R3: 1.2 and 1.3, with a key exchange that a quantum computer does not undo where the client has it.
#[test]
fn both_versions_are_spoken_and_the_key_exchange_is_post_quantum() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test"]), "");
    for (versions, wanted) in [
        (&[&version::TLS12][..], ProtocolVersion::TLSv1_2),
        (&[&version::TLS13], ProtocolVersion::TLSv1_3),
        (rustls::ALL_VERSIONS, ProtocolVersion::TLSv1_3),
    ] {
        let mut client = TlsClient::speaking(&desk.ca(), versions, None);
        client.config.alpn_protocols = vec![b"spdy/9".to_vec(), b"http/1.1".to_vec()];
        let mut tunnel = client.connect(world.gate.address, "gate.test").unwrap();
        for path in ["/a", "/b"] {
            let (status, body) = tunnel.get(path).unwrap();
            assert_eq!(
                (status, body),
                (200, format!("the app saw GET {path} HTTP/1.1"))
            );
        }
        let connection = &tunnel.stream.conn;
        assert_eq!(connection.protocol_version(), Some(wanted));
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        let group = connection.negotiated_key_exchange_group().unwrap().name();
        let wanted = match wanted {
            ProtocolVersion::TLSv1_3 => NamedGroup::X25519MLKEM768,
            _ => NamedGroup::X25519,
        };
        assert_eq!(group, wanted);
    }
    assert_eq!(world.app.last().fields("X-Forwarded-Proto"), ["https"]);
}

// R3: a protocol that we do not speak is refused in the handshake, and not guessed at after it.
#[test]
fn a_client_that_only_speaks_another_protocol_is_refused() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test"]), "");
    let mut client = desk.client();
    client.config.alpn_protocols = vec![b"spdy/9".to_vec()];
    let refused = client.connect(world.gate.address, "gate.test").unwrap_err();
    assert!(
        refused.to_string().contains("NoApplicationProtocol"),
        "{refused}"
    );
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let desk = Desk::new();
    let pairs = [
        desk.pair("first", &["first.test"]),
        desk.pair("wild", &["*.wild.test", "other.test"]),
        desk.pair("exact", &["exact.wild.test"]),
    ];
    let list: Vec<String> = pairs.iter().map(|pair| format!("{{ {pair} }}")).collect();
    let world = world(&format!("certificates: [{}]", list.join(", ")), "");
    let client = desk.client();
    for (name, shown) in [
        ("first.test", "first.test"),
        ("other.test", "*.wild.test"),
        ("a.wild.test", "*.wild.test"),
        // The operator's order decides, so that what is shown can be foretold.
        ("exact.wild.test", "*.wild.test"),
    ] {
        let mut tunnel = client.connect(world.gate.address, name).unwrap();
        assert_eq!(tunnel.shown()[0], shown, "{name}");
        assert_eq!(tunnel.get("/x").unwrap().0, 200);
    }
    // One label and no more; nobody's name, or none at all, gets the first.
    let mut careless = client.clone();
    careless
        .config
        .dangerous()
        .set_certificate_verifier(std::sync::Arc::new(Anybody));
    for name in ["a.b.wild.test", "wild.test", "nobody.test"] {
        let tunnel = careless.connect(world.gate.address, name).unwrap();
        assert_eq!(tunnel.shown(), ["first.test"], "{name}");
    }
    careless.config.enable_sni = false;
    let tunnel = careless.connect(world.gate.address, "other.test").unwrap();
    assert_eq!(tunnel.shown(), ["first.test"]);
}

// R3: a client comes back without a whole handshake, whichever worker it meets, and never sends a
// request ahead of one.
#[test]
fn a_client_that_comes_back_is_known_by_every_worker_and_sends_nothing_early() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test"]), "");
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let mut client = TlsClient::speaking(&desk.ca(), versions, None);
        client.config.enable_early_data = true;
        let mut held = Vec::new();
        for turn in 0..6 {
            let mut tunnel = client.connect(world.gate.address, "gate.test").unwrap();
            let kind = tunnel.stream.conn.handshake_kind();
            assert_eq!(
                kind == Some(HandshakeKind::Resumed),
                turn > 0,
                "{kind:?} {turn}"
            );
            assert!(!tunnel.stream.conn.is_early_data_accepted());
            assert!(tunnel.stream.conn.early_data().is_none());
            assert_eq!(tunnel.get("/x").unwrap().0, 200);
            held.push(tunnel); // the next one goes to the other worker
        }
    }
}

// Q1: half a handshake keeps nothing open beyond the time of a head, and neither does a whole one
// that is followed by nothing or by half a head.
#[test]
fn a_handshake_and_the_head_after_it_have_the_time_of_one_head() {
    let desk = Desk::new();
    let world = world(
        &desk.pair("gate", &["gate.test"]),
        "limits: { header_timeout: 1s }",
    );
    let hello = hello(&desk);
    for begun in [
        &b""[..],
        &hello[..1],
        &hello[..hello.len() / 2],
        &hello[..hello.len() - 1],
        &hello,
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(begun);
        while !wire.is_closed() {} // its answers to a whole one, and then the end
    }
    for begun in ["", "GET /x HTTP/1.1\r\nHost: gate."] {
        let mut tunnel = desk
            .client()
            .connect(world.gate.address, "gate.test")
            .unwrap();
        tunnel.stream.write_all(begun.as_bytes()).unwrap();
        let mut wire = Wire::over(tunnel.stream.sock);
        while !wire.is_closed() {}
    }
    assert!(world.app.arrived().is_empty());
}

/// What a client says first.
fn hello(desk: &Desk) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from("gate.test").unwrap();
    let config = std::sync::Arc::new(desk.client().config);
    let mut connection = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn plain_http_is_told_that_tls_is_spoken() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test"]), "");
    let mut wire = Wire::connect(world.gate.address);
    wire.send("GET /x HTTP/1.1\r\nHost: gate.test\r\nCookie: a=b\r\n\r\n");
    let answer = wire.answer_to("GET").unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("https"), "{}", answer.text());
    assert!(wire.is_closed());
    for junk in [
        &b"\x00\x01\x02"[..],
        b"\x80\x2e\x01\x00\x02",
        b"\xff\xff\xff\xff",
        b"\x17\x03\x03\x00\x01a",
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(junk);
        assert!(wire.is_closed(), "{junk:?}");
    }
    assert!(world.app.arrived().is_empty());
}

#[test]
fn a_large_answer_that_is_read_slowly_comes_whole() {
    let desk = Desk::new();
    let app = crate::support::upstream::Upstream::answering(|_| {
        let body = "0123456789abcdef".repeat(1 << 17);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    });
    let listen = format!(
        "listen: [{{ address: 127.0.0.1:0, tls: {{ {} }} }}]",
        desk.pair("gate", &["gate.test"])
    );
    let provider = crate::support::provider::TestProvider::start();
    let text = yaml(
        provider.issuer(),
        &app.url(),
        "routes: [{ access: public }]",
    );
    let gate =
        crate::support::instance::Instance::start_listening(&text, &listen, provider.clock());
    let mut tunnel = desk.client().connect(gate.address, "gate.test").unwrap();
    for _ in 0..2 {
        let (status, body) = tunnel.get("/large").unwrap();
        assert_eq!((status, body.len()), (200, 16 << 17));
        assert!(body.ends_with("0123456789abcdef"));
    }
}

// K7: the header of a trusted proxy comes before TLS.
#[test]
fn behind_the_header_of_a_proxy_tls_is_spoken() {
    let desk = Desk::new();
    let listen = format!(
        "listen: [{{ address: 127.0.0.1:0, proxy_protocol: true, tls: {{ {} }} }}]",
        desk.pair("gate", &["gate.test"])
    );
    let world = crate::support::instance::World::listening(
        &listen,
        "routes: [{ access: public }]\ntrusted_proxies: { peers: [127.0.0.1] }",
    );
    let header = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";
    let client = desk.client();
    let mut tunnel = client
        .connect_after(world.gate.address, "gate.test", header)
        .unwrap();
    assert_eq!(tunnel.get("/x").unwrap().0, 200);
    assert_eq!(world.app.last().fields("X-Forwarded-For"), ["203.0.113.9"]);
    assert!(client.connect(world.gate.address, "gate.test").is_err());
}

/// The faults of a configuration with this TLS.
fn faults(tls: &str) -> Vec<String> {
    let listen = format!("listen: [{{ address: 127.0.0.1:0, tls: {{ {tls} }} }}]");
    let text = yaml("https://id.test", "http://127.0.0.1:1", &listen);
    let verdict = Verdict::of_text(&text, &Environment::of_process());
    let said: Vec<String> = verdict.faults.iter().map(ToString::to_string).collect();
    assert_eq!(said.is_empty(), verdict.config.is_some());
    said
}

// R2: what cannot be read or does not fit is named, and nothing starts with less.
#[test]
fn a_certificate_that_cannot_be_used_is_a_fault_that_says_why() {
    let desk = Desk::new();
    let good = desk.pair("gate", &["gate.test"]);
    assert!(faults(&good).is_empty());
    let other = desk.pair("other", &["other.test"]);
    let ended = desk.authority.issue(&["gate.test"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    desk.write("ended", &ended);
    put(&desk.path("empty.crt"), "");
    put(
        &desk.path("broken.crt"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let at = |name: &str| desk.path(name).display().to_string();
    let pair = |certificate: &str, key: &str| {
        format!("certificate: {}, key: {}", at(certificate), at(key))
    };
    for (tls, wanted) in [
        (
            pair("gate.crt", "other.key"),
            "does not belong to the first certificate",
        ),
        (
            pair("ended.crt", "ended.key"),
            "the first certificate has ended",
        ),
        (
            pair("nowhere.crt", "gate.key"),
            "tls.certificate: the file cannot be read",
        ),
        (
            pair("gate.crt", "nowhere.key"),
            "tls.key: the file cannot be read",
        ),
        (pair("empty.crt", "gate.key"), "no PEM certificate"),
        (
            pair("broken.crt", "gate.key"),
            "a certificate in the file is broken",
        ),
        (pair("gate.crt", "gate.crt"), "no PEM private key"),
        (pair("gate.key", "gate.key"), "no PEM certificate"),
        (
            format!("certificate: {}", at("gate.crt")),
            "`key` is missing",
        ),
        (
            format!("{good}, certificates: [{{ {other} }}]"),
            "one certificate here and a list",
        ),
        (
            "certificates: []".to_owned(),
            "without a certificate there is no TLS",
        ),
        (
            format!(
                "{good}, client_ca: {}, client_certificates: require",
                at("nowhere.pem")
            ),
            "client_ca: the file cannot be read",
        ),
        (
            format!(
                "{good}, client_ca: {}, client_certificates: require",
                at("gate.key")
            ),
            "no usable PEM certificate",
        ),
        (
            format!("{good}, client_certificates: require"),
            "nobody is named who vouches",
        ),
        (
            format!("{good}, client_ca: {}", at("ca.pem")),
            "nobody is asked",
        ),
    ] {
        let said = faults(&tls);
        assert!(
            said.iter().any(|fault| fault.contains(wanted)),
            "{tls}: {said:?}"
        );
    }
}

// T7: like any other secret.
#[test]
fn a_key_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let listen = format!(
        "listen: [{{ address: 127.0.0.1:0, tls: {{ {} }} }}]",
        desk.pair("gate", &["gate.test"])
    );
    let text = yaml("https://id.test", "http://127.0.0.1:1", &listen);
    for (mode, warned) in [(0o600, false), (0o644, true)] {
        std::fs::set_permissions(desk.path("gate.key"), std::fs::Permissions::from_mode(mode))
            .unwrap();
        let verdict = Verdict::of_text(&text, &Environment::of_process());
        let about = |one: &sidegate::config::fault::ConfigWarning| one.path == "listen[0].tls.key";
        assert_eq!(verdict.warnings.iter().any(about), warned, "{mode:o}");
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
