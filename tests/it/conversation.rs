//! The conversation with a provider that misbehaves: nothing comes of it but a page that says so.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use serde_json::json;
use sidegate::config::Verdict;
use sidegate::config::environment::Environment;
use sidegate::demo::provider::signing::SigningAlgorithm;
use sidegate::demo::provider::{Endpoint, Ledger, OldKeys};

use crate::support::browser::{Browser, Page};
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::provider::{Fault, IdTokenFault, JwksFault, TestProvider, fresh_keys};
use crate::support::raw::exchange;
use crate::support::upstream::Upstream;

/// A login of alice from the first page to wherever it ends.
fn sign_in(world: &World) -> (Browser, Page) {
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/"));
    let page = browser.sign_in(&form, "alice");
    (browser, page)
}

/// Whether the login came to nothing: a page with a reference, no session, nothing at the app.
fn came_to_nothing(world: &World, what: &str) -> Page {
    world.app.forget();
    let (browser, page) = sign_in(world);
    assert!(page.answer.status >= 400, "{what}: {}", page.answer.status);
    assert!(page.answer.field("x-request-id").is_some(), "{what}");
    assert!(world.app.arrived().is_empty(), "{what}");
    let session = |name: &&str| !name.contains("-l-");
    assert_eq!(
        browser
            .names("gate.test")
            .into_iter()
            .filter(session)
            .count(),
        0,
        "{what}"
    );
    page
}

fn hits(world: &World, endpoint: Endpoint) -> usize {
    world.provider.hits_of(endpoint).len()
}

// C1, C2, C3, C4, C7, C13, C15, C16, C17, C18, C19, C20, C21, C22, C23, D7, E7: no bad token makes a session, and
// nobody is asked more about the person first.
#[test]
fn no_bad_id_token_makes_a_session_or_a_userinfo_call() {
    let world = World::start();
    // Without an address the UserInfo would be asked, if the token were good.
    world
        .provider
        .set_fault(Fault::IdToken(IdTokenFault::Claim("email", None)));
    assert_eq!(sign_in(&world).1.answer.status, 200);
    assert_eq!(
        hits(&world, Endpoint::Userinfo),
        1,
        "a good token leads to the UserInfo"
    );
    let claim = |name, value| IdTokenFault::Claim(name, Some(value));
    let faults = vec![
        IdTokenFault::Unsigned("none"),
        IdTokenFault::Unsigned("None"),
        IdTokenFault::Unsigned("nOnE"),
        IdTokenFault::Hs256WithPublicKey,
        IdTokenFault::Hs256(crate::support::instance::SECRET),
        IdTokenFault::BrokenSignature,
        IdTokenFault::ForeignKey,
        IdTokenFault::Header("alg", Some(json!("RS512"))),
        IdTokenFault::Header("typ", Some(json!("at+jwt"))),
        IdTokenFault::Header("crit", Some(json!(["exp"]))),
        IdTokenFault::Header("kid", Some(json!("../../etc/passwd"))),
        claim("iss", json!("https://evil.test")),
        claim("iss", json!(format!("{}/", world.provider.issuer()))),
        IdTokenFault::Claim("iss", None),
        claim("aud", json!("other")),
        claim("aud", json!(["dashboards", "other"])),
        IdTokenFault::Claim("aud", None),
        claim("azp", json!("other")),
        claim("nonce", json!("other")),
        IdTokenFault::Claim("nonce", None),
        IdTokenFault::Claim("exp", None),
        claim("exp", json!("9999999999")),
        claim("exp", json!(1)),
        IdTokenFault::Shifted(-7200),
        IdTokenFault::Shifted(7200),
        IdTokenFault::Claim("iat", None),
        claim("nbf", json!(99_999_999_999_i64)),
        IdTokenFault::Claim("sub", None),
        claim("sub", json!("")),
        claim("sub", json!(["alice"])),
        claim("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        IdTokenFault::Padded(200_000),
    ];
    for fault in faults {
        let what = format!("{fault:?}");
        world.provider.clear_faults();
        world.provider.add_fault(Fault::IdToken(fault));
        came_to_nothing(&world, &what);
        assert_eq!(
            hits(&world, Endpoint::Userinfo),
            1,
            "{what}: asked before the token was verified"
        );
    }
}

// E1, E4: a code is sent once, whatever becomes of the answer.
#[test]
fn a_code_is_sent_once_whatever_becomes_of_the_answer() {
    let world = World::start();
    for fault in [
        Fault::Status(Endpoint::Token, StatusCode::INTERNAL_SERVER_ERROR),
        Fault::HungUp(Endpoint::Token),
        Fault::CutShort(Endpoint::Token),
        Fault::Html(Endpoint::Token),
        Fault::ErrorWithStatus200("invalid_grant"),
    ] {
        let (what, before) = (format!("{fault:?}"), hits(&world, Endpoint::Token));
        world.provider.set_fault(fault);
        came_to_nothing(&world, &what);
        assert_eq!(hits(&world, Endpoint::Token), before + 1, "{what}");
    }
}

// E3, B5: an answer that is larger than any honest one is not read to its end.
#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let world = World::start();
    for endpoint in [Endpoint::Token, Endpoint::Userinfo] {
        world
            .provider
            .set_fault(Fault::Padded(endpoint, 8 * 1024 * 1024));
        world
            .provider
            .add_fault(Fault::IdToken(IdTokenFault::Claim("email", None)));
        came_to_nothing(&world, &format!("{endpoint:?}"));
    }
}

// B4, B14: a redirect in the conversation is not followed, wherever it leads.
#[test]
fn no_redirect_of_a_provider_is_followed() {
    let elsewhere = Upstream::start();
    let world = World::start();
    for endpoint in [Endpoint::Token, Endpoint::Userinfo] {
        world
            .provider
            .set_fault(Fault::Redirect(endpoint, elsewhere.url()));
        world
            .provider
            .add_fault(Fault::IdToken(IdTokenFault::Claim("email", None)));
        came_to_nothing(&world, &format!("{endpoint:?}"));
        assert!(elsewhere.arrived().is_empty(), "{endpoint:?}");
    }
}

// B1, B3, B4, B11: a provider that is down, elsewhere or another one leaves the gate ready and its
// sign-in unavailable; once it is right, logins work without a restart.
#[test]
fn a_provider_that_is_not_right_yet_is_waited_for() {
    let elsewhere = Upstream::start();
    let faults = [
        Fault::HungUp(Endpoint::Discovery),
        Fault::Status(Endpoint::Discovery, StatusCode::SERVICE_UNAVAILABLE),
        Fault::Html(Endpoint::Discovery),
        Fault::Redirect(Endpoint::Discovery, elsewhere.url()),
        Fault::Member(
            Endpoint::Discovery,
            "issuer",
            Some(json!("https://evil.test")),
        ),
        Fault::Member(
            Endpoint::Discovery,
            "token_endpoint",
            Some(json!("http://192.0.2.1/token")),
        ),
        Fault::Padded(Endpoint::Discovery, 1024 * 1024),
        Fault::Status(Endpoint::Jwks, StatusCode::INTERNAL_SERVER_ERROR),
    ];
    for fault in faults {
        let what = format!("{fault:?}");
        let provider = TestProvider::start();
        provider.set_fault(fault);
        register(&provider, "dashboards", "/oauth2/callback");
        let app = Upstream::start();
        let gate = Instance::start(&yaml(provider.issuer(), &app.url(), ""), provider.clock());
        let world = World {
            provider,
            app,
            gate,
        };
        let probe = |target: &str| {
            exchange(
                world.gate.probes,
                format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            )
        };
        assert_eq!(probe("/readyz").status, 200, "{what}");
        assert_eq!(probe("/status").json()["status"], "degraded", "{what}");
        let page = world.browser().open(&format!("{PUBLIC}/deep"));
        assert_eq!(page.status, 503, "{what}");
        assert!(page.field("retry-after").is_some(), "{what}");
        assert!(page.text().contains("sign-in service"), "{what}");
        world.provider.clear_faults();
        world.await_provider();
        assert_eq!(sign_in(&world).1.answer.status, 200, "{what}");
    }
    assert!(elsewhere.arrived().is_empty());
}

// D1: keys that rotate between two logins, or right before signing, are fetched once more.
#[test]
fn rotated_keys_are_fetched_once_more() {
    let world = World::start();
    assert_eq!(sign_in(&world).1.answer.status, 200);
    let before = hits(&world, Endpoint::Jwks);
    world
        .provider
        .provider()
        .rotate_keys(fresh_keys(), OldKeys::Withdrawn);
    assert_eq!(sign_in(&world).1.answer.status, 200);
    assert_eq!(hits(&world, Endpoint::Jwks), before + 1);
    world
        .provider
        .set_fault(Fault::RotatedBeforeSigning(OldKeys::Withdrawn));
    assert_eq!(sign_in(&world).1.answer.status, 200);
    assert_eq!(hits(&world, Endpoint::Jwks), before + 2);
}

// D2: unknown keys do not make a storm of fetches.
#[test]
fn unknown_keys_make_no_storm() {
    let world = World::start();
    let before = hits(&world, Endpoint::Jwks);
    for index in 0..12 {
        let kid = format!("unknown-{index}");
        world
            .provider
            .set_fault(Fault::IdToken(IdTokenFault::Header(
                "kid",
                Some(json!(kid)),
            )));
        came_to_nothing(&world, &kid);
    }
    assert!(
        hits(&world, Endpoint::Jwks) <= before + 2,
        "{}",
        hits(&world, Endpoint::Jwks) - before
    );
    world.provider.clear_faults();
    assert_eq!(
        sign_in(&world).1.answer.status,
        200,
        "good tokens do not suffer"
    );
}

// D3: many logins that need the new keys make one fetch.
#[test]
fn many_logins_at_once_fetch_the_new_keys_once() {
    let world = World::start();
    let before = hits(&world, Endpoint::Jwks);
    world
        .provider
        .provider()
        .rotate_keys(fresh_keys(), OldKeys::Withdrawn);
    let good = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                if sign_in(&world).1.answer.status == 200 {
                    good.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(good.into_inner(), 8);
    assert_eq!(hits(&world, Endpoint::Jwks), before + 1);
}

// D4: known keys serve while none can be fetched, and not for ever; sessions go on.
#[test]
fn keys_serve_while_the_provider_is_down_and_not_for_ever() {
    let world = World::start();
    world.provider.set_fault(Fault::Status(
        Endpoint::Jwks,
        StatusCode::INTERNAL_SERVER_ERROR,
    ));
    assert_eq!(sign_in(&world).1.answer.status, 200);
    world
        .gate
        .clock
        .advance(std::time::Duration::from_secs(25 * 3600));
    assert_eq!(came_to_nothing(&world, "stale keys").answer.status, 503);
}

// D6: a key that is not published any more signs nothing.
#[test]
fn a_key_that_is_not_published_signs_nothing() {
    let provider = TestProvider::start();
    provider.set_fault(Fault::Jwks(JwksFault::OnlyRsa));
    provider.add_fault(Fault::IdToken(IdTokenFault::SignedBy(
        SigningAlgorithm::Es256,
    )));
    register(&provider, "dashboards", "/oauth2/callback");
    let app = Upstream::start();
    let gate = Instance::start(&yaml(provider.issuer(), &app.url(), ""), provider.clock());
    let world = World {
        provider,
        app,
        gate,
    };
    world.await_provider();
    came_to_nothing(&world, "a retired key");
}

// D8: there is no way to configure a key: only what the provider publishes counts.
#[test]
fn no_key_can_be_configured_beside_the_published_ones() {
    let text = "public_url: http://127.0.0.1:1\nproviders: [{ issuer: http://127.0.0.1:2, client_id: x, client_secret: y, jwks: {} }]\nupstreams: { app: http://127.0.0.1:3 }\n";
    let verdict = Verdict::of_text(text, &Environment::of_process());
    assert!(verdict.config.is_none());
    assert!(
        verdict
            .faults
            .iter()
            .any(|fault| fault.path.contains("jwks")),
        "{:?}",
        verdict.faults
    );
}

// B8: two providers never share a callback.
#[test]
fn two_providers_with_one_callback_do_not_start() {
    let text = "public_url: http://127.0.0.1:1\nproviders:\n  - { id: a, issuer: http://127.0.0.1:2, client_id: x, client_secret: y, redirect_path: /cb }\n  - { id: b, issuer: http://127.0.0.1:3, client_id: x, client_secret: y, redirect_path: /cb }\nupstreams: { app: http://127.0.0.1:4 }\n";
    let verdict = Verdict::of_text(text, &Environment::of_process());
    assert!(verdict.config.is_none());
    assert!(
        verdict
            .faults
            .iter()
            .any(|fault| fault.path.contains("redirect_path")),
        "{:?}",
        verdict.faults
    );
}

// E18, T1: no token, code or secret reaches the browser's pages, the app or the log.
#[test]
fn no_token_or_secret_reaches_the_browser_the_app_or_the_log() {
    let provider = TestProvider::start_with(|options| options.ledger = Ledger::Kept);
    register(&provider, "dashboards", "/oauth2/callback");
    let app = Upstream::start();
    let gate = Instance::start(&yaml(provider.issuer(), &app.url(), ""), provider.clock());
    let world = World {
        provider,
        app,
        gate,
    };
    world.await_provider();
    let (mut browser, page) = sign_in(&world);
    assert_eq!(page.answer.status, 200);
    let who = browser.fetch("GET", &format!("{PUBLIC}/oauth2/userinfo"), "");
    let me = browser.open(&format!("{PUBLIC}/oauth2/userinfo"));
    world
        .provider
        .set_fault(Fault::ErrorWithStatus200("invalid_grant"));
    browser.jar.clear();
    let form = browser.visit(&format!("{PUBLIC}/again"));
    let failed = if form.answer.text().contains("<form") {
        browser.sign_in(&form, "bob")
    } else {
        form
    };
    let log = world.gate.logged("login_failed");
    let mut secrets: Vec<String> = world
        .provider
        .provider()
        .issued_secrets()
        .iter()
        .map(|one| one.expose().to_owned())
        .collect();
    assert!(
        secrets.len() >= 3,
        "the story issued codes and tokens: {}",
        secrets.len()
    );
    secrets.extend([
        crate::support::instance::SECRET.to_owned(),
        crate::support::instance::KEY.to_owned(),
    ]);
    let app: String = world
        .app
        .arrived()
        .iter()
        .map(crate::support::upstream::Arrived::text)
        .collect();
    let places = [
        ("page", page.answer.everything()),
        ("userinfo", who.everything()),
        ("who am I", me.everything()),
        ("failure", failed.answer.everything()),
        ("app", app),
        ("log", log),
    ];
    for secret in &secrets {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for (place, text) in &places {
            assert!(
                !text.contains(secret.as_str()) && !text.contains(&encoded),
                "{place} shows a secret"
            );
        }
    }
}

// J6, J11: an identity that does not fit is not cut: nothing is sent, and the log says which.
#[test]
fn an_identity_that_does_not_fit_is_not_cut() {
    let world = World::start();
    let groups: Vec<String> = (0..400)
        .map(|index| format!("a-group-with-a-longer-name-{index}"))
        .collect();
    world
        .provider
        .set_fault(Fault::Claim("groups", Some(json!(groups))));
    let (_, page) = sign_in(&world);
    assert_eq!(page.answer.status, 500, "{:?}", page.answer);
    assert!(world.app.arrived().is_empty());
}

// B1, D1, E3, E5: what a provider says under a status that is no success is not believed, however
// good it sounds: not its metadata, not its keys, not its tokens, not what it says of a person.
#[test]
fn good_words_under_a_bad_status_are_not_believed() {
    for endpoint in [
        Endpoint::Discovery,
        Endpoint::Jwks,
        Endpoint::Token,
        Endpoint::Userinfo,
    ] {
        for status in [
            StatusCode::FOUND,
            StatusCode::FORBIDDEN,
            StatusCode::INTERNAL_SERVER_ERROR,
        ] {
            let provider = TestProvider::start();
            provider.set_fault(Fault::StatusOver(endpoint, status));
            register(&provider, "dashboards", "/oauth2/callback");
            let app = Upstream::start();
            let client = "    client_id: dashboards\n";
            let text = yaml(provider.issuer(), &app.url(), "")
                .replace(client, &format!("{client}    userinfo: always\n"));
            let gate = Instance::start(&text, provider.clock());
            let mut browser = Browser::new().resolve(PUBLIC, gate.address);
            let mut page = browser.visit(&format!("{PUBLIC}/"));
            if page.answer.status == 200 {
                page = browser.sign_in(&page, "alice");
            }
            let what = format!("{endpoint:?} {status}");
            assert!(
                page.url.as_str().starts_with(PUBLIC),
                "{what}: {}",
                page.url
            );
            assert!(
                [502, 503].contains(&page.answer.status),
                "{what}: {:?}",
                page.answer
            );
            assert!(app.arrived().is_empty(), "{what}");
            assert!(
                browser
                    .names("gate.test")
                    .iter()
                    .all(|it| it.contains("-l-"))
            );
        }
    }
}
