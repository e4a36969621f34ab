//! A session as a store keeps it: bytes that say nothing without the ticket that the browser has,
//! under names from which no session's id can be told (security requirement S1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::clock::UnixTime;

/// The format that is written. Another one is nothing that can be read.
const FORMAT: u8 = 1;
/// The most bytes that one part of a record may have: a session of some thousand groups.
pub const MOST_BYTES: usize = 256 * 1024;
/// Turn, two moments in seconds, and the key of the person's group.
const FIXED: usize = 4 + 8 + KEY_LEN;
const KEY_LEN: usize = 32;

/// The name of a record in its store: a hash, so that whoever reads the store learns no id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey([u8; KEY_LEN]);

/// The name of what several records have in common: a person, or a session at the provider. A hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey([u8; KEY_LEN]);

/// One session in a store.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// How often it was renewed: of two records of one key, the one with more succeeds the other.
    pub turn: u32,
    /// When the store forgets it. Whether the session is over by then is said by what is sealed.
    pub expires_at: UnixTime,
    /// The group of the person.
    pub person: GroupKey,
    /// The group of the session at the provider, where that told one.
    pub provider_session: Option<GroupKey>,
    /// Who it is and since when, for lists: sealed under the gate's keys.
    pub card: Vec<u8>,
    /// The session: sealed under a key that only its ticket holds.
    pub sealed: Vec<u8>,
}

/// The bytes are no record of a format that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record of a format that is known here")]
pub struct RecordError;

macro_rules! hashed_name {
    ($name:ident) => {
        impl $name {
            /// The name with these bytes, which are a hash.
            #[must_use]
            pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
                &self.0
            }

            /// The bytes as 43 characters of base64url.
            #[must_use]
            pub fn to_text(self) -> String {
                URL_SAFE_NO_PAD.encode(self.0)
            }

            /// The name of this text, where it is the text of one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
                Some(Self(bytes.try_into().ok()?))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_text())
            }
        }
    };
}

hashed_name!(RecordKey);
hashed_name!(GroupKey);

impl Record {
    /// The bytes that a store keeps.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let group = self.provider_session.as_ref();
        let card_len = u32::try_from(self.card.len()).unwrap_or(u32::MAX);
        let mut bytes = vec![FORMAT, u8::from(group.is_some())];
        bytes.extend_from_slice(&self.turn.to_be_bytes());
        bytes.extend_from_slice(&self.expires_at.as_seconds().to_be_bytes());
        bytes.extend_from_slice(self.person.as_bytes());
        if let Some(group) = group {
            bytes.extend_from_slice(group.as_bytes());
        }
        bytes.extend_from_slice(&card_len.to_be_bytes());
        bytes.extend_from_slice(&self.card);
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// [`RecordError`] where they are of another format, too short, or more than [`MOST_BYTES`] twice.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > 2 * MOST_BYTES {
            return Err(RecordError);
        }
        let (&[FORMAT, has_group @ (0 | 1)], rest) =
            bytes.split_first_chunk().ok_or(RecordError)?
        else {
            return Err(RecordError);
        };
        let (fixed, rest) = rest.split_first_chunk::<FIXED>().ok_or(RecordError)?;
        let (turn, fixed) = fixed.split_first_chunk().ok_or(RecordError)?;
        let (expires_at, person) = fixed.split_first_chunk().ok_or(RecordError)?;
        let (provider_session, rest) = if has_group == 1 {
            let (group, rest) = rest.split_first_chunk().ok_or(RecordError)?;
            (Some(GroupKey(*group)), rest)
        } else {
            (None, rest)
        };
        let (card_len, rest) = rest.split_first_chunk().ok_or(RecordError)?;
        let card_len = usize::try_from(u32::from_be_bytes(*card_len)).map_err(|_| RecordError)?;
        let (card, sealed) = rest.split_at_checked(card_len).ok_or(RecordError)?;
        Ok(Self {
            turn: u32::from_be_bytes(*turn),
            expires_at: UnixTime::from_seconds(i64::from_be_bytes(*expires_at)),
            person: GroupKey(person.try_into().map_err(|_| RecordError)?),
            provider_session,
            card: card.to_vec(),
            sealed: sealed.to_vec(),
        })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("turn", &self.turn)
            .field("expires_at", &self.expires_at)
            .field("person", &self.person)
            .field("provider_session", &self.provider_session)
            .field("bytes", &self.sealed.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        Record {
            turn: 7,
            expires_at: UnixTime::from_seconds(1_800_000_000),
            person: GroupKey([1; 32]),
            provider_session: Some(GroupKey([2; 32])),
            card: b"card".to_vec(),
            sealed: b"sealed".to_vec(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let without = Record {
            provider_session: None,
            ..record()
        };
        for one in [record(), without] {
            assert_eq!(Record::from_bytes(&one.to_bytes()), Ok(one));
        }
    }

    // S2, F18: what is cut off or of a newer format is no record, and no panic.
    #[test]
    fn what_is_cut_off_or_of_another_format_is_no_record() {
        let bytes = record().to_bytes();
        let least = bytes.len() - record().sealed.len();
        for length in 0..least {
            assert_eq!(Record::from_bytes(&bytes[..length]), Err(RecordError));
        }
        let newer = [&[FORMAT + 1], &bytes[1..]].concat();
        assert_eq!(Record::from_bytes(&newer), Err(RecordError));
        let huge = [bytes, vec![0; 2 * MOST_BYTES]].concat();
        assert_eq!(Record::from_bytes(&huge), Err(RecordError));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_fail_in_another_way(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(record) = Record::from_bytes(&bytes) {
                prop_assert_eq!(record.to_bytes(), bytes);
            }
        }
    }
}
