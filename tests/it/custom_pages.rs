//! Templates, a style and a logo of the operator's own: shown to people, tried before that, and held
//! to the policy of all our pages.

use std::fs;
use std::path::Path;

use sidegate::config::Verdict;
use sidegate::config::environment::Environment;
use tempfile::TempDir;

use crate::support::instance::{PUBLIC, World, yaml};
use crate::support::provider::TestProvider;
use crate::support::raw::exchange;
use crate::support::upstream::Upstream;
use crate::surroundings::Gate;

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0h1v1z\"/></svg>";
const OWN: &str = "{% extends \"base.html\" %}{% block content %}<p>Our own words: {{ advice }}</p><a href=\"{{ step.href }}\">{{ step.label }}</a>{% endblock %}";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn pages(folder: &Path, more: &str) -> String {
    format!("pages: {{ directory: \"{}\"{more} }}", folder.display())
}

fn faults(folder: &Path, more: &str) -> String {
    let text = yaml(
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        &pages(folder, more),
    );
    let verdict = Verdict::of_text(&text, &Environment::of_process());
    let faults: Vec<String> = verdict.faults.iter().map(ToString::to_string).collect();
    faults.join("\n")
}

// A22: what is the operator's own is allowed as it is, and nothing besides.
#[test]
fn a_template_a_style_and_a_logo_take_their_places() {
    let own = folder(&[
        ("error.html", OWN),
        ("style.css", ":root{--accent:#7a1f5c}"),
        ("logo.svg", SVG),
        (".hidden", "\u{0}"),
    ]);
    let world = World::with(&pages(own.path(), ", logo: logo.svg"));
    let answer = world
        .browser()
        .open(&format!("{PUBLIC}/oauth2/start?provider=nobody"));
    assert_eq!(answer.status, 404);
    let body = answer.text();
    assert!(
        body.contains("<p>Our own words: Choose another way to sign in."),
        "{body}"
    );
    assert!(
        body.contains("--accent:#7a1f5c") && body.contains("src=\"data:image"),
        "{body}"
    );
    let policy = answer.field("content-security-policy").unwrap();
    assert!(
        policy.contains(" img-src data:;") && !policy.contains("unsafe"),
        "{policy}"
    );
    let reference = answer.field("x-request-id").unwrap();
    assert!(body.contains(reference), "the base is still ours");
    // Whatever the template says, programs read what they always read.
    let program = world.browser().fetch("GET", &format!("{PUBLIC}/x"), "");
    assert_eq!(program.json()["code"], "login_required");
    let plain = World::start()
        .browser()
        .open(&format!("{PUBLIC}/oauth2/start?provider=x"));
    assert!(
        !plain
            .field("content-security-policy")
            .unwrap()
            .contains("img-src")
    );
}

#[test]
fn a_reload_with_a_broken_template_changes_nothing() {
    let own = folder(&[("error.html", OWN)]);
    let more = pages(own.path(), "");
    let world = World::with(&more);
    let shown = || {
        let url = format!("{PUBLIC}/oauth2/start?provider=nobody");
        world.browser().open(&url).text().contains("Our own words")
    };
    assert!(shown());
    let text = yaml(world.provider.issuer(), &world.app.url(), &more);
    fs::write(
        own.path().join("error.html"),
        "{% block content %}{{ nothing }}",
    )
    .unwrap();
    let refused = world.gate.reload(&text).unwrap_err();
    assert!(refused.contains("error.html, line 1"), "{refused}");
    assert!(shown(), "the pages before are still there");
    fs::remove_file(own.path().join("error.html")).unwrap();
    world.gate.reload(&text).unwrap();
    assert!(!shown());
}

#[test]
fn what_is_no_template_no_style_and_no_logo_is_a_fault() {
    let own = folder(&[("eror.html", "x")]);
    assert!(
        faults(own.path(), "").contains("`eror.html`"),
        "{}",
        faults(own.path(), "")
    );
    assert!(faults(own.path(), "").contains("error.html"));
    assert!(faults(&own.path().join("nowhere"), "").contains("cannot be read"));
    let own = folder(&[("error.html", &"x".repeat(65 * 1024))]);
    assert!(faults(own.path(), "").contains("more than 64 KiB"));
    let own = folder(&[]);
    fs::write(own.path().join("error.html"), b"\xff\xfe").unwrap();
    assert!(faults(own.path(), "").contains("not UTF-8"));
    for (text, wanted) in [
        ("hello".to_owned(), "not a picture"),
        ("<html><svg></svg></html>".to_owned(), "not a picture"),
        (
            format!("<svg>{}</svg>", " ".repeat(33 * 1024)),
            "more than 32 KiB",
        ),
    ] {
        let own = folder(&[("logo", &text)]);
        let told = faults(own.path(), ", logo: logo");
        assert!(told.contains(wanted), "{told}");
    }
    let own = folder(&[]);
    assert!(faults(own.path(), ", logo: none.svg").contains("cannot be read"));
}

// A file that is new in the folder is found at a SIGHUP, one that was removed is gone with it, and one
// that fails changes nothing.
#[test]
fn the_folder_is_read_again_at_a_sighup() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = yaml(provider.issuer(), &app.url(), &pages(folder.path(), ""));
    let mut gate = Gate::start(&text, home, |_| {});
    let mut page_after = |act: &dyn Fn(), outcome: &str| {
        act();
        gate.process.signal("-HUP");
        gate.process.said(&format!("\"outcome\":\"{outcome}\""));
        let ask = "GET /oauth2/callback HTTP/1.1\r\nHost: gate.test\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
        exchange(gate.address, ask).text()
    };
    let style = folder.path().join("style.css");
    let template = folder.path().join("error.html");
    let new = page_after(&|| fs::write(&style, "/*a new style*/").unwrap(), "taken");
    assert!(new.contains("/*a new style*/"), "{new}");
    let broken = page_after(&|| fs::write(&template, "{% if").unwrap(), "refused");
    assert!(broken.contains("/*a new style*/"), "{broken}");
    let gone = page_after(
        &|| {
            fs::remove_file(&template).unwrap();
            fs::remove_file(&style).unwrap();
        },
        "taken",
    );
    assert!(!gone.contains("/*a new style*/"), "{gone}");
}
