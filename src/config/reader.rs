//! Reads typed values out of the tree, with an error that knows which node it means.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::tree::{Entry, Node, Path, Scalar, Step, Style, Value};

/// The name of the type that stands for what a later version brings: see
/// [`super::written::values::Later`].
pub(crate) const LATER: &str = "sidegate::Later";

/// The name of the type that is a text, a whole number or a switch, as it is written: see
/// [`super::written::scalar::ScalarWritten`].
pub(crate) const SCALAR: &str = "sidegate::Scalar";

/// The name of the type that is whatever JSON can say.
pub(crate) const JSON: &str = "sidegate::Json";

/// The name of the type that is one of these or a list of them.
pub(crate) const SCALARS: &str = "sidegate::Scalars";

/// Why a node is not what its key asks for. Never holds the node's value.
#[derive(Debug)]
pub(crate) struct ShapeError {
    steps: Vec<Step>,
    pub(crate) problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// The key is not known here; these are.
    UnknownKey { known: &'static [&'static str] },
    /// The word is none of these.
    UnknownWord { known: &'static [&'static str] },
    /// Something of another kind is expected.
    Kind {
        found: &'static str,
        expected: String,
    },
    /// This is wrong with it, and something else is expected.
    Said { what: String, expected: String },
    /// A key without which the rest means nothing.
    MissingKey(&'static str),
    /// A feature that this version does not have.
    NotYet,
    /// What the value's own type says.
    Other(String),
}

impl ShapeError {
    /// The way to the node, or to the key where the key is the problem.
    pub(crate) fn path(&self) -> Path {
        Path::from_steps(self.steps.iter().rev().cloned().collect())
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl From<Problem> for ShapeError {
    fn from(problem: Problem) -> Self {
        Self {
            steps: Vec::new(),
            problem,
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path(), self.problem)
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Problem::Other(text.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = in_our_words(expected);
        let found = match found {
            // Only our own types say more than the kind.
            Unexpected::Other(what) => {
                let what = what.to_owned();
                return Problem::Said { what, expected }.into();
            }
            Unexpected::Bool(_) => "a switch",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "a text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "something else",
        };
        Problem::Kind { found, expected }.into()
    }

    fn missing_field(key: &'static str) -> Self {
        Problem::MissingKey(key).into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Problem::UnknownKey { known }.into()
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Problem::UnknownWord { known }.into()
    }
}

/// What is expected, in the words of people who write configurations.
fn in_our_words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a string" | "path string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "u64" => "a whole number".to_owned(),
        _ => expected,
    }
}

/// Reads a `T` from `node`.
pub(crate) fn read<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, ShapeError> {
    T::deserialize(Reader(node))
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> Reader<'de> {
    fn kind(self) -> &'static str {
        match &self.0.value {
            _ if self.0.is_null() => "nothing",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    fn wants<V: Visitor<'de>>(self, visitor: &V) -> ShapeError {
        let expected = in_our_words(visitor);
        Problem::Kind {
            found: self.kind(),
            expected,
        }
        .into()
    }

    /// A scalar as what it looks like.
    fn typed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let scalar = self.scalar(&visitor)?;
        let text = scalar.text.as_str();
        if scalar.style != Style::Plain {
            return visitor.visit_borrowed_str(text);
        }
        match (text, text.parse::<i64>()) {
            ("true", _) => visitor.visit_bool(true),
            ("false", _) => visitor.visit_bool(false),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ if text.parse::<f64>().is_ok() => Err(Problem::Said {
                what: "this is a number with a fraction, or too large".to_owned(),
                expected: "a whole number, or a text in quotes".to_owned(),
            }
            .into()),
            _ => visitor.visit_borrowed_str(text),
        }
    }

    fn scalar<V: Visitor<'de>>(self, visitor: &V) -> Result<&'de Scalar, ShapeError> {
        match &self.0.value {
            Value::Scalar(scalar) if !self.0.is_null() => Ok(scalar),
            _ => Err(self.wants(visitor)),
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = ShapeError;

    /// Every scalar is a text here: a type that asks for a number or a switch says so.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.0.value {
            Value::Scalar(_) if self.0.is_null() => visitor.visit_unit(),
            Value::Scalar(scalar) => visitor.visit_borrowed_str(&scalar.text),
            Value::List(items) => visitor.visit_seq(Items { items, at: 0 }),
            Value::Map(entries) => visitor.visit_map(Entries { entries, at: 0 }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let scalar = self.scalar(&visitor)?;
        match scalar.text.as_str() {
            "true" if scalar.style != Style::Quoted => visitor.visit_bool(true),
            "false" if scalar.style != Style::Quoted => visitor.visit_bool(false),
            _ => Err(Problem::Kind {
                found: "a text",
                expected: "`true` or `false`".to_owned(),
            }
            .into()),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let scalar = self.scalar(&visitor)?;
        match scalar.text.parse() {
            Ok(number) if scalar.style != Style::Quoted => visitor.visit_u64(number),
            _ => Err(Problem::Kind {
                found: "a text",
                expected: "a whole number".to_owned(),
            }
            .into()),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let scalar = self.scalar(&visitor)?;
        visitor.visit_borrowed_str(&scalar.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match (name, &self.0.value) {
            (LATER, _) if self.0.is_off() => visitor.visit_unit(),
            (LATER, _) => Err(Problem::NotYet.into()),
            (SCALAR, _) => self.typed(visitor),
            (JSON, _) if self.0.is_null() => visitor.visit_unit(),
            (JSON, Value::Scalar(_)) => self.typed(visitor),
            (JSON, Value::Map(entries)) => visitor.visit_map(Entries { entries, at: 0 }),
            (JSON | SCALARS, Value::List(items)) => visitor.visit_seq(Items { items, at: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        let scalar = self.scalar(&visitor)?;
        visitor.visit_enum(de::value::BorrowedStrDeserializer::new(&scalar.text))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct Items<'de> {
    items: &'de [Node],
    at: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = ShapeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ShapeError> {
        let Some(node) = self.items.get(self.at) else {
            return Ok(None);
        };
        let at = self.at;
        self.at += 1;
        seed.deserialize(Reader(node))
            .map(Some)
            .map_err(|error| error.within(Step::Index(at)))
    }
}

struct Entries<'de> {
    entries: &'de [Entry],
    at: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ShapeError> {
        let Some(entry) = self.entries.get(self.at) else {
            return Ok(None);
        };
        seed.deserialize(de::value::BorrowedStrDeserializer::new(&entry.key))
            .map(Some)
            .map_err(|error: ShapeError| error.within(Step::Key(entry.key.clone())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ShapeError> {
        let Some(entry) = self.entries.get(self.at) else {
            return Err(de::Error::custom("a value without its key"));
        };
        self.at += 1;
        seed.deserialize(Reader(&entry.node))
            .map_err(|error| error.within(Step::Key(entry.key.clone())))
    }
}
