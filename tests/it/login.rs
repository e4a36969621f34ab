//! A login lands where it started, and the app knows who it is.

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
