//! Who may pass, as `config show` writes it.

use super::yaml::Shown;
use crate::gate::access::{Access, ClaimRule, Condition, EmailPattern, EmailRule, Named, Scalar};
use crate::gate::routes::Route;

/// Whether names in a condition are written with their provider.
#[derive(Clone, Copy)]
pub(super) enum Names {
    Bare,
    WithProvider,
}

/// The `access` of a route.
pub(super) fn of_route(route: &Route) -> Shown {
    let certificates = route.client_certificate.as_ref().map(|patterns| {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        ("client_certificate", Shown::texts(&patterns))
    });
    match (&route.access, certificates) {
        (Access::Public, Some(only)) => Shown::map([only]),
        (Access::SignedIn, Some(first)) => Shown::map([first, ("signed_in", Shown::word("true"))]),
        (Access::When(one), Some((key, patterns))) => {
            condition(one, Names::WithProvider).with(key, Some(patterns))
        }
        (access, _) => of_access(access),
    }
}

/// A rule alone.
pub(super) fn of_access(access: &Access) -> Shown {
    match access {
        Access::Public => Shown::word("public"),
        Access::Optional => Shown::word("optional"),
        Access::SignedIn => Shown::word("signed_in"),
        Access::When(one) => condition(one, Names::WithProvider),
    }
}

/// One condition.
pub(super) fn condition(one: &Condition, names: Names) -> Shown {
    let exact = |list: &Vec<Named>| {
        let write = |one: &Named| Shown::text(names.write(one.provider.as_deref(), &one.name));
        Shown::List(list.iter().map(write).collect())
    };
    let emails =
        |list: &Vec<EmailRule>| Shown::List(list.iter().map(|rule| names.email(rule)).collect());
    let any =
        |list: &Vec<Condition>| Shown::List(list.iter().map(|one| condition(one, names)).collect());
    let networks = one.addresses.as_ref().map(|networks| {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        Shown::texts(&networks)
    });
    let age = one.max_age.map(humantime::format_duration);
    Shown::map([])
        .with("groups", one.groups.as_ref().map(exact))
        .with("emails", one.emails.as_ref().map(emails))
        .with("subjects", one.subjects.as_ref().map(exact))
        .with("claims", one.claims.as_ref().map(|all| names.claims(all)))
        .with("acr", one.acr.as_ref().map(exact))
        .with("max_age", age.map(|span| Shown::text(span.to_string())))
        .with("addresses", networks)
        .with(
            "when",
            one.when.as_ref().map(|one| Shown::text(one.to_string())),
        )
        .with("any", one.any.as_ref().map(any))
        .with("deny", one.deny.as_ref().map(|one| condition(one, names)))
}

impl Names {
    fn write(self, provider: Option<&str>, name: &str) -> String {
        match (self, provider) {
            (Self::WithProvider, Some(provider)) => format!("{provider}:{name}"),
            _ => name.to_owned(),
        }
    }

    fn email(self, rule: &EmailRule) -> Shown {
        let provider = rule.provider.as_deref();
        Shown::text(match &rule.pattern {
            EmailPattern::Address(address) => self.write(provider, address),
            EmailPattern::Domain(domain) => self.write(provider, &format!("@{domain}")),
        })
    }

    fn claims(self, rules: &[ClaimRule]) -> Shown {
        let one = |rule: &ClaimRule| {
            let values = rule.values.iter().map(scalar).collect();
            let key = self.write(rule.provider.as_deref(), rule.path.as_str());
            (key, Shown::List(values))
        };
        Shown::Map(rules.iter().map(one).collect())
    }
}

fn scalar(value: &Scalar) -> Shown {
    match value {
        Scalar::Text(text) => Shown::text(text.as_str()),
        Scalar::Number(number) => Shown::word(number),
        Scalar::Bool(value) => Shown::word(value),
    }
}
