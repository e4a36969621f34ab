//! From text to the tree that knows its places.

use std::ops::Range;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::Fault;
use super::interpolate::interpolate;
use crate::config::environment::Environment;
use crate::config::fault::ConfigFault;
use crate::config::source::Source;
use crate::config::tree::{Entry, Node, Path, Scalar, Style, Value};

const LARGEST_FILE: usize = 1 << 20;
const MOST_NODES: usize = 50_000;
const DEEPEST: usize = 32;

/// Builds the tree, event by event.
pub(super) struct Builder<'a> {
    text: &'a str,
    environment: &'a Environment,
    open: Vec<Open>,
    nodes: usize,
    root: Option<Node>,
    blemishes: Vec<Blemish>,
    dropped: Vec<Range<usize>>,
}

/// A tree, and what is wrong with the text it was built from.
pub(super) struct Built {
    pub(super) root: Node,
    pub(super) blemishes: Vec<Blemish>,
    /// Where values stand that did not make it into the tree.
    pub(super) dropped: Vec<Range<usize>>,
}

/// Why the text cannot be read any further.
pub(super) struct Stop {
    pub(super) at: usize,
    pub(super) path: Path,
    pub(super) what: String,
    pub(super) remedy: &'static str,
}

/// A fault that does not keep the rest from being read.
pub(super) struct Blemish {
    span: Range<usize>,
    path: Path,
    what: String,
    remedy: &'static str,
}

impl Blemish {
    pub(super) fn placed(self, source: &Source) -> Fault {
        let fault = ConfigFault {
            path: self.path.to_string(),
            place: Some(source.place_of(self.span)),
            what: self.what,
            remedy: self.remedy.to_owned(),
        };
        Fault {
            path: self.path,
            meant: None,
            said: fault,
        }
    }
}

/// A list or mapping that is not finished.
enum Open {
    List {
        start: usize,
        items: Vec<Node>,
    },
    Map {
        start: usize,
        entries: Vec<Entry>,
        key: Option<(String, Range<usize>)>,
    },
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str, environment: &'a Environment) -> Self {
        Self {
            text,
            environment,
            open: Vec::new(),
            nodes: 0,
            root: None,
            blemishes: Vec::new(),
            dropped: Vec::new(),
        }
    }

    pub(super) fn build(mut self) -> Result<Built, Stop> {
        if self.text.len() > LARGEST_FILE {
            return Err(self.stop(
                0,
                "the file is larger than 1MiB",
                "this cannot be a configuration",
            ));
        }
        for event in Parser::new_from_str(self.text) {
            let (event, span) = event.map_err(|error| {
                let at = error.marker().byte_offset().unwrap_or(self.text.len());
                let what = format!("not YAML: {}", error.kind());
                self.stop(
                    at,
                    &what,
                    "mind indentation, quotes and brackets up to here",
                )
            })?;
            let span = span_of(&span);
            self.take(event, span)?;
        }
        let root = self.root.take().unwrap_or(Node {
            span: 0..0,
            value: Value::Map(Vec::new()),
        });
        // An empty file has no keys: what is missing is said by name.
        let root = if root.is_null() {
            Node {
                span: root.span,
                value: Value::Map(Vec::new()),
            }
        } else {
            root
        };
        Ok(Built {
            root,
            blemishes: self.blemishes,
            dropped: self.dropped,
        })
    }

    fn stop(&self, at: usize, what: &str, remedy: &'static str) -> Stop {
        Stop {
            at,
            path: self.path(),
            what: what.to_owned(),
            remedy,
        }
    }

    fn path(&self) -> Path {
        self.open
            .iter()
            .fold(Path::default(), |path, open| match open {
                Open::List { items, .. } => path.index(items.len()),
                Open::Map {
                    key: Some((key, _)),
                    ..
                } => path.key(key),
                Open::Map { key: None, .. } => path,
            })
    }

    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Stop> {
        let anchor_or_tag = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => *anchor != 0 || tag.is_some(),
            Event::Alias(_) => true,
            _ => false,
        };
        if anchor_or_tag {
            let what = "anchors, aliases and tags are not read here";
            return Err(self.stop(
                span.start,
                what,
                "write the value out, or quote it if it is text",
            ));
        }
        match event {
            Event::Scalar(text, style, ..) => self.scalar(&text, style, span),
            Event::SequenceStart(..) => self.begin(
                Open::List {
                    start: span.start,
                    items: Vec::new(),
                },
                span,
            ),
            Event::MappingStart(..) => self.begin(
                Open::Map {
                    start: span.start,
                    entries: Vec::new(),
                    key: None,
                },
                span,
            ),
            Event::SequenceEnd | Event::MappingEnd => self.finish(&span),
            Event::DocumentStart(..) if self.root.is_some() => {
                let what = "a second document begins here";
                Err(self.stop(span.start, what, "write one document: take the `---` away"))
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, span: Range<usize>) -> Result<(), Stop> {
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(self.stop(span.start, "a key is a word here", "write `key: value`"));
        }
        if self.open.len() >= DEEPEST {
            return Err(self.stop(
                span.start,
                "this is nested too deeply",
                "nothing here needs 32 levels",
            ));
        }
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, span: &Range<usize>) -> Result<(), Stop> {
        let (start, value) = match self.open.pop() {
            Some(Open::List { start, items }) => (start, Value::List(items)),
            Some(Open::Map { start, entries, .. }) => (start, Value::Map(entries)),
            None => return Ok(()),
        };
        let span = start..span.end.max(start);
        self.put(Node { span, value })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Range<usize>) -> Result<(), Stop> {
        if let Some(Open::Map {
            key: key @ None, ..
        }) = self.open.last_mut()
        {
            *key = Some((text.to_owned(), span));
            return Ok(());
        }
        let plain = style == ScalarStyle::Plain;
        let (text, style) = match plain.then(|| interpolate(text, self.environment)) {
            None => (text.to_owned(), Style::Quoted),
            Some(Ok(None)) => (text.to_owned(), Style::Plain),
            Some(Ok(Some(text))) => (text, Style::Interpolated),
            Some(Err(problem)) => {
                let (what, remedy) = problem.texts();
                self.blemishes.push(Blemish {
                    span: span.clone(),
                    path: self.path(),
                    what,
                    remedy,
                });
                (text.to_owned(), Style::Quoted)
            }
        };
        self.put(Node {
            span,
            value: Value::Scalar(Scalar { text, style }),
        })
    }

    fn put(&mut self, node: Node) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.stop(
                node.span.start,
                "there are too many values",
                "nothing here needs 50000",
            ));
        }
        let path = self.path();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                let Some((key, key_span)) = key.take() else {
                    return Ok(());
                };
                if entries.iter().any(|entry| entry.key == key) {
                    let what = if let Some(key) = path.last_shown() {
                        format!("`{key}`")
                    } else {
                        self.dropped.push(key_span.clone());
                        "a key".to_owned()
                    };
                    self.dropped.push(node.span);
                    self.blemishes.push(Blemish {
                        span: key_span,
                        path,
                        what: format!("{what} stands here a second time"),
                        remedy: "keep one of them",
                    });
                } else {
                    entries.push(Entry {
                        key,
                        key_span,
                        node,
                    });
                }
            }
        }
        Ok(())
    }
}

fn span_of(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}
