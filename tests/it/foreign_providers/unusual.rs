//! What is unusual at some provider and legal all the same, and what is not.

use serde_json::{Value, json};

use super::{ROUTES, assert_through};
use crate::support::browser::Page;
use crate::support::foreign::{Abroad, Make, SomeProvider};
use crate::support::instance::{PUBLIC, SECRET};

/// Alice signs in at this provider, with these lines in its settings, and asks for the admins' page.
fn alice_at(make: Make, more: &Value, lines: &str) -> (Abroad, Page) {
    let world = Abroad::start(SomeProvider::start(make, more), lines, ROUTES);
    let page = alice_in(&world);
    (world, page)
}

fn alice_in(world: &Abroad) -> Page {
    let mut alice = world.browser();
    let form = world
        .provider
        .visit(&mut alice, &format!("{PUBLIC}/admin/x"));
    world.provider.sign_in(&mut alice, &form, "alice")
}

fn assert_admin(world: &Abroad, page: &Page) {
    assert_through(world, page);
    let last = world.app.last();
    assert_eq!(last.fields("X-Forwarded-Groups"), ["admins,dev"]);
}

/// The algorithm of the key that the ID token was signed with, as a provider's own name for it.
fn signed_with(make: Make, algorithm: &str) {
    let more = match make {
        Make::OidcProvider => json!({ "ALG": algorithm }),
        _ => json!({ "alg": algorithm }),
    };
    let (world, page) = alice_at(make, &more, ASKED);
    assert_admin(&world, &page);
}

/// The scopes alone.
const ASKED: &str = "    scopes: [openid, profile, email, groups]\n";

#[test]
fn id_tokens_signed_with_es256_are_read() {
    signed_with(Make::OidcProvider, "ES256");
    signed_with(Make::Authlib, "ES256");
    signed_with(Make::Glewlwyd, "ES256");
}

#[test]
fn id_tokens_signed_with_ps256_are_read() {
    signed_with(Make::OidcProvider, "PS256");
    signed_with(Make::Authlib, "PS256");
    signed_with(Make::Glewlwyd, "PS256");
}

#[test]
fn id_tokens_signed_with_eddsa_are_read() {
    signed_with(Make::OidcProvider, "EdDSA");
    signed_with(Make::Authlib, "EdDSA");
    signed_with(Make::Glewlwyd, "EdDSA");
}

// C1, RFC 9864 section 2.2: what the curve is stands in the name.
#[test]
fn id_tokens_signed_with_the_fully_named_ed25519_are_read() {
    signed_with(Make::OidcProvider, "Ed25519");
}

#[test]
fn a_secret_goes_into_the_form_where_it_is_wanted_there() {
    let lines = format!("{ASKED}    token_endpoint_auth_method: client_secret_post\n");
    for make in [Make::Authlib, Make::Glewlwyd] {
        let (world, page) = alice_at(make, &Value::Null, &lines);
        assert_admin(&world, &page);
    }
}

// C16, OpenID Connect Core section 3.1.3.7: other audiences are in order where we are the party
// that the token was made for, or the operator trusts them by name, and not otherwise.
#[test]
fn several_audiences_pass_with_azp_or_where_they_are_trusted() {
    let audiences = json!(["https://api.test", "reports"]);
    let both = format!("{ASKED}    trusted_audiences: [https://api.test, reports]\n");
    let one_short = format!("{ASKED}    trusted_audiences: [reports]\n");
    for (azp, lines, passes) in [
        (true, ASKED, true),
        (false, both.as_str(), true),
        (false, ASKED, false),
        (false, one_short.as_str(), false),
    ] {
        let more = json!({ "audiences": audiences, "azp": azp });
        let (world, page) = alice_at(Make::Authlib, &more, lines);
        if passes {
            assert_admin(&world, &page);
        } else {
            assert_eq!(page.answer.status, 502, "{}", page.answer.text());
            assert!(world.app.arrived().is_empty());
        }
    }
}

#[test]
fn a_list_of_one_audience_is_that_audience() {
    let (world, page) = alice_at(Make::Authlib, &json!({ "audiences": [] }), ASKED);
    assert_admin(&world, &page);
}

// A secret that is wrong is the operator's to know of: the person learns that it is not their fault,
// the log says which answer it was.
#[test]
fn a_wrong_secret_lets_nobody_in_and_is_told_to_the_operator() {
    for (make, more) in [
        (Make::OidcProvider, json!({ "SECRET": "another-secret" })),
        (Make::Authlib, json!({ "client_secret": "another-secret" })),
        (Make::Glewlwyd, json!({ "client_secret": "another-secret" })),
    ] {
        let (world, page) = alice_at(make, &more, ASKED);
        assert_eq!(page.answer.status, 502, "{make:?}: {}", page.answer.text());
        assert!(world.app.arrived().is_empty(), "{make:?}");
        let log = world.gate.logged("login_failed");
        // The standard's word, and glewlwyd's for the same.
        let said = ["invalid_client", "unauthorized_client"];
        assert!(
            said.iter().any(|word| log.contains(word)),
            "{make:?}: {log}"
        );
        assert!(!log.contains(SECRET), "{make:?}");
    }
}

// G2: where no ID token is kept to show, the session here ends all the same.
#[test]
fn a_sign_out_without_a_hint_ends_the_session_here() {
    for make in [
        Make::Embedded,
        Make::OidcProvider,
        Make::Authlib,
        Make::Glewlwyd,
    ] {
        let lines = format!("{ASKED}    id_token_hint: never\n");
        let world = Abroad::start(SomeProvider::start(make, &Value::Null), &lines, ROUTES);
        let mut alice = world.browser();
        let form = world.provider.visit(&mut alice, &format!("{PUBLIC}/open"));
        let page = world.provider.sign_in(&mut alice, &form, "alice");
        assert_through(&world, &page);
        let out = format!("{PUBLIC}/oauth2/sign_out");
        let answer = alice.submit(&out, &format!("{PUBLIC}/"), "");
        let page = alice.follow(&out, answer);
        assert!(alice.names("gate.test").is_empty(), "{make:?}");
        world.app.forget();
        assert_eq!(alice.open(&out).status, 200, "{make:?}: nobody to sign out");
        assert_eq!(
            alice.open(&format!("{PUBLIC}/open")).status,
            302,
            "{make:?}: a login begins"
        );
        assert!(world.app.arrived().is_empty(), "{make:?}");
        // Two of them ask the person and lead back; the other two stop at a page of theirs.
        let back = match make {
            Make::Embedded | Make::OidcProvider => world.provider.sign_out(&mut alice, page),
            Make::Authlib | Make::Glewlwyd => continue,
        };
        assert!(
            back.answer.text().contains("You are signed out"),
            "{make:?}: {}",
            back.url
        );
        let form = world.provider.visit(&mut alice, &format!("{PUBLIC}/open"));
        assert!(world.provider.asks(&form), "{make:?}: {}", form.url);
    }
}

#[test]
fn groups_are_read_wherever_and_however_a_provider_says_them() {
    let nested = format!("{ASKED}    claims: {{ groups: realm.roles }}\n");
    let (world, page) = alice_at(Make::Authlib, &json!({ "groups": "nested" }), &nested);
    assert_admin(&world, &page);

    let (world, page) = alice_at(Make::Authlib, &json!({ "groups": "string" }), ASKED);
    assert_through(&world, &page);
    assert_eq!(world.app.last().fields("X-Forwarded-Groups"), ["admins"]);
}

// C26: a string is one group, whatever is in it: nobody becomes an admin by a space.
#[test]
fn a_string_of_words_is_one_group_and_not_several() {
    let (world, page) = alice_at(Make::Authlib, &json!({ "groups": "words" }), ASKED);
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(world.app.arrived().is_empty());
}

#[test]
fn somebody_without_an_address_signs_in_and_has_none() {
    let more = json!({ "without": ["email", "email_verified", "preferred_username"] });
    let (world, page) = alice_at(Make::Authlib, &more, ASKED);
    assert_admin(&world, &page);
    let last = world.app.last();
    assert!(last.fields("X-Forwarded-Email").is_empty());
    assert!(last.fields("X-Forwarded-Preferred-Username").is_empty());
    assert_eq!(last.fields("X-Forwarded-User"), ["subject of alice"]);
}

#[test]
fn what_the_id_token_leaves_out_is_asked_for() {
    let (world, page) = alice_at(Make::Authlib, &json!({ "claims": "userinfo" }), ASKED);
    assert_admin(&world, &page);
    let address = world.provider.address_of("alice");
    assert_eq!(world.app.last().fields("X-Forwarded-Email"), [address]);
}

// C25: an address of which nobody says that it is verified opens nothing and is told to no app,
// unless the operator vouches for the provider.
#[test]
fn an_address_that_nobody_verified_opens_nothing() {
    let rule = "routes: [{ match: { path: /admin/** }, access: { emails: [\"@example.com\"] } }, { access: signed_in }]\n";
    let silent = json!({ "without": ["email_verified"] });
    for make in [Make::Glewlwyd, Make::Authlib] {
        let world = Abroad::start(SomeProvider::start(make, &silent), ASKED, rule);
        let mut alice = world.browser();
        let form = world
            .provider
            .visit(&mut alice, &format!("{PUBLIC}/admin/x"));
        let page = world.provider.sign_in(&mut alice, &form, "alice");
        assert_eq!(page.answer.status, 403, "{}", page.answer.text());
        assert!(world.app.arrived().is_empty());
        let page = world.provider.visit(&mut alice, &format!("{PUBLIC}/open"));
        assert_through(&world, &page);
        assert!(world.app.last().fields("X-Forwarded-Email").is_empty());

        let trusted = format!("{ASKED}    insecure_trust_email: true\n");
        let world = Abroad::start(SomeProvider::start(make, &silent), &trusted, rule);
        let page = alice_in(&world);
        assert_admin(&world, &page);
        let told = world.app.last().fields("X-Forwarded-Email");
        assert_eq!(told, [world.provider.address_of("alice")]);
    }
}

// D1, D4: a provider that keeps everything in memory has other keys of the same names after a
// restart: sessions do not notice, and the next login works at once.
#[test]
fn a_provider_that_forgot_everything_signs_nobody_out_and_lets_people_in_again() {
    let world = Abroad::start(
        SomeProvider::start(Make::Authlib, &Value::Null),
        ASKED,
        ROUTES,
    );
    let mut alice = world.browser();
    let form = world
        .provider
        .visit(&mut alice, &format!("{PUBLIC}/admin/x"));
    let page = world.provider.sign_in(&mut alice, &form, "alice");
    assert_admin(&world, &page);
    world.provider.forget_everything();
    let page = world
        .provider
        .visit(&mut alice, &format!("{PUBLIC}/admin/y"));
    assert_admin(&world, &page);
    assert!(world.app.last().request_line().contains("/admin/y"));
    let page = alice_in(&world);
    assert_admin(&world, &page);
    // Her ID token is nothing to the provider any more; signing out with it ends the session here.
    let out = format!("{PUBLIC}/oauth2/sign_out");
    let answer = alice.submit(&out, &format!("{PUBLIC}/"), "");
    let page = alice.follow(&out, answer);
    assert!(page.url.as_str().starts_with(&world.provider.origin()));
    assert!(alice.names("gate.test").is_empty());
}

// B1: the issuer is compared byte for byte, and who gets it wrong is told what is wrong.
#[test]
fn a_slash_too_many_or_too_few_is_no_login_and_says_so() {
    for (path, configured) in [("/op", "/op/"), ("/op/", "/op")] {
        let mut provider = SomeProvider::start(Make::Authlib, &json!({ "path": path }));
        let published = provider.issuer.clone();
        provider.issuer = format!("{}{configured}", provider.origin());
        let world = Abroad::start_unasked(provider, ASKED, ROUTES);
        let cause = world.gate.await_fault();
        assert!(cause.contains(&format!("`{published}`")), "{cause}");
        assert!(cause.contains("slash"), "{cause}");
        let page = world.browser().visit(&format!("{PUBLIC}/"));
        assert_eq!(page.answer.status, 503, "{}", page.url);
        assert!(world.app.arrived().is_empty());
    }
}

// A11: we ask for no response mode, so that a code comes by GET; what comes by POST is refused
// before anything of it is read, and spends nothing.
#[test]
fn a_code_that_comes_by_form_post_is_refused_and_not_redeemed() {
    let world = Abroad::start(
        SomeProvider::start(Make::Glewlwyd, &Value::Null),
        ASKED,
        ROUTES,
    );
    let mut alice = world.browser();
    let form = alice.visit(&format!("{PUBLIC}/admin/x"));
    let mut page = form.clone();
    let asked: Vec<(String, String)> = form.url.query_pairs().into_owned().collect();
    let mut query = page.url.query_pairs_mut();
    query.clear();
    for (name, value) in asked {
        let more = if name == "callback_url" {
            "&response_mode=form_post"
        } else {
            ""
        };
        query.append_pair(&name, &format!("{value}{more}"));
    }
    drop(query);
    let posting = world.provider.sign_in(&mut alice, &page, "alice");
    assert!(posting.url.as_str().starts_with(&world.provider.origin()));
    assert!(
        posting.answer.text().contains("name=\"code\""),
        "{}",
        posting.answer.text()
    );
    let answer = alice.submit_form(&posting, &[]);
    assert_eq!(answer.status, 405, "{}", answer.text());
    assert_eq!(answer.field("allow"), Some("GET"));
    assert_eq!(world.provider.token_calls("authorization_code"), 0);
    assert!(world.app.arrived().is_empty());
}
