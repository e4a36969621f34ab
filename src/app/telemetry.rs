//! Where logs go, set up once: access and audit lines to standard output, diagnostics to standard
//! error, each by a writer that nobody waits for. The one place that knows `tracing-subscriber`.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

use super::iso_time::Timestamp;
use super::log_line::{Colour, Level, Line, Style};
use super::log_sink::{LogSink, LogWriter, Worth};

/// The form of a line, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people where the output is a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What of the environment matters to the form: `NO_COLOR` turns colours off, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourWish {
    /// A terminal may be painted on.
    Allowed,
    /// No colours.
    Refused,
}

/// The running logs.
#[derive(Debug)]
pub struct Telemetry {
    /// The way to standard output, for access and audit lines.
    pub sink: LogSink,
    level: Arc<AtomicU8>,
    writers: [LogWriter; 2],
}

/// The logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The system gave no thread.
    #[error("the system gave no thread for the log: {0}")]
    Thread(#[from] io::Error),
    /// Somebody was here before.
    #[error("the log is set up already")]
    Twice,
}

impl Telemetry {
    /// Sets up the logs of this process: diagnostics of `level` importance or more, lines in
    /// `format`. A panic is logged by its place in the source alone: its message may hold anything.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn start(
        format: Format,
        level: Level,
        colours: ColourWish,
    ) -> Result<Self, TelemetryError> {
        let (out, err) = (io::stdout(), io::stderr());
        let out_style = style(format, out.is_terminal(), colours);
        let err_style = style(format, err.is_terminal(), colours);
        let (sink, out_writer) = LogSink::start(out, out_style)?;
        let (diagnostics, err_writer) = LogSink::start(err, err_style)?;
        let level = Arc::new(AtomicU8::new(rank(level)));
        let layer = Diagnostics {
            sink: diagnostics,
            level: Arc::clone(&level),
        };
        tracing::subscriber::set_global_default(registry().with(layer))
            .map_err(|_| TelemetryError::Twice)?;
        panic::set_hook(Box::new(log_panic));
        Ok(Self {
            sink,
            level,
            writers: [out_writer, err_writer],
        })
    }

    /// Changes the level of the diagnostics from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(rank(level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes out what is queued, for `patience` at most per output.
    pub fn finish(self, patience: Duration) {
        for writer in self.writers {
            writer.finish(patience);
        }
    }
}

/// Tells of a panic by its place in the source.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()));
    let place = place.as_deref().unwrap_or("unknown");
    tracing::error!(event = "panic", place, "a task panicked");
}

/// The form of lines to an output.
fn style(format: Format, is_terminal: bool, colours: ColourWish) -> Style {
    let colour = match (is_terminal, colours) {
        (true, ColourWish::Allowed) => Colour::Ansi,
        (true, ColourWish::Refused) | (false, _) => Colour::Plain,
    };
    match (format, is_terminal) {
        (Format::Json, _) | (Format::Auto, false) => Style::Json,
        (Format::Human, _) | (Format::Auto, true) => Style::Human(colour),
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::Error => 0,
        Level::Warn => 1,
        Level::Info => 2,
        Level::Debug => 3,
        Level::Trace => 4,
    }
}

/// Turns tracing's events into lines.
struct Diagnostics {
    sink: LogSink,
    level: Arc<AtomicU8>,
}

/// The fields of an event that are kept.
const MOST_FIELDS: usize = 24;
/// The most bytes of a field's value.
const LONGEST_VALUE: usize = 1024;

impl Diagnostics {
    /// Other packages' debug lines quote heads, tokens and keys, so whatever the level is, only
    /// what they warn of is written.
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target() == "sidegate" || metadata.target().starts_with("sidegate::");
        let level = self.level.load(Ordering::Relaxed);
        let least = if ours { level } else { level.min(1) };
        rank(level_of(metadata)) <= least
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

impl<S: Subscriber> Layer<S> for Diagnostics {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level.load(Ordering::Relaxed) {
            0 => LevelFilter::ERROR,
            1 => LevelFilter::WARN,
            2 => LevelFilter::INFO,
            3 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut buffer = String::with_capacity(256);
        let mut line = Line::begin(
            &mut buffer,
            self.sink.style(),
            Timestamp::now(),
            level_of(metadata),
            fields.event.as_deref().unwrap_or("diagnostic"),
        );
        line.text("message", &fields.message, LONGEST_VALUE);
        for (key, value) in &fields.others {
            line.text(key, value, LONGEST_VALUE);
        }
        line.text("target", metadata.target(), 128);
        line.end();
        self.sink.send(&buffer, Worth::Kept);
    }
}

/// An event's fields as text.
#[derive(Default)]
struct Fields {
    event: Option<String>,
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn keep(&mut self, field: &Field, value: String) {
        // Keys that a line has already, and names that are no keys, would spoil the line.
        let reserved = matches!(field.name(), "ts" | "level" | "target");
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b);
        match field.name() {
            "message" => self.message = value,
            "event" => self.event = Some(value),
            name if reserved || !name.bytes().all(plain) => {}
            name if self.others.iter().any(|(key, _)| *key == name) => {}
            name if self.others.len() < MOST_FIELDS => self.others.push((name, value)),
            _ => {}
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let end = value.floor_char_boundary(LONGEST_VALUE + 4);
        self.keep(field, value.get(..end).unwrap_or("").to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::app::log_sink::tests::written;

    fn told(level: Level, act: impl FnOnce()) -> Vec<Value> {
        let text = written(Style::Json, |sink| {
            let layer = Diagnostics {
                sink: sink.clone(),
                level: Arc::new(AtomicU8::new(rank(level))),
            };
            tracing::subscriber::with_default(registry().with(layer), act);
        });
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_diagnostic_is_a_line_with_its_fields() {
        let lines = told(Level::Info, || {
            tracing::warn!(provider = "corp", tries = 3, "no answer from \"corp\"\n");
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(line["event"], "diagnostic");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "no answer from \"corp\"\n");
        assert_eq!(
            (&line["provider"], &line["tries"]),
            (&"corp".into(), &"3".into())
        );
        assert_eq!(line["target"], "sidegate::app::telemetry::tests");
    }

    #[test]
    fn a_field_cannot_take_the_place_of_a_key_of_the_line() {
        let lines = told(Level::Info, || {
            tracing::info!(level = "fatal", ts = "never", Odd = 1, fine = 2, "x");
        });
        assert_eq!(lines[0]["level"], "info");
        assert_ne!(lines[0]["ts"], "never");
        assert_eq!(lines[0].get("Odd"), None);
        assert_eq!(lines[0]["fine"], "2");
    }

    // T1: other packages' debug lines quote heads and tokens; no level lets them through.
    #[test]
    fn other_packages_are_heard_only_when_they_warn() {
        let lines = told(Level::Trace, || {
            tracing::trace!("ours");
            tracing::info!(target: "hyper::proto", "Authorization: canary");
            tracing::debug!(target: "sidegatekeeper", "canary");
            tracing::warn!(target: "rustls", "certificate expired");
        });
        let messages: Vec<&str> = lines
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        assert_eq!(messages, ["ours", "certificate expired"]);
    }

    #[test]
    fn what_is_less_important_than_the_level_is_left_out() {
        for (level, wanted) in [(Level::Error, 1), (Level::Info, 3), (Level::Trace, 5)] {
            let lines = told(level, || {
                tracing::error!("1");
                tracing::warn!("2");
                tracing::info!("3");
                tracing::debug!("4");
                tracing::trace!("5");
            });
            assert_eq!(lines.len(), wanted, "{level:?}");
        }
    }

    // T1: what a panic says may be anything; where it happened is enough.
    #[test]
    fn a_panic_is_told_by_its_place_alone() {
        let lines = told(Level::Info, || {
            let before = panic::take_hook();
            panic::set_hook(Box::new(log_panic));
            let caught = panic::catch_unwind(|| panic!("canary {}", 1 + 1));
            panic::set_hook(before);
            assert!(caught.is_err());
        });
        let line = lines
            .iter()
            .find(|line| line["event"] == "panic")
            .expect("a line about the panic");
        let place = line["place"].as_str().unwrap();
        assert!(place.contains("telemetry.rs:"), "{place}");
        assert!(!line.to_string().contains("canary"));
    }

    #[test]
    fn people_get_words_on_a_terminal_and_programs_json() {
        let rows = [
            (Format::Auto, false, Style::Json),
            (Format::Auto, true, Style::Human(Colour::Ansi)),
            (Format::Json, true, Style::Json),
            (Format::Human, false, Style::Human(Colour::Plain)),
            (Format::Human, true, Style::Human(Colour::Ansi)),
        ];
        for (format, terminal, wanted) in rows {
            assert_eq!(style(format, terminal, ColourWish::Allowed), wanted);
        }
        assert_eq!(
            style(Format::Auto, true, ColourWish::Refused),
            Style::Human(Colour::Plain)
        );
    }
}
