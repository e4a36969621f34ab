//! Who may pass: conditions and the names in them.

use super::Findings;
use crate::config::nearest::did_you_mean;
use crate::config::tree::Path;
use crate::config::written::route::{AccessWord, AccessWritten, ConditionWritten};
use crate::gate::access::{Access, Condition, EmailPattern, EmailRule, Named};
use crate::gate::client_certificate::CertificatePattern;

/// Whose word the names in a condition are.
#[derive(Clone, Copy)]
pub(super) enum Vouching<'a> {
    /// The only provider's: names stand alone.
    Only,
    /// This provider's: the condition stands in its own settings.
    Of(&'a str),
    /// One of these: each name must say which (C24).
    OneOf(&'a [String]),
}

/// Who may pass a route, and with which client certificates.
pub(super) fn of_route(
    written: &AccessWritten,
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> (Access, Option<Vec<CertificatePattern>>) {
    let AccessWritten::Condition(condition) = written else {
        return (access(written, path, vouching, findings), None);
    };
    let Some(list) = &condition.client_certificate else {
        return (access(written, path, vouching, findings), None);
    };
    let person = ConditionWritten {
        client_certificate: None,
        signed_in: None,
        ..condition.clone()
    };
    let patterns = certificates(list, &path.key("client_certificate"), findings);
    let asks = person.groups.is_some()
        || person.emails.is_some()
        || person.subjects.is_some()
        || person.any.is_some();
    let access = match (asks, condition.signed_in) {
        (true, _) => access(&AccessWritten::Condition(person), path, vouching, findings),
        (false, Some(true)) => Access::SignedIn,
        (false, Some(false) | None) => Access::Public,
    };
    (access, Some(patterns))
}

fn certificates(
    list: &[String],
    path: &Path,
    findings: &mut Findings<'_>,
) -> Vec<CertificatePattern> {
    warn_of_nobody(list, path, findings);
    let mut patterns = Vec::new();
    for (index, text) in list.iter().enumerate() {
        match CertificatePattern::parse(text) {
            Some(pattern) => patterns.push(pattern),
            None => findings.fault(
                &path.index(index),
                "not a way to name certificates",
                "write `any`, `dns:NAME`, `uri:NAME`, `email:NAME`, `cn:NAME` with one `*` at an end of the name, or `sha256:FINGERPRINT`",
            ),
        }
    }
    patterns
}

/// Any access.
pub(super) fn access(
    written: &AccessWritten,
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Access {
    match written {
        AccessWritten::Word(AccessWord::Public) => Access::Public,
        AccessWritten::Word(AccessWord::Optional) => Access::Optional,
        AccessWritten::Word(AccessWord::SignedIn) => Access::SignedIn,
        AccessWritten::Condition(written) => {
            Access::When(condition(written, path, vouching, findings))
        }
    }
}

/// One condition. A mapping without a key would admit everybody, which has a word of its own.
pub(super) fn condition(
    written: &ConditionWritten,
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Condition {
    let misplaced = [
        ("client_certificate", written.client_certificate.is_some()),
        ("signed_in", written.signed_in.is_some()),
    ];
    for (key, _) in misplaced.into_iter().filter(|(_, is_there)| *is_there) {
        findings.fault(
            &path.key(key),
            "this is asked of a connection, and here is a condition on a person",
            "write it right below the `access` of a route",
        );
    }
    let ConditionWritten {
        groups,
        emails,
        subjects,
        any,
        ..
    } = written;
    if groups.is_none() && emails.is_none() && subjects.is_none() && any.is_none() {
        let remedy = match vouching {
            Vouching::Of(_) => "write `everyone` if everybody is meant",
            Vouching::Only | Vouching::OneOf(_) => {
                "write `signed_in` if everybody who is signed in is meant"
            }
        };
        if !findings.is_torn(path) {
            findings.fault(path, "this condition says nothing", remedy);
        }
    }
    Condition {
        groups: groups.as_ref().map(|list| {
            let here = path.key("groups");
            each(list, &here, vouching, findings, group_or_subject)
        }),
        emails: emails.as_ref().map(|list| {
            let here = path.key("emails");
            each(list, &here, vouching, findings, email)
        }),
        subjects: subjects.as_ref().map(|list| {
            let here = path.key("subjects");
            each(list, &here, vouching, findings, group_or_subject)
        }),
        any: any.as_ref().map(|list| {
            let here = path.key("any");
            warn_of_nobody(list, &here, findings);
            list.iter()
                .enumerate()
                .map(|(index, one)| condition(one, &here.index(index), vouching, findings))
                .collect()
        }),
    }
}

/// A value of a condition without its provider, or what is wrong with it.
type Parse<T> = fn(Option<String>, &str) -> Result<T, (&'static str, &'static str)>;

fn each<T>(
    list: &[String],
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
    parse: Parse<T>,
) -> Vec<T> {
    warn_of_nobody(list, path, findings);
    let mut parsed = Vec::new();
    for (index, text) in list.iter().enumerate() {
        let here = path.index(index);
        let Some((provider, rest)) = provider_of(text, &here, vouching, findings) else {
            continue;
        };
        match parse(provider, rest) {
            Ok(one) => parsed.push(one),
            Err((what, remedy)) => findings.fault(&here, what, remedy),
        }
    }
    parsed
}

/// I12: an empty list admits nobody; that may be meant, but seldom is.
fn warn_of_nobody<T>(list: &[T], path: &Path, findings: &mut Findings<'_>) {
    if list.is_empty() && !findings.is_torn(path) {
        findings.warn(
            path,
            "an empty list admits nobody",
            "list who may pass, or take the key away",
        );
    }
}

fn provider_of<'t>(
    text: &'t str,
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Option<(Option<String>, &'t str)> {
    let providers = match vouching {
        Vouching::Only => return Some((None, text)),
        Vouching::Of(id) => return Some((Some(id.to_owned()), text)),
        Vouching::OneOf(providers) => providers,
    };
    let example = || {
        let first = providers.first().map_or("corp", String::as_str);
        format!("write `PROVIDER:VALUE`, such as `{first}:...`")
    };
    let Some((provider, rest)) = text.split_once(':') else {
        findings.fault(
            path,
            "with several providers, a rule must say whose word it takes",
            example(),
        );
        return None;
    };
    if providers.iter().any(|known| known == provider) {
        return Some((Some(provider.to_owned()), rest));
    }
    let known: Vec<&str> = providers.iter().map(String::as_str).collect();
    let remedy = did_you_mean(provider, &known).unwrap_or_else(example);
    findings.fault(path, "the part before `:` is no provider's id", remedy);
    None
}

fn group_or_subject(
    provider: Option<String>,
    name: &str,
) -> Result<Named, (&'static str, &'static str)> {
    if name.trim().is_empty() {
        return Err(("nobody is named", "write the exact name"));
    }
    let name = name.to_owned();
    Ok(Named { provider, name })
}

fn email(provider: Option<String>, text: &str) -> Result<EmailRule, (&'static str, &'static str)> {
    const REMEDY: &str = "write `alice@example.com`, or `@example.com` for the whole domain";
    let visible = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\",;<>()*".contains(&b));
    let Some((local, domain)) = text.split_once('@') else {
        return Err(("not an address and not a domain", REMEDY));
    };
    if !visible || domain.contains('@') {
        return Err(("no address can ever be like this", REMEDY));
    }
    let sound = crate::base::origin::Host::parse(domain)
        .is_ok_and(|host| host.as_str().eq_ignore_ascii_case(domain) && !domain.starts_with('['));
    if !sound {
        return Err(("the part after `@` is no domain", REMEDY));
    }
    let pattern = if local.is_empty() {
        EmailPattern::Domain(domain.to_owned())
    } else {
        EmailPattern::Address(text.to_owned())
    };
    Ok(EmailRule { provider, pattern })
}
