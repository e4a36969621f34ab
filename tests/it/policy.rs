//! Who may pass, by what the provider says of a person, where they come from, and how they signed in.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sidegate::demo::provider::Endpoint;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World, yaml};
use crate::support::upstream::Upstream;

/// A world in which `claims` are told of alice, with these routes.
fn world(claims: Value, routes: &str) -> World {
    let world = World::with(routes);
    set_claims(&world, claims);
    world
}

fn set_claims(world: &World, claims: Value) {
    let mut alice = sidegate::demo::provider::demo_users()
        .into_iter()
        .find(|user| user.username == "alice")
        .unwrap();
    alice.claims = serde_json::from_value::<Map<String, Value>>(claims).unwrap();
    world.provider.provider().add_user(alice);
}

fn reload(world: &World, routes: &str) {
    let text = yaml(world.provider.issuer(), &world.app.url(), routes);
    world.gate.reload(&text).unwrap();
}

/// The status for a script, and the code of a refusal.
fn asked(browser: &mut Browser, path: &str) -> (u16, String) {
    let answer = browser.fetch("GET", &format!("{PUBLIC}{path}"), "");
    let told: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    (
        answer.status,
        told["code"].as_str().unwrap_or_default().to_owned(),
    )
}

fn is(answer: &(u16, String), status: u16, code: &str) -> bool {
    answer.0 == status && answer.1 == code
}

#[test]
fn a_claim_opens_a_route_and_another_value_of_it_does_not() {
    const ROUTES: &str = "access: { sre: { claims: { department: [sre, ops], \"realm.level\": 5 } } }\n\
        routes:\n\
        \x20 - { match: { path: /sre/** }, access: sre }\n\
        \x20 - { match: { path: /runbooks/** }, access: sre }\n\
        \x20 - { match: { path: /active/** }, access: { deny: { claims: { suspended: true } } } }\n\
        \x20 - { access: signed_in }";
    let good = json!({ "department": "ops", "realm": { "level": 5 }, "suspended": false });
    let world = world(good, ROUTES);
    let mut alice = world.signed_in("alice");
    for path in ["/sre/x", "/runbooks/x", "/active/x"] {
        assert_eq!(asked(&mut alice, path).0, 200, "{path}");
    }
    for (claims, sre, active) in [
        (
            json!({ "department": "ops", "realm": { "level": "5" } }),
            "claim_denied",
            "excluded",
        ),
        (
            json!({ "department": "dev", "realm": { "level": 5 }, "suspended": true }),
            "claim_denied",
            "excluded",
        ),
        (
            json!({ "realm": { "level": 5 }, "suspended": "no" }),
            "claim_denied",
            "excluded",
        ),
        (
            json!({ "department": "o".repeat(9000), "realm": { "level": 5 }, "suspended": false }),
            "claim_denied",
            "",
        ),
    ] {
        set_claims(&world, claims.clone());
        let mut alice = world.signed_in("alice");
        assert!(is(&asked(&mut alice, "/sre/x"), 403, sre), "{claims}");
        assert_eq!(asked(&mut alice, "/active/x").1, active, "{claims}");
        assert_eq!(asked(&mut alice, "/x").0, 200, "{claims}");
    }
}

// A renewal brings claims as they are now, as it does with groups.
#[test]
fn a_renewal_brings_what_a_claim_is_now() {
    const ROUTES: &str = "routes: [{ access: { claims: { department: sre } } }]";
    let world = world(json!({ "department": "sre" }), ROUTES);
    let mut alice = world.signed_in("alice");
    assert_eq!(asked(&mut alice, "/x").0, 200);
    set_claims(&world, json!({ "department": "sales" }));
    // The word is overdue, so the request waits for a new one.
    world.gate.clock.advance(Duration::from_hours(2));
    assert!(is(&asked(&mut alice, "/x"), 403, "claim_denied"));
}

// Who signed in before a rule asked for a claim is sent through the provider for it, unasked and once.
#[test]
fn a_rule_that_is_younger_than_a_session_costs_a_detour_and_no_access() {
    let world = world(json!({ "department": "sre" }), "");
    let mut alice = world.signed_in("alice");
    assert_eq!(asked(&mut alice, "/x").0, 200);
    reload(
        &world,
        "routes: [{ access: { claims: { department: [sre] } } }]",
    );
    let refused = asked(&mut alice, "/x");
    assert!(
        is(&refused, 401, "insufficient_user_authentication"),
        "{refused:?}"
    );
    let before = world.provider.hits_of(Endpoint::Authorize).len();
    let page = alice.visit(&format!("{PUBLIC}/x?y=1"));
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "https://gate.test/x?y=1")
    );
    assert_eq!(
        world.provider.hits_of(Endpoint::Authorize).len(),
        before + 1
    );
    assert_eq!(asked(&mut alice, "/x").0, 200);
}

const STRONG: &str = "routes:\n\
    \x20 - { match: { path: /vault/** }, access: { acr: [mfa] } }\n\
    \x20 - { match: { path: /fresh/** }, access: { max_age: 5m } }\n\
    \x20 - { match: { path: /both/** }, access: { acr: [mfa], max_age: 5m, groups: [cooks] } }\n\
    \x20 - { access: signed_in }";

// RFC 9470: a page leads through a stronger sign-in and back to itself, and a program is told what to ask
// for.
#[test]
fn a_page_that_needs_a_stronger_sign_in_leads_through_one() {
    let world = World::with(STRONG);
    let mut alice = world.signed_in("alice");
    assert_eq!(asked(&mut alice, "/x").0, 200);
    let program = alice.fetch("GET", &format!("{PUBLIC}/vault/x"), "");
    assert_eq!(program.status, 401);
    let challenge = program.field("www-authenticate").unwrap();
    assert!(challenge.starts_with("Sidegate login="), "{challenge}");
    let wanted = ", error=\"insufficient_user_authentication\", acr_values=\"mfa\"";
    assert!(challenge.ends_with(wanted), "{challenge}");
    assert!(program.field("set-cookie").is_none());
    // The provider knows her by a password alone, and asks again.
    let form = alice.visit(&format!("{PUBLIC}/vault/x?y=1"));
    assert!(
        form.url.as_str().starts_with(world.provider.issuer()),
        "{}",
        form.url
    );
    let asked_for = world.provider.hits_of(Endpoint::Authorize);
    let last = asked_for.last().unwrap();
    assert_eq!(last.query.value("acr_values"), Some("mfa"));
    let page = alice.sign_in(&form, "alice");
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "https://gate.test/vault/x?y=1")
    );
    assert_eq!(asked(&mut alice, "/vault/x").0, 200);
    assert_eq!(asked(&mut alice, "/x").0, 200);
}

#[test]
fn a_page_that_needs_a_fresh_sign_in_leads_through_one_each_time() {
    let world = World::with(STRONG);
    let mut alice = world.signed_in("alice");
    for _ in 0..2 {
        assert_eq!(asked(&mut alice, "/fresh/x").0, 200);
        world.gate.clock.advance(Duration::from_secs(331));
        let program = alice.fetch("GET", &format!("{PUBLIC}/fresh/x"), "");
        assert_eq!(program.status, 401);
        let challenge = program.field("www-authenticate").unwrap();
        assert!(challenge.ends_with(", max_age=\"300\""), "{challenge}");
        let form = alice.visit(&format!("{PUBLIC}/fresh/x"));
        let page = alice.sign_in(&form, "alice");
        assert_eq!(
            (page.answer.status, page.url.as_str()),
            (200, "https://gate.test/fresh/x")
        );
    }
}

// A provider that gives what it likes sends nobody in circles, and nobody in.
#[test]
fn a_provider_that_never_gives_the_context_is_asked_once_a_minute() {
    let world = World::with(
        "routes: [{ match: { path: /vault/** }, access: { acr: [unknown] } }, { access: signed_in }]",
    );
    let mut alice = world.signed_in("alice");
    let page = alice.visit(&format!("{PUBLIC}/vault/x"));
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (403, "https://gate.test/vault/x")
    );
    assert!(
        page.answer.text().contains("stronger sign-in"),
        "{}",
        page.answer.text()
    );
    let before = world.provider.hits_of(Endpoint::Authorize).len();
    assert_eq!(alice.visit(&format!("{PUBLIC}/vault/x")).answer.status, 403);
    assert_eq!(world.provider.hits_of(Endpoint::Authorize).len(), before);
    world.gate.clock.advance(Duration::from_mins(1));
    assert_eq!(alice.visit(&format!("{PUBLIC}/vault/x")).answer.status, 403);
    assert_eq!(
        world.provider.hits_of(Endpoint::Authorize).len(),
        before + 1
    );
    assert_eq!(asked(&mut alice, "/x").0, 200);
}

// Nobody is bothered with a sign-in who may not pass then either.
#[test]
fn who_lacks_something_else_is_told_so_and_sent_nowhere() {
    let world = World::with(STRONG);
    let mut alice = world.signed_in("alice");
    let before = world.provider.hits_of(Endpoint::Authorize).len();
    let page = alice.visit(&format!("{PUBLIC}/both/x"));
    assert_eq!(page.answer.status, 403);
    assert!(is(&asked(&mut alice, "/both/x"), 403, "group_denied"));
    assert_eq!(world.provider.hits_of(Endpoint::Authorize).len(), before);
}

// K1: an address is the connection's, or what a trusted proxy says of it; never the client's own word.
#[test]
fn an_address_opens_a_route_only_if_somebody_who_is_believed_says_it() {
    const NEAR: &str = "routes: [{ access: { addresses: [10.0.0.0/8] } }]";
    let world = World::start();
    let mut alice = world.signed_in("alice");
    reload(&world, NEAR);
    let path = format!("{PUBLIC}/x");
    let from = |alice: &mut Browser, fields: &str| alice.fetch("GET", &path, fields).status;
    let near = "X-Forwarded-For: 10.1.2.3\r\n";
    assert_eq!(from(&mut alice, ""), 403);
    assert_eq!(from(&mut alice, near), 403);
    reload(&world, &format!("trusted_proxies: [127.0.0.1]\n{NEAR}"));
    assert_eq!(from(&mut alice, near), 200);
    assert_eq!(
        from(&mut alice, "X-Forwarded-For: 10.1.2.3, 11.0.0.1\r\n"),
        403
    );
    // Nobody passes by an address alone.
    let mut nobody = Browser::new().resolve(PUBLIC, world.gate.address);
    assert_eq!(from(&mut nobody, near), 401);
}

// What a rule would do that is only tried is told and counted, and is of no effect.
#[test]
fn a_rule_that_is_only_tried_changes_nothing_and_is_counted() {
    const ROUTES: &str = "routes:\n\
        \x20 - { match: { path: /reports/** }, access: signed_in, shadow_access: { groups: [finance] } }\n\
        \x20 - { match: { path: /open/** }, access: public, shadow_access: signed_in }\n\
        \x20 - { match: { path: /closed/** }, access: { groups: [nobody] }, shadow_access: signed_in }\n\
        \x20 - { access: signed_in }";
    let world = World::with(ROUTES);
    let mut alice = world.signed_in("alice");
    let mut nobody = Browser::new().resolve(PUBLIC, world.gate.address);
    assert_eq!(asked(&mut alice, "/reports/q3").0, 200);
    assert_eq!(asked(&mut alice, "/reports/q4").0, 200);
    assert_eq!(asked(&mut alice, "/x").0, 200);
    assert_eq!(asked(&mut alice, "/open/x").0, 200);
    assert_eq!(asked(&mut nobody, "/open/x").0, 200);
    assert!(is(&asked(&mut alice, "/closed/x"), 403, "group_denied"));
    assert!(is(&asked(&mut nobody, "/closed/x"), 401, "login_required"));
    let told = world.gate.shared.differences.status();
    let expected = json!([
        { "route": "/closed/**", "outcome": "group_denied", "would": "admitted", "requests": 1 },
        { "route": "/open/**", "outcome": "admitted", "would": "login_required", "requests": 1 },
        { "route": "/reports/**", "outcome": "admitted", "would": "group_denied", "requests": 2 },
    ]);
    assert_eq!(told, expected);
}

#[test]
fn an_expression_opens_a_route_and_what_it_cannot_judge_does_not() {
    const ROUTES: &str = "routes:\n\
        \x20 - { match: { path: /ops/** }, access: { when: 'claims.department in [\"ops\", \"sre\"] && (request.method == \"GET\" || claims.level >= 5)' } }\n\
        \x20 - { match: { path: /not/** }, access: { when: 'claims.department != \"dev\"' } }\n\
        \x20 - { access: signed_in }";
    let world = world(json!({ "department": "ops", "level": 3 }), ROUTES);
    let post = |alice: &mut Browser| {
        let answer = alice.fetch("POST", &format!("{PUBLIC}/ops/x"), "Content-Length: 0\r\n");
        answer.status
    };
    let mut alice = world.signed_in("alice");
    assert_eq!(asked(&mut alice, "/ops/x").0, 200);
    assert_eq!(post(&mut alice), 403);
    assert_eq!(asked(&mut alice, "/not/x").0, 200);
    set_claims(&world, json!({ "department": "sre", "level": 5 }));
    assert_eq!(post(&mut world.signed_in("alice")), 200);
    for claims in [
        json!({}),
        json!({ "department": ["ops"] }),
        json!({ "department": 5 }),
        json!({ "department": { "ops": true } }),
        json!({ "department": "o".repeat(9000) }),
    ] {
        set_claims(&world, claims.clone());
        let mut alice = world.signed_in("alice");
        for path in ["/ops/x", "/not/x"] {
            assert!(
                is(&asked(&mut alice, path), 403, "access_denied"),
                "{path} {claims}"
            );
        }
    }
    // A rule that is younger than the session asks for a sign-in that tells what it wants to know.
    let younger = "routes: [{ access: { when: 'claims.team == \"red\"' } }]";
    set_claims(&world, json!({ "team": "red" }));
    reload(&world, younger);
    let page = alice.visit(&format!("{PUBLIC}/x"));
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
}

/// An app that wants a sign-in of its own liking as often as `times` says, and then is content.
fn demanding(challenge: &'static str, times: usize) -> (World, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(times));
    let count = Arc::clone(&left);
    let app = Upstream::answering(move |_| {
        let take = |left: usize| left.checked_sub(1);
        if count.fetch_update(SeqCst, SeqCst, take).is_ok() {
            let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\nWWW-Authenticate: ";
            return format!("{head}{challenge}\r\n\r\nnot yet").into_bytes();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere".to_vec()
    });
    (World::before(app, ""), left)
}

const WANTS_MFA: &str =
    "Bearer error=\"insufficient_user_authentication\", acr_values=\"mfa\", max_age=\"60\"";

// RFC 9470: the app itself says that it wants a stronger sign-in; a person is led through one, a program
// reads what the app says.
#[test]
fn an_app_that_asks_for_a_stronger_sign_in_gets_one() {
    let (world, left) = demanding(WANTS_MFA, 0);
    let mut alice = world.signed_in("alice");
    left.store(1, SeqCst);
    let program = alice.fetch("GET", &format!("{PUBLIC}/vault"), "");
    assert_eq!((program.status, program.text().as_str()), (401, "not yet"));
    assert_eq!(program.field("www-authenticate"), Some(WANTS_MFA));
    left.store(1, SeqCst);
    let form = alice.visit(&format!("{PUBLIC}/vault?y=1"));
    let asked_for = world.provider.hits_of(Endpoint::Authorize);
    let last = asked_for.last().unwrap();
    assert_eq!(last.query.value("acr_values"), Some("mfa"));
    assert_eq!(last.query.value("max_age"), Some("60"));
    let page = alice.sign_in(&form, "alice");
    assert_eq!(
        (page.answer.text().as_str(), page.url.as_str()),
        ("here", "https://gate.test/vault?y=1")
    );
}

// An app that is never content sends nobody in circles: its own answer is shown then.
#[test]
fn an_app_that_is_never_content_is_asked_once_a_minute() {
    let (world, left) = demanding(WANTS_MFA, 0);
    let mut alice = world.signed_in("alice");
    left.store(usize::MAX, SeqCst);
    let before = world.provider.hits_of(Endpoint::Authorize).len();
    let form = alice.visit(&format!("{PUBLIC}/vault"));
    let page = alice.sign_in(&form, "alice");
    assert_eq!(
        (page.answer.status, page.answer.text().as_str()),
        (401, "not yet")
    );
    assert_eq!(alice.visit(&format!("{PUBLIC}/vault")).answer.status, 401);
    assert_eq!(
        world.provider.hits_of(Endpoint::Authorize).len(),
        before + 1
    );
}

// What an app says on a public route is about nobody who is signed in, and other challenges are its own.
#[test]
fn other_challenges_of_an_app_are_its_own_business() {
    for (challenge, routes) in [
        ("Bearer error=\"invalid_token\", acr_values=\"mfa\"", ""),
        ("Basic realm=\"insufficient_user_authentication\"", ""),
        (WANTS_MFA, "routes: [{ access: public }]"),
    ] {
        let (world, left) = demanding(challenge, 0);
        let mut alice = world.signed_in("alice");
        if !routes.is_empty() {
            reload(&world, routes);
        }
        left.store(usize::MAX, SeqCst);
        let page = alice.visit(&format!("{PUBLIC}/vault"));
        assert_eq!(page.answer.status, 401, "{challenge}");
        assert_eq!(page.answer.field("www-authenticate"), Some(challenge));
    }
}
