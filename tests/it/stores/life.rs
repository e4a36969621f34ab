//! It begins, is used, ends by its limits, and by a sign-out.

use std::time::Duration;

use super::renewal::{await_renewed, token_lasts, until};
use super::{HOUR, Kept, MINUTE, sent, status};
use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};

const SECOND: Duration = Duration::from_secs(1);

fn sign_out(browser: &mut Browser) -> u16 {
    let out = format!("{PUBLIC}/oauth2/sign_out");
    browser.submit(&out, &format!("{PUBLIC}/"), "").status
}

fn who(browser: &mut Browser) -> String {
    let url = format!("{PUBLIC}/oauth2/userinfo?passive=1");
    browser.fetch("GET", &url, "").text()
}

#[test]
fn two_people_are_themselves_in_every_store() {
    for kept in Kept::all() {
        let world = kept.world("");
        let (mut alice, mut bob) = (world.signed_in("alice"), world.signed_in("bob"));
        for _ in 0..10 {
            assert!(who(&mut alice).contains("alice"), "{}", kept.word);
            assert!(who(&mut bob).contains("bob"), "{}", kept.word);
        }
        let field = sent(&alice);
        let is_small = field.len() < 200;
        assert_eq!(is_small, kept.has_tickets(), "{}: {field}", kept.word);
    }
}

// F15: both limits hold, to the second, whatever the browser keeps.
#[test]
fn both_limits_end_a_session_in_every_store() {
    for kept in Kept::all() {
        let world = kept.world(", recheck: 24h");
        let mut alice = world.signed_in("alice");
        world
            .gate
            .clock
            .advance(7 * HOUR + 59 * MINUTE + 59 * SECOND);
        // Nobody is seen here: a look of the person's own page does not count as use.
        assert!(who(&mut alice).contains("alice"), "{}", kept.word);
        world.gate.clock.advance(SECOND);
        assert_eq!(status(&mut alice), 401, "{}", kept.word);

        let mut alice = world.signed_in("alice");
        for _ in 0..23 {
            world.gate.clock.advance(HOUR);
            assert_eq!(status(&mut alice), 200, "{}", kept.word);
            // The provider's own hours pass with the clock, too.
            await_renewed(&alice);
        }
        world.gate.clock.advance(59 * MINUTE + 59 * SECOND);
        assert_eq!(status(&mut alice), 200, "{}", kept.word);
        world.gate.clock.advance(SECOND);
        assert_eq!(status(&mut alice), 401, "{}", kept.word);
    }
}

// F16: always.
#[test]
fn a_cookie_that_was_copied_before_the_sign_out_opens_nothing_in_any_store() {
    for kept in Kept::all() {
        let world = kept.world("");
        let mut alice = world.signed_in("alice");
        let mut elsewhere = world.signed_in("alice");
        let copies = vec![alice.clone(); 8];
        for mut copy in copies.clone() {
            assert_eq!(status(&mut copy), 200, "{}", kept.word);
        }
        assert_eq!(sign_out(&mut alice), 303, "{}", kept.word);
        for mut copy in copies.clone() {
            assert_eq!(status(&mut copy), 401, "{}", kept.word);
        }
        assert_eq!(status(&mut elsewhere), 200, "{}", kept.word);
        // Nor when everybody has forgotten what they had copies of.
        world.gate.clock.advance(2 * MINUTE);
        for mut copy in copies {
            assert_eq!(status(&mut copy), 401, "{}", kept.word);
        }
    }
}

// G4: a session that is over is signed out at the provider, too.
#[test]
fn a_session_that_is_over_is_signed_out_at_the_provider_in_every_store() {
    for kept in Kept::all() {
        let world = kept.world(", idle: 1h");
        let mut alice = world.signed_in("alice");
        world.gate.clock.advance(HOUR + 10 * MINUTE);
        assert_eq!(status(&mut alice), 401, "{}", kept.word);
        assert_eq!(sign_out(&mut alice), 303, "{}", kept.word);
    }
}

// F14: a login begins a session of its own, whatever was there; a planted one stays the planter's.
#[test]
fn a_login_over_a_planted_session_has_nothing_to_do_with_it() {
    for kept in Kept::all() {
        let world = kept.world("");
        let bob = world.signed_in("bob");
        let mut victim = world.browser();
        let planted = bob.jar.iter().filter(|one| one.host == "gate.test");
        victim.jar.extend(planted.cloned());
        assert!(who(&mut victim).contains("bob"), "{}", kept.word);
        let page = victim.visit(&format!("{PUBLIC}/oauth2/start?return_to=/x"));
        victim.sign_in(&page, "alice");
        assert!(who(&mut victim).contains("alice"), "{}", kept.word);
        assert!(who(&mut bob.clone()).contains("bob"), "{}", kept.word);
        assert_ne!(sent(&victim), sent(&bob), "{}", kept.word);
    }
}

// S7: what was kept in memory is gone with the process: everybody signs in again, once, cleanly.
#[test]
fn a_restart_forgets_what_was_in_memory_and_nobody_goes_in_circles() {
    let kept = Kept::of("memory");
    let world = kept.world("");
    let alice = world.signed_in("alice");
    let gate = kept.gate(&world.provider, &world.app, "");
    gate.await_providers();
    let mut alice = alice.resolve(PUBLIC, gate.address);
    assert_eq!(status(&mut alice), 401);
    let page = alice.visit(&format!("{PUBLIC}/page"));
    // The provider knows the person, and asks nothing.
    assert_eq!((page.answer.status, page.url.path()), (200, "/page"));
    assert_eq!(status(&mut alice), 200);
}

// F15: an answer that carries the cookie anew is no answer that others may be shown; a ticket is as
// good as it was, and is written anew as seldom as a sealed session.
#[test]
fn a_use_is_written_down_seldom() {
    for kept in Kept::all() {
        let world: World = kept.world(", recheck: 8h");
        let mut alice = world.signed_in("alice");
        let mut written = 0;
        for _ in 0..50 {
            world.gate.clock.advance(MINUTE);
            let answer = alice.fetch("GET", &format!("{PUBLIC}/x"), "");
            assert_eq!(answer.status, 200);
            if answer.field("set-cookie").is_some() {
                written += 1;
            }
        }
        // Once for the use, and with each renewal of the access token.
        let renewals = super::renewal::renewals(&world);
        let most = 1 + renewals;
        assert!((1..=most).contains(&written), "{}: {written}", kept.word);
    }
}

// T10: a clock that is put right, by an hour in either direction, signs nobody out; and a session that
// was sealed while it was days ahead is none once it is right.
#[test]
fn a_clock_that_is_put_right_ends_nobody_and_makes_nobody_immortal() {
    for kept in Kept::all() {
        let world = kept.world("");
        let clock = &world.gate.clock;
        let mut alice = world.signed_in("alice");
        let begun = clock.now();
        let whole = token_lasts(&alice);
        for hours in [-1, 0, 1, 0] {
            clock.set(match hours {
                -1 => begun.minus(HOUR),
                hours => begun.plus(HOUR * u32::try_from(hours).unwrap()),
            });
            for _ in 0..3 {
                let answer = alice.fetch("GET", &format!("{PUBLIC}/x"), "");
                assert_eq!(answer.status, 200, "{}: {hours}: {answer:?}", kept.word);
            }
            // Before the clock is put back the old token seems to last for longer than any does.
            until("it was never renewed", || {
                (1..=whole).contains(&token_lasts(&alice))
            });
        }
        clock.set(begun.plus(72 * HOUR));
        let mut ahead = world.signed_in("alice");
        assert_eq!(status(&mut ahead), 200, "{}", kept.word);
        clock.set(begun);
        assert_eq!(status(&mut ahead), 401, "{}", kept.word);
    }
}
