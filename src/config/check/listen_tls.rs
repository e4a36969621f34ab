//! How TLS is spoken at a listener (R2: what cannot be read or does not fit is a fault, and never
//! means that less is asked for).

use std::path::PathBuf;

use super::Findings;
use crate::base::clock::Clock;
use crate::config::secret_source::{Exposure, exposure_at};
use crate::config::tree::Path;
use crate::config::written::{ClientCertificatesWritten, PairWritten, TlsWritten};
use crate::transport::server_tls::{
    ClientCertificates, PairError, PairFile, PairFiles, ServerTls, judge,
};
use crate::transport::tls::{TlsError, operator_roots};

/// `listen[].tls`.
pub(super) fn tls(
    written: &TlsWritten,
    path: &Path,
    findings: &mut Findings<'_>,
) -> Option<ServerTls> {
    let alone = PairWritten {
        certificate: written.certificate.clone(),
        key: written.key.clone(),
    };
    let is_alone = alone.certificate.is_some() || alone.key.is_some();
    let pairs = match &written.certificates {
        Some(_) if is_alone => {
            findings.fault(
                path,
                "there is one certificate here and a list of them",
                "put all of them into `certificates`, the first for whoever asks for none of them",
            );
            Vec::new()
        }
        None => vec![pair(&alone, path, findings)],
        Some(several) => {
            let here = path.key("certificates");
            if several.is_empty() && !findings.is_torn(&here) {
                findings.fault(
                    &here,
                    "without a certificate there is no TLS",
                    "write `{ certificate: PATH, key: PATH }`",
                );
            }
            let each = several.iter().enumerate();
            each.map(|(index, one)| pair(one, &here.index(index), findings))
                .collect()
        }
    };
    let clients = clients(written, path, findings);
    let pairs = pairs.into_iter().collect::<Option<Vec<_>>>()?;
    Some(ServerTls { pairs, clients })
}

fn pair(written: &PairWritten, path: &Path, findings: &mut Findings<'_>) -> Option<PairFiles> {
    let mut needed = |file: &Option<PathBuf>, key: &str| {
        if file.is_none() && !findings.is_torn(path) {
            findings.fault(
                &path.key(key),
                format!("`{key}` is missing"),
                "write the path of a PEM file",
            );
        }
        file.clone()
    };
    let certificate = needed(&written.certificate, "certificate");
    let key = needed(&written.key, "key");
    let files = PairFiles {
        certificate: certificate?,
        key: key?,
    };
    if let Err(PairError { file, what, .. }) = judge(&files, Clock::system().now()) {
        let (key, remedy) = match file {
            PairFile::Certificate => (
                "certificate",
                "write the path of a PEM file: the certificate, then those between it and a root",
            ),
            PairFile::Key => ("key", "write the path of the PEM file of its private key"),
        };
        findings.fault(&path.key(key), what.to_string(), remedy);
    }
    if exposure_at(&files.key) == Exposure::Others {
        findings.warn(
            &path.key("key"),
            "the file can be read by others than its owner",
            "`chmod 600` it, or `defaultMode: 0400` where a volume brings it",
        );
    }
    Some(files)
}

fn clients(written: &TlsWritten, path: &Path, findings: &mut Findings<'_>) -> ClientCertificates {
    let (roots, asked) = (&written.client_ca, written.client_certificates);
    let roots = match (roots, asked) {
        (None, None) => return ClientCertificates::Unasked,
        (Some(roots), _) => roots.clone(),
        (None, Some(_)) => {
            findings.fault(
                &path.key("client_certificates"),
                "nobody is named who vouches for client certificates",
                "write their roots as `client_ca: PATH`",
            );
            return ClientCertificates::Unasked;
        }
    };
    let here = path.key("client_ca");
    if let Err(error) = operator_roots(&roots) {
        let what = match error {
            TlsError::Unreadable { cause, .. } => {
                format!("the file cannot be read ({})", cause.kind())
            }
            TlsError::NoCertificate(_) => "there is no usable PEM certificate in the file".into(),
            TlsError::Refused(error) => error.to_string(),
        };
        findings.fault(&here, what, "write the path of a file of PEM certificates");
    }
    match asked {
        Some(ClientCertificatesWritten::Request) => ClientCertificates::Requested(roots),
        Some(ClientCertificatesWritten::Require) => ClientCertificates::Required(roots),
        None => {
            findings.fault(
                &here,
                "nobody is asked for a client certificate",
                "write `client_certificates: request` or `require`",
            );
            ClientCertificates::Unasked
        }
    }
}
