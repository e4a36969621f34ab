//! Without refresh tokens the person comes by the provider, unseen if it can be.

use sidegate::demo::provider::Endpoint;
use url::Url;

use super::{GRACE, MINUTE, RECHECK, renewals, status};
use crate::support::instance::{PUBLIC, World};
use crate::support::provider::Fault;

fn without_refresh_tokens() -> World {
    let world = World::start();
    world
        .provider
        .add_fault(Fault::Member(Endpoint::Token, "refresh_token", None));
    world
}

// Several gates without a store between them do better without refresh tokens.
#[test]
fn refresh_tokens_are_not_kept_where_they_are_to_be_ignored() {
    let world = World::with_provider("    refresh_tokens: ignore", "");
    let mut alice = world.signed_in("alice");
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/api"), 200);
    let page = alice.visit(&format!("{PUBLIC}/page"));
    assert_eq!(page.answer.status, 200);
    assert_eq!(renewals(&world), 0);
    let asked = world.provider.hits_of(Endpoint::Authorize);
    assert_eq!(asked.last().unwrap().query.value("prompt"), Some("none"));
}

// A provider without refresh tokens is asked by way of the browser, unseen.
#[test]
fn without_a_refresh_token_the_next_page_goes_by_the_provider_and_comes_back() {
    let world = without_refresh_tokens();
    let mut alice = world.signed_in("alice");
    world
        .provider
        .provider()
        .set_groups("alice", vec!["dev".to_owned()])
        .unwrap();
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/api"), 200, "programs go on");
    let page = alice.visit(&format!("{PUBLIC}/page?x=1"));
    assert_eq!(page.answer.status, 200, "{:?}", page.answer);
    assert_eq!(world.app.last().request_line(), "GET /page?x=1 HTTP/1.1");
    assert_eq!(world.app.last().fields("x-forwarded-groups"), ["dev"]);
    let asked = world.provider.hits_of(Endpoint::Authorize);
    let prompts: Vec<_> = asked.iter().map(|hit| hit.query.value("prompt")).collect();
    assert_eq!(prompts.last(), Some(&Some("none")));
}

// Whoever is not signed in at the provider any more has to sign in.
#[test]
fn whoever_is_signed_out_at_the_provider_signs_in_again() {
    let world = without_refresh_tokens();
    let mut alice = world.signed_in("alice");
    alice.jar.retain(|cookie| cookie.host == "gate.test");
    world.gate.clock.advance(RECHECK);
    let form = alice.visit(&format!("{PUBLIC}/page"));
    assert_eq!(form.answer.status, 200);
    assert!(
        form.answer.text().contains("password"),
        "{}",
        form.answer.text()
    );
    let page = alice.sign_in(&form, "alice");
    assert_eq!(page.answer.status, 200);
    assert_eq!(world.app.last().request_line(), "GET /page HTTP/1.1");
}

// Only an outage lets people through on the old word; a denial is a word.
#[test]
fn what_the_provider_says_in_place_of_an_answer_counts() {
    for (error, passes) in [
        ("server_error", true),
        ("temporarily_unavailable", true),
        ("login_required", false),
        ("access_denied", false),
        ("unauthorized_client", false),
    ] {
        let world = without_refresh_tokens();
        let mut alice = world.signed_in("alice");
        world.gate.clock.advance(RECHECK);
        let away = alice.open(&format!("{PUBLIC}/page"));
        let away = Url::parse(away.location()).unwrap();
        let parameter = |name: &str| {
            let mut pairs = away.query_pairs();
            pairs.find(|(own, _)| own == name).unwrap().1.into_owned()
        };
        assert_eq!(parameter("prompt"), "none");
        let mut back = Url::parse(&format!("{PUBLIC}/oauth2/callback")).unwrap();
        back.query_pairs_mut()
            .append_pair("error", error)
            .append_pair("state", &parameter("state"))
            .append_pair("iss", world.provider.issuer());
        let answer = alice.open(back.as_str());
        let page = format!("{PUBLIC}/page");
        if passes {
            assert!(
                page.ends_with(answer.location()) || answer.location() == page,
                "{error}"
            );
            assert_eq!(alice.open(&page).status, 200, "{error}");
        } else {
            assert!(
                answer.location().starts_with(world.provider.issuer()),
                "{error}: {answer:?}"
            );
            assert!(!answer.location().contains("prompt=none"), "{error}");
        }
    }
}

// Nobody becomes somebody else unseen.
#[test]
fn another_account_at_the_provider_is_not_taken_without_asking() {
    let world = without_refresh_tokens();
    let mut alice = world.signed_in("alice");
    let bob = world.signed_in("bob");
    alice.jar.retain(|cookie| cookie.host == "gate.test");
    alice.jar.extend(
        bob.jar
            .iter()
            .filter(|cookie| cookie.host != "gate.test")
            .cloned(),
    );
    world.gate.clock.advance(RECHECK);
    world.app.forget();
    let page = alice.visit(&format!("{PUBLIC}/page"));
    assert!(world.app.arrived().is_empty(), "{:?}", page.answer);
    let asked = world.provider.hits_of(Endpoint::Authorize);
    assert_eq!(
        asked.last().unwrap().query.value("prompt"),
        Some("select_account")
    );
}

// Whoever comes back without having been there is let through for a while: no loop, no lock-out.
#[test]
fn a_provider_that_is_not_there_for_the_browser_locks_nobody_out() {
    let world = without_refresh_tokens();
    let mut alice = world.signed_in("alice");
    world.gate.clock.advance(RECHECK);
    let first = alice.open(&format!("{PUBLIC}/page"));
    assert_eq!(first.status, 302);
    let back = alice.open(&format!("{PUBLIC}/page"));
    assert_eq!(back.status, 200, "within the grace");
    world.gate.clock.advance(MINUTE);
    assert_eq!(alice.open(&format!("{PUBLIC}/page")).status, 302);
    world.gate.clock.advance(GRACE);
    assert_eq!(status(&mut alice, "/api"), 401, "not beyond it");
}

// E10: where nothing but a login brings a word again, whoever asks about the session hears what the
// app's requests hear; and it can be ended.
#[test]
fn a_session_that_only_a_login_renews_is_told_as_over_when_its_word_is_too_old() {
    let world = without_refresh_tokens();
    let mut alice = world.signed_in("alice");
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/oauth2/userinfo?passive=1"), 200);
    world.gate.clock.advance(GRACE);
    for path in ["/oauth2/userinfo?passive=1", "/oauth2/userinfo", "/x"] {
        let answer = alice.fetch("GET", &format!("{PUBLIC}{path}"), "");
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.json()["code"], "login_required", "{path}");
    }
    let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
    assert_eq!(answer.status, 303);
}
