//! `routes`: the rules, and what they say together.

use http::Method;

use super::access::{Definitions, Vouching, definitions, of_route};
use super::own_answers::{self, Checked};
use super::providers::{self, Public};
use super::{Findings, cors, several, shadow, write_shield};
use crate::base::origin::Host;
use crate::config::nearest::did_you_mean;
use crate::config::tree::Path;
use crate::config::written::route::{AccessWritten, CredentialWritten, MatchWritten, RouteWritten};
use crate::config::written::{ConfigFile, ListenFull, ListenWritten};
use crate::gate::access::Access;
use crate::gate::client_certificate::CertificatePattern;
use crate::gate::path_pattern::PathPattern;
use crate::gate::routes::{HostRule, Leads, Route};
use crate::gate::write_shield::WriteShield;

/// What routes may name.
pub(super) struct Around<'a> {
    upstreams: Vec<&'a str>,
    providers: Vec<String>,
    several_providers: bool,
    public_host: Option<&'a Host>,
    /// The path that our own endpoints take, with the path of the public URL.
    own: Option<String>,
    certificates: Asked,
}

/// Whether some listener asks for client certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Somewhere,
    Nowhere,
}

/// As far as it is written: what is wrong there has its own fault.
fn asked(file: &ConfigFile) -> Asked {
    let mut listeners = file.listen.iter().flatten().map(ListenWritten::full);
    let asks = |one: ListenFull| one.tls.is_some_and(|tls| tls.client_certificates.is_some());
    if listeners.any(asks) {
        Asked::Somewhere
    } else {
        Asked::Nowhere
    }
}

impl<'a> Around<'a> {
    pub(super) fn new(file: &'a ConfigFile, public: &Public<'a>) -> Self {
        let upstreams = file.upstreams.as_ref().map_or(&[][..], |all| &all.0);
        let own = public
            .url
            .zip(public.prefix)
            .map(|(url, prefix)| format!("{}{prefix}", url.path()));
        Self {
            upstreams: upstreams.iter().map(|(name, _)| name.as_str()).collect(),
            providers: providers::ids(file),
            several_providers: several(file),
            public_host: public.url.map(|url| url.origin().host()),
            own,
            certificates: asked(file),
        }
    }

    fn vouching(&self) -> Vouching<'_> {
        if self.several_providers {
            Vouching::OneOf(&self.providers)
        } else {
            Vouching::Only
        }
    }
}

/// All routes; where the key is absent, everybody who is signed in may pass.
pub(super) fn check(
    file: &ConfigFile,
    around: &Around<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Route> {
    let here = Path::root("routes");
    let known = definitions(file, around.vouching(), findings);
    warn_of_unused(file, &known, findings);
    let shield = file.write_shield.clone().unwrap_or_default();
    let shield = write_shield::check(&shield, &Path::root("write_shield"), findings);
    let Some(written) = &file.routes else {
        if around.upstreams.len() > 1 {
            findings.fault(
                &here,
                "with several upstreams, routes must say which",
                "write `routes` with an `upstream` each",
            );
        }
        return vec![Route {
            name: "all".to_owned(),
            hosts: HostRule::Public,
            path: None,
            methods: None,
            access: Access::SignedIn,
            client_certificate: None,
            tried_access: None,
            write_shield: shield,
            leads: Leads::Upstream(0),
            websocket_origins: Vec::new(),
            cors: None,
        }];
    };
    if written.is_empty() && !findings.is_torn(&here) {
        findings.warn(
            &here,
            "without a route everything is refused",
            "write `- access: signed_in`",
        );
    }
    let mut routes: Vec<Route> = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let one = One {
            written,
            path: here.index(index),
            around,
            known: &known,
            shield: &shield,
        };
        routes.extend(one.check(&routes, findings));
    }
    // What is broken might be what makes two rules differ.
    if !findings.knows(&here) {
        shadow::check(&routes, around.public_host, &here, findings);
        own_answers::warn_of_circles(&routes, around.public_host, &here, findings);
    }
    routes
}

/// A rule that no route calls guards nothing.
fn warn_of_unused(file: &ConfigFile, known: &Definitions, findings: &mut Findings<'_>) {
    let routes = file.routes.as_deref().unwrap_or_default();
    for name in known.keys() {
        let calls = |one: &RouteWritten| {
            [&one.access, &one.shadow_access]
                .into_iter()
                .flatten()
                .any(|access| matches!(access, AccessWritten::Named(called) if called == name))
        };
        if !routes.iter().any(calls) {
            findings.warn(
                &Path::root("access").key(name),
                "no route calls this rule",
                format!("write `access: {name}` into a route, or take it away"),
            );
        }
    }
}

/// Something is wrong, and was said.
struct Faulty;

struct One<'a> {
    written: &'a RouteWritten,
    path: Path,
    around: &'a Around<'a>,
    known: &'a Definitions,
    /// What holds where the route does not say otherwise.
    shield: &'a WriteShield,
}

impl One<'_> {
    fn check(&self, before: &[Route], findings: &mut Findings<'_>) -> Option<Route> {
        let matches = self.written.matches.clone().unwrap_or_default();
        let hosts = self.hosts(&matches, findings);
        let path = self.pattern(&matches, findings);
        let methods = self.methods(&matches, findings);
        let access = self.access(findings);
        let leads = self.leads(path.as_ref().ok().and_then(Option::as_ref), findings);
        self.credentials(findings);
        let websocket_origins = self.written.websocket.clone().unwrap_or_default().origins;
        let websocket_origins = write_shield::origins(
            websocket_origins.as_deref(),
            &self.path.key("websocket").key("origins"),
            findings,
        );
        let write_shield = self.write_shield(findings);
        let tried_access = self.tried_access(findings);
        let listed = methods.as_ref().ok().and_then(Option::as_deref);
        let cors = cors::check(self.written, &self.path, listed, findings);
        let name = self.name(&matches, before, findings);
        let (access, client_certificate) = access?;
        Some(Route {
            name,
            hosts: hosts?,
            path: path.ok()?,
            methods: methods.ok()?,
            access,
            client_certificate,
            tried_access: tried_access.ok()?,
            write_shield,
            leads: leads?,
            websocket_origins,
            cors: cors.ok()?,
        })
    }

    fn hosts(&self, matches: &MatchWritten, findings: &mut Findings<'_>) -> Option<HostRule> {
        match matches.host.as_deref() {
            None => Some(HostRule::Public),
            Some("*") => Some(HostRule::Any),
            Some(text) => match Host::parse(text) {
                Ok(host) if Some(&host) == self.around.public_host => Some(HostRule::Public),
                Ok(host) => Some(HostRule::One(host)),
                Err(_) => {
                    findings.fault(
                        &self.path.key("match").key("host"),
                        "not a host name",
                        "write it like `dash.example.com`, without a port, or \"*\" for every host",
                    );
                    None
                }
            },
        }
    }

    fn pattern(
        &self,
        matches: &MatchWritten,
        findings: &mut Findings<'_>,
    ) -> Result<Option<PathPattern>, Faulty> {
        let Some(text) = &matches.path else {
            return Ok(None);
        };
        let here = self.path.key("match").key("path");
        let pattern = match PathPattern::parse(text) {
            Ok(pattern) => pattern,
            Err(error) => {
                findings.fault(&here, "not a path pattern", error.to_string());
                return Err(Faulty);
            }
        };
        let own = self.around.own.as_deref();
        let ours = own.and_then(|own| text.strip_prefix(own));
        if ours.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            findings.fault(
                &here,
                "our own endpoints live here, so this never matches",
                "take the rule away, or choose another `prefix`",
            );
        }
        Ok(Some(pattern))
    }

    fn methods(
        &self,
        matches: &MatchWritten,
        findings: &mut Findings<'_>,
    ) -> Result<Option<Vec<Method>>, Faulty> {
        let Some(written) = &matches.methods else {
            return Ok(None);
        };
        let here = self.path.key("match").key("methods");
        if written.is_empty() && !findings.is_torn(&here) {
            findings.fault(
                &here,
                "no method means that this never matches",
                "list methods, or take the key away",
            );
        }
        let mut methods = Vec::new();
        for (index, text) in written.iter().enumerate() {
            let method = Method::from_bytes(text.as_bytes()).ok();
            match method.filter(|_| !text.bytes().any(|b| b.is_ascii_lowercase())) {
                Some(method) => methods.push(method),
                None => findings.fault(
                    &here.index(index),
                    "not a method",
                    "methods are written in capitals: `GET`",
                ),
            }
        }
        if methods.len() == written.len() {
            Ok(Some(methods))
        } else {
            Err(Faulty)
        }
    }

    fn access(
        &self,
        findings: &mut Findings<'_>,
    ) -> Option<(Access, Option<Vec<CertificatePattern>>)> {
        let here = self.path.key("access");
        let Some(written) = &self.written.access else {
            findings.fault(
                &here,
                "`access` is missing",
                "say who may pass: `public`, `optional`, `signed_in` or a condition",
            );
            return None;
        };
        let around = (self.around.vouching(), self.known);
        let (access, certificate) = of_route(written, &here, around, findings)?;
        if certificate.is_some() && self.around.certificates == Asked::Nowhere {
            findings.fault(
                &here.key("client_certificate"),
                "no listener asks for client certificates, so nobody could pass",
                "write `client_ca` and `client_certificates` into the `tls` of a listener",
            );
        }
        Some((access, certificate))
    }

    /// The certificates of a rule that is only tried are not looked at: nobody shows one for it.
    fn tried_access(&self, findings: &mut Findings<'_>) -> Result<Option<Access>, Faulty> {
        let Some(written) = &self.written.shadow_access else {
            return Ok(None);
        };
        let here = self.path.key("shadow_access");
        let around = (self.around.vouching(), self.known);
        let (access, certificate) = of_route(written, &here, around, findings).ok_or(Faulty)?;
        if certificate.is_some() {
            findings.fault(
                &here.key("client_certificate"),
                "a certificate cannot be tried: whoever has none is not asked for it twice",
                "take it away, or write it into `access`",
            );
        }
        Ok(Some(access))
    }

    fn write_shield(&self, findings: &mut Findings<'_>) -> WriteShield {
        match &self.written.write_shield {
            None => self.shield.clone(),
            Some(written) => write_shield::check(written, &self.path.key("write_shield"), findings),
        }
    }

    fn leads(&self, pattern: Option<&PathPattern>, findings: &mut Findings<'_>) -> Option<Leads> {
        match own_answers::check(self.written, &self.path, pattern, findings) {
            Checked::None => self.upstream(findings).map(Leads::Upstream),
            Checked::Faulty => None,
            Checked::Answer(answer) => Some(Leads::Own(answer)),
        }
    }

    fn upstream(&self, findings: &mut Findings<'_>) -> Option<usize> {
        let here = self.path.key("upstream");
        let names = &self.around.upstreams;
        match &self.written.upstream {
            None if names.len() > 1 => {
                findings.fault(
                    &here,
                    "with several upstreams, a route must say which",
                    format!("write `upstream: {}`", names.first().unwrap_or(&"NAME")),
                );
                None
            }
            None => Some(0),
            Some(name) => {
                let index = names.iter().position(|known| known == name);
                if index.is_none() {
                    let remedy = did_you_mean(name, names)
                        .unwrap_or_else(|| "name one that is listed under `upstreams`".to_owned());
                    findings.fault(&here, "there is no upstream of this name", remedy);
                }
                index
            }
        }
    }

    fn credentials(&self, findings: &mut Findings<'_>) {
        let Some(written) = &self.written.credentials else {
            return;
        };
        let here = self.path.key("credentials");
        if written.is_empty() && !findings.is_torn(&here) {
            findings.fault(
                &here,
                "nothing could ever be evidence here",
                "write `[session]`, or take the key away",
            );
        }
        for (index, credential) in written.iter().enumerate() {
            match credential {
                CredentialWritten::Session => {}
                CredentialWritten::Bearer
                | CredentialWritten::Basic
                | CredentialWritten::ApiKey => findings.fault(
                    &here.index(index),
                    "not yet: credentials of programs",
                    "write `[session]`, or take the key away",
                ),
            }
        }
    }

    fn name(
        &self,
        matches: &MatchWritten,
        before: &[Route],
        findings: &mut Findings<'_>,
    ) -> String {
        let taken = |name: &str| before.iter().any(|route| route.name == name);
        if let Some(name) = &self.written.name {
            let here = self.path.key("name");
            if name.trim().is_empty() || name.contains(char::is_control) {
                findings.fault(&here, "not a name", "write a word, or leave the key out");
            } else if taken(name) {
                findings.fault(
                    &here,
                    "another route has this name already",
                    "give each its own",
                );
            }
            return name.clone();
        }
        let base = matches.path.clone().unwrap_or_else(|| "all".to_owned());
        if !taken(&base) {
            return base;
        }
        let numbered = |number: usize| format!("{base} ({number})");
        (2..=before.len() + 2)
            .map(numbered)
            .find(|name| !taken(name))
            .unwrap_or(base.clone())
    }
}
