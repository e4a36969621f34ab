//! A server that speaks TLS, and asks who is there.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sidegate::base::secret::Secret;
use sidegate::store::redis::settings::RedisTls;

use crate::server::{Server, free_port};

/// An authority, the server's certificate and ours.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    ca: String,
    own: (String, String),
}

impl Files {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let (server, own) = (signed("127.0.0.1"), signed("gate.example"));
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            ca: issuer.pem(),
            own,
        };
        for (name, text) in [
            ("ca.pem", &files.ca),
            ("cert.pem", &server.0),
            ("key.pem", &server.1),
        ] {
            std::fs::write(files.path(name), text).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server, and the port at which it speaks TLS.
    pub(crate) fn server(&self) -> (Server, u16) {
        let port = free_port();
        let path = |name| self.path(name).to_string_lossy().into_owned();
        let server = Server::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-cert-file",
            &path("cert.pem"),
            "--tls-key-file",
            &path("key.pem"),
        ]);
        (server, port)
    }

    /// What we need to know to speak with it.
    pub(crate) fn client(&self) -> RedisTls {
        RedisTls {
            ca_file: None,
            ca: Some(self.ca.clone().into_bytes()),
            own: Some((
                self.own.0.clone().into_bytes(),
                Secret::new(self.own.1.clone()),
            )),
        }
    }
}
