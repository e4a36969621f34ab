//! The way to an app over TLS: whom the gate believes there, and what it shows of itself.

use std::net::SocketAddr;

use rcgen::{
    BasicConstraints, CertificateParams, GeneralSubtree, IsCa, NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;

use crate::support::authority::{Authority, self_signed};
use crate::support::http2_app::Http2App;
use crate::support::instance::{World, yaml};
use crate::support::raw::{Answer, Wire, exchange};
use crate::support::tls_app;

/// Lets the gate of `world` lead to an app with these settings, open to everybody.
fn lead(world: &World, settings: &str) {
    let routes = "routes: [{ access: public }]";
    let text = yaml(world.provider.issuer(), settings, routes);
    world.gate.reload(&text).unwrap();
}

fn get(world: &World) -> Answer {
    let request = "GET /page HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
    exchange(world.gate.address, request)
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}

/// What is answered where the app shows this certificate, and `ours` signs good ones.
fn answer_before(world: &World, config: ServerConfig, ours: &Authority) -> Answer {
    let (address, ca) = (tls_app::start(config), ours.file());
    lead(
        world,
        &format!(
            "{{ url: {}, tls: {{ ca: {{ file: {} }} }} }}",
            url(address),
            ca.path().display()
        ),
    );
    get(world)
}

// R1: there is no way to an app but by a certificate that is good for it, now, and from the
// configured authority.
#[test]
fn an_app_is_believed_only_with_a_good_certificate() {
    let world = World::start();
    let (ours, other) = (Authority::named("ours"), Authority::named("other"));
    let between = ours.below("between", |_| {});
    let barred = ours.below("barred", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: vec![GeneralSubtree::IpAddress(rcgen::CidrSubnet::V4(
                [127, 0, 0, 0],
                [255, 0, 0, 0],
            ))],
        });
    });
    let same = |_: &mut CertificateParams| {};
    let host = &["127.0.0.1"];
    let rows: Vec<(&str, ServerConfig, u16)> = vec![
        ("good", ours.server(host, same), 200),
        (
            "good, with the one between",
            between.signed(host, same).with(&between).server(),
            200,
        ),
        (
            "the one between is missing",
            between.server(host, same),
            502,
        ),
        (
            "the one between may not vouch for it",
            barred.signed(host, same).with(&barred).server(),
            502,
        ),
        ("another authority", other.server(host, same), 502),
        ("itself", self_signed("127.0.0.1"), 502),
        ("another name", ours.server(&["app.example.com"], same), 502),
        ("another address", ours.server(&["127.0.0.2"], same), 502),
        (
            "a wildcard for no address",
            ours.server(&["*.0.0.1"], same),
            502,
        ),
        (
            "expired",
            ours.server(host, |params| {
                params.not_before = date_time_ymd(2010, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 1);
            }),
            502,
        ),
        (
            "not yet valid",
            ours.server(host, |params| {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2095, 1, 1);
            }),
            502,
        ),
        (
            "an authority's own",
            ours.server(host, |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            502,
        ),
    ];
    for (what, config, status) in rows {
        let answer = answer_before(&world, config, &ours);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    assert!(world.gate.logged("upstream_connect").contains("TLS: "));
}

// R1: the system's authorities are asked where none is named, and vouch for none of ours.
#[test]
fn an_authority_that_nobody_named_is_not_believed() {
    let world = World::start();
    let address = tls_app::start(Authority::named("ours").server(&["127.0.0.1"], |_| {}));
    lead(&world, &url(address));
    assert_eq!(get(&world).status, 502);
}

// R1: a certificate is held to the name that is written, and that name is asked for.
#[test]
fn the_name_that_is_written_is_the_one_that_counts() {
    let world = World::start();
    let ours = Authority::named("ours");
    let address = tls_app::start(ours.server(&["app.internal"], |_| {}));
    let ca = ours.file();
    for (name, status) in [("app.internal", 200), ("other.internal", 502)] {
        lead(
            &world,
            &format!(
                "{{ url: {}, tls: {{ ca: {{ file: {} }}, server_name: {name} }} }}",
                url(address),
                ca.path().display()
            ),
        );
        let answer = get(&world);
        assert_eq!(answer.status, status, "{name}");
        if status == 200 {
            assert!(
                answer.text().starts_with("name app.internal;"),
                "{}",
                answer.text()
            );
        }
    }
}

#[test]
fn an_app_that_asks_who_is_there_is_shown_a_certificate() {
    let world = World::start();
    let ours = Authority::named("ours");
    let config = ours.demanding(ours.signed(&["127.0.0.1"], |_| {}));
    let (address, ca) = (tls_app::start(config), ours.file());
    let tls = format!("ca: {{ file: {} }}", ca.path().display());
    lead(
        &world,
        &format!("{{ url: {}, tls: {{ {tls} }} }}", url(address)),
    );
    assert_eq!(get(&world).status, 502, "nothing is shown");
    let shown = |by: &Authority| {
        let (certificate, key) = by.client().files();
        let files = format!(
            "certificate: {}, key: {}",
            certificate.path().display(),
            key.path().display()
        );
        lead(
            &world,
            &format!("{{ url: {}, tls: {{ {tls}, {files} }} }}", url(address)),
        );
        get(&world)
    };
    assert_eq!(shown(&Authority::named("other")).status, 502);
    let answer = shown(&ours);
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("; 1 certificates;"),
        "{}",
        answer.text()
    );
}

// R1: only for the one app whose settings say so.
#[test]
fn a_certificate_that_nobody_looks_at_is_the_operators_choice() {
    let world = World::start();
    let address = tls_app::start(self_signed("elsewhere"));
    let skipping = "tls: { insecure_skip_verification: true }";
    lead(&world, &format!("{{ url: {}, {skipping} }}", url(address)));
    assert_eq!(get(&world).status, 200);
    lead(&world, &format!("{{ url: {}, tls: {{}} }}", url(address)));
    assert_eq!(get(&world).status, 502);
}

#[test]
fn http2_is_spoken_where_the_app_takes_it() {
    let world = World::start();
    let ours = Authority::named("ours");
    let ca = ours.file();
    let settings = |address, http2| {
        format!(
            "{{ url: {}, http2: {http2}, tls: {{ ca: {{ file: {} }} }} }}",
            url(address),
            ca.path().display()
        )
    };
    let app = Http2App::start_tls(ours.server(&["127.0.0.1"], |_| {}));
    lead(&world, &settings(app.address, true));
    let answer = get(&world);
    assert_eq!(answer.text(), "the app saw /page ");
    assert_eq!(app.last().uri.scheme_str(), Some("https"));
    // An app that takes HTTP/1.1 alone is spoken to in that, again and again on one connection.
    let old = tls_app::start(ours.server(&["127.0.0.1"], |_| {}));
    lead(&world, &settings(old, true));
    let mut wire = Wire::connect(world.gate.address);
    for _ in 0..3 {
        wire.send("GET /page HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        let answer = wire.answer_to("GET").unwrap();
        assert!(
            answer.text().contains("GET /page HTTP/1.1"),
            "{}",
            answer.text()
        );
    }
    // And HTTP/2 is not spoken where nobody asked for it.
    lead(&world, &settings(app.address, false));
    assert_eq!(get(&world).status, 502);
}

#[test]
fn a_websocket_is_opened_over_tls_too() {
    let world = World::start();
    let ours = Authority::named("ours");
    let address = tls_app::start(ours.server(&["127.0.0.1"], |_| {}));
    let ca = ours.file();
    for http2 in [false, true] {
        lead(
            &world,
            &format!(
                "{{ url: {}, http2: {http2}, tls: {{ ca: {{ file: {} }} }} }}",
                url(address),
                ca.path().display()
            ),
        );
        let mut wire = Wire::connect(world.gate.address);
        wire.send("GET /socket HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
        assert_eq!(wire.head().unwrap().status, 101);
        wire.send("words");
        assert_eq!(wire.exactly(5), b"words");
    }
}
