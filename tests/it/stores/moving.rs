//! A restart, and moving from one place to another: nobody signs in again for it.

use super::{HOUR, Kept, sent, status};
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
        let moved = |browser: &crate::support::browser::Browser| {
            browser.clone().resolve(PUBLIC, gate.address)
        };
        assert_eq!(status(&mut moved(&alice)), 200);
        assert_eq!(status(&mut moved(&copy)), 401);
        gate.clock.advance(HOUR);
        assert_eq!(status(&mut moved(&alice)), 200);
        // The process ends when what it has begun is written.
    }
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
