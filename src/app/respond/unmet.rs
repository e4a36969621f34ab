//! A condition that is not met, in the operator's words: which rule asks for what, and which claim
//! was looked at. For the log alone; a page shows no rule.

use std::fmt;

use crate::gate::access::{Access, Condition, Missing};
use crate::gate::routes::Route;
use crate::provider::{Admit, ClaimPaths, ProviderSettings};

/// What is missing, and whose rule asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What is missing.
    pub missing: Missing,
    /// Which rule asks for it, and where the answer was looked for.
    pub rule: String,
}

impl Unmet {
    /// `missing` by the rule of the provider with these settings about who may sign in at all.
    #[must_use]
    pub fn of_admit(missing: Missing, settings: &ProviderSettings) -> Self {
        let place = format!("`admit` of provider `{}`", settings.id);
        let condition = match &settings.admit {
            Admit::Everyone => None,
            Admit::When(condition) => Some(condition),
        };
        Self {
            rule: rule(&place, condition, &missing, Some(&settings.claims)),
            missing,
        }
    }
}

/// What `route` wants of a person whose claims the provider with these settings told.
#[must_use]
pub fn rule_of_route(
    route: &Route,
    missing: &Missing,
    settings: Option<&ProviderSettings>,
) -> String {
    let condition = match &route.access {
        Access::Public | Access::Optional | Access::SignedIn => None,
        Access::When(condition) => Some(condition),
    };
    let place = format!("route `{}`", route.name);
    rule(&place, condition, missing, settings.map(|one| &one.claims))
}

fn rule(
    place: &str,
    condition: Option<&Condition>,
    missing: &Missing,
    claims: Option<&ClaimPaths>,
) -> String {
    let wants = condition.map(|condition| format!(" wants {condition}"));
    let looked = claims
        .and_then(|claims| claim(claims, missing))
        .map(|claim| format!("; looked at the claim `{claim}`"));
    [Some(place.to_owned()), wants, looked]
        .into_iter()
        .flatten()
        .collect()
}

/// The claim that decides it, where it is one.
fn claim<'a>(claims: &'a ClaimPaths, missing: &Missing) -> Option<&'a str> {
    let (path, standard) = match missing {
        Missing::Group | Missing::CompleteGroups => (&claims.groups, "groups"),
        Missing::Email | Missing::OtherEmail => (&claims.email, "email"),
        Missing::VerifiedEmail => (&claims.email_verified, "email_verified"),
        Missing::Subject => (&claims.subject, "sub"),
        Missing::Claim
        | Missing::Address
        | Missing::Exclusion
        | Missing::Alternative
        | Missing::SignIn(_) => return None,
    };
    Some(path.as_deref().unwrap_or(standard))
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", word(&self.missing), self.rule)
    }
}

/// What is missing, in a few words for logs.
#[must_use]
pub fn word(missing: &Missing) -> &'static str {
    match missing {
        Missing::Group => "in none of the groups",
        Missing::CompleteGroups => {
            "the provider did not name all groups (overage), so the list cannot be trusted"
        }
        Missing::Email => "no e-mail address",
        Missing::VerifiedEmail => "the e-mail address is not verified",
        Missing::OtherEmail => "the e-mail address or its domain is another one",
        Missing::Subject => "the subject is another one",
        Missing::Claim => {
            "a claim is another one, of another type, was not told, or is too large to be kept (8 KiB)"
        }
        Missing::Address => "the client's address is in none of the networks",
        Missing::Exclusion => {
            "who meets what the rule denies is kept out, and so is who may meet it"
        }
        Missing::Alternative => "none of the alternatives is met",
        Missing::SignIn(step_up) if !step_up.acr.is_empty() => {
            "signed in in another authentication context (`acr`), or the provider does not say in which"
        }
        Missing::SignIn(step_up) if step_up.max_age.is_some() => {
            "signed in too long ago, or the provider does not say when (`auth_time`)"
        }
        Missing::SignIn(_) => {
            "the rule is younger than the session, for which a claim was not asked for"
        }
    }
}
