//! What is inside a sealed value: one byte that says the format, then JSON with short names.
//!
//! JSON because replicas of neighbouring versions read each other's values during a rolling
//! restart, and because names and tokens, not the encoding, make up the size. A field that may be
//! lost on the way through an older replica can simply be added; any other change takes a new
//! format byte, which older replicas then refuse.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::groups::SessionGroups;
use super::{Grant, Session, SessionId};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::oidc::claims::Identity;

/// The format of a session.
const SESSION_FORMAT: u8 = 1;

/// The bytes are of another format, or of this one and broken; or a value cannot be written so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a payload of a format that is known here")]
pub struct PayloadError;

/// A session as it is written. One definition for both directions.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    #[serde(rename = "i")]
    id: Cow<'a, str>,
    #[serde(rename = "w")]
    identity: Cow<'a, Identity>,
    #[serde(rename = "p")]
    provider: Cow<'a, str>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    provider_sid: Option<Cow<'a, str>>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<UnixTime>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    acr: Option<Cow<'a, str>>,
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    stepped_up: Option<Cow<'a, [String]>>,
    #[serde(rename = "b")]
    started_at: UnixTime,
    #[serde(rename = "u")]
    seen_at: UnixTime,
    #[serde(rename = "d")]
    idle_expires_at: UnixTime,
    #[serde(rename = "e")]
    absolute_expires_at: UnixTime,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    vouched_at: Option<UnixTime>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Cow<'a, str>>,
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    turn: u32,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    access_expires_at: Option<UnixTime>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    raw_id_token: Option<Cow<'a, str>>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    family: Option<Cow<'a, str>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The bytes of a session.
pub(super) fn write_session(session: &Session) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let written = Written {
        id: Cow::Borrowed(session.id.as_str()),
        identity: Cow::Borrowed(&session.identity),
        provider: Cow::Borrowed(&session.provider),
        provider_sid: session.provider_sid.as_deref().map(Cow::Borrowed),
        auth_time: session.auth_time,
        acr: session.acr.as_deref().map(Cow::Borrowed),
        stepped_up: session.stepped_up.as_deref().map(Cow::Borrowed),
        started_at: session.started_at,
        seen_at: session.seen_at,
        idle_expires_at: session.idle_expires_at,
        absolute_expires_at: session.absolute_expires_at,
        vouched_at: Some(session.vouched_at),
        turn: session.turn,
        refresh_token: session
            .grant
            .as_ref()
            .map(|grant| Cow::Borrowed(grant.refresh_token.expose())),
        access_expires_at: session.grant.as_ref().map(|grant| grant.access_expires_at),
        raw_id_token: session
            .raw_id_token
            .as_ref()
            .map(|token| Cow::Borrowed(token.expose())),
        family: session.family.as_ref().map(|id| Cow::Borrowed(id.as_str())),
    };
    write(SESSION_FORMAT, &written)
}

/// The session of these bytes.
pub(super) fn read_session(bytes: &[u8]) -> Result<Session, PayloadError> {
    let written: Written<'_> = read(SESSION_FORMAT, bytes)?;
    // A replica that knows nothing of renewal seals without these: then the login was the last word.
    let vouched_at = written.vouched_at.unwrap_or(written.started_at);
    Ok(Session {
        id: SessionId::parse(&written.id).ok_or(PayloadError)?,
        identity: written.identity.into_owned(),
        provider: written.provider.into_owned(),
        provider_sid: written.provider_sid.map(Cow::into_owned),
        auth_time: written.auth_time,
        acr: written.acr.map(Cow::into_owned),
        stepped_up: written.stepped_up.map(Cow::into_owned),
        started_at: written.started_at,
        seen_at: written.seen_at,
        idle_expires_at: written.idle_expires_at,
        absolute_expires_at: written.absolute_expires_at,
        vouched_at,
        turn: written.turn,
        grant: written.refresh_token.map(|token| Grant {
            refresh_token: Secret::new(token.into_owned()),
            access_expires_at: written.access_expires_at.unwrap_or(vouched_at),
        }),
        raw_id_token: written
            .raw_id_token
            .map(|token| Secret::new(token.into_owned())),
        ticket: None,
        family: written.family.as_deref().and_then(SessionId::parse),
        groups: SessionGroups::default(),
    })
}

/// `value` after its format byte.
pub(super) fn write<T: Serialize>(
    format: u8,
    value: &T,
) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let mut bytes = Zeroizing::new(vec![format]);
    serde_json::to_writer(&mut *bytes, value).map_err(|_| PayloadError)?;
    Ok(bytes)
}

/// The value after the format byte, which must be `format`.
pub(super) fn read<T: DeserializeOwned>(format: u8, bytes: &[u8]) -> Result<T, PayloadError> {
    match bytes.split_first() {
        Some((&found, json)) if found == format => {
            serde_json::from_slice(json).map_err(|_| PayloadError)
        }
        _ => Err(PayloadError),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oidc::claims::Groups;
    use crate::session::tests::{LIMITS, START, alice};

    fn full() -> Session {
        let mut who = alice();
        who.provider_sid = Some("sid-1".to_owned());
        who.auth_time = Some(START);
        who.raw_id_token = Some(Secret::new("eyJ.eyJ.sig".to_owned()));
        Session::start(who, [9; 16], LIMITS, START)
    }

    #[test]
    fn a_session_survives_writing_and_reading() {
        let mut overage = full();
        overage.identity.groups = Groups::Overage;
        overage.identity.email = None;
        for session in [
            full(),
            overage,
            Session::start(alice(), [0; 16], LIMITS, START),
            Session::start(alice(), [0; 16], LIMITS, START).following(&full()),
        ] {
            let read = read_session(&write_session(&session).unwrap()).unwrap();
            assert_eq!(read.id, session.id);
            assert_eq!(read.identity, session.identity);
            assert_eq!(read.provider, session.provider);
            assert_eq!(read.provider_sid, session.provider_sid);
            assert_eq!(read.family, session.family);
            assert_eq!(read.auth_time, session.auth_time);
            assert_eq!(read.started_at, session.started_at);
            assert_eq!(read.seen_at, session.seen_at);
            assert_eq!(read.idle_expires_at, session.idle_expires_at);
            assert_eq!(read.absolute_expires_at, session.absolute_expires_at);
            let token = |session: &Session| {
                session
                    .raw_id_token
                    .as_ref()
                    .map(|token| token.expose().to_owned())
            };
            assert_eq!(token(&read), token(&session));
        }
    }

    // F18: another format is no session, and no crash.
    #[test]
    fn a_session_of_another_format_is_refused() {
        let mut bytes = write_session(&full()).unwrap();
        for format in (0..=u8::MAX).filter(|&format| format != SESSION_FORMAT) {
            bytes[0] = format;
            assert_eq!(read_session(&bytes).unwrap_err(), PayloadError);
        }
    }

    // F18: within one format a newer replica may add a field.
    #[test]
    fn a_field_that_is_not_known_here_is_passed_over() {
        let mut bytes = write_session(&full()).unwrap().to_vec();
        assert_eq!(bytes.pop(), Some(b'}'));
        bytes.extend_from_slice(br#","zz":{"new":[1,2]}}"#);
        assert_eq!(read_session(&bytes).unwrap().identity, full().identity);
    }

    #[test]
    fn a_broken_session_is_refused() {
        let bytes = write_session(&full()).unwrap();
        for end in 0..bytes.len() {
            assert!(read_session(&bytes[..end]).is_err(), "{end}");
        }
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let id = full().id;
        for id_now in ["", "short", &"A".repeat(23), "!!!!!!!!!!!!!!!!!!!!!!"] {
            let changed = text.replace(id.as_str(), id_now);
            assert!(read_session(changed.as_bytes()).is_err(), "{id_now}");
        }
        let nested = format!("\u{1}{}", "[".repeat(100_000));
        assert!(read_session(nested.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read_session(&bytes).is_err());
            let mut with_format = vec![SESSION_FORMAT];
            with_format.extend_from_slice(&bytes);
            prop_assert!(read_session(&with_format).is_err());
        }
    }
}
