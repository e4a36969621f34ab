//! A condition taken apart: each key by itself, with what it was judged on. The parts are judged by
//! [`Condition::judge`] itself, so that what is explained is what is done.

use super::answer::Verdict;
use super::claims::ClaimRule;
use super::condition::{Applicant, Condition};
use super::expression::Expression;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claims::{Groups, Verification};

/// One part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How deep it stands in others: 0 for the condition's own keys.
    pub depth: usize,
    /// What is asked for, as the operator wrote it.
    pub wanted: String,
    /// What there is; nothing, for a part that consists of others.
    pub found: Option<String>,
    /// Whether it is met by itself.
    pub verdict: Verdict,
}

impl Condition {
    /// The parts of the condition, each with what becomes of it.
    #[must_use]
    pub fn parts(&self, applicant: &Applicant<'_>) -> Vec<Part> {
        let mut parts = Vec::new();
        self.take_apart(applicant, 0, &mut parts);
        parts
    }

    fn take_apart(&self, applicant: &Applicant<'_>, depth: usize, parts: &mut Vec<Part>) {
        let Self {
            groups,
            emails,
            subjects,
            claims,
            acr,
            max_age,
            addresses,
            when,
            any,
            deny,
        } = self.clone();
        let none = Self::default;
        let identity = applicant.identity;
        let mut plain = |one: Self, found: String| {
            parts.push(Part {
                depth,
                wanted: one.to_string(),
                found: Some(found),
                verdict: one.judge(applicant),
            });
        };
        if groups.is_some() {
            let found = match &identity.groups {
                Groups::Complete(groups) => format!("[{}]", groups.join(", ")),
                Groups::Overage => "not all were told".to_owned(),
            };
            plain(Self { groups, ..none() }, found);
        }
        if emails.is_some() {
            let found = identity
                .email
                .as_ref()
                .map(|email| match email.verification {
                    Verification::Verified => email.address.clone(),
                    Verification::Unverified => format!("{}, not verified", email.address),
                });
            plain(Self { emails, ..none() }, or_none(found));
        }
        if subjects.is_some() {
            let found = identity.subject.clone();
            plain(Self { subjects, ..none() }, found);
        }
        for rule in claims.into_iter().flatten() {
            let found = claim(&rule, applicant);
            let claims = Some(vec![rule]);
            plain(Self { claims, ..none() }, found);
        }
        if acr.is_some() {
            let found = or_none(applicant.acr.map(str::to_owned));
            plain(Self { acr, ..none() }, found);
        }
        if max_age.is_some() {
            let ago = |moment| humantime::format_duration(applicant.now.since(moment)).to_string();
            let found = applicant
                .auth_time
                .map(|moment| format!("{} ago", ago(moment)));
            plain(Self { max_age, ..none() }, or_none(found));
        }
        if addresses.is_some() {
            let found = match applicant.client {
                Some(ClientAddress::Ip(address)) => Some(address.to_string()),
                Some(ClientAddress::Local) | None => None,
            };
            plain(
                Self {
                    addresses,
                    ..none()
                },
                or_none(found),
            );
        }
        if let Some(expression) = when {
            let found = told(&expression, applicant);
            let when = Some(expression);
            plain(Self { when, ..none() }, found);
        }
        let mut nested = |word: &str, whole: Self, inner: &[Self]| {
            parts.push(Part {
                depth,
                wanted: word.to_owned(),
                found: None,
                verdict: whole.judge(applicant),
            });
            for one in inner {
                one.take_apart(applicant, depth.saturating_add(1), parts);
            }
        };
        if let Some(inner) = any {
            let any = Some(inner.clone());
            nested("any of", Self { any, ..none() }, &inner);
        }
        if let Some(inner) = deny {
            let deny = Some(inner.clone());
            nested("not", Self { deny, ..none() }, &[*inner]);
        }
    }
}

fn claim(rule: &ClaimRule, applicant: &Applicant<'_>) -> String {
    let found = applicant.identity.claims.get(rule.path.as_str());
    or_none(
        found
            .filter(|value| !value.is_null())
            .map(ToString::to_string),
    )
}

/// The claims that an expression asks for.
fn told(expression: &Expression, applicant: &Applicant<'_>) -> String {
    let mut all = Vec::new();
    expression.for_each_claim(&mut |path| {
        let found = applicant.identity.claims.get(path.as_str());
        let found = found.filter(|value| !value.is_null());
        let one = format!("{path} {}", or_none(found.map(ToString::to_string)));
        if !all.contains(&one) {
            all.push(one);
        }
    });
    if all.is_empty() {
        "no claim that it asks for".to_owned()
    } else {
        all.join(", ")
    }
}

fn or_none(found: Option<String>) -> String {
    found.unwrap_or_else(|| "nothing".to_owned())
}
