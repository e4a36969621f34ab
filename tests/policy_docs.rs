//! `docs/POLICY.md`: what it says the commands say is what they say. `UPDATE_GOLDEN=1` writes the output
//! anew; then read the difference.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const PAGE: &str = "docs/POLICY.md";

/// A fenced block and the marker before it.
struct Block {
    marker: String,
    text: String,
    /// Where the text stands in the page.
    at: std::ops::Range<usize>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (start, _) in page.match_indices("<!-- ") {
        let marker = page[start..].lines().next().unwrap();
        let marker = marker.trim_start_matches("<!-- ").trim_end_matches(" -->");
        let open = start + page[start..].find("```").unwrap();
        let begin = open + page[open..].find('\n').unwrap() + 1;
        let end = begin + page[begin..].find("```").unwrap();
        blocks.push(Block {
            marker: marker.to_owned(),
            text: page[begin..end].to_owned(),
            at: begin..end,
        });
    }
    blocks
}

/// A folder with the secrets that the page's configuration asks for.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("client-secret", "not a secret of anybody"),
        ("session-key", "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

/// The words of a line of a shell, as far as this page needs one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn output(line: &str, folder: &Path) -> String {
    let words = words(line);
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .args(&words[1..])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{line}: {output:?}");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{line}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_about_rules_shows_what_the_commands_say() {
    let page = fs::read_to_string(PAGE).unwrap();
    let folder = folder();
    let (mut new, mut copied, mut runs) = (String::new(), 0, 0);
    for block in blocks(&page) {
        new.push_str(&page[copied..block.at.start]);
        copied = block.at.end;
        match block.marker.strip_prefix("file: ") {
            Some(name) => {
                fs::write(folder.path().join(name), &block.text).unwrap();
                new.push_str(&block.text);
            }
            None => {
                assert_eq!(block.marker, "run");
                let line = block.text.lines().next().unwrap();
                let command = line.strip_prefix("$ ").unwrap();
                let said = output(command, folder.path());
                new.extend([line, "\n", &said]);
                runs += 1;
            }
        }
    }
    new.push_str(&page[copied..]);
    assert!(runs >= 4, "{runs}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(PAGE, &new).unwrap();
    }
    assert_eq!(fs::read_to_string(PAGE).unwrap(), new);
}

/// What `check` says with these tests beside the page's configuration, and its status.
fn tried(tests: &str) -> (String, Option<i32>) {
    let page = fs::read_to_string(PAGE).unwrap();
    let config = &blocks(&page)[0];
    assert_eq!(config.marker, "file: sidegate.yaml");
    let folder = folder();
    fs::write(folder.path().join("sidegate.yaml"), &config.text).unwrap();
    fs::write(folder.path().join("x.yaml"), tests).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .args(["check", "--policy-tests", "x.yaml"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code())
}

// A test that cannot be tried, or that nobody wrote, is never one that holds.
#[test]
fn a_policy_test_holds_only_if_it_was_tried_and_the_outcome_is_the_expected_one() {
    let people = "people: { alice: { claims: { sub: a1, groups: [sre] } }, odd: { claims: [x] }, nameless: { claims: {} } }\n";
    for (test, why) in [
        (
            "{ who: alice, asks: /docs, expect: sign_in }",
            "is `admitted`",
        ),
        (
            "{ who: alice, asks: /docs, expect: admitted, route: admin }",
            "the route should be `admin`, and is `rest`",
        ),
        (
            "{ who: alice, asks: /docs, expect: admitted, tells: { X-Forwarded-User: b1 } }",
            "should be `b1`, and is `a1`",
        ),
        (
            "{ who: alice, asks: /docs, expect: admitted, tells: { X-Forwarded-User: null } }",
            "should be not there, and is `a1`",
        ),
        (
            "{ asks: /docs, expect: sign_in, tells: { X-Forwarded-User: a1 } }",
            "gets nothing",
        ),
        ("{ who: alice, asks: /docs }", "`expect` is missing"),
        ("{ who: alice, expect: admitted }", "`asks` is missing"),
        (
            "{ who: bob, asks: /docs, expect: admitted }",
            "nobody of this name",
        ),
        ("{ who: odd, asks: /docs, expect: admitted }", "no mapping"),
        (
            "{ who: nameless, asks: /docs, expect: admitted }",
            "the claims make no person",
        ),
        ("{ asks: docs, expect: admitted }", "the URL is none"),
        (
            "{ asks: /docs, from: home, expect: admitted }",
            "`from` is no IP address",
        ),
        (
            "{ asks: /docs, headers: { \"a b\": c }, expect: admitted }",
            "no header field",
        ),
    ] {
        let (said, status) = tried(&format!("{people}tests: [{test}]\n"));
        assert_eq!(status, Some(1), "{test}: {said}");
        assert!(said.contains(why), "{test}: {said}");
        assert!(said.ends_with("0 passed, 1 failed\n"), "{test}: {said}");
    }
    for (text, why) in [
        ("", "has no test"),
        ("tests: []", "has no test"),
        (
            "tests: [{ asks: /x, expects: admitted }]",
            "did you mean `expect`?",
        ),
        ("test: [{ asks: /x }]", "did you mean `tests`?"),
        ("tests: [", "x.yaml"),
    ] {
        let (said, status) = tried(text);
        assert_eq!(status, Some(78), "{text}: {said}");
        assert!(said.contains(why), "{text}: {said}");
    }
}
