//! Draws faults: the line, a caret, and what would be right.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Paint;
use crate::config::fault::ConfigFault;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// It keeps us from starting.
    Fault,
    /// It is allowed, but probably not meant.
    Warning,
}

/// Draws `fault` of the file that is called `name`, with a line break at the end.
pub(super) fn draw(fault: &ConfigFault, severity: Severity, name: &str, paint: Paint) -> String {
    let level = match severity {
        Severity::Fault => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let renderer = match paint {
        Paint::Coloured => Renderer::styled(),
        Paint::Plain => Renderer::plain(),
    };
    // Control characters of the file would reach the terminal.
    let title = harmless(&format!("{}: {}", fault.path, fault.what));
    let remedy = harmless(&fault.remedy);
    let quote = fault.place.as_ref().map(|place| harmless(&place.quote));
    let mut group =
        level
            .primary_title(title.as_str())
            .elements(fault.place.iter().zip(&quote).map(|(place, quote)| {
                Snippet::source(quote.as_str())
                    .line_start(place.line)
                    .path(name)
                    .annotation(AnnotationKind::Primary.span(place.marked.clone()))
            }));
    group = group.element(Level::HELP.message(remedy.as_str()));
    let mut text = renderer.render(&[group]);
    text.push('\n');
    text
}

/// Each control character becomes one of the same length, so that the caret stays where it was.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => ' ',
            letter if letter.is_ascii_control() => '?',
            letter => letter,
        })
        .collect()
}
