//! Strict, bounded JSON for everything that others wrote (RFC 8259, RFC 8725 section 2.4).
//!
//! One text has one reading or none: UTF-8 without a byte order mark, no member named twice at any
//! depth, nothing behind the value, no more than [`MAX_DEPTH`] levels. Parsers that differ in what
//! they do with a second `sub` are how two programs come to believe two different things.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep arrays and objects may nest; the outermost one counts.
pub const MAX_DEPTH: usize = 32;

/// The most bytes of a discovery document, a token answer or a `UserInfo` answer.
pub const DOCUMENT_LIMIT: usize = 256 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a text is not JSON that we read. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than are read from this source.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The most bytes that are read.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// It starts with a byte order mark.
    #[error("starts with a byte order mark")]
    ByteOrderMark,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An object names a member twice.
    #[error("an object names a member twice")]
    DuplicateMember,
    /// Not JSON, or something follows the value.
    #[error("not JSON")]
    Malformed,
    /// JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
}

/// Parses one object of at most `limit` bytes.
///
/// # Errors
/// [`JsonError`]; see the module's words.
pub fn parse_object(bytes: &[u8], limit: usize) -> Result<Map<String, Value>, JsonError> {
    match parse(bytes, limit)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Parses one value of at most `limit` bytes.
///
/// # Errors
/// [`JsonError`], but never [`JsonError::NotAnObject`].
pub fn parse(bytes: &[u8], limit: usize) -> Result<Value, JsonError> {
    if bytes.len() > limit {
        return Err(JsonError::TooLarge { limit });
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(JsonError::ByteOrderMark);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let fault = Cell::new(JsonError::Malformed);
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = Strict {
        levels_left: MAX_DEPTH,
        fault: &fault,
    }
    .deserialize(&mut parser)
    .map_err(|_| fault.get())?;
    parser.end().map_err(|_| JsonError::Malformed)?;
    Ok(value)
}

/// Reads one value. What went wrong is told by `fault`, since the parser's own error is only text.
#[derive(Clone, Copy)]
struct Strict<'a> {
    levels_left: usize,
    fault: &'a Cell<JsonError>,
}

impl Strict<'_> {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self {
                levels_left,
                ..self
            }),
            None => Err(self.refuse(JsonError::TooDeep)),
        }
    }

    fn refuse<E: serde::de::Error>(self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.refuse(JsonError::DuplicateMember));
            }
            let value = members.next_value_seed(below)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut text = vec![b'['; levels];
        text.extend(vec![b']'; levels]);
        text
    }

    // B5, C12: everything that has two readings is refused, and so is what is not JSON at all.
    #[test]
    fn a_text_with_two_readings_is_refused() {
        for (text, fault) in [
            (&b"{\"a\":1,\"a\":1}"[..], JsonError::DuplicateMember),
            (b"{\"a\":1,\"\\u0061\":2}", JsonError::DuplicateMember),
            (b"{\"x\":[{\"a\":1,\"a\":2}]}", JsonError::DuplicateMember),
            (b"\xef\xbb\xbf{}", JsonError::ByteOrderMark),
            (b"{\"a\":\"\xff\"}", JsonError::NotUtf8),
            (b"\xff\xfe{\0}\0", JsonError::NotUtf8),
            (b"{}{}", JsonError::Malformed),
            (b"{} x", JsonError::Malformed),
            (b"{\"a\":NaN}", JsonError::Malformed),
            (b"{\"a\":Infinity}", JsonError::Malformed),
            (b"{\"a\":1e400}", JsonError::Malformed),
            (b"{\"a\":01}", JsonError::Malformed),
            (b"{'a':1}", JsonError::Malformed),
            (b"{\"a\":1,}", JsonError::Malformed),
            (b"{\"a\":\"\n\"}", JsonError::Malformed),
            (b"{\"a\":\"\\ud800\"}", JsonError::Malformed),
            (b"{\"a\":1", JsonError::Malformed),
            (b"", JsonError::Malformed),
            (b"<html>", JsonError::Malformed),
            (b"[]", JsonError::NotAnObject),
            (b"\"{}\"", JsonError::NotAnObject),
            (b"null", JsonError::NotAnObject),
        ] {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(parse_object(text, 1024), Err(fault), "{shown}");
        }
    }

    // B5, C23: nesting is refused at the level that is one too deep, however much follows.
    #[test]
    fn nesting_beyond_the_limit_is_refused_at_once() {
        assert!(parse(&nested(MAX_DEPTH), 1024).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH + 1), 1024), Err(JsonError::TooDeep));
        assert_eq!(parse(&nested(10_000), 100_000), Err(JsonError::TooDeep));
        let objects = "{\"a\":".repeat(200) + "1" + &"}".repeat(200);
        assert_eq!(parse(objects.as_bytes(), 10_000), Err(JsonError::TooDeep));
    }

    // B5: the size is looked at before anything else.
    #[test]
    fn a_text_beyond_the_limit_is_refused() {
        assert!(parse(b"{\"a\":1}", 7).is_ok());
        assert_eq!(
            parse(b"{\"a\":1}", 6),
            Err(JsonError::TooLarge { limit: 6 })
        );
    }

    #[test]
    fn values_arrive_as_they_were_written() {
        let text = br#" {"s":"\u00fc\"","i":-3,"u":18446744073709551615,"f":1.5,"b":true,"n":null,"a":[1,{}]} "#;
        let expected: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(parse(text, 1024), Ok(expected));
    }
}
