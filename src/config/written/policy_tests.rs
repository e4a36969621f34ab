//! `policy.test.yaml`: who asks what, and what should become of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::values::{Ordered, Span};
use crate::config::reader::JSON;

/// The whole file.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PolicyTestsWritten {
    /// Who may be named in tests, by names of their own.
    pub people: Option<Ordered<PersonWritten>>,
    /// The tests.
    pub tests: Option<Vec<PolicyTestWritten>>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PersonWritten {
    /// The provider's id. Default: the first.
    pub provider: Option<String>,
    /// What it says of them: the claims of an ID token.
    pub claims: Option<JsonWritten>,
    /// How long ago they signed in, in place of the claim `auth_time`. Default: it is not known.
    pub signed_in_ago: Option<Span>,
}

/// One test.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct PolicyTestWritten {
    /// One of `people`. Default: nobody is signed in.
    pub who: Option<String>,
    /// `METHOD URL`, or a URL or path alone.
    pub asks: Option<String>,
    /// Fields that the client sends. Default: those of a browser that opens a page.
    pub headers: Option<Ordered<String>>,
    /// The address that the connection comes from. Default: `203.0.113.9`.
    pub from: Option<String>,
    /// What should become of it: `admitted`, `sign_in`, `step_up`, or the code of a refusal.
    pub expect: Option<String>,
    /// The route that it should fall under. Default: any.
    pub route: Option<String>,
    /// Fields that the app should get, each with its value, or nothing where it should not be there.
    pub tells: Option<Ordered<Option<String>>>,
}

/// Whatever JSON can say.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonWritten(pub Value);

impl<'de> Deserialize<'de> for JsonWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut all = Vec::new();
                while let Some(JsonWritten(one)) = list.next_element()? {
                    all.push(one);
                }
                Ok(all.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut all = Map::new();
                while let Some((key, JsonWritten(one))) = map.next_entry()? {
                    all.insert(key, one);
                }
                Ok(all.into())
            }
        }
        deserializer
            .deserialize_newtype_struct(JSON, Anything)
            .map(Self)
    }
}
