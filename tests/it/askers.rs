//! Who gets what without a session: people are sent to sign in, everybody else is told, in a form
//! that they can read, and nobody but a person gets a cookie.

use crate::support::instance::{PUBLIC, World};
use crate::support::raw::Answer;

const CHROME: &str =
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n";
const ANY: &str = "Accept: */*\r\n";

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// To the provider, with the cookie of a login.
    Redirect,
    /// 401 as a page with a link to sign in.
    Page,
    /// 401 as a problem document.
    Problem,
}

fn fetch_metadata(mode: &str, dest: &str) -> String {
    format!("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n")
}

fn asked(world: &World, method: &str, fields: &str) -> Answer {
    let url = format!("{PUBLIC}/board?q=1");
    world.browser().request(method, &url, fields, b"")
}

/// The table: what it is, method, fields, and what it gets.
#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<(&'static str, &'static str, String, Wanted)> {
    let of = |mode: &str, dest: &str, more: &str| fetch_metadata(mode, dest) + more;
    vec![
        (
            "a navigation",
            "GET",
            of("navigate", "document", CHROME),
            Wanted::Redirect,
        ),
        (
            "a navigation on plain http",
            "GET",
            CHROME.to_owned(),
            Wanted::Redirect,
        ),
        (
            "a script call on plain http",
            "GET",
            format!("{CHROME}X-Requested-With: XMLHttpRequest\r\n"),
            Wanted::Problem,
        ),
        (
            "a prefetch",
            "GET",
            of("navigate", "document", CHROME) + "Sec-Purpose: prefetch\r\n",
            Wanted::Page,
        ),
        (
            "a prerender",
            "GET",
            of("navigate", "document", CHROME) + "Sec-Purpose: prefetch;prerender\r\n",
            Wanted::Page,
        ),
        (
            "a prefetch of an old browser",
            "GET",
            of("no-cors", "empty", ANY) + "Purpose: prefetch\r\n",
            Wanted::Problem,
        ),
        (
            "a navigation that a service worker made anew",
            "GET",
            of("same-origin", "document", CHROME),
            Wanted::Page,
        ),
        (
            "the same with an empty destination",
            "GET",
            of("cors", "empty", CHROME),
            Wanted::Page,
        ),
        (
            "a service worker's own script",
            "GET",
            of("same-origin", "serviceworker", ANY) + "Service-Worker: script\r\n",
            Wanted::Problem,
        ),
        (
            "a worker's script",
            "GET",
            of("same-origin", "worker", ANY),
            Wanted::Problem,
        ),
        (
            "a frame",
            "GET",
            of("navigate", "iframe", CHROME),
            Wanted::Page,
        ),
        (
            "an embedded object",
            "GET",
            of("navigate", "object", CHROME),
            Wanted::Page,
        ),
        ("a fetch", "GET", of("cors", "empty", ANY), Wanted::Problem),
        (
            "an image",
            "GET",
            of(
                "no-cors",
                "image",
                "Accept: image/avif,image/webp,*/*;q=0.8\r\n",
            ),
            Wanted::Problem,
        ),
        (
            "a script",
            "GET",
            of("no-cors", "script", ANY),
            Wanted::Problem,
        ),
        (
            "a style sheet",
            "GET",
            of("no-cors", "style", "Accept: text/css,*/*;q=0.1\r\n"),
            Wanted::Problem,
        ),
        (
            "an event stream",
            "GET",
            of("cors", "empty", "Accept: text/event-stream\r\n"),
            Wanted::Problem,
        ),
        (
            "a web manifest",
            "GET",
            of("cors", "manifest", ANY),
            Wanted::Problem,
        ),
        (
            "a handshake",
            "GET",
            of(
                "websocket",
                "empty",
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: https://gate.test\r\n",
            ),
            Wanted::Problem,
        ),
        (
            "a form",
            "POST",
            of("navigate", "document", CHROME),
            Wanted::Page,
        ),
        (
            "a fetch that writes",
            "PUT",
            of("cors", "empty", ANY),
            Wanted::Problem,
        ),
        (
            "a program",
            "GET",
            "Accept: application/json\r\n".to_owned(),
            Wanted::Problem,
        ),
        (
            "a program that says nothing",
            "GET",
            String::new(),
            Wanted::Problem,
        ),
        (
            "somebody at a terminal",
            "GET",
            format!("{ANY}User-Agent: curl/8.5.0\r\n"),
            Wanted::Problem,
        ),
    ]
}

// P1: nothing of it may be kept.
#[test]
fn people_are_sent_to_sign_in_and_everybody_else_is_told() {
    let world = World::start();
    for (what, method, fields, wanted) in rows() {
        let answer = asked(&world, method, &fields);
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{what}");
        if wanted == Wanted::Redirect {
            assert_eq!(answer.status, 302, "{what}");
            assert!(
                answer.location().starts_with(world.provider.issuer()),
                "{what}"
            );
            assert_eq!(answer.all("set-cookie").count(), 1, "{what}");
            continue;
        }
        assert_eq!(answer.status, 401, "{what}");
        assert_eq!(answer.all("set-cookie").count(), 0, "{what}");
        assert!(answer.field("location").is_none(), "{what}");
        let challenge = answer.field("www-authenticate").unwrap_or_default();
        assert!(
            challenge.starts_with("Sidegate login=\"https://gate.test/oauth2/start"),
            "{what}: {challenge}"
        );
        match wanted {
            Wanted::Page => {
                assert_eq!(
                    answer.field("content-type"),
                    Some("text/html; charset=utf-8"),
                    "{what}"
                );
                assert_eq!(answer.field("x-frame-options"), Some("DENY"), "{what}");
                let body = answer.text().replace("&#x2f;", "/");
                assert!(
                    body.contains("href=\"https://gate.test/oauth2/start"),
                    "{what}: {body}"
                );
            }
            _ => {
                assert_eq!(
                    answer.field("content-type"),
                    Some("application/problem+json"),
                    "{what}"
                );
                let login = answer.json()["login_url"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                assert!(
                    login.starts_with("https://gate.test/oauth2/start"),
                    "{what}: {login}"
                );
            }
        }
    }
    assert!(world.app.arrived().is_empty());
    let known = world
        .provider
        .hits_of(sidegate::demo::provider::Endpoint::Authorize);
    assert!(
        known.is_empty(),
        "nobody but a person's browser goes to the provider"
    );
}

#[test]
fn a_grpc_call_is_refused_by_its_own_protocol() {
    let world = World::start();
    let fields = "Content-Type: application/grpc\r\nTE: trailers\r\n";
    let answer = asked(&world, "POST", fields);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("grpc-status"), Some("16"));
    assert!(answer.body.is_empty() && answer.all("set-cookie").count() == 0);
}

#[test]
fn a_frame_is_shown_where_the_operator_allows_it_and_leads_to_a_tab_of_its_own() {
    let more = "login: { embed_origins: [\"https://portal.test\"] }";
    let world = World::with(more);
    let frame = fetch_metadata("navigate", "iframe") + CHROME;
    let answer = asked(&world, "GET", &frame);
    assert_eq!(answer.status, 401);
    let policy = answer.field("content-security-policy").unwrap_or_default();
    assert!(
        policy.ends_with("frame-ancestors https://portal.test"),
        "{policy}"
    );
    assert_eq!(answer.field("x-frame-options"), None);
    let body = answer.text();
    assert!(
        body.contains("target=\"_blank\" rel=\"noopener noreferrer\""),
        "{body}"
    );
    assert!(
        !body.contains("<form"),
        "nothing in a frame can be done by one click"
    );
    // Nothing else of ours is shown in a frame, not even by those.
    for (path, dest) in [
        ("/oauth2/sign_out", "iframe"),
        ("/oauth2/userinfo", "iframe"),
        ("/board", "document"),
    ] {
        let fields = fetch_metadata("navigate", dest) + CHROME;
        let mut alice = world.signed_in("alice");
        let signed_in = alice.request("GET", &format!("{PUBLIC}{path}"), &fields, b"");
        if path == "/board" {
            continue; // the app's own answer
        }
        assert_eq!(signed_in.field("x-frame-options"), Some("DENY"), "{path}");
        let policy = signed_in
            .field("content-security-policy")
            .unwrap_or_default();
        assert!(
            policy.ends_with("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
    }
}

#[test]
fn who_is_signed_in_but_not_admitted_is_told_in_the_form_that_fits() {
    let world = World::with(
        "routes:\n  - { match: { path: /cellar }, access: { groups: [cooks] } }\n  - { access: signed_in }",
    );
    let mut alice = world.signed_in("alice");
    let url = format!("{PUBLIC}/cellar");
    let person = alice.open(&url);
    assert_eq!(person.status, 403);
    assert!(person.text().contains("alice@example.com"));
    assert!(
        person.text().contains("switch"),
        "and how to be somebody else"
    );
    let program = alice.fetch("GET", &url, "");
    assert_eq!(program.status, 403);
    assert_eq!(
        program.field("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(program.json()["code"], "group_denied");
    let terminal = alice.request("GET", &url, "Accept: text/plain\r\n", b"");
    assert_eq!(terminal.status, 403);
    assert_eq!(
        terminal.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(terminal.text().contains("Code: group_denied"));
    for answer in [person, program, terminal] {
        assert!(!answer.text().contains("cooks"), "no rule is shown");
    }
}
