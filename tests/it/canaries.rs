//! No secret is in any log, page or request, in any encoding.

use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sidegate::demo::provider::Endpoint;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::support::browser::{Browser, Page};
use crate::support::instance::{KEY, PUBLIC, SECRET, World, yaml};
use crate::support::provider::{Fault, IdTokenFault};

/// Everything that was said to `tracing`, by all tests of the process: none may say a secret.
#[derive(Clone, Default)]
struct Diagnostics(Arc<Mutex<Vec<u8>>>);

impl io::Write for Diagnostics {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Diagnostics {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A secret, and what it is called when it is found.
struct Canary {
    what: String,
    text: String,
}

fn canary(what: &str, text: &str) -> Canary {
    assert!(text.len() >= 8, "{what} is too short to be looked for");
    Canary {
        what: what.to_owned(),
        text: text.to_owned(),
    }
}

fn hexadecimal(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    bytes.concat()
}

/// The text as it is, URL-encoded, in base64 at each of the three offsets, and in hexadecimal.
fn encodings(text: &str) -> Vec<String> {
    let mut all = vec![
        text.to_owned(),
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        hexadecimal(text),
        hexadecimal(text).to_uppercase(),
    ];
    for skip in 0..3 {
        // Only whole groups of three: what stands beside a secret changes the rest.
        let bytes = text.as_bytes().get(skip..).unwrap_or_default();
        let whole = &bytes[..bytes.len() - bytes.len() % 3];
        all.push(STANDARD_NO_PAD.encode(whole));
        all.push(URL_SAFE_NO_PAD.encode(whole));
    }
    all
}

fn assert_absent(canaries: &[Canary], place: &str, text: &str) {
    for canary in canaries {
        for encoded in encodings(&canary.text) {
            assert!(
                !text.contains(&encoded),
                "{} is in {place}, as {encoded}",
                canary.what
            );
        }
    }
}

fn failed_login(world: &World, fault: Fault, seen: &mut Vec<Browser>) -> Page {
    world.provider.set_fault(fault);
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/failing"));
    let page = browser.sign_in(&form, "alice");
    assert!(page.answer.status >= 400);
    world.provider.clear_faults();
    seen.push(browser);
    page
}

/// What came in the answers of the gate alone, without what belongs there: the sealed cookies, and
/// the redirect that takes state and nonce to the provider.
fn seen_of_gate(browser: &Browser) -> String {
    let mut text = String::new();
    for answer in &browser.seen {
        // The provider's own answers have no reference.
        if answer.field("x-request-id").is_none() && answer.field("x-app").is_none() {
            continue;
        }
        for (name, value) in &answer.fields {
            let own = name.eq_ignore_ascii_case("set-cookie")
                || (name.eq_ignore_ascii_case("location") && value.contains("/authorize?"));
            if !own {
                text.extend([name.as_str(), ": ", value, "\n"]);
            }
        }
        text.push_str(&answer.text());
    }
    text
}

// T1: a whole story with the log at its most talkative; then every secret that was in it is looked
// for in everything that anybody could have seen.
#[test]
fn no_secret_of_a_whole_story_is_in_any_log_page_or_request_to_the_app() {
    let diagnostics = Diagnostics::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(diagnostics.clone());
    tracing::subscriber::set_global_default(registry().with(layer)).expect("the only one");

    let world = World::with_provider(
        "    userinfo: always\n    id_token_hint: always",
        "log: { level: trace }\nroutes: [{ match: { path: /admin/** }, access: { groups: [nobody] } }, { access: signed_in }]",
    );
    let mut seen = Vec::new();

    // A login, its pages, a denial, a refused script, a sign-out.
    let mut browser = world.signed_in("alice");
    let values: Vec<_> = browser.jar.clone();
    drop(browser.open(&format!("{PUBLIC}/page?token=query-canary-77f1")));
    assert_eq!(browser.open(&format!("{PUBLIC}/admin/x")).status, 403);
    drop(browser.open(&format!("{PUBLIC}/oauth2/userinfo")));
    drop(browser.fetch("GET", &format!("{PUBLIC}/oauth2/userinfo"), ""));
    drop(browser.open(&format!("{PUBLIC}/oauth2/sign_in")));
    let authorization = "Authorization: Bearer authorization-canary-91c2\r\n";
    drop(browser.fetch("GET", &format!("{PUBLIC}/api"), authorization));
    let out = format!("{PUBLIC}/oauth2/sign_out");
    let answer = browser.submit(&out, &format!("{PUBLIC}/"), "");
    // The hint goes where it must, to the provider, and is no secret of this gate's pages.
    let sign_out = answer.field("location").unwrap_or_default().to_owned();
    drop(browser.follow(&out, answer));
    seen.push(browser);

    // Failures of each kind.
    for fault in [
        Fault::IdToken(IdTokenFault::BrokenSignature),
        Fault::IdToken(IdTokenFault::Claim("nonce", Some("other".into()))),
        Fault::IdToken(IdTokenFault::Claim("iss", Some("https://x.test".into()))),
        Fault::IdToken(IdTokenFault::Shifted(-7200)),
        Fault::IdToken(IdTokenFault::Claim("sub", None)),
        Fault::Status(Endpoint::Token, http::StatusCode::BAD_REQUEST),
        Fault::Status(Endpoint::Userinfo, http::StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Html(Endpoint::Token),
        Fault::HungUp(Endpoint::Token),
        Fault::CutShort(Endpoint::Token),
        Fault::Member(Endpoint::Token, "token_type", Some("mac".into())),
        Fault::Member(Endpoint::Userinfo, "sub", Some("u-bob".into())),
    ] {
        failed_login(&world, fault, &mut seen);
    }
    let mut lost = world.browser();
    let callback =
        format!("{PUBLIC}/oauth2/callback?code=code-canary-3b9d&state=state-canary-5e2a");
    drop(lost.open(&callback));
    drop(lost.fetch("GET", &callback, ""));
    let error = format!("{PUBLIC}/oauth2/callback?error=access_denied&state=state-canary-5e2a");
    drop(lost.open(&error));
    seen.push(lost);

    // A reload, good and bad.
    let text = yaml(world.provider.issuer(), &world.app.url(), "");
    world.gate.reload(&text).unwrap();
    let refused = world.gate.reload("nonsense: 1").unwrap_err();

    // What must not be found.
    let mut canaries = vec![
        canary("the client secret", SECRET),
        canary("the session key", KEY),
        canary("a foreign authorization", "authorization-canary-91c2"),
        canary("a code that nobody issued", "code-canary-3b9d"),
    ];
    for secret in world.provider.provider().issued_secrets() {
        canaries.push(canary("something the provider issued", secret.expose()));
    }
    for hit in world.provider.hits() {
        for name in ["code", "code_verifier", "refresh_token"] {
            if let Some(value) = hit.form.value(name) {
                canaries.push(canary(name, value));
            }
        }
        if let Some(nonce) = hit.query.value("nonce") {
            canaries.push(canary("nonce", nonce));
        }
    }
    for cookie in values.iter().filter(|one| one.host == "gate.test") {
        canaries.push(canary(&cookie.name, &cookie.value));
    }
    for what in ["code_verifier", "code", "nonce"] {
        let found = canaries.iter().any(|canary| canary.what == what);
        assert!(found, "the story had a {what}");
    }
    assert!(canaries.len() > 20);
    // The state is in addresses that a browser sees; a log has no use for it.
    let mut log_canaries = vec![
        canary("a state that nobody issued", "state-canary-5e2a"),
        canary("a query", "query-canary-77f1"),
    ];
    for hit in world.provider.hits() {
        if let Some(state) = hit.query.value("state") {
            log_canaries.push(canary("state", state));
        }
    }

    drop(
        world
            .browser()
            .fetch("GET", &format!("{PUBLIC}/the-end"), ""),
    );
    let log = world.gate.logged("the-end");
    let said = String::from_utf8_lossy(&diagnostics.0.lock().unwrap()).into_owned();
    assert!(log.contains("login_failed") && log.contains("\"event\":\"login\""));
    assert!(said.contains("provider is answering"), "{said}");
    for (place, text) in [("the log", &log), ("the diagnostics", &said)] {
        assert_absent(&canaries, place, text);
        assert_absent(&log_canaries, place, text);
    }
    assert_absent(&canaries, "the refused reload", &refused);
    for browser in &seen {
        let mut text = seen_of_gate(browser);
        if !sign_out.is_empty() {
            text = text.replace(&sign_out, "");
        }
        assert!(!text.is_empty());
        assert_absent(&canaries, "an answer", &text);
    }
    // The browser's own `Authorization` is for the app.
    let kept: Vec<_> = canaries
        .into_iter()
        .filter(|canary| canary.what != "a foreign authorization")
        .collect();
    for arrived in world.app.arrived() {
        assert_absent(&kept, "a request to the app", &arrived.text());
    }
}

// T1: an operator who prints the settings, or a developer who prints the structure, sees no secret.
#[test]
fn the_settings_do_not_show_secrets_when_they_are_printed() {
    let world = World::start();
    let generation = world.gate.shared.current.load();
    let text = format!("{:?} {:?}", generation.config, generation);
    assert!(text.contains("dashboards"));
    let canaries = [
        canary("the client secret", SECRET),
        canary("the session key", KEY),
    ];
    assert_absent(&canaries, "Debug", &text);
}
