//! Secrets, from wherever they are.

use super::Findings;
use super::providers::Public;
use crate::base::secret::Secret;
use crate::config::secret_source::{Exposure, SecretSource};
use crate::config::tree::Path;

/// Gets a secret; a plain one only where nobody but this machine sees us.
pub(super) fn secret(
    source: &SecretSource,
    path: &Path,
    public: &Public<'_>,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    if matches!(source, SecretSource::Plain(_)) && !public.is_loopback() {
        findings.fault(
            path,
            "a secret stands in the file itself",
            "write `{ file: PATH }` or `{ env: NAME }`; the secret itself only where `public_url` is loopback",
        );
        return None;
    }
    if let Some(file) = source.file() {
        findings.was_read(file.to_owned());
    }
    let place = match source {
        SecretSource::File(_) => path.key("file"),
        SecretSource::Env(_) => path.key("env"),
        SecretSource::Plain(_) => path.clone(),
    };
    match source.obtain(findings.environment()) {
        Ok(obtained) => {
            if obtained.exposure == Exposure::Others {
                findings.warn(
                    &place,
                    "the file can be read by others than its owner",
                    "`chmod 600` it, or `defaultMode: 0400` where a volume brings it",
                );
            }
            Some(obtained.secret)
        }
        Err(error) => {
            findings.fault(&place, error.to_string(), "write where the secret is");
            None
        }
    }
}
