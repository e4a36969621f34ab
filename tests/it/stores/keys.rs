//! Session keys change under load, whatever sessions are kept in.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use sidegate::base::entropy::Entropy;
use sidegate::base::keyring::SessionKey;

use super::{Kept, sent, status};
use crate::support::browser::Browser;
use crate::support::instance::key_file;

// F6: while people go on, a new key costs nobody a session, and one visit moves them over to it; the old
// key's end is the end of those who did not come.
#[test]
fn a_new_key_costs_nobody_a_session_in_any_store() {
    for kept in Kept::all() {
        let world = kept.world("");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let key = SessionKey::generate(Entropy::system()).unwrap();
        writeln!(file, "{}", *key.to_line()).unwrap();
        let (old, new) = (key_file(), file.path().display().to_string());
        let text = kept.text(&world.provider, &world.app, "");
        let known = format!("keys: [{{ file: {old} }}]");
        assert!(text.contains(&known));
        let both = text.replace(
            &known,
            &format!("keys: [{{ file: {new} }}, {{ file: {old} }}]"),
        );
        let one = text.replace(&known, &format!("keys: [{{ file: {new} }}]"));

        let names = ["alice", "bob"];
        let mut all: Vec<Browser> = (0..8).map(|n| world.signed_in(names[n % 2])).collect();
        let asleep = all.split_off(6);
        let before: Vec<String> = all.iter().map(sent).collect();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking: Vec<_> = all
                .iter_mut()
                .map(|browser| {
                    let is_over = &is_over;
                    scope.spawn(move || {
                        while !is_over.load(Ordering::Relaxed) {
                            assert_eq!(status(browser), 200);
                        }
                        assert_eq!(status(browser), 200);
                    })
                })
                .collect();
            world.gate.reload(&both).unwrap();
            is_over.store(true, Ordering::Relaxed);
            for one in asking {
                one.join().unwrap();
            }
        });
        for (browser, before) in all.iter().zip(before) {
            assert_ne!(sent(browser), before, "{}: sealed anew", kept.word);
        }
        world.gate.reload(&one).unwrap();
        for browser in &mut all {
            assert_eq!(status(browser), 200, "{}: they came", kept.word);
        }
        for mut browser in asleep {
            assert_eq!(status(&mut browser), 401, "{}: they did not", kept.word);
        }
    }
}
