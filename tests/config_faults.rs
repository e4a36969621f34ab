//! Broken configurations, each with what `sidegate check` says about it: the right line, the right
//! column, a remedy. `UPDATE_GOLDEN=1` writes the answers anew; then read the difference.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sidegate::cli::args::CheckFormat;
use sidegate::cli::{Exit, Local, Paint, Start, Streams, check, config_show};
use sidegate::config::environment::Environment;
use sidegate::config::flags::Flags;

/// What no output may ever hold.
const SECRET: &str = "hunter2-hunter2";
/// A session key made for these tests alone.
const SESSION_KEY: &str = "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go";

/// What the configurations may ask for.
fn environment() -> Environment {
    [
        ("OIDC_SECRET", SECRET),
        ("SESSION_KEY", SESSION_KEY),
        ("WEAK_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("SHORT_KEY", "aHVudGVyMi1odW50ZXIy"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn said(act: impl FnOnce(&mut Streams<'_>) -> Exit) -> (Exit, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = act(&mut Streams {
        out: &mut out,
        err: &mut err,
        paint_out: Paint::Plain,
        paint_err: Paint::Plain,
    });
    out.extend(err);
    (exit, String::from_utf8(out).expect("output is text"))
}

fn checked(start: &Start, format: CheckFormat) -> (Exit, String) {
    said(|streams| check::run(start, format, &environment(), streams).expect("written to memory"))
}

/// The configurations, by name; tests run in the package's folder.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new("tests/data/configs");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the configurations are there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "{} configurations", cases.len());
    cases
}

// T7: every fault names the key, the file, the line and a remedy. Also A24, B3, B8, F6, F17, I12, I13
// and K1: see the names of the files.
#[test]
fn check_says_what_is_wrong_where_and_what_would_be_right() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (exit, answer) = checked(&Start::File(case.clone()), CheckFormat::Human);
        let answer = format!("{answer}exit {}\n", code(exit));
        let golden = case.with_extension("txt");
        if update {
            fs::write(&golden, &answer).expect("the answer is written");
        } else if fs::read_to_string(&golden).unwrap_or_default() != answer {
            wrong.push(format!("{}:\n{answer}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Usage => 64,
        Exit::Configuration => 78,
        Exit::Failure => 1,
    }
}

#[test]
fn every_answer_belongs_to_a_configuration() {
    let names: BTreeSet<_> = cases().iter().map(|case| case.with_extension("")).collect();
    for entry in fs::read_dir("tests/data/configs").expect("the configurations are there") {
        let path = entry.expect("an entry").path();
        assert!(
            names.contains(&path.with_extension("")),
            "{} is left over",
            path.display()
        );
    }
}

// T7, P: neither `check` in any form nor `config show` nor the reason not to start holds a secret.
#[test]
fn no_secret_is_ever_said() {
    for case in cases() {
        let start = Start::File(case.clone());
        let shown = said(|streams| {
            config_show::run(&start, &environment(), streams).expect("written to memory")
        });
        let loaded = said(
            |streams| match check::load(&start, &environment(), streams) {
                Ok(config) => {
                    write!(streams.out, "{config:?}").expect("written to memory");
                    Exit::Done
                }
                Err(exit) => exit,
            },
        );
        let answers = [
            checked(&start, CheckFormat::Human),
            checked(&start, CheckFormat::Json),
            shown,
            loaded,
        ];
        for (_, answer) in answers {
            for secret in [SECRET, SESSION_KEY] {
                assert!(!answer.contains(secret), "{}:\n{answer}", case.display());
            }
        }
    }
}

#[test]
fn the_machine_readable_answer_says_the_same() {
    for case in cases() {
        let start = Start::File(case.clone());
        let (exit, json) = checked(&start, CheckFormat::Json);
        let (human_exit, human) = checked(&start, CheckFormat::Human);
        assert_eq!(exit, human_exit);
        let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(report["good"], exit == Exit::Done, "{}", case.display());
        let list = |key: &str| report[key].as_array().expect("a list").clone();
        assert_eq!(
            list("faults").len(),
            human.matches("error: ").count(),
            "{human}"
        );
        assert_eq!(
            list("warnings").len(),
            human.matches("warning: ").count(),
            "{human}"
        );
        for fault in list("faults") {
            let what = fault["what"].as_str().expect("a text");
            assert!(fault["line"].is_u64() && fault["column"].is_u64());
            assert!(!fault["remedy"].as_str().expect("a text").is_empty());
            assert!(
                human.contains(what.split(['\u{1b}', '\r', '\n']).next().unwrap_or(what)),
                "{what}\n{human}"
            );
        }
    }
}

// T7: a start without a file is held to the same rules, and its faults name flags.
#[test]
fn faults_of_flags_name_the_flags() {
    let flags = Flags {
        public_url: Some("http://dash.example.com".to_owned()),
        upstream: Some("ftp://127.0.0.1:3000".to_owned()),
        issuer: Some("http://id.example.com".to_owned()),
        client_id: None,
        listen: Some("localhost:4180".to_owned()),
        client_secret: None,
        session_key: None,
    };
    let (exit, answer) = checked(&Start::Flags(flags), CheckFormat::Human);
    assert_eq!(exit, Exit::Configuration);
    for flag in [
        "--public-url",
        "--upstream",
        "--issuer",
        "--client-id",
        "--listen",
        "SIDEGATE_SESSION_KEY",
    ] {
        assert!(
            answer.contains(&format!("error: {flag}: ")),
            "{flag}\n{answer}"
        );
    }
}

#[test]
fn colours_are_for_terminals() {
    let case = cases().remove(0);
    let (_, plain) = checked(&Start::File(case.clone()), CheckFormat::Human);
    assert!(!plain.contains('\u{1b}'));
    let mut out = Vec::new();
    let mut streams = Streams {
        out: &mut out,
        err: &mut Vec::new(),
        paint_out: Paint::Coloured,
        paint_err: Paint::Coloured,
    };
    check::run(
        &Start::File(case),
        CheckFormat::Human,
        &environment(),
        &mut streams,
    )
    .expect("written to memory");
    assert!(String::from_utf8(out).expect("text").contains('\u{1b}'));
}

#[test]
fn a_file_that_is_not_there_is_a_fault_of_the_configuration() {
    let missing = Start::File(PathBuf::from("tests/data/configs/missing.yaml"));
    let (exit, answer) = checked(&missing, CheckFormat::Human);
    assert_eq!(exit, Exit::Configuration);
    assert!(answer.contains("missing.yaml cannot be read"), "{answer}");
}

#[test]
fn the_local_commands_answer() {
    let (exit, version) =
        said(|streams| Local::Version(sidegate::cli::version::Form::Json).run(streams));
    let version: serde_json::Value = serde_json::from_str(&version).expect("JSON");
    assert_eq!(
        (exit, version["name"].as_str()),
        (Exit::Done, Some("sidegate"))
    );
    let (exit, schema) = said(|streams| Local::ConfigSchema.run(streams));
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(exit, Exit::Done);
    assert!(schema["properties"]["public_url"].is_object());
}
