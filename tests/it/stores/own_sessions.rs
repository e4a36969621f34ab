//! A person sees where else they are signed in, and ends that; and has no more sessions than they may.

use std::time::Duration;

use serde_json::Value;

use super::{HOUR, Kept, MINUTE, status};
use crate::support::browser::Browser;
use crate::support::instance::PUBLIC;
use crate::support::raw::Answer;

const SECOND: Duration = Duration::from_secs(1);
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const STORES: [&str; 3] = ["memory", "disk", "redis"];

fn page() -> String {
    format!("{PUBLIC}/oauth2/userinfo")
}

fn told(browser: &mut Browser, more: &str) -> Value {
    let answer = browser.fetch("GET", &format!("{}{more}", page()), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn others(browser: &mut Browser) -> usize {
    told(browser, "")["other_sessions"]
        .as_array()
        .unwrap()
        .len()
}

fn send(browser: &mut Browser, fields: &str, body: &str) -> Answer {
    let fields = format!("{FORM}{fields}");
    browser.request("POST", &page(), &fields, body.as_bytes())
}

// One click ends every other session of the person, at once, and no session of anybody else.
#[test]
fn a_person_sees_their_other_sessions_and_ends_them() {
    for word in STORES {
        let kept = Kept::of(word);
        let world = kept.world("");
        let mut elsewhere = [world.signed_in("alice"), world.signed_in("alice")];
        let mut bob = world.signed_in("bob");
        world.gate.clock.advance(SECOND);
        let mut here = world.signed_in("alice");
        assert_eq!((others(&mut here), others(&mut bob)), (2, 0), "{word}");
        let shown = here.open(&page()).text();
        assert!(
            shown.contains("Sign out everywhere else"),
            "{word}: {shown}"
        );
        assert!(!bob.open(&page()).text().contains("everywhere else"));
        let passive = told(&mut here, "?passive=1");
        assert_eq!(passive["other_sessions"], Value::Null, "{word}");

        let ended = send(&mut here, &format!("Origin: {PUBLIC}\r\n"), "end=others");
        assert_eq!(ended.status, 303, "{word}: {ended:?}");
        assert_eq!(ended.location(), page());
        for one in &mut elsewhere {
            assert_eq!(status(one), 401, "{word}");
        }
        assert_eq!(status(&mut here), 200, "{word}");
        assert_eq!(status(&mut bob), 200, "{word}");
        assert_eq!(others(&mut here), 0, "{word}");
        let log = world.gate.logged("other_sessions_ended");
        let line = log
            .lines()
            .find(|line| line.contains("other_sessions_ended"));
        let line: Value = serde_json::from_str(line.unwrap()).unwrap();
        assert_eq!(line["sessions"], 2, "{word}");
    }
}

// G1: another site, or a form that says something else, ends nothing.
#[test]
fn other_sessions_are_ended_by_the_person_alone() {
    let kept = Kept::of("memory");
    let world = kept.world("");
    let (mut elsewhere, mut here) = (world.signed_in("alice"), world.signed_in("alice"));
    let own = format!("Origin: {PUBLIC}\r\n");
    for (fields, body) in [
        ("Origin: https://evil.test\r\n", "end=others"),
        ("Origin: null\r\n", "end=others"),
        ("Sec-Fetch-Site: cross-site\r\n", "end=others"),
        ("Sec-Fetch-Site: same-site\r\n", "end=others"),
        ("Sec-Fetch-Site: none\r\n", "end=others"),
        (own.as_str(), ""),
        (own.as_str(), "end=all"),
        (own.as_str(), "end=others&end=others"),
        (own.as_str(), "others=end"),
    ] {
        let answer = send(&mut here, fields, body);
        assert_eq!(answer.status, 200, "{fields}{body}: {answer:?}");
        assert_eq!(status(&mut elsewhere), 200, "{fields}{body}");
    }
    let json = "Content-Type: application/json\r\n";
    let json = here.request("POST", &page(), &format!("{json}{own}"), b"end=others");
    assert_eq!(json.status, 200);
    let query = here.fetch("GET", &format!("{}?end=others", page()), "");
    assert_eq!(query.status, 200);
    assert_eq!(status(&mut elsewhere), 200);
    let mut nobody = world.browser();
    assert_eq!(send(&mut nobody, &own, "end=others").status, 401);
}

// Where nobody can know of other sessions, none are spoken of; where it is not known now, the rest of the
// page is told all the same, and nothing is said to be done that is not.
#[test]
fn what_is_not_known_of_other_sessions_is_not_said() {
    let own = format!("Origin: {PUBLIC}\r\n");
    let world = Kept::of("cookie").world("");
    let mut alice = world.signed_in("alice");
    assert_eq!(told(&mut alice, "")["other_sessions"], Value::Null);
    let kept = Kept::of("redis");
    let world = kept.world("");
    let mut alice = world.signed_in("alice");
    kept.redis.as_ref().unwrap().signal("-STOP");
    let page = told(&mut alice, "");
    assert_eq!(page["other_sessions"], Value::Null);
    assert_eq!(page["sub"], "u-alice");
    assert_eq!(send(&mut alice, &own, "end=others").status, 503);
    kept.redis.as_ref().unwrap().signal("-CONT");
}

// With a limit, one more session ends the oldest of the person; whoever signs in again at the same
// browser has still one there.
#[test]
fn one_session_more_than_a_person_may_have_ends_the_oldest() {
    for word in STORES {
        let kept = Kept::of(word);
        let world = kept.world(", max_per_user: 2");
        let mut bob = world.signed_in("bob");
        let mut all = Vec::new();
        for _ in 0..4 {
            world.gate.clock.advance(SECOND);
            all.push(world.signed_in("alice"));
        }
        let seen: Vec<u16> = all.iter_mut().map(status).collect();
        assert_eq!(seen, [401, 401, 200, 200], "{word}");
        for _ in 0..3 {
            world.gate.clock.advance(SECOND);
            let start = format!("{PUBLIC}/oauth2/start?return_to=/x");
            let answer = all[3].visit(&start);
            assert_eq!(answer.answer.status, 200, "{word}: the provider knows her");
        }
        let seen: Vec<u16> = all.iter_mut().map(status).collect();
        assert_eq!(seen, [401, 401, 200, 200], "{word}");
        assert_eq!(status(&mut bob), 200, "{word}");
    }
}

// A browser that signs in again leaves no second session behind; what it had is good for a moment, for
// what it asked for already, and not longer.
#[test]
fn a_browser_that_signs_in_again_has_one_session() {
    for word in STORES {
        let kept = Kept::of(word);
        let world = kept.world("");
        let mut alice = world.signed_in("alice");
        let mut before = alice.clone();
        world.gate.clock.advance(SECOND);
        let again = alice.visit(&format!("{PUBLIC}/oauth2/start?return_to=/x"));
        assert_eq!(again.answer.status, 200, "{word}");
        assert_eq!(status(&mut before), 200, "{word}: still under way");
        world.gate.clock.advance(2 * MINUTE);
        assert_eq!(status(&mut before), 401, "{word}");
        assert_eq!(others(&mut alice), 0, "{word}");
        world.gate.clock.advance(HOUR);
        assert_eq!(status(&mut alice), 200, "{word}");
    }
}
