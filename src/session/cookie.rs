//! Writes the session's cookies and clears them.
//!
//! The session is sealed first and split after, so that parts of two sessions never make a third:
//! whatever is joined must open as a whole. A split session is written as
//!
//! ```text
//! NAME   = 2.CHUNK           the number of cookies, and the first part of the sealed text
//! NAME.1 = TAG.CHUNK         TAG: eight characters of the sealed text's nonce
//! ```
//!
//! The tag says which parts belong together before anything is opened. It protects nothing; it
//! keeps the number of attempts small when a request brings several cookies of one name.

use std::fmt;

use cookie::time::{Duration as CookieDuration, OffsetDateTime};
use cookie::{Cookie, SameSite as CookieSameSite};
use http::HeaderValue;

use super::names::CookieNames;
use super::payload::{self, PayloadError};
use super::pending::LOGIN_SAME_SITE;
use super::presented::Presented;
use super::{CookieKept, SameSite, Session};
use crate::base::clock::UnixTime;
use crate::base::keyring::{Keyring, Purpose, SealError};
use crate::base::origin::Scheme;
use crate::base::secret::Secret;

/// The most that one cookie may hold: every user agent keeps 4096 bytes of name, value and
/// attributes together (RFC 6265 section 6.1; RFC 6265bis counts name and value only).
pub const MAX_COOKIE_BYTES: usize = 4096;
/// The most cookies that one session may take: about 12 KiB, which front proxies still accept.
pub const MAX_PARTS: usize = 3;
/// Where in the sealed text the nonce stands (after version and key id), as far as the tag goes.
const TAG_RANGE: std::ops::Range<usize> = 8..16;

/// One `Set-Cookie` field, ready to send. `Debug` shows the name only: the value is a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    line: String,
}

/// Writes and clears the session's cookies.
#[derive(Debug, Clone, Copy)]
pub struct SessionCookie;

/// The value does not fit into the cookies it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes do not fit into {limit} bytes of cookies; the largest part is `{largest}`")]
pub struct CookieTooLarge {
    /// How many bytes the sealed value has.
    pub bytes: usize,
    /// How many there is room for.
    pub limit: usize,
    /// The claim or value that takes the most of it.
    pub largest: &'static str,
}

/// A cookie could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It would be larger than user agents keep. A store on the server's side would hold it.
    #[error(transparent)]
    TooLarge(#[from] CookieTooLarge),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The value has no written form.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

// === impl SetCookie ===

impl SetCookie {
    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole field value: name, value and attributes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// The field value for a response's head.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        // Names, sealed values and attributes are visible ASCII by construction; an empty field,
        // which user agents ignore, stands for what cannot occur.
        let mut value =
            HeaderValue::from_str(&self.line).unwrap_or_else(|_| HeaderValue::from_static(""));
        // Kept out of HTTP/2's compression tables (RFC 7541 section 7.1.3) and out of `Debug`.
        value.set_sensitive(true);
        value
    }

    /// A cookie that lives for `max_age`, or as long as the browser.
    pub(super) fn new(
        names: &CookieNames,
        name: &str,
        value: &str,
        same_site: SameSite,
        max_age: Option<std::time::Duration>,
    ) -> Self {
        let seconds = max_age.map(|span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
        let cookie = with_attributes(names, Cookie::new(name, value), same_site, seconds);
        Self {
            name: name.to_owned(),
            line: cookie.to_string(),
        }
    }

    /// The removal of a cookie, with the attributes it was set with (RFC 6265bis section 5.7:
    /// another `Path` or `Domain` would be another cookie).
    pub(super) fn removal(names: &CookieNames, name: &str, same_site: SameSite) -> Self {
        let mut cookie = with_attributes(names, Cookie::new(name, ""), same_site, Some(0));
        cookie.set_expires(OffsetDateTime::UNIX_EPOCH);
        Self {
            name: name.to_owned(),
            line: cookie.to_string(),
        }
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetCookie({}=[redacted])", self.name)
    }
}

fn with_attributes<'a>(
    names: &'a CookieNames,
    cookie: Cookie<'a>,
    same_site: SameSite,
    seconds: Option<i64>,
) -> Cookie<'a> {
    let attributes = names.attributes();
    let mut cookie = Cookie::build(cookie)
        .http_only(true)
        .secure(attributes.transport == Scheme::Https)
        .same_site(match same_site {
            SameSite::Lax => CookieSameSite::Lax,
            SameSite::Strict => CookieSameSite::Strict,
        })
        .path(attributes.path.as_str())
        .build();
    if let Some(seconds) = seconds {
        cookie.set_max_age(CookieDuration::seconds(seconds));
    }
    if let Some(domain) = &attributes.domain {
        cookie.set_domain(domain.as_str());
    }
    cookie
}

// === impl SessionCookie ===

impl SessionCookie {
    /// Seals `session`, or its ticket where it has one, and writes that into at most [`MAX_PARTS`]
    /// cookies of at most [`MAX_COOKIE_BYTES`] each, which live until the session's absolute limit; removes the parts
    /// that the request still `presented` and that the session no longer needs.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`] with the claim that takes most of the room; [`WriteError::Seal`].
    pub fn write(
        session: &Session,
        keyring: &Keyring,
        names: &CookieNames,
        presented: &Presented,
        now: UnixTime,
    ) -> Result<Vec<SetCookie>, WriteError> {
        let sealed = match &session.ticket {
            Some(ticket) => ticket.seal(keyring, names)?,
            None => {
                let payload = payload::write_session(session)?;
                keyring.seal(Purpose::Session, names.session_context(), &payload)?
            }
        };
        let max_age = match names.attributes().kept {
            CookieKept::UntilTheEnd => Some(session.absolute_expires_at.since(now)),
            CookieKept::WithTheBrowser => None,
        };
        let mut lines = split(&sealed, names, max_age).map_err(|limit| CookieTooLarge {
            bytes: sealed.len(),
            limit,
            largest: largest_claim(session),
        })?;
        let used = lines.len();
        lines.extend(
            presented
                .parts()
                .filter(|part| *part >= used)
                .map(|part| removal(names, &names.part(part))),
        );
        Ok(lines)
    }

    /// The same, and where all of it does not fit, without what the session can do without: first the
    /// raw ID token, since signing out can ask at the provider, then the grant, since the person can
    /// come by there. Gives the session as it was written.
    ///
    /// # Errors
    /// [`WriteError`], as of [`SessionCookie::write`].
    pub fn write_fitting(
        mut session: Session,
        keyring: &Keyring,
        names: &CookieNames,
        presented: &Presented,
        now: UnixTime,
    ) -> Result<(Session, Vec<SetCookie>), WriteError> {
        loop {
            match Self::write(&session, keyring, names, presented, now) {
                Err(WriteError::TooLarge(_)) if session.raw_id_token.is_some() => {
                    session.raw_id_token = None;
                }
                Err(WriteError::TooLarge(_)) if session.grant.is_some() => session.grant = None,
                outcome => return outcome.map(|lines| (session, lines)),
            }
        }
    }

    /// Removes the session: its cookie, presented or not, and every part that the request
    /// `presented`. Logins in flight stay.
    #[must_use]
    pub fn clear(names: &CookieNames, presented: &Presented) -> Vec<SetCookie> {
        let parts = presented.parts().map(|part| names.part(part));
        std::iter::once(names.session().to_owned())
            .chain(parts)
            .map(|name| removal(names, &name))
            .collect()
    }

    /// Removes every own cookie: what [`SessionCookie::clear`] does, and all logins in flight.
    #[must_use]
    pub fn clear_all(names: &CookieNames, presented: &Presented) -> Vec<SetCookie> {
        let mut lines = Self::clear(names, presented);
        lines.extend(
            presented
                .logins()
                .map(|tag| SetCookie::removal(names, &names.login_with(tag), LOGIN_SAME_SITE)),
        );
        lines
    }
}

fn removal(names: &CookieNames, name: &str) -> SetCookie {
    SetCookie::removal(names, name, names.attributes().same_site)
}

/// Splits the sealed text into as few cookies as hold it.
///
/// # Errors
/// The number of bytes there is room for, where they do not suffice.
fn split(
    sealed: &str,
    names: &CookieNames,
    max_age: Option<std::time::Duration>,
) -> Result<Vec<SetCookie>, usize> {
    let same_site = names.attributes().same_site;
    let write = |name: &str, value: &str| SetCookie::new(names, name, value, same_site, max_age);
    let tag = tag_of(sealed).unwrap_or_default();
    let mut room = 0;
    for count in 1..=MAX_PARTS {
        let heads = (0..count).map(|part| match part {
            0 => (names.session().to_owned(), format!("{count}.")),
            part => (names.part(part), format!("{tag}.")),
        });
        let blank: Vec<(String, String, usize)> = heads
            .map(|(name, head)| {
                let overhead = write(&name, &head).as_str().len();
                (name, head, MAX_COOKIE_BYTES.saturating_sub(overhead))
            })
            .collect();
        room = blank.iter().map(|(_, _, room)| room).sum();
        if sealed.len() <= room {
            let mut rest = sealed;
            return Ok(blank
                .into_iter()
                .map(|(name, head, room)| {
                    let (chunk, after) = rest.split_at_checked(room).unwrap_or((rest, ""));
                    rest = after;
                    write(&name, &format!("{head}{chunk}"))
                })
                .collect());
        }
    }
    Err(room)
}

/// The tag that the parts of this sealed text, or of its beginning, carry.
pub(super) fn tag_of(sealed: &str) -> Option<&str> {
    sealed.get(TAG_RANGE)
}

/// Which part of the session is the longest, by its name in the provider's words.
fn largest_claim(session: &Session) -> &'static str {
    let identity = &session.identity;
    let optional = |text: Option<&str>| text.map_or(0, str::len);
    let groups = identity.groups.known();
    [
        (
            "id_token",
            optional(session.raw_id_token.as_ref().map(Secret::expose)),
        ),
        ("groups", groups.iter().map(|group| group.len() + 3).sum()),
        ("sub", identity.subject.len()),
        (
            "email",
            optional(identity.email.as_ref().map(|email| email.address.as_str())),
        ),
        ("name", optional(identity.name.as_deref())),
        (
            "preferred_username",
            optional(identity.preferred_username.as_deref()),
        ),
        ("sid", optional(session.provider_sid.as_deref())),
        ("iss", identity.issuer.len()),
    ]
    .into_iter()
    .max_by_key(|(_, length)| *length)
    .map_or("groups", |(name, _)| name)
}
