//! Who may pass. Every rule fails closed: what is absent, unverified, incomplete or of another type than
//! the rule's is not met, also where the rule stands in a `deny`.

mod answer;
mod challenge;
mod claims;
mod condition;
mod email;
mod expression;
mod trace;

#[cfg(test)]
mod tests;

pub use self::answer::{Missing, StepUp, Verdict};
pub use self::claims::{ClaimRule, Scalar};
pub use self::condition::{Applicant, Asked, Condition, Named};
pub use self::email::{EmailPattern, EmailRule};
pub use self::expression::{Expression, ExpressionError, Inputs};
pub use self::trace::Part;

/// Who may pass a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nobody is looked at.
    Public,
    /// Everybody; who is signed in is told to the app.
    Optional,
    /// Everybody who is signed in.
    SignedIn,
    /// Those who are signed in and meet the condition.
    When(Condition),
}
