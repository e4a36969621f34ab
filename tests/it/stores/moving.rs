//! A restart, and moving from one place to another: nobody signs in again for it.

use std::time::Duration;

use super::{HOUR, Kept, sent, status};
use crate::support::browser::Browser;
use crate::support::instance::PUBLIC;

// U4: a restart is nobody's sign-out, and what was signed out stays so.
#[test]
fn a_restart_ends_nobody_whose_session_is_on_disk_and_revives_nobody() {
    let kept = Kept::of("disk");
    let world = kept.world("");
    let (alice, mut gone) = (world.signed_in("alice"), world.signed_in("bob"));
    let copy = gone.clone();
    let out = format!("{PUBLIC}/oauth2/sign_out");
    assert_eq!(gone.submit(&out, PUBLIC, "").status, 303);
    let (provider, app) = (world.provider, world.app);
    drop(world.gate);
    for _ in 0..3 {
        let gate = kept.gate(&provider, &app, "");
        gate.await_providers();
        let moved = |browser: &Browser| browser.clone().resolve(PUBLIC, gate.address);
        assert_eq!(status(&mut moved(&alice)), 200);
        assert_eq!(status(&mut moved(&copy)), 401);
        gate.clock.advance(HOUR);
        assert_eq!(status(&mut moved(&alice)), 200);
        // The process ends when what it has begun is written.
    }
}

// F16: sessions in cookies that were ended stay so over a restart, where there is a file for it.
#[test]
fn a_restart_revives_no_cookie_whose_end_is_on_disk() {
    let kept = Kept::of("cookie with disk");
    let world = kept.world(", single_instance: true");
    let (mut alice, bob) = (world.signed_in("alice"), world.signed_in("bob"));
    let (copy, elsewhere) = (alice.clone(), world.signed_in("bob"));
    let out = format!("{PUBLIC}/oauth2/sign_out");
    assert_eq!(alice.submit(&out, PUBLIC, "").status, 303);
    let mut claims = world.provider.logout_claims("dashboards", "u-bob", "x");
    claims.as_object_mut().unwrap().remove("sid");
    world.gate.clock.advance(Duration::from_secs(1));
    let later = world.signed_in("alice");
    let token = world.provider.sign("logout+jwt", &claims);
    assert_eq!(crate::backchannel::logout(&world.gate, &token).status, 200);
    let (provider, app) = (world.provider, world.app);
    drop(world.gate);
    let gate = kept.gate(&provider, &app, "");
    gate.await_providers();
    let there = |browser: Browser| status(&mut browser.resolve(PUBLIC, gate.address));
    assert_eq!((there(copy), there(bob), there(elsewhere)), (401, 401, 401));
    assert_eq!(there(later), 200, "who was not ended goes on");
}

// Nobody signs in anew because the operator chose another place; and whoever moved has moved.
#[test]
fn people_move_from_one_place_to_another_without_signing_in_again() {
    for (from, to) in [
        ("cookie", "disk"),
        ("disk", "cookie"),
        ("cookie", "memory"),
        ("disk", "memory"),
    ] {
        let what = format!("{from} to {to}");
        let (old, new) = (Kept::of(from), Kept::of(to));
        let world = old.world("");
        let (alice, late) = (world.signed_in("alice"), world.signed_in("bob"));
        let before = sent(&alice);
        let (provider, app) = (world.provider, world.app);
        drop(world.gate);
        let gate = new.after(&old).gate(&provider, &app, "");
        gate.await_providers();
        let (mut alice, mut late) = (
            alice.resolve(PUBLIC, gate.address),
            late.resolve(PUBLIC, gate.address),
        );
        assert_eq!(status(&mut alice), 200, "{what}");
        gate.clock.advance(HOUR);
        assert_eq!(status(&mut alice), 200, "{what}");
        let after = sent(&alice);
        if (from, to) != ("disk", "memory") {
            assert_ne!(before.len(), after.len(), "{what}: it moved");
        }
        assert_eq!(status(&mut alice), 200, "{what}");
        if to == "memory" {
            continue; // what is kept there is gone with the gate
        }
        // When the old place is gone, who moved stays and who did not signs in again.
        drop(gate);
        let gate = new.gate(&provider, &app, "");
        gate.await_providers();
        alice = alice.resolve(PUBLIC, gate.address);
        late = late.resolve(PUBLIC, gate.address);
        assert_eq!(status(&mut alice), 200, "{what}");
        assert_eq!(status(&mut late), 401, "{what}");
    }
}
