//! What an attack once found, held shut.

use crate::support::instance::{Instance, PUBLIC, World, yaml};
use crate::support::raw::{exchange, try_exchange};
use crate::support::upstream::Upstream;

// G1: a form of another site comes without the cookie, and our answer must not end the session that
// it did not show.
#[test]
fn a_form_of_another_site_that_comes_without_the_cookie_ends_nothing() {
    let world = World::start();
    let request = "POST /oauth2/sign_out HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = exchange(world.gate.address, request);
    assert_eq!(answer.all("set-cookie").count(), 0, "{answer:?}");
    assert!(answer.text().contains("<form"), "it asks instead");
}

// H1: no reading of a place to return to is an endpoint of ours, and a page that only begins like
// one is a page.
#[test]
fn a_place_to_return_to_is_never_an_endpoint_of_ours() {
    let world = World::start();
    let alice = world.signed_in("alice");
    for place in [
        "/./oauth2/sign_out",
        "/a/../oauth2/sign_out",
        "/%2e/oauth2/sign_out",
        "/oauth2/start",
    ] {
        let mut browser = alice.clone();
        let page = browser.open(&format!(
            "{PUBLIC}/oauth2/sign_in?return_to={}",
            place.replace('%', "%25")
        ));
        assert!(
            !page.text().contains("oauth2&#x2f;sign_out\"")
                && !page.text().contains("/oauth2/sign_out\""),
            "{place}: {}",
            page.text()
        );
    }
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/oauth2-docs/page"));
    assert_eq!(
        browser.sign_in(&form, "alice").url.path(),
        "/oauth2-docs/page"
    );
}

// I10: a method with small letters is none: an app that makes it upper case would see another one
// than the rules saw.
#[test]
fn a_method_in_small_letters_passes_no_rule() {
    let world = World::with(
        "routes:\n  - { match: { path: /admin/**, methods: [POST] }, access: { groups: [nobody] } }\n  - { access: public }",
    );
    for method in ["post", "Post", "pOST"] {
        let request = format!(
            "{method} /admin/x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = try_exchange(world.gate.address, request);
        assert!(answer.is_none_or(|answer| answer.status >= 400), "{method}");
    }
    assert!(world.app.arrived().is_empty());
}

// E11-like: what a reload tightens holds for sessions that are there.
#[test]
fn a_reload_that_admits_fewer_people_ends_the_sessions_of_the_others() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let same = yaml(world.provider.issuer(), &world.app.url(), "");
    world.gate.reload(&same).unwrap();
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        200
    );
    let tightened = same.replace(
        "    client_id: dashboards\n",
        "    client_id: dashboards\n    admit: { emails: [nobody@example.net] }\n",
    );
    world.gate.reload(&tightened).unwrap();
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        401
    );
    let elsewhere = same.replace(world.provider.issuer(), "http://127.0.0.1:9/other");
    world.gate.reload(&elsewhere).unwrap();
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        401
    );
    world.gate.reload(&same).unwrap();
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        200,
        "nothing was lost"
    );
}

// F6: keys that are kept nowhere live as long as the process: a reload signs nobody out.
#[test]
fn a_reload_signs_nobody_out_where_keys_are_ephemeral() {
    let provider = crate::support::provider::TestProvider::start();
    crate::support::instance::register(&provider, "dashboards", "/oauth2/callback");
    let app = Upstream::start();
    let text = yaml(provider.issuer(), &app.url(), "");
    let keys = format!(
        "{{ keys: [{{ file: {} }}] }}",
        crate::support::instance::key_file()
    );
    let text = text.replace(&keys, "{ keys: ephemeral }");
    assert!(text.contains("ephemeral"));
    let gate = Instance::start(&text, provider.clock());
    let world = World {
        provider,
        app,
        gate,
    };
    world.await_provider();
    let mut alice = world.signed_in("alice");
    world.gate.reload(&text).unwrap();
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        200
    );
}

// V10, P2: a session's cookie rides on no answer that a shared cache may keep, and an answer to
// somebody who is signed in is private unless the app says otherwise.
#[test]
fn no_session_rides_on_an_answer_that_may_be_shared() {
    for policy in [
        "",
        "no-cache",
        "max-age=60",
        "must-revalidate",
        "public, max-age=60",
        "s-maxage=60",
        "private=\"x\", s-maxage=60",
        "private=\"set-cookie\"",
    ] {
        let field = if policy.is_empty() {
            String::new()
        } else {
            format!("Cache-Control: {policy}\r\n")
        };
        let app = Upstream::answering(move |_| {
            format!("HTTP/1.1 200 OK\r\n{field}Content-Length: 0\r\n\r\n").into_bytes()
        });
        let world = World::before(app, "");
        let mut alice = world.signed_in("alice");
        world
            .gate
            .clock
            .advance(std::time::Duration::from_secs(4 * 3600));
        let answer = alice.open(&format!("{PUBLIC}/page"));
        assert!(answer.field("set-cookie").is_some(), "{policy}");
        let says: Vec<_> = answer.all("cache-control").collect();
        let says: Vec<_> = says.iter().flat_map(|line| line.split(", ")).collect();
        assert!(says.contains(&"private"), "{policy}: {says:?}");
        for word in ["public", "s-maxage=60", "private=\"set-cookie\""] {
            assert!(!says.contains(&word), "{policy}: {says:?}");
        }
    }
}

// I1: no spelling of our own prefix reaches the app.
#[test]
fn no_spelling_of_our_prefix_reaches_the_app() {
    let world = World::with("routes: [{ access: public }]");
    for target in [
        "//oauth2/userinfo",
        "/%6fauth2/start",
        "/x/../oauth2/start",
        "/OAUTH2/start",
        "/oauth2;a/start",
        "/oauth2/nothing",
    ] {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
        assert_eq!(
            exchange(world.gate.address, request).status,
            404,
            "{target}"
        );
    }
    assert!(world.app.arrived().is_empty());
}

// L12: an answer with two framings has one length: what was sent.
#[test]
fn an_answer_with_two_framings_is_not_cut_short() {
    let app = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\na\r\nHELLOWORLD\r\n0\r\n\r\n".to_vec()
    });
    let world = World::before(app, "routes: [{ access: public }]");
    let answer = exchange(
        world.gate.address,
        "GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n",
    );
    assert!(
        answer.status == 502 || answer.text() == "HELLOWORLD",
        "{answer:?}"
    );
}
