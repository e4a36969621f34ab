//! Which client certificates a route accepts. A certificate comes here verified: its roots, its time
//! and the possession of its key were checked in the handshake.

use std::fmt;

use crate::base::certificate::{CertificateFacts, Fingerprint, SubjectName};

/// What one name of a certificate, or the certificate itself, must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificatePattern {
    /// Any certificate that our roots vouch for.
    Any,
    /// An alternative name of the kind DNS; compared without regard to ASCII case.
    Dns(Name),
    /// An alternative name of the kind URI.
    Uri(Name),
    /// An alternative name of the kind mail address; compared without regard to ASCII case.
    Email(Name),
    /// The subject's common name, where it has exactly one.
    CommonName(Name),
    /// This very certificate.
    Fingerprint(Fingerprint),
}

/// What a name must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Exactly this.
    Exactly(String),
    /// Something that begins so, and goes on.
    Beginning(String),
    /// Something that ends so, with something before it.
    Ending(String),
}

/// Whether one of `patterns` fits the certificate that was `shown`; none fits where none was shown.
#[must_use]
pub fn accepts(patterns: &[CertificatePattern], shown: Option<&CertificateFacts>) -> bool {
    shown.is_some_and(|facts| patterns.iter().any(|pattern| pattern.fits(facts)))
}

impl CertificatePattern {
    fn fits(&self, facts: &CertificateFacts) -> bool {
        let named = |fits: &dyn Fn(&SubjectName) -> bool| facts.names.iter().any(fits);
        match self {
            Self::Any => true,
            Self::Dns(wanted) => named(
                &|name| matches!(name, SubjectName::Dns(name) if wanted.means(&name.to_ascii_lowercase())),
            ),
            Self::Uri(wanted) => {
                named(&|name| matches!(name, SubjectName::Uri(name) if wanted.means(name)))
            }
            Self::Email(wanted) => named(
                &|name| matches!(name, SubjectName::Email(name) if wanted.means(&name.to_ascii_lowercase())),
            ),
            Self::CommonName(wanted) => facts
                .common_name
                .as_ref()
                .is_some_and(|name| wanted.means(name)),
            Self::Fingerprint(wanted) => facts.fingerprint == *wanted,
        }
    }

    /// Reads `any`, or `dns:`, `uri:`, `email:`, `cn:` with a name that may begin or end with `*`, or
    /// `sha256:` with a fingerprint.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self::Any);
        }
        let (kind, rest) = text.split_once(':')?;
        let lower = || Name::parse(&rest.to_ascii_lowercase());
        match kind {
            "dns" => lower().map(Self::Dns),
            "uri" => Name::parse(rest).map(Self::Uri),
            "email" => lower().map(Self::Email),
            "cn" => Name::parse(rest).map(Self::CommonName),
            "sha256" => Fingerprint::parse(rest).map(Self::Fingerprint),
            _ => None,
        }
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let name = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (None, None) => Self::Exactly(text.to_owned()),
            (None, Some(begin)) => Self::Beginning(begin.to_owned()),
            (Some(end), None) => Self::Ending(end.to_owned()),
            (Some(_), Some(_)) => return None,
        };
        let (Self::Exactly(word) | Self::Beginning(word) | Self::Ending(word)) = &name;
        (!word.is_empty() && !word.contains('*')).then_some(name)
    }

    fn means(&self, name: &str) -> bool {
        match self {
            Self::Exactly(wanted) => name == wanted,
            Self::Beginning(begin) => name
                .strip_prefix(begin.as_str())
                .is_some_and(|rest| !rest.is_empty()),
            Self::Ending(end) => name
                .strip_suffix(end.as_str())
                .is_some_and(|rest| !rest.is_empty()),
        }
    }
}

/// As it is written.
impl fmt::Display for CertificatePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::CommonName(name) => write!(f, "cn:{name}"),
            Self::Fingerprint(fingerprint) => write!(f, "sha256:{fingerprint}"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::Beginning(begin) => write!(f, "{begin}*"),
            Self::Ending(end) => write!(f, "*{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::UnixTime;

    fn shown() -> CertificateFacts {
        CertificateFacts {
            names: vec![
                SubjectName::Dns("robot.corp.test".to_owned()),
                SubjectName::Uri("spiffe://corp/ns/a".to_owned()),
                SubjectName::Email("Robot@corp.test".to_owned()),
            ],
            common_name: Some("robot 7".to_owned()),
            begins: UnixTime::from_seconds(0),
            ends: UnixTime::from_seconds(1),
            fingerprint: Fingerprint([10; 32]),
        }
    }

    fn fits(text: &str) -> bool {
        let pattern = CertificatePattern::parse(text).unwrap();
        assert_eq!(
            CertificatePattern::parse(&pattern.to_string()),
            Some(pattern.clone())
        );
        accepts(&[pattern], Some(&shown()))
    }

    #[test]
    fn a_pattern_fits_a_name_of_its_own_kind_and_no_other() {
        let print = format!("sha256:{}", "0a".repeat(32));
        for good in [
            "any",
            "dns:Robot.corp.test",
            "dns:*.corp.test",
            "uri:spiffe://corp/ns/a",
            "uri:spiffe://corp/*",
            "email:robot@CORP.test",
            "email:*@corp.test",
            "cn:robot 7",
            "cn:robot *",
            &print,
        ] {
            assert!(fits(good), "{good}");
        }
        let other = format!("sha256:{}", "0b".repeat(32));
        for bad in [
            "dns:corp.test",
            "dns:*.robot.corp.test",
            "dns:robot@corp.test",
            "dns:spiffe://corp/ns/a",
            "uri:spiffe://corp/NS/a",
            "uri:spiffe://corp/ns/a*",
            "uri:robot.corp.test",
            "email:robot.corp.test",
            "cn:Robot 7",
            "cn:robot.corp.test",
            &other,
        ] {
            assert!(!fits(bad), "{bad}");
        }
    }

    #[test]
    fn nothing_fits_nobody_and_an_empty_list_fits_nothing() {
        assert!(!accepts(&[CertificatePattern::Any], None));
        assert!(!accepts(&[], Some(&shown())));
        for odd in [
            "",
            "dns:",
            "dns:*",
            "uri:*a*",
            "cn:a*b",
            "x:y",
            "robot.corp.test",
            "sha256:0a",
        ] {
            assert_eq!(CertificatePattern::parse(odd), None, "{odd}");
        }
    }
}
