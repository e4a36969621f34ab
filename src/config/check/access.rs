//! Who may pass: conditions and the names in them.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;

use super::Findings;
use super::listen::network;
use crate::config::nearest::did_you_mean;
use crate::config::tree::Path;
use crate::config::written::ConfigFile;
use crate::config::written::route::{AccessWord, AccessWritten, ConditionWritten};
use crate::config::written::scalar::{ScalarWritten, ScalarsWritten};
use crate::gate::access::{
    Access, ClaimRule, Condition, EmailPattern, EmailRule, Expression, Inputs, Named, Scalar,
};
use crate::gate::client_certificate::CertificatePattern;
use crate::oidc::claim_path::ClaimPath;

/// The longest name of an authentication context, in bytes.
const LONGEST_ACR: usize = 255;
/// The shortest time within which somebody must have signed in.
const SHORTEST_AGE: Duration = Duration::from_secs(60);

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
pub(super) type OfRoute = (Access, Option<Vec<CertificatePattern>>);

/// Rules that stand under names of their own.
pub(super) type Definitions = BTreeMap<String, OfRoute>;

/// What stands under `access`.
pub(super) fn definitions(
    file: &ConfigFile,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Definitions {
    let here = Path::root("access");
    let mut known = Definitions::new();
    for (name, written) in file.access.iter().flat_map(|all| &all.0) {
        let path = here.key(name);
        let is_word = ["public", "optional", "signed_in", "everyone"].contains(&name.as_str());
        if is_word || name.trim().is_empty() || name.contains(char::is_control) {
            findings.fault(
                &path,
                "not a name for a rule",
                "choose another one: words that mean something already keep their meaning",
            );
        }
        if let AccessWritten::Named(_) = written {
            findings.fault(
                &path,
                "a rule here cannot call another one",
                "write its condition out",
            );
            continue;
        }
        let of_route = of_route(written, &path, (vouching, &Definitions::new()), findings);
        known.extend(of_route.map(|one| (name.clone(), one)));
    }
    known
}

/// Who may pass a route, and with which client certificates; nothing, where that cannot be told.
pub(super) fn of_route(
    written: &AccessWritten,
    path: &Path,
    (vouching, known): (Vouching<'_>, &Definitions),
    findings: &mut Findings<'_>,
) -> Option<OfRoute> {
    let condition = match written {
        AccessWritten::Condition(condition) => condition,
        AccessWritten::Word(word) => return Some((of_word(*word), None)),
        AccessWritten::Named(name) => {
            let found = known.get(name).cloned();
            // What is broken there was said there.
            if found.is_none() && !findings.knows(&Path::root("access").key(name)) {
                unknown(name, path, known, findings);
            }
            return found;
        }
    };
    let Some(list) = &condition.client_certificate else {
        let condition = self::condition(condition, path, vouching, findings);
        return Some((Access::When(condition), None));
    };
    let person = ConditionWritten {
        client_certificate: None,
        signed_in: None,
        ..(**condition).clone()
    };
    let patterns = certificates(list, &path.key("client_certificate"), findings);
    let access = match (says_something(&person), condition.signed_in) {
        (true, _) => Access::When(self::condition(&person, path, vouching, findings)),
        (false, Some(true)) => Access::SignedIn,
        (false, Some(false) | None) => Access::Public,
    };
    Some((access, Some(patterns)))
}

fn of_word(word: AccessWord) -> Access {
    match word {
        AccessWord::Public => Access::Public,
        AccessWord::Optional => Access::Optional,
        AccessWord::SignedIn => Access::SignedIn,
    }
}

fn unknown(name: &str, path: &Path, known: &Definitions, findings: &mut Findings<'_>) {
    let words = ["public", "optional", "signed_in"];
    let names: Vec<&str> = known.keys().map(String::as_str).chain(words).collect();
    let remedy = did_you_mean(name, &names).unwrap_or_else(|| {
        "write `public`, `optional`, `signed_in`, a condition, or a name that stands under `access`"
            .to_owned()
    });
    findings.fault(path, "there is no rule of this name", remedy);
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

/// One condition. A mapping without a key would admit everybody, which has a word of its own.
pub(super) fn condition(
    written: &ConditionWritten,
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Condition {
    refuse_misplaced(written, path, vouching, findings);
    if !says_something(written) {
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
    let mut names = |key: &str, list: &Option<Vec<String>>| {
        let list = list.as_ref()?;
        Some(each(list, &path.key(key), vouching, findings, exact_name))
    };
    let (groups, subjects) = (
        names("groups", &written.groups),
        names("subjects", &written.subjects),
    );
    let acr = written.acr.as_ref().map(|list| {
        let here = path.key("acr");
        each(list, &here, vouching, findings, authentication_context)
    });
    Condition {
        groups,
        emails: written.emails.as_ref().map(|list| {
            let here = path.key("emails");
            each(list, &here, vouching, findings, email)
        }),
        subjects,
        claims: written.claims.as_ref().map(|all| {
            let here = path.key("claims");
            claims(&all.0, &here, vouching, findings)
        }),
        acr,
        max_age: written.max_age.map(|span| {
            if span.0 < SHORTEST_AGE {
                findings.fault(
                    &path.key("max_age"),
                    "nobody can sign in and come back as fast as this",
                    "write a minute at least, such as `15m`",
                );
            }
            span.0
        }),
        addresses: written.addresses.as_ref().map(|list| {
            let here = path.key("addresses");
            networks(list, &here, findings)
        }),
        when: written
            .when
            .as_ref()
            .and_then(|text| expression(text, &path.key("when"), vouching, findings))
            .map(Box::new),
        any: written.any.as_ref().map(|list| {
            let here = path.key("any");
            warn_of_nobody(list, &here, findings);
            list.iter()
                .enumerate()
                .map(|(index, one)| condition(one, &here.index(index), vouching, findings))
                .collect()
        }),
        deny: written.deny.as_ref().map(|one| {
            let here = path.key("deny");
            Box::new(condition(one, &here, vouching, findings))
        }),
    }
}

/// Where there are several providers, one's word is not another's: an expression about a person says whose
/// people it means.
fn expression(
    text: &str,
    here: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Option<Expression> {
    let inputs = match vouching {
        Vouching::Of(_) => Inputs::Person,
        Vouching::Only | Vouching::OneOf(_) => Inputs::Request,
    };
    match Expression::parse(text, inputs) {
        Ok(expression) => {
            if let Vouching::OneOf(providers) = vouching
                && !expression.says_whose()
            {
                let first = providers.first().map_or("ID", String::as_str);
                findings.fault(
                    here,
                    "with several providers, it must say whose word this is",
                    format!("write `user.provider == \"{first}\" && (...)`"),
                );
            }
            Some(expression)
        }
        Err(error) => {
            findings.fault(
                here,
                error.to_string(),
                "docs/POLICY.md says what an expression may hold",
            );
            None
        }
    }
}

/// Whether a key is there that a person can meet or not.
fn says_something(written: &ConditionWritten) -> bool {
    let ConditionWritten {
        groups,
        emails,
        subjects,
        client_certificate: _,
        signed_in: _,
        claims,
        scopes: _,
        acr,
        max_age,
        addresses,
        when,
        any,
        deny,
    } = written;
    groups.is_some()
        || emails.is_some()
        || subjects.is_some()
        || claims.is_some()
        || acr.is_some()
        || max_age.is_some()
        || addresses.is_some()
        || when.is_some()
        || any.is_some()
        || deny.is_some()
}

fn refuse_misplaced(
    written: &ConditionWritten,
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) {
    let of_connections = [
        ("client_certificate", written.client_certificate.is_some()),
        ("signed_in", written.signed_in.is_some()),
    ];
    for (key, _) in of_connections.into_iter().filter(|(_, is_there)| *is_there) {
        findings.fault(
            &path.key(key),
            "this is asked of a connection, and here is a condition on a person",
            "write it right below the `access` of a route",
        );
    }
    let of_requests = [
        ("acr", written.acr.is_some()),
        ("max_age", written.max_age.is_some()),
        ("addresses", written.addresses.is_some()),
    ];
    if matches!(vouching, Vouching::Of(_)) {
        for (key, _) in of_requests.into_iter().filter(|(_, is_there)| *is_there) {
            findings.fault(
                &path.key(key),
                "this is asked again for each request, and here is who may sign in at all",
                "write it in the `access` of a route",
            );
        }
    }
}

fn claims(
    written: &[(String, ScalarsWritten)],
    path: &Path,
    vouching: Vouching<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ClaimRule> {
    if written.is_empty() && !findings.is_torn(path) {
        findings.fault(path, "no claim is named", "name one, or take the key away");
    }
    let mut rules = Vec::new();
    for (key, ScalarsWritten(values)) in written {
        let here = path.key(key);
        warn_of_nobody(values, &here, findings);
        let Some((provider, text)) = provider_of(key, &here, vouching, findings) else {
            continue;
        };
        let Ok(claim) = ClaimPath::parse(text) else {
            findings.fault(
                &here,
                "not the path of a claim",
                "write names with dots between them, such as `realm_access.roles`",
            );
            continue;
        };
        rules.push(ClaimRule {
            provider,
            path: claim,
            values: values.iter().map(scalar).collect(),
        });
    }
    rules
}

fn scalar(written: &ScalarWritten) -> Scalar {
    match written {
        ScalarWritten::Text(text) => Scalar::Text(text.clone()),
        ScalarWritten::Number(number) => Scalar::Number(*number),
        ScalarWritten::Bool(value) => Scalar::Bool(*value),
    }
}

fn networks(list: &[String], path: &Path, findings: &mut Findings<'_>) -> Vec<IpNet> {
    warn_of_nobody(list, path, findings);
    let mut networks = Vec::new();
    for (index, text) in list.iter().enumerate() {
        match network(text) {
            Some(network) => networks.push(network),
            None => findings.fault(
                &path.index(index),
                "not a network",
                "write an address, or a network such as `10.0.0.0/8` or `fd00::/8`",
            ),
        }
    }
    networks
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
            "an empty list is met by nobody",
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

fn exact_name(provider: Option<String>, name: &str) -> Result<Named, (&'static str, &'static str)> {
    if name.trim().is_empty() {
        return Err(("nobody is named", "write the exact name"));
    }
    let name = name.to_owned();
    Ok(Named { provider, name })
}

fn authentication_context(
    provider: Option<String>,
    name: &str,
) -> Result<Named, (&'static str, &'static str)> {
    let is_sound = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    if name.is_empty() || name.len() > LONGEST_ACR || !name.bytes().all(is_sound) {
        return Err((
            "not an authentication context",
            "write one as the provider says it in `acr`, without blanks or quotes",
        ));
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
