//! From [`ConfigFile`] to [`Config`]: every fault is collected, with its place in the file.
//!
//! Files of secrets and certificates are read, since only they can say whether they are good; nothing
//! is written, no socket opened, no name looked up.

mod access;
mod authorities;
mod cors;
mod findings;
mod hsts;
mod listen;
mod listen_tls;
mod own_answers;
mod pages;
mod providers;
mod routes;
mod secret;
mod session;
mod settings;
mod shadow;
mod upstream_tls;
mod upstream_url;
mod upstreams;
mod write_shield;

pub(crate) use self::findings::{Findings, Origin};
pub(crate) use self::listen::{admin, probes};

use super::tree::Path;
use super::written::ConfigFile;
use super::{Config, SessionSettings};
use crate::gate::access::Access;
use crate::gate::routes::Route;
use crate::oidc::claim_path::ClaimPath;
use crate::provider::{Admit, ProviderSettings};
use crate::proxy::{Qualification, UpstreamAddress, UpstreamSettings};

/// What is set in every pod of Kubernetes.
const POD: &str = "KUBERNETES_SERVICE_HOST";

/// Checks all of `file`; nothing, where `findings` has faults afterwards.
pub(crate) fn check(file: &ConfigFile, findings: &mut Findings<'_>) -> Option<Config> {
    let public_url = settings::public_url(file, findings);
    let prefix = settings::prefix(file, findings);
    let probes = probes(file, findings);
    let admin = admin(file, findings);
    let trusted_proxies = listen::trusted_proxies(file, findings);
    let around = listen::Around {
        public_url: public_url.as_ref(),
        trusted_proxies: &trusted_proxies,
        probes,
        admin: admin.as_deref(),
    };
    let listen = listen::listeners(file, around, findings);
    let limits = settings::limits(file, findings);
    let public = providers::Public {
        url: public_url.as_ref(),
        prefix: prefix.as_deref(),
    };
    let mut providers = providers::check(file, &public, findings);
    let session = session::check(file, public_url.as_ref(), findings);
    let upstreams = upstreams::check(file, qualification(file), findings);
    let routes = routes::check(file, &routes::Around::new(file, &public), findings);
    keep_claims(&mut providers, &routes);
    refuse_own(&upstreams, admin.as_deref(), findings);
    warn_of_unused(&upstreams, &routes, findings);
    let login = settings::login(file, findings);
    let pages = pages::check(file, findings);
    let hsts = hsts::check(file, public_url.as_ref(), findings);
    // Where pods are replicated, nobody says how many there are.
    let is_pod = findings.environment().value(POD).is_some();
    let alone = |one: &SessionSettings| super::renew_alone(&one.store, &providers);
    if is_pod && session.as_ref().is_some_and(alone) {
        findings.warn(
            &Path::root("session"),
            "replicas of this pod would spend each other's refresh tokens where those rotate",
            "write `session.redis`, or `session.single_instance: true` if there is one at a time",
        );
    }
    if findings.has_faults() {
        return None;
    }
    let (insecure, warnings, sources) = findings.take_rest();
    Some(Config {
        public_url: public_url?,
        prefix: prefix?,
        listen,
        probes: probes?,
        admin,
        trusted_proxies,
        providers,
        session: session?,
        upstreams,
        routes,
        limits,
        log: settings::log(file),
        login,
        pages,
        hsts,
        insecure,
        warnings,
        sources,
    })
}

/// What rules ask for is kept of what a provider says.
fn keep_claims(providers: &mut [ProviderSettings], routes: &[Route]) {
    for provider in providers {
        let mut kept = Vec::new();
        let mut keep = |path: &ClaimPath| {
            if !kept.contains(path) {
                kept.push(path.clone());
            }
        };
        for route in routes {
            for access in [Some(&route.access), route.tried_access.as_ref()] {
                if let Some(Access::When(condition)) = access {
                    condition.for_each_claim(&provider.id, &mut keep);
                }
            }
        }
        if let Admit::When(condition) = &provider.admit {
            condition.for_each_claim(&provider.id, &mut keep);
        }
        provider.claims.kept = kept;
    }
}

/// Where there are several providers, what is told to the app names the one that said it.
fn qualification(file: &ConfigFile) -> Qualification {
    if several(file) {
        Qualification::Qualified
    } else {
        Qualification::Plain
    }
}

fn several(file: &ConfigFile) -> bool {
    file.providers.as_ref().is_some_and(|all| all.len() > 1)
}

/// Whoever asks as this process may end every session: what browsers send must not get there.
fn refuse_own(
    upstreams: &[UpstreamSettings],
    admin: Option<&std::path::Path>,
    findings: &mut Findings<'_>,
) {
    let is_admin = |address: &UpstreamAddress| match address {
        UpstreamAddress::Unix(path) => admin == Some(path),
        UpstreamAddress::Tcp { .. } => false,
    };
    for upstream in upstreams {
        if upstream.addresses.iter().any(is_admin) {
            findings.fault(
                &Path::root("upstreams").key(&upstream.name),
                "this is the socket of `admin`",
                "name the socket of the app",
            );
        }
    }
}

/// An app that no route leads to is guarded by nothing, since nothing reaches it.
fn warn_of_unused(upstreams: &[UpstreamSettings], routes: &[Route], findings: &mut Findings<'_>) {
    if findings.has_faults() {
        return;
    }
    for (index, upstream) in upstreams.iter().enumerate() {
        if !routes.iter().any(|route| route.upstream() == Some(index)) {
            let here = Path::root("upstreams").key(&upstream.name);
            findings.warn(
                &here,
                "no route leads to this upstream",
                "add a route, or take it away",
            );
        }
    }
}
