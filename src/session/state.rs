//! The `state` parameters that travel through the provider and back, sealed.
//!
//! A login's `state` is what ties its answer to its cookie (RFC 6749 section 10.12). As it is sealed
//! it can also carry what is needed to begin once more where that cookie was lost: the answer then
//! buys nothing, but the person still lands where they wanted to go. A sealed `state` alone never
//! finishes a login.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cookie::WriteError;
use super::lifetime::CLOCK_SKEW;
use super::names::CookieNames;
use super::payload;
use crate::base::clock::UnixTime;
use crate::base::keyring::{Keyring, OpenError, Purpose};

/// The longest place to return to that a `state` carries: it is part of a URL, which providers and
/// their front ends cut off somewhere above 2 KiB.
pub const MAX_RETURN_TO_BYTES: usize = 512;
/// How often a login whose cookie is lost begins anew.
const MAX_ATTEMPT: u8 = 1;
/// How long the way through the provider's logout pages may take.
const LOGOUT_LIFETIME: Duration = Duration::from_hours(1);
const STATE_FORMAT: u8 = 1;

/// What the `state` of an authorization request says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginState {
    /// Unguessable text of at least 128 bits, drawn for this login.
    #[serde(rename = "i")]
    pub id: String,
    /// Where the person wanted to go. Sealed only up to [`MAX_RETURN_TO_BYTES`]; hold it to the
    /// rules for places to return to again when it comes back.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// How often this login began anew: 0, or 1 after its cookie was lost once.
    #[serde(rename = "n")]
    pub attempt: u8,
    /// The `id` of the provider that was asked.
    #[serde(rename = "p")]
    pub provider: String,
    /// When the login began.
    #[serde(rename = "t")]
    pub started_at: UnixTime,
}

/// What the `state` of a request to the provider's end-session endpoint says (OpenID Connect
/// RP-Initiated Logout section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutState {
    /// When the logout began.
    #[serde(rename = "t")]
    pub issued_at: UnixTime,
}

impl LoginState {
    /// The parameter's text: base64url, under 1 KiB.
    ///
    /// # Errors
    /// [`WriteError::Seal`].
    pub fn seal(&self, keyring: &Keyring, names: &CookieNames) -> Result<String, WriteError> {
        let fits = |text: &String| text.len() <= MAX_RETURN_TO_BYTES;
        let carried = Self {
            return_to: self.return_to.clone().filter(fits),
            ..self.clone()
        };
        seal(Purpose::State, &carried, keyring, names)
    }

    /// What the parameter that came back says, if we sealed it here. Its age is not judged.
    ///
    /// # Errors
    /// [`OpenError`] for any other text.
    pub fn open(text: &str, keyring: &Keyring, names: &CookieNames) -> Result<Self, OpenError> {
        open(Purpose::State, text, keyring, names)
    }

    /// The login that begins anew in place of this one, whose cookie is lost; nothing where this
    /// one is already a second attempt. `id` is drawn for the new one.
    #[must_use]
    pub fn next_attempt(&self, id: String, now: UnixTime) -> Option<Self> {
        (self.attempt < MAX_ATTEMPT).then(|| Self {
            id,
            return_to: self.return_to.clone(),
            attempt: self.attempt + 1,
            provider: self.provider.clone(),
            started_at: now,
        })
    }
}

impl fmt::Debug for LoginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginState")
            .field("attempt", &self.attempt)
            .field("provider", &self.provider)
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}

impl LogoutState {
    /// The parameter's text.
    ///
    /// # Errors
    /// [`WriteError::Seal`].
    pub fn seal(&self, keyring: &Keyring, names: &CookieNames) -> Result<String, WriteError> {
        seal(Purpose::LogoutState, self, keyring, names)
    }

    /// What the parameter that came back says, if we sealed it here within the last hour.
    ///
    /// # Errors
    /// [`OpenError`] for any other text.
    pub fn open(
        text: &str,
        keyring: &Keyring,
        names: &CookieNames,
        now: UnixTime,
    ) -> Result<Self, OpenError> {
        let state: Self = open(Purpose::LogoutState, text, keyring, names)?;
        let fresh =
            now.since(state.issued_at) < LOGOUT_LIFETIME && state.issued_at <= now.plus(CLOCK_SKEW);
        if fresh { Ok(state) } else { Err(OpenError) }
    }
}

fn seal<T: Serialize>(
    purpose: Purpose,
    value: &T,
    keyring: &Keyring,
    names: &CookieNames,
) -> Result<String, WriteError> {
    let payload = payload::write(STATE_FORMAT, value)?;
    Ok(keyring.seal(purpose, &names.context(""), &payload)?)
}

fn open<T: for<'de> Deserialize<'de>>(
    purpose: Purpose,
    text: &str,
    keyring: &Keyring,
    names: &CookieNames,
) -> Result<T, OpenError> {
    let opened = keyring.open(purpose, &names.context(""), text)?;
    payload::read(STATE_FORMAT, &opened.plaintext).map_err(|_| OpenError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{Gate, START, key};

    const SECOND: Duration = Duration::from_secs(1);

    fn login(return_to: Option<String>) -> LoginState {
        LoginState {
            id: "0123456789012345678901234567890123456789012".to_owned(),
            return_to,
            attempt: 0,
            provider: "corp".to_owned(),
            started_at: START,
        }
    }

    #[test]
    fn a_state_comes_back_as_it_was_sealed() {
        let gate = Gate::at("https://a.test");
        let state = login(Some("/deep/link?q=https://b.test/&x=1".to_owned()));
        let text = state.seal(&gate.keyring, &gate.names).unwrap();
        assert_eq!(
            LoginState::open(&text, &gate.keyring, &gate.names),
            Ok(state)
        );
    }

    // A1: sealing the same twice gives two texts, in an alphabet that needs no encoding.
    #[test]
    fn no_two_states_are_alike() {
        let gate = Gate::at("https://a.test");
        let seal = || login(None).seal(&gate.keyring, &gate.names).unwrap();
        assert_ne!(seal(), seal());
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        assert!(seal().bytes().all(plain));
    }

    // H1: what does not fit is left out, and the URL stays short.
    #[test]
    fn a_place_to_return_to_is_carried_up_to_512_bytes() {
        let gate = Gate::at("https://a.test");
        for (length, carried) in [(512, true), (513, false), (30_000, false)] {
            let state = login(Some(format!("/{}", "p".repeat(length - 1))));
            let text = state.seal(&gate.keyring, &gate.names).unwrap();
            assert!(text.len() < 1024, "{}", text.len());
            let opened = LoginState::open(&text, &gate.keyring, &gate.names).unwrap();
            assert_eq!(opened.return_to.is_some(), carried, "{length}");
        }
    }

    // A5, H2: a state of another gate, or one that was touched, says nothing.
    #[test]
    fn a_state_that_we_did_not_seal_here_does_not_open() {
        let keys = [key()];
        let gate = Gate::with("https://a.test", "c", &keys);
        let text = login(None).seal(&gate.keyring, &gate.names).unwrap();
        for (url, client) in [
            ("https://b.test", "c"),
            ("https://a.test:8443", "c"),
            ("https://a.test/x", "c"),
            ("https://a.test", "d"),
        ] {
            let other = Gate::with(url, client, &keys);
            assert!(LoginState::open(&text, &other.keyring, &other.names).is_err());
        }
        let open = |text: &str| LoginState::open(text, &gate.keyring, &gate.names);
        for end in 0..text.len() {
            assert!(open(&text[..end]).is_err());
        }
        for junk in ["", "random", "A", "%00", &"A".repeat(100_000)] {
            assert_eq!(open(junk), Err(OpenError));
        }
        assert!(open(&text).is_ok());
    }

    // A5, A13: one restart to the same page, and no second one.
    #[test]
    fn a_login_begins_anew_once() {
        let first = login(Some("/page".to_owned()));
        let second = first
            .next_attempt("another".to_owned(), START.plus(SECOND))
            .unwrap();
        assert_eq!(
            (second.attempt, second.return_to.as_deref()),
            (1, Some("/page"))
        );
        assert_eq!(
            (second.provider.as_str(), second.id.as_str()),
            ("corp", "another")
        );
        assert_eq!(second.started_at, START.plus(SECOND));
        assert_eq!(second.next_attempt("third".to_owned(), START), None);
        let forged = LoginState {
            attempt: 255,
            ..first
        };
        assert_eq!(forged.next_attempt("third".to_owned(), START), None);
    }

    // G3: right, wrong, old and missing.
    #[test]
    fn a_logout_state_opens_for_an_hour() {
        let gate = Gate::at("https://a.test");
        let state = LogoutState { issued_at: START };
        let text = state.seal(&gate.keyring, &gate.names).unwrap();
        let open = |text: &str, now| LogoutState::open(text, &gate.keyring, &gate.names, now);
        assert_eq!(open(&text, START), Ok(state));
        assert_eq!(
            open(&text, START.plus(LOGOUT_LIFETIME.saturating_sub(SECOND))),
            Ok(state)
        );
        assert!(open(&text, START.plus(LOGOUT_LIFETIME)).is_err());
        assert!(open(&text, START.minus(CLOCK_SKEW + SECOND)).is_err());
        assert!(open("", START).is_err());
        assert!(open("other", START).is_err());
    }

    #[test]
    fn a_state_is_printed_without_its_id_and_its_page() {
        let printed = format!("{:?}", login(Some("/secret-page".to_owned())));
        assert!(!printed.contains("0123456789") && !printed.contains("secret-page"));
    }
}
