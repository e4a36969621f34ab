//! Files of certificates that vouch for somebody.

use super::Findings;
use crate::config::tree::Path;
use crate::config::written::provider::CaWritten;
use crate::transport::tls::{self, TlsError};

/// Reads the file, every certificate of it; what is wrong is found at `here`. Whether it is good.
pub(super) fn are_good(ca: &CaWritten, here: &Path, findings: &mut Findings<'_>) -> bool {
    let here = here.key("file");
    findings.was_read(ca.file.clone());
    match tls::operator_roots(&ca.file) {
        Ok(_) => return true,
        Err(TlsError::Unreadable { cause, .. }) => findings.fault(
            &here,
            format!("the file cannot be read ({})", cause.kind()),
            "write the path of a file of PEM certificates",
        ),
        Err(TlsError::NoCertificate(_) | TlsError::Refused(_)) => findings.fault(
            &here,
            "not a file of PEM certificates, all of them good",
            "it begins with `-----BEGIN CERTIFICATE-----`",
        ),
    }
    false
}
