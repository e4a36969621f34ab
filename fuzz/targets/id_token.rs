//! A token is believed only if it is signed, and then only if it says what it must say.
//!
//! The input is a header and, behind a line break, a payload; both are signed as they are. The same
//! bytes are offered as a token, too, which nobody signed.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sidegate::base::clock::UnixTime;
use sidegate::base::secret::Secret;
use sidegate::oidc::algorithm::Algorithm;
use sidegate::oidc::id_token::{Expectations, Nonce, verify};
use sidegate::oidc::jwks::Jwks;

use super::Outcome;

const ISSUER: &str = "https://i.test";
const CLIENT_ID: &str = "dashboards";
const NONCE: &str = "nonce-0123456789abcdef";
const NOW: i64 = 1_800_000_000;
const SKEW: f64 = 60.0;

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"));
static KEYS: LazyLock<Jwks> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(KEY.public_key().as_ref());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "d1", "x": x }] });
    Jwks::parse(set.to_string().as_bytes()).expect("a key set")
});
static SENT: LazyLock<Secret> = LazyLock::new(|| Secret::new(NONCE.to_owned()));

/// Any bytes as header and payload.
pub fn run(data: &[u8]) -> Outcome {
    let expected = Expectations {
        issuer: ISSUER,
        client_id: CLIENT_ID,
        nonce: Nonce::Sent(&SENT),
        max_age: None,
        trusted_audiences: &[],
        algorithms: &Algorithm::ALL,
        access_token: None,
        clock_skew: Duration::from_hours(1),
    };
    let now = UnixTime::from_seconds(NOW);
    let unsigned = String::from_utf8_lossy(data);
    assert!(
        verify(&unsigned, &KEYS, &expected, now).is_err(),
        "unsigned"
    );

    let at = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (header, payload) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(message.as_bytes()).as_ref());
    let token = format!("{message}.{signature}");
    let Ok(claims) = verify(&token, &KEYS, &expected, now) else {
        return Outcome::Refused;
    };

    check_header(&serde_json::from_slice(header).expect("a header"));
    let payload: Value = serde_json::from_slice(payload).expect("a payload");
    check_payload(&payload);
    assert_eq!(Some(claims.members()), payload.as_object());
    assert_eq!(
        (claims.issuer(), Some(claims.subject())),
        (ISSUER, payload["sub"].as_str())
    );
    assert!((1..=255).contains(&claims.subject().len()));
    assert!(!claims.subject().contains(char::is_control));
    assert_eq!(claims.sid(), payload["sid"].as_str());

    // The same token, with one character changed, or for another client, is nobody's.
    let place = data.iter().map(|byte| usize::from(*byte)).sum::<usize>() % token.len();
    let mut touched = token.clone().into_bytes();
    touched[place] = if touched[place] == b'A' { b'B' } else { b'A' };
    let touched = String::from_utf8(touched).expect("ASCII");
    assert!(
        verify(&touched, &KEYS, &expected, now).is_err(),
        "touched at {place}"
    );
    let other = Expectations {
        client_id: "other",
        ..expected
    };
    assert!(
        verify(&token, &KEYS, &other, now).is_err(),
        "for another client"
    );
    let strict = Expectations {
        algorithms: &[Algorithm::Rs256],
        ..expected
    };
    assert!(
        verify(&token, &KEYS, &strict, now).is_err(),
        "by another algorithm"
    );
    Outcome::Accepted
}

fn check_header(header: &Value) {
    assert!(matches!(header["alg"].as_str(), Some("EdDSA" | "Ed25519")));
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    let typ = header
        .get("typ")
        .map(|typ| typ.as_str().expect("a text").to_ascii_lowercase());
    assert!(typ.is_none_or(|typ| typ == "jwt" || typ == "application/jwt"));
    assert!(header.get("kid").is_none_or(|kid| kid == "d1"));
}

fn check_payload(payload: &Value) {
    let now: f64 = 1_800_000_000.0;
    let date = |name: &str| payload[name].as_f64();
    assert_eq!(payload["iss"], ISSUER);
    assert_eq!(payload["nonce"], NONCE);
    let ours = payload.get("azp").is_some();
    assert!(!ours || payload["azp"] == CLIENT_ID);
    match &payload["aud"] {
        Value::Array(all) => {
            assert!(all.iter().any(|one| one == CLIENT_ID));
            assert!(ours || all.iter().all(|one| one == CLIENT_ID));
        }
        one => assert_eq!(one, CLIENT_ID),
    }
    assert!(date("exp").is_some_and(|exp| exp > now - SKEW));
    assert!(date("iat").is_some_and(|iat| iat <= now + SKEW));
    assert!(payload.get("nbf").is_none() || date("nbf").is_some_and(|nbf| nbf <= now + SKEW));
}
