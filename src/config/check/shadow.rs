//! Rules that never get a word in, because an earlier one covers them (I13, T7).

use http::Method;

use super::Findings;
use crate::base::origin::Host;
use crate::config::tree::Path;
use crate::gate::access::Access;
use crate::gate::path_pattern::PathPattern;
use crate::gate::routes::{HostRule, Route};

/// Refuses every route that one earlier route covers wholly, and warns of those that differ from an
/// earlier one by capitals alone.
pub(super) fn check(
    routes: &[Route],
    public_host: Option<&Host>,
    here: &Path,
    findings: &mut Findings<'_>,
) {
    for (index, later) in routes.iter().enumerate() {
        let before = routes.get(..index).unwrap_or_default();
        let path = here.index(index);
        if let Some(earlier) = before.iter().find(|one| covers(one, later, public_host)) {
            let what = if looseness(earlier) > looseness(later) {
                "never asked: the looser route `{}` above matches everything that this one does"
            } else {
                "never asked: the route `{}` above matches everything that this one does"
            };
            findings.fault(
                &path,
                what.replace("{}", &earlier.name),
                "the first match wins: write this route before it, or take one of them away",
            );
        } else if let Some(earlier) = before.iter().find(|one| differs_in_case(one, later)) {
            findings.warn(
                &path,
                format!(
                    "differs from the route `{}` above in capitals alone",
                    earlier.name
                ),
                "an app that ignores them answers both alike: requests are held to both rules",
            );
        }
    }
}

/// The more it admits, the greater.
fn looseness(route: &Route) -> u8 {
    if route.client_certificate.is_some() {
        return 0;
    }
    match &route.access {
        Access::When(_) => 0,
        Access::SignedIn => 1,
        Access::Optional => 2,
        Access::Public => 3,
    }
}

fn covers(earlier: &Route, later: &Route, public_host: Option<&Host>) -> bool {
    hosts_cover(&earlier.hosts, &later.hosts, public_host)
        && path_covers(earlier.path.as_ref(), later.path.as_ref())
        && methods_cover(earlier.methods.as_deref(), later.methods.as_deref())
}

fn hosts_cover(earlier: &HostRule, later: &HostRule, public: Option<&Host>) -> bool {
    match (earlier, later) {
        (HostRule::Any, _) | (HostRule::Public, HostRule::Public) => true,
        (HostRule::One(one), HostRule::One(other)) => one == other,
        (HostRule::One(one), HostRule::Public) | (HostRule::Public, HostRule::One(one)) => {
            public == Some(one)
        }
        (HostRule::One(_) | HostRule::Public, HostRule::Any) => false,
    }
}

fn path_covers(earlier: Option<&PathPattern>, later: Option<&PathPattern>) -> bool {
    match (earlier, later) {
        (None, _) => true,
        (Some(earlier), Some(later)) => earlier.covers(later),
        (Some(earlier), None) => earlier.covers_everything(),
    }
}

/// A list that holds GET holds HEAD (RFC 9110 section 9.3.2).
fn methods_cover(earlier: Option<&[Method]>, later: Option<&[Method]>) -> bool {
    let Some(earlier) = earlier else { return true };
    let has = |method: &Method| {
        earlier.contains(method) || (*method == Method::HEAD && earlier.contains(&Method::GET))
    };
    later.is_some_and(|later| later.iter().all(has))
}

fn differs_in_case(one: &Route, other: &Route) -> bool {
    match (&one.path, &other.path) {
        (Some(one), Some(other)) => one != other && one.folded() == other.folded(),
        _ => false,
    }
}
