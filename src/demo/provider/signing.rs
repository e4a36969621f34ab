//! The provider's keys, what it signs with them, and how it knows its own signatures again.
//!
//! This is a second, independent way to a JWS beside the verifier of floor 1: the two meet in the
//! integration tests, so that neither can be wrong in the same way as the other. AWS-LC does the
//! arithmetic; here is only the compact form (RFC 7515 section 3.1).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// A signature algorithm of RFC 7518 section 3.1 that this provider has a key for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SigningAlgorithm {
    /// RSA, PKCS#1 version 1.5, SHA-256.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl SigningAlgorithm {
    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// One key for each algorithm.
pub struct SigningKeys {
    rsa: RsaKeyPair,
    rsa_jwk: Value,
    ec: EcdsaKeyPair,
    ec_jwk: Value,
}

/// A key could not be made, or did not sign: the cryptographic library refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused to make a key or to sign")]
pub struct SigningError;

impl SigningKeys {
    /// Makes a fresh RSA key of 2048 bits and a fresh P-256 key. AWS-LC draws the randomness.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses.
    pub fn generate() -> Result<Self, SigningError> {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError)?;
        let ec =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SigningError)?;
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public_key());
        let rsa_jwk = with_kid(
            json!({ "e": encode(&public.e), "kty": "RSA", "n": encode(&public.n) }),
            SigningAlgorithm::Rs256,
        );
        // An uncompressed point: 4, then x and y in 32 bytes each (SEC 1 section 2.3.3).
        let point = ec.public_key().as_ref().get(1..).ok_or(SigningError)?;
        let (x, y) = point.split_at_checked(32).ok_or(SigningError)?;
        let ec_jwk = with_kid(
            json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) }),
            SigningAlgorithm::Es256,
        );
        Ok(Self {
            rsa,
            rsa_jwk,
            ec,
            ec_jwk,
        })
    }

    /// The public key of `algorithm` as a JWK (RFC 7517) with `kid`, `use` and `alg`.
    #[must_use]
    pub fn jwk(&self, algorithm: SigningAlgorithm) -> &Value {
        match algorithm {
            SigningAlgorithm::Rs256 => &self.rsa_jwk,
            SigningAlgorithm::Es256 => &self.ec_jwk,
        }
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self, algorithm: SigningAlgorithm) -> &str {
        self.jwk(algorithm)
            .get("kid")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The public key of `algorithm` as a `SubjectPublicKeyInfo` (RFC 5280 section 4.1), DER.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses.
    pub fn public_der(&self, algorithm: SigningAlgorithm) -> Result<Vec<u8>, SigningError> {
        let der: PublicKeyX509Der<'_> = match algorithm {
            SigningAlgorithm::Rs256 => self.rsa.public_key().as_der(),
            SigningAlgorithm::Es256 => self.ec.public_key().as_der(),
        }
        .map_err(|_| SigningError)?;
        Ok(der.as_ref().to_vec())
    }

    /// The honest header of a token signed by `algorithm`.
    #[must_use]
    pub fn header(&self, algorithm: SigningAlgorithm, typ: &str) -> Value {
        json!({ "alg": algorithm.as_str(), "kid": self.kid(algorithm), "typ": typ })
    }

    /// Signs `claims` with the key of `algorithm` under `header`, whatever the header says.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        header: &Value,
        claims: &Value,
    ) -> Result<String, SigningError> {
        let input = signing_input(header, claims);
        let random = SystemRandom::new();
        let signature = match algorithm {
            SigningAlgorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                    .map_err(|_| SigningError)?;
                signature
            }
            SigningAlgorithm::Es256 => self
                .ec
                .sign(&random, input.as_bytes())
                .map_err(|_| SigningError)?
                .as_ref()
                .to_vec(),
        };
        Ok(format!("{input}.{}", encode(&signature)))
    }

    /// The claims of a token that one of these keys signed; nothing for any other. Says nothing
    /// about times.
    #[must_use]
    pub fn open(&self, raw: &str) -> Option<Map<String, Value>> {
        let (input, signature) = raw.rsplit_once('.')?;
        let (header, claims) = input.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let header = decode_object(header)?;
        let kid = header.get("kid")?.as_str()?;
        let algorithm = [SigningAlgorithm::Rs256, SigningAlgorithm::Es256]
            .into_iter()
            .find(|&algorithm| self.kid(algorithm) == kid)?;
        if header.get("alg")?.as_str()? != algorithm.as_str() {
            return None;
        }
        match algorithm {
            SigningAlgorithm::Rs256 => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.rsa.public_key().as_ref())
                    .verify(input.as_bytes(), &signature)
            }
            SigningAlgorithm::Es256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.ec.public_key().as_ref())
                    .verify(input.as_bytes(), &signature)
            }
        }
        .ok()?;
        decode_object(claims)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys")
            .field("rsa", &self.kid(SigningAlgorithm::Rs256))
            .field("ec", &self.kid(SigningAlgorithm::Es256))
            .finish_non_exhaustive()
    }
}

/// Header and claims as a JWS signs them (RFC 7515 section 5.1).
#[must_use]
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    )
}

/// The left half of the hash of `token`, as `at_hash` and `c_hash` want it for an algorithm on
/// SHA-256 (OpenID Connect Core section 3.1.3.6).
#[must_use]
pub fn half_hash(token: &str) -> String {
    let hash = digest(&SHA256, token.as_bytes());
    encode(hash.as_ref().get(..16).unwrap_or_default())
}

/// Makes a JWK of the required members of a public key. The `kid` is the key's thumbprint: RFC
/// 7638 hashes just these members, ordered by name and without spaces, which is how `serde_json`
/// writes a map.
fn with_kid(mut members: Value, algorithm: SigningAlgorithm) -> Value {
    let thumbprint = digest(&SHA256, members.to_string().as_bytes());
    if let Some(jwk) = members.as_object_mut() {
        jwk.insert("kid".to_owned(), encode(thumbprint.as_ref()).into());
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), algorithm.as_str().into());
    }
    members
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode_object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_with_the_keys_that_signed_it_and_no_other() {
        let (keys, others) = (
            SigningKeys::generate().unwrap(),
            SigningKeys::generate().unwrap(),
        );
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
            let header = keys.header(algorithm, "JWT");
            let raw = keys
                .sign(algorithm, &header, &json!({ "sub": "u-alice" }))
                .unwrap();
            assert_eq!(keys.open(&raw).unwrap()["sub"], "u-alice");
            assert!(others.open(&raw).is_none());
            // Same key id, other key.
            let forged = others
                .sign(algorithm, &header, &json!({ "sub": "u-alice" }))
                .unwrap();
            assert!(keys.open(&forged).is_none());
            // Same signature, other claims.
            let (_, signature) = raw.rsplit_once('.').unwrap();
            let changed = format!(
                "{}.{signature}",
                signing_input(&header, &json!({ "sub": "u-bob" }))
            );
            assert!(keys.open(&changed).is_none());
        }
        let unsigned = format!(
            "{}.",
            signing_input(
                &json!({ "alg": "none", "kid": keys.kid(SigningAlgorithm::Rs256) }),
                &json!({})
            )
        );
        assert!(keys.open(&unsigned).is_none());
        assert!(keys.open("").is_none() && keys.open("a.b").is_none());
    }

    #[test]
    fn the_half_hash_is_the_left_half_of_sha_256() {
        // SHA-256("abc") begins ba7816bf 8f01cfea 414140de 5dae2223 (FIPS 180-4).
        assert_eq!(half_hash("abc"), "ungWv48Bz-pBQUDeXa4iIw");
    }

    #[test]
    fn a_public_key_has_no_private_member() {
        let keys = SigningKeys::generate().unwrap();
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
            let jwk = keys.jwk(algorithm).as_object().unwrap();
            for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(!jwk.contains_key(member), "{member}");
            }
            assert_eq!(jwk["kid"].as_str().unwrap().len(), 43);
        }
    }
}
