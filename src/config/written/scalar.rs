//! Values that are compared with what a provider says: texts, whole numbers, `true` and `false`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::config::reader::{SCALAR, SCALARS};

/// One value. As in YAML, what is quoted is a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScalarWritten {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Bool(bool),
}

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalarsWritten(pub Vec<ScalarWritten>);

impl<'de> Deserialize<'de> for ScalarWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl Visitor<'_> for One {
            type Value = ScalarWritten;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, `true` or `false`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ScalarWritten, E> {
                Ok(ScalarWritten::Text(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<ScalarWritten, E> {
                Ok(ScalarWritten::Number(number))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<ScalarWritten, E> {
                Ok(ScalarWritten::Bool(value))
            }
        }
        deserializer.deserialize_newtype_struct(SCALAR, One)
    }
}

impl<'de> Deserialize<'de> for ScalarsWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Some;
        impl<'de> Visitor<'de> for Some {
            type Value = ScalarsWritten;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, `true`, `false`, or a list of such")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                one: D,
            ) -> Result<ScalarsWritten, D::Error> {
                ScalarWritten::deserialize(one).map(|one| ScalarsWritten(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ScalarsWritten, A::Error> {
                let mut all = Vec::new();
                while let Option::Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(ScalarsWritten(all))
            }
        }
        deserializer.deserialize_newtype_struct(SCALARS, Some)
    }
}

impl JsonSchema for ScalarsWritten {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalars".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, a whole number, `true`, `false`, or a list of such.",
            "anyOf": [
                { "type": ["string", "integer", "boolean"] },
                { "type": "array", "items": { "type": ["string", "integer", "boolean"] } },
            ],
        })
    }
}
