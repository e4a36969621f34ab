//! What the gate connects to by itself, and what it demands of whom it meets there.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
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

/// A server by OpenSSL, which can be told to be weak. It ends with the test.
struct WeakServer {
    child: Child,
    address: String,
}

impl Drop for WeakServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl WeakServer {
    fn start(certificate: &str, key: &str, arguments: &str) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www"])
            .args(["-cert", certificate, "-key", key])
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.map(Result::unwrap).find_map(|line| {
            let address = line.strip_prefix("ACCEPT ")?;
            Some(address.to_owned())
        });
        Self {
            child,
            address: said.expect("it said where it listens"),
        }
    }
}

// R3: a provider that has only old versions, only suites without authenticated encryption, or only
// another protocol within, is not spoken to. The same server with what is right is.
#[test]
fn a_provider_is_spoken_to_by_strong_tls_alone() {
    let ours = Authority::named("ours");
    let (certificate, key) = ours.signed(&["127.0.0.1"], |_| {}).files();
    let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
    let (certificate_path, key_path) = (path(&certificate), path(&key));
    let ca = ours.file();
    let app = Upstream::start();
    for (arguments, refused) in [
        ("-tls1_3", None),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", None),
        ("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", None),
        ("-alpn http/1.1", None),
        ("-tls1_1 -cipher ALL@SECLEVEL=0", Some("ProtocolVersion")),
        ("-tls1 -cipher ALL@SECLEVEL=0", Some("ProtocolVersion")),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256",
            Some("HandshakeFailure"),
        ),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA",
            Some("HandshakeFailure"),
        ),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM8",
            Some("HandshakeFailure"),
        ),
        ("-alpn h2", Some("NoApplicationProtocol")),
    ] {
        let server = WeakServer::start(&certificate_path, &key_path, arguments);
        let text = yaml(&format!("https://{}", server.address), &app.url(), "").replace(
            "    client_id:",
            &format!(
                "    ca: {{ file: {} }}\n    client_id:",
                ca.path().display()
            ),
        );
        let gate = Instance::start(&text, &Clock::system());
        let fault = gate.await_fault();
        match refused {
            // It is OpenSSL's own page and no discovery document, but it came.
            None => assert!(!fault.contains("TLS"), "{arguments}: {fault}"),
            Some(alert) => {
                assert!(fault.contains("TLS"), "{arguments}: {fault}");
                assert!(fault.contains(alert), "{arguments}: {fault}");
            }
        }
        let mut browser = Browser::new().resolve(PUBLIC, gate.address);
        assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 503);
    }
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
