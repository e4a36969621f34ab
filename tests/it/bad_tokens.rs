//! Whatever is wrong with an ID token, nobody is let in: no session, no `UserInfo` call, nothing at
//! the app, and a page with a reference instead.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sidegate::demo::provider::signing::SigningAlgorithm;
use sidegate::demo::provider::{Endpoint, OldKeys};

use crate::support::browser::{Browser, Page};
use crate::support::instance::{Instance, PUBLIC, SECRET, World, register, yaml};
use crate::support::provider::{Fault, IdTokenFault, JwksFault, TestProvider, fresh_keys};
use crate::support::upstream::Upstream;

/// What the provider says in place of the honest ID token.
enum Lie {
    /// The honest token with these changes.
    Changed(Vec<IdTokenFault>),
    /// A sound token for this very login, rewritten as text.
    Rewritten(fn(&str) -> String),
    /// What the test makes of the claims of a sound token for this very login.
    Made(Box<dyn Fn(&Value) -> String>),
    /// This instead of a token.
    Instead(Option<Value>),
}

use Lie::{Changed, Instead, Made, Rewritten};

fn claim(name: &'static str, value: impl Into<Value>) -> Lie {
    Changed(vec![IdTokenFault::Claim(name, Some(value.into()))])
}

fn without(name: &'static str) -> Lie {
    Changed(vec![IdTokenFault::Claim(name, None)])
}

fn header(name: &'static str, value: impl Into<Value>) -> Lie {
    Changed(vec![IdTokenFault::Header(name, Some(value.into()))])
}

/// One login in a browser of its own, at a provider that tells this lie.
fn login(world: &World, lie: &Lie) -> (Browser, Page) {
    let mut browser = world.browser();
    let page = format!("{PUBLIC}/deep?a=b");
    let begun = browser.open(&page);
    world.provider.clear_faults();
    match lie {
        Changed(faults) => {
            for fault in faults {
                world.provider.add_fault(Fault::IdToken(fault.clone()));
            }
        }
        Rewritten(_) | Made(_) => {
            let url = url::Url::parse(begun.location()).unwrap();
            let nonce = url.query_pairs().find(|(name, _)| name == "nonce");
            let claims = sound_claims(world, &nonce.unwrap().1);
            let token = match lie {
                Rewritten(rewrite) => rewrite(&world.provider.sign("JWT", &claims)),
                Made(make) => make(&claims),
                Changed(_) | Instead(_) => unreachable!("matched above"),
            };
            let fault = Fault::Member(Endpoint::Token, "id_token", Some(token.into()));
            world.provider.add_fault(fault);
        }
        Instead(value) => {
            let fault = Fault::Member(Endpoint::Token, "id_token", value.clone());
            world.provider.add_fault(fault);
        }
    }
    let form = browser.follow(&page, begun);
    let page = browser.sign_in(&form, "alice");
    (browser, page)
}

fn sound_claims(world: &World, nonce: &str) -> Value {
    let now = world.provider.clock().now().as_seconds();
    json!({
        "iss": world.provider.issuer(), "aud": "dashboards", "sub": "u-alice",
        "iat": now, "exp": now + 300, "nonce": nonce,
    })
}

fn has_session(browser: &Browser) -> bool {
    let names = browser.names("gate.test");
    names.iter().any(|name| !name.contains("-l-"))
}

fn assert_refused(world: &World, what: &str, lie: &Lie) {
    world.app.forget();
    let asked = world.provider.hits_of(Endpoint::Userinfo).len();
    let (browser, page) = login(world, lie);
    let answer = &page.answer;
    assert!(
        matches!(answer.status, 400..=499 | 502 | 503),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    let reference = answer.field("x-request-id").expect("a reference");
    assert!(answer.text().contains(reference), "{what}");
    assert!(!has_session(&browser), "{what}: {:?}", browser.jar);
    assert!(world.app.arrived().is_empty(), "{what} reached the app");
    let asks = world.provider.hits_of(Endpoint::Userinfo).len();
    assert_eq!(asks, asked, "{what}: the UserInfo was asked for");
}

fn assert_accepted(world: &World, what: &str, lie: &Lie) {
    world.app.forget();
    let (browser, page) = login(world, lie);
    assert_eq!(page.answer.status, 200, "{what}: {}", page.answer.text());
    assert!(has_session(&browser), "{what}");
    assert_eq!(
        world.app.last().fields("X-Forwarded-User"),
        ["u-alice"],
        "{what}"
    );
}

fn with_signature(token: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    change(&mut bytes);
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Another last character of the signature, which decodes to the same bytes for whoever is lenient.
fn with_trailing_bits(token: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET
        .iter()
        .position(|&c| c == last.as_bytes()[0])
        .unwrap();
    format!("{rest}{}", char::from(ALPHABET[value ^ 1]))
}

/// A world in which the `UserInfo` is asked for at every honest login.
fn curious_world() -> World {
    World::with_provider("    userinfo: always", "")
}

// C1: no algorithm. C2, C3: key confusion. C4: an algorithm that is not allowed, or not the key's.
// C6: a key id that is no name of a key. C8: critical members. C9, C10: broken and foreign
// signatures.
#[test]
fn a_token_that_the_provider_did_not_sign_lets_nobody_in() {
    use IdTokenFault::{
        BrokenSignature, ForeignKey, Hs256, Hs256WithPublicKey, SignedBy, Unsigned,
    };
    let world = curious_world();
    let es256 = SignedBy(SigningAlgorithm::Es256);
    let lies = vec![
        ("C1 none", Changed(vec![Unsigned("none")])),
        ("C1 None", Changed(vec![Unsigned("None")])),
        ("C1 nOnE", Changed(vec![Unsigned("nOnE")])),
        ("C1 empty", Changed(vec![Unsigned("")])),
        ("C1 unsigned", Changed(vec![Unsigned("RS256")])),
        ("C1 none, signature kept", header("alg", "none")),
        (
            "C1 no alg",
            Changed(vec![IdTokenFault::Header("alg", None)]),
        ),
        ("C1 array", header("alg", json!(["RS256"]))),
        ("C2", Changed(vec![Hs256WithPublicKey])),
        ("C2 the word RSA", Changed(vec![Hs256("RSA")])),
        ("C2 the word RS256", Changed(vec![Hs256("RS256")])),
        ("C3", Changed(vec![Hs256(SECRET)])),
        ("C4 PS256", header("alg", "PS256")),
        ("C4 RS384", header("alg", "RS384")),
        ("C4 ES256 by the RSA key", header("alg", "ES256")),
        ("C4 unheard of", header("alg", "XX256")),
        ("C6 unknown", header("kid", "other")),
        ("C6 path", header("kid", "../../../../etc/passwd")),
        ("C6 SQL", header("kid", "' OR 1=1 --")),
        ("C6 long", header("kid", "k".repeat(10_000))),
        ("C6 NUL", header("kid", "a\u{0}b")),
        ("C6 number", header("kid", 1)),
        ("C6 array", header("kid", json!(["a"]))),
        ("C6 object", header("kid", json!({}))),
        ("C8 known name", header("crit", json!(["exp"]))),
        ("C8 empty", header("crit", json!([]))),
        ("C8 no array", header("crit", "exp")),
        ("C8 registered", header("crit", json!(["alg"]))),
        ("C8 b64", header("b64", false)),
        ("C9 broken", Changed(vec![es256.clone(), BrokenSignature])),
        ("C9 foreign", Changed(vec![es256, ForeignKey])),
        ("C10 broken", Changed(vec![BrokenSignature])),
        ("C10 foreign", Changed(vec![ForeignKey])),
        (
            "C10 zeros",
            Rewritten(|token| with_signature(token, |bytes| bytes.fill(0))),
        ),
        (
            "C10 short",
            Rewritten(|token| with_signature(token, |bytes| bytes.truncate(bytes.len() - 1))),
        ),
        (
            "C10 long",
            Rewritten(|token| with_signature(token, |bytes| bytes.push(0))),
        ),
    ];
    for (what, lie) in &lies {
        assert_refused(&world, what, lie);
    }
    assert_accepted(
        &world,
        "C9 ES256",
        &Changed(vec![SignedBy(SigningAlgorithm::Es256)]),
    );
    assert_accepted(&world, "an honest one", &Changed(vec![]));
    assert!(!world.provider.hits_of(Endpoint::Userinfo).is_empty());
}

// C11: exact encoding only. C13: another kind of token. C14: encryption. C23: size.
#[test]
fn a_token_in_another_form_lets_nobody_in() {
    let world = curious_world();
    let lies = vec![
        ("C11 padded", Rewritten(|token| format!("{token}="))),
        ("C11 blank", Rewritten(|token| format!(" {token}"))),
        ("C11 newline", Rewritten(|token| format!("{token}\n"))),
        ("C11 Bearer", Rewritten(|token| format!("Bearer {token}"))),
        ("C11 trailing bits", Rewritten(with_trailing_bits)),
        ("C11 one part", Rewritten(|token| token.replace('.', ""))),
        (
            "C11 two parts",
            Rewritten(|token| token.rsplit_once('.').unwrap().0.to_owned()),
        ),
        ("C11 four parts", Rewritten(|token| format!("{token}.e30"))),
        (
            "C11 other alphabet",
            Rewritten(|token| token.replace(['-', '_'], "+")),
        ),
        (
            "C11 JSON",
            Instead(Some(json!({ "payload": "e30", "signature": "" }))),
        ),
        ("C11 array", Instead(Some(json!(["a.b.c"])))),
        ("C11 nothing", Instead(None)),
        ("C11 empty", Instead(Some("".into()))),
        ("C13 logout token", header("typ", "logout+jwt")),
        ("C13 access token", header("typ", "at+jwt")),
        ("C13 proof", header("typ", "dpop+jwt")),
        (
            "C14 encrypted",
            Rewritten(|token| format!("{token}.e30.e30")),
        ),
        ("C23 long", Changed(vec![IdTokenFault::Padded(70_000)])),
        (
            "C23 longer than any answer",
            Changed(vec![IdTokenFault::Padded(3_000_000)]),
        ),
        ("C23 deep", claim("deep", deep(200))),
    ];
    for (what, lie) in &lies {
        assert_refused(&world, what, lie);
    }
    assert_accepted(&world, "the same token as it is", &Rewritten(str::to_owned));
    assert_accepted(
        &world,
        "C23 long but fair",
        &Changed(vec![IdTokenFault::Padded(20_000)]),
    );
}

fn deep(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| json!([inner]))
}

// C15 to C22: every claim that an ID token is judged by.
#[test]
fn a_token_whose_claims_do_not_hold_lets_nobody_in() {
    let world = curious_world();
    let now = world.provider.clock().now().as_seconds();
    let issuer = world.provider.issuer().to_owned();
    let lies = vec![
        ("C15 other", claim("iss", "https://evil.example.com")),
        ("C15 missing", without("iss")),
        ("C15 slash", claim("iss", format!("{issuer}/"))),
        ("C15 array", claim("iss", json!([issuer]))),
        ("C16 other", claim("aud", "other")),
        ("C16 missing", without("aud")),
        ("C16 empty", claim("aud", json!([]))),
        ("C16 number", claim("aud", 7)),
        (
            "C16 a stranger too",
            claim("aud", json!(["dashboards", "other"])),
        ),
        ("C16 azp", claim("azp", "other")),
        ("C17 missing", without("nonce")),
        ("C17 other", claim("nonce", "other")),
        ("C17 empty", claim("nonce", "")),
        ("C17 array", claim("nonce", json!(["other"]))),
        ("C18 missing", without("exp")),
        ("C18 past", claim("exp", now - 3600)),
        (
            "C18 just past the skew",
            Changed(vec![IdTokenFault::Shifted(-362)]),
        ),
        ("C18 text", claim("exp", (now + 300).to_string())),
        ("C18 negative", claim("exp", -1)),
        ("C18 huge", claim("exp", 1e300)),
        ("C18 null", claim("exp", Value::Null)),
        ("C18 array", claim("exp", json!([now + 300]))),
        ("C18 boolean", claim("exp", true)),
        ("C19 missing", without("iat")),
        ("C19 text", claim("iat", now.to_string())),
        ("C19 ahead", claim("iat", now + 3600)),
        ("C20 ahead", claim("nbf", now + 3600)),
        ("C20 text", claim("nbf", "now")),
        ("C21 missing", without("sub")),
        ("C21 empty", claim("sub", "")),
        ("C21 array", claim("sub", json!(["u-alice"]))),
        ("C21 number", claim("sub", 7)),
        ("C21 long", claim("sub", "s".repeat(256))),
        (
            "C21 control",
            claim("sub", "u-alice\r\nX-Forwarded-Groups: admins"),
        ),
        ("C22 wrong", claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
        (
            "C18, C19 an hour old",
            Changed(vec![IdTokenFault::Shifted(-3600)]),
        ),
        (
            "C18, C19 an hour ahead",
            Changed(vec![IdTokenFault::Shifted(3600)]),
        ),
    ];
    for (what, lie) in &lies {
        assert_refused(&world, what, lie);
    }
    let truths = vec![
        (
            "C16 a list of us alone",
            claim("aud", json!(["dashboards"])),
        ),
        (
            "C16 authorized party",
            Changed(vec![
                IdTokenFault::Claim("aud", Some(json!(["dashboards", "other"]))),
                IdTokenFault::Claim("azp", Some("dashboards".into())),
            ]),
        ),
        (
            "C18 within the skew",
            Changed(vec![IdTokenFault::Shifted(-305)]),
        ),
        (
            "C18 fraction",
            claim("exp", 0.5 + f64::from(i32::try_from(now + 300).unwrap())),
        ),
        ("C22 absent", without("at_hash")),
        ("C22 right", Changed(vec![IdTokenFault::RightCHash])),
    ];
    for (what, lie) in &truths {
        assert_accepted(&world, what, lie);
    }
}

// C17: a token of another login of the same person, sound in everything but its nonce.
#[test]
fn a_token_of_another_login_lets_nobody_in() {
    let world = curious_world();
    let claims = sound_claims(&world, "the-nonce-of-another-login");
    let other = world.provider.sign("JWT", &claims);
    assert_refused(&world, "C17 replayed", &Instead(Some(other.into())));
}

// C5: keys that a header brings along, or leads to, are not looked at.
#[test]
fn keys_that_a_token_brings_along_are_never_fetched_or_used() {
    let world = curious_world();
    let elsewhere = Upstream::start();
    let foreign = fresh_keys();
    let jwk = foreign.jwk(SigningAlgorithm::Rs256).clone();
    let brought = [
        ("jku", Value::from(format!("{}/keys", elsewhere.url()))),
        ("x5u", Value::from(format!("{}/chain", elsewhere.url()))),
        ("jwk", jwk),
        ("x5c", json!(["MIIB"])),
    ];
    for (name, value) in brought {
        let told = IdTokenFault::Header(name, Some(value));
        let forged = Changed(vec![told.clone(), IdTokenFault::ForeignKey]);
        assert_refused(&world, name, &forged);
        assert_accepted(&world, name, &Changed(vec![told]));
    }
    assert!(elsewhere.arrived().is_empty());
}

// C7: without a key id, the one key of the algorithm is the key.
#[test]
fn a_token_without_a_key_id_is_verified_by_the_one_key_that_fits() {
    let world = curious_world();
    let no_kid = IdTokenFault::Header("kid", None);
    assert_accepted(&world, "C7", &Changed(vec![no_kid]));
    let foreign = fresh_keys();
    let forged = Made(Box::new(move |claims| {
        let head = json!({ "alg": "RS256", "typ": "JWT" });
        foreign
            .sign(SigningAlgorithm::Rs256, &head, claims)
            .unwrap()
    }));
    assert_refused(&world, "C7 forged", &forged);
}

fn world_with_keys(fault: JwksFault) -> World {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    register(&provider, "dashboards", "/oauth2/callback");
    provider.set_fault(Fault::Jwks(fault));
    let text = yaml(provider.issuer(), &app.url(), "");
    let gate = Instance::start(&text, provider.clock());
    World {
        provider,
        app,
        gate,
    }
}

// D5: a key set may hold what we do not know, and keys that are not for this.
#[test]
fn strange_keys_in_the_set_are_passed_over() {
    for fault in [
        JwksFault::UnknownKty,
        JwksFault::UnknownAlg,
        JwksFault::EncryptionKeyFirst,
        JwksFault::DuplicateKid,
        JwksFault::OnlyRsa,
        JwksFault::Many(50),
    ] {
        let world = world_with_keys(fault);
        world.await_provider();
        let mut browser = world.browser();
        let form = browser.visit(&format!("{PUBLIC}/"));
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.answer.status, 200, "{fault:?}: {:?}", page.answer);
    }
}

// D5: a set beyond all measure is not read, and a login fails with a page and not with a crash.
#[test]
fn a_key_set_beyond_all_measure_is_refused_and_the_gate_recovers() {
    let world = World::start();
    for fault in [JwksFault::Empty, JwksFault::Many(4000)] {
        // Both kinds of key are gone from the gate's view: it must ask, and gets this.
        world
            .provider
            .provider()
            .rotate_keys(fresh_keys(), OldKeys::Withdrawn);
        world.gate.clock.advance(std::time::Duration::from_hours(1));
        let mut browser = world.browser();
        world.provider.set_fault(Fault::Jwks(fault));
        let form = browser.visit(&format!("{PUBLIC}/"));
        let page = browser.sign_in(&form, "alice");
        assert!(page.answer.status >= 400, "{fault:?}: {:?}", page.answer);
        assert_ne!(page.answer.status, 500, "{fault:?}");
        assert!(!has_session(&browser), "{fault:?}");
    }
    world.provider.clear_faults();
    world.gate.clock.advance(std::time::Duration::from_hours(1));
    world.signed_in("alice");
}

// D6: a key that the provider withdrew vouches for nobody, once the gate knows the newer set.
#[test]
fn a_key_that_was_withdrawn_vouches_for_nobody() {
    let world = curious_world();
    let retired = world.provider.provider().keys();
    world
        .provider
        .provider()
        .rotate_keys(fresh_keys(), OldKeys::Withdrawn);
    world.signed_in("alice");
    world.app.forget();
    let mut browser = world.browser();
    let begun = browser.open(&format!("{PUBLIC}/"));
    let url = url::Url::parse(begun.location()).unwrap();
    let nonce = url
        .query_pairs()
        .find(|(name, _)| name == "nonce")
        .unwrap()
        .1;
    let claims = sound_claims(&world, &nonce);
    let head = retired.header(SigningAlgorithm::Rs256, "JWT");
    let token = retired
        .sign(SigningAlgorithm::Rs256, &head, &claims)
        .unwrap();
    let fault = Fault::Member(Endpoint::Token, "id_token", Some(token.into()));
    world.provider.set_fault(fault);
    let form = browser.follow(&format!("{PUBLIC}/"), begun);
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.answer.status, 502, "{:?}", page.answer);
    assert!(!has_session(&browser));
    assert!(world.app.arrived().is_empty());
}
