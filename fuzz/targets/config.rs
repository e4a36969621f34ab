//! Any text as a configuration file gets a verdict: a configuration or faults, each with a place that
//! is in the text, and never a secret.

use std::sync::LazyLock;

use sidegate::config::Verdict;
use sidegate::config::environment::Environment;
use sidegate::config::fault::ConfigFault;

use super::Outcome;

/// What the environment holds and no answer may.
const SECRET: &str = "hunter2-hunter2";

static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    [
        ("S", SECRET),
        ("OIDC_SECRET", SECRET),
        ("OIDC_CLIENT_SECRET", SECRET),
        ("K", "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go"),
        ("SESSION_KEY", "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
});

/// Any text as a configuration.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else {
        return Outcome::Refused;
    };
    // A file that waits for a writer would wait for ever; which files there are is not the text's.
    if text.contains("/dev") || text.contains("/proc") {
        return Outcome::Refused;
    }
    let verdict = Verdict::of_text(text, &ENVIRONMENT);
    assert_eq!(verdict.config.is_some(), verdict.faults.is_empty());
    for said in verdict.faults.iter().chain(&verdict.warnings) {
        check(said, text);
    }
    let again = Verdict::of_text(text, &ENVIRONMENT);
    assert_eq!(
        verdict.faults, again.faults,
        "twice the same text, two verdicts"
    );
    assert_eq!(verdict.warnings, again.warnings);
    // A variable in a name of a provider, an upstream or a route is shown with the name.
    if !text.contains("${") && !text.contains(SECRET) {
        assert!(!format!("{verdict:?}").contains(SECRET), "a secret is said");
    }
    Outcome::from(verdict.config.is_some())
}

fn check(said: &ConfigFault, text: &str) {
    assert!(!said.what.is_empty() && !said.remedy.is_empty(), "{said:?}");
    if let Some(place) = &said.place {
        assert!(place.line >= 1 && place.column >= 1);
        assert!(place.line <= text.split('\n').count(), "{said:?}");
        assert!(place.quote.get(place.marked.clone()).is_some(), "{said:?}");
        assert!(!place.quote.contains('\n'), "{said:?}");
    }
}
