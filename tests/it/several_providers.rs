//! Two providers at one gate: people choose, and neither's word is ever taken for the other's.

use std::fmt::Write as _;

use serde_json::json;
use sidegate::base::secret::Secret;
use sidegate::demo::provider::{ClientRegistration, Endpoint};
use url::Url;

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, SECRET, World, key_file, register, secret_file};
use crate::support::provider::{Fault, TestProvider};
use crate::support::upstream::Upstream;

/// A gate whose `corp` is the world's provider, and whose `guests` is another one. Both know the
/// same people, sign with the same keys and know the gate under the same name and secret: nothing
/// but who they are tells them apart.
struct Two {
    world: World,
    guests: TestProvider,
}

impl Two {
    fn start(more: &str) -> Self {
        Self::of(TestProvider::start(), |_| {}, more)
    }

    fn of(corp: TestProvider, guests_fault: impl FnOnce(&TestProvider), more: &str) -> Self {
        let clock = corp.clock().clone();
        let guests = TestProvider::start_with(|options| options.clock = clock);
        guests_fault(&guests);
        register(&guests, "gate", "/oauth2/callback/guests");
        let mut client = ClientRegistration::new(
            "gate",
            Some(Secret::new(SECRET.to_owned())),
            format!("{PUBLIC}/oauth2/callback/corp"),
        );
        // Whoever runs `guests` may have got that in, too.
        let foreign = format!("{PUBLIC}/oauth2/callback/guests");
        client.redirect_uris.push(foreign);
        corp.provider().register(client).unwrap();
        let app = Upstream::start();
        let text = yaml_of(&[("corp", &corp), ("guests", &guests)], &app, more);
        let gate = Instance::start(&text, corp.clock());
        let world = World {
            provider: corp,
            app,
            gate,
        };
        Self { world, guests }
    }

    fn started(self) -> Self {
        self.world.await_provider();
        self
    }

    fn tokens_asked(&self) -> usize {
        let corp = self.world.provider.hits_of(Endpoint::Token).len();
        corp + self.guests.hits_of(Endpoint::Token).len()
    }

    /// A browser in which `username` has signed in at `provider`.
    fn signed_in(&self, provider: &str, username: &str) -> Browser {
        let mut browser = self.world.browser();
        let callback = browser.reach_callback(&start(provider), username);
        let answer = browser.open(callback.as_str());
        assert!(answer.sets_session(), "{answer:?}");
        browser
    }
}

fn yaml_of(providers: &[(&str, &TestProvider)], app: &Upstream, more: &str) -> String {
    let secret = secret_file();
    let mut list = String::new();
    for (id, provider) in providers {
        let issuer = provider.issuer();
        writeln!(list, "  - {{ id: {id}, issuer: \"{issuer}\", client_id: gate, client_secret: {{ file: {secret} }} }}").unwrap();
    }
    format!(
        "public_url: {PUBLIC}\nproviders:\n{list}session: {{ keys: [{{ file: {} }}] }}\nupstreams: {{ app: {} }}\n{more}\n",
        key_file(),
        app.url(),
    )
}

fn start(provider: &str) -> String {
    format!("{PUBLIC}/oauth2/start?provider={provider}&return_to=/page")
}

fn value(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    pairs.find(|(own, _)| own == name).unwrap().1.into_owned()
}

/// A callback of `provider` with these parameters; an empty one is left out.
fn callback(provider: &str, code: &str, state: &str, iss: &str) -> String {
    let mut url = Url::parse(&format!("{PUBLIC}/oauth2/callback/{provider}")).unwrap();
    for (name, value) in [("code", code), ("state", state), ("iss", iss)] {
        if !value.is_empty() {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url.into()
}

/// One callback of two: that of `corp`'s login and that of `guests`'.
type Mixture<'a> = dyn Fn(&Url, &Url) -> String + 'a;

// B6, B7: whatever of two logins is mixed into one answer, nobody gets in, and no provider sees a
// code.
#[test]
fn no_mixture_of_two_providers_answers_is_sent_anywhere() {
    let two = Two::start("").started();
    let (corp, guests) = (two.world.provider.issuer(), two.guests.issuer());
    let mixtures: [(&str, &Mixture<'_>); 13] = [
        ("the other's code and iss", &|a, b| {
            callback("corp", &value(b, "code"), &value(a, "state"), guests)
        }),
        ("the other's code, and no iss", &|a, b| {
            callback("corp", &value(b, "code"), &value(a, "state"), "")
        }),
        ("the other's iss alone", &|a, _| {
            callback("corp", &value(a, "code"), &value(a, "state"), guests)
        }),
        ("the other's state, code and iss", &|_, b| {
            callback("corp", &value(b, "code"), &value(b, "state"), guests)
        }),
        ("the other's state alone", &|a, b| {
            callback("corp", &value(a, "code"), &value(b, "state"), corp)
        }),
        ("the other's state, and no iss", &|a, b| {
            callback("corp", &value(a, "code"), &value(b, "state"), "")
        }),
        ("at the other's callback", &|a, _| {
            callback("guests", &value(a, "code"), &value(a, "state"), corp)
        }),
        ("at the other's callback, with its iss", &|a, _| {
            callback("guests", &value(a, "code"), &value(a, "state"), guests)
        }),
        ("at the other's callback, with its state", &|a, b| {
            callback("guests", &value(a, "code"), &value(b, "state"), corp)
        }),
        ("an iss with a slash more", &|a, _| {
            let iss = format!("{corp}/");
            callback("corp", &value(a, "code"), &value(a, "state"), &iss)
        }),
        ("an iss in capitals", &|a, _| {
            let iss = corp.to_uppercase();
            callback("corp", &value(a, "code"), &value(a, "state"), &iss)
        }),
        ("an iss that is encoded twice", &|a, _| {
            let iss = corp.replace(':', "%3A");
            callback("corp", &value(a, "code"), &value(a, "state"), &iss)
        }),
        ("no iss", &|a, _| {
            callback("corp", &value(a, "code"), &value(a, "state"), "")
        }),
    ];
    for (what, mixture) in mixtures {
        let mut browser = two.world.browser();
        let at_corp = browser.reach_callback(&start("corp"), "alice");
        let at_guests = browser.reach_callback(&start("guests"), "alice");
        let answer = browser.open(&mixture(&at_corp, &at_guests));
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(!answer.sets_session(), "{what}: {answer:?}");
        assert!(answer.field("location").is_none(), "{what}");
        assert_eq!(two.tokens_asked(), 0, "{what}");
    }
    let mut browser = two.world.browser();
    let at_corp = browser.reach_callback(&start("corp"), "alice");
    let nowhere = at_corp.as_str().replace("/corp?", "/nobody?");
    assert!(!browser.open(&nowhere).sets_session());
    assert_eq!(two.tokens_asked(), 0, "a callback of no provider");
    assert!(browser.open(at_corp.as_str()).sets_session());
    assert_eq!(two.world.provider.hits_of(Endpoint::Token).len(), 1);
    assert_eq!(two.guests.hits_of(Endpoint::Token).len(), 0);
}

// B7: a provider that promises no `iss` may leave it out; a wrong one is refused all the same.
#[test]
fn an_issuer_that_was_not_promised_must_still_be_right() {
    let silent = |provider: &TestProvider| {
        let name = "authorization_response_iss_parameter_supported";
        provider.set_fault(Fault::Member(Endpoint::Discovery, name, None));
    };
    let two = Two::of(TestProvider::start(), silent, "").started();
    let mut browser = two.world.browser();
    for (what, iss) in [
        ("the other's", two.world.provider.issuer().to_owned()),
        ("a slash more", format!("{}/", two.guests.issuer())),
    ] {
        let url = browser.reach_callback(&start("guests"), "alice");
        let wrong = callback("guests", &value(&url, "code"), &value(&url, "state"), &iss);
        assert_eq!(browser.open(&wrong).status, 400, "{what}");
        assert_eq!(two.tokens_asked(), 0, "{what}");
    }
    for iss in ["", two.guests.issuer()] {
        let url = browser.reach_callback(&start("guests"), "alice");
        let right = callback("guests", &value(&url, "code"), &value(&url, "state"), iss);
        assert!(browser.open(&right).sets_session(), "{iss}");
    }
}

// B6, B9: a provider that sends people on to another one's sign-in page does not get the code that
// comes of it, whether or not it promises an `iss`.
#[test]
fn a_provider_that_lends_anothers_sign_in_page_gets_no_code() {
    for promised in [json!(true), json!(false)] {
        let corp = TestProvider::start();
        let page = format!("{}/authorize", corp.issuer());
        let lends = |guests: &TestProvider| {
            let name = "authorization_response_iss_parameter_supported";
            guests.set_fault(Fault::Member(
                Endpoint::Discovery,
                "authorization_endpoint",
                Some(json!(page)),
            ));
            guests.add_fault(Fault::Member(
                Endpoint::Discovery,
                name,
                Some(promised.clone()),
            ));
        };
        let two = Two::of(corp, lends, "").started();
        let mut browser = two.world.browser();
        let url = browser.reach_callback(&start("guests"), "alice");
        assert_eq!(url.path(), "/oauth2/callback/guests");
        assert_eq!(value(&url, "iss"), two.world.provider.issuer());
        let answer = browser.open(url.as_str());
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(!answer.sets_session());
        assert_eq!(two.tokens_asked(), 0, "promised: {promised}");
    }
}

// B6: people choose where to sign in, and come back to their page by either way.
#[test]
fn the_sign_in_page_leads_to_each_provider_and_back_to_the_page() {
    let two = Two::start("").started();
    let deep = format!("{PUBLIC}/deep?a=1&b=%2F");
    for (id, issuer) in [
        ("corp", two.world.provider.issuer()),
        ("guests", two.guests.issuer()),
    ] {
        let mut browser = two.world.browser();
        let choice = browser.visit(&deep);
        assert_eq!(choice.url.path(), "/oauth2/sign_in");
        let html = choice.answer.text();
        let links: Vec<_> = html
            .split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|href| href.contains("start"))
            .map(|href| href.replace("&#x2f;", "/").replace("&amp;", "&"))
            .collect();
        assert_eq!(links.len(), 2, "{html}");
        let named = format!("provider={id}");
        let link = links.iter().find(|link| link.contains(&named)).unwrap();
        let form = browser.visit(choice.url.join(link).unwrap().as_str());
        assert!(form.url.as_str().starts_with(issuer), "{}", form.url);
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.url.as_str(), deep);
        assert_eq!(page.answer.status, 200);
    }
}

const RULES: &str = "routes:
  - { match: { path: /group/** }, access: { groups: [\"corp:admins\"] } }
  - { match: { path: /person/** }, access: { subjects: [\"corp:u-alice\"] } }
  - { match: { path: /domain/** }, access: { emails: [\"corp:@example.com\"] } }
  - { match: { path: /guest/** }, access: { groups: [\"guests:admins\"] } }
  - { access: signed_in }";

// B6, C24: the same person, groups and address said by the other provider open no rule, and the app
// hears whose word it is.
#[test]
fn neither_provider_speaks_for_the_other() {
    let two = Two::start(RULES).started();
    let corps = ["/group/x", "/person/x", "/domain/x"];
    for (provider, open, shut) in [
        ("corp", &corps[..], &["/guest/x"][..]),
        ("guests", &["/guest/x"], &corps),
    ] {
        let mut browser = two.signed_in(provider, "alice");
        for path in open {
            let answer = browser.open(&format!("{PUBLIC}{path}"));
            assert_eq!(answer.status, 200, "{provider} {path}");
            let seen = two.world.app.last();
            let user = format!("{provider}:u-alice");
            assert_eq!(seen.fields("X-Forwarded-User"), [user]);
            let groups = format!("{provider}:admins,{provider}:dev");
            assert_eq!(seen.fields("X-Forwarded-Groups"), [groups]);
        }
        two.world.app.forget();
        for path in shut {
            let answer = browser.open(&format!("{PUBLIC}{path}"));
            assert_eq!(answer.status, 403, "{provider} {path}");
        }
        assert!(two.world.app.arrived().is_empty(), "{provider}");
    }
}

// B6, C24: nor by a group or subject whose name begins like a word of the other.
#[test]
fn no_name_that_a_provider_makes_up_is_anothers() {
    let two = Two::start(RULES).started();
    let names = ["corp:admins", "admins,corp:admins", "x\ncorp:admins"];
    let groups = names.map(str::to_owned).to_vec();
    two.guests.provider().set_groups("alice", groups).unwrap();
    two.guests
        .set_fault(Fault::Claim("sub", Some(json!("corp:u-alice"))));
    let mut browser = two.signed_in("guests", "alice");
    for path in ["/group/x", "/person/x"] {
        assert_eq!(browser.open(&format!("{PUBLIC}{path}")).status, 403);
    }
    assert!(two.world.app.arrived().is_empty());
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 200);
    let seen = two.world.app.last();
    assert_eq!(
        seen.fields("X-Forwarded-User"),
        ["guests:corp:u-alice".to_owned()]
    );
    for group in seen.fields("X-Forwarded-Groups")[0].split(',') {
        assert!(group.starts_with("guests:"), "{group}");
    }
}

// B6: signing in at the second provider leaves nothing of the first's word.
#[test]
fn a_second_login_elsewhere_takes_the_place_of_the_first() {
    let two = Two::start(RULES).started();
    let mut browser = two.signed_in("corp", "alice");
    assert_eq!(browser.open(&format!("{PUBLIC}/group/x")).status, 200);
    let url = browser.reach_callback(&start("guests"), "bob");
    assert!(browser.open(url.as_str()).sets_session());
    assert_eq!(browser.open(&format!("{PUBLIC}/group/x")).status, 403);
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 200);
    let seen = two.world.app.last();
    assert_eq!(seen.fields("X-Forwarded-User"), ["guests:u-bob"]);
    assert_eq!(seen.fields("X-Forwarded-Groups"), ["guests:dev"]);
}

// B6, E11: a session stays the word of the issuer that gave it: where a reload takes that one away,
// or gives its id to the other, the session is over.
#[test]
fn a_reload_that_gives_an_id_to_another_issuer_ends_its_sessions() {
    let two = Two::start(RULES).started();
    let mut browser = two.signed_in("guests", "alice");
    assert_eq!(browser.open(&format!("{PUBLIC}/guest/x")).status, 200);
    let swapped = [("corp", &two.guests), ("guests", &two.world.provider)];
    let text = yaml_of(&swapped, &two.world.app, RULES);
    two.world.gate.reload(&text).unwrap();
    two.world.app.forget();
    for path in ["/guest/x", "/group/x", "/page"] {
        let answer = browser.fetch("GET", &format!("{PUBLIC}{path}"), "");
        assert_eq!(answer.status, 401, "{path}");
    }
    assert!(two.world.app.arrived().is_empty());
}

// B1, G4: a provider that is down keeps nobody from the other.
#[test]
fn a_provider_that_is_down_keeps_nobody_from_the_other() {
    let down = |provider: &TestProvider| {
        let status = http::StatusCode::INTERNAL_SERVER_ERROR;
        provider.set_fault(Fault::Status(Endpoint::Discovery, status));
    };
    let two = Two::of(TestProvider::start(), down, "");
    let mut browser = two.signed_in("corp", "alice");
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 200);
    let other = two.world.browser().open(&start("guests"));
    assert_eq!(other.status, 503, "{other:?}");
}
