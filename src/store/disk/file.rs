//! The file of a store: ours alone, or not opened at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tables::prepare;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageError};

/// Pages that are kept in memory; what is read is read seldom, as requests go by copies.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// How often a file that another process still has is tried.
const AGAIN: Duration = Duration::from_millis(50);

/// A store on disk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system does not let us.
    #[error("{what} {}: {cause}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// Others may read or write it: they could read and end sessions.
    #[error("others have access to {} (mode {mode:o}): make it 0600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else, who could do so.
    #[error("{} belongs to user {owner}, and this process runs as {own}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// It is a folder, a device, or something else that is no file.
    #[error("{} is no regular file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("another process has {} open: one gate has it at a time", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// It is of a newer version, or of something else, or damaged. It is left as it is.
    #[error("{} is no store of this version: {cause}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

/// Opens the file at `path`, or makes it. Where another process has it, waits for `patience`, and
/// blocks meanwhile.
pub(super) fn open(path: &Path, patience: Duration) -> Result<Database, OpenError> {
    let begun = std::time::Instant::now();
    if !path.exists() {
        make(path)?;
    }
    loop {
        let file = ours(path)?;
        match opened(file) {
            Err(DatabaseError::DatabaseAlreadyOpen) if begun.elapsed() < patience => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "nobody tells when another process closes a file"
                )]
                std::thread::sleep(AGAIN);
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(OpenError::Taken { path: path.into() });
            }
            Err(DatabaseError::Storage(StorageError::Io(cause)))
                if cause.kind() != io::ErrorKind::InvalidData =>
            {
                return Err(failed("open the store", path)(cause));
            }
            Err(error) => return Err(unknown(path, error.to_string())),
            Ok(database) => return Ok(database),
        }
    }
}

/// Finds out whether the file at `path` is ours to open, and makes it where there is none.
pub(super) fn look(path: &Path) -> Result<(), OpenError> {
    if !path.exists() {
        make(path)?;
    }
    ours(path).map(drop)
}

fn opened(file: File) -> Result<Database, DatabaseError> {
    let backend = FileBackend::new(file)?;
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
}

/// Makes the file beside its place, whole, and only then gives it its name: a power failure in between
/// leaves nothing that would have to be taken away by hand. A file that has the name by then stays.
fn make(path: &Path) -> Result<(), OpenError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    if !folder.exists() {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(failed("make the folder", folder))?;
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let beside = folder.join(name);
    // What a process of this number left behind.
    drop(std::fs::remove_file(&beside));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed("make the store", path))?;
    let made = opened(file)
        .map_err(|error| unknown(path, error.to_string()))
        .and_then(|database| prepare(&database).map_err(|cause| unknown(path, cause)))
        .and_then(|()| match std::fs::hard_link(&beside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(failed("make the store", path)),
        });
    drop(std::fs::remove_file(&beside));
    made?;
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("make the store", path))
}

/// The file, which is ours. The path is followed to no other one.
fn ours(path: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        // Not to wait for the other end of a pipe, nor to follow a link that somebody else put there.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(failed("open the store", path))?;
    let facts = file.metadata().map_err(failed("look at the store", path))?;
    let (owner, own) = (facts.uid(), rustix::process::geteuid().as_raw());
    if !facts.is_file() {
        Err(OpenError::NoFile { path: path.into() })
    } else if owner != own {
        let path = path.into();
        Err(OpenError::Foreign { path, owner, own })
    } else if facts.mode() & 0o077 != 0 {
        let (path, mode) = (path.into(), facts.mode() & 0o777);
        Err(OpenError::Exposed { path, mode })
    } else {
        Ok(file)
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |cause| OpenError::File { what, path, cause }
}

pub(super) fn unknown(path: &Path, cause: String) -> OpenError {
    OpenError::Unknown {
        path: path.into(),
        cause,
    }
}
