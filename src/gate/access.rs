//! Who may pass. Every rule fails closed: what is absent, unverified or incomplete is not met.

use std::fmt;

use crate::oidc::claims::{Email, Groups, Identity, Verification};

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
    /// At least one of these conditions.
    pub any: Option<Vec<Self>>,
}

/// A group or subject, and the provider whose word it is. Where there are several providers the
/// configuration demands that one is named, so that one provider's `admins` are not another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The provider's id; any, where the configuration has just one.
    pub provider: Option<String>,
    /// The group's or subject's exact name.
    pub name: String,
}

/// An address or a whole domain, and the provider whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailRule {
    /// The provider's id; any, where the configuration has just one.
    pub provider: Option<String>,
    /// What the address must be.
    pub pattern: EmailPattern,
}

/// What an e-mail address must be. Compared without regard to ASCII case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailPattern {
    /// Exactly this address.
    Address(String),
    /// Any address whose domain is exactly this one, which is written without the `@`.
    Domain(String),
}

/// Whether a condition is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not, and this was the first thing missing.
    NotMet(Missing),
}

/// What a person lacks. Fit to be said aloud: it does not show the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// One of several alternatives.
    Alternative,
}

impl Condition {
    /// Judges `identity`, vouched for by the provider with the id `provider`.
    #[must_use]
    pub fn judge(&self, provider: &str, identity: &Identity) -> Verdict {
        let keys = [
            self.groups
                .as_ref()
                .map(|rules| judge_groups(rules, provider, &identity.groups)),
            self.emails
                .as_ref()
                .map(|rules| judge_email(rules, provider, identity.email.as_ref())),
            self.subjects.as_ref().map(|rules| {
                if rules
                    .iter()
                    .any(|rule| rule.means(provider, &identity.subject))
                {
                    Verdict::Met
                } else {
                    Verdict::NotMet(Missing::Subject)
                }
            }),
            self.any.as_ref().map(|conditions| {
                let met = |one: &Self| one.judge(provider, identity) == Verdict::Met;
                if conditions.iter().any(met) {
                    Verdict::Met
                } else {
                    Verdict::NotMet(Missing::Alternative)
                }
            }),
        ];
        keys.into_iter()
            .flatten()
            .find(|one| *one != Verdict::Met)
            .unwrap_or(Verdict::Met)
    }
}

/// As the operator wrote it, in one line: `groups [admins, ops] and emails [@ok.test]`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys = Vec::new();
        let mut key = |name: &str, values: Option<Vec<String>>| {
            keys.extend(values.map(|values| format!("{name} [{}]", values.join(", "))));
        };
        let named = |rules: &Vec<Named>| rules.iter().map(ToString::to_string).collect();
        key("groups", self.groups.as_ref().map(named));
        let emails = |rules: &Vec<EmailRule>| rules.iter().map(ToString::to_string).collect();
        key("emails", self.emails.as_ref().map(emails));
        key("subjects", self.subjects.as_ref().map(named));
        let any = |all: &Vec<Self>| all.iter().map(ToString::to_string).collect();
        key("any of", self.any.as_ref().map(any));
        f.write_str(&keys.join(" and "))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_whose(f, self.provider.as_deref())?;
        f.write_str(&self.name)
    }
}

impl fmt::Display for EmailRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_whose(f, self.provider.as_deref())?;
        match &self.pattern {
            EmailPattern::Address(address) => f.write_str(address),
            EmailPattern::Domain(domain) => write!(f, "@{domain}"),
        }
    }
}

fn write_whose(f: &mut fmt::Formatter<'_>, provider: Option<&str>) -> fmt::Result {
    provider.map_or(Ok(()), |provider| write!(f, "{provider}:"))
}

impl Named {
    fn means(&self, provider: &str, name: &str) -> bool {
        self.name == name && from(self.provider.as_deref(), provider)
    }
}

fn from(wanted: Option<&str>, provider: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == provider)
}

fn judge_groups(rules: &[Named], provider: &str, groups: &Groups) -> Verdict {
    match groups {
        Groups::Overage => Verdict::NotMet(Missing::CompleteGroups),
        Groups::Complete(groups) => {
            let member = |rule: &Named| groups.iter().any(|group| rule.means(provider, group));
            if rules.iter().any(member) {
                Verdict::Met
            } else {
                Verdict::NotMet(Missing::Group)
            }
        }
    }
}

fn judge_email(rules: &[EmailRule], provider: &str, email: Option<&Email>) -> Verdict {
    let Some(email) = email else {
        return Verdict::NotMet(Missing::Email);
    };
    if email.verification != Verification::Verified {
        return Verdict::NotMet(Missing::VerifiedEmail);
    }
    let met = |rule: &EmailRule| {
        from(rule.provider.as_deref(), provider) && rule.pattern.means(&email.address)
    };
    if rules.iter().any(met) {
        Verdict::Met
    } else {
        Verdict::NotMet(Missing::OtherEmail)
    }
}

impl EmailPattern {
    /// Whether `address` is meant: one `@`, nothing but visible ASCII on both sides of it.
    fn means(&self, address: &str) -> bool {
        let Some((local, domain)) = address.split_once('@') else {
            return false;
        };
        let visible = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"@\",;<>()".contains(&b))
        };
        if !visible(local) || !visible(domain) {
            return false;
        }
        match self {
            Self::Address(wanted) => wanted.eq_ignore_ascii_case(address),
            Self::Domain(wanted) => wanted.eq_ignore_ascii_case(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Identity {
        Identity {
            issuer: "https://id.test".to_owned(),
            subject: "a1".to_owned(),
            email: Some(Email {
                address: "alice@ok.test".to_owned(),
                verification: Verification::Verified,
            }),
            groups: Groups::Complete(vec!["dev".to_owned(), "users,admins".to_owned()]),
            preferred_username: None,
            name: None,
        }
    }

    fn named(name: &str) -> Named {
        Named {
            provider: None,
            name: name.to_owned(),
        }
    }

    fn with_email(address: &str) -> Identity {
        let email = Email {
            address: address.to_owned(),
            verification: Verification::Verified,
        };
        Identity {
            email: Some(email),
            ..alice()
        }
    }

    fn domain(name: &str) -> Condition {
        let pattern = EmailPattern::Domain(name.to_owned());
        Condition {
            emails: Some(vec![EmailRule {
                provider: None,
                pattern,
            }]),
            ..Condition::default()
        }
    }

    // C25: only the exact single-@ domain matches.
    #[test]
    fn only_an_address_of_exactly_that_domain_is_admitted() {
        for good in ["alice@ok.test", "Alice@OK.test", "a+b@ok.test"] {
            assert_eq!(
                domain("ok.test").judge("p", &with_email(good)),
                Verdict::Met,
                "{good}"
            );
        }
        for bad in [
            "a@ok.test@evil.test",
            "a@evil.test@ok.test",
            "\"a@ok.test\"@evil.test",
            "a@ok.test.",
            " a@ok.test",
            "a@ok.test ",
            "a\0@ok.test",
            "a@ok.test,b@ok.test",
            "a\u{ff20}ok.test",
            "a@xok.test",
            "a@sub.ok.test",
            "@ok.test",
            "a@",
            "a@xn--ok-test",
            "a@evil.test\r\nX: y@ok.test",
            "ok.test",
            "",
        ] {
            assert_ne!(
                domain("ok.test").judge("p", &with_email(bad)),
                Verdict::Met,
                "{bad:?}"
            );
        }
    }

    // C25: an address that the provider does not vouch for meets no rule.
    #[test]
    fn an_unverified_address_meets_no_rule() {
        let email = Email {
            address: "alice@ok.test".to_owned(),
            verification: Verification::Unverified,
        };
        let unverified = Identity {
            email: Some(email),
            ..alice()
        };
        assert_eq!(
            domain("ok.test").judge("p", &unverified),
            Verdict::NotMet(Missing::VerifiedEmail)
        );
        let none = Identity {
            email: None,
            ..alice()
        };
        assert_eq!(
            domain("ok.test").judge("p", &none),
            Verdict::NotMet(Missing::Email)
        );
    }

    // C26: a group whose name holds the delimiter is one group; an overage is no membership.
    #[test]
    fn a_group_is_matched_whole_and_an_overage_admits_nobody() {
        let admins = Condition {
            groups: Some(vec![named("admins")]),
            ..Condition::default()
        };
        assert_eq!(admins.judge("p", &alice()), Verdict::NotMet(Missing::Group));
        let overage = Identity {
            groups: Groups::Overage,
            ..alice()
        };
        assert_eq!(
            admins.judge("p", &overage),
            Verdict::NotMet(Missing::CompleteGroups)
        );
        let dev = Condition {
            groups: Some(vec![named("ops"), named("dev")]),
            ..Condition::default()
        };
        assert_eq!(dev.judge("p", &alice()), Verdict::Met);
    }

    // C24: one provider's groups and addresses are not another's.
    #[test]
    fn a_rule_that_names_a_provider_believes_only_that_provider() {
        let of = |name: &str| Named {
            provider: Some("corp".to_owned()),
            name: name.to_owned(),
        };
        let groups = Condition {
            groups: Some(vec![of("dev")]),
            ..Condition::default()
        };
        assert_eq!(groups.judge("corp", &alice()), Verdict::Met);
        assert_eq!(
            groups.judge("other", &alice()),
            Verdict::NotMet(Missing::Group)
        );
        let subjects = Condition {
            subjects: Some(vec![of("a1")]),
            ..Condition::default()
        };
        assert_eq!(subjects.judge("corp", &alice()), Verdict::Met);
        assert_eq!(
            subjects.judge("other", &alice()),
            Verdict::NotMet(Missing::Subject)
        );
    }

    // I12: an empty list means nobody.
    #[test]
    fn an_empty_list_admits_nobody_and_all_keys_must_hold() {
        for nobody in [
            Condition {
                groups: Some(vec![]),
                ..Condition::default()
            },
            Condition {
                emails: Some(vec![]),
                ..Condition::default()
            },
            Condition {
                subjects: Some(vec![]),
                ..Condition::default()
            },
            Condition {
                any: Some(vec![]),
                ..Condition::default()
            },
        ] {
            assert_ne!(nobody.judge("p", &alice()), Verdict::Met, "{nobody:?}");
        }
        let both = Condition {
            groups: Some(vec![named("dev")]),
            ..domain("other.test")
        };
        assert_eq!(
            both.judge("p", &alice()),
            Verdict::NotMet(Missing::OtherEmail)
        );
        let either = Condition {
            any: Some(vec![
                domain("other.test"),
                Condition {
                    groups: Some(vec![named("dev")]),
                    ..Condition::default()
                },
            ]),
            ..Condition::default()
        };
        assert_eq!(either.judge("p", &alice()), Verdict::Met);
    }
}
