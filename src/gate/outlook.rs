//! What would become of a request: the decision's own words, for those who only want to know.
//!
//! Nothing comes of an [`Outlook`]: no permit, no redirect. It is made of the same judgements as a
//! decision, so that what is tried, explained or replayed is what would be done.

use super::decision::Denial;
use super::facts::{Asker, Facts};
use super::routes::Matched;
use super::{Evidence, Gate, UnixTime, Weighed};

/// Which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lens {
    /// Those that are in force.
    InForce,
    /// Those as they would be if what is only tried were in force.
    Tried,
}

/// What would become of a request.
#[derive(Debug, Clone)]
pub enum Outlook {
    /// It would go on, by the route with this index.
    Admitted(usize),
    /// The person would be sent to sign in.
    SignIn,
    /// The person, who is signed in, would be sent to sign in anew.
    StepUp,
    /// It is no matter of the rules: an endpoint of ours, or a preflight.
    Own,
    /// It would be refused.
    Refused(Denial),
}

impl Gate {
    /// What would become of the request, which is judged at `now`, by the rules that `lens` shows.
    #[must_use]
    pub fn outlook(
        &self,
        matched: &Matched,
        facts: &Facts,
        (evidence, now): (&Evidence, UnixTime),
        lens: Lens,
    ) -> Outlook {
        let set = match matched {
            Matched::Endpoint(_) | Matched::Preflight(_) => return Outlook::Own,
            Matched::Refused(denial) => return Outlook::Refused(denial.clone()),
            Matched::Routes(set) => set,
        };
        let navigates = facts.asker() == Asker::Navigation;
        match self.weigh(set, facts, (evidence, now), lens) {
            Weighed::Pass(_) => Outlook::Admitted(set.answering().unwrap_or(set.first())),
            Weighed::Refuse(denial) => Outlook::Refused(denial),
            Weighed::Ask if navigates => Outlook::SignIn,
            Weighed::Ask => Outlook::Refused(Denial::LoginRequired),
            Weighed::StepUp(..) if navigates => Outlook::StepUp,
            Weighed::StepUp(session, step_up, index) => {
                Outlook::Refused(Denial::StepUpRequired(session, step_up, index))
            }
        }
    }

    /// What becomes of the request and what would, where some rule that it falls under is only tried.
    #[must_use]
    pub fn tried(
        &self,
        matched: &Matched,
        facts: &Facts,
        (evidence, now): (&Evidence, UnixTime),
    ) -> Option<(Outlook, Outlook)> {
        let Matched::Routes(set) = matched else {
            return None;
        };
        let tries = |index| self.routes.at(index).is_some_and(super::Route::tries);
        if !set.iter().any(tries) {
            return None;
        }
        let look = |lens| self.outlook(matched, facts, (evidence, now), lens);
        Some((look(Lens::InForce), look(Lens::Tried)))
    }
}
