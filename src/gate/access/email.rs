//! Rules about e-mail addresses.

use std::fmt;

use super::answer::{Answer, Missing};
use super::condition::{from, write_whose};
use crate::oidc::claims::{Email, Verification};

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

pub(super) fn judge(rules: &[EmailRule], provider: &str, email: Option<&Email>) -> Answer {
    let Some(email) = email else {
        return Answer::Unknown(Missing::Email);
    };
    if email.verification != Verification::Verified {
        return Answer::Unknown(Missing::VerifiedEmail);
    }
    let Some((local, domain)) = parts(&email.address) else {
        return Answer::Unknown(Missing::OtherEmail);
    };
    let met = |rule: &EmailRule| {
        from(rule.provider.as_deref(), provider) && rule.pattern.means(local, domain)
    };
    Answer::or_no(rules.iter().any(met), Missing::OtherEmail)
}

/// What stands on both sides of the one `@`: nothing but visible ASCII.
fn parts(address: &str) -> Option<(&str, &str)> {
    let (local, domain) = address.split_once('@')?;
    let is_visible = |text: &str| {
        let plain = |b: u8| b.is_ascii_graphic() && !b"@\",;<>()".contains(&b);
        !text.is_empty() && text.bytes().all(plain)
    };
    (is_visible(local) && is_visible(domain)).then_some((local, domain))
}

impl EmailPattern {
    fn means(&self, local: &str, domain: &str) -> bool {
        match self {
            Self::Address(wanted) => wanted.split_once('@').is_some_and(|(name, host)| {
                name.eq_ignore_ascii_case(local) && host.eq_ignore_ascii_case(domain)
            }),
            Self::Domain(wanted) => wanted.eq_ignore_ascii_case(domain),
        }
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
