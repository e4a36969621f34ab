//! A file's text, and how much of a line may be shown.
//!
//! A fault quotes its line, and the line may hold a secret: beside the fault, above it in a flow
//! mapping, in a comment, under a misspelt key. So a quote shows keys, and the values of keys that
//! are known to hold none.

use std::ops::Range;

use super::fault::Place;
use super::tree::{Node, Path, Step, Value, is_secret};

/// What stands for a text that is not shown.
const HIDDEN: &str = "***";

/// A file's text and its tree.
pub(crate) struct Source {
    text: String,
    pub(crate) root: Node,
    /// Keys and scalars: a `#` in one of them begins no comment.
    words: Vec<Range<usize>>,
    hidden: Vec<Range<usize>>,
}

impl Source {
    /// `dropped` are values that did not make it into the tree.
    pub(crate) fn new(text: String, root: Node, dropped: Vec<Range<usize>>) -> Self {
        let mut source = Self {
            text,
            root,
            words: dropped.clone(),
            hidden: dropped,
        };
        let (mut words, mut hidden) = (Vec::new(), Vec::new());
        survey(&source.root, Trust::Open, &mut words, &mut hidden);
        source.words.extend(words);
        source.hidden.extend(hidden);
        source
    }

    /// Nothing below `path` is shown from here on.
    pub(crate) fn hide(&mut self, path: &Path) {
        let mut words = Vec::new();
        if let Some(node) = self.root.at(path) {
            survey(node, Trust::None, &mut words, &mut self.hidden);
        }
    }

    /// Where `path` stands: its scalar, or the key or dash of what is larger than that; where the
    /// path leads to nothing, what is nearest above it.
    pub(crate) fn place(&self, path: &Path) -> Place {
        let mut node = &self.root;
        let mut span = 0..0;
        for step in path.steps() {
            let Some(child) = node.child(step) else { break };
            span = match (&child.value, step) {
                (Value::Scalar(_), _) if !child.is_null() => child.span.clone(),
                (_, Step::Key(key)) => node.entry(key).map_or(span, |entry| entry.key_span.clone()),
                (_, Step::Index(_)) => child.span.start..child.span.start,
            };
            node = child;
        }
        self.place_of(span)
    }

    /// Where the key of `path` stands.
    pub(crate) fn place_of_key(&self, path: &Path) -> Place {
        let entry = match path.steps().split_last() {
            Some((Step::Key(key), above)) => self
                .root
                .at(&Path::from_steps(above.to_vec()))
                .and_then(|node| node.entry(key)),
            _ => None,
        };
        match entry {
            Some(entry) => self.place_of(entry.key_span.clone()),
            None => self.place(path),
        }
    }

    /// The place of the bytes `span`.
    pub(crate) fn place_of(&self, span: Range<usize>) -> Place {
        let line = Line::at(&self.text, span.start);
        let end = self.end_of_words(&line);
        let mut quote = String::new();
        let mut marked = None;
        let mut at = line.start;
        while at < end {
            if let Some(hidden) = self.hidden.iter().find(|range| range.contains(&at)) {
                if span.start >= at && span.start < hidden.end && marked.is_none() {
                    marked = Some(quote.len()..quote.len() + HIDDEN.len());
                }
                quote.push_str(HIDDEN);
                at = hidden.end;
                continue;
            }
            let Some(letter) = self.text.get(at..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            let from = quote.len();
            quote.push(letter);
            if at == span.start || (at > span.start && at < span.end) {
                marked =
                    Some(marked.map_or(from, |marked: Range<usize>| marked.start)..quote.len());
            }
            at += letter.len_utf8();
        }
        let quote = without_user_information(quote.trim_end());
        let marked = marked.unwrap_or(quote.len()..quote.len());
        let marked = marked.start.min(quote.len())..marked.end.min(quote.len());
        Place {
            line: line.number,
            column: line.column,
            quote,
            marked,
        }
    }

    /// Where the line ends, or its comment begins.
    fn end_of_words(&self, line: &Line) -> usize {
        let text = self.text.get(line.start..line.end).unwrap_or_default();
        let in_a_word = |at: usize| self.words.iter().any(|word| word.contains(&at));
        text.match_indices('#')
            .map(|(at, _)| line.start + at)
            .find(|&at| !in_a_word(at))
            .unwrap_or(line.end)
    }
}

/// The place of the byte `at` in a text that could not be read: of its line, only the key is shown.
pub(crate) fn place_in_unread(text: &str, at: usize) -> Place {
    let line = Line::at(text, at);
    let words = text.get(line.start..line.end).unwrap_or_default();
    let key = words
        .find(|c: char| !matches!(c, ' ' | '-'))
        .and_then(|from| {
            let length = words
                .get(from..)?
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
            let end = from + length;
            words.get(end..)?.starts_with(':').then_some(end + 1)
        });
    let shown = words.get(..key.unwrap_or_default()).unwrap_or_default();
    let quote = if words.trim_end().len() > shown.len() {
        match shown {
            "" => HIDDEN.to_owned(),
            shown => format!("{shown} {HIDDEN}"),
        }
    } else {
        shown.to_owned()
    };
    let from = (at - line.start).min(quote.len());
    Place {
        line: line.number,
        column: line.column,
        marked: from..quote.len().min(from + 1),
        quote,
    }
}

struct Line {
    start: usize,
    end: usize,
    number: usize,
    column: usize,
}

impl Line {
    fn at(text: &str, at: usize) -> Self {
        // Past the last line break there is nothing to see: the end of the line before it is meant.
        let at = at.min(text.trim_end().len());
        let before = text.get(..at).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(start..).unwrap_or_default();
        Self {
            start,
            end: start + rest.find(['\n', '\r']).unwrap_or(rest.len()),
            number: before.matches('\n').count() + 1,
            column: before.get(start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }
}

/// How far what stands under a key may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// It may.
    Open,
    /// It may hold a secret, save where it says in which file or variable the secret is.
    Secret,
    /// Not at all.
    None,
}

fn survey(
    node: &Node,
    trust: Trust,
    words: &mut Vec<Range<usize>>,
    hidden: &mut Vec<Range<usize>>,
) {
    match &node.value {
        Value::Scalar(_) => {
            words.push(node.span.clone());
            if trust != Trust::Open {
                hidden.push(node.span.clone());
            }
        }
        Value::List(items) => {
            for item in items {
                survey(item, trust, words, hidden);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                words.push(entry.key_span.clone());
                if trust != Trust::Open && !matches!(entry.key.as_str(), "file" | "env") {
                    hidden.push(entry.key_span.clone());
                }
                let below = match trust {
                    Trust::Open if is_secret(&entry.key) => Trust::Secret,
                    Trust::Secret if points_elsewhere(&entry.key, &entry.node) => Trust::Open,
                    trust => trust,
                };
                survey(&entry.node, below, words, hidden);
            }
        }
    }
}

/// `file: /run/secrets/x` or `env: OIDC_SECRET`, and not a secret in their place.
fn points_elsewhere(key: &str, node: &Node) -> bool {
    let text = node.as_text().unwrap_or_default();
    match key {
        "file" => text.contains('/'),
        "env" => text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
        _ => false,
    }
}

/// `https://user:password@host` without what stands before the `@`.
fn without_user_information(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | ','))
            .unwrap_or(after.len());
        let (authority, after) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str(HIDDEN);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}
