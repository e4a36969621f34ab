//! Who somebody is comes from issuer and subject; rules believe only what the provider vouched for.

use serde_json::{Value, json};

use crate::support::browser::{Browser, Page};
use crate::support::instance::{PUBLIC, World};
use crate::support::provider::Fault;

/// Signs in while the provider says this of alice.
fn login(world: &World, faults: &[Fault]) -> (Browser, Page) {
    world.app.forget();
    world.provider.clear_faults();
    for fault in faults {
        world.provider.add_fault(fault.clone());
    }
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/"));
    let page = browser.sign_in(&form, "alice");
    world.provider.clear_faults();
    (browser, page)
}

fn claim(name: &'static str, value: impl Into<Value>) -> Fault {
    Fault::Claim(name, Some(value.into()))
}

/// Signed in, but the one route is not for this person; or not let in at all.
fn assert_denied(world: &World, faults: &[Fault], what: &str) {
    let (_, page) = login(world, faults);
    assert_eq!(page.answer.status, 403, "{what}: {}", page.answer.text());
    assert!(world.app.arrived().is_empty(), "{what} reached the app");
}

fn assert_admitted(world: &World, faults: &[Fault], what: &str) {
    let (_, page) = login(world, faults);
    assert_eq!(page.answer.status, 200, "{what}: {}", page.answer.text());
}

// C24: an e-mail address is an attribute: whoever has it is not who else has it.
#[test]
fn another_subject_with_the_same_address_is_another_person() {
    let world = World::with("routes: [{ access: { subjects: [u-alice] } }]");
    assert_admitted(&world, &[], "alice");
    let mallory = [
        claim("sub", "u-mallory"),
        claim("email", "alice@example.com"),
        claim("preferred_username", "u-alice"),
    ];
    assert_denied(&world, &mallory, "the same address");
    let world = World::start();
    let (_, page) = login(&world, &mallory);
    assert_eq!(page.answer.status, 200);
    assert_eq!(world.app.last().fields("X-Forwarded-User"), ["u-mallory"]);
}

/// Addresses that one reader or another takes for one of `ok.test`.
const AMBIGUOUS: &[&str] = &[
    "a@ok.test@evil.test",
    "a@evil.test@ok.test",
    "\"a@ok.test\"@evil.test",
    "a@ok.test.",
    " a@ok.test",
    "a@ok.test ",
    "a@ok.test\u{0}",
    "a@ok.test,b@evil.test",
    "b@evil.test,a@ok.test",
    "a\u{ff20}ok.test",
    "a@evil.test\r\nX: @ok.test",
    "a@xn--ok-test",
    "a@sub.ok.test",
    "a@notok.test",
    "@ok.test",
    "ok.test",
    "",
];

// C25: a whole domain means exactly that, for rules at the door and on routes alike.
#[test]
fn only_one_reading_of_an_address_in_the_domain_meets_a_rule() {
    let on_route = World::with("routes: [{ access: { emails: [\"@ok.test\"] } }]");
    let at_the_door = World::with_provider("    admit: { emails: [\"@ok.test\"] }", "");
    for world in [&on_route, &at_the_door] {
        for address in AMBIGUOUS {
            let told = [claim("email", *address), claim("email_verified", true)];
            assert_denied(world, &told, address);
        }
        let told = [claim("email", "a@ok.test"), claim("email_verified", true)];
        assert_admitted(world, &told, "the plain address");
        let told = [claim("email", "a@OK.test"), claim("email_verified", true)];
        assert_admitted(world, &told, "domains have no case");
    }
    let told = [claim("email", "a@elsewhere.test")];
    let (browser, page) = login(&at_the_door, &told);
    assert_eq!(page.answer.status, 403);
    let names = browser.names("gate.test");
    assert!(names.iter().all(|name| name.contains("-l-")), "{names:?}");
}

// C25: an address that nobody verified meets no rule.
#[test]
fn an_address_that_is_not_verified_meets_no_rule() {
    let world = World::with("routes: [{ access: { emails: [\"@ok.test\", alice@example.com] } }]");
    assert_admitted(&world, &[], "verified");
    for verified in [
        Some(json!(false)),
        Some(json!("true")),
        Some(json!(1)),
        Some(Value::Null),
        Some(json!([true])),
        None,
    ] {
        for address in ["a@ok.test", "alice@example.com"] {
            let told = [
                claim("email", address),
                Fault::Claim("email_verified", verified.clone()),
            ];
            assert_denied(&world, &told, &format!("{verified:?}"));
        }
    }
    assert_denied(&world, &[Fault::Claim("email", None)], "no address");
}

// C25, J2: apps take an address for the person, so one that anybody could have typed in is not told.
#[test]
fn an_address_that_is_not_verified_is_not_told_to_the_app() {
    let world = World::start();
    for (verified, told) in [
        (Some(json!(true)), vec!["alice@example.com".to_owned()]),
        (Some(json!(false)), Vec::new()),
        (None, Vec::new()),
    ] {
        let faults = [
            claim("email", "alice@example.com"),
            Fault::Claim("email_verified", verified.clone()),
        ];
        assert_admitted(&world, &faults, &format!("{verified:?}"));
        let arrived = world.app.last();
        assert_eq!(arrived.fields("x-forwarded-email"), told, "{verified:?}");
        assert_eq!(arrived.fields("x-forwarded-user").len(), 1);
    }
}

// C26: the claim in its usual forms; a name with the separator in it stays one name.
#[test]
fn groups_are_read_in_their_usual_forms_and_a_comma_joins_nobody_to_two() {
    let world = World::with("routes: [{ access: { groups: [admins] } }]");
    assert_admitted(&world, &[claim("groups", json!(["dev", "admins"]))], "list");
    assert_admitted(&world, &[claim("groups", "admins")], "one name");
    for (what, groups) in [
        ("another", json!(["dev"])),
        ("a comma in it", json!(["users,admins"])),
        ("percent-encoded", json!(["users%2Cadmins"])),
        ("blanks", json!("users admins")),
        ("other case", json!(["Admins"])),
        ("blank after it", json!(["admins "])),
        ("empty", json!([])),
        ("empty name", json!([""])),
    ] {
        assert_denied(&world, &[claim("groups", groups)], what);
    }
    let world = World::start();
    assert_admitted(
        &world,
        &[claim("groups", json!(["users,admins", "a%b"]))],
        "",
    );
    let told = world.app.last().fields("X-Forwarded-Groups");
    assert_eq!(told, ["users%2Cadmins,a%25b"]);
}

// C26: nonsense in place of names lets nobody in.
#[test]
fn groups_that_are_no_names_let_nobody_in() {
    let world = World::start();
    for groups in [
        json!([1]),
        json!([["admins"]]),
        json!(7),
        json!([{ "id": "admins" }]),
    ] {
        let (browser, page) = login(&world, &[claim("groups", groups.clone())]);
        assert!(page.answer.status >= 400, "{groups}");
        assert!(world.app.arrived().is_empty(), "{groups}");
        let names = browser.names("gate.test");
        assert!(names.iter().all(|name| name.contains("-l-")), "{names:?}");
    }
}

// C26: nested groups are found where the configuration says.
#[test]
fn groups_are_found_where_the_configuration_says() {
    let world = World::with_provider(
        "    claims: { groups: realm_access.roles }",
        "routes: [{ access: { groups: [admins] } }]",
    );
    let nested = claim("realm_access", json!({ "roles": ["admins"] }));
    assert_admitted(&world, &[nested], "nested");
    // The claim that the provider names otherwise counts for nothing here.
    assert_denied(&world, &[], "at the top");
}

// C26: too many groups to tell is not the same as none.
#[test]
fn groups_that_the_provider_left_out_meet_no_rule_about_groups() {
    let world = World::with("routes: [{ access: { groups: [admins] } }]");
    let (_, page) = login(&world, &[Fault::GroupOverage]);
    assert_eq!(page.answer.status, 403);
    assert!(page.answer.text().contains("groups_incomplete"));
    let told = [Fault::Claim("groups", None), claim("hasgroups", true)];
    assert_denied(&world, &told, "Entra's hint");
    assert!(world.app.arrived().is_empty());
}

// C27: a person may be called anything; the app sees one field, and nobody is turned away for it.
#[test]
fn any_name_reaches_the_app_in_one_field_of_printable_ascii() {
    for (name, told) in [
        ("M\u{fc}ller", "M%C3%BCller"),
        (
            "a\r\nX-Forwarded-User: root",
            "a%0D%0AX-Forwarded-User: root",
        ),
        ("a\u{0}b\u{7f}c\u{1b}", "a%00b%7Fc%1B"),
        ("100%", "100%25"),
    ] {
        let world = World::start();
        assert_admitted(&world, &[claim("preferred_username", name)], name);
        let last = world.app.last();
        assert_eq!(last.fields("X-Forwarded-Preferred-Username"), [told]);
        assert_eq!(last.fields("X-Forwarded-User"), ["u-alice"]);
        assert!(last.bytes.is_ascii());
    }
}
