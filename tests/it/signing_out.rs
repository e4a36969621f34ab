//! Signing out: the session here is over first, the provider hears of it, and whatever comes back
//! leads nobody astray.

use std::time::Duration;

use http::StatusCode;
use sidegate::base::secret::Secret;
use sidegate::demo::provider::{ClientRegistration, Endpoint};
use url::Url;

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, SECRET, World, register, yaml};
use crate::support::provider::{Fault, TestProvider};
use crate::support::raw::Answer;
use crate::support::upstream::Upstream;

const OUT: &str = "https://gate.test/oauth2/sign_out";

/// The person presses the button on a page of ours.
fn press(browser: &mut Browser) -> Answer {
    browser.submit(OUT, &format!("{PUBLIC}/"), "")
}

fn value(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    pairs
        .find(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned())
}

fn is_signed_in(browser: &mut Browser) -> bool {
    browser.fetch("GET", &format!("{PUBLIC}/page"), "").status == 200
}

/// Everything but the name, the value and the age.
fn attributes(line: &str) -> Vec<String> {
    let mut found: Vec<_> = line
        .split(';')
        .skip(1)
        .map(|part| part.trim().to_lowercase())
        .filter(|part| !part.starts_with("max-age") && !part.starts_with("expires"))
        .collect();
    found.sort();
    found
}

// G2, F3: the answer that leads to the provider takes away every cookie of ours with the attributes
// that it was set with, each part of a long session and each login in flight included.
#[test]
fn signing_out_takes_every_cookie_away_before_the_provider_is_asked() {
    let world = World::start();
    let groups = (0..150u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let provider = world.provider.provider();
    provider.set_groups("alice", groups.collect()).unwrap();
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/tab"));
    browser.visit(&format!("{PUBLIC}/other-tab"));
    browser.sign_in(&form, "alice");
    let had: Vec<String> = browser
        .names("gate.test")
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(
        had.iter().filter(|name| !name.contains("-l-")).count() > 1,
        "{had:?}"
    );
    assert!(had.iter().any(|name| name.contains("-l-")), "{had:?}");
    let set: Vec<(String, Answer)> = had
        .iter()
        .map(|name| {
            let sets = |answer: &&Answer| {
                let mut lines = answer.all("set-cookie");
                lines.any(|line| line.starts_with(&format!("{name}=")))
            };
            let answer = browser.seen.iter().rev().find(sets).unwrap();
            (name.clone(), answer.clone())
        })
        .collect();
    let answer = press(&mut browser);
    assert_eq!(answer.status, 303);
    for (name, setting) in &set {
        let line = |answer: &Answer| {
            let begins = format!("{name}=");
            let mut lines = answer.all("set-cookie");
            let found = lines.find(|line| line.starts_with(&begins));
            found.map(str::to_owned)
        };
        let gone = line(&answer).unwrap_or_else(|| panic!("{name} stays: {answer:?}"));
        assert!(gone.starts_with(&format!("{name}=;")), "{gone}");
        assert!(gone.contains("Max-Age=0"), "{gone}");
        assert_eq!(attributes(&gone), attributes(&line(setting).unwrap()));
    }
    assert!(browser.names("gate.test").is_empty());
    // Whoever closes the tab here is signed out.
    assert!(world.provider.hits_of(Endpoint::EndSession).is_empty());
    assert!(!is_signed_in(&mut browser));
}

// G2, G3: the provider is told whose session ends, asks nothing, and sends the person back to a page
// that says what has ended.
#[test]
fn the_provider_ends_its_session_too_and_sends_the_person_back() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    let answer = press(&mut browser);
    let to = answer.location().to_owned();
    assert!(to.starts_with(world.provider.issuer()));
    assert_eq!(value(&to, "client_id").as_deref(), Some("dashboards"));
    assert_eq!(value(&to, "post_logout_redirect_uri").as_deref(), Some(OUT));
    let hint = value(&to, "id_token_hint").expect("a hint");
    let issued = world.provider.provider().issued_secrets();
    assert!(issued.iter().any(|secret| secret.expose() == hint));
    assert!(value(&to, "state").is_some_and(|state| state.len() > 20));
    let page = browser.follow(OUT, answer);
    assert_eq!(page.url.path(), "/oauth2/sign_out");
    assert_eq!(page.answer.status, 200);
    assert!(page.answer.text().contains("has ended, too"));
    assert!(browser.names("gate.test").is_empty());
    // Nobody signs in again by themselves: the provider asks who it is.
    let form = browser.visit(&format!("{PUBLIC}/page"));
    assert!(form.answer.text().contains("password"), "{}", form.url);
    assert!(!world.gate.log().contains(&hint));
}

// G2: without a hint, where the operator wants none, the provider asks; here the session is over.
#[test]
fn where_no_hint_is_kept_none_is_sent() {
    let world = World::with_provider("    id_token_hint: never", "");
    let mut browser = world.signed_in("alice");
    let answer = press(&mut browser);
    assert_eq!(value(answer.location(), "id_token_hint"), None);
    assert!(value(answer.location(), "state").is_some());
    let page = browser.follow(OUT, answer);
    assert!(page.url.as_str().starts_with(world.provider.issuer()));
    assert!(page.answer.text().contains("<form"), "it asks");
    assert!(!is_signed_in(&mut browser));
}

// G2, G5: a place to come back to that the provider does not know is no place: it stays there, and
// nothing of the request chooses another.
#[test]
fn a_place_that_is_not_registered_is_not_returned_to() {
    let provider = TestProvider::start();
    let client = ClientRegistration::new(
        "dashboards",
        Some(Secret::new(SECRET.to_owned())),
        format!("{PUBLIC}/oauth2/callback"),
    );
    provider.provider().register(client).unwrap();
    let app = Upstream::start();
    let gate = Instance::start(&yaml(provider.issuer(), &app.url(), ""), provider.clock());
    let world = World {
        provider,
        app,
        gate,
    };
    world.await_provider();
    let mut browser = world.signed_in("alice");
    let asked = format!(
        "{OUT}?return_to=https%3A%2F%2Fevil.test%2F&post_logout_redirect_uri=https%3A%2F%2Fevil.test%2F&state=evil"
    );
    let answer = browser.submit(&asked, &format!("{PUBLIC}/"), "");
    let to = answer.location().to_owned();
    assert_eq!(value(&to, "post_logout_redirect_uri").as_deref(), Some(OUT));
    assert!(!to.contains("evil"), "{to}");
    let page = browser.follow(OUT, answer);
    assert!(page.url.as_str().starts_with(world.provider.issuer()));
    assert_eq!(page.answer.status, 400);
    assert!(!is_signed_in(&mut browser));
}

// G3: whatever `state` comes back, there is a page, no loop and no way out; only the right one says
// that the provider's session has ended.
#[test]
fn the_return_is_a_page_with_any_state() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    let right = value(press(&mut browser).location(), "state").unwrap();
    let mut cut = right.clone();
    cut.truncate(right.len() - 2);
    let login = browser.open(&format!("{PUBLIC}/page"));
    let of_login = value(login.location(), "state").unwrap();
    browser.jar.clear();
    for (what, query, ended) in [
        ("the right one", format!("?state={right}"), true),
        ("the right one again", format!("?state={right}"), true),
        ("half of it", format!("?state={cut}"), false),
        ("a login's", format!("?state={of_login}"), false),
        ("nonsense", "?state=%00%FF<script>".to_owned(), false),
        ("an empty one", "?state=".to_owned(), false),
        ("none", String::new(), false),
        (
            "none, and a place",
            "?return_to=https://evil.test/".to_owned(),
            false,
        ),
        (
            "an error",
            "?error=x&error_description=canary".to_owned(),
            false,
        ),
    ] {
        let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\nAccept: text/html\r\n";
        let answer = browser.request("GET", &format!("{OUT}{query}"), fields, b"");
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert!(answer.field("location").is_none(), "{what}");
        let text = answer.text();
        assert_eq!(text.contains("has ended, too"), ended, "{what}: {text}");
        for foreign in ["evil.test", "<script", "canary"] {
            assert!(!text.contains(foreign), "{what}: {text}");
        }
    }
    let twice = browser.open(&format!("{OUT}?state={right}&state={right}"));
    assert_eq!(twice.status, 400);
    world.gate.clock.advance(Duration::from_secs(3700));
    let late = browser.open(&format!("{OUT}?state={right}"));
    assert_eq!(late.status, 200);
    assert!(!late.text().contains("has ended, too"), "too old");
}

// G1, G3: the state of a sign-out, one's own or another person's, signs nobody out who came after.
#[test]
fn the_state_of_a_sign_out_ends_no_other_session() {
    let world = World::start();
    let mut mallory = world.signed_in("bob");
    let state = value(press(&mut mallory).location(), "state").unwrap();
    let mut alice = world.signed_in("alice");
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\nAccept: text/html\r\n";
    let answer = alice.request("GET", &format!("{OUT}?state={state}"), fields, b"");
    assert!(answer.text().contains("<form"), "it asks: {answer:?}");
    assert_eq!(answer.all("set-cookie").count(), 0);
    assert!(is_signed_in(&mut alice));
}

// G4: without a session, and again, signing out is a page; there is nothing to tell the provider.
#[test]
fn signing_out_twice_or_as_nobody_is_a_page() {
    let world = World::start();
    for browser in [&mut world.browser(), &mut {
        let mut alice = world.signed_in("alice");
        let answer = press(&mut alice);
        alice.follow(OUT, answer);
        alice
    }] {
        let asked = world.provider.hits_of(Endpoint::EndSession).len();
        for _ in 0..2 {
            let answer = press(browser);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.text().contains("You are signed out of gate.test"));
        }
        let now = world.provider.hits_of(Endpoint::EndSession).len();
        assert_eq!(asked, now);
    }
}

// G4: a garbled cookie is no session, and goes too.
#[test]
fn signing_out_with_a_cookie_that_does_not_open_takes_it_away() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    for cookie in &mut browser.jar {
        if cookie.host == "gate.test" {
            cookie.value.truncate(cookie.value.len() - 5);
        }
    }
    let answer = press(&mut browser);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(browser.names("gate.test").is_empty());
}

// G4: with an ID token that is long over, and with a session that is over, the provider hears of it
// all the same.
#[test]
fn an_old_session_is_signed_out_at_the_provider_too() {
    for (what, idle, hours) in [
        ("the ID token is over", "8h", 2),
        ("the session is over", "1h", 3),
    ] {
        let provider = TestProvider::start();
        register(&provider, "dashboards", "/oauth2/callback");
        let app = Upstream::start();
        let text = yaml(provider.issuer(), &app.url(), "").replace(
            "session: { keys:",
            &format!("session: {{ idle: {idle}, keys:"),
        );
        let gate = Instance::start(&text, provider.clock());
        let world = World {
            provider,
            app,
            gate,
        };
        world.await_provider();
        let mut browser = world.signed_in("alice");
        world.gate.clock.advance(Duration::from_secs(hours * 3600));
        let answer = press(&mut browser);
        assert_eq!(answer.status, 303, "{what}: {answer:?}");
        assert!(
            value(answer.location(), "id_token_hint").is_some(),
            "{what}"
        );
        let page = browser.follow(OUT, answer);
        assert!(page.answer.text().contains("has ended, too"), "{what}");
        assert!(browser.names("gate.test").is_empty(), "{what}");
    }
}

// G4: while the provider is down the session here ends, before and after its endpoints were known.
#[test]
fn signing_out_works_while_the_provider_is_down() {
    let world = World::start();
    let broken = |endpoint| Fault::Status(endpoint, StatusCode::INTERNAL_SERVER_ERROR);
    let mut browser = world.signed_in("alice");
    let mut elsewhere = browser.clone();
    world.provider.set_fault(broken(Endpoint::EndSession));
    let answer = press(&mut browser);
    assert_eq!(answer.status, 303);
    assert_eq!(browser.open(answer.location()).status, 500);
    assert!(!is_signed_in(&mut browser));

    world.provider.set_fault(broken(Endpoint::Discovery));
    let text = yaml(world.provider.issuer(), &world.app.url(), "");
    let gate = Instance::start(&text, world.provider.clock());
    elsewhere = elsewhere.resolve(PUBLIC, gate.address);
    assert!(is_signed_in(&mut elsewhere), "the session is known there");
    let asked = format!("{OUT}?return_to=/deep");
    let answer = elsewhere.submit(&asked, &format!("{PUBLIC}/"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains("may still be signed in"));
    assert!(elsewhere.names("gate.test").is_empty());
    assert!(!is_signed_in(&mut elsewhere));
}

// G2, F1: below a base path the cookies are of that path, and go from there.
#[test]
fn signing_out_below_a_base_path_takes_the_cookies_of_that_path_away() {
    let public = format!("{PUBLIC}/base");
    let provider = TestProvider::start();
    let mut client = ClientRegistration::new(
        "dashboards",
        Some(Secret::new(SECRET.to_owned())),
        format!("{public}/oauth2/callback"),
    );
    client.post_logout_redirect_uris = vec![format!("{public}/oauth2/sign_out")];
    provider.provider().register(client).unwrap();
    let app = Upstream::start();
    let text = yaml(provider.issuer(), &app.url(), "").replace(
        &format!("public_url: {PUBLIC}"),
        &format!("public_url: {public}"),
    );
    let gate = Instance::start(&text, provider.clock());
    let world = World {
        provider,
        app,
        gate,
    };
    world.await_provider();
    let mut browser = world.browser();
    let form = browser.visit(&format!("{public}/page"));
    assert_eq!(browser.sign_in(&form, "alice").answer.status, 200);
    assert!(!browser.names("gate.test").is_empty());
    let out = format!("{public}/oauth2/sign_out");
    let answer = browser.submit(&out, &format!("{public}/page"), "");
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(browser.names("gate.test").is_empty());
    let page = browser.follow(&out, answer);
    assert_eq!(page.url.path(), "/base/oauth2/sign_out");
    assert!(page.answer.text().contains("has ended, too"));
}

// F16: a cookie that was copied before the sign-out is worth nothing after it, on every worker, however
// good the provider's word in it still is; the person's other sessions live on.
#[test]
fn a_cookie_that_was_copied_before_the_sign_out_opens_nothing() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let copied = alice.clone();
    let mut elsewhere = world.signed_in("alice");
    assert!(is_signed_in(&mut copied.clone()));
    assert_eq!(press(&mut alice).status, 303);
    world.app.forget();
    for _ in 0..8 {
        assert!(!is_signed_in(&mut copied.clone()));
        let page = copied.clone().open(&format!("{PUBLIC}/page"));
        assert_eq!(page.status, 302, "{page:?}");
    }
    assert!(world.app.arrived().is_empty());
    assert!(is_signed_in(&mut elsewhere));
    // What a reload brings changes nothing of it.
    let app = world.app.url();
    world
        .gate
        .reload(&yaml(
            world.provider.issuer(),
            &app,
            "limits: { drain: 3s }",
        ))
        .unwrap();
    assert!(!is_signed_in(&mut copied.clone()));
    assert!(is_signed_in(&mut elsewhere));
}
