//! A session ends when it should, whatever the browser keeps, and not before.

use std::time::Duration;

use sidegate::base::clock::{Clock, UnixTime};

use crate::support::browser::{Browser, Cookie};
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::provider::TestProvider;
use crate::support::upstream::Upstream;

const HOUR: Duration = Duration::from_hours(1);

fn session_cookie(browser: &Browser) -> Cookie {
    let mut own = browser.jar.iter().filter(|cookie| {
        cookie.host == "gate.test"
            && cookie.name.starts_with("__Host-sidegate-")
            && !cookie.name.contains("-l-")
    });
    own.next().expect("a session").clone()
}

fn is_in(browser: &mut Browser) -> bool {
    let answer = browser.fetch("GET", &format!("{PUBLIC}/api"), "");
    assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    answer.status == 200
}

// F15: the idle limit is in the sealed session; the cookie is replayed by a client that knows no
// Max-Age.
#[test]
fn a_session_that_is_not_used_for_the_idle_span_is_over_whatever_the_browser_keeps() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    let replay = browser.clone();
    world.gate.clock.advance(Duration::from_secs(8 * 3600 - 1));
    assert!(is_in(&mut replay.clone()));
    world.gate.clock.advance(Duration::from_secs(1));
    world.app.forget();
    assert!(!is_in(&mut replay.clone()));
    let answer = browser.clone().open(&format!("{PUBLIC}/page"));
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(answer.location().starts_with(world.provider.issuer()));
    assert!(world.app.arrived().is_empty());
    // The same browser signs in once and is in again.
    let form = browser.visit(&format!("{PUBLIC}/page"));
    assert_eq!(form.answer.status, 200);
}

// F15: each use moves the idle end, and the answer carries the cookie that says so.
#[test]
fn a_session_in_use_goes_on_until_the_absolute_limit_and_not_a_second_longer() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    let mut last = session_cookie(&browser).value;
    for hours in 1..=5_u32 {
        world.gate.clock.advance(HOUR * 4);
        assert!(is_in(&mut browser), "after {} hours", hours * 4);
        let now = session_cookie(&browser).value;
        assert_ne!(now, last, "a use after four hours is written down");
        last = now;
    }
    world.gate.clock.advance(Duration::from_secs(4 * 3600 - 1));
    assert!(is_in(&mut browser));
    world.gate.clock.advance(Duration::from_secs(1));
    assert!(!is_in(&mut browser), "24 hours are the most");
}

// F15: an answer that others may be shown must not carry somebody's cookie.
#[test]
fn a_cookie_sealed_anew_rides_on_private_answers_alone() {
    for caching in [
        "Cache-Control: public, max-age=60\r\n", // made private on its way
        "Cache-Control: s-maxage=60\r\n",
        "Cache-Control: max-age=60\r\n",
        "CDN-Cache-Control: max-age=60\r\n",
        "Cache-Control: private, max-age=60\r\n",
        "Cache-Control: no-store\r\n",
        "",
    ] {
        let app = Upstream::answering(move |_| {
            format!("HTTP/1.1 200 OK\r\n{caching}Content-Length: 2\r\n\r\nok").into_bytes()
        });
        let world = World::before(app, "");
        let mut browser = world.signed_in("alice");
        world.gate.clock.advance(HOUR * 4);
        let answer = browser.fetch("GET", &format!("{PUBLIC}/x"), "");
        assert_eq!(answer.status, 200);
        assert!(answer.field("set-cookie").is_some(), "{caching:?}");
        let policy: Vec<_> = answer.all("cache-control").collect();
        let alone = ["private", "no-store"];
        assert!(
            policy
                .iter()
                .any(|line| alone.iter().any(|one| line.contains(one))),
            "{caching:?}: {policy:?}"
        );
        assert!(answer.field("cdn-cache-control").is_none());
        assert!(is_in(&mut browser), "{caching:?}: still signed in");
    }
}

// F15: seconds are 64 bits wide.
#[test]
fn a_session_after_2038_ends_when_it_should() {
    let clock = Clock::settable(UnixTime::from_seconds(i64::from(i32::MAX) - 3600));
    let provider = TestProvider::start_with(|options| options.clock = clock.clone());
    let app = Upstream::start();
    register(&provider, "dashboards", "/oauth2/callback");
    let text = yaml(provider.issuer(), &app.url(), "");
    let world = World {
        gate: Instance::start(&text, &clock),
        provider,
        app,
    };
    world.await_provider();
    let mut browser = world.signed_in("alice");
    clock.advance(HOUR * 7);
    assert!(is_in(&mut browser.clone()));
    clock.advance(HOUR);
    assert!(!is_in(&mut browser));
}

// F14: what an attacker planted before a login has nothing to do with the session after it.
#[test]
fn a_login_replaces_whatever_session_was_planted_before_it() {
    let world = World::start();
    let planted = session_cookie(&world.signed_in("bob"));
    for value in [planted.value.clone(), "garbage".to_owned(), String::new()] {
        let mut browser = world.browser();
        browser.jar.push(Cookie {
            value: value.clone(),
            ..planted.clone()
        });
        let form = browser.visit(&format!("{PUBLIC}/oauth2/start?return_to=%2Fmine"));
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.answer.status, 200, "{:?}", page.answer);
        assert_eq!(world.app.last().fields("X-Forwarded-User"), ["u-alice"]);
        assert_ne!(session_cookie(&browser).value, value);
        let own = browser.jar.iter().filter(|one| one.name == planted.name);
        assert_eq!(own.count(), 1, "the planted cookie is gone");
    }
}

// F14: two logins of one person are two sessions.
#[test]
fn every_login_begins_a_session_of_its_own() {
    let world = World::start();
    let ids: Vec<String> = ["alice", "alice"]
        .iter()
        .map(|name| session_cookie(&world.signed_in(name)).value)
        .collect();
    assert_ne!(ids[0], ids[1]);
    drop(
        world
            .browser()
            .fetch("GET", &format!("{PUBLIC}/the-end"), ""),
    );
    let log = world.gate.logged("the-end");
    let mut sessions: Vec<String> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["event"] == "login")
        .filter_map(|line| line["session"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(sessions.len(), 2, "{log}");
    sessions.dedup();
    assert_eq!(sessions.len(), 2, "{log}");
}

// F19: what a former configuration left in the browser costs one login at the most.
#[test]
fn leftover_cookies_cost_no_loop_and_are_cleared_by_the_login() {
    let world = World::start();
    let session = session_cookie(&world.signed_in("alice"));
    let mut browser = world.browser();
    for suffix in ["", ".1", ".2", ".9", "-l-aaaaaaaa", "-refresh"] {
        browser.jar.push(Cookie {
            name: format!("{}{suffix}", session.name),
            value: "3.left.over".to_owned(),
            ..session.clone()
        });
    }
    let form = browser.visit(&format!("{PUBLIC}/page"));
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.answer.status, 200, "{:?}", page.answer);
    assert!(is_in(&mut browser));
    let names = browser.names("gate.test");
    for gone in [".1", ".2", ".9"] {
        let part = format!("{}{gone}", session.name);
        assert!(!names.contains(&part.as_str()), "{names:?}");
    }
}

// A25: the sign-in page leaves nothing half-valid behind, and nothing sound is taken by it.
#[test]
fn the_sign_in_page_clears_what_is_over_or_does_not_open() {
    let world = World::start();
    let sign_in = format!("{PUBLIC}/oauth2/sign_in");
    let mut browser = world.signed_in("alice");
    assert_eq!(browser.open(&sign_in).status, 200);
    assert!(is_in(&mut browser), "a good session stays");
    let good = session_cookie(&browser);
    let mut spoilt = world.browser();
    spoilt.jar.push(Cookie {
        value: good.value.replace('.', "x"),
        ..good.clone()
    });
    assert_eq!(spoilt.open(&sign_in).status, 200);
    assert_eq!(spoilt.names("gate.test"), [""; 0]);
    world.gate.clock.advance(HOUR * 9);
    assert_eq!(browser.open(&sign_in).status, 200);
    let names = browser.names("gate.test");
    assert!(!names.contains(&good.name.as_str()), "{names:?}");
}
