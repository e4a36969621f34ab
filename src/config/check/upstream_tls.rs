//! `upstreams.NAME.tls`: what an app's certificate is held to, and what it is shown of us. A file that
//! is missing or is not what it should be is a fault: nothing is connected with less trust instead.

use super::Findings;
use super::upstream_url::{Reached, Transport};
use crate::config::secret_source::{Exposure, SecretSource};
use crate::config::tree::Path;
use crate::config::written::upstream::{UpstreamFull, UpstreamTlsWritten};
use crate::proxy::{Protocol, TlsFiles, UpstreamTls, Verification};
use crate::transport::tls::TlsError;
use crate::transport::trust::{OwnCertificate, PeerName, PemError, Spoken, TlsClient, Trust};

/// The settings of `tls`: `Ok(None)` where none is spoken, `Err` where something is wrong.
pub(super) fn check(
    written: &UpstreamFull,
    reached: Option<&Reached>,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Result<Option<UpstreamTls>, ()> {
    let here = here.key("tls");
    let Some(reached) = reached else {
        return Err(());
    };
    if reached.transport == Transport::Plain {
        if written.tls.is_some() {
            findings.fault(
                &here,
                "there is no TLS on the way to this app",
                "write `https://` in `url`, or take this away",
            );
        }
        return Ok(None);
    }
    let written = written.tls.clone().unwrap_or_default();
    let verification = verification(&written, &here, findings);
    let server_name = server_name(&written, &here, findings)?;
    let own = own_certificate(&written, &here, findings)?;
    let ca = written.ca.as_ref().map(|ca| ca.file.clone());
    let trust = match (verification, &ca) {
        (Verification::Skipped, _) => Trust::Anybody,
        (Verification::Demanded, Some(file)) => {
            findings.was_read(file.clone());
            Trust::File(file)
        }
        (Verification::Demanded, None) => Trust::System,
    };
    let spoken = match reached.protocol {
        Protocol::Http1 => Spoken::Http1,
        Protocol::Http2 => Spoken::Http2,
    };
    let client = TlsClient::new(trust, own, spoken).map_err(|error| {
        let (key, remedy) = match &error {
            TlsError::Unreadable { .. } | TlsError::NoCertificate(_) => (
                here.key("ca").key("file"),
                "write the path of a file of PEM certificates",
            ),
            TlsError::Refused(_) => (
                here.key("key"),
                "write the path of the key that the certificate was made for",
            ),
        };
        findings.fault(&key, said(&error), remedy);
    })?;
    Ok(Some(UpstreamTls {
        client,
        server_name,
        files: TlsFiles {
            ca,
            certificate: written.certificate.clone(),
            key: written.key.clone(),
        },
        verification,
    }))
}

/// What is wrong, without the path, which stands in the file.
fn said(error: &TlsError) -> String {
    match error {
        TlsError::Unreadable { cause, .. } => {
            format!("the file cannot be read ({})", cause.kind())
        }
        TlsError::NoCertificate(_) => PemError::NoCertificate.to_string(),
        TlsError::Refused(_) => "the key and the certificate do not belong together".to_owned(),
    }
}

fn verification(
    written: &UpstreamTlsWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Verification {
    if written.insecure_skip_verification != Some(true) {
        return Verification::Demanded;
    }
    let switch = here.key("insecure_skip_verification");
    findings.weakened(
        &switch,
        "whoever is on the way to this app can read and change everything, and pass for it",
    );
    for (key, is_there) in [
        ("ca", written.ca.is_some()),
        ("server_name", written.server_name.is_some()),
    ] {
        if is_there {
            findings.fault(
                &here.key(key),
                "with `insecure_skip_verification` nobody looks at this",
                "take the switch away: this is all that is needed",
            );
        }
    }
    Verification::Skipped
}

fn server_name(
    written: &UpstreamTlsWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Result<Option<PeerName>, ()> {
    let Some(name) = &written.server_name else {
        return Ok(None);
    };
    let parsed = PeerName::parse(name);
    if parsed.is_none() {
        findings.fault(
            &here.key("server_name"),
            "not a host name",
            "write it like `app.example.com`",
        );
    }
    parsed.map(Some).ok_or(())
}

fn own_certificate(
    written: &UpstreamTlsWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Result<Option<OwnCertificate>, ()> {
    let (chain, key) = match (&written.certificate, &written.key) {
        (None, None) => return Ok(None),
        (Some(chain), Some(key)) => (chain, key),
        (Some(_), None) => {
            findings.fault(
                &here.key("key"),
                "a certificate cannot be shown without its key",
                "write the path of the key, or take `certificate` away",
            );
            return Err(());
        }
        (None, Some(_)) => {
            findings.fault(
                &here.key("certificate"),
                "a key alone shows nothing",
                "write the path of the certificate, or take `key` away",
            );
            return Err(());
        }
    };
    let chain = read(chain, &here.key("certificate"), findings);
    let key = read(key, &here.key("key"), findings);
    let (Some((chain, _)), Some((key, exposure))) = (chain, key) else {
        return Err(());
    };
    if exposure == Exposure::Others {
        findings.warn(
            &here.key("key"),
            "the file can be read by others than its owner",
            "`chmod 600` it, or `defaultMode: 0400` where a volume brings it",
        );
    }
    let own = OwnCertificate::from_pem(chain.expose().as_bytes(), key.expose().as_bytes());
    own.map(Some).map_err(|error| {
        let (at, remedy) = match error {
            PemError::NoCertificate => (
                "certificate",
                "it begins with `-----BEGIN CERTIFICATE-----`",
            ),
            PemError::NoKey => ("key", "it begins with `-----BEGIN PRIVATE KEY-----`"),
        };
        findings.fault(&here.key(at), error.to_string(), remedy);
    })
}

/// The text of a file, in memory that is wiped.
fn read(
    file: &std::path::Path,
    path: &Path,
    findings: &mut Findings<'_>,
) -> Option<(crate::base::secret::Secret, Exposure)> {
    findings.was_read(file.to_owned());
    match SecretSource::File(file.to_owned()).obtain(findings.environment()) {
        Ok(obtained) => Some((obtained.secret, obtained.exposure)),
        Err(error) => {
            findings.fault(path, error.to_string(), "write the path of a PEM file");
            None
        }
    }
}
