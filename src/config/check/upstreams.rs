//! `upstreams`: the apps behind.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Findings;
use super::settings::positive;
use super::upstream_url::Reached;
use super::{upstream_tls, upstream_url};
use crate::base::origin::Authority;
use crate::config::tree::Path;
use crate::config::written::ConfigFile;
use crate::config::written::route::RouteWritten;
use crate::config::written::upstream::{PresetWritten, UpstreamFull};
use crate::proxy::{
    HeaderRule, HostPolicy, IdentityField, Privacy, Qualification, UpstreamAddress,
    UpstreamSettings,
};

/// The default of `limits.upstream_connect`.
const CONNECT: Duration = Duration::from_secs(5);
/// The default of `limits.upstream_first_byte`.
const FIRST_BYTE: Duration = Duration::from_mins(1);

/// The identity headers where none are written.
const DEFAULT_HEADERS: [(HeaderName, IdentityField); 4] = [
    (
        HeaderName::from_static("x-forwarded-user"),
        IdentityField::Subject,
    ),
    (
        HeaderName::from_static("x-forwarded-email"),
        IdentityField::Email,
    ),
    (
        HeaderName::from_static("x-forwarded-groups"),
        IdentityField::Groups,
    ),
    (
        HeaderName::from_static("x-forwarded-preferred-username"),
        IdentityField::PreferredUsername,
    ),
];

/// What the templates may say.
const FIELDS: [(&str, IdentityField); 5] = [
    ("{sub}", IdentityField::Subject),
    ("{email}", IdentityField::Email),
    ("{groups}", IdentityField::Groups),
    ("{preferred_username}", IdentityField::PreferredUsername),
    ("{name}", IdentityField::Name),
];

/// Fields that carry the message and not the person; an identity in one of them would break the
/// message or pass for something else (RFC 9110 sections 6 to 8 and 7.6.1, RFC 7239).
const NOT_FOR_IDENTITY: [&str; 30] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "sec-websocket-key",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
];

/// All upstreams in the order they are written.
pub(super) fn check(
    file: &ConfigFile,
    qualified: Qualification,
    findings: &mut Findings<'_>,
) -> Vec<UpstreamSettings> {
    let here = Path::root("upstreams");
    let limits = file.limits.clone().unwrap_or_default();
    let limit = Path::root("limits");
    let connect = positive(
        limits.upstream_connect,
        &limit.key("upstream_connect"),
        findings,
    );
    let first_byte = positive(
        limits.upstream_first_byte,
        &limit.key("upstream_first_byte"),
        findings,
    );
    let entries = file.upstreams.as_ref().map_or(&[][..], |all| &all.0);
    // Where every route answers by itself, nobody is asked.
    let asks = |route: &RouteWritten| route.respond.is_none() && route.redirect.is_none();
    let wanted = file
        .routes
        .as_ref()
        .is_none_or(|routes| routes.is_empty() || routes.iter().any(asks));
    if entries.is_empty() && wanted {
        findings.fault(
            &here,
            "there is no app to guard",
            "write one, such as `app: http://127.0.0.1:3000`",
        );
    }
    let mut settings = Vec::new();
    for (name, written) in entries {
        let written = written.full();
        let here = here.key(name);
        if name.trim().is_empty() {
            findings.fault(
                &here,
                "an upstream needs a name",
                "write `app: http://127.0.0.1:3000`",
            );
        }
        let reached = upstream_url::check(&written, &here, findings);
        let tls = upstream_tls::check(&written, reached.as_ref(), &here, findings);
        let host = host(written.host.as_deref(), &here.key("host"), findings);
        let headers = headers(&written, &here, qualified, findings);
        let privacy = privacy(&written, reached.as_ref(), &here, findings);
        let (Some(reached), Ok(tls), Some(host)) = (reached, tls, host) else {
            continue;
        };
        settings.push(UpstreamSettings {
            name: name.clone(),
            addresses: reached.addresses,
            protocol: reached.protocol,
            tls,
            host,
            headers,
            connect_timeout: connect.unwrap_or(CONNECT),
            first_byte_timeout: first_byte.unwrap_or(FIRST_BYTE),
            privacy,
        });
    }
    settings
}

/// `require_private`: only for an app whose sockets can be seen from here.
fn privacy(
    written: &UpstreamFull,
    reached: Option<&Reached>,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Privacy {
    if written.require_private != Some(true) {
        return Privacy::Wanted;
    }
    let is_seen = |address: &UpstreamAddress| match address {
        UpstreamAddress::Unix(_) => true,
        UpstreamAddress::Tcp { .. } => address.loopback().is_some(),
    };
    if !reached.is_none_or(|reached| reached.addresses.iter().all(is_seen)) {
        findings.fault(
            &here.key("require_private"),
            "who else can reach an app on another host cannot be seen from here",
            "let the app listen on a loopback address or a Unix socket and name that as `url`, or take this away",
        );
    }
    Privacy::Required
}

fn host(written: Option<&str>, path: &Path, findings: &mut Findings<'_>) -> Option<HostPolicy> {
    match written {
        None | Some("preserve") => Some(HostPolicy::Preserve),
        Some("upstream") => Some(HostPolicy::Upstream),
        Some(text) => {
            let value = Authority::parse(text)
                .ok()
                .and_then(|_| HeaderValue::from_str(text).ok());
            if value.is_none() {
                findings.fault(
                    path,
                    "not a host with an optional port",
                    "write `preserve`, `upstream` or a name like `app.example.com`",
                );
            }
            value.map(HostPolicy::Fixed)
        }
    }
}

fn headers(
    written: &UpstreamFull,
    here: &Path,
    qualified: Qualification,
    findings: &mut Findings<'_>,
) -> Vec<HeaderRule> {
    match written.header_preset {
        None | Some(PresetWritten::Default) => {}
        Some(
            PresetWritten::Grafana
            | PresetWritten::Xauth
            | PresetWritten::RemoteUser
            | PresetWritten::Pgadmin
            | PresetWritten::KubernetesDashboard,
        ) => findings.fault(
            &here.key("header_preset"),
            "not yet: presets of headers",
            "name the headers that the app reads under `headers`",
        ),
    }
    let Some(headers) = &written.headers else {
        return DEFAULT_HEADERS
            .into_iter()
            .map(|(name, value)| HeaderRule {
                name,
                value,
                qualified,
            })
            .collect();
    };
    if written.header_preset.is_some() {
        findings.fault(
            &here.key("header_preset"),
            "`headers` says it already",
            "take one of the two away",
        );
    }
    let here = here.key("headers");
    let mut rules: Vec<HeaderRule> = Vec::new();
    for (name, template) in &headers.0 {
        let item = here.key(name);
        let (Some(name), Some(value)) = (
            header_name(name, &item, findings),
            identity_field(template, &item, findings),
        ) else {
            continue;
        };
        let twin = |rule: &HeaderRule| folded(rule.name.as_str()) == folded(name.as_str());
        if rules.iter().any(twin) {
            findings.fault(
                &item,
                "many apps take this header for another one above",
                "keep one of them",
            );
        }
        rules.push(HeaderRule {
            name,
            value,
            qualified,
        });
    }
    rules
}

fn identity_field(
    template: &str,
    path: &Path,
    findings: &mut Findings<'_>,
) -> Option<IdentityField> {
    let field = FIELDS.iter().find(|(field, _)| *field == template);
    if field.is_none() {
        let what = if template.contains('{') {
            "not yet: templates of more than one field"
        } else {
            "this says nothing about the person"
        };
        let fields = FIELDS.map(|(field, _)| format!("\"{field}\"")).join(", ");
        findings.fault(path, what, format!("write one of {fields}"));
    }
    field.map(|(_, value)| *value)
}

fn header_name(name: &str, path: &Path, findings: &mut Findings<'_>) -> Option<HeaderName> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        findings.fault(
            path,
            "not the name of a header",
            "write it like `X-Forwarded-User`",
        );
        return None;
    };
    if NOT_FOR_IDENTITY.contains(&folded(header.as_str()).as_str()) {
        findings.fault(
            path,
            "this header carries the message, not the person",
            "choose another name, such as `X-Forwarded-User`",
        );
        return None;
    }
    Some(header)
}

/// Many servers cannot tell `-`, `_` and `.` in names apart.
fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => folded.push(letter.to_ascii_lowercase()),
            _ if folded.ends_with('-') => {}
            _ => folded.push('-'),
        }
    }
    folded
}
