//! The token answer: strict where safety hangs on it, lenient where real providers are.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::oidc::error_code::{ErrorCode, Refusal};
use crate::oidc::json::{self, JsonError};
use crate::oidc::metadata::ProviderKind;

/// How long an access token is taken to live when the answer does not say (E2).
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);
/// The most bytes of one token.
const LONGEST_TOKEN: usize = 64 * 1024;

/// What came back from the token endpoint.
#[derive(Clone, Copy)]
pub struct TokenAnswer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type` field, where there is one.
    pub content_type: Option<&'a str>,
    /// The body, already bounded in size by whoever received it.
    pub body: &'a [u8],
}

/// The tokens of a good answer. The ID token in it is not verified yet.
#[derive(Debug)]
pub struct TokenSet {
    /// The access token; visible ASCII.
    pub access_token: Secret,
    /// How long it lives, if the answer says so.
    pub expires_in: Option<Duration>,
    /// The refresh token, if there is one.
    pub refresh_token: Option<Secret>,
    /// The raw ID token; always there in the answer of an OpenID provider.
    pub raw_id_token: Option<Secret>,
    /// The scopes granted, if the answer says so: all that were asked for otherwise.
    pub scope: Option<Vec<String>>,
}

/// Why an answer yields no tokens. It never holds any of the body but code and description of a
/// refusal, made fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The provider refused, in the words of RFC 6749 section 5.2.
    #[error("the token endpoint answered {status}: {refusal}")]
    Refused {
        /// The HTTP status; some providers refuse with 200.
        status: u16,
        /// Code and description.
        refusal: Refusal,
    },
    /// A status that says no success, without an error code.
    #[error("the token endpoint answered {0}")]
    Status(u16),
    /// The body is neither JSON nor a form.
    #[error("the token endpoint's answer is unreadable: {0}")]
    Unreadable(JsonError),
    /// `access_token` is missing or cannot be one.
    #[error("the token endpoint's answer has no usable access_token")]
    AccessToken,
    /// `id_token` is missing or cannot be one.
    #[error("the token endpoint's answer has no usable id_token; is the scope `openid` allowed?")]
    IdToken,
    /// `refresh_token` is there and cannot be one.
    #[error("the token endpoint's answer has an unusable refresh_token")]
    RefreshToken,
    /// `token_type` is not `Bearer`.
    #[error("the token endpoint's answer is not of token_type Bearer")]
    TokenType,
}

/// Whether asking again with the same grant can ever help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// It might: the provider is out of order, or the operator must mend something.
    Transient,
    /// It cannot: the provider said `invalid_grant`.
    Final,
}

impl TokenError {
    /// Whether the grant is gone for good. Only a refusal with `invalid_grant` says so; an answer
    /// of 5xx does not, whatever its body.
    #[must_use]
    pub fn finality(&self) -> Finality {
        match self {
            Self::Refused { status, refusal } => {
                if refusal.code == ErrorCode::InvalidGrant && *status < 500 {
                    Finality::Final
                } else {
                    Finality::Transient
                }
            }
            Self::Status(_)
            | Self::Unreadable(_)
            | Self::AccessToken
            | Self::IdToken
            | Self::RefreshToken
            | Self::TokenType => Finality::Transient,
        }
    }
}

impl TokenSet {
    /// When the access token ends, if the answer came at `received_at`; five minutes later where
    /// the answer does not say.
    #[must_use]
    pub fn expires_at(&self, received_at: UnixTime) -> UnixTime {
        received_at.plus(self.expires_in.unwrap_or(DEFAULT_LIFETIME))
    }
}

impl fmt::Debug for TokenAnswer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

impl TokenAnswer<'_> {
    /// Reads the answer to the redemption of a code at a provider of `kind`. Of an OpenID provider it
    /// must hold an ID token.
    ///
    /// Accepted beside the letter of the standard: any status of success, a form instead of JSON
    /// (GitHub), `expires_in` as a string, scopes separated by commas, and, from a plain OAuth 2.0
    /// provider, no `token_type`.
    ///
    /// # Errors
    /// [`TokenError`]; an `error` member is a refusal whatever the status (GitHub, Slack).
    pub fn parse(&self, kind: ProviderKind) -> Result<TokenSet, TokenError> {
        let tokens = self.parse_refreshed(kind)?;
        match (kind, &tokens.raw_id_token) {
            (ProviderKind::Oidc, None) => Err(TokenError::IdToken),
            (ProviderKind::Oidc | ProviderKind::Oauth2, _) => Ok(tokens),
        }
    }

    /// Reads the answer to a refresh (RFC 6749 section 6): as [`TokenAnswer::parse`], but it need not
    /// hold an ID token (OpenID Connect Core section 12.2).
    ///
    /// # Errors
    /// [`TokenError`], as there.
    pub fn parse_refreshed(&self, kind: ProviderKind) -> Result<TokenSet, TokenError> {
        let good = (200..300).contains(&self.status);
        let mut members = match self.members() {
            Ok(members) => members,
            Err(fault) if good => return Err(TokenError::Unreadable(fault)),
            Err(_) => return Err(TokenError::Status(self.status)),
        };
        if let Some(refusal) = refusal(&members) {
            return Err(TokenError::Refused {
                status: self.status,
                refusal,
            });
        }
        if !good {
            return Err(TokenError::Status(self.status));
        }
        check_token_type(&members, kind)?;
        let access_token = token(&mut members, "access_token").ok_or(TokenError::AccessToken)?;
        let raw_id_token = match members.get("id_token") {
            None | Some(Value::Null) => None,
            Some(_) => match (token(&mut members, "id_token"), kind) {
                (None, ProviderKind::Oidc) => return Err(TokenError::IdToken),
                (token, ProviderKind::Oidc | ProviderKind::Oauth2) => token,
            },
        };
        Ok(TokenSet {
            access_token,
            expires_in: members.get("expires_in").and_then(seconds),
            refresh_token: match members.get("refresh_token") {
                None | Some(Value::Null) => None,
                Some(_) => {
                    Some(token(&mut members, "refresh_token").ok_or(TokenError::RefreshToken)?)
                }
            },
            raw_id_token,
            scope: members.get("scope").and_then(scopes),
        })
    }

    /// JSON if it looks like it, whatever the type says; else a form if the type says so.
    fn members(&self) -> Result<Map<String, Value>, JsonError> {
        let starts_object = self.body.trim_ascii_start().starts_with(b"{");
        let says_form = self.content_type.is_some_and(|content_type| {
            let essence = content_type.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if says_form && !starts_object {
            form(self.body)
        } else {
            json::parse_object(self.body, json::DOCUMENT_LIMIT)
        }
    }
}

fn form(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    if body.len() > json::DOCUMENT_LIMIT {
        return Err(JsonError::TooLarge {
            limit: json::DOCUMENT_LIMIT,
        });
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        if members.insert(name.into_owned(), value).is_some() {
            return Err(JsonError::DuplicateMember);
        }
    }
    Ok(members)
}

fn refusal(members: &Map<String, Value>) -> Option<Refusal> {
    let description = members.get("error_description").and_then(Value::as_str);
    match members.get("error")? {
        Value::Null => None,
        Value::String(code) => Some(Refusal::parse(code, description)),
        _ => Some(Refusal::parse("", description)),
    }
}

/// RFC 6749 section 7.1: a token of a type that we do not know how to use is not used.
fn check_token_type(members: &Map<String, Value>, kind: ProviderKind) -> Result<(), TokenError> {
    match (members.get("token_type"), kind) {
        (Some(Value::String(name)), _) if name.eq_ignore_ascii_case("bearer") => Ok(()),
        (None, ProviderKind::Oauth2) => Ok(()),
        _ => Err(TokenError::TokenType),
    }
}

/// Takes a token out, if it is one: visible ASCII, so that it fits a header field.
fn token(members: &mut Map<String, Value>, name: &str) -> Option<Secret> {
    match members.remove(name)? {
        Value::String(text) => {
            let secret = Secret::new(text);
            let text = secret.expose();
            let sound = !text.is_empty()
                && text.len() <= LONGEST_TOKEN
                && text.bytes().all(|b| b.is_ascii_graphic());
            sound.then_some(secret)
        }
        _ => None,
    }
}

/// A number, or a string that is one. Anything else is as if it were not there.
fn seconds(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(number) => number.as_u64().map(Duration::from_secs).or_else(|| {
            let seconds = number.as_f64()?;
            Duration::try_from_secs_f64(seconds).ok()
        }),
        Value::String(text) => text.trim().parse().ok().map(Duration::from_secs),
        _ => None,
    }
}

fn scopes(value: &Value) -> Option<Vec<String>> {
    let separate = |text: &str| {
        text.split([' ', ','])
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    };
    match value {
        Value::String(text) => Some(separate(text)),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}
