//! Rules about claims that have no key of their own.

use std::fmt;

use serde_json::Value;

use super::answer::{Answer, Missing, StepUp};
use super::condition::{from, write_whose};
use crate::oidc::claim_path::ClaimPath;
use crate::oidc::claims::Identity;

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The id of the provider whose word it is; any, where the configuration has just one.
    pub provider: Option<String>,
    /// Where the claim is.
    pub path: ClaimPath,
    /// It is one of these, or a list that has one of these; nothing else is, and nothing is, where there is
    /// none.
    pub values: Vec<Scalar>,
}

/// A value that a claim can be compared with. A number is not the text of its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// Text, to the byte.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Bool(bool),
}

impl ClaimRule {
    /// Whether the claim is what the rule asks for. What is not there, was too large to be kept, or is of
    /// a type that no value of the rule has, is not known to be or not to be.
    pub(super) fn judge(&self, provider: &str, identity: &Identity) -> Answer {
        // Another provider's claim of this name is another claim.
        if !from(self.provider.as_deref(), provider) {
            return Answer::Unknown(Missing::Claim);
        }
        let parts = match identity.claims.get(self.path.as_str()) {
            // The rule is younger than the session, for which nobody looked for this claim.
            None => return Answer::Unknown(Missing::SignIn(StepUp::default())),
            Some(Value::Null) => return Answer::Unknown(Missing::Claim),
            Some(Value::Array(parts)) => parts.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let mut is_known = true;
        for part in parts {
            match self.compare(part) {
                Some(true) => return Answer::Yes,
                Some(false) => {}
                None => is_known = false,
            }
        }
        if is_known {
            Answer::No(Missing::Claim)
        } else {
            Answer::Unknown(Missing::Claim)
        }
    }

    /// Whether `part` is one of the values; nothing, where it is of no type that they have.
    fn compare(&self, part: &Value) -> Option<bool> {
        let mut compared = self.values.iter().filter_map(|value| value.compare(part));
        let first = compared.next()?;
        Some(first || compared.any(|is_equal| is_equal))
    }
}

impl Scalar {
    fn compare(&self, value: &Value) -> Option<bool> {
        match self {
            Self::Text(text) => value.as_str().map(|found| found == text),
            Self::Number(number) => value.as_i64().map(|found| found == *number),
            Self::Bool(wanted) => value.as_bool().map(|found| found == *wanted),
        }
    }
}

/// Where the claim is, and whose.
impl fmt::Display for ClaimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_whose(f, self.provider.as_deref())?;
        self.path.fmt(f)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
        }
    }
}
