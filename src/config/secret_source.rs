//! Where a secret comes from: a file, the environment, or - where only this machine can see it - the
//! configuration itself. Exactly one.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error, Unexpected};

use super::environment::Environment;
use super::written::values::{ShortOrLong, short_or_long};
use crate::base::secret::Secret;

/// A secret as it is written. `Debug` does not show a plain one.
#[derive(Clone)]
pub enum SecretSource {
    /// `{ file: PATH }`: the file's text without the line break at its end.
    File(PathBuf),
    /// `{ env: NAME }`.
    Env(String),
    /// The secret itself, for a loopback `public_url` only.
    Plain(Secret),
}

/// The long form as it is written.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ file: PATH }` or `{ env: NAME }`")]
#[schemars(inline)]
struct Written {
    /// The file that holds it.
    file: Option<PathBuf>,
    /// The environment variable that holds it.
    env: Option<String>,
}

/// Secrets are short; what is longer is the wrong file.
const LARGEST: u64 = 64 * 1024;

/// Why a secret could not be had. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the file cannot be read ({})", .0.kind())]
    Unreadable(#[source] std::io::Error),
    /// It is larger than any secret.
    #[error("the file is larger than 64KiB")]
    TooLarge,
    /// It is no text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// The environment variable is not set.
    #[error("the environment variable is not set")]
    Unset,
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
}

/// A secret that was had.
#[derive(Debug)]
pub struct Obtained {
    /// The secret, not empty.
    pub secret: Secret,
    /// Who else on this machine can read it.
    pub exposure: Exposure,
}

/// Who can read a secret's file beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody, or only the group by which we read it ourselves, or there is no file.
    Owner,
    /// A group without need, or everybody.
    Others,
}

impl SecretSource {
    /// Gets the secret: reads its file, or looks into `environment`.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn obtain(&self, environment: &Environment) -> Result<Obtained, SecretError> {
        let (text, exposure) = match self {
            Self::File(path) => read(path)?,
            Self::Env(name) => {
                let value = environment.value(name).ok_or(SecretError::Unset)?;
                (value.to_owned(), Exposure::Owner)
            }
            Self::Plain(secret) => (secret.expose().to_owned(), Exposure::Owner),
        };
        if text.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        let secret = Secret::new(text);
        Ok(Obtained { secret, exposure })
    }

    /// The file it comes from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Env(_) | Self::Plain(_) => None,
        }
    }
}

fn read(path: &Path) -> Result<(String, Exposure), SecretError> {
    let mut file = std::fs::File::open(path).map_err(SecretError::Unreadable)?;
    let metadata = file.metadata().map_err(SecretError::Unreadable)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.by_ref()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(SecretError::Unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |len| len > LARGEST) {
        return Err(SecretError::TooLarge);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok((text.to_owned(), exposure(&metadata)))
}

/// Who else on this machine can read the file at `path`; nobody, where it cannot be looked at.
#[must_use]
pub fn exposure_at(path: &Path) -> Exposure {
    std::fs::metadata(path).map_or(Exposure::Owner, |metadata| exposure(&metadata))
}

#[cfg(unix)]
fn exposure(metadata: &std::fs::Metadata) -> Exposure {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of our own folder in /proc is the user that we run as.
    let us = std::fs::metadata("/proc/self").ok().map(|own| own.uid());
    exposure_of(metadata.mode(), metadata.uid(), us)
}

/// Everybody must not read it. Its group may where somebody else owns it, since that is the way we
/// read it: so volumes with an `fsGroup` and credentials of systemd come.
#[cfg(unix)]
fn exposure_of(mode: u32, owner: u32, us: Option<u32>) -> Exposure {
    let ours = us.is_none_or(|us| us == owner);
    let too_much = if ours { 0o044 } else { 0o004 };
    if mode & too_much == 0 {
        Exposure::Owner
    } else {
        Exposure::Others
    }
}

#[cfg(not(unix))]
fn exposure(_: &std::fs::Metadata) -> Exposure {
    Exposure::Owner
}

impl<'de> ShortOrLong<'de> for SecretSource {
    const EXPECTED: &'static str = "`{ file: PATH }` or `{ env: NAME }`";

    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self::Plain(Secret::new(text.to_owned())))
    }

    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written {
                file: Some(file),
                env: None,
            } => Ok(Self::File(file)),
            Written {
                file: None,
                env: Some(name),
            } => Ok(Self::Env(name)),
            Written { file, .. } => {
                let what = match file {
                    Some(_) => "a secret has one source, and here are two",
                    None => "a secret needs a source, and here is none",
                };
                Err(Error::invalid_value(
                    Unexpected::Other(what),
                    &Self::EXPECTED,
                ))
            }
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer)
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretSource".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let written = Written::json_schema(generator);
        schemars::json_schema!({
            "description": "A secret: `{ file: PATH }` or `{ env: NAME }`; the text itself only with a loopback `public_url`.",
            "anyOf": [written, { "type": "string" }],
        })
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::Plain(_) => f.write_str("Plain([redacted])"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        (folder, SecretSource::File(path))
    }

    fn obtained(source: &SecretSource) -> Result<String, String> {
        source
            .obtain(&Environment::default())
            .map(|got| got.secret.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_line_break_at_the_end_of_a_file_is_no_part_of_the_secret() {
        for (text, wanted) in [
            (&b"hunter2\n"[..], "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b"hunter2", "hunter2"),
            (b" hunter2 \n\n", " hunter2 \n"),
        ] {
            let (_folder, source) = file(text);
            assert_eq!(obtained(&source).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused() {
        let large = vec![b'a'; 64 * 1024 + 1];
        for text in [&b""[..], b"\n", b" \n", b"\xff\xfe", &large] {
            let (_folder, source) = file(text);
            assert!(obtained(&source).is_err(), "{} bytes", text.len());
        }
    }

    // T7: secret files that others can read are noticed.
    #[cfg(unix)]
    #[test]
    fn a_secret_file_that_others_can_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt as _;
        for (mode, wanted) in [
            (0o600, Exposure::Owner),
            (0o400, Exposure::Owner),
            (0o640, Exposure::Others),
            (0o604, Exposure::Others),
        ] {
            let (_folder, source) = file(b"hunter2");
            let path = source.file().unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            let got = source.obtain(&Environment::default()).unwrap();
            assert_eq!(got.exposure, wanted, "{mode:o}");
        }
    }

    // T7: the same for a file of somebody else's, which we read as one of its group.
    #[cfg(unix)]
    #[test]
    fn a_group_may_read_a_secret_file_only_where_that_is_how_we_read_it() {
        for (mode, owner, us, wanted) in [
            (0o440, 0, Some(65532), Exposure::Owner),
            (0o444, 0, Some(65532), Exposure::Others),
            (0o440, 65532, Some(65532), Exposure::Others),
            (0o440, 0, Some(0), Exposure::Others),
            (0o440, 0, None, Exposure::Others),
            (0o400, 0, None, Exposure::Owner),
        ] {
            let found = exposure_of(mode, owner, us);
            assert_eq!(found, wanted, "{mode:o} {owner} {us:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let plain = SecretSource::Plain(Secret::new("hunter2".to_owned()));
        let shown = format!("{plain:?} {:?}", plain.obtain(&Environment::default()));
        assert!(!shown.contains("hunter2"));
        let unset = SecretSource::Env("NOWHERE".to_owned());
        assert!(matches!(
            unset.obtain(&Environment::default()),
            Err(SecretError::Unset)
        ));
    }
}
