//! What each step of one request costs: a signed-in GET with the twelve fields of a browser's script,
//! on its way from the head to what the upstream gets.
//!
//! `cargo bench --bench request`, or with a part of a name behind it; `-- --list` names them all.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is the end of the benchmark, as in a test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::RandomState;
use std::net::SocketAddr;
use std::time::Duration;

use divan::{Bencher, black_box};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request};
use sidegate::base::clock::UnixTime;
use sidegate::base::entropy::Entropy;
use sidegate::base::keyring::{Keyring, SessionKey};
use sidegate::base::peer::{Peer, PeerAddress};
use sidegate::base::secret::Secret;
use sidegate::base::target::Target;
use sidegate::config::environment::Environment;
use sidegate::config::{Config, Verdict};
use sidegate::gate::decision::{Decision, Permit};
use sidegate::gate::facts::Facts;
use sidegate::gate::{Callback, Gate};
use sidegate::oidc::claims::{Email, Groups, Identity, Verification};
use sidegate::proxy::head::Rewriter;
use sidegate::session::cookie::SessionCookie;
use sidegate::session::lifetime::SignedIn;
use sidegate::session::names::CookieNames;
use sidegate::session::presented::{Opener, Presented};
use sidegate::session::recent::Recent;
use sidegate::session::{Grant, Session};

fn main() {
    divan::main();
}

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
const TARGET: &str = "/api/dashboards/uid/abc-DEF_123?orgId=1&from=now-6h&to=now";
const CONFIG: &str = "
public_url: https://dash.example.com
providers:
  - issuer: https://id.example.com
    client_id: dashboards
session:
  keys: ephemeral
upstreams:
  app: http://127.0.0.1:3000
routes:
  - match: { path: /public/** }
    access: public
  - match: { path: /assets/** }
    access: public
  - match: { path: /admin/** }
    access: { groups: [admins] }
  - match: { path: /api/** }
    access: { groups: [viewers, admins] }
  - access: signed_in
";

/// One gate, and somebody who is signed in at it.
struct Fixture {
    config: Config,
    gate: Gate,
    names: CookieNames,
    keyring: Keyring,
    peer: Peer,
    cookie: String,
}

impl Fixture {
    fn new() -> Self {
        Self::of(CONFIG)
    }

    fn of(text: &str) -> Self {
        let config = Verdict::of_text(text, &Environment::of_process());
        let config = config.into_config().unwrap();
        let callbacks = config.providers.iter().map(|provider| Callback {
            path: provider.redirect_path.clone(),
            provider: provider.id.clone(),
        });
        let gate = Gate::new(
            config.public_url.clone(),
            &config.prefix,
            callbacks.collect(),
            config.routes.clone(),
        );
        let names = CookieNames::new(&config.session.cookie, &config.public_url, "dashboards");
        let names = names.unwrap();
        let keyring = Keyring::new(&[SessionKey::generate(Entropy::system()).unwrap()]).unwrap();
        let cookie = cookie(&config, &names, &keyring);
        assert!((1_400..1_700).contains(&cookie.len()), "{}", cookie.len());
        Self {
            config,
            gate,
            names,
            keyring,
            peer: Peer::new(
                PeerAddress::Tcp(SocketAddr::from(([192, 0, 2, 7], 50_123))),
                0,
            ),
            cookie,
        }
    }

    /// A new head of the one request.
    fn head(&self) -> Parts {
        let mut head = Request::get(TARGET).body(()).unwrap().into_parts().0;
        let fields = [
            ("host", "dash.example.com"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            ),
            ("accept", "application/json, text/plain, */*"),
            ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("referer", "https://dash.example.com/d/overview?orgId=1"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-site", "same-origin"),
            (
                "sec-ch-ua",
                "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"",
            ),
            ("sec-ch-ua-mobile", "?0"),
            ("sec-ch-ua-platform", "\"Linux\""),
        ];
        for (name, value) in fields {
            head.headers.insert(name, HeaderValue::from_static(value));
        }
        let cookie = HeaderValue::from_str(&self.cookie).unwrap();
        head.headers.insert("cookie", cookie);
        head
    }

    fn facts(&self) -> Box<Facts> {
        Facts::gather(self.head(), &self.peer, &self.config.trusted_proxies).unwrap()
    }

    fn presented(&self) -> Presented {
        Presented::read(&self.head().headers, &self.names)
    }

    fn opener(&self) -> Opener<'_> {
        Opener::new(&self.keyring, &self.names)
    }

    fn permit(&self) -> Permit {
        let facts = self.facts();
        let limits = self.config.session.limits;
        let evidence = self.presented().open(&self.opener(), limits, NOW);
        let matched = self.gate.route(&facts);
        let Decision::Forward(permit, _) = self.gate.decide(matched, facts, &evidence, NOW) else {
            unreachable!("somebody who is signed in and may pass, passes");
        };
        permit
    }
}

/// A `Cookie` field of about 1.5 KiB: a session with a grant, beside a cookie of the app's own.
fn cookie(config: &Config, names: &CookieNames, keyring: &Keyring) -> String {
    let identity = Identity {
        issuer: "https://id.example.com".to_owned(),
        subject: "5f2d3c1a-9b7e-4f60-8a21-0c6d7e8f9a0b".to_owned(),
        email: Some(Email {
            address: "alice@example.com".to_owned(),
            verification: Verification::Verified,
        }),
        groups: Groups::Complete(["viewers", "editors", "staff"].map(str::to_owned).into()),
        preferred_username: Some("alice".to_owned()),
        name: Some("Alice Example".to_owned()),
        claims: BTreeMap::new(),
    };
    let who = SignedIn {
        identity,
        provider: "default".to_owned(),
        provider_sid: Some("0a1b2c3d".to_owned()),
        auth_time: Some(NOW),
        acr: None,
        grant: Some(Grant {
            refresh_token: Secret::new("r".repeat(750)),
            access_expires_at: NOW.plus(Duration::from_mins(5)),
        }),
        raw_id_token: None,
    };
    let session = Session::start(who, [7; 16], config.session.limits, NOW);
    let written = SessionCookie::write(&session, keyring, names, &Presented::default(), NOW);
    let lines = written.unwrap();
    let pairs = lines
        .iter()
        .filter_map(|line| line.as_str().split(';').next());
    let pairs: Vec<&str> = pairs.collect();
    format!("theme=dark; {}", pairs.join("; "))
}

/// A target without a doubt, and one of which every reading differs.
#[divan::bench(args = [TARGET, "/static//a/../b%2fc/%252e%252e/%C3%9Cber/;v=1/x.js?q=%2e"])]
fn target_readings(bencher: Bencher<'_, '_>, target: &str) {
    assert!(Target::parse(target).is_ok(), "a refusal is another path");
    bencher.bench_local(|| Target::parse(black_box(target)));
}

/// Method, host, target, client and asker out of a head.
#[divan::bench]
fn facts(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    bencher
        .with_inputs(|| fixture.head())
        .bench_local_values(|head| {
            Facts::gather(head, &fixture.peer, &fixture.config.trusted_proxies)
        });
}

/// Every reading of the target finds its route.
#[divan::bench]
fn route(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let facts = fixture.facts();
    bencher.bench_local(|| fixture.gate.route(black_box(&facts)));
}

/// Our cookies among all of them.
#[divan::bench]
fn cookie_find(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let head = fixture.head();
    bencher.bench_local(|| Presented::read(black_box(&head.headers), &fixture.names));
}

/// A session that this worker has not seen: decoded, decrypted, read.
#[divan::bench]
fn cookie_open_new(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let presented = fixture.presented();
    let limits = fixture.config.session.limits;
    bencher.bench_local(|| presented.open(&fixture.opener(), limits, black_box(NOW)));
}

/// A session that was opened a moment ago.
#[divan::bench]
fn cookie_open_known(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let presented = fixture.presented();
    let limits = fixture.config.session.limits;
    let recent = Recent::new(RandomState::new());
    let open = || {
        presented.open(
            &fixture.opener().remembering(&recent),
            limits,
            black_box(NOW),
        )
    };
    drop(open());
    assert!(
        recent.take_learned().is_some(),
        "the second time it is known"
    );
    bencher.bench_local(open);
}

/// From a route and a session to a permit.
#[divan::bench]
fn decide(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let limits = fixture.config.session.limits;
    let evidence = fixture.presented().open(&fixture.opener(), limits, NOW);
    bencher
        .with_inputs(|| {
            let facts = fixture.facts();
            (fixture.gate.route(&facts), facts)
        })
        .bench_local_values(|(matched, facts)| fixture.gate.decide(matched, facts, &evidence, NOW));
}

/// From the head's facts to a permit, by so many routes and a fifth as many named rules; the request falls
/// under the last but one.
#[divan::bench(args = [5, 50, 1_000])]
fn route_and_decide(bencher: Bencher<'_, '_>, routes: usize) {
    let (head, _) = CONFIG.split_once("routes:").unwrap();
    let rules = routes / 5;
    let mut text = format!("{head}access:\n");
    for rule in 0..rules {
        writeln!(
            text,
            "  rule{rule}: {{ groups: [viewers, team{rule}], deny: {{ groups: [left{rule}] }} }}"
        )
        .unwrap();
    }
    text.push_str("routes:\n");
    for route in 0..routes - 2 {
        let rule = route % rules;
        writeln!(
            text,
            "  - {{ match: {{ path: /api/team{route}/*/x/** }}, access: rule{rule} }}"
        )
        .unwrap();
    }
    text.push_str("  - { match: { path: /api/** }, access: rule0 }\n  - access: signed_in\n");
    let fixture = Fixture::of(&text);
    let limits = fixture.config.session.limits;
    let evidence = fixture.presented().open(&fixture.opener(), limits, NOW);
    assert_eq!(fixture.permit().route(), routes - 2);
    bencher
        .with_inputs(|| fixture.facts())
        .bench_local_values(|facts| {
            let matched = fixture.gate.route(&facts);
            fixture.gate.decide(matched, facts, &evidence, NOW)
        });
}

/// The head that goes to the upstream.
#[divan::bench]
fn rewrite_request(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let settings = fixture.config.upstreams.first().unwrap();
    let rewriter = Rewriter::new(&fixture.config.public_url, fixture.names.clone(), settings);
    assert!(rewriter.outbound(fixture.permit(), settings).is_ok());
    bencher
        .with_inputs(|| fixture.permit())
        .bench_local_values(|permit| rewriter.outbound(permit, settings));
}

/// The head that comes back.
#[divan::bench]
fn rewrite_answer(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let settings = fixture.config.upstreams.first().unwrap();
    let rewriter = Rewriter::new(&fixture.config.public_url, fixture.names.clone(), settings);
    let mut answer = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-length", "1024"),
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("set-cookie", "app=1; Path=/"),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    bencher
        .with_inputs(|| answer.clone())
        .bench_local_refs(|headers| rewriter.inbound(headers));
}
