//! A provider's signing keys (RFC 7517), read one by one: a key that is malformed, weak or not for
//! signatures is left out and does not spoil its neighbours.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::json::{self, JsonError};

/// The most bytes of a key set. Certificates (`x5c`) make them large.
const SET_LIMIT: usize = 1024 * 1024;
/// How many keys of a set are looked at.
const MOST_KEYS: usize = 100;
/// How many keys are tried for one token.
const MOST_CANDIDATES: usize = 8;
/// The longest key identifier, of a key or of a token.
pub(super) const LONGEST_KID: usize = 1024;
/// What RFC 7518 section 3.3 demands at least, and the most that the library verifies.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The members of a private or symmetric key (RFC 7518 section 6).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The usable keys of a set.
#[derive(Debug)]
pub struct Jwks {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
}

/// One usable key.
#[derive(Debug)]
pub struct Key {
    kid: Option<String>,
    /// What the key's own `alg` allows; any of its kind where it says nothing.
    algorithm: Option<Algorithm>,
    kind: Kind,
    decoding: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A key of the set that is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Its place in the set, from 0.
    pub position: usize,
    /// Why.
    pub fault: KeyFault,
}

/// Why a key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No object, or a member of the wrong type or encoding.
    #[error("malformed")]
    Malformed,
    /// A `kty` or `crv` that we do not take, such as `oct`.
    #[error("of a kind that is not taken")]
    Kind,
    /// `use` or `key_ops` says that it is not for signatures.
    #[error("not for signatures")]
    Use,
    /// `alg` is not taken, or not of this kind of key.
    #[error("for an algorithm that is not taken or not of this kind of key")]
    Algorithm,
    /// The private half is published with it: anybody could have made its signatures.
    #[error("published with its private half")]
    Private,
    /// An RSA key that is too short or too long, an even modulus, or an exponent of 1 or even.
    #[error("a weak RSA key")]
    WeakRsa,
    /// Not a point of its curve, or one of small order.
    #[error("not a sound point of its curve")]
    Point,
}

/// Why a whole set is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not a JSON object within the bounds.
    #[error("the key set is unreadable: {0}")]
    Json(#[from] JsonError),
    /// `keys` is missing or no array.
    #[error("the key set has no `keys`")]
    NoKeys,
    /// Not one of its keys is usable. What was known before is better.
    #[error("none of the key set's {0} keys is usable")]
    NoneUsable(usize),
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The set has no key of this `kid`, or none for this algorithm where there is no `kid`. It
    /// might have been published since.
    #[error("no key of the provider is named by the token")]
    Unknown,
    /// The set has the named key, and it is not for this algorithm.
    #[error("the key that the token names is not for its algorithm")]
    Unfit,
}

impl Jwks {
    /// Parses a key set. At most 100 keys are looked at.
    ///
    /// # Errors
    /// [`JwksError`]: no JSON, no `keys`, or none that is usable.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        let mut set = json::parse_object(bytes, SET_LIMIT)?;
        let Some(Value::Array(raw_keys)) = set.remove("keys") else {
            return Err(JwksError::NoKeys);
        };
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for (position, raw_key) in raw_keys.iter().take(MOST_KEYS).enumerate() {
            match Key::parse(raw_key) {
                Ok(key) => keys.push(key),
                Err(fault) => left_out.push(LeftOut { position, fault }),
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoneUsable(raw_keys.len()));
        }
        Ok(Self { keys, left_out })
    }

    /// The keys that a token with this header may be signed with: those of its `kid`, or, without
    /// one, all for its algorithm; at most eight (RFC 7515 section 4.1.4, OpenID Connect Core
    /// section 10.1).
    ///
    /// # Errors
    /// [`SelectError`] when there is none.
    pub fn select(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Vec<&Key>, SelectError> {
        let mut named = self
            .keys
            .iter()
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid)
            .peekable();
        let unfit = if kid.is_some() && named.peek().is_some() {
            SelectError::Unfit
        } else {
            SelectError::Unknown
        };
        let candidates: Vec<_> = named
            .filter(|key| key.is_for(algorithm))
            .take(MOST_CANDIDATES)
            .collect();
        if candidates.is_empty() {
            Err(unfit)
        } else {
            Ok(candidates)
        }
    }

    /// How many keys are usable.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.keys.len()
    }

    /// The keys that are not used, and why.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Key {
    fn parse(raw: &Value) -> Result<Self, KeyFault> {
        let members = raw.as_object().ok_or(KeyFault::Malformed)?;
        check_use(members)?;
        if PRIVATE_MEMBERS
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(match text(members, "kty")? {
                Some("oct") => KeyFault::Kind,
                _ => KeyFault::Private,
            });
        }
        let (kind, decoding) = match (text(members, "kty")?, text(members, "crv")?) {
            (Some("RSA"), _) => rsa(members)?,
            (Some("EC"), Some("P-256")) => ec(members, Kind::P256)?,
            (Some("EC"), Some("P-384")) => ec(members, Kind::P384)?,
            (Some("OKP"), Some("Ed25519")) => ed25519(members)?,
            (None, _) => return Err(KeyFault::Malformed),
            _ => return Err(KeyFault::Kind),
        };
        let name = text(members, "kid")?;
        if name.is_some_and(|name| name.len() > LONGEST_KID) {
            return Err(KeyFault::Malformed);
        }
        let algorithm = text(members, "alg")?
            .map(|name| Algorithm::parse(name).ok_or(KeyFault::Algorithm))
            .transpose()?;
        if algorithm.is_some_and(|algorithm| kind_of(algorithm) != kind) {
            return Err(KeyFault::Algorithm);
        }
        Ok(Self {
            kid: name.map(str::to_owned),
            algorithm,
            kind,
            decoding,
        })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        kind_of(algorithm) == self.kind && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature`, in exact base64url, is this key's over `message`.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        self.is_for(algorithm)
            && jsonwebtoken::crypto::verify(
                signature,
                message.as_bytes(),
                &self.decoding,
                algorithm.in_jsonwebtoken(),
            )
            .is_ok_and(|good| good)
    }
}

fn kind_of(algorithm: Algorithm) -> Kind {
    match algorithm {
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => Kind::Rsa,
        Algorithm::Es256 => Kind::P256,
        Algorithm::Es384 => Kind::P384,
        Algorithm::EdDsa => Kind::Ed25519,
    }
}

/// RFC 7517 sections 4.2 and 4.3.
fn check_use(members: &Map<String, Value>) -> Result<(), KeyFault> {
    match text(members, "use")? {
        None | Some("sig") => {}
        Some(_) => return Err(KeyFault::Use),
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|op| op == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(KeyFault::Use),
        Some(_) => Err(KeyFault::Malformed),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, KeyFault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyFault::Malformed),
    }
}

fn bytes(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyFault> {
    let text = text(members, name)?.ok_or(KeyFault::Malformed)?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| KeyFault::Malformed)
}

fn rsa(members: &Map<String, Value>) -> Result<(Kind, DecodingKey), KeyFault> {
    let modulus = without_leading_zeros(bytes(members, "n")?);
    let exponent = without_leading_zeros(bytes(members, "e")?);
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let bits = modulus.first().map_or(0, |first| {
        modulus.len().saturating_mul(8) - usize::try_from(first.leading_zeros()).unwrap_or_default()
    });
    // An exponent of 1 makes every padded message its own signature; above 2^33 the library
    // refuses, for the time it takes.
    let sound_exponent = odd(&exponent) && exponent != [1] && exponent.len() <= 4;
    if RSA_BITS.contains(&bits) && odd(&modulus) && sound_exponent {
        let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
        Ok((Kind::Rsa, key))
    } else {
        Err(KeyFault::WeakRsa)
    }
}

/// RFC 7518 section 2 forbids leading zeros; providers write them all the same.
fn without_leading_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|&byte| byte == 0).collect()
}

/// The uncompressed point (SEC 1 section 2.3.3); coordinates have their full length (RFC 7518
/// section 6.2.1.2).
fn ec(members: &Map<String, Value>, kind: Kind) -> Result<(Kind, DecodingKey), KeyFault> {
    let (length, verification) = match kind {
        Kind::P384 => (48, &ECDSA_P384_SHA384_FIXED),
        Kind::P256 | Kind::Rsa | Kind::Ed25519 => (32, &ECDSA_P256_SHA256_FIXED),
    };
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    if x.len() != length || y.len() != length {
        return Err(KeyFault::Point);
    }
    let mut point = vec![4];
    point.extend(x);
    point.extend(y);
    // Parsing holds the point to the curve's equation.
    if UnparsedPublicKey::new(verification, &point)
        .parse()
        .is_err()
    {
        return Err(KeyFault::Point);
    }
    Ok((kind, DecodingKey::from_ec_der(&point)))
}

fn ed25519(members: &Map<String, Value>) -> Result<(Kind, DecodingKey), KeyFault> {
    let point: [u8; 32] = bytes(members, "x")?
        .try_into()
        .map_err(|_| KeyFault::Point)?;
    if is_small_or_odd_point(point) || UnparsedPublicKey::new(&ED25519, point).parse().is_err() {
        return Err(KeyFault::Point);
    }
    Ok((Kind::Ed25519, DecodingKey::from_ed_der(&point)))
}

/// Under a key of small order one signature fits many messages. The y coordinates of the eight
/// such points, little-endian and without the sign bit; and any y that is not reduced modulo
/// 2^255 - 19, of which the small points have further spellings (RFC 8032 section 5.1.3).
fn is_small_or_odd_point(point: [u8; 32]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let [first, middle @ .., last] = point;
    let last = last & 0x7f;
    // From p - 1 = 2^255 - 20 (of order 2) upwards: nothing above it is reduced.
    let at_the_top = first >= 0xec && middle.iter().all(|&b| b == 0xff) && last == 0x7f;
    // 0 has order 4, 1 is the neutral point.
    let at_the_bottom = first <= 1 && middle.iter().all(|&b| b == 0) && last == 0;
    let of_order_8 = ORDER_8.iter().any(|[small_first, small @ .., small_last]| {
        *small_first == first && *small == middle && small_last & 0x7f == last
    });
    at_the_top || at_the_bottom || of_order_8
}

#[cfg(test)]
mod tests;
