//! Session keys change under a running gate without anybody being signed out.

use std::io::Write as _;

use sidegate::base::entropy::Entropy;
use sidegate::base::keyring::SessionKey;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World, key_file, yaml};

fn fresh_key_file() -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let key = SessionKey::generate(Entropy::system()).unwrap();
    writeln!(file, "{}", *key.to_line()).unwrap();
    file.into_temp_path()
}

/// The world's configuration with these key files, the first of which seals.
fn with_keys(world: &World, files: &[&str]) -> String {
    let list: Vec<_> = files
        .iter()
        .map(|file| format!("{{ file: {file} }}"))
        .collect();
    let text = yaml(world.provider.issuer(), &world.app.url(), "");
    let old = format!("keys: [{{ file: {} }}]", key_file());
    assert!(text.contains(&old));
    text.replace(&old, &format!("keys: [{}]", list.join(", ")))
}

fn status(browser: &mut Browser) -> u16 {
    browser.fetch("GET", &format!("{PUBLIC}/api"), "").status
}

// F6: a new key in front costs nobody a session, and old cookies move over to it.
#[test]
fn a_new_key_costs_nobody_a_session_and_a_removed_one_ends_only_what_it_sealed() {
    let world = World::start();
    let new = fresh_key_file().keep().unwrap().display().to_string();
    let mut browser = world.signed_in("alice");
    let mut asleep = browser.clone();
    world
        .gate
        .reload(&with_keys(&world, &[&new, &key_file()]))
        .unwrap();
    let before = browser.jar.clone();
    let answer = browser.fetch("GET", &format!("{PUBLIC}/api"), "");
    assert_eq!(answer.status, 200);
    assert!(answer.field("set-cookie").is_some(), "sealed anew at once");
    assert_ne!(before, browser.jar);
    let answer = browser.fetch("GET", &format!("{PUBLIC}/api"), "");
    assert_eq!(answer.field("set-cookie"), None, "and only once");
    world.gate.reload(&with_keys(&world, &[&new])).unwrap();
    assert_eq!(status(&mut browser), 200, "sealed by the key that stays");
    assert_eq!(status(&mut asleep), 401, "sealed by the key that went");
    drop(std::fs::remove_file(new));
}

// F6: keys are looked up by their id, so their order is free to open.
#[test]
fn two_gates_that_share_keys_in_another_order_open_each_others_sessions() {
    let world = World::start();
    let other = fresh_key_file();
    let other = other.display().to_string();
    world
        .gate
        .reload(&with_keys(&world, &[&key_file(), &other]))
        .unwrap();
    let mut browser = world.signed_in("alice");
    world
        .gate
        .reload(&with_keys(&world, &[&other, &key_file()]))
        .unwrap();
    assert_eq!(status(&mut browser), 200);
}

// F6, V9: a login that was begun under the old key is finished under the new one.
#[test]
fn a_login_that_a_rotation_falls_into_still_lands_where_it_started() {
    let world = World::start();
    let new = fresh_key_file();
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/deep?a=b"));
    let files = [&new.display().to_string(), &key_file()];
    world
        .gate
        .reload(&with_keys(&world, &files.map(String::as_str)))
        .unwrap();
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.answer.status, 200, "{:?}", page.answer);
    assert_eq!(page.url.as_str(), format!("{PUBLIC}/deep?a=b"));
}

// F6: keys that nobody drew at random are refused, and what ran before goes on.
#[test]
fn a_bad_key_is_refused_by_a_reload_and_what_ran_goes_on() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    for bad in [
        "",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "changeme",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISI",
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{bad}").unwrap();
        let path = file.path().display().to_string();
        let error = world.gate.reload(&with_keys(&world, &[&path])).unwrap_err();
        assert!(error.contains("session.keys"), "{error}");
        if !bad.is_empty() {
            assert!(!error.contains(bad), "{error}");
        }
        assert_eq!(status(&mut browser), 200, "{bad}");
    }
}
