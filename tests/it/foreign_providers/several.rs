//! Two providers at one gate, each of another hand: who is who, who may what, and whose answer it is.

use serde_json::json;

use crate::support::browser::{Browser, Page};
use crate::support::foreign::{Make, SomeProvider};
use crate::support::instance::{Instance, PUBLIC, key_file, secret_file};
use crate::support::upstream::Upstream;

/// Authlib and glewlwyd, and a page for the admins of one of them.
struct Both {
    authlib: SomeProvider,
    glewlwyd: SomeProvider,
    app: Upstream,
    gate: Instance,
}

impl Both {
    fn start() -> Self {
        let at = |make, id: &str| {
            let callback = format!("{PUBLIC}/oauth2/callback/{id}");
            SomeProvider::start(make, &json!({ "redirect_uri": callback }))
        };
        let (authlib, glewlwyd) = (at(Make::Authlib, "office"), at(Make::Glewlwyd, "guests"));
        let app = Upstream::start();
        let provider = |id: &str, issuer: &str| {
            let secret = secret_file();
            format!(
                "  - id: {id}\n    issuer: {issuer}\n    client_id: dashboards\n    client_secret: {{ file: {secret} }}\n    scopes: [openid, profile, email, groups]\n"
            )
        };
        let text = format!(
            "public_url: {PUBLIC}\nproviders:\n{}{}session: {{ keys: [{{ file: {} }}] }}\nupstreams: {{ app: {} }}\nroutes:\n  - {{ match: {{ path: /admin/** }}, access: {{ groups: [\"office:admins\"] }} }}\n  - {{ access: signed_in }}\n",
            provider("office", &authlib.issuer),
            provider("guests", &glewlwyd.issuer),
            key_file(),
            app.url(),
        );
        let gate = Instance::start(&text, &authlib.clock());
        gate.await_providers();
        Self {
            authlib,
            glewlwyd,
            app,
            gate,
        }
    }

    fn browser(&self) -> Browser {
        Browser::new()
            .resolve(PUBLIC, self.gate.address)
            .resolve(&self.authlib.origin(), self.authlib.address())
            .resolve(&self.glewlwyd.origin(), self.glewlwyd.address())
    }
}

/// Chooses `id` on the sign-in page that asking for `url` leads to; gives the provider's page.
fn choose(browser: &mut Browser, url: &str, id: &str) -> Page {
    let page = browser.visit(url);
    let html = page.answer.text();
    let link = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .find(|link| link.contains(&format!("provider={id}")))
        .unwrap_or_else(|| panic!("no way to {id}: {} {html}", page.url));
    let link = link.replace("&#x2f;", "/").replace("&amp;", "&");
    let target = page.url.join(&link).unwrap();
    browser.visit(target.as_str())
}

// C24, C26: a subject and a group belong to their provider: the admins of one are not those of another.
#[test]
fn people_and_groups_of_two_providers_are_not_mixed_up() {
    let world = Both::start();
    let deep = format!("{PUBLIC}/admin/x?a=%20b");

    let mut alice = world.browser();
    let form = choose(&mut alice, &deep, "office");
    let page = world.authlib.sign_in(&mut alice, &form, "alice");
    assert_eq!(page.url.as_str(), deep);
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let last = world.app.last();
    assert_eq!(last.fields("X-Forwarded-User"), ["office:subject of alice"]);
    assert_eq!(
        last.fields("X-Forwarded-Groups"),
        ["office:admins,office:dev"]
    );

    world.app.forget();
    let mut other = world.browser();
    let form = choose(&mut other, &deep, "guests");
    let page = world.glewlwyd.sign_in(&mut other, &form, "alice");
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(world.app.arrived().is_empty());
    let page = other.visit(&format!("{PUBLIC}/open"));
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let last = world.app.last();
    let [subject] = <[String; 1]>::try_from(last.fields("X-Forwarded-User")).unwrap();
    assert!(subject.starts_with("guests:"), "{subject}");
    assert_eq!(
        last.fields("X-Forwarded-Groups"),
        ["guests:admins,guests:dev"]
    );

    // Each is signed out at the provider that it came from.
    for (browser, provider) in [(&mut alice, &world.authlib), (&mut other, &world.glewlwyd)] {
        let out = format!("{PUBLIC}/oauth2/sign_out");
        let answer = browser.submit(&out, &format!("{PUBLIC}/"), "");
        assert!(answer.location().starts_with(&provider.origin()));
        let page = browser.follow(&out, answer);
        let page = provider.sign_out(browser, page);
        assert!(
            page.answer.text().contains("You are signed out"),
            "{}",
            page.url
        );
    }
}

// B6, RFC 9700 section 4.4: a code of one provider that comes to the callback of another is
// redeemed at neither.
#[test]
fn an_answer_of_one_provider_at_the_callback_of_the_other_is_redeemed_nowhere() {
    for (from, to) in [("office", "guests"), ("guests", "office")] {
        let world = Both::start();
        let mut alice = world.browser();
        let form = choose(&mut alice, &format!("{PUBLIC}/open"), from);
        alice.end_before(&format!("{PUBLIC}/oauth2/callback/"));
        let provider = if from == "office" {
            &world.authlib
        } else {
            &world.glewlwyd
        };
        let page = provider.sign_in(&mut alice, &form, "alice");
        assert_eq!(page.url.path(), format!("/oauth2/callback/{from}"));
        let wrong = page.url.as_str().replace(
            &format!("/oauth2/callback/{from}?"),
            &format!("/oauth2/callback/{to}?"),
        );
        let answer = alice.clone().open(&wrong);
        assert!(
            matches!(answer.status, 400..=403),
            "{from}: {}",
            answer.text()
        );
        assert_eq!(world.authlib.token_calls("authorization_code"), 0);
        assert_eq!(world.glewlwyd.token_calls("authorization_code"), 0);
        assert!(world.app.arrived().is_empty());
        // At its own callback, and with the login's cookie untouched, it is good.
        let page = alice.visit(page.url.as_str());
        assert_eq!(page.answer.status, 200, "{from}: {}", page.answer.text());
    }
}
