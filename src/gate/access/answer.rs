//! What becomes of a condition: yes, no, or nobody knows. The logic is Kleene's, in which what nobody knows
//! stays so when it is turned round: a `deny` of what cannot be judged admits nobody.

use std::time::Duration;

/// Whether a condition is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not, or nobody knows; and this is the first thing missing.
    NotMet(Missing),
}

/// What a person lacks. Fit to be said aloud: it does not show the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Membership in a group.
    Group,
    /// The provider did not tell all groups, so none can be relied on.
    CompleteGroups,
    /// An e-mail address at all.
    Email,
    /// The provider's word that the address is theirs.
    VerifiedEmail,
    /// Another e-mail address.
    OtherEmail,
    /// Being somebody else.
    Subject,
    /// A claim that the rules ask for, or another value of it.
    Claim,
    /// Coming from another address.
    Address,
    /// Not being among those who are kept out.
    Exclusion,
    /// One of several alternatives.
    Alternative,
    /// Another sign-in: with it all would be met, as far as it can be judged now.
    SignIn(StepUp),
}

/// What a sign-in has to be like (RFC 9470 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepUp {
    /// One of these authentication contexts, the best liked first (`acr_values`); any, where there is none.
    pub acr: Vec<String>,
    /// No longer ago than this.
    pub max_age: Option<Duration>,
}

/// What becomes of one condition, or of one key in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No(Missing),
    /// There is too little to go by.
    Unknown(Missing),
}

impl Answer {
    pub(super) fn or_no(is_met: bool, missing: Missing) -> Self {
        if is_met { Self::Yes } else { Self::No(missing) }
    }

    /// Both. Of what is missing the first counts, and a sign-in last: it is no use where something else
    /// would still be missing.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, other) => other,
            (one, Self::Yes) => one,
            (one, other) => {
                let is_no = matches!(one, Self::No(_)) || matches!(other, Self::No(_));
                let missing = match (one.missing(), other.missing()) {
                    (Some(Missing::SignIn(one)), Some(Missing::SignIn(other))) => {
                        Missing::SignIn(one.and(other))
                    }
                    (Some(Missing::SignIn(_)), Some(other)) => other,
                    (Some(one), _) | (None, Some(one)) => one,
                    (None, None) => return Self::Yes,
                };
                if is_no {
                    Self::No(missing)
                } else {
                    Self::Unknown(missing)
                }
            }
        }
    }

    /// One of them at least; none, where there are none. Where one is missing nothing but a sign-in, that
    /// is what is missing.
    pub(super) fn any(all: impl Iterator<Item = Self>) -> Self {
        let (mut sign_in, mut is_known) = (None, true);
        for one in all {
            is_known &= !matches!(one, Self::Unknown(_));
            match one.missing() {
                None => return Self::Yes,
                Some(Missing::SignIn(step_up)) => sign_in = sign_in.or(Some(step_up)),
                Some(_) => {}
            }
        }
        let missing = sign_in.map_or(Missing::Alternative, Missing::SignIn);
        if is_known {
            Self::No(missing)
        } else {
            Self::Unknown(missing)
        }
    }

    /// The opposite.
    pub(super) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No(Missing::Exclusion),
            Self::No(_) => Self::Yes,
            Self::Unknown(_) => Self::Unknown(Missing::Exclusion),
        }
    }

    fn missing(self) -> Option<Missing> {
        match self {
            Self::Yes => None,
            Self::No(missing) | Self::Unknown(missing) => Some(missing),
        }
    }
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        answer.missing().map_or(Self::Met, Self::NotMet)
    }
}

impl StepUp {
    /// What meets both, as far as one sign-in can: of two lists what is in both.
    fn and(self, other: Self) -> Self {
        let acr = match (self.acr.is_empty(), other.acr.is_empty()) {
            (true, _) => other.acr,
            (_, true) => self.acr,
            (false, false) => {
                let both = |one: &String| other.acr.contains(one);
                self.acr.into_iter().filter(both).collect()
            }
        };
        let max_age = match (self.max_age, other.max_age) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { acr, max_age }
    }
}
