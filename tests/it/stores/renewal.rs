//! It is renewed once, and no renewal brings back what was ended.

use std::time::{Duration, Instant};

use sidegate::demo::provider::Endpoint;

use super::{Kept, MINUTE, status};
use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};
use crate::support::provider::{Fault, Gate};

const RECHECK: Duration = Duration::from_mins(15);
const GRACE: Duration = Duration::from_hours(1);

pub(super) fn renewals(world: &World) -> usize {
    let hits = world.provider.hits_of(Endpoint::Token);
    let renews = |form: Option<&str>| form == Some("refresh_token");
    hits.iter()
        .filter(|hit| renews(hit.form.value("grant_type")))
        .count()
}

/// For how many seconds the access token of the session is good, as its owner is told.
pub(crate) fn token_lasts(browser: &Browser) -> u64 {
    let passive = format!("{PUBLIC}/oauth2/userinfo?passive=1");
    let told = browser.clone().fetch("GET", &passive, "");
    assert_eq!(told.status, 200, "{told:?}");
    let told: serde_json::Value = serde_json::from_str(&told.text()).unwrap();
    told["token_expires_in"].as_u64().unwrap()
}

/// Until the session has a token that is good.
pub(crate) fn await_renewed(browser: &Browser) {
    until("the successor was never seen", || token_lasts(browser) > 0);
}

/// Waits, without sleeping, until it is so.
pub(crate) fn until(otherwise: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while Instant::now() < limit {
        if is_so() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{otherwise}");
}

// E8: one call, however many ask, and nobody is signed out: neither behind the requests nor where they
// have to wait for it; and so again and again.
#[test]
fn fifty_requests_with_an_expired_token_are_one_renewal_in_every_store() {
    for kept in Kept::all() {
        let world = kept.world("");
        let alice = world.signed_in("alice");
        for (round, after) in [RECHECK, RECHECK + GRACE, RECHECK].into_iter().enumerate() {
            world.gate.clock.advance(after);
            std::thread::scope(|scope| {
                let asked: Vec<_> = (0..50)
                    .map(|_| scope.spawn(|| status(&mut alice.clone())))
                    .collect();
                for one in asked {
                    assert_eq!(one.join().unwrap(), 200, "{}", kept.word);
                }
            });
            until("the provider was not asked", || renewals(&world) > round);
            // From then on the successor serves them all: its word is young.
            await_renewed(&alice);
            assert_eq!(renewals(&world), round + 1, "{}", kept.word);
        }
    }
}

// S5: a renewal that ends after the sign-out brings nothing back, for no cookie and at no time.
#[test]
fn a_renewal_that_ends_after_the_sign_out_brings_nothing_back_in_any_store() {
    for kept in Kept::all() {
        let world = kept.world("");
        let mut alice = world.signed_in("alice");
        let gate = Gate::closed();
        world
            .provider
            .set_fault(Fault::AnswerHeld(Endpoint::Token, gate.clone()));
        world.gate.clock.advance(RECHECK);
        assert_eq!(status(&mut alice), 200, "{}", kept.word);
        until("the provider was not asked", || renewals(&world) == 1);
        let old = alice.clone();
        let out = format!("{PUBLIC}/oauth2/sign_out");
        assert_eq!(alice.submit(&out, PUBLIC, "").status, 303);
        gate.open();
        until("what came was not given back", || {
            !world.provider.hits_of(Endpoint::Revoke).is_empty()
        });
        for minutes in [0, 1, 5] {
            world.gate.clock.advance(minutes * MINUTE);
            assert_eq!(status(&mut old.clone()), 401, "{}", kept.word);
        }
    }
}

// F15: whoever is there while the provider takes its time was there: the session that comes of the
// renewal ends no earlier for it.
#[test]
fn who_is_there_during_a_long_renewal_is_not_signed_out_by_it() {
    for kept in Kept::all() {
        let world = kept.world(", idle: 1h, recheck: 24h");
        let mut alice = world.signed_in("alice");
        let gate = Gate::closed();
        world
            .provider
            .set_fault(Fault::AnswerHeld(Endpoint::Token, gate.clone()));
        // The access token has ended, and its renewal begins with the session as it is by now.
        let lasts = Duration::from_secs(token_lasts(&alice));
        assert!(lasts < 50 * MINUTE);
        world.gate.clock.advance(lasts);
        for step in 0..5 {
            assert_eq!(status(&mut alice), 200, "{} {step}", kept.word);
            until("the provider was not asked", || renewals(&world) == 1);
            world.gate.clock.advance(25 * MINUTE);
        }
        gate.open();
        world.provider.clear_faults();
        await_renewed(&alice);
        assert_eq!(status(&mut alice), 200, "{}", kept.word);
        world.gate.clock.advance(40 * MINUTE);
        assert_eq!(status(&mut alice), 200, "{}", kept.word);
    }
}
