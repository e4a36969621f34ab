//! What is only tried: what would become of requests by rules that are not in force.
//!
//! A difference is a line of the audit log and one more in a count. Nothing else comes of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::respond::fault::Fault;
use crate::gate::outlook::Outlook;

/// How many different differences are counted; there are about as many as routes.
const MOST: usize = 4096;

/// How often rules that are only tried would have decided otherwise, since the process began.
#[derive(Debug, Default)]
pub struct Differences {
    counts: Mutex<BTreeMap<(String, &'static str, &'static str), u64>>,
}

/// What became of a request, and what would have.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// The route in force.
    pub route: Option<&'a str>,
    /// What became of it, in a word of [`word`].
    pub outcome: &'static str,
    /// What would have.
    pub would: &'static str,
}

impl Differences {
    /// Counts one.
    pub fn count(&self, one: &Difference<'_>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (one.route.unwrap_or("-").to_owned(), one.outcome, one.would);
        let room = counts.len() < MOST;
        match counts.get_mut(&key) {
            Some(count) => *count = count.saturating_add(1),
            None if room => drop(counts.insert(key, 1)),
            None => {}
        }
    }

    /// All counts, for the status.
    #[must_use]
    pub fn status(&self) -> Value {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |((route, outcome, would), count): (&(String, &str, &str), &u64)| json!({ "route": route, "outcome": outcome, "would": would, "requests": count });
        counts.iter().map(one).collect()
    }
}

/// What would become of a request, in one word: `admitted`, `sign_in`, `step_up`, `own_endpoint`, or the
/// code of a refusal.
#[must_use]
pub fn word(outlook: &Outlook) -> &'static str {
    match outlook {
        Outlook::Admitted(_) => "admitted",
        Outlook::SignIn => "sign_in",
        Outlook::StepUp => "step_up",
        Outlook::Own => "own_endpoint",
        Outlook::Refused(denial) => {
            Fault::of_denial(denial.clone(), |_, _, _| String::new()).code()
        }
    }
}
