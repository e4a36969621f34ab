//! What is wrong with a configuration: where, what, and what would be right.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// One fault. Its texts never hold a value from the file, only names of keys, providers, upstreams
/// and routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key, such as `routes[2].match.path`; a flag, where the configuration came from flags.
    pub path: String,
    /// Where in the file; nothing where there is none.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub remedy: String,
}

/// Something that is allowed but probably not meant.
pub type ConfigWarning = ConfigFault;

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text as far as it may be shown: secrets, comments, and the values of keys that are
    /// not known are not in it.
    pub quote: String,
    /// The bytes of `quote` that are meant.
    pub marked: Range<usize>,
}

/// Why there is no [`super::Config`].
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was read and has faults, at least one.
    #[error("{} configuration fault(s), the first: {}", faults.len(), FirstOf(faults))]
    Faulty {
        /// All of them, in the file's order.
        faults: Vec<ConfigFault>,
    },
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "line {}, column {}: ", place.line, place.column)?;
        }
        write!(f, "{}: {}; {}", self.path, self.what, self.remedy)
    }
}

struct FirstOf<'a>(&'a [ConfigFault]);

impl fmt::Display for FirstOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |first| first.fmt(f))
    }
}
