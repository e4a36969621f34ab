//! Writes settings as YAML.

use std::fmt;

/// A setting, as it would be written.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// A word that needs no quotes, a number, or a switch.
    Word(String),
    /// A text, quoted where it might be read as something else.
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Shown {
    pub(super) fn word(word: impl fmt::Display) -> Self {
        Self::Word(word.to_string())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn texts<T: AsRef<str>>(texts: &[T]) -> Self {
        Self::List(texts.iter().map(|text| Self::text(text.as_ref())).collect())
    }

    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    /// The same mapping with another entry, where there is a value.
    #[must_use]
    pub(super) fn with(self, key: &str, value: Option<Self>) -> Self {
        match (self, value) {
            (Self::Map(mut entries), Some(value)) => {
                entries.push((key.to_owned(), value));
                Self::Map(entries)
            }
            (shown, _) => shown,
        }
    }

    /// Writes what stands after a key or a dash at `indent`.
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize, after: After) -> fmt::Result {
        let space = match after {
            After::Nothing => "",
            After::Key | After::Dash => " ",
        };
        match self {
            Self::Word(word) => writeln!(f, "{space}{word}"),
            Self::Text(text) => writeln!(f, "{space}{}", quoted(text)),
            Self::List(items) if items.is_empty() => writeln!(f, "{space}[]"),
            Self::Map(entries) if entries.is_empty() => writeln!(f, "{space}{{}}"),
            Self::List(items) => {
                if after != After::Nothing {
                    writeln!(f)?;
                }
                for item in items {
                    write!(f, "{:indent$}-", "")?;
                    item.write(f, indent + 2, After::Dash)?;
                }
                Ok(())
            }
            Self::Map(entries) => {
                if after == After::Key {
                    writeln!(f)?;
                }
                for (at, (key, value)) in entries.iter().enumerate() {
                    match (at, after) {
                        (0, After::Dash) => write!(f, " {}:", quoted(key))?,
                        _ => write!(f, "{:indent$}{}:", "", quoted(key))?,
                    }
                    value.write(f, indent + 2, After::Key)?;
                }
                Ok(())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Key,
    Dash,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0, After::Nothing)
    }
}

/// The text as it is, where every YAML reader takes it for itself; else in quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+".contains(c);
    let sound = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(':')
        && text.chars().all(plain);
    // What an older reader would take for a switch or for nothing.
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if sound && !words.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => {
                quoted.extend(format!("\\u{:04x}", u32::from(letter)).chars());
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_block_yaml() {
        let shown = Shown::map([
            ("a", Shown::word(1)),
            (
                "b",
                Shown::List(vec![
                    Shown::map([("c", Shown::text("x y")), ("d", Shown::texts(&["e", "@f"]))]),
                    Shown::text("yes"),
                ]),
            ),
            ("g", Shown::texts::<&str>(&[])),
            ("h", Shown::map([("X-Y", Shown::text("{sub}"))])),
        ]);
        let wanted = "a: 1\nb:\n  - c: \"x y\"\n    d:\n      - e\n      - \"@f\"\n  - \"yes\"\ng: []\nh:\n  X-Y: \"{sub}\"\n";
        assert_eq!(shown.to_string(), wanted);
    }

    #[test]
    fn a_text_that_might_be_read_as_something_else_is_quoted() {
        for (text, wanted) in [
            ("https://a.test/x", "https://a.test/x"),
            ("1", "\"1\""),
            ("null", "\"null\""),
            ("a: b", "\"a: b\""),
            ("", "\"\""),
            ("a\"\\\n", "\"a\\\"\\\\\\u000a\""),
            ("*", "\"*\""),
        ] {
            assert_eq!(quoted(text), wanted);
        }
    }
}
