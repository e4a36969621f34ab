//! Test support: a provider's keys, metadata and tokens, honest and forged, without any socket.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::authorization::{Attempt, LoginParameters, Randomness};
use super::client::{Client, Registration, TokenEndpointAuthMethod};
use super::endpoint::EndpointRules;
use super::jwks::Jwks;
use super::metadata::{Oauth2Endpoints, ProviderMetadata};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;

pub(super) const ISSUER: &str = "https://i.test/tenant";
pub(super) const CLIENT_ID: &str = "dashboards";
pub(super) const REDIRECT_URI: &str = "https://dash.test/oauth2/callback";
pub(super) const STATE: &str = "state-of-this-login-0123456789abcdef";
pub(super) const NONCE: &str = "nonce-of-this-login-0123456789abcdef";
pub(super) const VERIFIER: &str = "verifier-of-this-login-0123456789abcdef-0123";
pub(super) const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
pub(super) const TEN_MINUTES: Duration = Duration::from_mins(10);

/// A private key of each kind, made once a test run.
pub(super) struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

pub(super) static HONEST: LazyLock<Keys> = LazyLock::new(Keys::generate);
/// The keys of somebody else.
pub(super) static ATTACKER: LazyLock<Keys> = LazyLock::new(Keys::generate);

impl Keys {
    fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let encoding = match algorithm {
            Algorithm::Es256 => return self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            Algorithm::Es384 => return self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            Algorithm::EdDsa => return self.ed25519.sign(message).as_ref().to_vec(),
            Algorithm::Rs256 => &RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_SHA512,
            Algorithm::Ps256 => &RSA_PSS_SHA256,
            Algorithm::Ps384 => &RSA_PSS_SHA384,
            Algorithm::Ps512 => &RSA_PSS_SHA512,
        };
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa
            .sign(encoding, &random, message, &mut signature)
            .unwrap();
        signature
    }

    pub(super) fn rsa_modulus(&self) -> Vec<u8> {
        let public = self.rsa.public_key();
        public.modulus().big_endian_without_leading_zero().to_vec()
    }

    pub(super) fn rsa_jwk(&self, kid: &str) -> Value {
        let exponent = self.rsa.public_key().exponent();
        json!({
            "kty": "RSA", "kid": kid, "use": "sig",
            "n": base64url(self.rsa_modulus()),
            "e": base64url(exponent.big_endian_without_leading_zero()),
        })
    }

    pub(super) fn p256_jwk(&self, kid: &str) -> Value {
        ec_jwk("P-256", kid, self.p256.public_key().as_ref())
    }

    pub(super) fn p384_jwk(&self, kid: &str) -> Value {
        ec_jwk("P-384", kid, self.p384.public_key().as_ref())
    }

    pub(super) fn ed25519_jwk(&self, kid: &str) -> Value {
        let x = base64url(self.ed25519.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
    }

    /// The set as the provider publishes it: `r1`, `e1`, `e2`, `d1`.
    pub(super) fn published(&self) -> Jwks {
        jwks(&[
            self.rsa_jwk("r1"),
            self.p256_jwk("e1"),
            self.p384_jwk("e2"),
            self.ed25519_jwk("d1"),
        ])
    }

    /// A token over these texts as they are.
    pub(super) fn token(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(payload));
        let signature = base64url(self.sign(algorithm, message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// The `kid` under which [`Keys::published`] has the key for `algorithm`.
pub(super) fn kid(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "e1",
        Algorithm::Es384 => "e2",
        Algorithm::EdDsa => "d1",
        _ => "r1",
    }
}

/// The header of an honest token.
pub(super) fn header(algorithm: Algorithm) -> String {
    json!({ "alg": algorithm.as_str(), "kid": kid(algorithm), "typ": "JWT" }).to_string()
}

/// The claims of an honest ID token of this login.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": CLIENT_ID, "nonce": NONCE,
        "iat": NOW.as_seconds() - 1, "exp": NOW.as_seconds() + 300,
    })
}

pub(super) fn jwks(keys: &[Value]) -> Jwks {
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn ec_jwk(curve: &str, kid: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "kid": kid, "x": base64url(x), "y": base64url(y) })
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn base64url_bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The provider's discovery document, changed by `change`.
pub(super) fn document_with(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://i.test/tenant/auth",
        "token_endpoint": "https://i.test/tenant/token",
        "userinfo_endpoint": "https://i.test/tenant/me",
        "jwks_uri": "https://i.test/tenant/jwks",
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256"],
        "code_challenge_methods_supported": ["S256", "plain"],
    });
    change(&mut document);
    document.to_string().into_bytes()
}

pub(super) fn metadata_with(change: impl FnOnce(&mut Value)) -> ProviderMetadata {
    ProviderMetadata::parse(
        &document_with(change),
        ISSUER,
        EndpointRules::HttpsOrLoopback,
    )
    .unwrap()
}

pub(super) fn metadata() -> ProviderMetadata {
    metadata_with(|_| ())
}

pub(super) fn oauth2_metadata() -> ProviderMetadata {
    let endpoints = Oauth2Endpoints {
        issuer: "https://github.test".to_owned(),
        authorization_endpoint: "https://github.test/login/oauth/authorize".to_owned(),
        token_endpoint: "https://github.test/login/oauth/access_token".to_owned(),
        userinfo_endpoint: "https://api.github.test/user".to_owned(),
        revocation_endpoint: None,
        end_session_endpoint: None,
    };
    ProviderMetadata::of_oauth2(&endpoints, EndpointRules::HttpsOrLoopback).unwrap()
}

pub(super) fn client() -> Client {
    client_with(|_| ())
}

pub(super) fn client_with(change: impl FnOnce(&mut Registration)) -> Client {
    let mut registration = Registration {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(Secret::new("s3cret".to_owned())),
        auth_method: TokenEndpointAuthMethod::Automatic,
        redirect_uri: REDIRECT_URI.to_owned(),
        scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
        authorization_parameters: Vec::new(),
    };
    change(&mut registration);
    Client::new(registration).unwrap()
}

/// The first attempt of a login at the provider `corp`.
pub(super) fn attempt() -> Attempt {
    Attempt {
        provider: "corp".to_owned(),
        randomness: Randomness {
            state: Secret::new(STATE.to_owned()),
            nonce: Secret::new(NONCE.to_owned()),
            code_verifier: Secret::new(VERIFIER.to_owned()),
        },
        parameters: LoginParameters::default(),
        return_to: "/dash?panel=1".to_owned(),
        started_at: NOW,
        number: 0,
    }
}
