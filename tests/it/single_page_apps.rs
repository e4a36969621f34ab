//! What an app of one page needs to know about its session: how long it lives, that it is over, and
//! where to sign in so that the way leads back to the page and not to what a script fetched.

use std::time::Duration;

use crate::support::instance::{PUBLIC, World};

const PASSIVE: &str = "/oauth2/userinfo?passive=1";

fn passive() -> String {
    format!("{PUBLIC}{PASSIVE}")
}

#[test]
fn looking_again_and_again_tells_the_time_left_and_keeps_no_session_alive() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let left = |answer: &crate::support::raw::Answer| {
        let told = answer.json();
        let seconds = |name: &str| told[name].as_u64().unwrap();
        (seconds("idle_expires_in"), seconds("absolute_expires_in"))
    };
    let first = alice.fetch("GET", &passive(), "");
    assert_eq!(first.status, 200);
    let (idle, absolute) = left(&first);
    let token = first.json()["token_expires_in"].as_u64();
    assert!(token.is_some_and(|token| token > 0), "{}", first.text());
    assert!(idle > 0 && absolute >= idle, "{idle} {absolute}");
    let step = Duration::from_mins(10);
    let mut looked = 0_u64;
    while looked * 600 + 600 < idle {
        world.gate.clock.advance(step);
        looked += 1;
        let answer = alice.fetch("GET", &passive(), "");
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.all("set-cookie").count(),
            0,
            "looking is no activity"
        );
        assert_eq!(left(&answer).0, idle - looked * 600);
    }
    world.gate.clock.advance(Duration::from_secs(600));
    let over = alice.fetch("GET", &passive(), "");
    assert_eq!(over.status, 401, "after {looked} looks");
    assert!(looked > 3);
}

#[test]
fn what_is_told_is_json_whatever_is_accepted_and_has_no_token() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    for accept in ["text/html", "*/*", "application/json"] {
        let fields =
            format!("Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept: {accept}\r\n");
        let answer = alice.request("GET", &passive(), &fields, b"");
        assert_eq!(
            answer.field("content-type"),
            Some("application/json"),
            "{accept}"
        );
        assert_eq!(answer.json()["sub"], "u-alice");
        assert!(!answer.text().contains("eyJ"), "{}", answer.text());
        let nobody = world.browser().request("GET", &passive(), &fields, b"");
        assert_eq!(nobody.status, 401);
        assert_eq!(
            nobody.field("content-type"),
            Some("application/problem+json"),
            "{accept}"
        );
    }
    let twice = alice.fetch("GET", &format!("{PUBLIC}{PASSIVE}&passive=0"), "");
    assert_eq!(twice.status, 400);
}

// H1: the page that a script runs on is held to the rules for places to return to.
#[test]
fn a_script_is_told_a_login_that_leads_back_to_its_page() {
    let world = World::start();
    for (referer, wanted) in [
        ("https://gate.test/app?tab=2", "%2Fapp%3Ftab%3D2"),
        ("https://gate.test/", "%2F"),
        // What another site says is no place here; then the way leads to what was asked for.
        ("https://evil.test/app", "%2Fapi%2Fx"),
        ("https://gate.test:8443/app", "%2Fapi%2Fx"),
        ("https://gate.test//evil.test", "%2Fapi%2Fx"),
        ("https://gate.test/oauth2/sign_out", "%2Fapi%2Fx"),
        ("javascript:alert(1)", "%2Fapi%2Fx"),
    ] {
        let url = format!("{PUBLIC}/api/x");
        let more = format!("Referer: {referer}\r\n");
        let answer = world.browser().fetch("GET", &url, &more);
        assert_eq!(answer.status, 401);
        let login = format!("https://gate.test/oauth2/start?return_to={wanted}");
        assert_eq!(answer.json()["login_url"], login, "{referer}");
        assert_eq!(answer.json()["code"], "login_required");
    }
    let posted = world.browser().fetch(
        "POST",
        &format!("{PUBLIC}/api/x"),
        "Referer: https://gate.test/app\r\n",
    );
    let login = posted.json()["login_url"].as_str().unwrap().to_owned();
    assert!(login.ends_with("?return_to=%2Fapp"), "{login}");
    // A person who opens a page wants that page, wherever the link stood.
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\nAccept: text/html\r\nReferer: https://gate.test/app\r\n";
    let frame = world
        .browser()
        .request("GET", &format!("{PUBLIC}/frame"), fields, b"");
    assert!(
        frame
            .field("www-authenticate")
            .unwrap()
            .contains("return_to=%2Fframe")
    );
}

#[test]
fn a_login_in_a_window_of_its_own_leads_back_to_the_page_that_closes_it() {
    let world = World::start();
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/oauth2/start?return_to=/spa/signed-in"));
    let answer = browser.submit_form(&form, &[("username", "alice"), ("password", "sidegate")]);
    let page = browser.follow(form.url.as_str(), answer);
    assert_eq!(page.url.path(), "/spa/signed-in");
    // The tie between the two windows is not cut by a redirect of ours.
    for answer in browser
        .seen
        .iter()
        .filter(|answer| matches!(answer.status, 302 | 303))
    {
        assert!(
            answer.field("cross-origin-opener-policy").is_none(),
            "{answer:?}"
        );
    }
}
