//! The readings are exactly the closure that the slow model finds, and stay within their limits.

use std::collections::BTreeSet;

use sidegate::base::target::{MAX_READING_BYTES, MAX_READINGS, Malformed, Target};

use self::reference::Without;
use super::Outcome;

#[path = "../../src/base/target/reference.rs"]
mod reference;

/// The model is slow, so what it is asked about is short.
const LONGEST: usize = 96;

/// Any text as a request target.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else {
        return Outcome::Refused;
    };
    let parsed = Target::parse(text);
    if let Ok(target) = &parsed {
        assert_eq!(target.as_str(), text, "the upstream gets what was received");
        let query = target.query().map(|query| format!("?{query}"));
        let joined = format!("{}{}", target.path(), query.unwrap_or_default());
        assert_eq!(joined, text);
        assert!(target.readings().count() <= MAX_READINGS);
        assert!(target.readings().map(<[u8]>::len).sum::<usize>() <= MAX_READING_BYTES);
        for reading in target.readings() {
            assert!(reading.starts_with(b"/") && !reading.contains(&0));
        }
    }
    if text.len() <= LONGEST {
        compare(text, &parsed);
    }
    Outcome::from(parsed.is_ok())
}

fn compare(text: &str, parsed: &Result<Target, Malformed>) {
    let path = text.split('?').next().unwrap_or_default();
    let closure = || reference::closure(path.as_bytes(), MAX_READINGS);
    match parsed {
        Ok(target) => {
            let (all, unfolded) = closure().expect("a closure");
            let mine: BTreeSet<Vec<u8>> = target.readings().map(<[u8]>::to_vec).collect();
            let mine_unfolded: BTreeSet<Vec<u8>> =
                target.unfolded_readings().map(<[u8]>::to_vec).collect();
            assert_eq!(mine, all);
            assert_eq!(mine_unfolded, unfolded);
            assert_eq!(
                target.readings().count(),
                all.len(),
                "a reading comes twice"
            );
            assert_eq!(target.readings().next(), Some(path.as_bytes()));
        }
        Err(Malformed::NotAPath) => assert!(!text.starts_with('/')),
        Err(Malformed::ControlByte) => {
            assert!(text.bytes().any(|byte| byte <= b' ' || byte == 0x7F));
        }
        Err(Malformed::Fragment) => assert!(text.contains('#')),
        // Which of the two is met first depends on the order of the search.
        Err(Malformed::Nul | Malformed::TooManyReadings) => match closure() {
            Err(Without::Nul | Without::End) => {}
            Ok((all, _)) => {
                let bytes: usize = all.iter().map(Vec::len).sum();
                assert!(bytes > MAX_READING_BYTES, "refused without a reason");
            }
        },
    }
}
