//! The languages that our pages speak, and which of them somebody reads (RFC 9110 section 12.5.4).
//!
//! Problem documents, plain text and logs are English: programs, terminals and operators read them.

mod english;
mod french;
mod german;
mod japanese;
mod spanish;
pub mod words;

use http::HeaderValue;

use self::words::Words;
use super::respond::form::thousandths;

/// A language of our pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// The one for everybody whose languages we do not speak.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Japanese.
    Japanese,
}

/// The most ranges that are looked at: browsers name a handful.
const MOST_RANGES: usize = 32;

/// One range of an `Accept-Language` field: `de-AT;q=0.8`.
#[derive(Debug, Clone, Copy)]
struct Range<'a> {
    tag: &'a str,
    weight: u16,
}

impl Language {
    /// All of them; where all are equally welcome, the first.
    pub const ALL: [Self; 5] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Japanese,
    ];

    /// The language that is most welcome by these lines of `Accept-Language`; English, where none of
    /// ours is.
    ///
    /// A range means our language where it is the language itself or one of its regions
    /// (RFC 4647 section 3.4); what is named exactly counts before a region, and both before `*`.
    #[must_use]
    pub fn of<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> Self {
        let ranges: Vec<Range<'_>> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .take(MOST_RANGES)
            .filter_map(Range::parse)
            .collect();
        let mut best: Option<((u16, std::cmp::Reverse<usize>), Self)> = None;
        for language in Self::ALL {
            let Some((weight, place)) = language.welcome(&ranges) else {
                continue;
            };
            let rank = (weight, std::cmp::Reverse(place));
            if best.is_none_or(|(before, _)| rank > before) {
                best = Some((rank, language));
            }
        }
        best.map_or(Self::English, |(_, language)| language)
    }

    /// How welcome it is, and at which place it is named first.
    fn welcome(self, ranges: &[Range<'_>]) -> Option<(u16, usize)> {
        let own = |range: &Range<'_>| range.tag.eq_ignore_ascii_case(self.tag());
        let region = |range: &Range<'_>| {
            let primary = range.tag.split('-').next().unwrap_or("");
            primary.eq_ignore_ascii_case(self.tag())
        };
        let first = |means: &dyn Fn(&Range<'_>) -> bool| {
            let found = ranges.iter().enumerate().filter(|(_, range)| means(range));
            found.max_by_key(|(place, range)| (range.weight, std::cmp::Reverse(*place)))
        };
        let (place, range) = first(&own)
            .or_else(|| first(&region))
            .or_else(|| first(&|range| range.tag == "*"))?;
        (range.weight > 0).then_some((range.weight, place))
    }

    /// Its place in [`Language::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::English => 0,
            Self::German => 1,
            Self::French => 2,
            Self::Spanish => 3,
            Self::Japanese => 4,
        }
    }

    /// Its language tag (RFC 5646), for `lang` and `Content-Language`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Japanese => "ja",
        }
    }

    /// All of its texts.
    #[must_use]
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &english::WORDS,
            Self::German => &german::WORDS,
            Self::French => &french::WORDS,
            Self::Spanish => &spanish::WORDS,
            Self::Japanese => &japanese::WORDS,
        }
    }
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let tag = parts.next().filter(|tag| !tag.is_empty())?;
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1000, thousandths);
        Some(Self { tag, weight })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn of(lines: &[&'static str]) -> Language {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| HeaderValue::from_static(line))
            .collect();
        Language::of(lines.iter())
    }

    #[test]
    fn the_most_welcome_language_that_we_speak_is_spoken() {
        for (lines, wanted) in [
            (&[][..], Language::English),
            (&["de"], Language::German),
            (&["DE-at"], Language::German),
            (&["de-CH,de;q=0.9,en;q=0.8"], Language::German),
            (&["en;q=0.3, fr;q=0.7"], Language::French),
            (&["fr;q=0.7, es;q=0.7"], Language::French),
            (&["es;q=0.7, fr;q=0.7"], Language::Spanish),
            (&["pt-BR,pt;q=0.9,es;q=0.4"], Language::Spanish),
            (&["zh-TW", "ja;q=0.1"], Language::Japanese),
            (&["pt"], Language::English),
            (&["*"], Language::English),
            (&["*, ja;q=0.5"], Language::English),
            (&["en;q=0, *"], Language::German),
            (&["de;q=0"], Language::English),
            (&["de-AT;q=0, de"], Language::German),
            (&["de-AT, de;q=0, fr;q=0.1"], Language::French),
            (&["de;q=0.001"], Language::German),
            (&["de;q=x, fr;q=0.2"], Language::French),
            (&["deutsch, d, ,;;;, fr ; q=1"], Language::French),
            (&["de_DE, es"], Language::Spanish),
        ] {
            assert_eq!(of(lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn a_field_without_end_is_read_to_some_end() {
        let long = format!("{}de", "xx,".repeat(20_000));
        let long = HeaderValue::try_from(long).unwrap();
        assert_eq!(Language::of([&long].into_iter()), Language::English);
        let odd = HeaderValue::from_bytes(b"\xff,de").unwrap();
        assert_eq!(Language::of([&odd].into_iter()), Language::English);
    }

    /// Every text with its path, in the order of the fields.
    fn texts(language: Language) -> Vec<(String, String)> {
        let whole = serde_json::to_value(language.words()).unwrap();
        let parts = whole.as_object().unwrap().iter();
        parts
            .flat_map(|(part, texts)| {
                let texts = texts.as_object().unwrap().iter();
                texts.map(move |(name, text)| {
                    let Value::String(text) = text else {
                        panic!("{name}")
                    };
                    (format!("{part}.{name}"), text.clone())
                })
            })
            .collect()
    }

    fn places(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        parts.map(|part| part.split('}').next().unwrap()).collect()
    }

    #[test]
    fn a_language_is_at_its_own_place() {
        for (at, language) in Language::ALL.into_iter().enumerate() {
            assert_eq!(language.index(), at);
        }
    }

    #[test]
    fn every_language_has_the_same_places_in_every_text() {
        let english = texts(Language::English);
        assert!(english.len() > 120, "{}", english.len());
        for language in Language::ALL {
            for ((name, text), (_, own)) in texts(language).iter().zip(&english) {
                assert_eq!(places(text), places(own), "{language:?} {name}: {text}");
                assert_eq!(text.matches('}').count(), places(text).len(), "{text}");
            }
        }
    }

    #[test]
    fn every_text_is_there_is_clean_and_is_translated() {
        // Words that two languages write alike.
        const ALIKE: [&str; 3] = ["Name", "Code", "E-mail"];
        let english = texts(Language::English);
        for language in Language::ALL {
            for ((name, text), (_, own)) in texts(language).iter().zip(&english) {
                assert!(
                    !text.is_empty() && text.trim() == text,
                    "{language:?} {name}"
                );
                assert!(!text.contains(['<', '>', '&', '\'', '"', '\n']), "{text}");
                assert!(!text.contains("  "), "{language:?} {name}: {text}");
                assert!(!text.contains(crate::app::shown::is_invisible), "{text}");
                let title = name.starts_with("titles.") || name.starts_with("steps.");
                assert!(!title || !text.ends_with(['.', '。']), "{text}");
                if name.starts_with("advice.") {
                    assert!(text.ends_with(['.', '。']), "{language:?} {name}: {text}");
                }
                let copied = language != Language::English && text == own;
                assert!(
                    !copied || ALIKE.contains(&text.as_str()),
                    "{language:?} {name}"
                );
            }
        }
    }
}
