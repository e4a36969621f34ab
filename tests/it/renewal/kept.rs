//! What a renewal brought is not lost again, and what it did not bring is not made up.

use http::StatusCode;
use serde_json::json;
use sidegate::demo::provider::Endpoint;

use super::{
    GRACE, RECHECK, await_end, await_renewals, await_successor, hold_tokens, renewals, status,
    until,
};
use crate::support::instance::{PUBLIC, World};
use crate::support::provider::{Fault, IdTokenFault};

// E8: requests overtake each other: one that was sent before the successor's cookie came may arrive
// after the first one that carries it.
#[test]
fn a_request_that_was_overtaken_by_the_successors_cookie_spends_no_token_again() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let old = alice.clone();
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    await_successor(&mut alice);
    assert_eq!(status(&mut alice, "/x"), 200, "the new cookie is seen");
    for _ in 0..20 {
        assert_eq!(status(&mut old.clone(), "/x"), 200);
    }
    assert_eq!(renewals(&world), 1, "spent once");
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 2);
    await_successor(&mut alice);
}

// E8: a renewed session that does not fit into its cookie goes without the hint, as at the login.
#[test]
fn a_renewed_id_token_that_does_not_fit_into_the_cookie_is_left_out() {
    let world = World::with_provider("    id_token_hint: always", "");
    let mut alice = world.signed_in("alice");
    let longer = Fault::RenewedIdToken(IdTokenFault::Padded(16 * 1024));
    world.provider.set_fault(longer);
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    until("no successor came", || {
        let answer = alice.fetch("GET", &format!("{PUBLIC}/x"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!world.gate.log().contains("not sealed anew"));
        answer.field("set-cookie").is_some()
    });
}

// E8: nobody is kept out by a refresh token that is too long to be kept.
#[test]
fn a_refresh_token_that_does_not_fit_into_the_cookie_keeps_nobody_out() {
    let world = World::start();
    let longer = json!("r".repeat(16 * 1024));
    world.provider.set_fault(Fault::Member(
        Endpoint::Token,
        "refresh_token",
        Some(longer),
    ));
    let mut alice = world.signed_in("alice");
    world.provider.clear_faults();
    world.gate.clock.advance(RECHECK);
    let page = alice.visit(&format!("{PUBLIC}/page"));
    assert_eq!(page.answer.status, 200);
}

// E11: a UserInfo that says less than the ID token did is no word that the rest is gone.
#[test]
fn a_userinfo_that_says_less_than_the_id_token_takes_nothing_away() {
    let world = World::with(
        "routes: [{ match: { path: /mine }, access: { emails: [\"@example.com\"] } }, { access: signed_in }]",
    );
    let mut alice = world.signed_in("alice");
    assert_eq!(status(&mut alice, "/mine"), 200);
    world
        .provider
        .set_fault(Fault::RenewalMember("id_token", None));
    let silent = Fault::Member(Endpoint::Userinfo, "email", None);
    world.provider.add_fault(silent);
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/mine"), 200);
    await_renewals(&world, 1);
    await_successor(&mut alice);
    assert_eq!(status(&mut alice, "/mine"), 200);
    assert!(world.app.last().fields("x-forwarded-email") == ["alice@example.com"]);
    // The next page asks for an ID token.
    let page = alice.visit(&format!("{PUBLIC}/mine"));
    assert_eq!(page.answer.status, 200);
    assert_eq!(
        world
            .provider
            .hits_of(Endpoint::Authorize)
            .last()
            .unwrap()
            .query
            .value("prompt"),
        Some("none")
    );
}

// E17: a renewal that ends after the sign-out leaves no token behind that is good.
#[test]
fn a_refresh_token_that_comes_after_the_sign_out_is_given_back() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let gate = hold_tokens(&world);
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
    assert_eq!(answer.status, 303);
    gate.open();
    until("the new token was not revoked", || {
        let hits = world.provider.hits_of(Endpoint::Revoke);
        let tokens: std::collections::BTreeSet<_> = hits
            .iter()
            .filter_map(|hit| hit.form.value("token").map(str::to_owned))
            .collect();
        tokens.len() == 2
    });
}

// E10: a provider that renews nothing any more still signs in: whoever waits for it is not locked out.
#[test]
fn a_client_that_may_not_renew_any_more_asks_the_person() {
    for code in [
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ] {
        let world = World::start();
        let mut alice = world.signed_in("alice");
        world
            .provider
            .set_fault(Fault::TokenRefusal(StatusCode::BAD_REQUEST, code, ""));
        world.gate.clock.advance(RECHECK);
        assert_eq!(status(&mut alice, "/x"), 200, "{code}");
        await_renewals(&world, 1);
        until("the session kept its grant", || {
            alice.clone().open(&format!("{PUBLIC}/page")).status == 302
        });
        world.provider.clear_faults();
        let page = alice.visit(&format!("{PUBLIC}/page"));
        assert_eq!(page.answer.status, 200, "{code}");
    }
}

// E17: who signs out with a cookie that was overtaken gives back the token of its successor, too: it is
// the one that is still good.
#[test]
fn signing_out_with_an_old_cookie_revokes_what_came_of_it() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let mut old = alice.clone();
    world.gate.clock.advance(RECHECK);
    await_successor(&mut alice);
    let answer = old.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
    assert_eq!(answer.status, 303);
    until("no token was revoked", || {
        !world.provider.hits_of(Endpoint::Revoke).is_empty()
    });
    let value = |endpoint, name| {
        let hits = world.provider.hits_of(endpoint);
        hits.iter()
            .find_map(|hit| hit.form.value(name).map(str::to_owned))
            .unwrap()
    };
    let spent = value(Endpoint::Token, "refresh_token");
    assert_ne!(value(Endpoint::Revoke, "token"), spent);
    // Neither cookie is good for anything any more.
    world.gate.clock.advance(RECHECK);
    for browser in [&alice, &old] {
        await_end(browser);
    }
    assert_eq!(renewals(&world), 1);
}

// E10: while the provider cannot be asked, a session that is too old to go by is told as one, without
// asking, and can be ended; the app is not reached with it.
#[test]
fn a_session_whose_word_is_too_old_is_told_and_ended_without_the_provider() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    world.provider.set_fault(Fault::HungUp(Endpoint::Token));
    world.gate.clock.advance(RECHECK + GRACE);
    for query in ["", "?passive=1"] {
        let at = format!("{PUBLIC}/oauth2/userinfo{query}");
        let answer = alice.fetch("GET", &at, "Accept: application/json\r\n");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["email"], "alice@example.com");
        assert_eq!(answer.field("set-cookie"), None);
    }
    assert_eq!(renewals(&world), 0, "looking asks for nothing");
    world.app.forget();
    assert_eq!(status(&mut alice, "/x"), 503);
    assert!(world.app.arrived().is_empty());
    let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
    assert_eq!(answer.status, 303);
    assert_eq!(status(&mut alice, "/oauth2/userinfo"), 401);
}
