//! The configuration as a tree that knows where each of its nodes stands.

use std::fmt;
use std::ops::Range;

/// A node and the bytes it stands on.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a scalar was written. What is quoted, or came from the environment, is text and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: `null`, `~` and nothing at all mean absence.
    Plain,
    /// In quotes or as a block.
    Quoted,
    /// Without quotes, with a `${NAME}` that was replaced.
    Interpolated,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

/// The way from the root to a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

// ------------------------------------------------------------------------------------------- Node

impl Node {
    /// Whether nothing was written: `null`, `~`, or the bare key.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, style: Style::Plain })
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether this says that a feature is off: nothing, `false`, or an empty list or mapping.
    pub(crate) fn is_off(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => {
                self.is_null() || (scalar.style == Style::Plain && scalar.text == "false")
            }
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// The text of a scalar.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.value, step) {
            (Value::Map(_), Step::Key(key)) => self.entry(key).map(|entry| &entry.node),
            (Value::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The node at the end of `path`.
    pub(crate) fn at(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| node.child(step))
    }

    /// Takes the entry out that `path` leads to, or the nearest entry around it, so that no item of a
    /// list changes its index. Tells whether there was one.
    pub(crate) fn prune(&mut self, path: &Path) -> Pruned {
        let last_key = path.0.iter().rposition(|step| matches!(step, Step::Key(_)));
        let Some((above, rest)) = last_key.and_then(|at| path.0.split_at_checked(at)) else {
            return Pruned::Nothing;
        };
        let mut node = self;
        for step in above {
            let next = match (&mut node.value, step) {
                (Value::Map(entries), Step::Key(key)) => entries
                    .iter_mut()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &mut entry.node),
                (Value::List(items), Step::Index(index)) => items.get_mut(*index),
                _ => None,
            };
            let Some(next) = next else {
                return Pruned::Nothing;
            };
            node = next;
        }
        let (Value::Map(entries), Some(Step::Key(key))) = (&mut node.value, rest.first()) else {
            return Pruned::Nothing;
        };
        let before = entries.len();
        entries.retain(|entry| entry.key != *key);
        if entries.len() < before {
            Pruned::Entry
        } else {
            Pruned::Nothing
        }
    }
}

/// Whether a secret may stand below this key.
pub(crate) fn is_secret(key: &str) -> bool {
    matches!(key, "client_secret" | "keys" | "redis")
}

/// Whether something was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pruned {
    Entry,
    Nothing,
}

// ------------------------------------------------------------------------------------------- Path

impl Path {
    /// The way to a key of the root.
    pub(crate) fn root(key: &str) -> Self {
        Self::default().key(key)
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub(crate) fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The way to `key` in the mapping that this one leads into.
    pub(crate) fn beside(&self, key: &str) -> Self {
        let above = self.0.split_last().map_or(&[][..], |(_, above)| above);
        Self(above.to_vec()).key(key)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn from_steps(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// The part of the file that is judged as one: the key of the root.
    pub(crate) fn section(&self) -> Option<&Step> {
        self.0.first()
    }

    /// As much of it as may be shown: in `client_secret: {hunter2}` the secret is a key.
    fn shown(&self) -> &[Step] {
        let is_secret = |step: &Step| matches!(step, Step::Key(key) if is_secret(key));
        let Some(secret) = self.0.iter().position(is_secret) else {
            return &self.0;
        };
        let below = self.0.iter().skip(secret + 1);
        let harmless = below.take_while(|step| match step {
            Step::Key(key) => matches!(key.as_str(), "file" | "env"),
            Step::Index(_) => true,
        });
        self.0
            .get(..secret + 1 + harmless.count())
            .unwrap_or(&self.0)
    }

    /// The key it ends with, if it does and that may be shown.
    pub(crate) fn last_shown(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Key(key)) if self.shown().len() == self.0.len() => Some(key),
            _ => None,
        }
    }

    /// Whether it begins with this key of the root.
    pub(crate) fn is_within(&self, section: &str) -> bool {
        matches!(self.section(), Some(Step::Key(key)) if key == section)
    }
}

impl fmt::Display for Path {
    /// The path as people write it; below a secret it ends where the secret might begin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.shown().iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        if self.0.is_empty() {
            f.write_str("the file")?;
        }
        Ok(())
    }
}
