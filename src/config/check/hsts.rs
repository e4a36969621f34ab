//! `hsts`: how long browsers shall come by `https` alone.

use std::time::Duration;

use super::Findings;
use crate::base::origin::{PublicUrl, Scheme};
use crate::config::tree::Path;
use crate::config::written::ConfigFile;
use crate::config::written::values::Span;
use crate::config::{Hsts, HstsReach};

/// What the lists that browsers ship ask for.
const PRELOADED: Duration = Duration::from_hours(365 * 24);

/// The setting, where it is written.
pub(super) fn check(
    file: &ConfigFile,
    public_url: Option<&PublicUrl>,
    findings: &mut Findings<'_>,
) -> Option<Hsts> {
    let here = Path::root("hsts");
    let written = file.hsts.as_ref()?.full();
    if public_url.is_some_and(|url| url.origin().scheme() == Scheme::Http) {
        findings.fault(
            &here,
            "over plain http browsers do not heed it",
            "take it away, or write a `public_url` with `https`",
        );
    }
    let Some(Span(max_age)) = written.max_age else {
        findings.fault(
            &here.key("max_age"),
            "`max_age` is missing",
            "write a span, such as `365d`; begin with a short one",
        );
        return None;
    };
    let subdomains = written.include_subdomains == Some(true);
    if written.preload == Some(true) {
        if !subdomains {
            findings.fault(
                &here.key("preload"),
                "a host is listed with those below it, or not at all",
                "add `include_subdomains: true`, or take `preload` away",
            );
        }
        if max_age < PRELOADED {
            findings.fault(
                &here.key("max_age"),
                "a host is listed for a year or not at all",
                "write `365d` or more, or take `preload` away",
            );
        }
    }
    let reach = match (subdomains, written.preload) {
        (_, Some(true)) => HstsReach::Preloaded,
        (true, _) => HstsReach::Subdomains,
        (false, _) => HstsReach::Host,
    };
    Some(Hsts { max_age, reach })
}
