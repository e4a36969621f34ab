use serde_json::json;

use super::*;
use crate::oidc::forge::{HONEST, base64url, jwks};

/// Parses a set of an honest P-256 key and `key`, and says what became of the latter.
fn verdict(key: &Value) -> Result<(), KeyFault> {
    let set = json!({ "keys": [HONEST.p256_jwk("honest"), key] }).to_string();
    let set = Jwks::parse(set.as_bytes()).unwrap();
    match set.left_out() {
        [] => Ok(()),
        [LeftOut { position: 1, fault }] => Err(*fault),
        other => panic!("{other:?}"),
    }
}

fn changed(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn rsa_of(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({ "kty": "RSA", "n": base64url(modulus), "e": base64url(exponent) })
}

fn ed25519_of(x: &[u8]) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(x) })
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn every_kind_that_is_taken_is_usable() {
    let set = HONEST.published();
    assert_eq!((set.usable(), set.left_out().len()), (4, 0));
    let rsa = HONEST.rsa_jwk("r");
    assert_eq!(
        verdict(&changed(rsa.clone(), "key_ops", json!(["verify"]))),
        Ok(())
    );
    assert_eq!(
        verdict(&changed(rsa.clone(), "x5c", json!(["MIIB"]))),
        Ok(())
    );
    // A leading zero in `n` is against the letter, and common.
    let mut modulus = vec![0];
    modulus.extend(HONEST.rsa_modulus());
    assert_eq!(verdict(&rsa_of(&modulus, &[1, 0, 1])), Ok(()));
}

// C4, D5: a key that is not for signatures, or not of a kind that is taken, is left out, and the
// others stay.
#[test]
fn a_key_that_is_not_for_our_signatures_is_left_out() {
    let rsa = || HONEST.rsa_jwk("r");
    for (key, fault) in [
        (changed(rsa(), "use", json!("enc")), KeyFault::Use),
        (changed(rsa(), "use", json!("SIG")), KeyFault::Use),
        (changed(rsa(), "use", json!(1)), KeyFault::Malformed),
        (changed(rsa(), "key_ops", json!(["sign"])), KeyFault::Use),
        (changed(rsa(), "key_ops", json!([])), KeyFault::Use),
        (
            changed(rsa(), "key_ops", json!("verify")),
            KeyFault::Malformed,
        ),
        (
            changed(rsa(), "alg", json!("RSA-OAEP")),
            KeyFault::Algorithm,
        ),
        (changed(rsa(), "alg", json!("HS256")), KeyFault::Algorithm),
        (changed(rsa(), "alg", json!("ES256")), KeyFault::Algorithm),
        (
            changed(HONEST.p256_jwk("e"), "alg", json!("ES384")),
            KeyFault::Algorithm,
        ),
        (changed(rsa(), "d", json!("AQAB")), KeyFault::Private),
        (changed(rsa(), "kid", json!(7)), KeyFault::Malformed),
        (
            changed(rsa(), "kid", json!("k".repeat(1025))),
            KeyFault::Malformed,
        ),
        (json!({ "kty": "oct", "k": "c2VjcmV0" }), KeyFault::Kind),
        (json!({ "kty": "oct" }), KeyFault::Kind),
        (json!({ "kty": "unheard-of" }), KeyFault::Kind),
        (
            json!({ "kty": "OKP", "crv": "X25519", "x": "" }),
            KeyFault::Kind,
        ),
        (
            json!({ "kty": "EC", "crv": "P-521", "x": "", "y": "" }),
            KeyFault::Kind,
        ),
        (
            changed(HONEST.p256_jwk("e"), "crv", json!("secp256k1")),
            KeyFault::Kind,
        ),
        (json!({ "kid": "x" }), KeyFault::Malformed),
        (json!({ "kty": 1 }), KeyFault::Malformed),
        (json!("RSA"), KeyFault::Malformed),
        (json!(null), KeyFault::Malformed),
    ] {
        assert_eq!(verdict(&key), Err(fault), "{key}");
    }
}

// C10: weak RSA keys.
#[test]
fn a_weak_rsa_key_is_left_out() {
    let sound = HONEST.rsa_modulus();
    let mut even = sound.clone();
    *even.last_mut().unwrap() &= 0xfe;
    let mut short = vec![0x7f];
    short.extend(&sound[1..]); // 2047 bits
    let mut longest = vec![0xff; 1024];
    let too_long = vec![0xff; 1025];
    *longest.last_mut().unwrap() = 0x01;
    for (key, expected) in [
        (rsa_of(&sound, &[3]), Ok(())),
        (rsa_of(&longest, &[1, 0, 1]), Ok(())),
        (rsa_of(&short, &[1, 0, 1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound[..128], &[1, 0, 1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&too_long, &[1, 0, 1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&even, &[1, 0, 1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound, &[1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound, &[0, 1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound, &[0]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound, &[]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound, &[1, 0, 0]), Err(KeyFault::WeakRsa)),
        (rsa_of(&sound, &[1, 0, 0, 0, 1]), Err(KeyFault::WeakRsa)),
        (rsa_of(&[], &[1, 0, 1]), Err(KeyFault::WeakRsa)),
        (
            json!({ "kty": "RSA", "n": "AQAB=", "e": "AQAB" }),
            Err(KeyFault::Malformed),
        ),
        (
            json!({ "kty": "RSA", "n": "AQAB" }),
            Err(KeyFault::Malformed),
        ),
    ] {
        assert_eq!(verdict(&key), expected, "{key}");
    }
}

// C10, C28: a point that is not on its curve, or has another length, is no key.
#[test]
fn a_bad_elliptic_curve_point_is_left_out() {
    for (sound, other) in [
        (HONEST.p256_jwk("a"), HONEST.p384_jwk("b")),
        (HONEST.p384_jwk("a"), HONEST.p256_jwk("b")),
    ] {
        let y = bytes(sound.as_object().unwrap(), "y").unwrap();
        let mut flipped = y.clone();
        flipped[0] ^= 1;
        let mut padded = vec![0];
        padded.extend(&y);
        for (name, value) in [
            ("y", base64url(&flipped)),
            ("y", base64url(&padded)),
            ("y", base64url(&y[1..])),
            ("y", base64url(vec![0; y.len()])),
            ("x", base64url(vec![0xff; y.len()])),
            ("y", String::new()),
        ] {
            let key = changed(sound.clone(), name, json!(value));
            assert_eq!(verdict(&key), Err(KeyFault::Point), "{key}");
        }
        // The same bytes, cut elsewhere.
        let x = bytes(sound.as_object().unwrap(), "x").unwrap();
        let longer = [&x, &y[..1]].concat();
        let moved = changed(sound.clone(), "x", json!(base64url(longer)));
        let moved = changed(moved, "y", json!(base64url(&y[1..])));
        assert_eq!(verdict(&moved), Err(KeyFault::Point));
        let wrong_curve = changed(sound, "crv", other["crv"].clone());
        assert_eq!(verdict(&wrong_curve), Err(KeyFault::Point));
    }
    let zero = changed(
        changed(HONEST.p256_jwk("z"), "x", json!(base64url([0; 32]))),
        "y",
        json!(base64url([0; 32])),
    );
    assert_eq!(verdict(&zero), Err(KeyFault::Point));
}

// C10: under a key of small order one signature fits any message, so no such key is taken, in any
// of its spellings.
#[test]
fn an_ed25519_key_of_small_order_is_left_out() {
    for y in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        let mut point = hex(y);
        assert_eq!(verdict(&ed25519_of(&point)), Err(KeyFault::Point), "{y}");
        point[31] |= 0x80;
        assert_eq!(verdict(&ed25519_of(&point)), Err(KeyFault::Point), "-{y}");
    }
    let x = bytes(HONEST.ed25519_jwk("d").as_object().unwrap(), "x").unwrap();
    assert_eq!(verdict(&ed25519_of(&x)), Ok(()));
    assert_eq!(verdict(&ed25519_of(&x[1..])), Err(KeyFault::Point));
}

// The danger is real: without the rule above, a signature made without any private key is good.
#[test]
fn a_small_order_key_would_verify_a_signature_that_nobody_made() {
    let neutral = hex("0100000000000000000000000000000000000000000000000000000000000000");
    let signature: Vec<u8> = neutral.iter().copied().chain([0; 32]).collect();
    let good = UnparsedPublicKey::new(&ED25519, &neutral).verify(b"anything", &signature);
    assert!(good.is_ok());
}

// D5: a huge set costs little, and a set without a usable key is no set.
#[test]
fn a_set_is_bounded() {
    let many: Vec<_> = (0..10_000)
        .map(|at| json!({ "kty": "oct", "k": at.to_string() }))
        .collect();
    let set = json!({ "keys": many }).to_string();
    assert_eq!(
        Jwks::parse(set.as_bytes()).unwrap_err(),
        JwksError::NoneUsable(10_000)
    );
    let key = HONEST.p256_jwk("e");
    let set = jwks(&vec![key.clone(); 150]);
    assert_eq!(set.usable(), 100);
    let huge = json!({ "keys": [key], "x": "x".repeat(1024 * 1024) }).to_string();
    assert_eq!(
        Jwks::parse(huge.as_bytes()).unwrap_err(),
        JwksError::Json(JsonError::TooLarge { limit: 1024 * 1024 })
    );
    for (text, fault) in [
        (r#"{"keys":[]}"#, JwksError::NoneUsable(0)),
        (r"{}", JwksError::NoKeys),
        (r#"{"keys":{}}"#, JwksError::NoKeys),
        ("<html>", JwksError::Json(JsonError::Malformed)),
        (
            r#"{"keys":[],"keys":[]}"#,
            JwksError::Json(JsonError::DuplicateMember),
        ),
    ] {
        assert_eq!(Jwks::parse(text.as_bytes()).unwrap_err(), fault, "{text}");
    }
    let deep = format!(r#"{{"keys":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(
        Jwks::parse(deep.as_bytes()).unwrap_err(),
        JwksError::Json(JsonError::TooDeep)
    );
}

// C4, C7: which keys may have signed a token.
#[test]
fn keys_are_chosen_by_kid_kind_and_algorithm() {
    let named = |set: &Jwks, algorithm, kid| {
        set.select(algorithm, kid)
            .map(|keys| keys.iter().filter_map(|key| key.kid.clone()).collect())
    };
    let set = jwks(&[
        HONEST.rsa_jwk("r1"),
        changed(HONEST.rsa_jwk("r2"), "alg", json!("PS256")),
        HONEST.p256_jwk("e1"),
        HONEST.p256_jwk("same"),
        HONEST.rsa_jwk("same"),
    ]);
    let list = |names: &[&str]| Ok(names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>());
    assert_eq!(named(&set, Algorithm::Rs256, Some("r1")), list(&["r1"]));
    assert_eq!(named(&set, Algorithm::Rs256, None), list(&["r1", "same"]));
    assert_eq!(
        named(&set, Algorithm::Ps256, None),
        list(&["r1", "r2", "same"])
    );
    assert_eq!(named(&set, Algorithm::Es256, Some("same")), list(&["same"]));
    for (algorithm, kid, fault) in [
        (Algorithm::Rs256, Some("nobody"), SelectError::Unknown),
        (Algorithm::Rs256, Some(""), SelectError::Unknown),
        (Algorithm::Rs256, Some("R1"), SelectError::Unknown),
        (Algorithm::EdDsa, None, SelectError::Unknown),
        (Algorithm::Es256, Some("r1"), SelectError::Unfit),
        (Algorithm::Es384, Some("e1"), SelectError::Unfit),
        (Algorithm::Rs256, Some("r2"), SelectError::Unfit),
    ] {
        assert_eq!(named(&set, algorithm, kid), Err(fault), "{kid:?}");
    }
}

// C7: without a kid, or with one that many keys share, the work is bounded.
#[test]
fn no_more_than_eight_keys_are_tried() {
    let set = jwks(&vec![HONEST.p256_jwk("e"); 20]);
    for kid in [None, Some("e")] {
        assert_eq!(set.select(Algorithm::Es256, kid).unwrap().len(), 8);
    }
}
