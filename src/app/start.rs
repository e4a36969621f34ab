//! From a checked configuration to session keys: the effects that checking must not have.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::base::entropy::{Entropy, NoEntropy};
use crate::base::keyring::{SealError, SessionKey, SessionKeyError};
use crate::config::SessionKeys;
use crate::provider::ProviderFault;
use crate::session::names::CookieNamesError;
use crate::transport::tls::TlsError;

/// Why the process, or a new generation, does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or socket.
    #[error("{what} {}: {cause}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// A listener.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// A thread or runtime.
    #[error("the system gave no thread: {0}")]
    Thread(std::io::Error),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The key file.
    #[error("{}: {cause}", path.display())]
    Keys {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SessionKeyError,
    },
    /// The key ring.
    #[error(transparent)]
    Ring(#[from] SealError),
    /// The cookie settings.
    #[error(transparent)]
    Cookies(#[from] CookieNamesError),
    /// A provider's settings.
    #[error(transparent)]
    Provider(#[from] ProviderFault),
    /// What the demo needs could not be built.
    #[error("the demo could not be built")]
    Demo,
    /// Trust roots.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The session keys that `keys` leads to. A state file that is missing is made, with mode 0600 and
/// one fresh key; of two processes that make it at the same time one wins, and both use its key.
///
/// # Errors
/// [`StartError::File`], [`StartError::Keys`], [`StartError::Entropy`].
pub fn session_keys(keys: &SessionKeys, entropy: Entropy) -> Result<Vec<SessionKey>, StartError> {
    match keys {
        SessionKeys::Given(keys) => Ok(keys.clone()),
        SessionKeys::Ephemeral => Ok(vec![SessionKey::generate(entropy)?]),
        SessionKeys::StateFile(path) => match fs::read_to_string(path) {
            Ok(text) => parse(path, &text),
            Err(cause) if cause.kind() == ErrorKind::NotFound => make(path, entropy),
            Err(cause) => Err(file("cannot read the session key", path, cause)),
        },
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<SessionKey>, StartError> {
    SessionKey::parse_file(text).map_err(|cause| StartError::Keys {
        path: path.to_owned(),
        cause,
    })
}

fn make(path: &Path, entropy: Entropy) -> Result<Vec<SessionKey>, StartError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|cause| file("cannot make the folder", folder, cause))?;
    }
    // Whole or not at all: written aside, then linked to its name, which fails if somebody was first.
    let key = SessionKey::generate(entropy)?;
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let fault = |cause| file("cannot write the session key", path, cause);
    let mut options = OpenOptions::new();
    let mut writer = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .map_err(fault)?;
    let written = writeln!(writer, "{}", *key.to_line()).and_then(|()| writer.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match linked {
        Ok(()) => removed.map_err(fault).map(|()| vec![key]),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(path).map_err(fault)?;
            parse(path, &text)
        }
        Err(cause) => Err(fault(cause)),
    }
}

fn file(what: &'static str, path: &Path, cause: std::io::Error) -> StartError {
    StartError::File {
        what,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_missing_state_file_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/session-key");
        let keys =
            || session_keys(&SessionKeys::StateFile(path.clone()), Entropy::system()).unwrap();
        let (first, second) = (keys(), keys());
        assert_eq!(*first[0].to_line(), *second[0].to_line());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::write(&path, "nonsense\n").unwrap();
        assert!(session_keys(&SessionKeys::StateFile(path), Entropy::system()).is_err());
    }
}
