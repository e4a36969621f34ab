//! People read their own language, programs and terminals read English.

use crate::support::instance::{PUBLIC, World};
use crate::support::raw::Answer;

/// What a person who reads these languages gets at `path`.
fn page(world: &World, path: &str, languages: &str) -> Answer {
    let fields = format!(
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\nAccept-Language: {languages}\r\n"
    );
    let url = format!("{PUBLIC}{path}");
    world.browser().request("GET", &url, &fields, b"")
}

#[test]
fn a_page_is_told_in_the_language_that_is_most_welcome() {
    let world = World::start();
    for (languages, tag, sign_in, title) in [
        (
            "en-GB,en;q=0.9",
            "en",
            "Sign in",
            "This way to sign in is not offered",
        ),
        (
            "de-AT,de;q=0.9,en;q=0.8",
            "de",
            "Anmelden",
            "Diese Anmeldung wird nicht angeboten",
        ),
        (
            "fr-CA",
            "fr",
            "Se connecter",
            "Ce mode de connexion n\u{2019}est pas propos\u{e9}",
        ),
        (
            "pt;q=0.9, es-419;q=0.8, en;q=0.1",
            "es",
            "Iniciar sesi\u{f3}n",
            "No se ofrece esta forma",
        ),
        (
            "ja",
            "ja",
            "\u{30b5}\u{30a4}\u{30f3}\u{30a4}\u{30f3}",
            "\u{3053}\u{306e}\u{65b9}\u{6cd5}",
        ),
        (
            "pt-BR, zh;q=0.5",
            "en",
            "Sign in",
            "This way to sign in is not offered",
        ),
    ] {
        let choice = page(&world, "/oauth2/sign_in", languages);
        let error = page(&world, "/oauth2/start?provider=nobody", languages);
        for (answer, words) in [(choice, sign_in), (error, title)] {
            let body = answer.text();
            assert!(
                body.contains(&format!("<html lang=\"{tag}\">")),
                "{languages}: {body}"
            );
            assert!(body.contains(words), "{languages}: {words}: {body}");
            assert_eq!(answer.field("content-language"), Some(tag), "{languages}");
            assert_eq!(answer.field("vary"), Some("Accept, Accept-Language"));
        }
    }
}

#[test]
fn programs_and_terminals_read_english() {
    let world = World::start();
    let url = format!("{PUBLIC}/oauth2/sign_out?return_to=/a&rd=/b");
    for (fields, kind) in [
        ("Accept: application/json\r\n", "application/problem+json"),
        ("Accept: text/plain\r\n", "text/plain; charset=utf-8"),
    ] {
        let fields = format!("Accept-Language: de\r\n{fields}");
        let answer = world.browser().request("GET", &url, &fields, b"");
        assert_eq!(answer.status, 400);
        assert_eq!(answer.field("content-type"), Some(kind));
        assert_eq!(answer.field("content-language"), Some("en"));
        assert!(
            answer
                .text()
                .contains("This request can\u{2019}t be understood")
        );
    }
}

// The log is the operator's: the visitor's language changes nothing there.
#[test]
fn the_log_is_told_in_english() {
    let world = World::start();
    let answer = page(&world, "/oauth2/start?provider=nobody", "ja");
    let reference = answer.field("x-request-id").unwrap();
    let log = world.gate.logged(reference);
    assert!(
        log.contains("no provider has the id that was asked for"),
        "{log}"
    );
}
