//! The one verifier of signed tokens: JWS compact serialisation (RFC 7515 section 7.1) under the
//! advice of RFC 8725. What the claims mean is for whoever asked.
//!
//! The header is read strictly and believed in three things only: which algorithm, which key, which
//! kind of token. Keys come from the provider's key set alone; `jwk`, `jku`, `x5u` and `x5c` are
//! never looked at, and claims in the header are no claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::foreign_text::identifier;
use super::json::{self, JsonError};
use super::jwks::{Jwks, LONGEST_KID, SelectError};

/// The most bytes of a token.
pub const LONGEST_TOKEN: usize = 64 * 1024;
/// The most bytes of a header, decoded. A certificate chain (`x5c`) fits.
const LONGEST_HEADER: usize = 16 * 1024;
/// The most characters of a foreign name that are shown.
const SHOWN: usize = 40;
/// Registered header members that are texts (RFC 7515 section 4.1). They are not used, but a header
/// in which they are something else is no JWS header.
const UNUSED_TEXTS: &[&str] = &["cty", "jku", "x5u", "x5t", "x5t#S256"];

/// Which `typ` a kind of token has (RFC 8725 section 3.11). Names are compared without case and
/// without a leading `application/` (RFC 7515 section 4.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenType {
    /// The names, in lower case.
    pub names: &'static [&'static str],
    /// What a token without `typ` is.
    pub absent: AbsentType,
}

/// What a token without `typ` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentType {
    /// Of this kind.
    Accepted,
    /// Not of this kind.
    Refused,
}

impl TokenType {
    /// An ID token: `JWT` or nothing.
    pub const ID_TOKEN: Self = Self {
        names: &["jwt"],
        absent: AbsentType::Accepted,
    };
}

/// The payload of a token whose signature was verified. Only [`verify`] makes one.
#[derive(Debug)]
pub struct VerifiedPayload {
    algorithm: Algorithm,
    members: Map<String, Value>,
}

/// Why a token is not one of the provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`LONGEST_TOKEN`].
    #[error("longer than {LONGEST_TOKEN} bytes")]
    TooLong,
    /// Five parts: an encrypted token, which is not configured.
    #[error("encrypted, which is not configured")]
    Encrypted,
    /// Not three parts of exact base64url.
    #[error("not three parts of unpadded base64url")]
    Form,
    /// The header is no sound JSON object.
    #[error("unreadable header: {0}")]
    Header(JsonError),
    /// A header member that must be a text is not, or is too long.
    #[error("the header's `{0}` is malformed")]
    HeaderMember(&'static str),
    /// The header has `crit`: extensions that we would have to understand (RFC 7515 section
    /// 4.1.11). We know none.
    #[error("the header demands extensions by `crit`")]
    Critical,
    /// The header has `b64` (RFC 7797), which is not for tokens.
    #[error("the header has `b64`")]
    UnencodedPayload,
    /// `typ` is that of another kind of token.
    #[error("of type `{got}`")]
    Type {
        /// What the header says, cut; `absent` where it says nothing.
        got: String,
    },
    /// `alg` is not allowed here.
    #[error("signed with `{got}`, which is not allowed here")]
    Algorithm {
        /// What the header says, cut.
        got: String,
    },
    /// No key of the set is named by the token. The key might have been published since.
    #[error("signed with a key that the provider does not publish")]
    UnknownKey,
    /// The named key is not for this algorithm.
    #[error("signed with a key that is not for this algorithm")]
    UnfitKey,
    /// The signature is no key's that the token may be signed with.
    #[error("the signature is not the provider's")]
    Signature,
    /// The payload is no sound JSON object.
    #[error("unreadable payload: {0}")]
    Payload(JsonError),
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

/// Verifies `raw` and gives its payload: three parts of exact base64url; a header with an allowed
/// `alg`, the right `typ` and nothing critical; a signature by a key of `keys` that is for it.
///
/// # Errors
/// [`JwsError`]; see its variants. The payload is not even decoded before the signature is good.
pub fn verify(
    raw: &str,
    keys: &Jwks,
    token_type: TokenType,
    algorithms: &[Algorithm],
) -> Result<VerifiedPayload, JwsError> {
    if raw.len() > LONGEST_TOKEN {
        return Err(JwsError::TooLong);
    }
    let (message, header, payload, signature) = split(raw)?;
    let header = Header::parse(header, token_type)?;
    if !algorithms.contains(&header.algorithm) {
        return Err(JwsError::Algorithm {
            got: header.algorithm.as_str().to_owned(),
        });
    }
    decode(signature)?;
    let candidates = keys
        .select(header.algorithm, header.kid.as_deref())
        .map_err(|none| match none {
            SelectError::Unknown => JwsError::UnknownKey,
            SelectError::Unfit => JwsError::UnfitKey,
        })?;
    let good = candidates
        .iter()
        .any(|key| key.verifies(header.algorithm, message, signature));
    if !good {
        return Err(JwsError::Signature);
    }
    let members =
        json::parse_object(&decode(payload)?, LONGEST_TOKEN).map_err(JwsError::Payload)?;
    Ok(VerifiedPayload {
        algorithm: header.algorithm,
        members,
    })
}

/// What the payload of a token that nobody verified says under `name`: good for choosing the keys that
/// it is then verified with, and for nothing else.
pub(super) fn claimed(raw: &str, name: &str) -> Option<String> {
    if raw.len() > LONGEST_TOKEN {
        return None;
    }
    let (_, _, payload, _) = split(raw).ok()?;
    let members = json::parse_object(&decode(payload).ok()?, LONGEST_TOKEN).ok()?;
    members.get(name)?.as_str().map(str::to_owned)
}

impl VerifiedPayload {
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn into_members(self) -> Map<String, Value> {
        self.members
    }
}

/// What was signed, and the three parts.
fn split(raw: &str) -> Result<(&str, &str, &str, &str), JwsError> {
    if raw.bytes().filter(|&b| b == b'.').count() == 4 {
        return Err(JwsError::Encrypted);
    }
    let (message, signature) = raw.rsplit_once('.').ok_or(JwsError::Form)?;
    let (header, payload) = message.split_once('.').ok_or(JwsError::Form)?;
    let dotted = payload.contains('.');
    if dotted || header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(JwsError::Form);
    }
    Ok((message, header, payload, signature))
}

/// RFC 7515 section 2: no padding, no white space, the URL-safe alphabet. Left-over bits must be
/// zero, or one signature would have several spellings.
fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Form)
}

impl Header {
    fn parse(part: &str, token_type: TokenType) -> Result<Self, JwsError> {
        let members =
            json::parse_object(&decode(part)?, LONGEST_HEADER).map_err(JwsError::Header)?;
        if members.contains_key("crit") {
            return Err(JwsError::Critical);
        }
        if members.contains_key("b64") {
            return Err(JwsError::UnencodedPayload);
        }
        token_type.check(text(&members, "typ")?)?;
        for name in UNUSED_TEXTS {
            text(&members, name)?;
        }
        check_brought_keys(&members)?;
        let name = text(&members, "alg")?.ok_or(JwsError::HeaderMember("alg"))?;
        let algorithm = Algorithm::parse(name).ok_or_else(|| JwsError::Algorithm {
            got: identifier(name, SHOWN),
        })?;
        let kid = text(&members, "kid")?;
        if kid.is_some_and(|kid| kid.len() > LONGEST_KID || kid.contains(char::is_control)) {
            return Err(JwsError::HeaderMember("kid"));
        }
        Ok(Self {
            algorithm,
            kid: kid.map(str::to_owned),
        })
    }
}

fn text<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JwsError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwsError::HeaderMember(name)),
    }
}

/// Keys that the token brings along are not used either: `x5c` is an array of texts (RFC 7515 section 4.1.6), `jwk` an object (section 4.1.3).
fn check_brought_keys(members: &Map<String, Value>) -> Result<(), JwsError> {
    match members.get("x5c") {
        None => {}
        Some(Value::Array(chain)) if chain.iter().all(Value::is_string) => {}
        Some(_) => return Err(JwsError::HeaderMember("x5c")),
    }
    match members.get("jwk") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(JwsError::HeaderMember("jwk")),
    }
}

impl TokenType {
    fn check(self, typ: Option<&str>) -> Result<(), JwsError> {
        let right = match typ {
            None => self.absent == AbsentType::Accepted,
            Some(typ) => {
                let lower = typ.to_ascii_lowercase();
                let bare = lower.strip_prefix("application/").unwrap_or(&lower);
                self.names.contains(&bare)
            }
        };
        if right {
            Ok(())
        } else {
            Err(JwsError::Type {
                got: identifier(typ.unwrap_or("absent"), SHOWN),
            })
        }
    }
}

#[cfg(test)]
mod tests;
