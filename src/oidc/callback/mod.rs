//! The authorization response, and what becomes of it: a [`CodeGrant`], or a refusal
//! (RFC 6749 section 4.1.2, RFC 9207, OpenID Connect Core section 3.1.2.5).

use std::time::Duration;

use url::form_urlencoded;

use super::authorization::PendingLogin;
use super::error_code::Refusal;
use super::foreign_text::identifier;
use super::metadata::ResponseIss;
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;

/// The most bytes of a query or form.
const LONGEST_RESPONSE: usize = 64 * 1024;
/// The most bytes of a code, decoded. Some providers put a whole sealed state into it.
const LONGEST_CODE: usize = 8 * 1024;
/// The most parameters of a response.
const MOST_PARAMETERS: usize = 100;
/// How far the clocks of replicas may differ.
const REPLICA_SKEW: Duration = Duration::from_mins(1);
/// The most characters of a foreign issuer that are shown.
const SHOWN: usize = 200;

/// Parameters that we read; none may come twice (RFC 6749 section 3.1).
const KNOWN: &[&str] = &[
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
];
/// Parameters of flows that we never asked for: implicit, hybrid, JARM.
const FOREIGN_FLOW: &[&str] = &["id_token", "access_token", "token", "response"];

/// What the browser brought back from the provider. Nothing in it is believed yet.
#[derive(Debug)]
pub struct AuthorizationResponse {
    state: Option<Secret>,
    iss: Option<String>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Code(Secret),
    Error(Refusal),
}

/// Why a callback is nonsense. It quotes nothing that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// More bytes or parameters than any provider sends.
    #[error("the authorization response is too large")]
    TooLarge,
    /// A parameter came twice.
    #[error("`{0}` is there twice")]
    Duplicate(&'static str),
    /// A code and an error at once.
    #[error("both a code and an error")]
    CodeAndError,
    /// Neither a code nor an error.
    #[error("neither a code nor an error")]
    Nothing,
    /// A parameter of a flow that was not asked for.
    #[error("`{0}` belongs to a flow that was not asked for")]
    ForeignFlow(&'static str),
    /// A parameter is empty, too long, or has characters that it cannot have.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
}

/// Why a response does not redeem a pending login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    /// The response has no `state`.
    #[error("the response has no state")]
    StateMissing,
    /// The `state` is not the one that was sent.
    #[error("the state is not that of this login")]
    StateMismatch,
    /// The response came to another provider's callback.
    #[error("the response came to another provider's redirect_uri")]
    OtherProvider,
    /// The provider promises `iss`, and it is missing (RFC 9207 section 2.4).
    #[error("the response lacks the iss that the provider promises")]
    IssuerMissing,
    /// `iss` is another issuer (RFC 9207 section 2.4).
    #[error("the response is of `{got}`, not of `{expected}`")]
    IssuerMismatch {
        /// The issuer that the login went to.
        expected: String,
        /// The issuer that the response names, cut to 200 characters.
        got: String,
    },
    /// The provider refused.
    #[error("the provider refused: {0}")]
    Provider(Refusal),
    /// The login was begun too long ago.
    #[error("the login was begun too long ago")]
    Expired,
}

/// The right to redeem one code, once. Only [`PendingLogin::redeem`] makes one, and the token
/// request takes it by value: no code goes out that did not pass, and none goes out twice.
#[derive(Debug)]
pub struct CodeGrant {
    pub(super) code: Secret,
    pub(super) code_verifier: Secret,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<Secret>,
    pub(super) issuer: String,
    pub(super) max_age: Option<Duration>,
    provider: String,
    return_to: String,
    attempt: u8,
}

// ----------------------------------------------------------------- AuthorizationResponse

impl AuthorizationResponse {
    /// Parses the callback's query, or its form body, without a leading `?`. Parameters that we do
    /// not know are ignored (RFC 6749 section 4.1.2).
    ///
    /// # Errors
    /// [`CallbackError`]; see its variants.
    pub fn parse(query_or_form: &str) -> Result<Self, CallbackError> {
        if query_or_form.len() > LONGEST_RESPONSE {
            return Err(CallbackError::TooLarge);
        }
        let mut known: [Option<String>; KNOWN.len()] = Default::default();
        for (at, (name, value)) in form_urlencoded::parse(query_or_form.as_bytes()).enumerate() {
            if at >= MOST_PARAMETERS {
                return Err(CallbackError::TooLarge);
            }
            if let Some(foreign) = FOREIGN_FLOW.iter().find(|&&foreign| foreign == name) {
                return Err(CallbackError::ForeignFlow(foreign));
            }
            for (slot, &own) in known.iter_mut().zip(KNOWN) {
                if own == name && slot.replace(value.to_string()).is_some() {
                    return Err(CallbackError::Duplicate(own));
                }
            }
        }
        let [code, state, iss, error, description, _error_uri] = known;
        let answer = match (code, error) {
            (Some(_), Some(_)) => return Err(CallbackError::CodeAndError),
            (None, None) => return Err(CallbackError::Nothing),
            (Some(code), None) => Answer::Code(Secret::new(visible("code", code, LONGEST_CODE)?)),
            (None, Some(error)) => Answer::Error(Refusal::parse(&error, description.as_deref())),
        };
        Ok(Self {
            state: state
                .map(|state| visible("state", state, LONGEST_RESPONSE))
                .transpose()?
                .map(Secret::new),
            iss: iss
                .map(|iss| visible("iss", iss, LONGEST_RESPONSE))
                .transpose()?,
            answer,
        })
    }

    /// Whether it is a refusal (RFC 6749 section 4.1.2.1) rather than a code.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.answer, Answer::Error(_))
    }

    /// The `state` as it came, unjudged: to find the login that it might answer.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_ref().map(Secret::expose)
    }
}

/// RFC 6749 appendix A: codes and states are printable ASCII. What did not decode to UTF-8 fails
/// here too.
fn visible(name: &'static str, value: String, limit: usize) -> Result<String, CallbackError> {
    let printable = |b: u8| (0x20..=0x7e).contains(&b);
    if value.is_empty() || value.len() > limit || !value.bytes().all(printable) {
        Err(CallbackError::Malformed(name))
    } else {
        Ok(value)
    }
}

// -------------------------------------------------------------------------- PendingLogin

/// Whose callback a response came to.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The provider's `id` in the configuration.
    pub provider: &'a str,
    /// The issuers of the other providers there.
    pub other_issuers: &'a [&'a str],
}

impl PendingLogin {
    /// Judges the response that came to the callback `arrival` tells of at `now`. The login is
    /// spent either way.
    ///
    /// A refusal of the provider is told even when the login is too old, and even without the
    /// promised `iss`, which real providers forget in errors: nothing is redeemed by it.
    ///
    /// # Errors
    /// [`RedeemError`]; see its variants. State, provider and a wrong `iss` are judged first.
    pub fn redeem(
        self,
        response: AuthorizationResponse,
        arrival: Arrival<'_>,
        now: UnixTime,
        max_age: Duration,
    ) -> Result<CodeGrant, RedeemError> {
        let state = response.state.ok_or(RedeemError::StateMissing)?;
        if !self.state.equals(state.expose()) {
            return Err(RedeemError::StateMismatch);
        }
        if self.provider != arrival.provider {
            return Err(RedeemError::OtherProvider);
        }
        let iss = self.check_iss(response.iss.as_deref(), arrival.other_issuers);
        let code = match (response.answer, iss) {
            (Answer::Code(code), Ok(())) => code,
            (Answer::Error(refusal), Ok(()) | Err(RedeemError::IssuerMissing)) => {
                return Err(RedeemError::Provider(refusal));
            }
            (_, Err(fault)) => return Err(fault),
        };
        let from_the_future = self.started_at > now.plus(REPLICA_SKEW);
        if from_the_future || now.since(self.started_at) > max_age {
            return Err(RedeemError::Expired);
        }
        Ok(CodeGrant {
            code,
            code_verifier: self.code_verifier,
            redirect_uri: self.redirect_uri,
            nonce: self.nonce,
            issuer: self.issuer,
            max_age: self.max_age.map(Duration::from_secs),
            provider: self.provider,
            return_to: self.return_to,
            attempt: self.attempt,
        })
    }

    /// RFC 9207 section 2.4: compared as it is after URL decoding, byte for byte. A provider whose
    /// issuer nobody knows may call itself what it likes, but not by the name of another one that
    /// people sign in at here: then its answer is that one's, and so is the code.
    fn check_iss(&self, iss: Option<&str>, others: &[&str]) -> Result<(), RedeemError> {
        let is_right = match (self.response_iss, iss) {
            (ResponseIss::Promised, None) => return Err(RedeemError::IssuerMissing),
            (ResponseIss::Unpromised | ResponseIss::Unknown, None) => true,
            (ResponseIss::Promised | ResponseIss::Unpromised, Some(iss)) => iss == self.issuer,
            (ResponseIss::Unknown, Some(iss)) => {
                let bare = |issuer: &str| issuer.trim_end_matches('/').to_owned();
                !others.iter().any(|other| bare(other) == bare(iss))
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(RedeemError::IssuerMismatch {
                expected: self.issuer.clone(),
                got: identifier(iss.unwrap_or_default(), SHOWN),
            })
        }
    }
}

// ----------------------------------------------------------------------------- CodeGrant

impl CodeGrant {
    /// The `id` of the provider in the configuration.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Where the person wants to go.
    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// How many attempts went before this one without a session coming of it.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.attempt
    }
}

#[cfg(test)]
mod tests;
