//! From text to what is written in it: the only place that knows the YAML package.
//!
//! The text becomes a tree first, with the limits and the strictness that a security product wants:
//! one document, no anchors, no tags, no key twice, bounded depth and size, `${NAME}` replaced in
//! plain scalars as text and never as YAML. Then the typed reading begins: at a fault the node is
//! noted and cut away and the reading begun again, so that every fault is found and not just the
//! first.

mod build;
mod interpolate;

use serde::de::DeserializeOwned;

use self::build::{Builder, Stop};
use super::environment::Environment;
use super::fault::ConfigFault;
use super::nearest::{did_you_mean, nearest};
use super::reader::{self, Problem, ShapeError};
use super::source::{Source, place_in_unread};
use super::tree::{Node, Path, Pruned};

/// Whoever has so many faults has another kind of file.
const MOST_FAULTS: usize = 100;

/// What was read, as far as it could be.
pub(crate) struct Read<T> {
    pub(crate) file: T,
    pub(crate) source: Source,
    pub(crate) faults: Vec<Fault>,
}

/// A fault and the way to its node.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) path: Path,
    /// The key that was probably meant: it is not missing.
    pub(crate) meant: Option<Path>,
    pub(crate) said: ConfigFault,
}

/// The text is no YAML that could be read any further.
pub(crate) struct NotRead {
    pub(crate) faults: Vec<ConfigFault>,
}

/// Reads `text`, taking `${NAME}` from `environment`.
pub(crate) fn read<T: DeserializeOwned + Default>(
    text: String,
    environment: &Environment,
) -> Result<Read<T>, NotRead> {
    let built = match Builder::new(&text, environment).build() {
        Ok(built) => built,
        Err(Stop {
            at,
            path,
            what,
            remedy,
        }) => {
            let fault = ConfigFault {
                path: path.to_string(),
                place: Some(place_in_unread(&text, at)),
                what,
                remedy: remedy.to_owned(),
            };
            return Err(NotRead {
                faults: vec![fault],
            });
        }
    };
    let mut source = Source::new(text, built.root, built.dropped);
    let (file, errors) = read_shape(&source.root);
    let unknown =
        |error: &&ShapeError| matches!(error.problem, Problem::UnknownKey { .. } | Problem::NotYet);
    for error in errors.iter().filter(unknown) {
        source.hide(&error.path());
    }
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| shape_fault(&source, error))
        .collect();
    faults.extend(
        built
            .blemishes
            .into_iter()
            .map(|blemish| blemish.placed(&source)),
    );
    Ok(Read {
        file,
        source,
        faults,
    })
}

/// The typed reading, again and again until nothing is left that does not fit.
fn read_shape<T: DeserializeOwned + Default>(root: &Node) -> (T, Vec<ShapeError>) {
    let mut errors = Vec::new();
    let mut root = root.clone();
    loop {
        let error = match reader::read(&root) {
            Ok(file) => return (file, errors),
            Err(error) => error,
        };
        let path = error.path();
        let pruned = root.prune(&path);
        // What is left of something that was cut may look odd for that alone.
        let was_cut = |known: &ShapeError| known.path().steps().starts_with(path.steps());
        if !errors.iter().any(was_cut) {
            errors.push(error);
        }
        if pruned == Pruned::Nothing || errors.len() >= MOST_FAULTS {
            return (T::default(), errors);
        }
    }
}

fn shape_fault(source: &Source, error: &ShapeError) -> Fault {
    let path = error.path();
    let last = path.last_shown().unwrap_or_default();
    let place = match &error.problem {
        Problem::UnknownKey { .. } if !last.is_empty() => source.place_of_key(&path),
        Problem::NotYet => source.place_of_key(&path),
        _ => source.place(&path),
    };
    let (what, remedy) = texts(error, last, source.root.at(&path).and_then(Node::as_text));
    let fault = ConfigFault {
        path: path.to_string(),
        place: Some(place),
        what,
        remedy,
    };
    let meant = match &error.problem {
        Problem::UnknownKey { known } => nearest(last, known).map(|key| path.beside(key)),
        _ => None,
    };
    Fault {
        path,
        meant,
        said: fault,
    }
}

/// What is wrong and what would be right; `key` is the key, as far as it may be said, and `text`,
/// which is not said, its value.
fn texts(error: &ShapeError, key: &str, text: Option<&str>) -> (String, String) {
    match &error.problem {
        Problem::UnknownKey { known } if key.is_empty() => (
            "this is not the shape of a secret".to_owned(),
            format!("known are {}", listed(known)),
        ),
        Problem::UnknownKey { known } => (
            format!("`{key}` is not a key that is known here"),
            did_you_mean(key, known).unwrap_or_else(|| format!("known are {}", listed(known))),
        ),
        Problem::UnknownWord { known } => (
            "this word is not known here".to_owned(),
            text.and_then(|text| did_you_mean(text, known))
                .unwrap_or_else(|| match known {
                    [one] => format!("write `{one}`"),
                    _ => format!("write one of {}", listed(known)),
                }),
        ),
        Problem::Kind { found, expected } => (
            format!("{found} stands where something else is expected"),
            format!("write {expected}"),
        ),
        Problem::Said { what, expected } => (what.clone(), format!("write {expected}")),
        Problem::MissingKey(key) => (format!("`{key}` is missing"), format!("write `{key}: ...`")),
        Problem::NotYet => (
            format!("not yet: this version does not know how to do `{key}`"),
            "leave the key out".to_owned(),
        ),
        Problem::Other(text) => (text.clone(), "write it as docs/CONFIG.md shows".to_owned()),
    }
}

/// `a`, `b`, `c`.
fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl From<Fault> for ConfigFault {
    fn from(fault: Fault) -> Self {
        fault.said
    }
}

#[cfg(test)]
mod tests;
