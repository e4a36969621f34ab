//! A certificate with its key: read together, and good together or not at all.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::PairFiles;
use crate::base::certificate::{CertificateFacts, SubjectName};
use crate::base::clock::UnixTime;

/// Chains and keys are short; what is longer is the wrong file.
const LARGEST: u64 = 1024 * 1024;

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairFile {
    /// The certificate's.
    Certificate,
    /// The key's.
    Key,
}

/// Why a certificate and its key cannot be used. Never holds any of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct PairError {
    /// The file that is wrong.
    pub path: PathBuf,
    /// Which of the two it is.
    pub file: PairFile,
    /// What is wrong with it.
    pub what: PairFault,
}

/// What is wrong with a file of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairFault {
    /// It cannot be read.
    #[error("the file cannot be read ({0})")]
    Unreadable(ErrorKind),
    /// It is too large to be what it should.
    #[error("the file is larger than 1MiB")]
    TooLarge,
    /// There is no certificate in it.
    #[error("there is no PEM certificate in the file")]
    NoCertificate,
    /// One of its certificates is broken.
    #[error("a certificate in the file is broken")]
    Broken,
    /// There is no key in it, or an encrypted one.
    #[error("there is no PEM private key in the file that can be read without a passphrase")]
    NoKey,
    /// The key is of a kind that is not known, or broken.
    #[error("the private key is broken, or of a kind that TLS does not know")]
    OddKey,
    /// It is another certificate's.
    #[error("the private key does not belong to the first certificate")]
    Mismatch,
    /// The certificate has ended.
    #[error("the first certificate has ended")]
    Ended,
}

/// What a file looked like from outside: whoever writes or replaces one changes something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(u64, u64, u64, i64, i64, i64, i64)>);

impl Stamp {
    /// The file that `path` leads to in the end; nothing, where there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        Self::of_all([path])
    }

    pub(super) fn of_pair(files: &PairFiles) -> Option<Self> {
        Self::of_all([files.certificate.as_path(), &files.key])
    }

    fn of_all<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Option<Self> {
        let stamps = paths.into_iter().map(|path| {
            let file = std::fs::metadata(path).ok()?;
            Some((
                file.dev(),
                file.ino(),
                file.size(),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ))
        });
        stamps.collect::<Option<_>>().map(Self)
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) facts: CertificateFacts,
    key: Arc<CertifiedKey>,
}

impl Pair {
    /// Reads both files; what they hold belongs together and has not ended at `now`.
    pub(super) fn load(files: &PairFiles, now: UnixTime) -> Result<Self, PairError> {
        let wrong = |file, what| PairError {
            path: match file {
                PairFile::Certificate => files.certificate.clone(),
                PairFile::Key => files.key.clone(),
            },
            file,
            what,
        };
        let in_certificate = |what| wrong(PairFile::Certificate, what);
        let in_key = |what| wrong(PairFile::Key, what);
        let pem = read(&files.certificate).map_err(in_certificate)?;
        let chain = CertificateDer::pem_slice_iter(&pem)
            .map(|one| one.map_err(|_| in_certificate(PairFault::Broken)))
            .collect::<Result<Vec<_>, _>>()?;
        let own = chain
            .first()
            .ok_or_else(|| in_certificate(PairFault::NoCertificate))?;
        let facts = CertificateFacts::read(own).map_err(|_| in_certificate(PairFault::Broken))?;
        let pem = read(&files.key).map_err(in_key)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| in_key(PairFault::NoKey))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| in_key(PairFault::OddKey))?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => in_key(PairFault::Mismatch),
            _ => in_certificate(PairFault::Broken),
        })?;
        if facts.left(now).is_none() {
            return Err(in_certificate(PairFault::Ended));
        }
        Ok(Self {
            facts,
            key: Arc::new(key),
        })
    }

    /// What is served, and under which names.
    pub(super) fn served(&self) -> (Vec<SubjectName>, Arc<CertifiedKey>) {
        (self.facts.names.clone(), Arc::clone(&self.key))
    }
}

/// What the certificate in `files` says of itself, if it can be used at `now`.
///
/// # Errors
/// [`PairError`].
pub fn judge(files: &PairFiles, now: UnixTime) -> Result<CertificateFacts, PairError> {
    Pair::load(files, now).map(|pair| pair.facts)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PairFault> {
    let unreadable = |error: std::io::Error| PairFault::Unreadable(error.kind());
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .map_err(unreadable)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > LARGEST) {
        return Err(PairFault::TooLarge);
    }
    Ok(bytes)
}
