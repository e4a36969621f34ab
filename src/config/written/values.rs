//! The kinds of values that keys take.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::config::reader::LATER;

/// A key whose feature a later version brings. It may be written only to say that it is off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Later;

/// A span of time as it is written: `30s`, `8h`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number of bytes as it is written: `64KiB`, `1MiB`, `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

/// A mapping in the order it was written.
#[derive(Debug, Clone)]
pub struct Ordered<T>(pub Vec<(String, T)>);

// ------------------------------------------------------------------------------------------ Later

impl<'de> Deserialize<'de> for Later {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Off;
        impl Visitor<'_> for Off {
            type Value = Later;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nothing yet")
            }

            fn visit_unit<E: Error>(self) -> Result<Later, E> {
                Ok(Later)
            }
        }
        deserializer.deserialize_newtype_struct(LATER, Off)
    }
}

impl JsonSchema for Later {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Later".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Not yet: a later version brings it. It may be written only to say that it is off.",
            "enum": [null, false, [], {}],
        })
    }
}

// ------------------------------------------------------------------------------------------- Span

/// The longest span that is taken: ten years. What is longer is a slip of the keyboard.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = humantime::parse_duration(&text).ok();
        span.filter(|span| *span <= LONGEST)
            .map(Self)
            .ok_or_else(|| {
                let expected =
                    "a span of time with its unit, such as `30s` or `8h`, of ten years at most";
                Error::invalid_value(Unexpected::Str(&text), &expected)
            })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A span of time with its unit: `30s`, `8h`.",
            "pattern": "^[0-9]+ *[a-z]+( *[0-9]+ *[a-z]+)*$",
        })
    }
}

// ------------------------------------------------------------------------------------------- Size

const UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
        let number = number.trim_end_matches(' ');
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self(number.parse::<usize>().ok()?.checked_mul(*unit)?))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let expected = "a size with its unit, such as `64KiB` or `512B`";
            Error::invalid_value(Unexpected::Str(&text), &expected)
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number of bytes with its unit: `64KiB`.",
            "pattern": "^[0-9]+ *(B|kB|MB|GB|KiB|MiB|GiB)$",
        })
    }
}

// ---------------------------------------------------------------------------------------- Ordered

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

// -------------------------------------------------------------------------------- short and long

/// A value that is written as one word or as something longer. The long form's own errors keep their
/// places, which a guess among the two would lose.
pub(crate) trait ShortOrLong<'de>: Sized {
    /// What may stand here, for the error.
    const EXPECTED: &'static str;

    /// The word.
    fn short<E: Error>(text: &str) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Str(text), &Self::EXPECTED))
    }

    /// The mapping.
    fn mapping<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        drop(deserializer);
        Err(Error::invalid_type(Unexpected::Map, &Self::EXPECTED))
    }

    /// The list.
    fn list<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        drop(deserializer);
        Err(Error::invalid_type(Unexpected::Seq, &Self::EXPECTED))
    }
}

/// Reads either form.
pub(crate) fn short_or_long<'de, T: ShortOrLong<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Either<T>(PhantomData<T>);
    impl<'de, T: ShortOrLong<'de>> Visitor<'de> for Either<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::short(text)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::mapping(MapAccessDeserializer::new(map))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
            T::list(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(Either(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_fits() {
        for (text, wanted) in [
            ("64KiB", Some(65536)),
            ("1 MiB", Some(1 << 20)),
            ("2kB", Some(2000)),
            ("512B", Some(512)),
            ("64", None),
            ("KiB", None),
            ("-1KiB", None),
            ("1.5KiB", None),
            ("64kib", None),
            ("99999999999999999999GiB", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(Size::parse(text).map(|size| size.0), wanted, "{text}");
        }
    }
}
