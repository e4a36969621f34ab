//! ID token validation (OpenID Connect Core section 3.1.3.7): from a raw token to [`Claims`].

use std::time::Duration;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::foreign_text::identifier;
use super::jwks::Jwks;
use super::jws::{self, JwsError, TokenType};
use super::numeric_date::{NumericDate, NumericDateError};
use crate::base::clock::UnixTime;
use crate::base::secret::{Secret, same};

/// Clocks may differ by this much at the most, whatever is configured.
const MOST_SKEW: Duration = Duration::from_mins(1);
/// The longest subject and provider session (Core section 2).
const LONGEST_NAME: usize = 255;
/// The most characters of a foreign claim that are shown.
const SHOWN: usize = 200;

/// What an ID token is held to.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// The issuer, byte for byte.
    pub issuer: &'a str,
    /// The client that it must be meant for.
    pub client_id: &'a str,
    /// What its nonce must be.
    pub nonce: Nonce<'a>,
    /// How long ago the person may have proved who they are; asked for in the request.
    pub max_age: Option<Duration>,
    /// Audiences that may be named beside the client.
    pub trusted_audiences: &'a [String],
    /// The algorithms that it may be signed with.
    pub algorithms: &'a [Algorithm],
    /// The access token that came with it, for `at_hash`.
    pub access_token: Option<&'a Secret>,
    /// How far our clock and the provider's may differ; never more than 60 seconds.
    pub clock_skew: Duration,
}

/// What an ID token's nonce must be.
#[derive(Debug, Clone, Copy)]
pub enum Nonce<'a> {
    /// The one that was sent at this login.
    Sent(&'a Secret),
    /// Whatever it is, and if it is none: the token came by a refresh, from the token endpoint itself,
    /// where nobody could have put another's in (OpenID Connect Core section 12.2).
    Refreshed,
}

/// Why an ID token is refused. What it shows of the token is no secret, and is cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Not a token of the provider's: form, type, algorithm, key or signature.
    #[error("the ID token is {0}")]
    Jws(#[from] JwsError),
    /// A claim is missing.
    #[error("the ID token lacks `{0}`")]
    Missing(&'static str),
    /// A claim is not of its type, or out of its bounds.
    #[error("the ID token's `{0}` is malformed")]
    Malformed(&'static str),
    /// `iss` is another issuer.
    #[error("the ID token is of issuer `{got}`, not `{expected}`")]
    Issuer {
        /// The issuer it must be of.
        expected: String,
        /// What it says.
        got: String,
    },
    /// `aud` does not name us, or names somebody beside us who is not trusted.
    #[error("the ID token is for `{got}`, not for `{expected}` alone")]
    Audience {
        /// Our client identifier.
        expected: String,
        /// What it says, joined by spaces.
        got: String,
    },
    /// `azp` is another client.
    #[error("the ID token was issued to `{got}`, not to `{expected}`")]
    AuthorizedParty {
        /// Our client identifier.
        expected: String,
        /// What it says.
        got: String,
    },
    /// `nonce` is not the one that was sent.
    #[error("the ID token's nonce is not that of this login")]
    Nonce,
    /// `exp` is past.
    #[error("the ID token expired {seconds_ago} s ago; is the clock right?")]
    Expired {
        /// For how long, in seconds.
        seconds_ago: u64,
    },
    /// `iat` is in the future.
    #[error("the ID token was issued {seconds_ahead} s in the future; is the clock right?")]
    IssuedAhead {
        /// How far, in seconds.
        seconds_ahead: u64,
    },
    /// `nbf` is in the future.
    #[error("the ID token is valid only in {seconds_ahead} s; is the clock right?")]
    NotYetValid {
        /// How far, in seconds.
        seconds_ahead: u64,
    },
    /// Issued, or the person authenticated, longer ago than `max_age`.
    #[error("the person's sign-in is older than was asked for (`{0}`)")]
    TooOld(&'static str),
    /// `at_hash` is not that of the access token.
    #[error("the ID token belongs to another access token")]
    AccessTokenHash,
}

/// By how much our clock seems to be wrong: positive when it is ahead of the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// At least this many seconds.
    pub seconds: i64,
}

impl IdTokenError {
    /// Whether the key set may be out of date: fetching it anew, once, could help.
    #[must_use]
    pub fn keys_may_be_stale(&self) -> bool {
        matches!(
            self,
            Self::Jws(JwsError::UnknownKey | JwsError::UnfitKey | JwsError::Signature)
        )
    }

    /// What a token fresh from the provider says about our clock, where its times are the trouble.
    #[must_use]
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        let seconds = match self {
            Self::Expired { seconds_ago } => i64::try_from(*seconds_ago).ok()?,
            Self::IssuedAhead { seconds_ahead } | Self::NotYetValid { seconds_ahead } => {
                i64::try_from(*seconds_ahead).ok()?.checked_neg()?
            }
            _ => return None,
        };
        Some(ClockSkew { seconds })
    }
}

/// Verifies a raw ID token. Nothing of it is believed, and nobody is asked more about the person,
/// before this has passed (security requirement E7).
///
/// # Errors
/// [`IdTokenError`]; see its variants.
pub fn verify(
    raw: &str,
    keys: &Jwks,
    expectations: &Expectations<'_>,
    now: UnixTime,
) -> Result<Claims, IdTokenError> {
    let payload = jws::verify(raw, keys, TokenType::ID_TOKEN, expectations.algorithms)?;
    let algorithm = payload.algorithm();
    let token = Payload {
        members: payload.into_members(),
        expected: expectations,
        now,
        skew: expectations.clock_skew.min(MOST_SKEW),
    };
    token.check_issuer()?;
    token.check_audience()?;
    let expires_at = token.check_expiry()?;
    let issued_at = token.check_issue()?;
    token.check_not_before()?;
    token.check_nonce()?;
    token.check_access_token(algorithm)?;
    let auth_time = token.check_auth_time()?;
    Ok(Claims {
        issuer: expectations.issuer.to_owned(),
        subject: token.required_name("sub")?,
        sid: token.name("sid")?,
        auth_time,
        issued_at,
        expires_at,
        members: token.members,
    })
}

/// A payload of the provider's, on its way to be believed.
struct Payload<'a> {
    members: Map<String, Value>,
    expected: &'a Expectations<'a>,
    now: UnixTime,
    skew: Duration,
}

impl Payload<'_> {
    fn check_issuer(&self) -> Result<(), IdTokenError> {
        let issuer = self.required_text("iss")?;
        if issuer == self.expected.issuer {
            return Ok(());
        }
        Err(IdTokenError::Issuer {
            expected: self.expected.issuer.to_owned(),
            got: identifier(issuer, SHOWN),
        })
    }

    /// Core section 3.1.3.7, steps 3 to 5: ours must be named. Others may be only if we are the
    /// authorized party, or the operator trusts them.
    fn check_audience(&self) -> Result<(), IdTokenError> {
        let client_id = self.expected.client_id;
        let authorized_party = self.text("azp")?;
        if let Some(other) = authorized_party.filter(|&azp| azp != client_id) {
            return Err(IdTokenError::AuthorizedParty {
                expected: client_id.to_owned(),
                got: identifier(other, SHOWN),
            });
        }
        let audiences = self.audiences()?;
        let trusted = |audience: &&str| {
            *audience == client_id
                || authorized_party.is_some()
                || (self.expected.trusted_audiences.iter()).any(|trusted| trusted == audience)
        };
        if audiences.contains(&client_id) && audiences.iter().all(trusted) {
            return Ok(());
        }
        Err(IdTokenError::Audience {
            expected: client_id.to_owned(),
            got: identifier(&audiences.join(" "), SHOWN),
        })
    }

    fn audiences(&self) -> Result<Vec<&str>, IdTokenError> {
        let malformed = IdTokenError::Malformed("aud");
        match self.members.get("aud") {
            None => Err(IdTokenError::Missing("aud")),
            Some(Value::String(audience)) => Ok(vec![audience]),
            Some(Value::Array(items)) => items
                .iter()
                .map(Value::as_str)
                .collect::<Option<_>>()
                .ok_or(malformed),
            Some(_) => Err(malformed),
        }
    }

    fn check_expiry(&self) -> Result<UnixTime, IdTokenError> {
        let expires_at = self.required_date("exp")?.floor();
        let last_moment = expires_at.plus(self.skew);
        if self.now >= last_moment {
            return Err(IdTokenError::Expired {
                seconds_ago: self.now.since(expires_at).as_secs(),
            });
        }
        Ok(expires_at)
    }

    fn check_issue(&self) -> Result<UnixTime, IdTokenError> {
        let date = self.required_date("iat")?;
        if date.ceiling() > self.now.plus(self.skew) {
            return Err(IdTokenError::IssuedAhead {
                seconds_ahead: date.ceiling().since(self.now).as_secs(),
            });
        }
        self.check_age("iat", date.floor())?;
        Ok(date.floor())
    }

    fn check_not_before(&self) -> Result<(), IdTokenError> {
        match self.date("nbf")? {
            Some(date) if date.ceiling() > self.now.plus(self.skew) => {
                Err(IdTokenError::NotYetValid {
                    seconds_ahead: date.ceiling().since(self.now).as_secs(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_nonce(&self) -> Result<(), IdTokenError> {
        let Nonce::Sent(sent) = self.expected.nonce else {
            return Ok(());
        };
        let nonce = self.required_text("nonce")?;
        if sent.equals(nonce) {
            Ok(())
        } else {
            Err(IdTokenError::Nonce)
        }
    }

    /// Core section 3.1.3.8: `at_hash` may be missing in the code flow, but not wrong.
    fn check_access_token(&self, algorithm: Algorithm) -> Result<(), IdTokenError> {
        let Some(hash) = self.text("at_hash")? else {
            return Ok(());
        };
        let Some(access_token) = self.expected.access_token else {
            return Ok(());
        };
        let mut taken = algorithm.half_hashes(access_token.expose());
        if taken.any(|expected| same(hash.as_bytes(), expected.as_bytes())) {
            Ok(())
        } else {
            Err(IdTokenError::AccessTokenHash)
        }
    }

    /// Core section 3.1.3.7, step 13. Where nothing was asked for, a strange `auth_time` is as if
    /// it were not there: some providers write a string.
    fn check_auth_time(&self) -> Result<Option<UnixTime>, IdTokenError> {
        if self.expected.max_age.is_none() {
            return Ok(self
                .date("auth_time")
                .ok()
                .flatten()
                .map(NumericDate::floor));
        }
        let auth_time = self.required_date("auth_time")?.floor();
        self.check_age("auth_time", auth_time)?;
        Ok(Some(auth_time))
    }

    fn check_age(&self, claim: &'static str, moment: UnixTime) -> Result<(), IdTokenError> {
        match self.expected.max_age {
            Some(max_age) if self.now > moment.plus(max_age).plus(self.skew) => {
                Err(IdTokenError::TooOld(claim))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn text(&self, claim: &'static str) -> Result<Option<&str>, IdTokenError> {
        match self.members.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(IdTokenError::Malformed(claim)),
        }
    }

    fn required_text(&self, claim: &'static str) -> Result<&str, IdTokenError> {
        self.text(claim)?.ok_or(IdTokenError::Missing(claim))
    }

    /// A name that is compared, stored and logged: 1 to 255 bytes without control characters.
    fn name(&self, claim: &'static str) -> Result<Option<String>, IdTokenError> {
        let Some(name) = self.text(claim)? else {
            return Ok(None);
        };
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(IdTokenError::Malformed(claim));
        }
        Ok(Some(name.to_owned()))
    }

    fn required_name(&self, claim: &'static str) -> Result<String, IdTokenError> {
        self.name(claim)?.ok_or(IdTokenError::Missing(claim))
    }

    fn date(&self, claim: &'static str) -> Result<Option<NumericDate>, IdTokenError> {
        self.members
            .get(claim)
            .map(NumericDate::parse)
            .transpose()
            .map_err(|NumericDateError| IdTokenError::Malformed(claim))
    }

    fn required_date(&self, claim: &'static str) -> Result<NumericDate, IdTokenError> {
        self.date(claim)?.ok_or(IdTokenError::Missing(claim))
    }
}

#[cfg(test)]
mod tests;
