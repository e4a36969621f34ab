//! The provider is asked again, once, and nobody notices; and what it says then counts.

mod kept;
mod unseen;

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use sidegate::demo::provider::Endpoint;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};
use crate::support::provider::{Fault, Gate, IdTokenFault};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);
/// The defaults of `recheck` and `outage_grace`.
const RECHECK: Duration = Duration::from_mins(15);
const GRACE: Duration = Duration::from_hours(1);

/// The requests of a renewal that reached the provider so far.
fn renewals(world: &World) -> usize {
    let hits = world.provider.hits_of(Endpoint::Token);
    hits.iter()
        .filter(|hit| hit.form.value("grant_type") == Some("refresh_token"))
        .count()
}

/// Waits for the event itself: the provider has been asked so often.
fn await_renewals(world: &World, count: usize) {
    until("the provider was not asked", || renewals(world) >= count);
}

/// Waits, without sleeping, until it is so.
fn until(otherwise: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while Instant::now() < limit {
        if is_so() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{otherwise}");
}

fn status(browser: &mut Browser, path: &str) -> u16 {
    browser.fetch("GET", &format!("{PUBLIC}{path}"), "").status
}

/// Asks until the answer carries the successor's cookie; each answer is a good one.
fn await_successor(browser: &mut Browser) {
    until("no successor came", || {
        let answer = browser.fetch("GET", &format!("{PUBLIC}/x"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.field("set-cookie").is_some()
    });
}

/// Asks until the session is over.
fn await_end(browser: &Browser) {
    until("the session did not end", || {
        status(&mut browser.clone(), "/x") == 401
    });
}

// E8: in one process.
#[test]
fn fifty_requests_at_once_with_an_expired_token_are_one_renewal() {
    let world = World::start();
    let alice = world.signed_in("alice");
    for (after, waits) in [(RECHECK, "behind"), (RECHECK + GRACE, "before")] {
        let before = renewals(&world);
        world.gate.clock.advance(after);
        let old = alice.clone();
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..50)
                .map(|_| scope.spawn(|| status(&mut old.clone(), "/x")))
                .collect();
            for one in asked {
                assert_eq!(one.join().unwrap(), 200, "{waits}");
            }
        });
        await_renewals(&world, before + 1);
        await_successor(&mut old.clone());
        assert_eq!(renewals(&world), before + 1, "{waits}");
    }
}

// E8: the old cookie is sent again and again, by tabs that know no better; its token was spent once.
#[test]
fn the_successor_is_there_for_every_tab_until_its_cookie_is_seen() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let old = alice.clone();
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    for _ in 0..3 {
        await_successor(&mut old.clone());
    }
    assert_eq!(renewals(&world), 1, "spent once");
    await_successor(&mut alice);
    // From now on the new cookie is good by itself.
    let answer = alice.fetch("GET", &format!("{PUBLIC}/x"), "");
    assert_eq!((answer.status, answer.field("set-cookie")), (200, None));
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 2);
    await_successor(&mut alice);
}

/// From now on the token endpoint answers when this is opened.
fn hold_tokens(world: &World) -> Gate {
    let gate = Gate::closed();
    world
        .provider
        .set_fault(Fault::AnswerHeld(Endpoint::Token, gate.clone()));
    gate
}

// R: a slow provider slows nobody down who does not need it.
#[test]
fn a_token_answer_that_does_not_come_delays_no_request() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let gate = hold_tokens(&world);
    world.gate.clock.advance(RECHECK);
    for _ in 0..20 {
        assert_eq!(status(&mut alice, "/x"), 200);
    }
    await_renewals(&world, 1);
    world.gate.clock.advance(20 * SECOND);
    assert_eq!(status(&mut alice, "/x"), 200);
    assert_eq!(renewals(&world), 1, "one is under way");
    gate.open();
    await_successor(&mut alice);
}

// E8: what was good when it was asked for is good for this session, however long the machine slept
// before it could look at the answer.
#[test]
fn a_machine_that_sleeps_in_the_middle_of_a_renewal_signs_nobody_out() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let gate = hold_tokens(&world);
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    // Its ID token was good for five minutes.
    world.gate.clock.advance(45 * 60 * SECOND);
    gate.open();
    world.provider.clear_faults();
    await_successor(&mut alice);
    assert_eq!(status(&mut alice, "/x"), 200);
    assert!(!world.gate.log().contains("session_ended"));
}

// E8: an answer that comes after twenty seconds of everybody's time is still taken: its token was spent
// for it. Nobody who asks meanwhile waits.
#[test]
fn a_token_answer_that_comes_after_twenty_seconds_is_not_lost() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let gate = hold_tokens(&world);
    world.gate.clock.advance(RECHECK);
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    while begin.elapsed() < 20 * SECOND {
        let asked = Instant::now();
        assert_eq!(status(&mut alice, "/x"), 200);
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < 5 * SECOND, "{slowest:?}");
    assert_eq!(renewals(&world), 1, "one is under way");
    gate.open();
    await_successor(&mut alice);
    assert_eq!(renewals(&world), 1);
}

// E8: the renewal is nobody's request: a tab that closes takes nothing with it.
#[test]
fn a_tab_that_closes_in_the_middle_of_a_renewal_loses_nothing() {
    let world = World::start();
    let alice = world.signed_in("alice");
    let gate = hold_tokens(&world);
    // So old that the request has to wait for it.
    world.gate.clock.advance(RECHECK + GRACE);
    let mut wire = crate::support::raw::Wire::connect(world.gate.address);
    let cookies: Vec<_> = alice
        .jar
        .iter()
        .filter(|cookie| cookie.host == "gate.test")
        .map(|cookie| format!("{}={}", cookie.name, cookie.value))
        .collect();
    wire.send(format!(
        "GET /x HTTP/1.1\r\nHost: gate.test\r\nCookie: {}\r\n\r\n",
        cookies.join("; ")
    ));
    await_renewals(&world, 1);
    drop(wire);
    gate.open();
    world.provider.clear_faults();
    let mut next = alice;
    await_successor(&mut next);
    assert_eq!(renewals(&world), 1, "what the closed tab began was used");
}

// E11: (Pomerium CVE-2021-41230)
#[test]
fn who_was_removed_from_a_group_loses_it_at_the_next_renewal() {
    let world = World::with(
        "routes: [{ match: { path: /admin }, access: { groups: [admins] } }, { access: signed_in }]",
    );
    let mut alice = world.signed_in("alice");
    assert_eq!(status(&mut alice, "/admin"), 200);
    world
        .provider
        .provider()
        .set_groups("alice", vec!["dev".to_owned()])
        .unwrap();
    assert_eq!(status(&mut alice, "/admin"), 200, "the old word");
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    await_successor(&mut alice);
    assert_eq!(status(&mut alice, "/admin"), 403);
    assert_eq!(world.app.last().fields("x-forwarded-groups"), ["dev"]);
}

// E9: what a renewal brings is held to what the login was held to.
#[test]
fn a_renewed_id_token_that_is_not_for_this_session_ends_it() {
    let claim = |name, value| IdTokenFault::Claim(name, Some(value));
    let faults = [
        claim("iss", json!("https://evil.test")),
        claim("sub", json!("u-mallory")),
        claim("aud", json!("another-client")),
        IdTokenFault::Claim("aud", None),
        claim("azp", json!("another-client")),
        claim("exp", json!(1)),
        IdTokenFault::Unsigned("none"),
        IdTokenFault::BrokenSignature,
    ];
    for fault in faults {
        let world = World::start();
        let alice = world.signed_in("alice");
        world
            .provider
            .set_fault(Fault::RenewedIdToken(fault.clone()));
        world.gate.clock.advance(RECHECK);
        assert_eq!(status(&mut alice.clone(), "/x"), 200, "{fault:?}");
        await_end(&alice);
        world.app.forget();
        let page = alice.clone().open(&format!("{PUBLIC}/page"));
        assert_eq!(page.status, 302, "{fault:?}");
        assert!(world.app.arrived().is_empty(), "{fault:?}");
        world.gate.logged("session_ended");
        assert_eq!(renewals(&world), 1, "{fault:?}");
    }
}

// E10: `invalid_grant` ends the session now, and for every cookie of it.
#[test]
fn a_grant_that_the_provider_ended_ends_the_session() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let tokens = world.provider.hits_of(Endpoint::Token).len();
    assert_eq!(tokens, 1);
    world
        .provider
        .set_fault(Fault::ErrorWithStatus200("invalid_grant"));
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_end(&alice);
    for _ in 0..5 {
        assert_eq!(status(&mut alice.clone(), "/x"), 401);
    }
    assert_eq!(renewals(&world), 1);
}

/// Whether the provider did what was asked, and only its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    No,
    Yes,
}

/// Everything that may pass and is no word about the person.
fn outages() -> Vec<(&'static str, Fault, Spent)> {
    let status = |status| Fault::Status(Endpoint::Token, status);
    let elsewhere = "http://127.0.0.1:1/".to_owned();
    vec![
        ("refuses", Fault::HungUp(Endpoint::Token), Spent::No),
        ("breaks off", Fault::CutShort(Endpoint::Token), Spent::Yes),
        ("500", status(StatusCode::INTERNAL_SERVER_ERROR), Spent::No),
        ("503", status(StatusCode::SERVICE_UNAVAILABLE), Spent::No),
        ("429", status(StatusCode::TOO_MANY_REQUESTS), Spent::No),
        ("401", status(StatusCode::UNAUTHORIZED), Spent::No),
        ("HTML", Fault::Html(Endpoint::Token), Spent::No),
        (
            "elsewhere",
            Fault::Redirect(Endpoint::Token, elsewhere),
            Spent::No,
        ),
        (
            "invalid_client",
            Fault::ErrorWithStatus200("invalid_client"),
            Spent::Yes,
        ),
        (
            "server_error",
            Fault::ErrorWithStatus200("server_error"),
            Spent::Yes,
        ),
        (
            "too large",
            Fault::Padded(Endpoint::Token, 2 * 1024 * 1024),
            Spent::Yes,
        ),
    ]
}

// E10, V9: through an outage the session goes on until recheck and outage_grace are used up, to the
// second, is not ended then either, and goes on when the provider is back.
#[test]
fn an_outage_signs_nobody_out_and_admits_nobody_beyond_its_grace() {
    for (what, fault, spent) in outages() {
        let world = World::start();
        let mut alice = world.signed_in("alice");
        world.provider.set_fault(fault);
        world.gate.clock.advance(RECHECK);
        for _ in 0..6 {
            assert_eq!(status(&mut alice, "/x"), 200, "{what}");
            world.gate.clock.advance(9 * MINUTE + 59 * SECOND);
        }
        assert_eq!(status(&mut alice, "/x"), 200, "{what}, in its last seconds");
        world.gate.clock.advance(6 * SECOND);
        world.app.forget();
        let answer = alice.fetch("GET", &format!("{PUBLIC}/x"), "");
        assert_eq!(answer.status, 503, "{what}: {answer:?}");
        assert!(answer.field("retry-after").is_some(), "{what}");
        assert!(
            answer.field("set-cookie").is_none(),
            "{what}: nothing is cleared"
        );
        let page = alice.open(&format!("{PUBLIC}/page"));
        assert_eq!(page.status, 503, "{what}: no use to sign in now");
        assert!(world.app.arrived().is_empty(), "{what}");
        world.provider.clear_faults();
        if spent == Spent::Yes {
            continue; // an honest provider takes the lost token for stolen now, whoever asks
        }
        until("the session did not come back", || {
            world.gate.clock.advance(SECOND);
            status(&mut alice, "/x") == 200
        });
    }
}

// D4: keys that cannot be had are an outage, not a bad token.
#[test]
fn a_renewal_whose_key_cannot_be_had_waits_for_it() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    world.provider.set_fault(Fault::RotatedBeforeSigning(
        sidegate::demo::provider::OldKeys::Withdrawn,
    ));
    world.provider.add_fault(Fault::Status(
        Endpoint::Jwks,
        StatusCode::INTERNAL_SERVER_ERROR,
    ));
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    // The answer held another token, and that one counts from now on.
    await_successor(&mut alice);
    world.provider.clear_faults();
    world.gate.clock.advance(MINUTE);
    until("it was never renewed", || {
        // A copy asks, so that the new cookie is left for her.
        assert_eq!(status(&mut alice.clone(), "/x"), 200);
        world.gate.clock.advance(SECOND);
        renewals(&world) == 2
    });
    await_successor(&mut alice);
}

// R: nobody stampedes a provider that is down.
#[test]
fn a_dead_provider_is_asked_seldom_however_many_ask_for_it() {
    let world = World::start();
    let mut people: Vec<_> = (0..8).map(|_| world.signed_in("alice")).collect();
    world.provider.set_fault(Fault::HungUp(Endpoint::Token));
    world.gate.clock.advance(RECHECK);
    let minutes = 10;
    for _ in 0..minutes * 6 {
        for person in &mut people {
            assert_eq!(status(person, "/x"), 200);
        }
        world.gate.clock.advance(10 * SECOND);
    }
    let asked = renewals(&world);
    assert!(
        asked <= minutes * 6 + 8,
        "{asked} times in {minutes} minutes"
    );
    world.provider.clear_faults();
    world.gate.clock.advance(15 * SECOND);
    for person in &mut people {
        await_successor(person);
    }
    assert!(renewals(&world) <= asked + 8 + 1, "once each");
}

// E17: the refresh token is given back, and a provider that hangs delays no sign-out.
#[test]
fn signing_out_revokes_the_refresh_token_and_waits_for_nobody() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let gate = Gate::closed();
    world
        .provider
        .set_fault(Fault::Held(Endpoint::Revoke, gate.clone()));
    let old = alice.clone();
    let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
    assert_eq!(answer.status, 303, "{answer:?}");
    until("nothing was revoked", || {
        !world.provider.hits_of(Endpoint::Revoke).is_empty()
    });
    let hit = world.provider.hits_of(Endpoint::Revoke).remove(0);
    assert_eq!(hit.form.value("token_type_hint"), Some("refresh_token"));
    assert!(
        hit.form
            .value("token")
            .is_some_and(|token| !token.is_empty())
    );
    gate.open();
    // A copy of the cookie is no way to renew any more.
    world.gate.clock.advance(RECHECK);
    await_end(&old);
    assert_eq!(renewals(&world), 0);
}

// G1: what a renewal brings after the sign-out does not bring the session back.
#[test]
fn a_renewal_that_ends_after_a_sign_out_brings_nothing_back() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let gate = hold_tokens(&world);
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    let old = alice.clone();
    let answer = alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, "");
    assert_eq!(answer.status, 303);
    gate.open();
    world.provider.clear_faults();
    for _ in 0..300 {
        assert_eq!(status(&mut old.clone(), "/x"), 401);
    }
}

// E8: what a renewal brings would end with the process, while its token is spent.
#[test]
fn a_gate_that_is_about_to_end_spends_no_token() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    world.gate.shared.live.renewals.rest();
    world.gate.clock.advance(RECHECK);
    for _ in 0..20 {
        assert_eq!(status(&mut alice, "/x"), 200);
    }
    assert_eq!(renewals(&world), 0);
    // What cannot do without it is renewed all the same.
    world.gate.clock.advance(GRACE);
    assert_eq!(status(&mut alice, "/x"), 200);
    assert_eq!(renewals(&world), 1);
}

// A provider that leaves the refresh token out of a renewal's answer means the old one.
#[test]
fn a_renewal_without_a_new_refresh_token_keeps_the_old_one() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    world
        .provider
        .set_fault(Fault::RenewalMember("refresh_token", None));
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    await_successor(&mut alice);
    let first = world.provider.hits_of(Endpoint::Token);
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 2);
    let second = world.provider.hits_of(Endpoint::Token);
    let token = |hits: &[crate::support::provider::Hit]| {
        hits.last()
            .unwrap()
            .form
            .value("refresh_token")
            .map(str::to_owned)
    };
    assert_eq!(token(&first), token(&second));
}

// E11: without an ID token the UserInfo is asked who it is.
#[test]
fn a_renewal_without_an_id_token_asks_the_userinfo() {
    let world = World::with(
        "routes: [{ match: { path: /admin }, access: { groups: [admins] } }, { access: signed_in }]",
    );
    let mut alice = world.signed_in("alice");
    world
        .provider
        .set_fault(Fault::RenewalMember("id_token", None));
    world
        .provider
        .provider()
        .set_groups("alice", vec!["dev".to_owned()])
        .unwrap();
    world.gate.clock.advance(RECHECK);
    assert_eq!(status(&mut alice, "/x"), 200);
    await_renewals(&world, 1);
    await_successor(&mut alice);
    assert_eq!(status(&mut alice, "/admin"), 403);
    let userinfo = world.provider.hits_of(Endpoint::Userinfo).len();
    assert!(userinfo >= 1);
}

// V9: what `check` says of removal holds by the clock.
#[test]
fn who_is_removed_loses_access_when_check_says() {
    for (recheck, grace) in [("15m", "1h"), ("1m", "0s"), ("5m", "10m"), ("2h", "30m")] {
        let session = format!("recheck: {recheck}, outage_grace: {grace}");
        let (recheck, grace) = (
            humantime::parse_duration(recheck).unwrap(),
            humantime::parse_duration(grace).unwrap(),
        );
        let world = World::with_session(&session, "");
        let mut alice = world.signed_in("alice");
        // Removed, and the provider does not even say so.
        world.provider.set_fault(Fault::HungUp(Endpoint::Token));
        world
            .gate
            .clock
            .advance((recheck + grace).saturating_sub(SECOND));
        assert_eq!(status(&mut alice, "/x"), 200, "{session}");
        world.gate.clock.advance(SECOND);
        assert_eq!(status(&mut alice, "/x"), 503, "{session}");

        let world = World::with_session(&session, "");
        let alice = world.signed_in("alice");
        world
            .provider
            .set_fault(Fault::ErrorWithStatus200("invalid_grant"));
        world.gate.clock.advance(recheck);
        await_end(&alice);
    }
}
