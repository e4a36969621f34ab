//! Logout tokens (OpenID Connect Back-Channel Logout section 2.4 to 2.6): from a raw token to the
//! sessions that it ends.

use std::time::Duration;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::jwks::Jwks;
use super::jws::{self, AbsentType, JwsError, TokenType};
use super::numeric_date::NumericDate;
use crate::base::clock::UnixTime;

/// The event that makes a token a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The longest subject, provider session and token identifier.
const LONGEST_NAME: usize = 255;
/// A token that was made longer ago ends nothing, whatever its `exp` says: what makes it good once only
/// must be remembered for as long as it is good.
pub const LONGEST_LIFE: Duration = Duration::from_mins(10);

/// What a logout token is held to.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// The issuer, byte for byte.
    pub issuer: &'a str,
    /// The client that it must be meant for.
    pub client_id: &'a str,
    /// The algorithms that it may be signed with.
    pub algorithms: &'a [Algorithm],
    /// How far our clock and the provider's may differ.
    pub clock_skew: Duration,
}

/// A logout token that is to be believed. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    issuer: String,
    whose: Whose,
    jti: String,
    issued_at: UnixTime,
}

/// Whose sessions a logout token ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of this session at the provider (`sid`), whoever's they are.
    ProviderSession(String),
    /// All of this subject's.
    Subject(String),
}

/// Why a logout token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogoutTokenError {
    /// Not a token of the provider's: form, type, algorithm, key or signature.
    #[error("the logout token is {0}")]
    Jws(#[from] JwsError),
    /// A claim is missing.
    #[error("the logout token lacks `{0}`")]
    Missing(&'static str),
    /// A claim is not what it must be.
    #[error("the logout token's `{0}` is not what it must be")]
    Wrong(&'static str),
    /// It has a claim that no logout token may have (section 2.4: `nonce`, which would make it an ID
    /// token).
    #[error("the logout token has `{0}`, which no logout token has")]
    Forbidden(&'static str),
    /// `exp` is past, or `iat` too long ago.
    #[error("the logout token is too old (`{0}`)")]
    TooOld(&'static str),
    /// `iat` is in the future.
    #[error("the logout token is of the future; is the clock right?")]
    Ahead,
}

impl LogoutTokenError {
    /// Whether the key set may be out of date: fetching it anew, once, could help.
    #[must_use]
    pub fn keys_may_be_stale(&self) -> bool {
        matches!(
            self,
            Self::Jws(JwsError::UnknownKey | JwsError::UnfitKey | JwsError::Signature)
        )
    }
}

impl LogoutToken {
    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whose sessions it ends.
    #[must_use]
    pub fn whose(&self) -> &Whose {
        &self.whose
    }

    /// When it was made, by the provider's clock.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// What tells it from all others of its issuer.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }
}

/// The issuer that a token claims to be of, believed in nothing but where to look for keys.
#[must_use]
pub fn claimed_issuer(raw: &str) -> Option<String> {
    jws::claimed(raw, "iss")
}

/// Verifies a raw logout token, by all of section 2.6 but step 8: whether it was seen before is known
/// to whoever asks.
///
/// # Errors
/// [`LogoutTokenError`]; see its variants.
pub fn verify(
    raw: &str,
    keys: &Jwks,
    expectations: &Expectations<'_>,
    now: UnixTime,
) -> Result<LogoutToken, LogoutTokenError> {
    let payload = jws::verify(raw, keys, TokenType::LOGOUT_TOKEN, expectations.algorithms)?;
    let claims = payload.into_members();
    let issuer = required(&claims, "iss")?;
    if issuer != expectations.issuer {
        return Err(LogoutTokenError::Wrong("iss"));
    }
    check_audience(&claims, expectations.client_id)?;
    let issued_at = check_times(&claims, expectations.clock_skew, now)?;
    check_event(&claims)?;
    if claims.contains_key("nonce") {
        return Err(LogoutTokenError::Forbidden("nonce"));
    }
    let jti = required(&claims, "jti")?;
    let (subject, sid) = (name(&claims, "sub")?, name(&claims, "sid")?);
    let whose = match (sid, subject) {
        (Some(sid), _) => Whose::ProviderSession(sid),
        (None, Some(subject)) => Whose::Subject(subject),
        (None, None) => return Err(LogoutTokenError::Missing("sub")),
    };
    Ok(LogoutToken {
        issuer,
        whose,
        jti,
        issued_at,
    })
}

/// Ours must be named, and nobody beside us: a token for several is a token that another client can
/// send on.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), LogoutTokenError> {
    let names_us = |audience: &Value| audience.as_str() == Some(client_id);
    match claims.get("aud") {
        None => Err(LogoutTokenError::Missing("aud")),
        Some(Value::Array(all)) if all.iter().any(names_us) && all.iter().all(Value::is_string) => {
            Ok(())
        }
        Some(one) if names_us(one) => Ok(()),
        Some(_) => Err(LogoutTokenError::Wrong("aud")),
    }
}

fn check_times(
    claims: &Map<String, Value>,
    skew: Duration,
    now: UnixTime,
) -> Result<UnixTime, LogoutTokenError> {
    let date = |claim: &'static str| match claims.get(claim) {
        None => Ok(None),
        Some(value) => NumericDate::parse(value)
            .map(Some)
            .map_err(|_| LogoutTokenError::Wrong(claim)),
    };
    let issued_at = date("iat")?.ok_or(LogoutTokenError::Missing("iat"))?;
    if issued_at.ceiling() > now.plus(skew) {
        return Err(LogoutTokenError::Ahead);
    }
    if now >= issued_at.floor().plus(LONGEST_LIFE).plus(skew) {
        return Err(LogoutTokenError::TooOld("iat"));
    }
    // Required by the specification, and left out by implementations of its drafts; `iat` bounds those.
    match date("exp")? {
        Some(expires_at) if now >= expires_at.floor().plus(skew) => {
            Err(LogoutTokenError::TooOld("exp"))
        }
        Some(_) | None => Ok(issued_at.ceiling()),
    }
}

/// Exactly this event, with an object that says nothing more that is known of.
fn check_event(claims: &Map<String, Value>) -> Result<(), LogoutTokenError> {
    match claims.get("events") {
        None => Err(LogoutTokenError::Missing("events")),
        Some(Value::Object(events)) if events.len() == 1 => match events.get(EVENT) {
            Some(Value::Object(_)) => Ok(()),
            _ => Err(LogoutTokenError::Wrong("events")),
        },
        Some(_) => Err(LogoutTokenError::Wrong("events")),
    }
}

fn required(claims: &Map<String, Value>, claim: &'static str) -> Result<String, LogoutTokenError> {
    name(claims, claim)?.ok_or(LogoutTokenError::Missing(claim))
}

/// A name that is compared, kept and logged: 1 to 255 bytes without control characters.
fn name(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<String>, LogoutTokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(name))
            if !name.is_empty()
                && name.len() <= LONGEST_NAME
                && !name.contains(char::is_control) =>
        {
            Ok(Some(name.clone()))
        }
        Some(_) => Err(LogoutTokenError::Wrong(claim)),
    }
}

impl TokenType {
    /// A logout token: `logout+jwt`, or what implementations of the drafts write.
    pub const LOGOUT_TOKEN: Self = Self {
        names: &["logout+jwt", "jwt"],
        absent: AbsentType::Accepted,
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oidc::forge::{ATTACKER, CLIENT_ID, HONEST, ISSUER, NOW, header, kid};

    const SKEW: Duration = Duration::from_secs(30);

    fn claims() -> Value {
        let now = NOW.as_seconds();
        json!({
            "iss": ISSUER, "aud": CLIENT_ID, "sub": "u-1", "sid": "s-1", "iat": now,
            "exp": now + 120, "jti": "j-1", "events": { EVENT: {} },
        })
    }

    fn judge(claims: &Value, now: UnixTime) -> Result<LogoutToken, LogoutTokenError> {
        let raw = HONEST.token(
            Algorithm::Rs256,
            &header(Algorithm::Rs256),
            &claims.to_string(),
        );
        verify(&raw, &HONEST.published(), &expectations(), now)
    }

    fn expectations() -> Expectations<'static> {
        Expectations {
            issuer: ISSUER,
            client_id: CLIENT_ID,
            algorithms: &Algorithm::ALL,
            clock_skew: SKEW,
        }
    }

    fn with(change: &Value) -> Value {
        let mut claims = claims();
        let members = claims.as_object_mut().unwrap();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(members.remove(name)),
                value => drop(members.insert(name.clone(), value.clone())),
            }
        }
        claims
    }

    // G7, G8: the narrowest that the token says is what ends.
    #[test]
    fn an_honest_token_says_whose_sessions_end() {
        let token = judge(&claims(), NOW).unwrap();
        assert_eq!((token.issuer(), token.jti()), (ISSUER, "j-1"));
        assert_eq!(token.whose(), &Whose::ProviderSession("s-1".to_owned()));
        let by_subject = judge(&with(&json!({ "sid": null })), NOW).unwrap();
        assert_eq!(by_subject.whose(), &Whose::Subject("u-1".to_owned()));
        let by_sid = judge(&with(&json!({ "sub": null })), NOW).unwrap();
        assert_eq!(by_sid.whose(), &Whose::ProviderSession("s-1".to_owned()));
        for good in [
            json!({ "aud": [CLIENT_ID] }),
            json!({ "aud": ["other", CLIENT_ID] }),
            json!({ "exp": null }),
            json!({ "events": { EVENT: { "more": 1 } } }),
            json!({ "unknown": true }),
        ] {
            assert!(judge(&with(&good), NOW).is_ok(), "{good}");
        }
    }

    // G7: each rule by itself.
    #[test]
    fn every_claim_of_a_logout_token_is_held_to_its_rule() {
        let now = NOW.as_seconds();
        let wrong = [
            json!({ "iss": null }),
            json!({ "iss": "https://other.test" }),
            json!({ "iss": format!("{ISSUER}/") }),
            json!({ "aud": null }),
            json!({ "aud": "other" }),
            json!({ "aud": ["other"] }),
            json!({ "aud": [CLIENT_ID, 7] }),
            json!({ "aud": { CLIENT_ID: 1 } }),
            json!({ "iat": null }),
            json!({ "iat": now.to_string() }),
            json!({ "iat": now + 31 }),
            json!({ "iat": now - 10 * 60 - 30 }),
            json!({ "exp": now - 30 }),
            json!({ "exp": "soon" }),
            json!({ "jti": null }),
            json!({ "jti": "" }),
            json!({ "jti": 7 }),
            json!({ "jti": "x".repeat(256) }),
            json!({ "events": null }),
            json!({ "events": EVENT }),
            json!({ "events": [EVENT] }),
            json!({ "events": {} }),
            json!({ "events": { EVENT: "yes" } }),
            json!({ "events": { EVENT: null } }),
            json!({ "events": { EVENT: {}, "http://other.test/event": {} } }),
            json!({ "events": { "http://other.test/event": {} } }),
            json!({ "sub": null, "sid": null }),
            json!({ "sub": 7 }),
            json!({ "sub": "" }),
            json!({ "sid": ["s-1"] }),
            json!({ "sid": "s\n1" }),
            json!({ "nonce": "n" }),
            json!({ "nonce": "" }),
        ];
        for change in wrong {
            let judged = judge(&with(&change), NOW);
            assert!(judged.is_err(), "{change}: {judged:?}");
        }
    }

    // G7: signature, algorithm and type are those of tokens of the provider.
    #[test]
    fn a_logout_token_that_is_not_the_providers_ends_nothing() {
        let text = claims().to_string();
        let of_type = |typ: Option<&str>| match typ {
            Some(typ) => json!({ "alg": "RS256", "kid": kid(Algorithm::Rs256), "typ": typ }),
            None => json!({ "alg": "RS256", "kid": kid(Algorithm::Rs256) }),
        };
        let honest_header = header(Algorithm::Rs256);
        let stolen = ATTACKER.token(Algorithm::Rs256, &honest_header, &text);
        assert!(verify(&stolen, &HONEST.published(), &expectations(), NOW).is_err());
        for typ in ["at+jwt", "secevent+jwt", "id_token"] {
            let token = HONEST.token(Algorithm::Rs256, &of_type(Some(typ)).to_string(), &text);
            let judged = verify(&token, &HONEST.published(), &expectations(), NOW);
            assert!(judged.is_err(), "{typ}");
        }
        for typ in [Some("logout+jwt"), Some("Logout+JWT"), Some("JWT"), None] {
            let token = HONEST.token(Algorithm::Rs256, &of_type(typ).to_string(), &text);
            assert!(
                verify(&token, &HONEST.published(), &expectations(), NOW).is_ok(),
                "{typ:?}"
            );
        }
        let only = Expectations {
            algorithms: &[Algorithm::Es256],
            ..expectations()
        };
        let honest = HONEST.token(Algorithm::Rs256, &header(Algorithm::Rs256), &text);
        assert!(verify(&honest, &HONEST.published(), &only, NOW).is_err());
        let (head, rest) = honest.split_once('.').unwrap();
        for broken in ["", ".", "a.b.c", head, rest, &honest[..honest.len() - 1]] {
            assert!(verify(broken, &HONEST.published(), &expectations(), NOW).is_err());
        }
    }

    // G9: what makes a token good once only is remembered for as long as it is good.
    #[test]
    fn a_logout_token_is_good_for_ten_minutes_at_the_most() {
        let long = with(&json!({ "exp": NOW.as_seconds() + 86_400 }));
        let last = NOW.plus(LONGEST_LIFE).plus(SKEW);
        let second = Duration::from_secs(1);
        assert!(judge(&long, last.minus(second)).is_ok());
        assert_eq!(judge(&long, last), Err(LogoutTokenError::TooOld("iat")));
    }
}
