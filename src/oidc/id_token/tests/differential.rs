//! Our verdict beside that of `jsonwebtoken::decode`: whatever we accept, it accepts too. We are
//! stricter in many ways, and never looser.

use jsonwebtoken::{DecodingKey, Validation};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::clock::Clock;
use crate::oidc::forge::kid;

fn decoding_key(algorithm: Algorithm) -> DecodingKey {
    let jwk = match algorithm {
        Es256 => HONEST.p256_jwk("k"),
        Algorithm::Es384 => HONEST.p384_jwk("k"),
        EdDsa => HONEST.ed25519_jwk("k"),
        _ => HONEST.rsa_jwk("k"),
    };
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).unwrap();
    DecodingKey::from_jwk(&jwk).unwrap()
}

/// What the library says, with everything on that it has.
fn library_accepts(raw: &str, algorithm: Algorithm, skew: Duration) -> bool {
    let mut validation = Validation::new(algorithm.in_jsonwebtoken());
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[CLIENT_ID]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = skew.as_secs();
    jsonwebtoken::decode::<Value>(raw, &decoding_key(algorithm), &validation).is_ok()
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    proptest::sample::select(Algorithm::ALL.to_vec())
}

fn odd_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!(1e300)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>()
            .prop_filter("JSON", |number| number.is_finite())
            .prop_map(|number| json!(number)),
        "[a-z0-9]{1,12}".prop_map(|text| json!(text)),
        Just(json!([CLIENT_ID])),
        Just(json!([CLIENT_ID, "other"])),
        Just(json!(CLIENT_ID)),
        Just(json!(ISSUER)),
        Just(json!([ISSUER])),
    ]
}

/// A claim's name and what to do with it: another value, a time near now, or nothing at all.
fn changes() -> impl Strategy<Value = (&'static str, Option<Value>, i64)> {
    let names = proptest::sample::select(vec![
        "iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "sid", "x",
    ]);
    // Seconds from now, kept clear of the skew's edges: the library reads the clock itself.
    let near = prop_oneof![-4000..-90_i64, -20..-5_i64, 5..20_i64, 90..4000_i64];
    (names, proptest::option::of(odd_values()), near)
}

fn header_changes() -> impl Strategy<Value = Option<(&'static str, Value)>> {
    let names = proptest::sample::select(vec![
        "typ", "kid", "crit", "b64", "alg", "cty", "jku", "x5u", "x5c", "x5t", "x",
    ]);
    let values = prop_oneof![
        odd_values(),
        Just(json!("JWT")),
        Just(json!("RS256")),
        Just(json!("HS256")),
        Just(json!("none"))
    ];
    proptest::option::weighted(0.3, (names, values))
}

/// What is done to the finished token: nothing, a character changed, or a piece put in.
fn damages() -> impl Strategy<Value = Option<(usize, String)>> {
    let pieces = prop_oneof!["[A-Za-z0-9_-]", Just(String::new()), "[=.+/ \n]"];
    proptest::option::weighted(0.2, (any::<proptest::sample::Index>(), pieces))
        .prop_map(|damage| damage.map(|(at, piece)| (at.index(600), piece)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_we_accept_the_library_accepts_too(
        algorithm in algorithms(),
        change in proptest::option::weighted(0.8, changes()),
        header_change in header_changes(),
        damage in damages(),
    ) {
        let now = Clock::system().now();
        let mut payload = claims();
        payload["iat"] = json!(now.as_seconds() - 10);
        payload["exp"] = json!(now.as_seconds() + 600);
        match change {
            Some((name, Some(value), _)) => payload[name] = value,
            Some((name @ ("exp" | "iat" | "nbf"), None, near)) => {
                payload[name] = json!(now.as_seconds() + near);
            }
            Some((name, None, _)) => {
                payload.as_object_mut().unwrap().remove(name);
            }
            None => {}
        }
        let mut head = json!({ "alg": algorithm.as_str(), "kid": kid(algorithm), "typ": "JWT" });
        if let Some((name, value)) = header_change {
            head[name] = value;
        }
        let mut raw = HONEST.token(algorithm, &head.to_string(), &payload.to_string());
        if let Some((at, piece)) = damage {
            let at = at.min(raw.len() - 1);
            raw.replace_range(at..=at, &piece);
        }
        let ours = verify(&raw, &HONEST.published(), &expectations(), now);
        let library = library_accepts(&raw, algorithm, SKEW);
        prop_assert!(ours.is_err() || library, "looser than the library: {raw}");
    }
}

// The property above is not empty: an honest token passes both, for every algorithm.
#[test]
fn both_accept_an_honest_token() {
    let now = Clock::system().now();
    let mut payload = claims();
    payload["iat"] = json!(now.as_seconds());
    payload["exp"] = json!(now.as_seconds() + 600);
    for algorithm in Algorithm::ALL {
        let raw = token(algorithm, &payload);
        assert!(verify(&raw, &HONEST.published(), &expectations(), now).is_ok());
        assert!(library_accepts(&raw, algorithm, SKEW));
    }
}

// Why there are rules of ours: each of these passes the library, with everything on that it has.
#[test]
fn the_library_alone_accepts_what_we_refuse() {
    let now = Clock::system().now().as_seconds();
    let accepted_by_the_library_alone = |head: Value, change: fn(&mut Value)| {
        let mut payload = claims();
        payload["iat"] = json!(now);
        payload["exp"] = json!(now + 600);
        change(&mut payload);
        let raw = HONEST.token(Es256, &head.to_string(), &payload.to_string());
        let moment = UnixTime::from_seconds(now);
        let ours = verify(&raw, &HONEST.published(), &expectations(), moment);
        library_accepts(&raw, Es256, SKEW) && ours.is_err()
    };
    let head = |name: &str, value: Value| {
        let mut head = json!({ "alg": "ES256", "kid": "e1" });
        head[name] = value;
        head
    };
    let plain = || head("typ", json!("JWT"));
    assert!(accepted_by_the_library_alone(
        head("crit", json!(["x"])),
        |_| ()
    ));
    assert!(accepted_by_the_library_alone(
        head("typ", json!("logout+jwt")),
        |_| ()
    ));
    let changes: [fn(&mut Value); 5] = [
        |claims| claims["nonce"] = json!("x"),
        |claims| claims["aud"] = json!([CLIENT_ID, "stranger"]),
        |claims| claims["azp"] = json!("stranger"),
        |claims| claims["iat"] = json!("long ago"),
        |claims| claims["sub"] = json!("a\nb"),
    ];
    for change in changes {
        assert!(accepted_by_the_library_alone(plain(), change));
    }
}
