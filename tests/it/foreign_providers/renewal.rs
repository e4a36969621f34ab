//! Renewal at every provider, our own and those that others wrote: one call, nobody signed out, and
//! what the provider says then counts.

use std::time::{Duration, Instant};

use super::{ROUTES, SCOPES};
use crate::support::browser::Browser;
use crate::support::foreign::{Abroad, Make, SomeProvider};
use crate::support::instance::PUBLIC;

/// How long access tokens live, in seconds; some let ID tokens live no longer.
pub(super) const LIFETIME: u64 = 300;

/// Signs alice in and lets her access token end.
fn with_an_expired_token(make: Make) -> (Abroad, Browser) {
    let provider = SomeProvider::renewing(make, LIFETIME);
    let world = Abroad::start(provider, SCOPES, ROUTES);
    let mut alice = world.browser();
    let form = world.provider.visit(&mut alice, &format!("{PUBLIC}/"));
    let page = world.provider.sign_in(&mut alice, &form, "alice");
    assert_eq!(page.answer.status, 200, "{make:?}: {:?}", page.answer);
    world.gate.clock.advance(Duration::from_secs(LIFETIME + 1));
    (world, alice)
}

pub(super) fn status(browser: &mut Browser, path: &str) -> u16 {
    browser.fetch("GET", &format!("{PUBLIC}{path}"), "").status
}

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

fn await_successor(browser: &mut Browser, make: Make) {
    until("no successor came", || {
        let answer = browser.fetch("GET", &format!("{PUBLIC}/x"), "");
        assert_eq!(answer.status, 200, "{make:?}: {answer:?}");
        answer.field("set-cookie").is_some()
    });
}

/// E8 and E11, in one story.
fn renewed(make: Make) {
    let (world, alice) = with_an_expired_token(make);
    world.provider.set_groups("alice", &["ops"]);
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..50)
            .map(|_| scope.spawn(|| status(&mut alice.clone(), "/x")))
            .collect();
        for one in asked {
            assert_eq!(one.join().unwrap(), 200, "{make:?}");
        }
    });
    let mut alice = alice;
    await_successor(&mut alice, make);
    assert_eq!(world.provider.token_calls("refresh_token"), 1, "{make:?}");
    assert_eq!(status(&mut alice, "/admin/x"), 403, "{make:?}");
    assert_eq!(
        world.app.last().fields("x-forwarded-groups"),
        ["ops"],
        "{make:?}"
    );
}

/// E10.
fn revoked(make: Make) {
    let (world, alice) = with_an_expired_token(make);
    world.provider.revoke("alice");
    assert_eq!(status(&mut alice.clone(), "/x"), 200, "{make:?}");
    if make == Make::Glewlwyd {
        // It refuses without saying why, and that is no word about the person: they come by.
        until("the grant was not given up", || {
            let answer = alice.clone().fetch("GET", &format!("{PUBLIC}/x"), "");
            assert_eq!(answer.status, 200);
            answer.field("set-cookie").is_some()
        });
        world.gate.clock.advance(Duration::from_mins(10));
        let page = alice.clone().open(&format!("{PUBLIC}/page"));
        assert_eq!(page.status, 302);
        assert!(page.location().contains("prompt=none"), "{page:?}");
    } else {
        until("the session did not end", || {
            status(&mut alice.clone(), "/x") == 401
        });
    }
    assert_eq!(world.provider.token_calls("refresh_token"), 1, "{make:?}");
}

#[test]
fn fifty_requests_with_an_expired_token_are_one_renewal_at_the_embedded_provider() {
    renewed(Make::Embedded);
    revoked(Make::Embedded);
}

#[test]
fn fifty_requests_with_an_expired_token_are_one_renewal_at_oidc_provider() {
    renewed(Make::OidcProvider);
    revoked(Make::OidcProvider);
}

#[test]
fn fifty_requests_with_an_expired_token_are_one_renewal_at_authlib() {
    renewed(Make::Authlib);
    revoked(Make::Authlib);
}

#[test]
fn fifty_requests_with_an_expired_token_are_one_renewal_at_glewlwyd() {
    renewed(Make::Glewlwyd);
    revoked(Make::Glewlwyd);
}
