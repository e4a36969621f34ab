//! What the gate connects to by itself, and what it demands of whom it meets there.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, date_time_ymd};
use rustls::ServerConfig;
use serde_json::json;
use sidegate::base::clock::Clock;
use sidegate::demo::provider::Endpoint;

use crate::support::authority::{Authority, self_signed};
use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::provider::{Fault, TestProvider};
use crate::support::upstream::Upstream;

/// What a login page's request is answered at a gate whose provider shows this certificate.
fn answer_before(config: ServerConfig, ca: &Authority) -> u16 {
    let provider = TestProvider::start_tls(Arc::new(config), |_| {});
    register(&provider, "dashboards", "/oauth2/callback");
    let (app, ca) = (Upstream::start(), ca.file());
    let text = yaml(provider.issuer(), &app.url(), "").replace(
        "    client_id:",
        &format!(
            "    ca: {{ file: {} }}\n    client_id:",
            ca.path().display()
        ),
    );
    let gate = Instance::start(&text, &Clock::system());
    let mut browser = Browser::new().resolve(PUBLIC, gate.address);
    browser.open(&format!("{PUBLIC}/page")).status
}

// R1: there is no way to a provider but by a certificate that is good for it, now, and from the
// configured authority.
#[test]
fn a_provider_is_believed_only_with_a_good_certificate() {
    let (ours, other) = (Authority::named("ours"), Authority::named("other"));
    let same = |_: &mut CertificateParams| {};
    let rows: Vec<(&str, ServerConfig, u16)> = vec![
        ("good", ours.server(&["127.0.0.1"], same), 302),
        ("another authority", other.server(&["127.0.0.1"], same), 503),
        ("another name", ours.server(&["id.example.com"], same), 503),
        ("another address", ours.server(&["127.0.0.2"], same), 503),
        (
            "a wildcard for no address",
            ours.server(&["*.0.0.1"], same),
            503,
        ),
        (
            "expired",
            ours.server(&["127.0.0.1"], |params| {
                params.not_before = date_time_ymd(2010, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 1);
            }),
            503,
        ),
        (
            "not yet valid",
            ours.server(&["127.0.0.1"], |params| {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2095, 1, 1);
            }),
            503,
        ),
        (
            "an authority's own",
            ours.server(&["127.0.0.1"], |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            503,
        ),
    ];
    for (what, config, status) in rows {
        assert_eq!(answer_before(config, &ours), status, "{what}");
    }
}

// R1: a certificate that vouches for itself is nobody's word.
#[test]
fn a_certificate_that_signs_itself_is_refused() {
    let config = self_signed("127.0.0.1");
    assert_eq!(answer_before(config, &Authority::named("ours")), 503);
}

// R4: a provider's metadata lead nobody to the cloud's.
#[test]
fn metadata_that_name_a_link_local_address_are_not_followed() {
    let world = World::start();
    world.provider.set_fault(Fault::Member(
        Endpoint::Discovery,
        "jwks_uri",
        Some(json!("https://169.254.169.254/latest/meta-data")),
    ));
    let text = yaml(world.provider.issuer(), &world.app.url(), "");
    let gate = Instance::start(&text, world.provider.clock());
    let fault = gate.await_fault();
    assert!(fault.contains("link-local"), "{fault}");
    let mut browser = Browser::new().resolve(PUBLIC, gate.address);
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 503);
}
