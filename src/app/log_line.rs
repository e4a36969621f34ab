//! One log line: its keys and values in a reused buffer, as JSON or for people.
//!
//! Whatever a value holds, a line is one line and one JSON object: control characters, marks of
//! direction and separators are escaped, and long values are cut.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::iso_time::Timestamp;
use super::shown::is_invisible;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody who can mend it must look.
    Error,
    /// Worth a look.
    Warn,
    /// What happens every day.
    Info,
    /// For those who search a fault.
    Debug,
    /// All there is.
    Trace,
}

impl Level {
    /// The level's name in lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line (RFC 8259).
    Json,
    /// For people: `time level event key=value ...`.
    Human(Colour),
}

/// Whether a terminal shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// It does.
    Ansi,
    /// It does not, or nobody wants them (`NO_COLOR`).
    Plain,
}

/// A line under construction. Its keys are ours: lower-case letters, digits, `_` and `.`.
#[derive(Debug)]
pub struct Line<'b> {
    buffer: &'b mut String,
    style: Style,
}

impl<'b> Line<'b> {
    /// Begins a line in `buffer`, which is emptied first; its memory is used again.
    #[must_use]
    pub fn begin(
        buffer: &'b mut String,
        style: Style,
        at: Timestamp,
        level: Level,
        event: &str,
    ) -> Self {
        buffer.clear();
        let mut line = Self { buffer, style };
        match style {
            Style::Json => {
                line.push_display(format_args!(
                    "{{\"ts\":\"{at}\",\"level\":\"{}\"",
                    level.as_str()
                ));
                line.text("event", event, 64);
            }
            Style::Human(colour) => {
                let (on, off) = paint(level, colour);
                line.push_display(format_args!("{at} {on}{:5}{off} ", level.as_str()));
                line.push_escaped(event, 64);
            }
        }
        line
    }

    /// A text of which at most `limit` bytes are written; the rest becomes `…`.
    pub fn text(&mut self, key: &str, value: &str, limit: usize) {
        self.key(key);
        let bare = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'=';
        let quoted = match self.style {
            Style::Json => true,
            Style::Human(_) => value.is_empty() || !value.bytes().all(bare),
        };
        self.quote(quoted);
        self.push_escaped(value, limit);
        self.quote(quoted);
    }

    /// The same for bytes that need not be UTF-8; what is not becomes U+FFFD.
    pub fn bytes(&mut self, key: &str, value: &[u8], limit: usize) {
        // Only what may be written is decoded, and four bytes more, so that the cut shows.
        let read = limit.saturating_add(4).min(value.len());
        let text = String::from_utf8_lossy(value.get(..read).unwrap_or_default());
        self.text(key, &text, limit);
    }

    /// A value by its `Display`.
    pub fn display(&mut self, key: &str, value: impl fmt::Display, limit: usize) {
        let mut capped = Capped {
            text: String::new(),
            limit: limit.saturating_add(4),
        };
        // An error of `Capped` says that there was more than fits.
        let _more = write!(capped, "{value}");
        self.text(key, &capped.text, limit);
    }

    /// A whole number.
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.push_number(value);
    }

    /// The four numbers of an IPv4 address.
    pub(super) fn octets(&mut self, key: &str, octets: [u8; 4]) {
        self.key(key);
        self.quote(self.style == Style::Json);
        for (at, octet) in octets.into_iter().enumerate() {
            if at > 0 {
                self.buffer.push('.');
            }
            self.push_number(octet.into());
        }
        self.quote(self.style == Style::Json);
    }

    /// A span in milliseconds, with three decimals.
    pub fn millis(&mut self, key: &str, span: Duration) {
        self.key(key);
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.push_number(micros / 1000);
        self.buffer.push('.');
        let fraction = micros % 1000;
        if fraction < 100 {
            self.buffer.push('0');
        }
        if fraction < 10 {
            self.buffer.push('0');
        }
        self.push_number(fraction);
    }

    /// Ends the line.
    pub fn end(self) {
        self.buffer.push_str(match self.style {
            Style::Json => "}\n",
            Style::Human(_) => "\n",
        });
    }

    fn key(&mut self, key: &str) {
        match self.style {
            Style::Json => {
                self.buffer.push_str(",\"");
                self.buffer.push_str(key);
                self.buffer.push_str("\":");
            }
            Style::Human(_) => {
                self.buffer.push(' ');
                self.buffer.push_str(key);
                self.buffer.push('=');
            }
        }
    }

    fn quote(&mut self, quoted: bool) {
        if quoted {
            self.buffer.push('"');
        }
    }

    fn push_number(&mut self, number: u64) {
        let (mut digits, mut at, mut rest) = ([0; 20], 20, number);
        // The last digit first; 20 are enough for 64 bits.
        while let Some(slot) = digits.get_mut(..at).and_then(<[u8]>::last_mut) {
            *slot = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            (at, rest) = (at - 1, rest / 10);
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(at..).unwrap_or_default();
        self.buffer
            .push_str(std::str::from_utf8(digits).unwrap_or_default());
    }

    fn push_display(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _infallible = self.buffer.write_fmt(arguments);
    }

    /// `value` as the inside of a JSON string (RFC 8259 section 7), for people too: there it is
    /// quoted as well wherever it is more than one plain word.
    fn push_escaped(&mut self, value: &str, limit: usize) {
        let shown = value
            .get(..value.floor_char_boundary(limit))
            .unwrap_or_default();
        let plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
        // All are looked at, many at a time, rather than one after the other up to the first.
        if shown.bytes().fold(true, |all, byte| all & plain(byte)) {
            self.buffer.push_str(shown);
        } else {
            for c in shown.chars() {
                self.push_char(c);
            }
        }
        if shown.len() < value.len() {
            self.buffer.push('…');
        }
    }

    fn push_char(&mut self, c: char) {
        match c {
            '"' => self.buffer.push_str("\\\""),
            '\\' => self.buffer.push_str("\\\\"),
            '\n' => self.buffer.push_str("\\n"),
            '\r' => self.buffer.push_str("\\r"),
            '\t' => self.buffer.push_str("\\t"),
            c if is_invisible(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.push_display(format_args!("\\u{unit:04x}"));
                }
            }
            c => self.buffer.push(c),
        }
    }
}

/// Takes text until it is full.
struct Capped {
    text: String,
    limit: usize,
}

impl fmt::Write for Capped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.limit.saturating_sub(self.text.len());
        let fits = text.get(..text.floor_char_boundary(room)).unwrap_or("");
        self.text.push_str(fits);
        if fits.len() == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

fn paint(level: Level, colour: Colour) -> (&'static str, &'static str) {
    match (colour, level) {
        (Colour::Plain, _) | (Colour::Ansi, Level::Info) => ("", ""),
        (Colour::Ansi, Level::Error) => ("\x1b[31m", "\x1b[0m"),
        (Colour::Ansi, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
        (Colour::Ansi, Level::Debug | Level::Trace) => ("\x1b[2m", "\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(style: Style, write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut buffer = String::from("left over");
        let at = Timestamp::from_millis(1_000_000_000_007);
        let mut line = Line::begin(&mut buffer, style, at, Level::Warn, "access");
        write(&mut line);
        line.end();
        buffer
    }

    fn everything(line: &mut Line<'_>) {
        line.text("path", "/a \"b\"", 100);
        line.number("status", 200);
        line.number("least", 0);
        line.number("most", u64::MAX);
        line.octets("address", [192, 0, 2, 10]);
        line.millis("duration_ms", Duration::from_micros(1_234_056));
        line.display("detail", format_args!("{}-{}", 1, 2), 100);
        line.bytes("user_agent", b"x\xff", 100);
    }

    #[test]
    fn a_json_line_is_one_object_with_its_keys_in_order() {
        assert_eq!(
            line(Style::Json, everything),
            "{\"ts\":\"2001-09-09T01:46:40.007Z\",\"level\":\"warn\",\"event\":\"access\",\
             \"path\":\"/a \\\"b\\\"\",\"status\":200,\"least\":0,\"most\":18446744073709551615,\"address\":\"192.0.2.10\",\"duration_ms\":1234.056,\"detail\":\"1-2\",\
             \"user_agent\":\"x\u{fffd}\"}\n"
        );
    }

    #[test]
    fn a_line_for_people_quotes_what_is_not_one_plain_word() {
        assert_eq!(
            line(Style::Human(Colour::Plain), everything),
            "2001-09-09T01:46:40.007Z warn  access path=\"/a \\\"b\\\"\" status=200 \
             least=0 most=18446744073709551615 address=192.0.2.10 duration_ms=1234.056 detail=1-2 user_agent=\"x\u{fffd}\"\n"
        );
        let painted = line(Style::Human(Colour::Ansi), |_| {});
        assert_eq!(
            painted,
            "2001-09-09T01:46:40.007Z \x1b[33mwarn \x1b[0m access\n"
        );
    }

    // T2: what would end a line, move the cursor or turn the reading direction is escaped.
    #[test]
    fn control_and_bidirectional_characters_are_escaped() {
        for style in [Style::Json, Style::Human(Colour::Plain)] {
            let hostile = "\r\n\t\0\x1b[2J\u{7f}\u{9b}\u{2028}\u{202e}\u{e0001}";
            let told = line(style, |line| line.text("x", hostile, 100));
            assert!(
                told.ends_with(
                    "\"\\r\\n\\t\\u0000\\u001b[2J\\u007f\\u009b\\u2028\\u202e\\udb40\\udc01\"\n"
                ) || told.ends_with(
                    "\"\\r\\n\\t\\u0000\\u001b[2J\\u007f\\u009b\\u2028\\u202e\\udb40\\udc01\"}\n"
                ),
                "{told}"
            );
        }
    }

    // T2: a value of a megabyte is cut, between characters.
    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let long = "\u{e4}".repeat(500_000);
        let told = line(Style::Json, |line| {
            line.text("text", &long, 5);
            line.bytes("bytes", long.as_bytes(), 5);
            line.display("display", &long, 5);
        });
        let wanted = "\"text\":\"\u{e4}\u{e4}\u{2026}\",\"bytes\":\"\u{e4}\u{e4}\u{2026}\",\"display\":\"\u{e4}\u{e4}\u{2026}\"}\n";
        assert!(told.ends_with(wanted), "{told}");
    }
}
