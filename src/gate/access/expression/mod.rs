//! `when`: a condition in a strict subset of CEL, the Common Expression Language.
//!
//! What is written here means the same in CEL, where CEL gives it a value. Where types do not fit, a claim
//! is not there, or nobody knows, there is no value, and the condition admits nobody: also where it says
//! `!=` or `!`. There is no arithmetic, no regular expression and one loop at most, not in another, so
//! that what an expression costs is bounded by its length and that of one list.

mod evaluate;
mod parse;

#[cfg(test)]
mod tests;

use std::fmt;

use self::parse::{Input, Node};
use super::answer::{Answer, Missing, StepUp};
use super::condition::Applicant;
use crate::oidc::claim_path::ClaimPath;

/// An expression that was found to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    source: String,
    root: Node,
}

/// Why a text is no expression that can be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {at})")]
pub struct ExpressionError {
    /// Where, counted in characters from 1.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

/// What may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inputs {
    /// Whoever is signed in, and the request.
    Request,
    /// Whoever signs in: there is no request yet to be judged.
    Person,
}

impl Expression {
    /// Reads `source`, in which `inputs` may be asked about.
    ///
    /// # Errors
    /// [`ExpressionError`]: it is longer than 4 KiB, is no expression, asks about what nobody knows, compares
    /// what cannot be equal, or is neither true nor false.
    pub fn parse(source: &str, inputs: Inputs) -> Result<Self, ExpressionError> {
        let root = parse::parse(source, inputs)?;
        Ok(Self {
            source: source.to_owned(),
            root,
        })
    }

    /// Calls `each` with every claim that is asked for.
    pub fn for_each_claim(&self, each: &mut dyn FnMut(&ClaimPath)) {
        self.root.for_each(&mut |node| {
            if let Node::Claim(path) | Node::Has(path) = node {
                each(path);
            }
        });
    }

    /// Whether it names the provider, or says nothing of a person that some provider would have to vouch for.
    #[must_use]
    pub fn says_whose(&self) -> bool {
        let (mut names_provider, mut is_personal) = (false, false);
        self.root.for_each(&mut |node| match node {
            Node::Input(Input::Provider) => names_provider = true,
            Node::Input(Input::Subject | Input::Email | Input::Groups | Input::Acr)
            | Node::Claim(_)
            | Node::Has(_) => is_personal = true,
            _ => {}
        });
        names_provider || !is_personal
    }

    /// What becomes of it for `applicant`.
    pub(super) fn judge(&self, applicant: &Applicant<'_>) -> Answer {
        match evaluate::truth(&self.root, applicant) {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No(Missing::Alternative),
            Err(evaluate::NoValue::NotAskedFor) => {
                Answer::Unknown(Missing::SignIn(StepUp::default()))
            }
            Err(evaluate::NoValue::Unknown) => Answer::Unknown(Missing::Alternative),
        }
    }
}

/// As the operator wrote it.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
