//! Logins in flight: one short-lived cookie each, so that tabs do not disturb one another.
//!
//! The cookie's name is made from the login's `state`, and the value is sealed to that name and
//! holds the digest of the `state`: the answer to a login finds its own cookie, and only in the
//! browser that began it. A login that has finished leaves a marker under the same name for a
//! minute. It tells a callback that came twice from a foreign one, and several fresh markers beside
//! no session say that the browser does not keep the session's cookie.

use std::cmp::Reverse;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::SameSite;
use super::cookie::{CookieTooLarge, MAX_COOKIE_BYTES, SetCookie, WriteError};
use super::lifetime::CLOCK_SKEW;
use super::names::{CookieNames, LoginTag};
use super::payload;
use super::presented::Presented;
use crate::base::clock::UnixTime;
use crate::base::keyring::{Keyring, Purpose};

/// How long a person may take at the provider.
pub const LOGIN_LIFETIME: Duration = Duration::from_mins(10);
/// How many logins may be in flight in one browser, markers included; the oldest give way.
pub const MAX_LOGINS_IN_FLIGHT: usize = 10;
/// How long a finished login is remembered.
const MARKER_LIFETIME: Duration = Duration::from_mins(1);
/// How far back finished logins count as the turns of a loop.
const LOOP_SPAN: Duration = Duration::from_secs(30);
/// The most that all login cookies together may take in a request's head. A login that has to give
/// way begins anew from its sealed `state`; a head that a front proxy refuses leaves no way out.
const MAX_TOTAL_BYTES: usize = 16 * 1024;
/// The most removals in one answer, should somebody plant login cookies by the hundred.
const MAX_REMOVALS: usize = 20;
/// The provider's answer is a navigation from another site: a `Strict` cookie would not be sent.
pub(super) const LOGIN_SAME_SITE: SameSite = SameSite::Lax;
/// The format of a login cookie's payload.
const LOGIN_FORMAT: u8 = 1;

/// The login cookies of this gate, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct LoginCookies<'a> {
    names: &'a CookieNames,
    keyring: &'a Keyring,
    now: UnixTime,
}

/// What the browser still knows about the login with a given `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recalled<T> {
    /// It is in flight, and this is its value.
    Pending(T),
    /// It was begun more than [`LOGIN_LIFETIME`] ago. Good for nothing but to begin anew.
    Expired(T),
    /// It finished at this moment: the answer came twice.
    Finished(UnixTime),
    /// There is a cookie of its name, and it does not open.
    Unusable,
    /// There is none: another browser's login, or a cookie that was lost.
    Absent,
}

/// What is sealed. `T` is the caller's pending login.
#[derive(Serialize, Deserialize)]
struct Content<T> {
    #[serde(rename = "s")]
    state_digest: String,
    #[serde(rename = "t")]
    at: UnixTime,
    #[serde(rename = "l")]
    standing: Standing<T>,
}

#[derive(Serialize, Deserialize)]
enum Standing<T> {
    #[serde(rename = "p")]
    Pending(T),
    #[serde(rename = "f")]
    Finished,
}

impl<'a> LoginCookies<'a> {
    /// The login cookies that `names` and `keyring` give, at `now`.
    #[must_use]
    pub fn new(names: &'a CookieNames, keyring: &'a Keyring, now: UnixTime) -> Self {
        Self {
            names,
            keyring,
            now,
        }
    }

    /// The cookie of a login that begins, and removals for those that have to give way: the oldest
    /// beyond [`MAX_LOGINS_IN_FLIGHT`] and beyond 16 KiB.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`] where `login` does not fit into one cookie of
    /// [`MAX_COOKIE_BYTES`]; the caller can try again with a shorter place to return to.
    pub fn begin<T: Serialize>(
        &self,
        state: &str,
        login: &T,
        presented: &Presented,
    ) -> Result<Vec<SetCookie>, WriteError> {
        let own = self.write(state, Standing::Pending(login), LOGIN_LIFETIME)?;
        let removals = self.surplus(own.as_str().len(), LoginTag::of(state), presented);
        let mut lines = vec![own];
        lines.extend(removals);
        Ok(lines)
    }

    /// What the browser knows about the login with this `state`. Of several cookies of its name a
    /// finished one counts before a pending one, and that before one that is over or does not open.
    #[must_use]
    pub fn recall<T: DeserializeOwned>(&self, state: &str, presented: &Presented) -> Recalled<T> {
        let tag = LoginTag::of(state);
        let digest = digest_of(state);
        let mut best = Recalled::Absent;
        for value in presented.login(tag) {
            let found = match self.open::<T>(tag, value) {
                Some(content) if content.state_digest == digest => self.judge(content),
                Some(_) | None => Recalled::Unusable,
            };
            if found.rank() > best.rank() {
                best = found;
            }
        }
        best
    }

    /// The logins that this browser has in flight, whatever their `state`.
    pub fn in_flight<T: DeserializeOwned>(&self, presented: &Presented) -> impl Iterator<Item = T> {
        presented
            .logins()
            .flat_map(move |tag| presented.login(tag).map(move |value| (tag, value)))
            .filter_map(
                move |(tag, value)| match self.judge(self.open(tag, value)?) {
                    Recalled::Pending(login) => Some(login),
                    _ => None,
                },
            )
    }

    /// The marker that takes the place of the login with this `state` once it has finished.
    ///
    /// # Errors
    /// [`WriteError::Seal`].
    pub fn finish(&self, state: &str) -> Result<SetCookie, WriteError> {
        self.write::<()>(state, Standing::Finished, MARKER_LIFETIME)
    }

    /// Removes the login with this `state` without a trace: one that failed.
    #[must_use]
    pub fn forget(&self, state: &str) -> SetCookie {
        SetCookie::removal(self.names, &self.names.login(state), LOGIN_SAME_SITE)
    }

    /// How many logins this browser has finished within the last 30 seconds. Three of them without
    /// a session to show for it are a loop.
    #[must_use]
    pub fn recent_finishes(&self, presented: &Presented) -> usize {
        let recent = |tag| {
            presented
                .login(tag)
                .filter_map(|value| self.open::<IgnoredAny>(tag, value))
                .any(|content| {
                    matches!(content.standing, Standing::Finished)
                        && self.now.since(content.at) < LOOP_SPAN
                        && !self.is_future(content.at)
                })
        };
        presented.logins().filter(|&tag| recent(tag)).count()
    }

    fn judge<T>(&self, content: Content<T>) -> Recalled<T> {
        match content.standing {
            Standing::Finished => Recalled::Finished(content.at),
            Standing::Pending(_) if self.is_future(content.at) => Recalled::Unusable,
            Standing::Pending(login) if self.now.since(content.at) >= LOGIN_LIFETIME => {
                Recalled::Expired(login)
            }
            Standing::Pending(login) => Recalled::Pending(login),
        }
    }

    fn is_future(&self, at: UnixTime) -> bool {
        at > self.now.plus(CLOCK_SKEW)
    }

    /// Removals for the presented logins that are one too many beside a new one of `size` bytes.
    fn surplus(&self, size: usize, new: LoginTag, presented: &Presented) -> Vec<SetCookie> {
        let mut others: Vec<(UnixTime, usize, LoginTag)> = presented
            .logins()
            .filter(|&tag| tag != new)
            .map(|tag| {
                // What does not open is older than everything: perhaps a replica with a newer key
                // made it, so it may stay as long as there is room.
                let at = presented
                    .login(tag)
                    .filter_map(|value| self.open::<IgnoredAny>(tag, value))
                    .map(|content| content.at)
                    .max()
                    .unwrap_or(UnixTime::from_seconds(i64::MIN));
                let name = self.names.login_with(tag).len();
                let size = presented.login(tag).map(|value| name + value.len()).sum();
                (at, size, tag)
            })
            .collect();
        others.sort_unstable_by_key(|&(at, _, tag)| Reverse((at, tag)));
        let mut total = size;
        others
            .into_iter()
            .enumerate()
            .filter(|(index, (_, size, _))| {
                total += size;
                index + 1 >= MAX_LOGINS_IN_FLIGHT || total > MAX_TOTAL_BYTES
            })
            .map(|(_, (_, _, tag))| {
                SetCookie::removal(self.names, &self.names.login_with(tag), LOGIN_SAME_SITE)
            })
            .take(MAX_REMOVALS)
            .collect()
    }

    fn write<T: Serialize>(
        &self,
        state: &str,
        standing: Standing<T>,
        lifetime: Duration,
    ) -> Result<SetCookie, WriteError> {
        let name = self.names.login(state);
        let content = Content {
            state_digest: digest_of(state),
            at: self.now,
            standing,
        };
        let payload = payload::write(LOGIN_FORMAT, &content)?;
        let sealed =
            self.keyring
                .seal(Purpose::PendingLogin, &self.names.context(&name), &payload)?;
        let line = SetCookie::new(self.names, &name, &sealed, LOGIN_SAME_SITE, Some(lifetime));
        if line.as_str().len() > MAX_COOKIE_BYTES {
            return Err(WriteError::TooLarge(CookieTooLarge {
                bytes: line.as_str().len(),
                limit: MAX_COOKIE_BYTES,
                largest: "login",
            }));
        }
        Ok(line)
    }

    fn open<T: DeserializeOwned>(&self, tag: LoginTag, value: &str) -> Option<Content<T>> {
        let context = self.names.context(&self.names.login_with(tag));
        let opened = self
            .keyring
            .open(Purpose::PendingLogin, &context, value)
            .ok()?;
        payload::read(LOGIN_FORMAT, &Zeroizing::new(opened.plaintext)).ok()
    }
}

impl<T> Recalled<T> {
    fn rank(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Unusable => 1,
            Self::Expired(_) => 2,
            Self::Pending(_) => 3,
            Self::Finished(_) => 4,
        }
    }
}

/// The name holds only 40 bits of a `state`, this 128.
fn digest_of(state: &str) -> String {
    let hash = digest(&SHA256, state.as_bytes());
    URL_SAFE_NO_PAD.encode(
        hash.as_ref()
            .first_chunk::<16>()
            .map_or(&[][..], |half| half),
    )
}

#[cfg(test)]
mod tests;
