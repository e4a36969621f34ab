use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::json;

use super::*;
use crate::oidc::algorithm::Algorithm::{EdDsa, Es256, Rs256, Rs384};
use crate::oidc::forge::{ATTACKER, CLIENT_ID, HONEST, ISSUER, NONCE, NOW, claims, header, jwks};
use crate::oidc::json::JsonError;

static OUR_NONCE: LazyLock<Secret> = LazyLock::new(|| Secret::new(NONCE.to_owned()));
const SKEW: Duration = Duration::from_secs(30);

fn expectations() -> Expectations<'static> {
    Expectations {
        issuer: ISSUER,
        client_id: CLIENT_ID,
        nonce: Nonce::Sent(&OUR_NONCE),
        max_age: None,
        trusted_audiences: &[],
        algorithms: &Algorithm::ALL,
        access_token: None,
        clock_skew: SKEW,
    }
}

fn token(algorithm: Algorithm, claims: &Value) -> String {
    HONEST.token(algorithm, &header(algorithm), &claims.to_string())
}

/// The verdict in the words of the table.
fn words(verdict: &Result<Claims, IdTokenError>) -> String {
    match verdict {
        Ok(_) => "ok".to_owned(),
        Err(IdTokenError::Missing(claim)) => format!("missing {claim}"),
        Err(IdTokenError::Malformed(claim)) => format!("malformed {claim}"),
        Err(IdTokenError::TooOld(claim)) => format!("too old {claim}"),
        Err(IdTokenError::Issuer { .. }) => "issuer".to_owned(),
        Err(IdTokenError::Audience { .. }) => "audience".to_owned(),
        Err(IdTokenError::AuthorizedParty { .. }) => "authorized party".to_owned(),
        Err(IdTokenError::Nonce) => "nonce".to_owned(),
        Err(IdTokenError::Expired { .. }) => "expired".to_owned(),
        Err(IdTokenError::IssuedAhead { .. }) => "issued ahead".to_owned(),
        Err(IdTokenError::NotYetValid { .. }) => "not yet valid".to_owned(),
        Err(IdTokenError::AccessTokenHash) => "access token".to_owned(),
        Err(IdTokenError::Jws(fault)) => format!("jws {fault}"),
    }
}

// C15, C16, C17, C18, C19, C20, C21, C22, A19: one row a case, in `tests/data/tokens_claims.jsonl`,
// each held to a token by an RSA, an ECDSA and an Ed25519 key. The modules of the relying-party
// certification that concern claims are among the rows.
#[test]
fn every_claim_of_an_id_token_is_held_to_its_rule() {
    let mut ids = BTreeSet::new();
    for line in include_str!("../../../../tests/data/tokens_claims.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let mut claims = claims();
        let members = claims.as_object_mut().unwrap();
        members.extend(row["set"].as_object().cloned().unwrap_or_default());
        for name in row["drop"].as_array().into_iter().flatten() {
            members.remove(name.as_str().unwrap());
        }
        let with = &row["with"];
        let trusted: Vec<_> = (with["trusted_audiences"].as_array().into_iter().flatten())
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        let access_token = with["access_token"]
            .as_str()
            .map(|text| Secret::new(text.to_owned()));
        let expectations = Expectations {
            max_age: with["max_age"].as_u64().map(Duration::from_secs),
            trusted_audiences: &trusted,
            access_token: access_token.as_ref(),
            clock_skew: with["clock_skew"]
                .as_u64()
                .map_or(SKEW, Duration::from_secs),
            ..expectations()
        };
        for algorithm in [Rs256, Es256, EdDsa] {
            if row["case"] == "of another hash" && algorithm == EdDsa {
                continue; // it is of SHA-512, and right there
            }
            let token = token(algorithm, &claims);
            let verdict = verify(&token, &HONEST.published(), &expectations, NOW);
            assert_eq!(words(&verdict), row["verdict"].as_str().unwrap(), "{line}");
        }
        ids.insert(row["id"].as_str().unwrap().to_owned());
    }
    let all = [
        "A19", "C", "C15", "C16", "C17", "C18", "C19", "C20", "C21", "C22",
    ];
    assert!(ids.iter().eq(all), "{ids:?}");
}

#[test]
fn the_claims_say_what_was_signed() {
    let mut signed = claims();
    signed["sid"] = json!("s1");
    signed["auth_time"] = json!(1_799_999_000);
    signed["groups"] = json!(["dev"]);
    let claims = verify(
        &token(Es256, &signed),
        &HONEST.published(),
        &expectations(),
        NOW,
    )
    .unwrap();
    assert_eq!((claims.issuer(), claims.subject()), (ISSUER, "alice"));
    assert_eq!(claims.sid(), Some("s1"));
    assert_eq!(
        claims.auth_time(),
        Some(UnixTime::from_seconds(1_799_999_000))
    );
    assert_eq!(claims.expires_at(), NOW.plus(Duration::from_mins(5)));
    assert_eq!(claims.issued_at(), NOW.minus(Duration::from_secs(1)));
    assert_eq!(claims.members(), signed.as_object().unwrap());
}

// C22: the hash is the algorithm's own.
#[test]
fn at_hash_is_made_with_the_hash_of_the_algorithm() {
    let access_token = Secret::new("at".to_owned());
    for algorithm in Algorithm::ALL {
        for hashed_as in Algorithm::ALL {
            let mut signed = claims();
            signed["at_hash"] = json!(hashed_as.half_hashes("at").next());
            let expectations = Expectations {
                access_token: Some(&access_token),
                ..expectations()
            };
            let verdict = verify(
                &token(algorithm, &signed),
                &HONEST.published(),
                &expectations,
                NOW,
            );
            let hash = hashed_as.half_hashes("").next();
            let taken = algorithm.half_hashes("").any(|own| Some(own) == hash);
            assert_eq!(verdict.is_ok(), taken, "{algorithm:?} {hashed_as:?}");
        }
    }
}

// C1, C4, C12, C13, C14, D7: the signature and its header come before any claim.
#[test]
fn a_token_that_is_not_the_providers_is_refused_whatever_it_claims() {
    let honest = claims().to_string();
    let keys = HONEST.published();
    let check = |raw: &str, algorithms: &[Algorithm]| {
        let expectations = Expectations {
            algorithms,
            ..expectations()
        };
        match verify(raw, &keys, &expectations, NOW) {
            Err(IdTokenError::Jws(fault)) => fault,
            other => panic!("{other:?}"),
        }
    };
    let all = &Algorithm::ALL;
    let forged = ATTACKER.token(Rs256, &header(Rs256), &honest);
    assert_eq!(check(&forged, all), JwsError::Signature);
    let good = HONEST.token(Rs256, &header(Rs256), &honest);
    assert!(matches!(
        check(&good, &[Es256, Rs384]),
        JwsError::Algorithm { .. }
    ));
    let access_token = r#"{"alg":"RS256","kid":"r1","typ":"at+jwt"}"#;
    assert!(matches!(
        check(&HONEST.token(Rs256, access_token, &honest), all),
        JwsError::Type { .. }
    ));
    let twice = honest.replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(
        check(&HONEST.token(Rs256, &header(Rs256), &twice), all),
        JwsError::Payload(JsonError::DuplicateMember)
    );
    assert_eq!(check("a.b.c.d.e", all), JwsError::Encrypted);
}

// D1: a key that is not known yet is told apart, so that the keys are fetched once more; a token
// that is wrong in itself is not worth a fetch.
#[test]
fn only_a_token_with_a_strange_key_suggests_new_keys() {
    let raw = token(Es256, &claims());
    let stale = |keys: &[Value]| {
        verify(&raw, &jwks(keys), &expectations(), NOW)
            .unwrap_err()
            .keys_may_be_stale()
    };
    assert!(stale(&[HONEST.rsa_jwk("r1")]));
    assert!(stale(&[HONEST.rsa_jwk("e1")]));
    assert!(stale(&[ATTACKER.p256_jwk("e1")]));
    for (change, value) in [("nonce", json!("x")), ("exp", json!(1)), ("aud", json!([]))] {
        let mut wrong = claims();
        wrong[change] = value;
        let error = verify(
            &token(Es256, &wrong),
            &HONEST.published(),
            &expectations(),
            NOW,
        )
        .unwrap_err();
        assert!(!error.keys_may_be_stale(), "{error}");
    }
    let none = verify("x.y.z", &HONEST.published(), &expectations(), NOW).unwrap_err();
    assert!(!none.keys_may_be_stale());
}

// A20: a wrong clock is named, with its direction.
#[test]
fn a_wrong_clock_is_told() {
    let verdict = |now: UnixTime| {
        verify(
            &token(Es256, &claims()),
            &HONEST.published(),
            &expectations(),
            now,
        )
        .unwrap_err()
    };
    let hour = Duration::from_hours(1);
    let ahead = verdict(NOW.plus(hour));
    assert_eq!(ahead, IdTokenError::Expired { seconds_ago: 3300 });
    assert_eq!(ahead.clock_skew(), Some(ClockSkew { seconds: 3300 }));
    let behind = verdict(NOW.minus(hour));
    assert_eq!(
        behind,
        IdTokenError::IssuedAhead {
            seconds_ahead: 3599
        }
    );
    assert_eq!(behind.clock_skew(), Some(ClockSkew { seconds: -3599 }));
    assert_eq!(IdTokenError::Nonce.clock_skew(), None);
}

// V5: an error shows who, but no nonce, no hash and no token.
#[test]
fn an_error_shows_no_nonce_and_no_token() {
    let mut wrong = claims();
    wrong["nonce"] = json!("c4n4ry-of-another-login");
    let raw = token(Es256, &wrong);
    let error = verify(&raw, &HONEST.published(), &expectations(), NOW).unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("c4n4ry") && !printed.contains(NONCE));
    let mut wrong = claims();
    wrong["iss"] = json!(format!("https://evil.test/\u{202e}\n{}", "x".repeat(5000)));
    let raw = token(Es256, &wrong);
    let error = verify(&raw, &HONEST.published(), &expectations(), NOW).unwrap_err();
    let IdTokenError::Issuer { got, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(got.chars().count(), 200);
    assert!(got.starts_with("https://evil.test/x"));
}

mod differential;
