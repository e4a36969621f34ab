//! What comes back from the provider by way of the browser: it works once, for one browser, and
//! nothing but a sound answer reaches the token endpoint.

use std::sync::mpsc;

use http::StatusCode;
use sidegate::demo::provider::Endpoint;
use url::Url;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};
use crate::support::provider::{Fault, Gate, IdTokenFault};
use crate::support::raw::Wire;

/// A browser that stands before the callback of a login of its own that alice approved.
fn before_callback(world: &World, page: &str) -> (Browser, Url) {
    let mut browser = world.browser();
    let url = browser.reach_callback(&format!("{PUBLIC}{page}"), "alice");
    (browser, url)
}

fn codes_sent(world: &World) -> usize {
    world.provider.hits_of(Endpoint::Token).len()
}

fn value(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(own, _)| own == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.into_owned()
}

// A6, E4: one callback fifty times at once, with the cookies of the browser that began it: while
// the first is with the provider the others are already answered, and nobody but the first has a
// session of it.
#[test]
fn of_fifty_equal_callbacks_at_once_one_redeems_the_code() {
    let world = World::start();
    let (browser, url) = before_callback(&world, "/page?q=1");
    let gate = Gate::closed();
    world
        .provider
        .set_fault(Fault::AnswerHeld(Endpoint::Token, gate.clone()));
    let (answered, answers) = mpsc::channel();
    let (mut sessions, mut others) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..50 {
            let (mut browser, answered, url) = (browser.clone(), answered.clone(), url.as_str());
            scope.spawn(move || {
                let answer = browser.open(url);
                answered.send((browser, answer)).unwrap();
            });
        }
        // The token answer is still held: none of these waited for it.
        others.extend(answers.iter().take(49));
        gate.open();
        sessions.extend(answers.recv());
    });
    assert_eq!(codes_sent(&world), 1, "the code is never sent twice");
    for (_, answer) in &others {
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(answer.location(), "/page?q=1");
        assert_eq!(answer.all("set-cookie").count(), 0, "{answer:?}");
    }
    let (mut first, answer) = sessions.remove(0);
    assert!(answer.sets_session(), "{answer:?}");
    assert_eq!(answer.location(), "/page?q=1");
    assert_eq!(first.open(&format!("{PUBLIC}/page?q=1")).status, 200);
    assert_eq!(world.app.last().fields("X-Forwarded-User"), ["u-alice"]);
    let (mut other, _) = others.remove(0);
    world.app.forget();
    let own = other.fetch("GET", &format!("{PUBLIC}/page?q=1"), "");
    assert_eq!(own.status, 401, "whoever was not the first has no session");
    assert!(world.app.arrived().is_empty());
}

// A6: the same callback afterwards: in the browser that used it, before it kept the answer, and
// elsewhere.
#[test]
fn a_callback_that_was_used_redeems_nothing_in_any_browser() {
    let world = World::start();
    let (mut alice, url) = before_callback(&world, "/page");
    let mut crashed = alice.clone();
    assert!(alice.open(url.as_str()).sets_session());
    let mut signed_out = alice.clone();
    signed_out.jar.retain(|cookie| cookie.name.contains("-l-"));
    for (what, browser, status, leads_to) in [
        ("the same browser", &mut alice, 303, "/page"),
        (
            "the same without the session",
            &mut signed_out,
            303,
            "/page",
        ),
        ("a browser that lost the answer", &mut crashed, 303, "/page"),
        // Whoever that is may sign in, as anybody may.
        (
            "another browser",
            &mut world.browser(),
            302,
            world.provider.issuer(),
        ),
    ] {
        let answer = browser.open(url.as_str());
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(
            answer.location().starts_with(leads_to),
            "{what}: {answer:?}"
        );
        assert!(!answer.sets_session(), "{what}: {answer:?}");
        assert_eq!(codes_sent(&world), 1, "{what}");
    }
}

// A5, A6: a callback that was never used leads nobody in but the browser that began the login, and
// that one still, though others came first.
#[test]
fn a_fresh_callback_is_redeemed_for_the_browser_that_began_it_alone() {
    let world = World::start();
    let (mut alice, url) = before_callback(&world, "/page");
    let (mut mallory, _) = before_callback(&world, "/mallory");
    for stranger in [&mut world.browser(), &mut mallory] {
        let answer = stranger.open(url.as_str());
        assert!(!answer.sets_session(), "{answer:?}");
        let asked = stranger.fetch("GET", &format!("{PUBLIC}/page"), "");
        assert_eq!(asked.status, 401);
    }
    assert_eq!(codes_sent(&world), 0);
    assert!(alice.open(url.as_str()).sets_session());
    assert_eq!(codes_sent(&world), 1);
}

/// What a wrong callback makes of the query of a right one.
type Change = dyn Fn(&Url) -> String;

// A8, A10, A12: whatever is wrong with the answer's form, it is refused before anything is sent or
// spent: the right answer still signs in.
#[test]
fn an_answer_in_a_wrong_form_is_refused_and_spends_nothing() {
    fn with(more: &str) -> Box<Change> {
        let more = more.to_owned();
        Box::new(move |url| format!("{}&{more}", url.query().unwrap()))
    }
    fn again(name: &'static str) -> Box<Change> {
        Box::new(move |url| {
            let same: String =
                url::form_urlencoded::byte_serialize(value(url, name).as_bytes()).collect();
            format!("{}&{name}={same}", url.query().unwrap())
        })
    }
    fn with_code(code: String) -> Box<Change> {
        Box::new(move |url| format!("code={code}&state={}", value(url, "state")))
    }
    let world = World::start();
    let (mut browser, url) = before_callback(&world, "/page");
    let cases: [(&str, Box<Change>); 22] = [
        ("code twice", again("code")),
        ("another code", with("code=other")),
        ("another code, spelled otherwise", with("c%6fde=other")),
        ("an empty code too", with("code=")),
        ("state twice", again("state")),
        ("another state", with("state=other")),
        ("iss twice", again("iss")),
        ("another iss", with("iss=https%3A%2F%2Fevil.test")),
        ("code and error", with("error=access_denied")),
        ("code and an empty error", with("error=")),
        ("error twice", with("error=a&error=a")),
        ("an ID token", with("id_token=x.y.z")),
        ("an access token", with("access_token=x")),
        ("a token", with("token=x")),
        ("a JARM response", with("response=x.y.z")),
        (
            "a JARM response alone",
            Box::new(|_| "response=x.y.z".to_owned()),
        ),
        ("nothing", Box::new(|_| String::new())),
        (
            "neither code nor error",
            Box::new(|url| format!("state={}", value(url, "state"))),
        ),
        ("an empty code", with_code(String::new())),
        ("a code over the limit", with_code("c".repeat(8 * 1024 + 1))),
        ("a code of two lines", with_code("a%0D%0Ab".to_owned())),
        ("a code that is not UTF-8", with_code("a%FF".to_owned())),
    ];
    for (what, change) in &cases {
        let mut wrong = url.clone();
        wrong.set_query(Some(&change(&url)));
        let answer = browser.open(wrong.as_str());
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert_eq!(answer.all("set-cookie").count(), 0, "{what}: {answer:?}");
        assert!(!answer.text().contains("evil.test"), "{what}");
        assert_eq!(codes_sent(&world), 0, "{what}");
    }
    assert!(
        browser.open(url.as_str()).sets_session(),
        "nothing is spent"
    );
}

// A12: a code of 8 KiB goes to the provider as it came.
#[test]
fn a_code_of_eight_kibibytes_is_redeemed() {
    let world = World::start();
    let (mut browser, url) = before_callback(&world, "/page");
    let long = "c".repeat(8 * 1024);
    let with_long = url.as_str().replace(&value(&url, "code"), &long);
    let answer = browser.open(&with_long);
    let sent = world.provider.hits_of(Endpoint::Token);
    assert_eq!(sent.len(), 1, "{answer:?}");
    assert_eq!(sent[0].form.value("code"), Some(long.as_str()));
    assert!(!answer.sets_session(), "the provider never issued it");
}

/// Descriptions that a provider, or whoever writes a link to the callback, may choose, encoded.
fn hostile_texts() -> [(&'static str, String); 6] {
    [
        (
            "a script",
            "%3Cscript%3Ealert(%22canary%22)%3C/script%3E%3Cimg%20src%3Dx%20onerror%3Dcanary%3E"
                .to_owned(),
        ),
        (
            "lines of a header",
            "canary%0D%0ASet-Cookie:%20x%3Dcanary%0D%0A%0D%0A%3Cb%3E".to_owned(),
        ),
        (
            "text that reads backwards",
            "canary%E2%80%AE%E2%81%A6%E2%80%8Fmoc.live".to_owned(),
        ),
        ("a zero byte", "canary%00%1B[31m%07".to_owned()),
        ("no UTF-8", "canary%FF%C0%AF".to_owned()),
        ("very much", format!("canary{}", "x".repeat(24 * 1024))),
    ]
}

fn error_url(state: Option<&str>, error: &str, text: &str) -> String {
    let state = state.map(|state| format!("&state={state}"));
    let state = state.unwrap_or_default();
    format!("{PUBLIC}/oauth2/callback?error={error}&error_description={text}{state}")
}

// A9, T5: a refusal with the state of a login is told as text, ends that login and begins no other.
#[test]
fn a_refusal_is_told_as_text_and_ends_its_login_alone() {
    let world = World::start();
    for (what, text) in hostile_texts() {
        for (error, status) in [("access_denied", 403), ("made_up_code", 400)] {
            let (mut browser, url) = before_callback(&world, "/page");
            let other = browser.reach_callback(&format!("{PUBLIC}/other"), "alice");
            let answer = browser.open(&error_url(Some(&value(&url, "state")), error, &text));
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            assert!(answer.field("location").is_none(), "{what}: no retry");
            assert_eq!(answer.field("x"), None, "{what}");
            let page = answer.text();
            assert!(page.contains("canary"), "{what}: {page}");
            for tag in ["<script", "<img", "<b>", "onerror=canary>"] {
                assert!(!page.contains(tag), "{what}: {tag} in {page}");
            }
            let unseen = |c: char| {
                (c.is_control() && c != '\n')
                    || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!page.contains(unseen), "{what}: {page:?}");
            assert!(page.len() < 16 * 1024, "{what}: {} bytes", page.len());
            for line in answer.all("set-cookie") {
                assert!(line.contains("Max-Age=0"), "{what}: {line}");
            }
            // The refused login is spent, the code that comes late with it included.
            let late = browser.clone().open(url.as_str());
            assert!(!late.sets_session(), "{what}: {late:?}");
            // The login in the other tab is not.
            assert!(browser.open(other.as_str()).sets_session(), "{what}");
        }
    }
    assert_eq!(codes_sent(&world), 12, "the other tab's, and no more");
}

// A9: without the state of a login of this browser it is anybody's text: nothing of it is shown.
#[test]
fn a_refusal_that_answers_no_login_of_this_browser_is_not_repeated() {
    let world = World::start();
    let (mut browser, _) = before_callback(&world, "/page");
    let (_, of_another) = before_callback(&world, "/page");
    let foreign = value(&of_another, "state");
    for (what, text) in hostile_texts() {
        for state in [None, Some("canary"), Some(foreign.as_str())] {
            let answer = browser.open(&error_url(state, "canary_code", &text));
            assert_eq!(answer.status, 400, "{what}: {answer:?}");
            assert_eq!(answer.all("set-cookie").count(), 0, "{what}");
            assert!(!answer.everything().contains("canary"), "{what}");
        }
    }
}

// A11: no method but GET, whatever the body says it is, and the body is not waited for.
#[test]
fn an_answer_in_a_body_is_refused_whatever_its_type() {
    let world = World::start();
    let (mut browser, url) = before_callback(&world, "/page");
    let query = url.query().unwrap();
    let cookies: Vec<_> = browser
        .jar
        .iter()
        .filter(|cookie| cookie.host == "gate.test")
        .map(|cookie| format!("{}={}", cookie.name, cookie.value))
        .collect();
    for kind in [
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/json\r\n",
        "Content-Type: multipart/form-data; boundary=b\r\n",
        "Content-Type: \r\n",
        "",
    ] {
        for length in [query.len(), 1 << 30] {
            let mut wire = Wire::connect(world.gate.address);
            wire.send(format!(
                "POST /oauth2/callback HTTP/1.1\r\nHost: gate.test\r\nOrigin: {}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: cross-site\r\nCookie: {}\r\n{kind}Content-Length: {length}\r\n\r\n{query}",
                world.provider.issuer(),
                cookies.join("; "),
            ));
            let answer = wire.answer_to("POST").expect("an answer");
            assert_eq!(answer.status, 405, "{kind} {length}: {answer:?}");
            assert_eq!(answer.field("allow"), Some("GET"), "{kind}");
            assert_eq!(answer.all("set-cookie").count(), 0, "{kind}");
        }
    }
    assert_eq!(codes_sent(&world), 0);
    assert!(browser.open(url.as_str()).sets_session());
}

// A6, E4: whatever became of the one token request, the same callback makes no second one, not even
// for a browser that never got the answer; only a code that the provider itself calls dead is
// forgotten, so that made-up codes fill no memory.
#[test]
fn a_code_whose_fate_is_unknown_is_never_sent_again() {
    let world = World::start();
    let broken = StatusCode::INTERNAL_SERVER_ERROR;
    let unreadable = |name, value| Fault::Member(Endpoint::Token, name, value);
    for fault in [
        Fault::Status(Endpoint::Token, broken),
        Fault::Status(Endpoint::Token, StatusCode::BAD_REQUEST),
        Fault::HungUp(Endpoint::Token),
        Fault::CutShort(Endpoint::Token),
        Fault::Html(Endpoint::Token),
        Fault::Padded(Endpoint::Token, 4 << 20),
        Fault::ErrorWithStatus200("invalid_client"),
        Fault::ErrorWithStatus200("server_error"),
        unreadable("access_token", None),
        unreadable("id_token", None),
        Fault::IdToken(IdTokenFault::BrokenSignature),
    ] {
        let what = format!("{fault:?}");
        world.provider.clear_faults();
        let (browser, url) = before_callback(&world, "/page");
        world.provider.set_fault(fault);
        let before = codes_sent(&world);
        let first = browser.clone().open(url.as_str());
        assert!(first.status >= 400, "{what}: {first:?}");
        assert_eq!(codes_sent(&world), before + 1, "{what}");
        world.provider.clear_faults();
        let mut crashed = browser.clone();
        let again = crashed.open(url.as_str());
        assert_eq!(codes_sent(&world), before + 1, "{what}: sent twice");
        assert_eq!(again.status, 303, "{what}: {again:?}");
        assert_eq!(again.location(), "/page", "{what}: to a new login");
        assert!(!again.sets_session(), "{what}");
    }
}
