use serde_json::json;

use super::*;
use crate::oidc::algorithm::Algorithm::{EdDsa, Es256, Es384, Rs256};
use crate::oidc::forge::{self, ATTACKER, HONEST, base64url, header, jwks};

const CLAIMS: &str = r#"{"sub":"alice"}"#;

fn check(token: &str) -> Result<Map<String, Value>, JwsError> {
    check_with(token, &HONEST.published())
}

fn check_with(token: &str, keys: &Jwks) -> Result<Map<String, Value>, JwsError> {
    verify(token, keys, TokenType::ID_TOKEN, &Algorithm::ALL).map(VerifiedPayload::into_members)
}

/// A token with this header, signed honestly as if the header named `algorithm`.
fn signed(algorithm: Algorithm, header: &str) -> String {
    HONEST.token(algorithm, header, CLAIMS)
}

fn fault(token: &str) -> JwsError {
    check(token).unwrap_err()
}

fn algorithm(name: &str) -> JwsError {
    JwsError::Algorithm {
        got: name.to_owned(),
    }
}

#[test]
fn an_honest_token_of_every_algorithm_is_accepted() {
    for algorithm in Algorithm::ALL {
        let token = signed(algorithm, &header(algorithm));
        assert_eq!(check(&token).unwrap()["sub"], "alice", "{algorithm:?}");
    }
}

// C1: nothing is accepted without a signature, however `none` is written.
#[test]
fn an_unsigned_token_is_refused() {
    for name in ["none", "None", "nOnE", "NONE", ""] {
        let head = json!({ "alg": name, "kid": "r1" }).to_string();
        let message = format!("{}.{}", base64url(&head), base64url(CLAIMS));
        assert_eq!(fault(&format!("{message}.")), JwsError::Form, "{name}");
        assert_eq!(fault(&signed(Rs256, &head)), algorithm(name));
    }
    for (head, expected) in [
        (r#"{"kid":"r1"}"#, JwsError::HeaderMember("alg")),
        (
            r#"{"alg":["RS256"],"kid":"r1"}"#,
            JwsError::HeaderMember("alg"),
        ),
        (r#"{"alg":null,"kid":"r1"}"#, JwsError::HeaderMember("alg")),
        (r#"{"alg":256,"kid":"r1"}"#, JwsError::HeaderMember("alg")),
        (r#"{"alg":"rs256","kid":"r1"}"#, algorithm("rs256")),
        (r#"{"alg":"RS256 ","kid":"r1"}"#, algorithm("RS256 ")),
        ("{}", JwsError::HeaderMember("alg")),
    ] {
        assert_eq!(fault(&signed(Rs256, head)), expected, "{head}");
    }
    let honest = signed(Rs256, &header(Rs256));
    let (message, _) = honest.rsplit_once('.').unwrap();
    assert_eq!(fault(&format!("{message}.")), JwsError::Form);
    assert_eq!(fault(message), JwsError::Form);
}

// C2, C3: no MAC is a signature, whatever public text it is keyed with.
#[test]
fn a_mac_keyed_with_public_material_is_refused() {
    use aws_lc_rs::hmac;
    let jwk = HONEST.rsa_jwk("r1");
    let modulus = HONEST.rsa_modulus();
    let spki = rsa_spki(&modulus);
    let pem = |label: &str, der: &[u8], end: &str| {
        use base64::engine::general_purpose::STANDARD;
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let body = lines.join("\n");
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----{end}").into_bytes()
    };
    let pkcs1 = &spki[24..];
    let keys: Vec<Vec<u8>> = vec![
        pem("RSA PUBLIC KEY", pkcs1, "\n"),
        pem("RSA PUBLIC KEY", pkcs1, ""),
        pem("PUBLIC KEY", &spki, "\n"),
        pem("PUBLIC KEY", &spki, ""),
        spki.clone(),
        pkcs1.to_vec(),
        jwk.to_string().into_bytes(),
        modulus,
        jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        vec![1, 0, 1],
        b"AQAB".to_vec(),
        b"RSA".to_vec(),
        b"RS256".to_vec(),
        b"s3cret".to_vec(), // the client secret
        Vec::new(),
    ];
    for kid in ["r1", "e1", "d1"] {
        let head = json!({ "alg": "HS256", "kid": kid }).to_string();
        let message = format!("{}.{}", base64url(&head), base64url(CLAIMS));
        for key in &keys {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
            let token = format!("{message}.{}", base64url(mac));
            assert_eq!(fault(&token), algorithm("HS256"));
            // The same bytes under an algorithm that is allowed.
            let claimed = json!({ "alg": "RS256", "kid": "r1" }).to_string();
            let message = format!("{}.{}", base64url(&claimed), base64url(CLAIMS));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
            let token = format!("{message}.{}", base64url(mac));
            assert_eq!(fault(&token), JwsError::Signature);
        }
    }
    // C3: a shared key in the provider's own set is no key of ours either.
    let set = json!({ "keys": [jwk, { "kty": "oct", "kid": "h1", "k": "c2VjcmV0" }] });
    let set = Jwks::parse(set.to_string().as_bytes()).unwrap();
    let head = r#"{"alg":"HS256","kid":"h1"}"#;
    let message = format!("{}.{}", base64url(head), base64url(CLAIMS));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
    let mac = hmac::sign(&key, message.as_bytes());
    let token = format!("{message}.{}", base64url(mac));
    assert_eq!(check_with(&token, &set).unwrap_err(), algorithm("HS256"));
}

/// The `SubjectPublicKeyInfo` of a 2048-bit RSA key with exponent 65537 (RFC 3279 section 2.3.1).
fn rsa_spki(modulus: &[u8]) -> Vec<u8> {
    let mut der = vec![
        0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
        0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82,
        0x01, 0x01, 0x00,
    ];
    der.extend(modulus);
    der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    der
}

// C4: an algorithm that is not on the list, or not the key's, is refused before the signature.
#[test]
fn an_algorithm_that_is_not_allowed_is_refused() {
    let token = signed(Es256, &header(Es256));
    let only_rsa = verify(&token, &HONEST.published(), TokenType::ID_TOKEN, &[Rs256]);
    assert_eq!(only_rsa.unwrap_err(), algorithm("ES256"));
    let none = verify(&token, &HONEST.published(), TokenType::ID_TOKEN, &[]);
    assert_eq!(none.unwrap_err(), algorithm("ES256"));

    let mut for_ps = HONEST.rsa_jwk("r1");
    for_ps["alg"] = json!("PS256");
    let set = jwks(&[for_ps]);
    let token = signed(Rs256, &header(Rs256));
    assert_eq!(check_with(&token, &set).unwrap_err(), JwsError::UnfitKey);

    // Kind and curve.
    for (alg, kid) in [
        ("ES256", "r1"),
        ("RS256", "e1"),
        ("ES384", "e1"),
        ("ES256", "e2"),
    ] {
        let head = json!({ "alg": alg, "kid": kid }).to_string();
        assert_eq!(
            fault(&signed(Es256, &head)),
            JwsError::UnfitKey,
            "{alg} {kid}"
        );
    }
}

// C5: a key that the token brings along, or points to, is not looked at.
#[test]
fn a_key_in_the_header_is_ignored() {
    let forged_key = ATTACKER.p256_jwk("e1");
    let nested = {
        let mut key = forged_key.clone();
        key["jku"] = json!("https://evil.test/jwks");
        key
    };
    for (name, value) in [
        ("jwk", forged_key),
        ("jwk", nested),
        ("jku", json!("https://evil.test/jwks")),
        ("x5u", json!("https://evil.test/chain.pem")),
        ("x5c", json!(["MIIBIjANBgkqhkiG9w0BAQEFAAOC"])),
        ("x5t", json!("AAAA")),
    ] {
        let mut head: Value = serde_json::from_str(&header(Es256)).unwrap();
        head[name] = value;
        let forged = ATTACKER.token(Es256, &head.to_string(), CLAIMS);
        assert_eq!(fault(&forged), JwsError::Signature, "{name}");
        // In an honest token it does no harm.
        assert!(check(&signed(Es256, &head.to_string())).is_ok(), "{name}");
    }
}

// C5, C8: a registered member that is not of its type makes no sound header.
#[test]
fn a_header_with_ill_typed_members_is_refused() {
    for (name, value) in [
        ("cty", json!(["JWT"])),
        ("jku", json!(["https://evil.test"])),
        ("x5u", json!({})),
        ("x5t", json!(1)),
        ("x5t#S256", json!(null)),
        ("x5c", json!("MIIB")),
        ("x5c", json!([1])),
        ("jwk", json!("{}")),
    ] {
        let mut head: Value = serde_json::from_str(&header(Es256)).unwrap();
        head[name] = value;
        let expected = JwsError::HeaderMember(name);
        assert_eq!(fault(&signed(Es256, &head.to_string())), expected, "{head}");
    }
}

// C6: a strange kid finds no key; one that is no text is refused.
#[test]
fn a_strange_kid_finds_no_key() {
    for kid in [
        "nobody",
        "../../etc/passwd",
        "' OR 1=1 --",
        "https://evil.test/k",
        "",
    ] {
        let head = json!({ "alg": "ES256", "kid": kid }).to_string();
        assert_eq!(fault(&signed(Es256, &head)), JwsError::UnknownKey, "{kid}");
    }
    for kid in [
        json!("e1\0"),
        json!("e1\n"),
        json!("k".repeat(10 * 1024)),
        json!(1),
        json!(["e1"]),
        json!({ "e1": 1 }),
        json!(null),
    ] {
        let head = json!({ "alg": "ES256", "kid": kid }).to_string();
        let expected = JwsError::HeaderMember("kid");
        assert_eq!(fault(&signed(Es256, &head)), expected, "{kid}");
    }
}

// C7: without a kid every key that fits may be tried, and duplicates are no trouble.
#[test]
fn without_a_kid_the_keys_that_fit_are_tried() {
    let head = r#"{"alg":"ES256"}"#;
    let token = signed(Es256, head);
    let single = jwks(&[HONEST.p256_jwk("e1"), HONEST.rsa_jwk("r1")]);
    assert!(check_with(&token, &single).is_ok());
    let several = jwks(&[ATTACKER.p256_jwk("x"), HONEST.p256_jwk("e1")]);
    assert!(check_with(&token, &several).is_ok());
    let duplicate = jwks(&[ATTACKER.p256_jwk("e1"), HONEST.p256_jwk("e1")]);
    assert!(check_with(&signed(Es256, &header(Es256)), &duplicate).is_ok());
    let mut crowd = vec![ATTACKER.p256_jwk("x"); 8];
    crowd.push(HONEST.p256_jwk("e1"));
    assert_eq!(
        check_with(&token, &jwks(&crowd)).unwrap_err(),
        JwsError::Signature
    );
    let others = jwks(&[ATTACKER.p256_jwk("e1")]);
    assert_eq!(
        check_with(&token, &others).unwrap_err(),
        JwsError::Signature
    );
}

// C8: what a token demands that we understand, we do not.
#[test]
fn a_critical_or_unencoded_token_is_refused() {
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["alg"]),
        json!([]),
        json!("exp"),
        json!(null),
        json!({}),
    ] {
        let head = json!({ "alg": "ES256", "kid": "e1", "crit": crit, "exp": 1 }).to_string();
        assert_eq!(fault(&signed(Es256, &head)), JwsError::Critical, "{crit}");
    }
    for b64 in [json!(false), json!(true), json!(null)] {
        let head = json!({ "alg": "ES256", "kid": "e1", "b64": b64 }).to_string();
        assert_eq!(fault(&signed(Es256, &head)), JwsError::UnencodedPayload);
        let with_crit =
            json!({ "alg": "ES256", "kid": "e1", "b64": b64, "crit": ["b64"] }).to_string();
        assert_eq!(fault(&signed(Es256, &with_crit)), JwsError::Critical);
    }
}

// C9: signatures at the edges of their range, and in other forms.
#[test]
fn an_ecdsa_signature_that_nobody_made_is_refused() {
    let order = forge::base64url_bytes("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    let token = signed(Es256, &header(Es256));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = forge::base64url_bytes(signature);
    let (r, s) = signature.split_at(32);
    let join = |r: &[u8], s: &[u8]| [r, s].concat();
    let zero = [0; 32];
    let mut der = vec![0x30, 0x44, 0x02, 0x20];
    der.extend(r);
    der.extend([0x02, 0x20]);
    der.extend(s);
    for forged in [
        join(&zero, s),
        join(r, &zero),
        join(&zero, &zero),
        join(&order, s),
        join(r, &order),
        join(r, &[0xff; 32]),
        join(&[0xff; 32], &[0xff; 32]),
        der,
        signature[..63].to_vec(),
        join(&signature, &[0]),
        vec![0; 64],
        vec![0; 96],
        Vec::from([0]),
    ] {
        let token = format!("{message}.{}", base64url(&forged));
        assert_eq!(fault(&token), JwsError::Signature, "{forged:02x?}");
    }
    // A P-384 signature under the header of P-256.
    let message = format!("{}.{}", base64url(header(Es256)), base64url(CLAIMS));
    let other = base64url(HONEST.sign(Es384, message.as_bytes()));
    assert_eq!(fault(&format!("{message}.{other}")), JwsError::Signature);
}

// C1, C4: the full name of RFC 9864 is the same algorithm; a key may have either, or none.
#[test]
fn ed25519_is_read_under_both_of_its_names() {
    for of_token in ["EdDSA", "Ed25519"] {
        for of_key in [json!("EdDSA"), json!("Ed25519"), json!(null)] {
            let head = json!({ "alg": of_token, "kid": "d1" }).to_string();
            let mut key = HONEST.ed25519_jwk("d1");
            match &of_key {
                Value::Null => drop(key.as_object_mut().unwrap().remove("alg")),
                name => key["alg"] = name.clone(),
            }
            let set = Jwks::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
            let verdict = check_with(&signed(EdDsa, &head), &set);
            assert!(verdict.is_ok(), "{of_token} {of_key}: {verdict:?}");
        }
    }
}

// C10: an Ed25519 signature whose S is not reduced is another spelling of the same, and refused.
#[test]
fn an_ed25519_signature_that_is_not_reduced_is_refused() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let token = signed(EdDsa, &header(EdDsa));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut signature = forge::base64url_bytes(signature);
    let mut carry = 0;
    for (byte, addend) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let token = format!("{message}.{}", base64url(&signature));
    assert_eq!(fault(&token), JwsError::Signature);
}

// C11: one token has one spelling.
#[test]
fn a_token_in_another_encoding_is_refused() {
    let token = signed(Es256, &header(Es256));
    let (head, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    assert!(check(&token).is_ok());
    let last_bits = |part: &str| {
        let (front, last) = part.split_at(part.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.find(last).unwrap();
        format!("{front}{}", &alphabet[at + 1..at + 2])
    };
    let loose = last_bits(signature);
    assert_ne!(loose, signature);
    for broken in [
        format!("{head}.{payload}.{signature}=="),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}.{payload}.{loose}"),
        format!("{head}.{payload}.{signature}\n"),
        format!(" {token}"),
        format!("{token} "),
        format!("{head}\n.{payload}.{signature}"),
        format!("Bearer {token}"),
        format!("{head}.{payload}.{}+", &signature[1..]),
        format!("{head}.{payload}./{}", &signature[1..]),
        head.to_owned(),
        format!("{head}.{payload}"),
        format!("{token}.{signature}"),
        format!("{token}.a.b.c"),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        json!({ "protected": head, "payload": payload, "signature": signature }).to_string(),
        "..".to_owned(),
        String::new(),
    ] {
        assert_eq!(fault(&broken), JwsError::Form, "{broken}");
    }
    // The signature covers the spelling; it is refused even where the signer chose it.
    let with_left_over_bits = last_bits(&base64url(r#"{"sub":"alice1"}"#));
    for odd in [
        format!("{payload}="),
        format!(" {payload}"),
        with_left_over_bits,
    ] {
        let message = format!("{head}.{odd}");
        let signature = base64url(HONEST.sign(Es256, message.as_bytes()));
        let token = format!("{message}.{signature}");
        assert_eq!(fault(&token), JwsError::Form, "{token}");
    }
}

// C12: a member that is there twice has two readings; and claims in the header are none.
#[test]
fn a_token_with_a_repeated_member_is_refused() {
    for head in [
        r#"{"alg":"none","alg":"ES256","kid":"e1"}"#,
        r#"{"alg":"ES256","kid":"x","kid":"e1"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","kid":"e1"}"#,
    ] {
        let expected = JwsError::Header(JsonError::DuplicateMember);
        assert_eq!(fault(&signed(Es256, head)), expected, "{head}");
    }
    let twice = HONEST.token(Es256, &header(Es256), r#"{"sub":"alice","sub":"admin"}"#);
    assert_eq!(fault(&twice), JwsError::Payload(JsonError::DuplicateMember));
    let in_header = r#"{"alg":"ES256","kid":"e1","sub":"admin","iss":"x"}"#;
    let claims = check(&HONEST.token(Es256, in_header, r#"{"a":1}"#)).unwrap();
    assert_eq!(claims.keys().collect::<Vec<_>>(), ["a"]);
}

// C13: a token of another kind is no ID token, and an ID token is no token of another kind.
#[test]
fn a_token_of_another_type_is_refused() {
    const ACCESS_TOKEN: TokenType = TokenType {
        names: &["at+jwt"],
        absent: AbsentType::Refused,
    };
    let typed = |typ: Value| {
        let head = json!({ "alg": "ES256", "kid": "e1", "typ": typ }).to_string();
        signed(Es256, &head)
    };
    for typ in ["JWT", "jwt", "application/jwt", "application/JWT"] {
        assert!(check(&typed(json!(typ))).is_ok(), "{typ}");
    }
    for typ in [
        "at+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JOSE",
        "",
        "JWT ",
    ] {
        let expected = JwsError::Type {
            got: typ.to_owned(),
        };
        assert_eq!(fault(&typed(json!(typ))), expected);
    }
    for typ in [json!(1), json!(["JWT"]), json!(null)] {
        assert_eq!(fault(&typed(typ)), JwsError::HeaderMember("typ"));
    }
    let as_access_token = |token: &str| {
        verify(token, &HONEST.published(), ACCESS_TOKEN, &Algorithm::ALL)
            .map(|_| ())
            .map_err(|error| matches!(error, JwsError::Type { .. }))
    };
    assert_eq!(as_access_token(&typed(json!("at+jwt"))), Ok(()));
    assert_eq!(as_access_token(&typed(json!("application/at+jwt"))), Ok(()));
    assert_eq!(as_access_token(&typed(json!("JWT"))), Err(true));
    let untyped = signed(Es256, r#"{"alg":"ES256","kid":"e1"}"#);
    assert_eq!(as_access_token(&untyped), Err(true));
    assert!(check(&untyped).is_ok());
}

// C14: an encrypted token is refused by its form, before anything of it is decoded or inflated.
#[test]
fn an_encrypted_token_is_refused_where_none_was_agreed() {
    let bomb = json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1_000_000_000, "zip": "DEF" });
    let token = format!("{}.a.b.c.d", base64url(bomb.to_string()));
    assert_eq!(fault(&token), JwsError::Encrypted);
    assert_eq!(fault("...."), JwsError::Encrypted);
}

// C23: a token that is too large, too deep or no object is refused.
#[test]
fn a_token_out_of_bounds_is_refused() {
    let with_payload = |payload: &str| fault(&HONEST.token(Es256, &header(Es256), payload));
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(20 * 1024));
    assert!(check(&HONEST.token(Es256, &header(Es256), &large)).is_ok());
    let claims: Map<String, Value> = (0..10_000).map(|at| (format!("c{at}"), json!(0))).collect();
    assert_eq!(
        with_payload(&Value::Object(claims).to_string()),
        JwsError::TooLong
    );
    assert_eq!(
        with_payload(&format!(r#"{{"x":"{}"}}"#, "x".repeat(200 * 1024))),
        JwsError::TooLong
    );
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(with_payload(&deep), JwsError::Payload(JsonError::TooDeep));
    for payload in ["[]", "null", "1", "\"x\""] {
        assert_eq!(
            with_payload(payload),
            JwsError::Payload(JsonError::NotAnObject)
        );
    }
    for payload in ["\u{feff}{}", "{", "{} {}"] {
        assert!(matches!(with_payload(payload), JwsError::Payload(_)));
    }
    let wide = json!({ "alg": "ES256", "kid": "e1", "x": "x".repeat(16 * 1024) }).to_string();
    assert!(matches!(fault(&signed(Es256, &wide)), JwsError::Header(_)));
}

// D7: the key of one issuer is none of another's, whatever it is called.
#[test]
fn a_signature_by_somebody_elses_key_of_the_same_name_is_refused() {
    for algorithm in Algorithm::ALL {
        let token = ATTACKER.token(algorithm, &header(algorithm), CLAIMS);
        assert_eq!(fault(&token), JwsError::Signature, "{algorithm:?}");
    }
}

// C28: header, payload and signature altered, one bit at a time.
#[test]
fn an_altered_token_is_refused() {
    for algorithm in [Rs256, Es256, EdDsa] {
        let token = signed(algorithm, &header(algorithm));
        let parts: Vec<Vec<u8>> = token.split('.').map(forge::base64url_bytes).collect();
        for (at, part) in parts.iter().enumerate() {
            for bit in 0..part.len() * 8 {
                let mut altered = parts.clone();
                altered[at][bit / 8] ^= 1 << (bit % 8);
                let token: Vec<_> = altered.iter().map(base64url).collect();
                assert!(check(&token.join(".")).is_err(), "{at} {bit}");
            }
        }
    }
}

// C28: vectors made by another implementation (`tests/data/tokens_vectors.py`), one a line, each
// with its keys, its verdict and the reason.
#[test]
fn the_vectors_of_another_implementation_get_their_verdicts() {
    let mut keys = Map::new();
    let (mut valid, mut invalid) = (0, 0);
    for line in include_str!("../../../tests/data/tokens_vectors.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        if let Some(name) = vector["key"].as_str() {
            keys.insert(name.to_owned(), vector["jwk"].clone());
            continue;
        }
        let names = vector["keys"].as_array().unwrap().iter();
        let set: Vec<_> = names
            .map(|name| keys[name.as_str().unwrap()].clone())
            .collect();
        let accepted = Jwks::parse(json!({ "keys": set }).to_string().as_bytes())
            .is_ok_and(|set| check_with(vector["token"].as_str().unwrap(), &set).is_ok());
        let expected = vector["verdict"] == "valid";
        assert_eq!(
            accepted, expected,
            "{} ({})",
            vector["case"], vector["reason"]
        );
        *(if expected { &mut valid } else { &mut invalid }) += 1;
    }
    assert!(
        valid >= 15 && invalid >= 60,
        "{valid} valid, {invalid} invalid"
    );
}
