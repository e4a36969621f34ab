//! Every input that is kept for a fuzz target, by its function and without a fuzzer: what was found
//! once stays found. `docs/FUZZING.md` says how to look for more.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use targets::Outcome;

#[path = "../fuzz/targets/mod.rs"]
#[expect(unreachable_pub, reason = "they are public for the fuzzer's programs")]
mod targets;

/// The most inputs of one target, and the most bytes of one input: a corpus is read by people, too.
const MOST_INPUTS: usize = 500;
const LONGEST_INPUT: u64 = 4096;

/// The kept inputs of a target; tests run in the package's folder.
fn inputs(name: &str) -> Vec<PathBuf> {
    let folder = Path::new("fuzz/corpus").join(name);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    inputs.sort();
    inputs
}

/// Runs the target over its inputs; some must be accepted and some refused, or they do not reach it.
fn holds(name: &str) {
    let (_, run) = targets::ALL
        .into_iter()
        .find(|(own, _)| *own == name)
        .expect("a target");
    let mut outcomes = BTreeSet::new();
    let mut wrong = Vec::new();
    for input in inputs(name) {
        let data = fs::read(&input).expect("an input");
        match catch_unwind(|| run(&data)) {
            Ok(outcome) => drop(outcomes.insert(outcome)),
            Err(_) => wrong.push(input.display().to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let both = BTreeSet::from([Outcome::Accepted, Outcome::Refused]);
    assert_eq!(
        outcomes, both,
        "{name}: the kept inputs do not lead to both outcomes"
    );
}

#[test]
fn every_target_has_a_program_and_a_small_corpus() {
    let manifest = fs::read_to_string("fuzz/Cargo.toml").expect("the manifest");
    let folders = fs::read_dir("fuzz/corpus").expect("the corpora");
    let kept: BTreeSet<String> = folders
        .map(|folder| {
            folder
                .expect("a folder")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let names: BTreeSet<String> = targets::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(kept, names);
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let inputs = inputs(&name);
        assert!(
            (2..=MOST_INPUTS).contains(&inputs.len()),
            "{name}: {}",
            inputs.len()
        );
        for input in inputs {
            let len = fs::metadata(&input).expect("an input").len();
            assert!(len <= LONGEST_INPUT, "{}: {len} bytes", input.display());
        }
    }
}

// L12: an answer is read in one way, in whatever pieces it comes.
#[test]
fn every_kept_answer_ends_in_one_place() {
    holds("answer");
}

// A9, A10: a response redeems a login only with everything that the login asks for.
#[test]
fn no_kept_callback_is_understood_in_two_ways() {
    holds("callback");
}

// K7: what the client sends never stands for what our proxy wrote.
#[test]
fn no_kept_forwarded_header_speaks_for_our_proxy() {
    holds("client_address");
}

// T7: every text gets a verdict with places and without secrets.
#[test]
fn every_kept_configuration_gets_a_verdict() {
    holds("config");
}

// F3, F11: a session is found only where every byte of it is there.
#[test]
fn no_kept_cookie_field_makes_a_session() {
    holds("cookies");
}

// B3: metadata leads nowhere but to TLS.
#[test]
fn no_kept_discovery_document_leads_astray() {
    holds("discovery");
}

// C12, C15, C16: a token is believed only if it says what it must.
#[test]
fn no_kept_token_is_believed_without_a_reason() {
    holds("id_token");
}

// C23: no key says yes to what nobody signed.
#[test]
fn no_kept_key_set_verifies_a_guess() {
    holds("jwks");
}

// K7: the header of a proxy is the same in whatever pieces it comes.
#[test]
fn every_kept_header_of_a_proxy_is_read_in_any_pieces() {
    holds("proxy_header");
}

// H1, H2: a place that is accepted stays on our origin.
#[test]
fn no_kept_place_to_return_to_leads_away() {
    holds("return_to");
}

// F4, F5: nothing opens but what was sealed.
#[test]
fn no_kept_text_opens_that_was_not_sealed() {
    holds("sealed");
}

// I1, I2: the readings are exactly those of the slow model.
#[test]
fn the_kept_targets_have_the_readings_of_the_model() {
    holds("target");
}

// E2: tokens come only of a success that refuses nothing.
#[test]
fn no_kept_token_answer_is_more_than_it_says() {
    holds("token_answer");
}
