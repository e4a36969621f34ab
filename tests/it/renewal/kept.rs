//! What a renewal brought is not lost again, and what it did not bring is not made up.

use super::{RECHECK, await_renewals, await_successor, renewals, status};
use crate::support::instance::World;

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
