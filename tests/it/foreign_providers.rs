//! The same story at every provider, our own and those that others wrote: whatever a step demands
//! of one of them it demands of all. `docs/PROVIDERS.md` has the table.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::browser::{Browser, Page};
use crate::support::foreign::{Abroad, Make, Peer};
use crate::support::instance::{PUBLIC, SECRET};
use crate::support::upstream::Upstream;

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

/// The story, in its order. Each step holds at every provider.
const STEPS: &[(&str, fn(&mut Story))] = &[
    ("login", login),
    ("identity", identity),
    ("denied", denied),
    ("not admitted", not_admitted),
    ("groups change", groups_change),
    ("sign-out", sign_out),
    ("signed out at the provider", signed_out_at_the_provider),
];

fn told(make: Make, more: &Value) {
    let world = Abroad::start(Peer::start(make, more), SCOPES, ROUTES);
    let alice = world.browser();
    let mut story = Story {
        world,
        alice,
        subject: String::new(),
    };
    for (name, step) in STEPS {
        println!("step: {name}"); // shown with a failure
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
    let form = world.peer.visit(alice, &deep);
    assert!(world.app.arrived().is_empty(), "nothing before the login");
    let page = world.peer.sign_in(alice, &form, "alice");
    assert_eq!(page.url.as_str(), deep);
    assert_through(world, &page);
    assert!(
        world
            .app
            .last()
            .request_line()
            .contains(&format!("{DEEP} "))
    );
    assert_eq!(world.peer.token_calls("authorization_code"), 1);
}

fn identity(story: &mut Story) {
    let (peer, last) = (&story.world.peer, story.world.app.last());
    let [subject] = <[String; 1]>::try_from(last.fields("X-Forwarded-User")).unwrap();
    match peer.subject("alice") {
        Some(known) => assert_eq!(subject, known),
        None => assert!(
            subject.len() > 20 && !subject.contains("alice"),
            "{subject}"
        ),
    }
    story.subject = subject;
    assert_eq!(last.fields("X-Forwarded-Email"), [peer.address_of("alice")]);
    assert_eq!(last.fields("X-Forwarded-Groups"), ["admins,dev"]);
    assert_eq!(last.fields("X-Forwarded-Preferred-Username"), ["alice"]);
    let page = story
        .world
        .peer
        .visit(&mut story.alice, &format!("{PUBLIC}/admin/x"));
    assert_through(&story.world, &page);
}

fn denied(story: &mut Story) {
    let world = &story.world;
    let mut bob = world.browser();
    let form = world.peer.visit(&mut bob, &format!("{PUBLIC}/admin/x"));
    world.app.forget();
    let page = world.peer.sign_in(&mut bob, &form, "bob");
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(world.app.arrived().is_empty());
    let page = world.peer.visit(&mut bob, &format!("{PUBLIC}/open"));
    assert_through(world, &page);
    assert_ne!(
        world.app.last().fields("X-Forwarded-User"),
        [story.subject.as_str()]
    );
}

fn not_admitted(story: &mut Story) {
    let world = &story.world;
    let mut carol = world.browser();
    let form = world.peer.visit(&mut carol, &format!("{PUBLIC}/open"));
    world.app.forget();
    let page = world.peer.sign_in(&mut carol, &form, "carol");
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(world.app.arrived().is_empty());
    let sessions = carol.names("gate.test");
    assert!(sessions.is_empty(), "no session is left: {sessions:?}");
}

fn groups_change(story: &mut Story) {
    let world = &story.world;
    world.peer.set_groups("alice", &["ops"]);
    let mut anew = world.browser();
    let form = world.peer.visit(&mut anew, &format!("{PUBLIC}/open"));
    let page = world.peer.sign_in(&mut anew, &form, "alice");
    assert_through(world, &page);
    let last = world.app.last();
    assert_eq!(last.fields("X-Forwarded-Groups"), ["ops"]);
    assert_eq!(last.fields("X-Forwarded-User"), [story.subject.as_str()]);
    world.app.forget();
    let page = world.peer.visit(&mut anew, &format!("{PUBLIC}/admin/x"));
    assert_eq!(page.answer.status, 403, "no admin any more");
    assert!(world.app.arrived().is_empty());
}

fn sign_out(story: &mut Story) {
    let Story { world, alice, .. } = story;
    let out = format!("{PUBLIC}/oauth2/sign_out");
    let answer = alice.submit(&out, &format!("{PUBLIC}/"), "");
    let page = alice.follow(&out, answer);
    let page = world.peer.sign_out(alice, page);
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
    let form = world.peer.visit(alice, &format!("{PUBLIC}{DEEP}"));
    assert!(
        world.peer.asks(&form),
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
    let form = world.peer.visit(alice, &deep);
    let page = world.peer.sign_in(alice, &form, "alice");
    assert_through(world, &page);
    let forget_gate = |browser: &mut Browser| browser.jar.retain(|one| one.host != "gate.test");
    forget_gate(alice);
    let page = world.peer.visit(alice, &deep);
    assert_through(world, &page);
    world.peer.revoke("alice");
    forget_gate(alice);
    world.app.forget();
    let form = world.peer.visit(alice, &deep);
    assert!(world.peer.asks(&form), "a login again: {}", form.url);
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

// -------------------------------------------------------------------------------- rows

/// Alice signs in at this provider, with these lines in its settings, and asks for the admins' page.
fn alice_at(make: Make, more: &Value, lines: &str) -> (Abroad, Page) {
    let world = Abroad::start(Peer::start(make, more), lines, ROUTES);
    let page = alice_in(&world);
    (world, page)
}

fn alice_in(world: &Abroad) -> Page {
    let mut alice = world.browser();
    let form = world.peer.visit(&mut alice, &format!("{PUBLIC}/admin/x"));
    world.peer.sign_in(&mut alice, &form, "alice")
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

// RFC 9864 section 2.2: what the curve is stands in the name.
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

// C17, OpenID Connect Core section 3.1.3.7: other audiences are in order where we are the party
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
        let world = Abroad::start(Peer::start(make, &Value::Null), &lines, ROUTES);
        let mut alice = world.browser();
        let form = world.peer.visit(&mut alice, &format!("{PUBLIC}/open"));
        let page = world.peer.sign_in(&mut alice, &form, "alice");
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
            Make::Embedded | Make::OidcProvider => world.peer.sign_out(&mut alice, page),
            Make::Authlib | Make::Glewlwyd => continue,
        };
        assert!(
            back.answer.text().contains("You are signed out"),
            "{make:?}: {}",
            back.url
        );
        let form = world.peer.visit(&mut alice, &format!("{PUBLIC}/open"));
        assert!(world.peer.asks(&form), "{make:?}: {}", form.url);
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
    let address = world.peer.address_of("alice");
    assert_eq!(world.app.last().fields("X-Forwarded-Email"), [address]);
}

// C25: an address of which nobody says that it is verified opens nothing and is told to no app,
// unless the operator vouches for the provider.
#[test]
fn an_address_that_nobody_verified_opens_nothing() {
    let rule = "routes: [{ match: { path: /admin/** }, access: { emails: [\"@example.com\"] } }, { access: signed_in }]\n";
    let silent = json!({ "without": ["email_verified"] });
    for make in [Make::Glewlwyd, Make::Authlib] {
        let world = Abroad::start(Peer::start(make, &silent), ASKED, rule);
        let mut alice = world.browser();
        let form = world.peer.visit(&mut alice, &format!("{PUBLIC}/admin/x"));
        let page = world.peer.sign_in(&mut alice, &form, "alice");
        assert_eq!(page.answer.status, 403, "{}", page.answer.text());
        assert!(world.app.arrived().is_empty());
        let page = world.peer.visit(&mut alice, &format!("{PUBLIC}/open"));
        assert_through(&world, &page);
        assert!(world.app.last().fields("X-Forwarded-Email").is_empty());

        let trusted = format!("{ASKED}    insecure_trust_email: true\n");
        let world = Abroad::start(Peer::start(make, &silent), &trusted, rule);
        let page = alice_in(&world);
        assert_admin(&world, &page);
        let told = world.app.last().fields("X-Forwarded-Email");
        assert_eq!(told, [world.peer.address_of("alice")]);
    }
}

// B1: the issuer is compared byte for byte, and who gets it wrong is told what is wrong.
#[test]
fn a_slash_too_many_or_too_few_is_no_login_and_says_so() {
    for (path, configured) in [("/op", "/op/"), ("/op/", "/op")] {
        let mut peer = Peer::start(Make::Authlib, &json!({ "path": path }));
        let published = peer.issuer.clone();
        peer.issuer = format!("{}{configured}", peer.origin());
        let world = Abroad::start_unasked(peer, ASKED, ROUTES);
        let cause = world.gate.await_fault();
        assert!(cause.contains(&format!("`{published}`")), "{cause}");
        assert!(cause.contains("slash"), "{cause}");
        let page = world.browser().visit(&format!("{PUBLIC}/"));
        assert_eq!(page.answer.status, 503, "{}", page.url);
        assert!(world.app.arrived().is_empty());
    }
}

// A17: we ask for no response mode, so that a code comes by GET; what comes by POST is refused
// before anything of it is read, and spends nothing.
#[test]
fn a_code_that_comes_by_form_post_is_refused_and_not_redeemed() {
    let world = Abroad::start(Peer::start(Make::Glewlwyd, &Value::Null), ASKED, ROUTES);
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
    let posting = world.peer.sign_in(&mut alice, &page, "alice");
    assert!(posting.url.as_str().starts_with(&world.peer.origin()));
    assert!(
        posting.answer.text().contains("name=\"code\""),
        "{}",
        posting.answer.text()
    );
    let answer = alice.submit_form(&posting, &[]);
    assert_eq!(answer.status, 405, "{}", answer.text());
    assert_eq!(answer.field("allow"), Some("GET"));
    assert_eq!(world.peer.token_calls("authorization_code"), 0);
    assert!(world.app.arrived().is_empty());
}

// ----------------------------------------------------------------------------- renewal

/// A client by hand: what the providers do with refresh tokens, without a gate between.
struct Client<'a> {
    peer: &'a Peer,
    browser: Browser,
    metadata: Value,
}

impl<'a> Client<'a> {
    fn of(peer: &'a Peer, app: &Upstream) -> Self {
        let mut browser = Browser::new()
            .resolve(PUBLIC, app.address)
            .resolve(&peer.origin(), peer.address());
        let base = peer.issuer.trim_end_matches('/');
        let document = browser.open(&format!("{base}/.well-known/openid-configuration"));
        let metadata = serde_json::from_str(&document.text()).unwrap();
        Self {
            peer,
            browser,
            metadata,
        }
    }

    /// Signs in and gives the token answer.
    fn sign_in(&mut self, username: &str) -> Value {
        let verifier = "verifier-of-a-test-with-at-least-forty-three-characters";
        let hash = digest(&SHA256, verifier.as_bytes());
        let callback = format!("{PUBLIC}/oauth2/callback");
        // Another one each time: some look whether it was there before.
        let nonce = format!("nonce-of-a-test-{}", self.browser.seen.len());
        let query = encoded(&[
            ("response_type", "code"),
            ("client_id", "dashboards"),
            ("redirect_uri", &callback),
            ("scope", "openid profile email groups"),
            ("state", "state-of-a-test-0123456789"),
            ("nonce", &nonce),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(hash)),
            ("code_challenge_method", "S256"),
        ]);
        let url = self.metadata["authorization_endpoint"].as_str().unwrap();
        let form = self
            .peer
            .visit(&mut self.browser, &format!("{url}?{query}"));
        let page = self.peer.sign_in(&mut self.browser, &form, username);
        let code = page.url.query_pairs().find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("no code: {}", page.url)).1;
        let (status, tokens) = self.ask(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &callback),
            ("code_verifier", verifier),
        ]);
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    fn renew(&mut self, tokens: &Value) -> (u16, Value) {
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        self.ask(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ])
    }

    fn ask(&mut self, form: &[(&str, &str)]) -> (u16, Value) {
        let secret = STANDARD.encode(format!("dashboards:{SECRET}"));
        let fields = format!(
            "Authorization: Basic {secret}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        let url = self.metadata["token_endpoint"].as_str().unwrap().to_owned();
        let answer = self
            .browser
            .request("POST", &url, &fields, encoded(form).as_bytes());
        let told = serde_json::from_str(&answer.text()).unwrap_or_default();
        (answer.status, told)
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(pairs);
    text.finish()
}

/// What the stories of renewal rest on, at each of them.
#[test]
fn every_provider_rotates_refresh_tokens_counts_them_and_can_revoke_them() {
    for make in [
        Make::Embedded,
        Make::OidcProvider,
        Make::Authlib,
        Make::Glewlwyd,
    ] {
        let (peer, app) = (Peer::renewing(make, 7), Upstream::start());
        let mut client = Client::of(&peer, &app);
        let first = client.sign_in("alice");
        assert_eq!(first["expires_in"], 7, "{make:?}: {first}");
        let (status, second) = client.renew(&first);
        assert_eq!(status, 200, "{make:?}: {second}");
        assert_ne!(first["refresh_token"], second["refresh_token"], "{make:?}");
        assert_eq!(peer.token_calls("authorization_code"), 1, "{make:?}");
        assert_eq!(peer.token_calls("refresh_token"), 1, "{make:?}");
        peer.revoke("alice");
        let (status, refused) = client.renew(&second);
        assert_eq!(status, 400, "{make:?}: {refused}");
        assert_eq!(peer.token_calls("refresh_token"), 2, "{make:?}");
        let anew = client.sign_in("alice");
        assert_eq!(
            client.renew(&anew).0,
            200,
            "{make:?}: a new login is a new start"
        );
    }
}
