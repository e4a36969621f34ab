//! Conditions on whoever is signed in.

use std::fmt;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use super::answer::{Answer, Missing, StepUp, Verdict};
use super::claims::ClaimRule;
use super::email::{self, EmailRule};
use super::expression::Expression;
use crate::base::clock::UnixTime;
use crate::base::origin::Host;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claim_path::ClaimPath;
use crate::oidc::claims::{Groups, Identity};

/// How far the provider's clock and ours may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// A condition on an identity. All keys that are there must hold; the values of a key are
/// alternatives, so an empty list is met by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// A member of one of these groups.
    pub groups: Option<Vec<Named>>,
    /// The owner of one of these addresses.
    pub emails: Option<Vec<EmailRule>>,
    /// One of these subjects.
    pub subjects: Option<Vec<Named>>,
    /// All of these hold of the claims.
    pub claims: Option<Vec<ClaimRule>>,
    /// Signed in in one of these authentication contexts.
    pub acr: Option<Vec<Named>>,
    /// Signed in no longer ago than this.
    pub max_age: Option<Duration>,
    /// Comes from an address in one of these networks.
    pub addresses: Option<Vec<IpNet>>,
    /// This is true.
    pub when: Option<Box<Expression>>,
    /// At least one of these conditions.
    pub any: Option<Vec<Self>>,
    /// Not this condition.
    pub deny: Option<Box<Self>>,
}

/// A group, subject or authentication context, and the provider whose word it is. Where there are several
/// providers the configuration demands that one is named, so that one provider's `admins` are not
/// another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The provider's id; any, where the configuration has just one.
    pub provider: Option<String>,
    /// The exact name.
    pub name: String,
}

/// Whom a condition is judged on.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// The id of the provider that vouches for the identity.
    pub provider: &'a str,
    /// Who it is.
    pub identity: &'a Identity,
    /// In which authentication context they signed in (`acr`), as far as the provider said.
    pub acr: Option<&'a str>,
    /// When they last proved who they are, as far as the provider said.
    pub auth_time: Option<UnixTime>,
    /// Where they ask from.
    pub client: Option<ClientAddress>,
    /// What they ask for; nothing, where somebody signs in.
    pub asked: Option<Asked<'a>>,
    /// When they ask.
    pub now: UnixTime,
}

/// What a request asks for, as far as expressions may look at it. Paths are not among it: they are matched
/// by routes, under every reading.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host.
    pub host: &'a Host,
}

impl<'a> Applicant<'a> {
    /// Somebody of whom nothing but the identity is looked at.
    #[must_use]
    pub fn by_identity(provider: &'a str, identity: &'a Identity) -> Self {
        Self {
            provider,
            identity,
            acr: None,
            auth_time: None,
            client: None,
            asked: None,
            now: UnixTime::from_seconds(0),
        }
    }
}

impl Condition {
    /// Judges whoever applies.
    #[must_use]
    pub fn judge(&self, applicant: &Applicant<'_>) -> Verdict {
        self.answer(applicant).into()
    }

    /// Calls `each` with every claim that is asked for of whom the provider with this id vouches for.
    pub fn for_each_claim(&self, provider: &str, each: &mut dyn FnMut(&ClaimPath)) {
        for rule in self.claims.iter().flatten() {
            if from(rule.provider.as_deref(), provider) {
                each(&rule.path);
            }
        }
        if let Some(expression) = &self.when {
            expression.for_each_claim(each);
        }
        for one in self.any.iter().flatten().chain(self.deny.as_deref()) {
            one.for_each_claim(provider, each);
        }
    }

    fn answer(&self, applicant: &Applicant<'_>) -> Answer {
        self.keys(applicant).fold(Answer::Yes, Answer::and)
    }

    /// What becomes of each key that is there.
    fn keys(&self, applicant: &Applicant<'_>) -> impl Iterator<Item = Answer> {
        let Applicant {
            provider, identity, ..
        } = *applicant;
        let deny = self.deny.as_deref();
        let any = self.any.as_deref();
        [
            self.groups
                .as_deref()
                .map(|rules| groups(rules, provider, &identity.groups)),
            self.emails
                .as_deref()
                .map(|rules| email::judge(rules, provider, identity.email.as_ref())),
            self.subjects.as_deref().map(|rules| {
                let is_one = rules
                    .iter()
                    .any(|rule| rule.means(provider, &identity.subject));
                Answer::or_no(is_one, Missing::Subject)
            }),
            self.claims.as_deref().map(|rules| {
                // No claim at all would be met by everybody.
                let first = Answer::or_no(!rules.is_empty(), Missing::Claim);
                let each = rules.iter().map(|rule| rule.judge(provider, identity));
                each.fold(first, Answer::and)
            }),
            self.addresses
                .as_deref()
                .map(|networks| address(networks, applicant.client)),
            self.when.as_ref().map(|one| one.judge(applicant)),
            any.map(|all| Answer::any(all.iter().map(|one| one.answer(applicant)))),
            deny.map(|condition| condition.answer(applicant).not()),
            self.acr.as_deref().map(|rules| acr(rules, applicant)),
            self.max_age.map(|span| age(span, applicant)),
        ]
        .into_iter()
        .flatten()
    }
}

fn groups(rules: &[Named], provider: &str, groups: &Groups) -> Answer {
    match groups {
        Groups::Overage => Answer::Unknown(Missing::CompleteGroups),
        Groups::Complete(groups) => {
            let is_in = |rule: &Named| groups.iter().any(|group| rule.means(provider, group));
            Answer::or_no(rules.iter().any(is_in), Missing::Group)
        }
    }
}

fn address(networks: &[IpNet], client: Option<ClientAddress>) -> Answer {
    match client {
        Some(ClientAddress::Ip(address)) => {
            let is_there = networks.iter().any(|network| network.contains(&address));
            Answer::or_no(is_there, Missing::Address)
        }
        Some(ClientAddress::Local) | None => Answer::Unknown(Missing::Address),
    }
}

fn acr(rules: &[Named], applicant: &Applicant<'_>) -> Answer {
    let own = rules
        .iter()
        .filter(|rule| from(rule.provider.as_deref(), applicant.provider));
    let acr: Vec<String> = own.map(|rule| rule.name.clone()).collect();
    // None that this provider could ever give.
    if acr.is_empty() {
        return Answer::No(Missing::Alternative);
    }
    let missing = |acr| Missing::SignIn(StepUp { acr, max_age: None });
    match applicant.acr {
        Some(given) if acr.iter().any(|one| one == given) => Answer::Yes,
        Some(_) => Answer::No(missing(acr)),
        None => Answer::Unknown(missing(acr)),
    }
}

fn age(span: Duration, applicant: &Applicant<'_>) -> Answer {
    let missing = Missing::SignIn(StepUp {
        acr: Vec::new(),
        max_age: Some(span),
    });
    match applicant.auth_time {
        // Nobody has signed in tomorrow.
        Some(moment) if moment <= applicant.now.plus(CLOCK_SKEW) => {
            let is_young = applicant.now <= moment.plus(span).plus(CLOCK_SKEW);
            Answer::or_no(is_young, missing)
        }
        Some(_) | None => Answer::Unknown(missing),
    }
}

/// As the operator wrote it, in one line: `groups [admins, ops] and emails [@ok.test]`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(name: &str, all: Option<&[T]>) -> Option<String> {
            let all: Vec<String> = all?.iter().map(ToString::to_string).collect();
            Some(format!("{name} [{}]", all.join(", ")))
        }
        let claims = self.claims.iter().flatten().map(|rule| {
            let values: Vec<String> = rule.values.iter().map(ToString::to_string).collect();
            format!("claim {rule} [{}]", values.join(", "))
        });
        let span = self.max_age.map(humantime::format_duration);
        let keys: Vec<String> = [
            list("groups", self.groups.as_deref()),
            list("emails", self.emails.as_deref()),
            list("subjects", self.subjects.as_deref()),
        ]
        .into_iter()
        .flatten()
        .chain(claims)
        .chain(
            [
                list("acr", self.acr.as_deref()),
                span.map(|span| format!("max_age {span}")),
                list("addresses", self.addresses.as_deref()),
                self.when.as_ref().map(|one| format!("when ({one})")),
                list("any of", self.any.as_deref()),
                self.deny.as_ref().map(|one| format!("not ({one})")),
            ]
            .into_iter()
            .flatten(),
        )
        .collect();
        f.write_str(&keys.join(" and "))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_whose(f, self.provider.as_deref())?;
        f.write_str(&self.name)
    }
}

pub(super) fn write_whose(f: &mut fmt::Formatter<'_>, provider: Option<&str>) -> fmt::Result {
    provider.map_or(Ok(()), |provider| write!(f, "{provider}:"))
}

impl Named {
    fn means(&self, provider: &str, name: &str) -> bool {
        self.name == name && from(self.provider.as_deref(), provider)
    }
}

pub(super) fn from(wanted: Option<&str>, provider: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == provider)
}
