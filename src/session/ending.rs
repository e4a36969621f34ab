//! That sessions were ended before their time, as it is kept and told to others.

use serde::{Deserialize, Serialize};

use super::record::GroupKey;
use super::{Session, SessionId, groups, payload};
use crate::base::clock::UnixTime;

/// The format of what is kept.
const FORMAT: u8 = 1;

/// Whose sessions were ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// This session alone.
    #[serde(rename = "i")]
    Session(SessionId),
    /// Those of this group.
    #[serde(rename = "g", with = "as_text")]
    Group(GroupKey),
    /// All there are.
    #[serde(rename = "a")]
    Everybody,
}

/// One ending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whose.
    #[serde(rename = "w")]
    pub whom: Whom,
    /// Sessions that began then or earlier are over; who signs in later is in.
    #[serde(rename = "b")]
    pub begun_until: UnixTime,
    /// When there is no such session any more in any case.
    #[serde(rename = "e")]
    pub until: UnixTime,
}

impl Ending {
    /// The ending of one session, and of those before it at its browser: what they opened may be open
    /// still.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let (whom, begun_until) = match &session.family {
            None => (Whom::Session(session.id.clone()), session.started_at),
            // Whoever signs in after this begins a family of their own.
            Some(first) => {
                let family = groups::of_family(first);
                (Whom::Group(family), session.absolute_expires_at)
            }
        };
        Self {
            whom,
            begun_until,
            until: session.absolute_expires_at,
        }
    }

    /// The bytes that a store keeps and tells.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers always have a written form.
        let written = payload::write(FORMAT, self);
        written.map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    /// The ending that these bytes tell of, where they are of a format that is known here.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        payload::read(FORMAT, bytes).ok()
    }
}

/// A group as the text of its name.
mod as_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::GroupKey;

    pub(super) fn serialize<S: Serializer>(key: &GroupKey, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&key.to_text())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<GroupKey, D::Error> {
        let text = String::deserialize(from)?;
        GroupKey::parse(&text).ok_or_else(|| D::Error::custom("no name of a group"))
    }
}
