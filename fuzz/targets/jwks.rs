//! A key set has only keys that may verify, and none that says yes to what nobody signed.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sidegate::oidc::algorithm::Algorithm;
use sidegate::oidc::jwks::Jwks;
use sidegate::oidc::jws::{TokenType, verify};

use super::Outcome;

const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const MOST_KEYS: usize = 100;

/// Any bytes as a key set.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(set) = Jwks::parse(data) else {
        return Outcome::Refused;
    };
    let document: Value = serde_json::from_slice(data).expect("JSON");
    let keys = document["keys"].as_array().expect("keys");
    let left_out: BTreeSet<usize> = set.left_out().iter().map(|key| key.position).collect();
    assert_eq!(
        left_out.len(),
        set.left_out().len(),
        "a key is left out twice"
    );
    assert_eq!(set.usable() + left_out.len(), keys.len().min(MOST_KEYS));
    assert!(set.usable() > 0);
    for (position, key) in keys.iter().enumerate().take(MOST_KEYS) {
        if !left_out.contains(&position) {
            assert!(
                PRIVATE.iter().all(|name| key.get(name).is_none()),
                "a private key is used"
            );
            assert!(matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP")));
            assert!(key.get("use").is_none_or(|purpose| purpose == "sig"));
        }
    }
    for algorithm in Algorithm::ALL {
        let selected = set.select(algorithm, None).map_or(0, |keys| keys.len());
        assert!(selected <= 8 && selected <= set.usable());
        for key in keys {
            if let Some(kid) = key["kid"].as_str() {
                let named = set
                    .select(algorithm, Some(kid))
                    .map_or(0, |keys| keys.len());
                assert!(named <= 8);
            }
        }
        for signature in signatures(algorithm) {
            let header = format!(r#"{{"alg":"{}"}}"#, algorithm.as_str());
            let token =
                [header.as_bytes(), b"{}", &signature].map(|part| URL_SAFE_NO_PAD.encode(part));
            let token = token.join(".");
            let verified = verify(&token, &set, TokenType::ID_TOKEN, &[algorithm]);
            assert!(
                verified.is_err(),
                "{} says yes to a guess",
                algorithm.as_str()
            );
        }
    }
    Outcome::Accepted
}

/// What a weak or strange key might take for a signature: nothing at all, zeros, a one at either end,
/// the neutral point.
fn signatures(algorithm: Algorithm) -> Vec<Vec<u8>> {
    let len = match algorithm {
        Algorithm::Es256 | Algorithm::EdDsa => 64,
        Algorithm::Es384 => 96,
        _ => 256,
    };
    let zeros = vec![0; len];
    let with = |at: usize| {
        let mut signature = zeros.clone();
        signature[at] = 1;
        signature
    };
    vec![
        with(0),
        with(len - 1),
        with(len / 2),
        vec![0xFF; len],
        zeros,
    ]
}
