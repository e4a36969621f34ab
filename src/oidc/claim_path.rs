//! Where in the claims a value is found.

use std::fmt;

use serde_json::{Map, Value};

/// The longest path.
const LONGEST_PATH: usize = 512;
/// The most dots in a path.
const MOST_DOTS: usize = 16;

/// A claim's name, or a path into nested claims with dots between the names. Names may have dots of
/// their own: `https://example.com/groups` and `resource_access.my.app.roles` are both found,
/// because at each level the longest name that is there is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

/// The text is no claim path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a claim path is a name, or names with dots between them; at most 512 bytes and 16 dots")]
pub struct ClaimPathError;

impl ClaimPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`ClaimPathError`]: empty, too long, or with control characters.
    pub fn parse(text: &str) -> Result<Self, ClaimPathError> {
        let dots = text.bytes().filter(|&b| b == b'.').count();
        let sound = !text.is_empty()
            && text.len() <= LONGEST_PATH
            && dots <= MOST_DOTS
            && !text.contains(char::is_control);
        sound.then(|| Self(text.to_owned())).ok_or(ClaimPathError)
    }

    /// The path of a standard claim.
    pub(super) fn standard(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value at this path. `null` is as if it were not there.
    #[must_use]
    pub fn find<'a>(&self, members: &'a Map<String, Value>) -> Option<&'a Value> {
        find(members, &self.0).filter(|value| !value.is_null())
    }

    /// Whether `name` is this path's name on the outermost level, under one of its readings.
    pub(super) fn starts_with(&self, name: &str) -> bool {
        match self.0.strip_prefix(name) {
            Some(rest) => rest.is_empty() || rest.starts_with('.'),
            None => false,
        }
    }
}

fn find<'a>(members: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = members.get(path) {
        return Some(value);
    }
    // From the longest name to the shortest.
    path.rmatch_indices('.').find_map(|(at, _)| {
        let (name, rest) = path.split_at_checked(at)?;
        match members.get(name)? {
            Value::Object(below) => find(below, rest.strip_prefix('.')?),
            _ => None,
        }
    })
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // C26: groups sit at nested paths, and under names with dots and colons.
    #[test]
    fn a_path_finds_nested_claims_and_names_with_dots() {
        let claims = json!({
            "groups": "plain",
            "https://example.com/groups": "url",
            "cognito:groups": "colon",
            "realm_access": { "roles": "nested" },
            "realm_access.roles.literal": "literal",
            "resource_access": { "my.app": { "roles": "dotted" }, "my": 1 },
            "nothing": null,
        });
        let members = claims.as_object().unwrap();
        for (path, found) in [
            ("groups", Some("plain")),
            ("https://example.com/groups", Some("url")),
            ("cognito:groups", Some("colon")),
            ("realm_access.roles", Some("nested")),
            ("realm_access.roles.literal", Some("literal")),
            ("resource_access.my.app.roles", Some("dotted")),
            ("resource_access.other.roles", None),
            ("groups.roles", None),
            ("nothing", None),
            ("https://example.com/other", None),
        ] {
            let path = ClaimPath::parse(path).unwrap();
            assert_eq!(path.find(members).and_then(Value::as_str), found, "{path}");
        }
    }

    #[test]
    fn a_path_is_bounded() {
        for text in ["", "a\nb", &"x".repeat(513), &"a.".repeat(17)] {
            assert_eq!(ClaimPath::parse(text), Err(ClaimPathError), "{text:?}");
        }
    }
}
