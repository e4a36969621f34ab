//! Each line of the log is one JSON object, whatever was sent; each error page has a reference that
//! finds its line.

use serde_json::Value;

use crate::support::instance::{PUBLIC, World};
use crate::support::provider::{Fault, IdTokenFault};
use crate::support::raw::{exchange, try_exchange};

/// All lines, each of which must be one JSON object.
fn lines(world: &World) -> Vec<Value> {
    drop(
        world
            .browser()
            .fetch("GET", &format!("{PUBLIC}/the-end"), ""),
    );
    let log = world.gate.logged("the-end");
    assert!(
        !log.contains(|c: char| c != '\n' && c.is_control()),
        "{log:?}"
    );
    for hidden in ['\u{202e}', '\u{2028}', '\u{2029}', '\u{85}', '\u{feff}'] {
        assert!(!log.contains(hidden), "{hidden:?}");
    }
    log.lines()
        .map(|line| {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(value.is_object(), "{line}");
            assert!(line.len() < 8 * 1024, "{} bytes", line.len());
            value
        })
        .collect()
}

/// Text that tries to begin a line of its own, to paint, to reverse, and to end the string.
const HOSTILE: &[&[u8]] = &[
    b"\"}\\n{\"event\":\"login\"",
    b"\\u000a\\\"",
    b"\xe2\x80\xae\xe2\x80\xa8\xe2\x80\xa9",
    b"\xff\xfe\xc3\x28",
    b"\x80\x85",
    b"%0d%0a%1b[31m",
    b"\tx",
];

// T2: hostile bytes in the path, the query, the user agent, cookie names and the host.
#[test]
fn whatever_a_request_holds_it_makes_one_line_that_is_one_json_object() {
    let world = World::start();
    let mut sent = 0;
    for hostile in HOSTILE {
        for place in ["path", "query", "agent", "cookie", "host", "method"] {
            let put = |own: &str| if own == place { *hostile } else { b"" };
            let request = [
                b"G".as_slice(),
                put("method"),
                b"ET /p".as_slice(),
                put("path"),
                b"?q=",
                put("query"),
                b" HTTP/1.1\r\nHost: gate.test",
                put("host"),
                b"\r\nUser-Agent: agent",
                put("agent"),
                b"\r\nCookie: c",
                put("cookie"),
                b"=1\r\nConnection: close\r\n\r\n",
            ]
            .concat();
            // Some of it is no HTTP, which is answered by a line of its own or by none.
            if let Some(answer) = try_exchange(world.gate.address, request) {
                assert!(matches!(answer.status, 400..=499 | 501), "{answer:?}");
                sent += 1;
            }
        }
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: gate.test\r\nUser-Agent: {}\r\nConnection: close\r\n\r\n",
        "p".repeat(20_000),
        "u".repeat(30_000)
    );
    assert_eq!(exchange(world.gate.address, long).status, 401);
    let lines = lines(&world);
    assert!(sent > 30 && lines.len() > 20, "{sent} {}", lines.len());
    assert!(lines.iter().all(|line| line["event"] == "access"));
}

// T2: what the provider says about a person or about an error is quoted, never written through.
#[test]
fn whatever_the_provider_says_it_stays_inside_its_field() {
    let world = World::start();
    let hostile = "a\r\n{\"event\":\"login\"}\u{1b}[31m\u{202e}\u{2028}\u{0}\"";
    for name in ["preferred_username", "name", "email", "sub"] {
        world
            .provider
            .set_fault(Fault::Claim(name, Some(hostile.into())));
        let mut browser = world.browser();
        let form = browser.visit(&format!("{PUBLIC}/"));
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.answer.status == 200, name != "sub", "{name}");
    }
    world.provider.clear_faults();
    let mut browser = world.browser();
    let begun = browser.open(&format!("{PUBLIC}/"));
    let url = url::Url::parse(begun.location()).unwrap();
    let state = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("error", hostile)
        .append_pair("error_description", hostile)
        .append_pair("state", &state)
        .finish();
    let answer = browser.open(&format!("{PUBLIC}/oauth2/callback?{query}"));
    assert!(answer.status >= 400);
    let logins = |lines: &[Value]| {
        let own = lines.iter().filter(|line| line["event"] == "login");
        own.count()
    };
    let lines = lines(&world);
    assert_eq!(logins(&lines), 3, "one for each login that was one");
}

// T9: a login, one that fails and why, one that is not admitted, a denial and a sign-out are told once
// each, with the reference of the answer, whoever it was and what was missing.
#[test]
fn every_act_is_told_once_with_the_reference_of_its_answer() {
    let world = World::with_provider(
        "    admit: { emails: [alice@example.com] }",
        "routes:\n  - { name: cellar, match: { path: /cellar }, access: { groups: [keepers] } }\n  - { access: signed_in }",
    );
    let mut alice = world.browser();
    let callback = alice.reach_callback(&format!("{PUBLIC}/"), "alice");
    let mut acts = vec![("login", Value::Null, alice.open(callback.as_str()))];
    acts.push((
        "deny",
        "group_denied".into(),
        alice.open(&format!("{PUBLIC}/cellar")),
    ));
    acts.push((
        "logout",
        Value::Null,
        alice.submit(&format!("{PUBLIC}/oauth2/sign_out"), PUBLIC, ""),
    ));
    let mut bob = world.browser();
    let callback = bob.reach_callback(&format!("{PUBLIC}/"), "bob");
    acts.push((
        "login_failed",
        "domain_denied".into(),
        bob.open(callback.as_str()),
    ));
    world.provider.set_fault(Fault::IdToken(IdTokenFault::Claim(
        "nonce",
        Some(serde_json::json!("of another login")),
    )));
    let mut again = world.browser();
    let callback = again.reach_callback(&format!("{PUBLIC}/"), "alice");
    acts.push((
        "login_failed",
        "nonce_mismatch".into(),
        again.open(callback.as_str()),
    ));
    let lines = lines(&world);
    for (event, reason, answer) in acts {
        let reference = answer.field("x-request-id").unwrap();
        let told: Vec<_> = lines
            .iter()
            .filter(|line| line["event"] == event && line["reference"] == reference)
            .collect();
        let [line] = told.as_slice() else {
            panic!("{event}, {reason}: {told:?}");
        };
        assert_eq!(line["reason"], reason, "{line}");
        let is_about_somebody = line["user"].is_string();
        assert_eq!(is_about_somebody, reason != "nonce_mismatch", "{line}");
    }
    let acts = ["login", "login_failed", "logout", "deny"];
    let all = lines
        .iter()
        .filter(|line| acts.iter().any(|act| line["event"] == *act));
    assert_eq!(all.count(), 5);
}

// T3: addresses are written without their query, and people as hashes.
#[test]
fn no_query_and_no_name_of_a_person_is_written() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    drop(browser.open(&format!("{PUBLIC}/page?secret=hush-hush#x")));
    drop(browser.open(&format!("{PUBLIC}/oauth2/start?return_to=%2Fhush-hush")));
    let lines = lines(&world);
    let login = lines.iter().find(|line| line["event"] == "login").unwrap();
    assert!(login["user"].is_string() && login["session"].is_string());
    for line in &lines {
        let text = line.to_string();
        for hidden in ["hush-hush", "u-alice", "alice@example.com", "Alice"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    assert!(lines.iter().any(|line| line["path"] == "/page"));
}

// T5: each error has a reference, which stands in the answer, in its field and in the log.
#[test]
fn the_reference_of_each_error_page_finds_its_line() {
    let world = World::with(
        "routes: [{ match: { path: /admin/** }, access: { groups: [nobody] } }, { match: { path: /in/** }, access: signed_in }]",
    );
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/in/"));
    assert_eq!(browser.sign_in(&form, "alice").answer.status, 200);
    let mut told = Vec::new();
    for (path, status, code) in [
        ("/admin/x", 403, "group_denied"),
        ("/elsewhere", 404, "no_route"),
        (
            "/oauth2/callback?state=x&code=y&code=z",
            400,
            "callback_malformed",
        ),
        ("/oauth2/start?provider=nobody", 404, "unknown_provider"),
    ] {
        let url = format!("{PUBLIC}{path}");
        let page = browser.open(&url);
        assert_eq!(page.status, status, "{path}: {}", page.text());
        assert!(page.field("content-type").unwrap().starts_with("text/html"));
        let reference = page.field("x-request-id").unwrap().to_owned();
        assert!(page.text().contains(&reference), "{path}");
        assert!(page.text().contains(code), "{path}");
        told.push((reference, code, status));
        let json = browser.fetch("GET", &url, "Accept: application/json\r\n");
        let body = json.json();
        assert_eq!(body["reference"], *json.field("x-request-id").unwrap());
        assert_eq!(u64::from(json.status), body["status"].as_u64().unwrap());
        told.push((
            body["reference"].as_str().unwrap().to_owned(),
            "",
            json.status,
        ));
    }
    let lines = lines(&world);
    for (reference, code, status) in told {
        let found: Vec<_> = lines
            .iter()
            .filter(|line| line["event"] == "access" && line["reference"] == *reference)
            .collect();
        assert_eq!(found.len(), 1, "{reference}");
        assert_eq!(found[0]["status"], status);
        if !code.is_empty() {
            assert_eq!(found[0]["reason"], code);
        }
    }
}

// T5: whatever stands in a request or comes from the provider is text on a page, never markup.
#[test]
fn pages_show_what_others_said_as_text() {
    let world = World::with("routes: [{ access: { groups: [nobody] } }]");
    let markup = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    for name in ["name", "preferred_username", "email"] {
        world
            .provider
            .add_fault(Fault::Claim(name, Some(markup.into())));
    }
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/%3Cscript%3Ealert(1)%3C/script%3E"));
    let denied = browser.sign_in(&form, "alice");
    assert_eq!(denied.answer.status, 403);
    let who = browser.open(&format!("{PUBLIC}/oauth2/userinfo"));
    let back = url::form_urlencoded::byte_serialize(markup.as_bytes()).collect::<String>();
    let chosen = browser.open(&format!("{PUBLIC}/oauth2/sign_in?return_to=%2F{back}"));
    for page in [&denied.answer, &who, &chosen] {
        let text = page.text();
        assert!(
            !text.contains("<script") && !text.contains("<img"),
            "{text}"
        );
    }
    assert!(who.text().contains("&lt;script&gt;"), "{}", who.text());
}
