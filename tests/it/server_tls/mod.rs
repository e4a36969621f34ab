//! TLS of our own: what is offered, to whom, and that a renewal is not noticed.

mod handshakes;
mod renewal;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::authority::Authority;
use crate::support::instance::World;
use crate::support::tls_client::TlsClient;

/// An authority, and a folder with what it signed.
pub(crate) struct Desk {
    pub(crate) authority: Authority,
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        sidegate::transport::tls::install_crypto();
        let authority = Authority::named("Desk");
        let folder = tempfile::tempdir().unwrap();
        fs::copy(authority.file().path(), folder.path().join("ca.pem")).unwrap();
        Self { authority, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Signs a certificate for `names` and writes `NAME.crt` and `NAME.key`; how the files are named
    /// in the configuration.
    pub(crate) fn pair(&self, name: &str, names: &[&str]) -> String {
        let issued = self.authority.issue(names, |_| {});
        self.write(name, &issued);
        let (certificate, key) = (
            self.path(&format!("{name}.crt")),
            self.path(&format!("{name}.key")),
        );
        format!(
            "certificate: {}, key: {}",
            certificate.display(),
            key.display()
        )
    }

    pub(crate) fn write(&self, name: &str, (certificate, key): &(String, String)) {
        put(&self.path(&format!("{name}.crt")), certificate);
        put(&self.path(&format!("{name}.key")), key);
    }

    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.ca())
    }
}

/// Writes a file beside its place and moves it there, as careful tools do.
pub(crate) fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// A gate with an open app behind a listener with this TLS.
pub(crate) fn world(tls: &str, more: &str) -> World {
    World::listening(
        &format!("listen: [{{ address: 127.0.0.1:0, tls: {{ {tls} }} }}]"),
        &format!("routes: [{{ access: public }}]\n{more}"),
    )
}
