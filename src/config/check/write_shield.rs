//! `write_shield`, of the file or of a route.

use super::Findings;
use crate::base::origin::Origin;
use crate::config::tree::Path;
use crate::config::written::route::{ShieldModeWritten, WriteShieldWritten};
use crate::gate::write_shield::{ShieldMode, WriteShield};

/// What `written`, at `here`, says.
pub(super) fn check(
    written: &WriteShieldWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> WriteShield {
    let mode = match written.mode {
        None | Some(ShieldModeWritten::Enforce) => ShieldMode::Enforce,
        Some(ShieldModeWritten::Shadow) => ShieldMode::Shadow,
        Some(ShieldModeWritten::Off) => ShieldMode::Off,
    };
    if mode == ShieldMode::Off {
        findings.warn(
            &here.key("mode"),
            "pages of sibling hosts can act in the name of whoever is signed in",
            "write `shadow` to see what would be stopped, and then `enforce`",
        );
    }
    let origins = origins(written.origins.as_deref(), &here.key("origins"), findings);
    WriteShield { mode, origins }
}

/// The origins in the list `written` at `here`.
pub(super) fn origins(
    written: Option<&[String]>,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Vec<Origin> {
    let mut origins = Vec::new();
    for (index, text) in written.into_iter().flatten().enumerate() {
        match Origin::parse(text) {
            Ok(origin) => origins.push(origin),
            Err(error) => findings.fault(
                &here.index(index),
                error.to_string(),
                "write it like `https://x.example.com`",
            ),
        }
    }
    origins
}
