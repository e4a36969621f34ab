//! `sidegate keygen`: makes a session key.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::args::KeygenTo;
use super::{Exit, Streams};
use crate::base::entropy::Entropy;
use crate::base::keyring::{SessionKey, SessionKeyError};

/// Why no key was made, or why it could not be kept.
#[derive(Debug, thiserror::Error)]
enum KeygenError {
    #[error("the operating system gave no random bytes")]
    NoEntropy,
    #[error("{} is there already, and a key that is written over is lost; `--rotate` puts a new key first", .0.display())]
    Exists(PathBuf),
    #[error("{} cannot be {act} ({})", path.display(), source.kind())]
    File {
        path: PathBuf,
        act: &'static str,
        source: io::Error,
    },
    #[error("{} is no key file: {source}", path.display())]
    NoKeyFile {
        path: PathBuf,
        source: SessionKeyError,
    },
}

/// Makes a key and puts it where `to` says.
///
/// # Errors
/// The answer cannot be written.
pub fn run(to: &KeygenTo, entropy: Entropy, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let made = SessionKey::generate(entropy).map_err(|_| KeygenError::NoEntropy);
    let done = made.and_then(|key| {
        let line = Zeroizing::new(format!("{}\n", *key.to_line()));
        match to {
            KeygenTo::Stdout => Ok(Some(line)),
            KeygenTo::New(path) => write_new(path, &line).map(|()| None),
            KeygenTo::First(path) => put_first(path, &line).map(|()| None),
        }
    });
    match (done, to) {
        (Ok(Some(line)), _) => streams.out.write_all(line.as_bytes())?,
        (Ok(None), KeygenTo::First(path)) => {
            let path = path.display();
            writeln!(
                streams.err,
                "{path}: the new key is the first; the older ones still open"
            )?;
        }
        (Ok(None), KeygenTo::New(path)) => {
            writeln!(streams.err, "{}: one session key", path.display())?;
        }
        (Ok(None), KeygenTo::Stdout) => {}
        (Err(error), _) => {
            writeln!(streams.err, "error: {error}")?;
            return Ok(Exit::Failure);
        }
    }
    Ok(Exit::Done)
}

fn write_new(path: &Path, line: &str) -> Result<(), KeygenError> {
    let mut file = create(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeygenError::Exists(path.to_owned()),
        _ => failed(path, "made", source),
    })?;
    fill(&mut file, line).map_err(|source| {
        // Half a key file would stand in the way of the next attempt.
        drop(std::fs::remove_file(path));
        failed(path, "written", source)
    })
}

/// Replaces the file as a whole, so that whoever reads it meanwhile sees the old keys or the new ones
/// and never half of them.
fn put_first(path: &Path, line: &str) -> Result<(), KeygenError> {
    // A link stays a link.
    let path = &std::fs::canonicalize(path).map_err(|source| failed(path, "read", source))?;
    let old = std::fs::read_to_string(path).map_err(|source| failed(path, "read", source))?;
    let old = Zeroizing::new(old);
    SessionKey::parse_file(&old).map_err(|source| KeygenError::NoKeyFile {
        path: path.clone(),
        source,
    })?;
    let permissions = std::fs::metadata(path)
        .map_err(|source| failed(path, "read", source))?
        .permissions();
    let beside = path.with_extension("new");
    let replaced = replace(
        &beside,
        path,
        &Zeroizing::new(format!("{line}{}", *old)),
        permissions,
    );
    replaced.map_err(|source| {
        drop(std::fs::remove_file(&beside));
        failed(path, "written", source)
    })
}

fn replace(beside: &Path, path: &Path, text: &str, permissions: Permissions) -> io::Result<()> {
    let mut file = create(beside)?;
    fill(&mut file, text)?;
    file.set_permissions(permissions)?;
    std::fs::rename(beside, path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

fn failed(path: &Path, act: &'static str, source: io::Error) -> KeygenError {
    KeygenError::File {
        path: path.to_owned(),
        act,
        source,
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

fn fill(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Paint;

    fn keygen(to: &KeygenTo) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut streams = Streams {
            out: &mut out,
            err: &mut err,
            paint_out: Paint::Plain,
            paint_err: Paint::Plain,
        };
        let exit = run(to, Entropy::system(), &mut streams).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (exit, text(out), text(err))
    }

    #[test]
    fn a_key_goes_to_standard_output_and_is_one() {
        let (exit, out, err) = keygen(&KeygenTo::Stdout);
        assert_eq!((exit, err.as_str()), (Exit::Done, ""));
        assert_eq!(SessionKey::parse_file(&out).unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_for_its_owner_alone_and_is_never_written_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let (exit, out, err) = keygen(&KeygenTo::New(path.clone()));
        assert_eq!((exit, out.as_str()), (Exit::Done, ""));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!err.contains(text.trim()));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (exit, _, err) = keygen(&KeygenTo::New(path.clone()));
        assert_eq!(exit, Exit::Failure);
        assert!(err.contains("--rotate"), "{err}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    // F6: a rotated key seals, the ones before it still open.
    #[cfg(unix)]
    #[test]
    fn a_rotated_key_comes_first_and_the_others_stay_with_the_file_s_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let link = folder.path().join("link");
        keygen(&KeygenTo::New(path.clone()));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let old = std::fs::read_to_string(&path).unwrap();
        assert_eq!(keygen(&KeygenTo::First(link.clone())).0, Exit::Done);
        let new = std::fs::read_to_string(&path).unwrap();
        assert_eq!(SessionKey::parse_file(&new).unwrap().len(), 2);
        assert!(new.ends_with(&old));
        assert!(link.is_symlink());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_holds_no_keys_is_not_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other");
        std::fs::write(&path, "hunter2\n").unwrap();
        let (exit, _, err) = keygen(&KeygenTo::First(path.clone()));
        assert_eq!(exit, Exit::Failure);
        assert!(!err.contains("hunter2"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hunter2\n");
        let missing = folder.path().join("missing");
        assert_eq!(keygen(&KeygenTo::First(missing)).0, Exit::Failure);
    }
}
