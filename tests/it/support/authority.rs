//! Certificates for servers of the tests, good and bad, and those who sign them.

use std::io::Write as _;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// One certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Signed {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

fn of_an_authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(crate) fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

impl Authority {
    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(of_an_authority(name), key).unwrap(),
        }
    }

    /// One that this one signed, changed by `change`.
    pub(crate) fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = of_an_authority(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap(),
        }
    }

    /// Its own certificate, for `ca:` in settings.
    pub(crate) fn file(&self) -> tempfile::NamedTempFile {
        file(&self.issuer.pem())
    }

    /// A certificate for `names`, changed by `change`.
    pub(crate) fn signed(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Signed {
            chain: vec![made.der().clone()],
            pem: made.pem(),
            key,
        }
    }

    /// A certificate for `names`, changed by `change`, and its key, both as PEM.
    pub(crate) fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let signed = self.signed(names, change);
        (signed.pem, signed.key.serialize_pem())
    }

    /// A server's certificate for `names`, changed by `change`.
    pub(crate) fn server(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerConfig {
        self.signed(names, change).server()
    }

    /// A client's certificate.
    pub(crate) fn client(&self) -> Signed {
        self.signed(&["the gate"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// A server that demands a certificate which this authority signed.
    pub(crate) fn demanding(&self, server: Signed) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .unwrap();
        ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(server.chain, der(&server.key))
            .unwrap()
    }
}

impl Signed {
    /// The same, sent with the certificate of whom `by` is.
    pub(crate) fn with(mut self, by: &Authority) -> Self {
        self.chain.push(by.issuer.der().clone());
        self
    }

    pub(crate) fn server(self) -> ServerConfig {
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(self.chain, der(&self.key))
            .unwrap()
    }

    /// Files with the certificate and its key.
    pub(crate) fn files(&self) -> (tempfile::NamedTempFile, tempfile::NamedTempFile) {
        (file(&self.pem), file(&self.key.serialize_pem()))
    }
}

/// A certificate that vouches for itself.
pub(crate) fn self_signed(name: &str) -> ServerConfig {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], der(&made.signing_key))
        .unwrap()
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}
