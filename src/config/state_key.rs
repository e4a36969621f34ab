//! The session key of a gate that was given none: made once, kept in the state directory.
//!
//! The one act of this floor that has an effect. Judging a configuration only names the file
//! ([`super::SessionKeys::StateFile`]); whoever runs calls this.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::secret_source::{SecretError, SecretSource};
use crate::base::entropy::{Entropy, NoEntropy};
use crate::base::keyring::{SessionKey, SessionKeyError};

/// Why there is no session key.
#[derive(Debug, thiserror::Error)]
pub enum StateKeyError {
    /// No random bytes to make one of.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The file or its folder cannot be made.
    #[error("{} cannot be made", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there and cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SecretError,
    },
    /// The file is there and holds something else. It is left alone: a key that is replaced signs
    /// everybody out.
    #[error("{} holds no session key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SessionKeyError,
    },
}

/// The keys in the file at `path`; where there is none, a fresh key is put there first, readable by
/// its owner alone. Of several processes that begin at once, all end with the same key.
///
/// # Errors
/// [`StateKeyError`].
pub fn read_or_make(path: &Path, entropy: Entropy) -> Result<Vec<SessionKey>, StateKeyError> {
    if !path.exists() {
        let key = SessionKey::generate(entropy)?;
        let name = entropy.token()?;
        make(path, &name, &key).map_err(|source| StateKeyError::Unwritable {
            path: path.to_owned(),
            source,
        })?;
    }
    let source = SecretSource::File(path.to_owned());
    let obtained =
        source
            .obtain(&Environment::default())
            .map_err(|source| StateKeyError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
    SessionKey::parse_file(obtained.secret.expose()).map_err(|source| StateKeyError::NoKey {
        path: path.to_owned(),
        source,
    })
}

/// Writes the key beside the file, whole, and only then gives it the name: nobody ever reads half a
/// key, and a name that is taken by then stays with whom it belongs to.
fn make(path: &Path, name: &str, key: &SessionKey) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    private_folder(folder)?;
    let beside = folder.join(format!(".{name}"));
    let made = write(&beside, key).and_then(|()| match std::fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = std::fs::remove_file(&beside);
    made?;
    removed?;
    File::open(folder)?.sync_all()
}

fn write(path: &Path, key: &SessionKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(key.to_line().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(keys: &[SessionKey]) -> Vec<String> {
        keys.iter().map(|key| key.to_line().to_string()).collect()
    }

    #[test]
    fn a_key_is_made_once_and_then_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/sidegate/session-key");
        let first = read_or_make(&path, Entropy::system()).unwrap();
        let second = read_or_make(&path, Entropy::system()).unwrap();
        assert_eq!(first.len(), 1);
        assert_eq!(lines(&first), lines(&second));
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidegate/session-key");
        read_or_make(&path, Entropy::system()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn processes_that_begin_at_once_end_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session-key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let begun: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| lines(&read_or_make(&path, Entropy::system()).unwrap())))
                .collect();
            begun.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{}", keys.len());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    // F6: a file that holds something else is never replaced, and nothing of it is said.
    #[test]
    fn a_file_that_holds_no_key_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session-key");
        std::fs::write(&path, "hunter2\n").unwrap();
        let error = read_or_make(&path, Entropy::system()).unwrap_err();
        assert!(matches!(error, StateKeyError::NoKey { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hunter2\n");
    }
}
