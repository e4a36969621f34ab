use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request};

use super::access::{Access, Condition, Missing, Named};
use super::client_address::TrustedProxies;
use super::decision::{Decision, Denial, Upkeep};
use super::endpoint::Endpoint;
use super::facts::{Asker, Facts, Malformed, Upgrade};
use super::path_pattern::PathPattern;
use super::routes::{HostRule, Leads, Need, Route};
use super::write_shield::WriteShield;
use super::{Callback, Gate};
use crate::base::origin::{Host, Origin, PublicUrl};
use crate::base::peer::{Peer, PeerAddress};
use crate::oidc::claims::Groups;
use crate::session::Session;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Freshness;
use crate::session::tests::{START as NOW, session_of};

/// The policy that `security.md`-style tests speak of: some public paths, `/admin` for a group,
/// everything else for whoever is signed in.
fn policy() -> Gate {
    let admins = Condition {
        groups: Some(vec![Named {
            provider: None,
            name: "admins".to_owned(),
        }]),
        ..Condition::default()
    };
    let row = |path: Option<&str>, methods: Option<Vec<Method>>, access: Access| Route {
        name: path.unwrap_or("rest").to_owned(),
        hosts: HostRule::Public,
        path: path.map(|path| PathPattern::parse(path).unwrap()),
        methods,
        access,
        client_certificate: None,
        leads: Leads::Upstream(0),
        tried_access: None,
        write_shield: WriteShield::default(),
        websocket_origins: vec![Origin::parse("https://friend.test").unwrap()],
        cors: None,
    };
    let routes = vec![
        row(Some("/public/**"), None, Access::Public),
        row(Some("/healthz"), None, Access::Public),
        row(Some("/api/*/status"), None, Access::Public),
        row(Some("/docs/**"), Some(vec![Method::GET]), Access::Public),
        row(Some("/Shop/**"), None, Access::Public),
        row(Some("/greet/**"), None, Access::Optional),
        row(Some("/admin/**"), None, Access::When(admins.clone())),
        row(Some("/secret"), None, Access::When(admins)),
        Route {
            client_certificate: None,
            leads: Leads::Upstream(1),
            ..row(Some("/other/**"), None, Access::SignedIn)
        },
        row(None, None, Access::SignedIn),
    ];
    Gate::new(
        PublicUrl::parse("https://app.test").unwrap(),
        "/oauth2",
        callbacks(),
        routes,
    )
}

fn callbacks() -> Vec<Callback> {
    let callback = |path: &str, provider: &str| Callback {
        path: path.to_owned(),
        provider: provider.to_owned(),
    };
    vec![
        callback("/oauth2/callback", "corp"),
        callback("/oauth2/callback/other", "other"),
    ]
}

fn head(method: &str, target: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    if !fields.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "app.test");
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

pub(super) fn gather(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> Result<Box<Facts>, Malformed> {
    let peer = Peer::new(PeerAddress::Tcp("192.0.2.1:5".parse().unwrap()), 0);
    Facts::gather(
        head(method, target, fields),
        &peer,
        &TrustedProxies::default(),
    )
}

fn signed_in(groups: &[&str]) -> Evidence {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    let mut session = session_of("alice");
    session.identity.groups = Groups::Complete(groups);
    Evidence::Session(Arc::new(session), Freshness::Fresh)
}

fn admins_session() -> Arc<Session> {
    let Evidence::Session(session, _) = signed_in(&["admins"]) else {
        unreachable!()
    };
    session
}

fn expired() -> Evidence {
    Evidence::Expired(admins_session())
}

/// Header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

const PAGE: &[(&str, &str)] = &[
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

/// A decision in one word.
fn outcome(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    evidence: &Evidence,
) -> &'static str {
    let Ok(facts) = gather(method, target, fields) else {
        return "malformed";
    };
    let gate = policy();
    let matched = gate.route(&facts);
    let nothing = Evidence::None;
    let evidence = if gate.need(&matched) == Need::Session {
        evidence
    } else {
        &nothing
    };
    match gate.decide(matched, facts, evidence, NOW) {
        Decision::StepUp(..) => "step up",
        Decision::Deny(Denial::StepUpRequired(..)) => "401 step up",
        Decision::Forward(permit, _) if permit.session().is_some() => "identified",
        Decision::Forward(..) => "anonymous",
        Decision::Answer(..) => "answer",
        Decision::Preflight(_) => "preflight",
        Decision::Login(_) => "login",
        Decision::Reask(_) => "reask",
        Decision::Serve(..) => "endpoint",
        Decision::Deny(Denial::LoginRequired) => "401",
        Decision::Deny(
            Denial::NotAdmitted(_, Missing::Group, _)
            | Denial::ClientCertificate
            | Denial::ForeignWebSocket
            | Denial::ForeignWrite(_),
        ) => "403",
        Decision::Deny(Denial::NotAdmitted(..)) => "403 otherwise",
        Decision::Deny(Denial::NoRoute | Denial::UnknownHost) => "404",
        Decision::Deny(Denial::ManyUpstreams) => "400",
        Decision::Deny(Denial::MethodNotAllowed(_)) => "405",
        Decision::Deny(Denial::Unconfirmed) => "503",
        Decision::Deny(Denial::StoreDown) => "503 store",
    }
}

#[test]
fn the_decision_is_this_table() {
    let (none, bob, admin) = (Evidence::None, signed_in(&["dev"]), signed_in(&["admins"]));
    let unheard = Evidence::Unheard(admins_session(), Freshness::Fresh);
    let unconfirmed = Evidence::Unconfirmed(admins_session());
    let rows: &[(&str, &str, &Evidence, &str)] = &[
        ("GET", "/public/x.css", &none, "anonymous"),
        ("GET", "/public/x.css", &admin, "anonymous"),
        ("POST", "/public/x", &none, "anonymous"),
        ("GET", "/docs/a", &none, "anonymous"),
        ("HEAD", "/docs/a", &none, "anonymous"),
        ("POST", "/docs/a", &none, "401"),
        ("get", "/docs/a", &none, "malformed"),
        ("Post", "/docs/a", &admin, "malformed"),
        ("GET", "/%6fauth2/start", &admin, "404"),
        ("GET", "/x/../oauth2/sign_out", &admin, "404"),
        ("GET", "/greet/x", &none, "anonymous"),
        ("GET", "/greet/x", &bob, "identified"),
        ("GET", "/", &none, "login"),
        ("HEAD", "/", &none, "login"),
        ("POST", "/", &none, "401"),
        ("PROPFIND", "/", &none, "401"),
        ("GET", "/", &bob, "identified"),
        ("GET", "/", &Evidence::Unusable, "login"),
        ("GET", "/", &Evidence::StoreDown, "503 store"),
        ("POST", "/admin", &Evidence::StoreDown, "503 store"),
        ("GET", "/greet/x", &Evidence::StoreDown, "anonymous"),
        ("GET", "/", &expired(), "login"),
        ("POST", "/", &expired(), "401"),
        ("GET", "/admin", &none, "login"),
        ("GET", "/admin/x", &bob, "403"),
        ("GET", "/admin/x", &admin, "identified"),
        ("GET", "/admin/x", &expired(), "login"),
        ("GET", "/secret/", &bob, "403"),
        ("GET", "/", &unheard, "reask"),
        ("POST", "/", &unheard, "identified"),
        ("GET", "/greet/x", &unheard, "reask"),
        ("GET", "/public/x.css", &unheard, "anonymous"),
        ("GET", "/admin/x", &unheard, "reask"),
        ("GET", "/secret/", &unheard, "reask"),
        ("GET", "/", &unconfirmed, "503"),
        ("POST", "/", &unconfirmed, "503"),
        ("GET", "/greet/x", &unconfirmed, "anonymous"),
        ("GET", "/public/x.css", &unconfirmed, "anonymous"),
        ("GET", "/admin/x", &unconfirmed, "503"),
        ("GET", "/oauth2/callback?x", &none, "endpoint"),
        ("POST", "/oauth2/callback", &none, "405"),
        ("HEAD", "/oauth2/callback?x", &none, "405"),
        ("GET", "/oauth2/nothing", &admin, "404"),
        ("GET", "/oauth2", &admin, "404"),
        ("GET", "/oauth2x", &bob, "identified"),
        ("CONNECT", "/", &admin, "malformed"),
        ("TRACE", "/", &admin, "malformed"),
    ];
    for (method, target, evidence, wanted) in rows {
        assert_eq!(
            outcome(method, target, PAGE, evidence),
            *wanted,
            "{method} {target} {evidence:?}"
        );
    }
}

// I3: every way to write `/admin` that some server understands is under `/admin`'s rule.
#[test]
fn no_spelling_of_a_guarded_path_is_served_under_a_looser_rule() {
    let mut cases = 0;
    for line in include_str!("../../tests/data/targets.txt").lines() {
        let Some((wanted, target)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if target.parse::<http::Uri>().is_err() || target.contains('#') {
            continue; // the HTTP library refuses the one and cuts the other before us
        }
        cases += 1;
        let anonymous = outcome("GET", target, PAGE, &Evidence::None);
        let bob = outcome("GET", target, PAGE, &signed_in(&["dev"]));
        match wanted {
            "admin" => assert!(matches!(bob, "403" | "malformed"), "{target}: {bob}"),
            "guarded" => assert!(
                matches!(anonymous, "login" | "malformed"),
                "{target}: {anonymous}"
            ),
            _ => assert_eq!(anonymous, "anonymous", "{target}"),
        }
        assert!(wanted != "admin" || anonymous != "anonymous", "{target}");
    }
    assert!(cases > 30, "the list was read: {cases}");
}

// I4: patterns are anchored and see the path only.
#[test]
fn a_public_pattern_opens_nothing_but_what_it_says() {
    for target in [
        "/api/private/x?y=/api/a/status",
        "/api/a/status/../../admin",
        "/api/a%2Fb/status",
        "/x/api/a/status",
        "/api/a/status%0a",
        "/healthz/",
        "/healthz/../admin",
        "/healthz%2f..%2fadmin",
        "/healthz;x",
        "//healthz",
        "/HEALTHZ",
        "/public",
        "/publicx",
    ] {
        let wanted = if target == "/public" {
            "anonymous"
        } else {
            "login"
        };
        assert_eq!(
            outcome("GET", target, PAGE, &Evidence::None),
            wanted,
            "{target}"
        );
    }
}

// I1: an app whose ids hold %2F and whose paths have capitals works where one rule covers all readings.
#[test]
fn an_odd_path_passes_untouched_where_every_reading_has_the_same_rule() {
    for target in [
        "/Files/README.TXT",
        "/a%2Fb",
        "/x//y",
        "/stray%",
        "/%ff",
        "/n%C3%A4he/../x;v=1",
    ] {
        assert_eq!(
            outcome("GET", target, PAGE, &signed_in(&[])),
            "identified",
            "{target}"
        );
    }
    assert_eq!(
        outcome("GET", "/Shop/Cart", PAGE, &Evidence::None),
        "anonymous"
    );
    assert_eq!(
        outcome("GET", "/x/..%2fother/a", PAGE, &signed_in(&["admins"])),
        "400"
    );
}

// I8, I12: an unknown host is nobody's; default deny.
#[test]
fn a_host_that_no_route_serves_is_refused() {
    let evil = [PAGE, &[("host", "evil.test")]].concat();
    assert_eq!(outcome("GET", "/public/x", &evil, &Evidence::None), "404");
    assert_eq!(
        outcome("GET", "/oauth2/start", &evil, &Evidence::None),
        "404"
    );
    let case = [PAGE, &[("host", "APP.test.:443")]].concat();
    assert_eq!(
        outcome("GET", "/public/x", &case, &Evidence::None),
        "anonymous"
    );
    let empty = Gate::new(
        PublicUrl::parse("https://app.test").unwrap(),
        "/oauth2",
        Vec::new(),
        Vec::new(),
    );
    let facts = gather("GET", "/", PAGE).unwrap();
    let matched = empty.route(&facts);
    let decision = empty.decide(matched, facts, &signed_in(&["admins"]), NOW);
    assert!(matches!(decision, Decision::Deny(Denial::NoRoute)));
}

// I7, I8, L1: what is not one sound request is refused before any rule.
#[test]
fn a_request_that_reads_in_two_ways_is_malformed() {
    for bad in ["", "a b", "a,b", "u@app.test", "app.test:0", "app.test/x"] {
        assert_eq!(
            gather("GET", "/", &[("host", bad)]).unwrap_err(),
            Malformed::Host,
            "{bad:?}"
        );
    }
    let two = [("host", "app.test"), ("host", "app.test")];
    assert_eq!(gather("GET", "/", &two).unwrap_err(), Malformed::Host);
    assert_eq!(
        gather("GET", "http://other.test/public/x", &[]).unwrap_err(),
        Malformed::Host
    );
    assert!(gather("GET", "http://app.test/public/x", &[]).is_ok());
    assert!(gather("OPTIONS", "*", &[]).is_err());
    for coding in ["gzip, chunked", "identity", "chunked, chunked", "xchunked"] {
        let fields = [("transfer-encoding", coding)];
        assert_eq!(
            gather("POST", "/", &fields).unwrap_err(),
            Malformed::TransferCoding,
            "{coding}"
        );
    }
    for twice in [
        [("origin", "https://app.test"), ("origin", "https://x.test")],
        [("content-length", "4"), ("content-length", "5")],
    ] {
        let refused = gather("POST", "/", &twice).unwrap_err();
        assert_eq!(refused, Malformed::RepeatedField);
    }
}

// A16: only a person opening a page can be sent to sign in.
#[test]
fn who_asks_is_told_by_fetch_metadata_or_else_by_accept() {
    let rows: &[(&str, Fields<'_>, Asker)] = &[
        ("GET", PAGE, Asker::Navigation),
        (
            "GET",
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            Asker::Frame,
        ),
        (
            "GET",
            &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            Asker::Program,
        ),
        (
            "GET",
            &[
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
                ("accept", "text/html"),
            ],
            Asker::Program,
        ),
        (
            "GET",
            &[
                ("sec-fetch-mode", "same-origin"),
                ("sec-fetch-dest", "empty"),
                ("accept", "text/html"),
            ],
            Asker::ServiceWorker,
        ),
        (
            "GET",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-purpose", "prefetch;prerender"),
            ],
            Asker::Prefetch,
        ),
        (
            "GET",
            &[("purpose", "prefetch"), ("accept", "text/html")],
            Asker::Prefetch,
        ),
        ("POST", PAGE, Asker::Program),
        (
            "GET",
            &[("accept", "text/html,*/*;q=0.8")],
            Asker::Navigation,
        ),
        ("GET", &[("accept", "*/*")], Asker::Program),
        (
            "GET",
            &[
                ("accept", "text/html"),
                ("x-requested-with", "XMLHttpRequest"),
            ],
            Asker::Program,
        ),
        ("GET", &[("accept", "text/event-stream")], Asker::Program),
        ("GET", &[], Asker::Program),
    ];
    for (method, fields, wanted) in rows {
        assert_eq!(
            gather(method, "/", fields).unwrap().asker(),
            *wanted,
            "{method} {fields:?}"
        );
    }
}

fn handshake<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [
        &[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ],
        more,
    ]
    .concat()
}

// N1, N2: a handshake needs a session, and a page of our own or of a listed origin behind it.
#[test]
fn a_websocket_opens_only_for_a_session_and_an_own_page() {
    let bob = signed_in(&[]);
    let rows: &[(Fields<'_>, &Evidence, &str)] = &[
        (&[("origin", "https://app.test")], &Evidence::None, "401"),
        (&[("origin", "https://app.test")], &bob, "identified"),
        (&[("origin", "https://app.test:443")], &bob, "identified"),
        (&[("origin", "https://friend.test")], &bob, "identified"),
        (&[], &bob, "403"),
        (&[("origin", "null")], &bob, "403"),
        (&[("origin", "https://evil.test")], &bob, "403"),
        (&[("origin", "https://sub.app.test")], &bob, "403"),
        (&[("origin", "https://app.test.evil.test")], &bob, "403"),
        (&[("origin", "https://app.test:8443")], &bob, "403"),
        (&[("origin", "http://app.test")], &bob, "403"),
    ];
    for (more, evidence, wanted) in rows {
        assert_eq!(
            outcome("GET", "/ws", &handshake(more), evidence),
            *wanted,
            "{more:?}"
        );
    }
    assert_eq!(
        outcome("GET", "/public/ws", &handshake(&[]), &bob),
        "anonymous"
    );
    assert_eq!(
        outcome(
            "GET",
            "/greet/ws",
            &handshake(&[("origin", "https://evil.test")]),
            &bob
        ),
        "403"
    );
}

// N3: only a GET without a body over HTTP/1.1 to `websocket` is an upgrade.
#[test]
fn nothing_but_a_sound_websocket_handshake_is_an_upgrade() {
    let upgrade =
        |method: &str, fields: &[(&str, &str)]| gather(method, "/", fields).unwrap().upgrade();
    assert_eq!(upgrade("GET", &handshake(&[])), Upgrade::WebSocket);
    assert_eq!(upgrade("POST", &handshake(&[])), Upgrade::None);
    assert_eq!(
        upgrade("GET", &handshake(&[("content-length", "5")])),
        Upgrade::None
    );
    assert_eq!(
        upgrade("GET", &handshake(&[("transfer-encoding", "chunked")])),
        Upgrade::None
    );
    assert_eq!(
        upgrade("GET", &[("connection", "upgrade"), ("upgrade", "h2c")]),
        Upgrade::None
    );
    assert_eq!(upgrade("GET", &[("upgrade", "websocket")]), Upgrade::None);
}

#[test]
fn a_permit_carries_the_very_head_that_was_judged() {
    let gate = policy();
    let facts = gather("GET", "/A%2Fb?q=%20&x=//y", &[("x-marker", "7")]).unwrap();
    let matched = gate.route(&facts);
    let Decision::Forward(permit, upkeep) = gate.decide(matched, facts, &signed_in(&[]), NOW)
    else {
        panic!("should pass")
    };
    assert_eq!(upkeep, Upkeep::None);
    let head = permit.into_head();
    assert_eq!(
        head.uri.path_and_query().unwrap().as_str(),
        "/A%2Fb?q=%20&x=//y"
    );
    assert_eq!(head.headers["x-marker"], "7");
}

#[test]
fn a_stale_cookie_is_sealed_anew_only_where_the_session_was_used() {
    let gate = policy();
    let Evidence::Session(session, _) = signed_in(&[]) else {
        unreachable!()
    };
    let stale = Evidence::Session(session, Freshness::Reseal);
    let upkeep = |target| {
        let facts = gather("GET", target, PAGE).unwrap();
        let matched = gate.route(&facts);
        match gate.decide(matched, facts, &stale, NOW) {
            Decision::Forward(_, upkeep) => upkeep,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(upkeep("/"), Upkeep::Reseal);
    assert_eq!(upkeep("/public/x"), Upkeep::None);
}

#[test]
fn callbacks_of_several_providers_are_told_apart_by_path() {
    let gate = policy();
    let endpoint = |target| {
        let facts = gather("GET", target, PAGE).unwrap();
        let matched = gate.route(&facts);
        match gate.decide(matched, facts, &Evidence::None, NOW) {
            Decision::Serve(endpoint, _) => Some(endpoint),
            _ => None,
        }
    };
    assert_eq!(
        endpoint("/oauth2/callback"),
        Some(Endpoint::Callback("corp".to_owned()))
    );
    assert_eq!(
        endpoint("/oauth2/callback/other"),
        Some(Endpoint::Callback("other".to_owned()))
    );
    assert_eq!(endpoint("/oauth2/callback/third"), None);
    assert_eq!(endpoint("/oauth2/callback/"), None);
    assert_eq!(endpoint("/oauth2/callback/a/b"), None);
    assert!(Host::parse("app.test").is_ok());
}
