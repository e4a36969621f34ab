//! A provider that speaks OAuth 2.0 and no OpenID Connect: it is found in the configuration alone,
//! and who somebody is comes from its userinfo endpoint alone.

use http::StatusCode;
use serde_json::{Value, json};
use sidegate::demo::provider::Endpoint;

use crate::support::browser::{Browser, Page};
use crate::support::instance::{Instance, PUBLIC, World, register, secret_file, yaml};
use crate::support::provider::{Fault, TestProvider};
use crate::support::upstream::Upstream;

/// A gate before this provider; `lines` belong to the provider's settings. The embedded provider
/// tells nobody's name without the scope `openid`; the gate does not know what that word means.
fn world_of(provider: TestProvider, lines: &str, more: &str) -> World {
    register(&provider, "dashboards", "/oauth2/callback");
    let app = Upstream::start();
    let at = provider.issuer();
    let kind = format!(
        "  - kind: oauth2\n    authorization_endpoint: {at}/authorize\n    token_endpoint: {at}/token\n    userinfo_endpoint: {at}/userinfo\n    scopes: [openid, profile, email, groups]\n{lines}"
    );
    let text = yaml(at, &app.url(), more).replace(&format!("  - issuer: {at}\n"), &kind);
    let gate = Instance::start(&text, provider.clock());
    World {
        provider,
        app,
        gate,
    }
}

fn world(lines: &str, more: &str) -> World {
    world_of(TestProvider::start(), lines, more)
}

fn sign_in(world: &World, username: &str) -> (Browser, Page) {
    let mut browser = world.browser();
    let callback = browser.reach_callback(&format!("{PUBLIC}/page?q=1"), username);
    let answer = browser.open(callback.as_str());
    let page = browser.follow(callback.as_str(), answer);
    (browser, page)
}

fn has_session(browser: &Browser) -> bool {
    let names = browser.names("gate.test");
    names.into_iter().any(|name| !name.contains("-l-"))
}

/// A login under these faults ends with this status, and nobody is in.
fn assert_nobody(world: &World, faults: &[Fault], status: u16, what: &str) {
    world.provider.clear_faults();
    world.app.forget();
    for fault in faults {
        world.provider.add_fault(fault.clone());
    }
    let (mut browser, page) = sign_in(world, "alice");
    assert_eq!(page.answer.status, status, "{what}: {:?}", page.answer);
    assert!(!has_session(&browser), "{what}");
    world.provider.clear_faults();
    let asked = browser.fetch("GET", &format!("{PUBLIC}/page"), "");
    assert_eq!(asked.status, 401, "{what}");
    assert!(world.app.arrived().is_empty(), "{what}");
}

fn member(name: &'static str, value: impl Into<Value>) -> Fault {
    Fault::Member(Endpoint::Userinfo, name, Some(value.into()))
}

fn without(name: &'static str) -> Fault {
    Fault::Member(Endpoint::Userinfo, name, None)
}

// C24, A1: nothing is discovered and no ID token looked at; the code is bound to the login all the
// same, and the app hears who it is.
#[test]
fn a_person_signs_in_with_nothing_but_oauth2() {
    let world = world("", "");
    let (mut browser, page) = sign_in(&world, "alice");
    assert_eq!(page.url.as_str(), format!("{PUBLIC}/page?q=1"));
    assert_eq!(page.answer.status, 200);
    let seen = world.app.last();
    assert_eq!(seen.fields("X-Forwarded-User"), ["u-alice"]);
    assert_eq!(seen.fields("X-Forwarded-Email"), ["alice@example.com"]);
    assert_eq!(seen.fields("X-Forwarded-Groups"), ["admins,dev"]);
    assert_eq!(seen.fields("X-Forwarded-Preferred-Username"), ["alice"]);
    for unknown in [Endpoint::Discovery, Endpoint::Jwks] {
        assert!(world.provider.hits_of(unknown).is_empty());
    }
    let asked = &world.provider.hits_of(Endpoint::Authorize)[0].query;
    assert_eq!(asked.value("code_challenge_method"), Some("S256"));
    assert!(asked.value("nonce").is_none(), "a word of OpenID Connect");
    let sent = &world.provider.hits_of(Endpoint::Token)[0].form;
    assert!(sent.value("code_verifier").is_some());
    assert_eq!(world.provider.hits_of(Endpoint::Userinfo).len(), 1);
    // Nothing is kept of what the provider gave but who it is.
    let me = browser.fetch("GET", &format!("{PUBLIC}/oauth2/userinfo"), "");
    assert_eq!(me.json()["sub"], "u-alice");
    for secret in world.provider.provider().issued_secrets() {
        let secret = secret.expose();
        let from_us = browser
            .jar
            .iter()
            .filter(|cookie| cookie.host == "gate.test");
        assert!(!me.text().contains(secret));
        assert!(!seen.text().contains(secret));
        assert!(from_us.into_iter().all(|it| !it.value.contains(secret)));
    }
}

// E1, E5: without a sound word about the person nobody is in, whatever the token answer says.
#[test]
fn nobody_is_in_when_userinfo_fails() {
    let world = world("", "");
    let at = Endpoint::Userinfo;
    for (what, fault, status) in [
        (
            "broken",
            Fault::Status(at, StatusCode::INTERNAL_SERVER_ERROR),
            503,
        ),
        ("refused", Fault::Status(at, StatusCode::UNAUTHORIZED), 502),
        (
            "refused in good words",
            Fault::StatusOver(at, StatusCode::FORBIDDEN),
            502,
        ),
        (
            "broken in good words",
            Fault::StatusOver(at, StatusCode::BAD_GATEWAY),
            503,
        ),
        (
            "elsewhere in good words",
            Fault::StatusOver(at, StatusCode::FOUND),
            502,
        ),
        (
            "accepted in good words",
            Fault::StatusOver(at, StatusCode::ACCEPTED),
            502,
        ),
        ("empty", Fault::Status(at, StatusCode::OK), 502),
        ("no content", Fault::Status(at, StatusCode::NO_CONTENT), 502),
        ("hung up", Fault::HungUp(at), 503),
        ("cut short", Fault::CutShort(at), 503),
        ("a page", Fault::Html(at), 502),
        (
            "elsewhere",
            Fault::Redirect(at, format!("{}/jwks", world.provider.issuer())),
            502,
        ),
        ("endless", Fault::Padded(at, 4 << 20), 503),
        ("signed", Fault::SignedUserinfo("dashboards"), 502),
        ("no subject", without("sub"), 502),
        ("an empty subject", member("sub", ""), 502),
        (
            "a subject that is no name",
            member("sub", json!(["a"])),
            502,
        ),
        ("a subject that is true", member("sub", true), 502),
        ("a subject that is null", member("sub", Value::Null), 502),
        ("a subject that is a fraction", member("sub", 1.5), 502),
        ("a subject of two lines", member("sub", "a\r\nb"), 502),
        (
            "groups that are no names",
            member("groups", json!([1])),
            502,
        ),
        ("groups that are a number", member("groups", 7), 502),
    ] {
        assert_nobody(&world, &[fault], status, what);
    }
    assert!(world.provider.hits_of(Endpoint::Jwks).is_empty());
    assert_eq!(sign_in(&world, "alice").1.answer.status, 200);
}

// E1, E2: the token answer in the ways that old providers have it, and the ways in which it is none.
#[test]
fn a_token_answer_is_read_as_old_providers_write_it_and_no_further() {
    let world = world("", "");
    let at = Endpoint::Token;
    let token = |name, value| Fault::Member(at, name, value);
    for (what, fault) in [
        ("form-encoded", Fault::FormEncodedTokens),
        ("no ID token", token("id_token", None)),
        (
            "nonsense for an ID token",
            token("id_token", Some(json!("x"))),
        ),
        (
            "a type in capitals",
            token("token_type", Some(json!("BEARER"))),
        ),
        ("no type", token("token_type", None)),
    ] {
        world.provider.set_fault(fault);
        let (_, page) = sign_in(&world, "alice");
        assert_eq!(page.answer.status, 200, "{what}: {:?}", page.answer);
    }
    for (what, fault, status) in [
        (
            "an error with status 200",
            Fault::ErrorWithStatus200("bad_verification_code"),
            502,
        ),
        (
            "an error beside the token",
            token("error", Some(json!("access_denied"))),
            502,
        ),
        ("no access token", token("access_token", None), 502),
        (
            "an empty token",
            token("access_token", Some(json!(""))),
            502,
        ),
        (
            "a token of two lines",
            token("access_token", Some(json!("a\r\nX: y"))),
            502,
        ),
        (
            "another type of token",
            token("token_type", Some(json!("mac"))),
            502,
        ),
        ("a page", Fault::Html(at), 502),
        (
            "broken",
            Fault::Status(at, StatusCode::INTERNAL_SERVER_ERROR),
            503,
        ),
        (
            "refused in good words",
            Fault::StatusOver(at, StatusCode::BAD_REQUEST),
            502,
        ),
    ] {
        let asked = world.provider.hits_of(Endpoint::Userinfo).len();
        assert_nobody(&world, &[fault], status, what);
        let now = world.provider.hits_of(Endpoint::Userinfo).len();
        assert_eq!(now, asked, "{what}: asked without a token");
    }
}

// C25, C26: what such a provider leaves out opens no rule, and does not lock anybody out.
#[test]
fn what_is_not_said_of_a_person_opens_no_rule() {
    let world = world(
        "",
        "routes:\n  - { match: { path: /ours/** }, access: { emails: [\"@example.com\"] } }\n  - { match: { path: /admin/** }, access: { groups: [admins] } }\n  - { access: signed_in }",
    );
    for (what, faults, ours, admin) in [
        ("everything", vec![], 200, 200),
        ("no address", vec![without("email")], 403, 200),
        (
            "an address that is null",
            vec![member("email", Value::Null)],
            403,
            200,
        ),
        (
            "nothing said of the address",
            vec![without("email_verified")],
            403,
            200,
        ),
        (
            "an address that is not verified",
            vec![member("email_verified", false)],
            403,
            200,
        ),
        (
            "verified in words",
            vec![member("email_verified", "true")],
            403,
            200,
        ),
        ("no groups", vec![without("groups")], 200, 403),
        ("empty groups", vec![member("groups", json!([]))], 200, 403),
        ("one group", vec![member("groups", "admins")], 200, 200),
        (
            "groups elsewhere",
            vec![
                without("groups"),
                member("_claim_names", json!({ "groups": "s" })),
            ],
            200,
            403,
        ),
    ] {
        world.provider.clear_faults();
        for fault in faults {
            world.provider.add_fault(fault);
        }
        let (mut browser, page) = sign_in(&world, "alice");
        assert_eq!(page.answer.status, 200, "{what}");
        let mut status = |path| browser.open(&format!("{PUBLIC}{path}")).status;
        assert_eq!(
            (status("/ours/x"), status("/admin/x")),
            (ours, admin),
            "{what}"
        );
    }
    world.provider.set_fault(without("email"));
    let (mut browser, _) = sign_in(&world, "alice");
    browser.request(
        "GET",
        &format!("{PUBLIC}/page"),
        "X-Forwarded-Email: root@example.com\r\n",
        b"",
    );
    let seen = world.app.last();
    assert!(
        seen.fields("X-Forwarded-Email").is_empty(),
        "{}",
        seen.text()
    );
}

// C24: the subject is where the configuration says, numbers included, and nowhere else.
#[test]
fn the_subject_is_found_where_the_configuration_says() {
    let lines = "    claims: { subject: id, groups: org.teams, preferred_username: login }\n";
    let world = world(lines, "");
    world.provider.set_fault(member("id", 583_231));
    world.provider.add_fault(member("login", "octo"));
    world
        .provider
        .add_fault(member("org", json!({ "teams": ["a", "b,c"] })));
    let (_, page) = sign_in(&world, "alice");
    assert_eq!(page.answer.status, 200, "{:?}", page.answer);
    let seen = world.app.last();
    assert_eq!(seen.fields("X-Forwarded-User"), ["583231"]);
    assert_eq!(seen.fields("X-Forwarded-Preferred-Username"), ["octo"]);
    assert_eq!(seen.fields("X-Forwarded-Groups"), ["a,b%2Cc"]);
    assert_nobody(&world, &[], 502, "`sub` is not what was configured");
}

// I12: who may sign in at all is asked before there is a session.
#[test]
fn who_is_not_admitted_gets_no_session() {
    let world = world("    admit: { groups: [admins] }\n", "");
    assert_eq!(sign_in(&world, "alice").1.answer.status, 200);
    world.app.forget();
    let (browser, page) = sign_in(&world, "bob");
    assert_eq!(page.answer.status, 403, "{:?}", page.answer);
    assert!(!has_session(&browser));
    assert!(world.app.arrived().is_empty());
    assert_nobody(&world, &[without("groups")], 403, "no groups");
}

// A5, B7: an answer of another login is refused here too; an `iss`, which nobody configured, says
// nothing.
#[test]
fn an_answer_counts_for_its_own_login_with_any_iss() {
    let world = world("", "");
    for iss in ["", "&iss=https%3A%2F%2Fanything.test"] {
        let mut browser = world.browser();
        let url = browser.reach_callback(&format!("{PUBLIC}/page"), "alice");
        let value = |name| {
            let mut pairs = url.query_pairs();
            pairs.find(|(own, _)| own == name).unwrap().1.into_owned()
        };
        let (code, state) = (value("code"), value("state"));
        let to = format!("{PUBLIC}/oauth2/callback?code={code}&state={state}{iss}");
        let stranger = world.browser().open(&to);
        assert!(!stranger.sets_session(), "{stranger:?}");
        assert!(browser.open(&to).sets_session(), "{iss}");
    }
    assert_eq!(world.provider.hits_of(Endpoint::Token).len(), 2);
}

// B7: an answer that says it is of another provider that people sign in at here is that one's, and its
// code goes nowhere (RFC 9207).
#[test]
fn an_answer_that_calls_itself_anothers_is_redeemed_nowhere() {
    let (plain, other) = (TestProvider::start(), TestProvider::start());
    register(&plain, "dashboards", "/oauth2/callback/plain");
    register(&other, "dashboards", "/oauth2/callback/other");
    let (app, at) = (Upstream::start(), plain.issuer());
    let secret = secret_file();
    let own = format!(
        "  - id: plain\n    kind: oauth2\n    authorization_endpoint: {at}/authorize\n    token_endpoint: {at}/token\n    userinfo_endpoint: {at}/userinfo\n    scopes: [openid, profile]\n    client_id: dashboards\n    client_secret: {{ file: {secret} }}\n  - id: other\n"
    );
    let beside = format!("  - issuer: {}\n", other.issuer());
    let text = yaml(other.issuer(), &app.url(), "")
        .replace(&beside, &format!("{own}    issuer: {}\n", other.issuer()));
    let gate = Instance::start(&text, plain.clock());
    for (iss, is_let_in) in [
        (other.issuer().to_owned(), false),
        (format!("{}/", other.issuer()), false),
        ("https://anything.test".to_owned(), true),
    ] {
        let (before, mut browser) = (
            plain.hits_of(Endpoint::Token).len(),
            Browser::new().resolve(PUBLIC, gate.address),
        );
        let start = format!("{PUBLIC}/oauth2/start?provider=plain&return_to=/page");
        let url = browser.reach_callback(&start, "alice");
        let others = url.query_pairs().filter(|(name, _)| name != "iss");
        let query: Vec<_> = others
            .chain([("iss".into(), iss.as_str().into())])
            .collect();
        let mut to = url.clone();
        to.query_pairs_mut().clear().extend_pairs(&query);
        let answer = browser.open(to.as_str());
        assert_eq!(answer.sets_session(), is_let_in, "{iss}");
        let asked = plain.hits_of(Endpoint::Token).len() - before;
        assert_eq!(asked, usize::from(is_let_in), "{iss}");
    }
    assert!(other.hits_of(Endpoint::Token).is_empty());
}

// G4: such a provider has no sign-out of its own; ours ends the session all the same, and says that
// the provider's may live.
#[test]
fn signing_out_ends_the_session_here() {
    let world = world("", "");
    let (mut browser, _) = sign_in(&world, "alice");
    let out = browser.submit(
        &format!("{PUBLIC}/oauth2/sign_out"),
        &format!("{PUBLIC}/"),
        "",
    );
    assert_eq!(out.status, 200, "{out:?}");
    assert!(browser.names("gate.test").is_empty());
    let asked = browser.fetch("GET", &format!("{PUBLIC}/page"), "");
    assert_eq!(asked.status, 401);
}
