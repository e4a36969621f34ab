//! With `login.keep_fragment` a login leads back to the very fragment of the page that was wanted.

use url::form_urlencoded::byte_serialize;

use crate::support::instance::{PUBLIC, World};

const KEPT: &str = "login: { keep_fragment: true }";

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// What the script of the page makes of its link for a page that was opened with `hash`.
fn with_hash(html: &str, hash: &str) -> String {
    let link = html.split("id=\"go\" href=\"").nth(1).expect("the link");
    let href = link.split('"').next().unwrap_or_default();
    href.replace("&#x2f;", "/").replace("&amp;", "&") + &encoded(hash)
}

// A22: one script, allowed by its hash, on this page alone.
#[test]
fn a_login_leads_back_to_the_fragment() {
    let world = World::with(KEPT);
    let mut browser = world.browser();
    let page = browser.open(&format!("{PUBLIC}/board/7?from=a%26b&to=c"));
    assert_eq!(page.status, 401);
    assert_eq!(page.all("set-cookie").count(), 0, "nothing has begun yet");
    let policy = page
        .field("content-security-policy")
        .unwrap_or_default()
        .to_owned();
    assert!(
        policy.contains("script-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    let start = with_hash(&page.text(), "#panel=3&x={1}");
    let form = browser.visit(&start);
    assert!(
        form.url.as_str().starts_with(world.provider.issuer()),
        "{}",
        form.url
    );
    let landed = browser.sign_in(&form, "alice");
    assert_eq!(
        landed.url.as_str(),
        "https://gate.test/board/7?from=a%26b&to=c#panel=3&x={1}"
    );
    assert_eq!(landed.answer.status, 200);
    let line = world.app.last().request_line();
    assert!(line.starts_with("GET /board/7?from=a%26b&to=c "), "{line}");
    // Neither the way back nor the fragment is anybody's business who reads the log.
    assert!(!world.gate.log().contains("panel"));
    let other = browser.open(&format!("{PUBLIC}/oauth2/userinfo"));
    let policy = other.field("content-security-policy").unwrap_or_default();
    assert!(!policy.contains("script"), "{policy}");
}

// H1: a fragment is the end of a place on this site and brings nobody elsewhere.
#[test]
fn no_fragment_leads_elsewhere() {
    let world = World::with(KEPT);
    for (return_to, wanted) in [
        ("/a#b", "/a#b"),
        ("/a#//evil.test", "/a#//evil.test"),
        ("/a#b#c", "/a#b#c"),
        ("/a#b\r\nSet-Cookie: x=y", "/a"),
        ("/a#b c", "/a"),
        ("/a#\\evil", "/a"),
        ("/a#", "/a"),
        ("//evil.test#a", "/"),
        ("https://evil.test/#a", "/"),
        ("https://gate.test#@evil.test", "/#@evil.test"),
        ("https://gate.test/x#y", "/x#y"),
        ("#a", "/"),
        ("/oauth2/sign_out#a", "/"),
        ("/%2f/evil.test#a", "/"),
    ] {
        let mut browser = world.browser();
        let form = browser.visit(&format!(
            "{PUBLIC}/oauth2/start?return_to={}",
            encoded(return_to)
        ));
        let answer = browser.submit_form(&form, &[("username", "alice"), ("password", "sidegate")]);
        let callback = form.url.join(answer.location()).unwrap();
        let answer = browser.open(callback.as_str());
        assert_eq!(answer.status, 303, "{return_to:?}");
        assert_eq!(answer.location(), wanted, "{return_to:?}");
    }
    let long = format!("/a#{}", "x".repeat(3000));
    let mut browser = world.browser();
    let form = browser.visit(&format!(
        "{PUBLIC}/oauth2/start?return_to={}",
        encoded(&long)
    ));
    assert_eq!(browser.sign_in(&form, "alice").url.path(), "/a");
}

#[test]
fn without_the_setting_a_person_is_sent_to_the_provider_at_once() {
    let world = World::start();
    let answer = world.browser().open(&format!("{PUBLIC}/board"));
    assert_eq!(answer.status, 302);
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/oauth2/start?return_to=/a%23b"));
    assert_eq!(
        browser.sign_in(&form, "alice").url.as_str(),
        "https://gate.test/"
    );
}

#[test]
fn only_people_get_the_page_that_keeps_a_fragment() {
    let world = World::with(KEPT);
    let answer = world.browser().fetch("GET", &format!("{PUBLIC}/api"), "");
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.field("content-type"),
        Some("application/problem+json")
    );
}
