//! Opens a token that the honest engine signed, and signs another in its place.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sidegate::base::entropy::Entropy;
use sidegate::demo::provider::Provider;
use sidegate::demo::provider::signing::{self, SigningAlgorithm, SigningKeys, signing_input};

use super::FOREIGN_KEYS;

/// A token before it is signed.
pub(super) struct Draft {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    pub(super) signature: Signature,
    algorithm: SigningAlgorithm,
    kids: [(SigningAlgorithm, String); 2],
}

/// How a token is signed.
pub(super) enum Signature {
    /// With the provider's own key.
    Right,
    /// So, and then spoilt.
    Broken,
    /// With a key that the provider does not have.
    Foreign,
    /// Not at all.
    Missing,
    /// With the provider's public RSA key as the secret of an HMAC.
    HmacWithPublicKey,
    /// With this secret of an HMAC.
    Hmac(Vec<u8>),
}

impl Draft {
    /// Opens an honest token.
    fn open(keys: &SigningKeys, raw: &str) -> Self {
        let header: Map<String, Value> = decode(raw.split('.').next().unwrap());
        let algorithm = match header["alg"].as_str() {
            Some("ES256") => SigningAlgorithm::Es256,
            _ => SigningAlgorithm::Rs256,
        };
        Self {
            header,
            claims: keys.open(raw).expect("the engine signs with its own keys"),
            signature: Signature::Right,
            algorithm,
            kids: [SigningAlgorithm::Rs256, SigningAlgorithm::Es256]
                .map(|algorithm| (algorithm, keys.kid(algorithm).to_owned())),
        }
    }

    /// Changes to another of the provider's keys.
    pub(super) fn sign_by(&mut self, algorithm: SigningAlgorithm) {
        self.algorithm = algorithm;
        let (_, kid) = self.kids.iter().find(|(of, _)| *of == algorithm).unwrap();
        self.header
            .insert("alg".to_owned(), algorithm.as_str().into());
        self.header.insert("kid".to_owned(), kid.as_str().into());
    }

    fn sign(self, keys: &SigningKeys) -> String {
        let (header, claims) = (Value::Object(self.header), Value::Object(self.claims));
        let by = |keys: &SigningKeys| keys.sign(self.algorithm, &header, &claims).unwrap();
        match self.signature {
            Signature::Right => by(keys),
            Signature::Foreign => by(&FOREIGN_KEYS),
            Signature::Missing => format!("{}.", signing_input(&header, &claims)),
            Signature::Broken => {
                let raw = by(keys);
                let (input, signature) = raw.rsplit_once('.').unwrap();
                let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
                signature[0] ^= 1;
                format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
            }
            Signature::HmacWithPublicKey => with_hmac(&public_pem(keys), &header, &claims),
            Signature::Hmac(secret) => with_hmac(&secret, &header, &claims),
        }
    }
}

/// Changes the ID token of a token answer, if there is one.
pub(super) fn id_token(
    provider: &Provider,
    answer: &mut Map<String, Value>,
    change: impl FnOnce(&mut Draft),
) {
    let keys = provider.keys();
    if let Some(raw) = answer.get("id_token").and_then(Value::as_str) {
        let mut draft = Draft::open(&keys, raw);
        change(&mut draft);
        answer.insert("id_token".to_owned(), draft.sign(&keys).into());
    }
}

/// A userinfo answer as a signed JWT.
pub(super) fn signed_userinfo(provider: &Provider, claims: &Map<String, Value>) -> String {
    let keys = provider.keys();
    let mut claims = claims.clone();
    claims.insert("iss".to_owned(), provider.issuer().into());
    let header = keys.header(SigningAlgorithm::Rs256, "JWT");
    keys.sign(SigningAlgorithm::Rs256, &header, &Value::Object(claims))
        .unwrap()
}

/// `at_hash` or `c_hash` of a value.
pub(super) fn half_hash(value: &str) -> Value {
    signing::half_hash(value).into()
}

/// A fresh `jti`.
pub(super) fn unguessable() -> String {
    Entropy::system().token().unwrap()
}

fn with_hmac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// The public RSA key as an operator would paste it (RFC 7468).
fn public_pem(keys: &SigningKeys) -> Vec<u8> {
    let encoded = STANDARD.encode(keys.public_der(SigningAlgorithm::Rs256).unwrap());
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in encoded.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap());
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem.into_bytes()
}

fn decode(part: &str) -> Map<String, Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
