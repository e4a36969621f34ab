//! TLS by rustls with AWS-LC, in one place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Trust that cannot be set up. Nothing is connected with less trust instead.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the operator's roots cannot be read.
    #[error("cannot read the certificates in {}: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// It holds no certificate that could be a root, or a broken one.
    #[error("{} holds no usable certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The library refuses its own parameters.
    #[error("TLS cannot be set up: {0}")]
    Refused(#[from] rustls::Error),
}

/// Makes AWS-LC the process's cryptography, for whatever asks rustls for a default. Called first in
/// `main`; calling it again changes nothing.
pub fn install_crypto() {
    // An error says that it was installed before, by us.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// What a provider's certificate is held to: the roots in `ca` alone, or else the system's, or,
/// where the system has none, Mozilla's.
///
/// # Errors
/// [`TlsError`]. A single unreadable certificate of the system's is passed over; one in `ca` is not.
pub fn client_config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca {
        Some(path) => operator_roots(path)?,
        None => system_roots(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The roots that an operator wrote down: each certificate in the PEM file at `path`, which are good
/// all of them, or none is taken.
///
/// # Errors
/// [`TlsError::Unreadable`], [`TlsError::NoCertificate`].
pub fn operator_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let pem = std::fs::read(path).map_err(|cause| TlsError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let none = || TlsError::NoCertificate(path.to_owned());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots
            .add(certificate.map_err(|_| none())?)
            .map_err(|_| none())?;
    }
    if roots.is_empty() {
        Err(none())
    } else {
        Ok(roots)
    }
}

pub(super) fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 || !found.errors.is_empty() {
        tracing::warn!(
            added,
            ignored,
            errors = found.errors.len(),
            "some system certificates are unreadable"
        );
    }
    if roots.is_empty() {
        tracing::info!("the system has no root certificates; Mozilla's are used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    // R3: TLS 1.2 and 1.3 with authenticated encryption, HTTP/1.1 within, nothing before the handshake.
    #[test]
    fn only_what_is_strong_is_offered() {
        let config = client_config(None).unwrap();
        for suite in &config.crypto_provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            let aead = name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_");
            let forward = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
            assert!(aead && forward, "{name}");
        }
        assert!(!config.enable_early_data);
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    }

    // R2: a file that is not what it should be is no reason to trust the system's roots instead.
    #[test]
    fn a_file_without_good_certificates_is_no_trust_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let pem = rcgen::generate_simple_self_signed(["id.test".to_owned()]).unwrap();
        let good = pem.cert.pem();
        let broken = good.replace("\nMII", "\nAAA");
        let key = pem.signing_key.serialize_pem();
        for (name, text) in [
            ("empty", String::new()),
            ("prose", "see the wiki".to_owned()),
            ("key", key),
            ("broken", broken.clone()),
            ("good and broken", format!("{good}{broken}")),
            ("cut", good.replace("-----END CERTIFICATE-----", "")),
            (
                "good and cut",
                format!("{good}-----BEGIN CERTIFICATE-----\nMII"),
            ),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let outcome = client_config(Some(&path));
            assert!(
                matches!(outcome, Err(TlsError::NoCertificate(_))),
                "{name}: {outcome:?}"
            );
        }
        for name in [".", "missing"] {
            let outcome = client_config(Some(&folder.path().join(name)));
            assert!(
                matches!(outcome, Err(TlsError::Unreadable { .. })),
                "{name}: {outcome:?}"
            );
        }
        std::fs::write(folder.path().join("good"), good).unwrap();
        assert!(client_config(Some(&folder.path().join("good"))).is_ok());
    }
}
