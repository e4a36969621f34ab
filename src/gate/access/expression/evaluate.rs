//! What an expression is worth for somebody. Nothing is allocated but the text of an address.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::parse::{Comparison, Input, Node, Quantifier, TextTest};
use crate::gate::access::condition::Applicant;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claim_path::ClaimPath;
use crate::oidc::claims::{Groups, Verification};

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoValue {
    /// The expression is younger than the session, for which nobody looked for a claim in it.
    NotAskedFor,
    /// It is not there, or types do not fit.
    Unknown,
}

#[derive(Debug, Clone)]
enum Value<'a> {
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    List(List<'a>),
}

#[derive(Debug, Clone, Copy)]
enum List<'a> {
    Written(&'a [Node]),
    Claim(&'a [Json]),
    Groups(&'a [String]),
}

type Valued<'a> = Result<Value<'a>, NoValue>;

/// Whom it is judged on, and what the loop is at.
#[derive(Clone)]
struct Scope<'a> {
    applicant: &'a Applicant<'a>,
    element: Option<Value<'a>>,
}

/// Whether `root` is true of `applicant`.
pub(super) fn truth(root: &Node, applicant: &Applicant<'_>) -> Result<bool, NoValue> {
    let scope = Scope {
        applicant,
        element: None,
    };
    scope.truth(root)
}

impl<'a> Scope<'a> {
    fn truth(&self, node: &'a Node) -> Result<bool, NoValue> {
        match self.value(node)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(NoValue::Unknown),
        }
    }

    fn value(&self, node: &'a Node) -> Valued<'a> {
        let truth = match node {
            Node::Bool(truth) => Ok(*truth),
            Node::Int(number) => return Ok(Value::Int(*number)),
            Node::Text(text) => return Ok(Value::Text(Cow::Borrowed(text))),
            Node::List(all) => return Ok(Value::List(List::Written(all))),
            Node::Input(input) => return self.input(*input),
            Node::Claim(path) => return self.claim(path).and_then(of_json),
            Node::Element => return self.element.clone().ok_or(NoValue::Unknown),
            Node::Size(inner) => return self.value(inner).and_then(|value| size(&value)),
            Node::Not(inner) => self.truth(inner).map(|truth| !truth),
            Node::All(all) => settled(all.iter().map(|one| self.truth(one)), false),
            Node::Any(all) => settled(all.iter().map(|one| self.truth(one)), true),
            Node::Compare(how, two) => {
                let order = compare(&self.value(&two.0)?, &self.value(&two.1)?)?;
                Ok(how.fits(order))
            }
            Node::In(two) => {
                let (wanted, list) = (self.value(&two.0)?, self.list(&two.1)?);
                let is_equal = |one: Valued<'_>| Ok(compare(&wanted, &one?)? == Ordering::Equal);
                settled(list.elements().map(is_equal), true)
            }
            Node::Test(test, two) => match (self.value(&two.0)?, self.value(&two.1)?) {
                (Value::Text(whole), Value::Text(part)) => Ok(test.holds(&whole, &part)),
                _ => Err(NoValue::Unknown),
            },
            Node::Has(path) => self.has(path),
            Node::Loop(quantifier, two) => {
                let (list, body) = (self.list(&two.0)?, &two.1);
                let each = list.elements().map(|element| {
                    let inner = Scope {
                        applicant: self.applicant,
                        element: Some(element?),
                    };
                    inner.truth(body)
                });
                settled(each, *quantifier == Quantifier::Exists)
            }
        };
        truth.map(Value::Bool)
    }

    fn list(&self, node: &'a Node) -> Result<List<'a>, NoValue> {
        match self.value(node)? {
            Value::List(list) => Ok(list),
            _ => Err(NoValue::Unknown),
        }
    }

    fn claim(&self, path: &ClaimPath) -> Result<&'a Json, NoValue> {
        match self.applicant.identity.claims.get(path.as_str()) {
            None => Err(NoValue::NotAskedFor),
            Some(value) => Ok(value),
        }
    }

    /// `null` is what was not told, and what was too large to be kept: of neither is it known that it is
    /// not there.
    fn has(&self, path: &ClaimPath) -> Result<bool, NoValue> {
        match self.claim(path)? {
            Json::Null => Err(NoValue::Unknown),
            _ => Ok(true),
        }
    }

    fn input(&self, input: Input) -> Valued<'a> {
        let applicant = self.applicant;
        let identity = applicant.identity;
        let asked = applicant.asked;
        let text = |text: Option<&'a str>| {
            let text = text.ok_or(NoValue::Unknown)?;
            Ok(Value::Text(Cow::Borrowed(text)))
        };
        match input {
            Input::Subject => text(Some(&identity.subject)),
            Input::Email => {
                let email = identity.email.as_ref();
                let proven = email.filter(|one| one.verification == Verification::Verified);
                text(proven.map(|one| one.address.as_str()))
            }
            Input::Groups => match &identity.groups {
                Groups::Complete(groups) => Ok(Value::List(List::Groups(groups))),
                Groups::Overage => Err(NoValue::Unknown),
            },
            Input::Provider => text(Some(applicant.provider)),
            Input::Acr => text(applicant.acr),
            Input::Method => text(asked.map(|asked| asked.method.as_str())),
            Input::Host => text(asked.map(|asked| asked.host.as_str())),
            Input::Address => match applicant.client {
                Some(ClientAddress::Ip(address)) => {
                    Ok(Value::Text(Cow::Owned(address.to_string())))
                }
                Some(ClientAddress::Local) | None => Err(NoValue::Unknown),
            },
            Input::Hour => {
                let seconds = applicant.now.as_seconds().rem_euclid(86_400);
                Ok(Value::Int(seconds.div_euclid(3_600)))
            }
            Input::Weekday => {
                // The first of January 1970 was a Thursday.
                let days = applicant.now.as_seconds().div_euclid(86_400);
                Ok(Value::Int(
                    days.saturating_add(3).rem_euclid(7).saturating_add(1),
                ))
            }
        }
    }
}

/// Whether one of `all` is `sought`: then that settles it, whatever the others are. Otherwise all have to
/// be known (Kleene).
fn settled(
    all: impl Iterator<Item = Result<bool, NoValue>>,
    sought: bool,
) -> Result<bool, NoValue> {
    let mut unknown = None;
    for one in all {
        match one {
            Ok(truth) if truth == sought => return Ok(sought),
            Ok(_) => {}
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    unknown.map_or(Ok(!sought), Err)
}

fn compare(one: &Value<'_>, other: &Value<'_>) -> Result<Ordering, NoValue> {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Ok(one.cmp(other)),
        (Value::Int(one), Value::Int(other)) => Ok(one.cmp(other)),
        (Value::Text(one), Value::Text(other)) => Ok(one.cmp(other)),
        _ => Err(NoValue::Unknown),
    }
}

fn size(value: &Value<'_>) -> Valued<'static> {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(list) => list.elements().count(),
        Value::Bool(_) | Value::Int(_) => return Err(NoValue::Unknown),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn of_json(json: &Json) -> Valued<'_> {
    match json {
        Json::Bool(truth) => Ok(Value::Bool(*truth)),
        Json::Number(number) => number.as_i64().map(Value::Int).ok_or(NoValue::Unknown),
        Json::String(text) => Ok(Value::Text(Cow::Borrowed(text))),
        Json::Array(all) => Ok(Value::List(List::Claim(all))),
        Json::Null | Json::Object(_) => Err(NoValue::Unknown),
    }
}

impl<'a> List<'a> {
    fn elements(self) -> impl Iterator<Item = Valued<'a>> {
        let (written, claim, groups) = match self {
            Self::Written(all) => (all, &[][..], &[][..]),
            Self::Claim(all) => (&[][..], all, &[][..]),
            Self::Groups(all) => (&[][..], &[][..], all),
        };
        let written = written.iter().map(|node| match node {
            Node::Int(number) => Ok(Value::Int(*number)),
            Node::Text(text) => Ok(Value::Text(Cow::Borrowed(text))),
            _ => Err(NoValue::Unknown),
        });
        let groups = groups
            .iter()
            .map(|name| Ok(Value::Text(Cow::Borrowed(name))));
        written.chain(claim.iter().map(of_json)).chain(groups)
    }
}

impl Comparison {
    fn fits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl TextTest {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            Self::Contains => text.contains(part),
        }
    }
}
