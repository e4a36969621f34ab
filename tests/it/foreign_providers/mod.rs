//! The same story at every provider, our own and those that others wrote: whatever a step demands
//! of one of them it demands of all. `docs/PROVIDERS.md` has the table.

mod gates;
mod refresh_tokens;
mod renewal;
mod several;
mod unusual;

use serde_json::{Value, json};

use crate::support::browser::{Browser, Page};
use crate::support::foreign::{Abroad, Make, SomeProvider};
use crate::support::instance::PUBLIC;

/// What every gate of these stories asks for and whom it lets where.
const SCOPES: &str =
    "    scopes: [openid, profile, email, groups]\n    admit: { groups: [admins, dev, ops] }\n";
const ROUTES: &str = "routes:\n  - { match: { path: /admin/** }, access: { groups: [admins] } }\n  - { access: signed_in }\n";
/// A page with everything in its address that redirects like to spoil.
const DEEP: &str =
    "/graph?g0.expr=up%7Ba%3D%22b%22%7D&next=https%3A%2F%2Fexample.test%2F%3Fa%3Db&x=%20";

/// One provider's story: what a step leaves behind is there for the next.
struct Story {
    world: Abroad,
    alice: Browser,
    /// What the provider called her at the first login.
    subject: String,
}

type Step = fn(&mut Story);

/// The story, in its order. Each step holds at every provider.
const STEPS: &[Step] = &[
    login,
    identity,
    denied,
    not_admitted,
    groups_change,
    sign_out,
    signed_out_at_the_provider,
];

fn told(make: Make, more: &Value) {
    let world = Abroad::start(SomeProvider::start(make, more), SCOPES, ROUTES);
    let alice = world.browser();
    let mut story = Story {
        world,
        alice,
        subject: String::new(),
    };
    for step in STEPS {
        step(&mut story);
    }
}

#[test]
fn the_story_holds_at_the_embedded_provider() {
    told(Make::Embedded, &Value::Null);
}

#[test]
fn the_story_holds_at_oidc_provider() {
    told(Make::OidcProvider, &Value::Null);
}

#[test]
fn the_story_holds_at_oidc_provider_where_userinfo_says_everything() {
    told(Make::OidcProvider, &json!({ "CLAIMS": "userinfo" }));
}

#[test]
fn the_story_holds_at_authlib() {
    told(Make::Authlib, &Value::Null);
}

#[test]
fn the_story_holds_at_authlib_under_an_issuer_that_ends_with_a_slash() {
    told(Make::Authlib, &json!({ "path": "/tenants/one/" }));
}

#[test]
fn the_story_holds_at_glewlwyd() {
    told(Make::Glewlwyd, &Value::Null);
}

#[test]
fn the_story_holds_at_glewlwyd_under_an_issuer_that_ends_with_a_slash() {
    told(Make::Glewlwyd, &json!({ "trailing_slash": true }));
}

// ------------------------------------------------------------------------------- steps

fn login(story: &mut Story) {
    let Story { world, alice, .. } = story;
    let deep = format!("{PUBLIC}{DEEP}");
    let form = world.provider.visit(alice, &deep);
    assert!(world.app.arrived().is_empty(), "nothing before the login");
    let page = world.provider.sign_in(alice, &form, "alice");
    assert_eq!(page.url.as_str(), deep);
    assert_through(world, &page);
    assert!(
        world
            .app
            .last()
            .request_line()
            .contains(&format!("{DEEP} "))
    );
    assert_eq!(world.provider.token_calls("authorization_code"), 1);
}

fn identity(story: &mut Story) {
    let (provider, last) = (&story.world.provider, story.world.app.last());
    let [subject] = <[String; 1]>::try_from(last.fields("X-Forwarded-User")).unwrap();
    match provider.subject("alice") {
        Some(known) => assert_eq!(subject, known),
        None => assert!(
            subject.len() > 20 && !subject.contains("alice"),
            "{subject}"
        ),
    }
    story.subject = subject;
    assert_eq!(
        last.fields("X-Forwarded-Email"),
        [provider.address_of("alice")]
    );
    assert_eq!(last.fields("X-Forwarded-Groups"), ["admins,dev"]);
    assert_eq!(last.fields("X-Forwarded-Preferred-Username"), ["alice"]);
    let page = story
        .world
        .provider
        .visit(&mut story.alice, &format!("{PUBLIC}/admin/x"));
    assert_through(&story.world, &page);
}

fn denied(story: &mut Story) {
    let world = &story.world;
    let mut bob = world.browser();
    let form = world.provider.visit(&mut bob, &format!("{PUBLIC}/admin/x"));
    world.app.forget();
    let page = world.provider.sign_in(&mut bob, &form, "bob");
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(world.app.arrived().is_empty());
    let page = world.provider.visit(&mut bob, &format!("{PUBLIC}/open"));
    assert_through(world, &page);
    assert_ne!(
        world.app.last().fields("X-Forwarded-User"),
        [story.subject.as_str()]
    );
}

fn not_admitted(story: &mut Story) {
    let world = &story.world;
    let mut carol = world.browser();
    let form = world.provider.visit(&mut carol, &format!("{PUBLIC}/open"));
    world.app.forget();
    let page = world.provider.sign_in(&mut carol, &form, "carol");
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(world.app.arrived().is_empty());
    let sessions = carol.names("gate.test");
    assert!(sessions.is_empty(), "no session is left: {sessions:?}");
}

fn groups_change(story: &mut Story) {
    let world = &story.world;
    world.provider.set_groups("alice", &["ops"]);
    let mut anew = world.browser();
    let form = world.provider.visit(&mut anew, &format!("{PUBLIC}/open"));
    let page = world.provider.sign_in(&mut anew, &form, "alice");
    assert_through(world, &page);
    let last = world.app.last();
    assert_eq!(last.fields("X-Forwarded-Groups"), ["ops"]);
    assert_eq!(last.fields("X-Forwarded-User"), [story.subject.as_str()]);
    world.app.forget();
    let page = world
        .provider
        .visit(&mut anew, &format!("{PUBLIC}/admin/x"));
    assert_eq!(page.answer.status, 403, "no admin any more");
    assert!(world.app.arrived().is_empty());
}

fn sign_out(story: &mut Story) {
    let Story { world, alice, .. } = story;
    let out = format!("{PUBLIC}/oauth2/sign_out");
    let answer = alice.submit(&out, &format!("{PUBLIC}/"), "");
    let page = alice.follow(&out, answer);
    let page = world.provider.sign_out(alice, page);
    assert!(
        page.url.as_str().starts_with(&out),
        "back at the gate: {}",
        page.url
    );
    assert_eq!(page.answer.status, 200);
    assert!(
        page.answer.text().contains("You are signed out"),
        "{}",
        page.answer.text()
    );
    world.app.forget();
    let form = world.provider.visit(alice, &format!("{PUBLIC}{DEEP}"));
    assert!(
        world.provider.asks(&form),
        "the provider forgot her too: {}",
        form.url
    );
    assert!(world.app.arrived().is_empty());
}

/// As long as the provider knows somebody, a gate that does not gets its answer without a question;
/// once it does not any more, a person has to sign in.
fn signed_out_at_the_provider(story: &mut Story) {
    let Story { world, alice, .. } = story;
    let deep = format!("{PUBLIC}{DEEP}");
    let form = world.provider.visit(alice, &deep);
    let page = world.provider.sign_in(alice, &form, "alice");
    assert_through(world, &page);
    let forget_gate = |browser: &mut Browser| browser.jar.retain(|one| one.host != "gate.test");
    forget_gate(alice);
    let page = world.provider.visit(alice, &deep);
    assert_through(world, &page);
    world.provider.revoke("alice");
    forget_gate(alice);
    world.app.forget();
    let form = world.provider.visit(alice, &deep);
    assert!(world.provider.asks(&form), "a login again: {}", form.url);
    assert!(world.app.arrived().is_empty());
}

fn assert_through(world: &Abroad, page: &Page) {
    let text = page.answer.text();
    assert_eq!(
        page.answer.status,
        200,
        "{}: {text}\n{}",
        page.url,
        world.gate.log()
    );
    assert_eq!(
        page.answer.field("x-app"),
        Some("marker-of-the-app"),
        "{}: {text}",
        page.url
    );
}
