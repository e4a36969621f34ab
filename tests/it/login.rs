//! A login lands where it started, and the app knows who it is.

use crate::support::browser::Cookies;
use crate::support::instance::{PUBLIC, World};

#[test]
fn a_person_signs_in_and_lands_on_the_very_page_that_was_asked_for() {
    let world = World::start();
    let mut browser = world.browser();
    let deep = format!(
        "{PUBLIC}/graph?g0.expr=up%7Ba%3D%22b%22%7D&next=https%3A%2F%2Fexample.test%2F%3Fa%3Db&x=%20"
    );
    let form = browser.visit(&deep);
    assert!(
        form.url.as_str().starts_with(world.provider.issuer()),
        "{}",
        form.url
    );
    assert!(
        world.app.arrived().is_empty(),
        "nothing reaches the app before the login"
    );
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.url.as_str(), deep);
    assert_eq!(page.answer.status, 200);
    let request = world.app.last();
    assert!(request.request_line().contains(
        "/graph?g0.expr=up%7Ba%3D%22b%22%7D&next=https%3A%2F%2Fexample.test%2F%3Fa%3Db&x=%20 "
    ));
    assert_eq!(request.fields("X-Forwarded-User"), ["u-alice"]);
    assert_eq!(request.fields("X-Forwarded-Email"), ["alice@example.com"]);
    assert_eq!(request.fields("X-Forwarded-Groups"), ["admins,dev"]);
    assert_eq!(request.fields("X-Forwarded-Preferred-Username"), ["alice"]);
    assert_eq!(request.fields("X-Forwarded-Proto"), ["https"]);
    assert_eq!(request.fields("X-Forwarded-Host"), ["gate.test"]);
    assert_eq!(request.fields("X-Forwarded-Port"), ["443"]);
    assert_eq!(request.fields("X-Forwarded-For"), ["127.0.0.1"]);
}

// A14: tabs do not disturb each other: each login lands on its own page, in whatever order.
#[test]
fn eight_tabs_finish_in_any_order_each_on_its_own_page() {
    let world = World::start();
    let mut browser = world.browser();
    let urls: Vec<String> = (0..8)
        .map(|tab| format!("{PUBLIC}/tab/{tab}?q={tab}"))
        .collect();
    let forms: Vec<_> = urls.iter().map(|url| browser.visit(url)).collect();
    for tab in [3, 7, 0, 5, 1, 6, 2, 4] {
        let page = browser.sign_in(&forms[tab], "alice");
        assert_eq!(page.url.as_str(), urls[tab]);
        assert_eq!(page.answer.status, 200);
    }
}

// A5, A13: a login whose cookie is lost begins anew, once, and still lands on its page.
#[test]
fn a_login_whose_cookie_is_lost_begins_anew_once() {
    let world = World::start();
    let mut browser = world.browser();
    let deep = format!("{PUBLIC}/deep?q=1");
    let form = browser.visit(&deep);
    browser.jar.retain(|cookie| cookie.host != "gate.test");
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.url.as_str(), deep, "the provider knows alice already");
    assert_eq!(page.answer.status, 200);
    assert_eq!(
        world
            .provider
            .hits_of(sidegate::demo::provider::Endpoint::Token)
            .len(),
        1
    );
}

// A20: a browser that keeps no cookie at all gets a page, not a loop.
#[test]
fn a_browser_that_keeps_no_cookie_gets_a_page() {
    let world = World::start();
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/deep"));
    browser.jar.retain(|cookie| cookie.host != "gate.test");
    browser.refuse_from("gate.test");
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.answer.status, 400, "{}", page.url);
    assert!(page.answer.text().contains("cookie"));
    assert!(
        world
            .provider
            .hits_of(sidegate::demo::provider::Endpoint::Token)
            .is_empty()
    );
}

// A20: a browser that keeps the login's cookies and never the session's gets a page after three.
#[test]
fn a_browser_that_never_keeps_the_session_gets_a_page() {
    let world = World::start();
    let mut browser = world.browser();
    browser.cookies = Cookies::OnlyLogins;
    let form = browser.visit(&format!("{PUBLIC}/deep"));
    browser.cookies = Cookies::Kept;
    // The provider's own session must be kept: only then do logins go round by themselves.
    let answer = browser.submit_form(&form, &[("username", "alice"), ("password", "sidegate")]);
    browser.cookies = Cookies::OnlyLogins;
    let page = browser.follow(form.url.as_str(), answer);
    assert_eq!(page.answer.status, 400, "{}", page.url);
    assert!(page.answer.text().contains("cookie"));
    let codes = world
        .provider
        .hits_of(sidegate::demo::provider::Endpoint::Token)
        .len();
    assert_eq!(codes, 3, "three bounces and no more");
    assert!(world.app.arrived().is_empty());
}
