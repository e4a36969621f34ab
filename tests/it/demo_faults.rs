//! Each fault of the test provider does what it says, and nothing when it is not set: a fixture
//! that lies about lying proves nothing.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};
use sidegate::demo::provider::signing::{SigningAlgorithm, half_hash};
use sidegate::demo::provider::{Endpoint, OldKeys};

use crate::demo_provider::{Flow, json};
use crate::support::provider::{Fault, Gate, IdTokenFault, JwksFault, TestProvider, fresh_keys};
use crate::support::wire;

/// The claims of a token, signed or not.
fn claims(tokens: &Value) -> Map<String, Value> {
    part(tokens, 1)
}

fn header(tokens: &Value) -> Map<String, Value> {
    part(tokens, 0)
}

fn part(tokens: &Value, index: usize) -> Map<String, Value> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let raw = tokens["id_token"].as_str().unwrap();
    let part = raw.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Whether today's keys signed the ID token.
fn is_ours(flow: &Flow<'_>, tokens: &Value) -> bool {
    let keys = flow.provider.keys();
    keys.open(tokens["id_token"].as_str().unwrap()).is_some()
}

#[tokio::test]
async fn any_endpoint_can_fail_in_every_plain_way() {
    let provider = TestProvider::start();
    let flow = Flow::new(&provider);
    let url = flow.url("/.well-known/openid-configuration");
    let it = Endpoint::Discovery;
    for status in [StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
        provider.set_fault(Fault::Status(it, status));
        assert_eq!(wire::get(&url).await.status(), status);
        assert_eq!(wire::get(&url).await.status(), status);
    }
    provider.set_fault(Fault::StatusOnce(it, StatusCode::BAD_GATEWAY));
    assert_eq!(wire::get(&url).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(wire::get(&url).await.status(), StatusCode::OK);
    provider.set_fault(Fault::StatusOver(it, StatusCode::IM_A_TEAPOT));
    let over = wire::get(&url).await;
    assert_eq!(over.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(json(&over), provider.provider().metadata());
    provider.set_fault(Fault::Html(it));
    assert_eq!(wire::get(&url).await.headers()[CONTENT_TYPE], "text/html");
    provider.set_fault(Fault::Redirect(it, "http://127.0.0.1:9/".to_owned()));
    let redirect = wire::get(&url).await;
    assert_eq!(redirect.status(), StatusCode::FOUND);
    assert_eq!(redirect.headers()[LOCATION], "http://127.0.0.1:9/");
    provider.set_fault(Fault::HungUp(it));
    assert!(wire::exchange(http::Request::get(&url), "").await.is_err());
    provider.set_fault(Fault::CutShort(it));
    assert!(wire::exchange(http::Request::get(&url), "").await.is_err());
    provider.set_fault(Fault::Padded(it, 200_000));
    assert!(wire::get(&url).await.body().len() > 200_000);
    // Other endpoints are as they were, and so is this one when all is well again.
    assert!(
        json(&wire::get(&flow.url("/jwks")).await)
            .get("padding")
            .is_none()
    );
    provider.clear_faults();
    let metadata = json(&wire::get(&url).await);
    assert_eq!(metadata, provider.provider().metadata());
    // The engine was asked only where it had something to say.
    assert_eq!(provider.hits_of(it).len(), 13);
    assert_eq!(provider.provider().hits(it), 5);
}

#[tokio::test]
async fn metadata_can_be_wrong_in_any_member() {
    let provider = TestProvider::start();
    let flow = Flow::new(&provider);
    let url = flow.url("/.well-known/openid-configuration");
    let slash = format!("{}/", provider.issuer());
    let elsewhere = json!({ "token_endpoint": "https://mtls.example.com/token" });
    for (name, value) in [
        ("issuer", Some(Value::from(slash))),
        (
            "token_endpoint",
            Some("https://evil.example.com/token".into()),
        ),
        ("mtls_endpoint_aliases", Some(elsewhere)),
        ("end_session_endpoint", None),
    ] {
        provider.set_fault(Fault::Member(Endpoint::Discovery, name, value.clone()));
        assert_eq!(json(&wire::get(&url).await).get(name), value.as_ref());
    }
}

#[tokio::test]
async fn a_held_request_waits_for_the_test_and_for_no_time() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    let code = flow.code().await;
    let gate = Gate::closed();
    provider.set_fault(Fault::Held(Endpoint::Token, gate.clone()));
    {
        let mut redeeming = Box::pin(flow.redeem(&code));
        tokio::select! {
            () = gate.arrived(1) => {}
            _ = &mut redeeming => panic!("it was not held"),
        }
        // It has not reached the engine.
        assert_eq!(provider.provider().hits(Endpoint::Token), 0);
        gate.open();
        assert_eq!(redeeming.await.unwrap().status(), StatusCode::OK);
    }
    let code = flow.code().await;
    let gate = Gate::closed();
    provider.set_fault(Fault::AnswerHeld(Endpoint::Token, gate.clone()));
    let mut redeeming = Box::pin(flow.redeem(&code));
    tokio::select! {
        () = gate.arrived(1) => {}
        _ = &mut redeeming => panic!("it was not held"),
    }
    // The engine has done what was asked.
    assert_eq!(provider.provider().hits(Endpoint::Token), 2);
    gate.open();
    assert_eq!(redeeming.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn key_sets_can_be_odd_in_every_listed_way() {
    let provider = TestProvider::start();
    let flow = Flow::new(&provider);
    let url = flow.url("/jwks");
    let honest = json(&wire::get(&url).await)["keys"].clone();
    let [rsa, ec] = honest.as_array().unwrap().as_slice() else {
        panic!("two keys");
    };
    for fault in [
        JwksFault::Empty,
        JwksFault::OnlyRsa,
        JwksFault::WithoutKids,
        JwksFault::DuplicateKid,
        JwksFault::UnknownKty,
        JwksFault::UnknownAlg,
        JwksFault::EncryptionKeyFirst,
        JwksFault::Many(2000),
    ] {
        provider.set_fault(Fault::Jwks(fault));
        let response = wire::get(&url).await;
        let set = json(&response);
        let keys = set["keys"].as_array().unwrap();
        match fault {
            JwksFault::Empty => assert!(keys.is_empty()),
            JwksFault::OnlyRsa => assert_eq!(keys, std::slice::from_ref(rsa)),
            JwksFault::WithoutKids => {
                assert_eq!(keys.len(), 2);
                assert!(keys.iter().all(|key| key.get("kid").is_none()));
            }
            JwksFault::DuplicateKid => {
                assert_eq!(keys[0]["kid"], rsa["kid"]);
                assert_ne!(keys[0]["n"], rsa["n"]);
            }
            JwksFault::UnknownKty => assert_eq!(keys[0]["kty"], "QQ"),
            JwksFault::UnknownAlg => assert_eq!(keys[0]["alg"], "XX512"),
            JwksFault::EncryptionKeyFirst => assert_eq!(keys[0]["use"], "enc"),
            JwksFault::Many(_) => assert!(response.body().len() > 500_000),
        }
        let odd_only = matches!(
            fault,
            JwksFault::Empty | JwksFault::OnlyRsa | JwksFault::WithoutKids
        );
        assert!(
            odd_only || (keys.contains(rsa) && keys.contains(ec)),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn keys_can_change_just_before_a_token_is_signed() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    let before = json(&wire::get(&flow.url("/jwks")).await);
    provider.set_fault(Fault::RotatedBeforeSigning(OldKeys::Withdrawn));
    let tokens = flow.tokens().await;
    let kid = header(&tokens)["kid"].clone();
    let has = |set: &Value| {
        set["keys"]
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["kid"] == kid)
    };
    assert!(!has(&before));
    let after = json(&wire::get(&flow.url("/jwks")).await);
    assert!(has(&after));
    assert_eq!(after["keys"].as_array().unwrap().len(), 2);
    // Or when the test says so.
    provider
        .provider()
        .rotate_keys(fresh_keys(), OldKeys::Published);
    provider.clear_faults();
    let both = json(&wire::get(&flow.url("/jwks")).await);
    assert_eq!(both["keys"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn token_answers_can_be_odd_in_every_listed_way() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    for (name, value) in [
        ("expires_in", None),
        ("expires_in", Some(Value::from("300"))),
        ("id_token", None),
        ("refresh_token", None),
        ("token_type", Some("mac".into())),
    ] {
        provider.set_fault(Fault::Member(Endpoint::Token, name, value.clone()));
        assert_eq!(flow.tokens().await.get(name), value.as_ref());
    }
    provider.set_fault(Fault::ErrorWithStatus200("bad_verification_code"));
    let code = flow.code().await;
    let response = flow.redeem(&code).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(json(&response), json!({ "error": "bad_verification_code" }));
    provider.set_fault(Fault::FormEncodedTokens);
    let response = flow.redeem(&code).await.unwrap();
    assert_eq!(
        response.headers()[CONTENT_TYPE],
        "application/x-www-form-urlencoded"
    );
    let body = std::str::from_utf8(response.body()).unwrap();
    assert!(body.contains("access_token=") && body.contains("expires_in=300"));
}

#[tokio::test]
async fn renewals_can_be_odd_while_first_answers_are_not() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    for fault in [
        Fault::RenewalMember("refresh_token", None),
        Fault::RenewalMember("id_token", None),
        Fault::RenewedIdToken(IdTokenFault::Claim("sub", Some("u-bob".into()))),
        Fault::RenewedIdToken(IdTokenFault::Claim(
            "iss",
            Some("http://127.0.0.1:1".into()),
        )),
    ] {
        provider.set_fault(fault.clone());
        let tokens = flow.tokens().await;
        assert!(is_ours(&flow, &tokens));
        assert_eq!(claims(&tokens)["sub"], "u-alice");
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let renewed = json(&flow.renew(refresh).await.unwrap());
        match fault {
            Fault::RenewalMember(name, None) => assert_eq!(renewed.get(name), None),
            Fault::RenewedIdToken(IdTokenFault::Claim(name, Some(value))) => {
                assert_eq!(claims(&renewed)[name], value);
                assert!(is_ours(&flow, &renewed));
            }
            other => panic!("{other:?}"),
        }
    }
    // An ID token fault of the first answer leaves renewals alone.
    provider.set_fault(Fault::IdToken(IdTokenFault::Claim("sub", None)));
    let tokens = flow.tokens().await;
    assert!(!claims(&tokens).contains_key("sub"));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let renewed = json(&flow.renew(refresh).await.unwrap());
    assert_eq!(claims(&renewed)["sub"], "u-alice");
}

#[tokio::test]
async fn an_id_token_with_other_claims_is_signed_all_the_same() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    for (name, value) in [
        ("iss", Some(Value::from("https://evil.example.com"))),
        ("aud", Some("other".into())),
        ("aud", None),
        ("sub", None),
        ("iat", None),
        ("exp", Some("tomorrow".into())),
        ("nonce", Some("other".into())),
        ("azp", Some("other".into())),
        ("at_hash", None),
        ("at_hash", Some("AAAAAAAAAAAAAAAAAAAAAA".into())),
    ] {
        provider.set_fault(Fault::IdToken(IdTokenFault::Claim(name, value.clone())));
        let tokens = flow.tokens().await;
        assert_eq!(claims(&tokens).get(name), value.as_ref(), "{name}");
        assert!(is_ours(&flow, &tokens), "{name}");
    }
    provider.set_fault(Fault::IdToken(IdTokenFault::Shifted(-3600)));
    let shifted = claims(&flow.tokens().await);
    let now = provider.clock().now().as_seconds();
    assert_eq!(
        (&shifted["iat"], &shifted["exp"]),
        (&(now - 3600).into(), &(now - 3300).into())
    );
    for (name, value) in [
        ("kid", None),
        ("kid", Some(Value::from("other"))),
        ("typ", Some("logout+jwt".into())),
        ("crit", Some(json!(["exp"]))),
    ] {
        provider.set_fault(Fault::IdToken(IdTokenFault::Header(name, value.clone())));
        let tokens = flow.tokens().await;
        assert_eq!(header(&tokens).get(name), value.as_ref(), "{name}");
        assert!(verifies(&flow, &tokens).await, "{name}");
    }
    for bytes in [20_000, 200_000] {
        provider.set_fault(Fault::IdToken(IdTokenFault::Padded(bytes)));
        let tokens = flow.tokens().await;
        assert!(tokens["id_token"].as_str().unwrap().len() > bytes);
        assert!(is_ours(&flow, &tokens));
    }
}

/// Whether the RSA key verifies the signature, whatever the header says of it.
async fn verifies(flow: &Flow<'_>, tokens: &Value) -> bool {
    let set: JwkSet = serde_json::from_value(json(&wire::get(&flow.url("/jwks")).await)).unwrap();
    let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
    let (input, signature) = tokens["id_token"]
        .as_str()
        .unwrap()
        .rsplit_once('.')
        .unwrap();
    jsonwebtoken::crypto::verify(signature, input.as_bytes(), &key, Algorithm::RS256).unwrap()
}

#[tokio::test]
async fn c_hash_can_be_right_or_wrong() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    for (fault, of) in [
        (IdTokenFault::RightCHash, None),
        (IdTokenFault::WrongCHash, Some("other")),
    ] {
        provider.set_fault(Fault::IdToken(fault));
        let code = flow.code().await;
        let tokens = json(&flow.redeem(&code).await.unwrap());
        assert_eq!(claims(&tokens)["c_hash"], half_hash(of.unwrap_or(&code)));
    }
}

#[tokio::test]
async fn a_signature_can_be_wrong_in_every_listed_way() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    for fault in [IdTokenFault::BrokenSignature, IdTokenFault::ForeignKey] {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
            provider.set_fault(Fault::IdToken(IdTokenFault::SignedBy(algorithm)));
            let honest = flow.tokens().await;
            assert_eq!(header(&honest)["alg"], algorithm.as_str());
            assert!(is_ours(&flow, &honest), "{algorithm:?}");
            provider.add_fault(Fault::IdToken(fault.clone()));
            let wrong = flow.tokens().await;
            assert_eq!(header(&wrong), header(&honest));
            assert!(!is_ours(&flow, &wrong), "{fault:?} {algorithm:?}");
        }
    }
    for spelling in ["none", "None", "nOnE"] {
        provider.set_fault(Fault::IdToken(IdTokenFault::Unsigned(spelling)));
        let tokens = flow.tokens().await;
        assert_eq!(header(&tokens)["alg"], spelling);
        assert!(tokens["id_token"].as_str().unwrap().ends_with('.'));
    }
}

#[tokio::test]
async fn an_hmac_with_the_public_key_deceives_whoever_trusts_the_header() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    provider.set_fault(Fault::IdToken(IdTokenFault::Hs256WithPublicKey));
    let tokens = flow.tokens().await;
    let der = provider
        .provider()
        .keys()
        .public_der(SigningAlgorithm::Rs256)
        .unwrap();
    let pem = {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<_> = encoded
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    };
    assert!(DecodingKey::from_rsa_pem(pem.as_bytes()).is_ok());
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["gate"]);
    let decode = |tokens: &Value, secret: &[u8]| {
        let raw = tokens["id_token"].as_str().unwrap();
        let key = DecodingKey::from_secret(secret);
        jsonwebtoken::decode::<Value>(raw, &key, &validation).is_ok()
    };
    assert!(decode(&tokens, pem.as_bytes()));
    provider.set_fault(Fault::IdToken(IdTokenFault::Hs256("s3cret")));
    let tokens = flow.tokens().await;
    assert!(decode(&tokens, b"s3cret") && !decode(&tokens, b"other"));
}

#[tokio::test]
async fn what_is_said_of_a_person_can_be_odd_in_both_places() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    let many: Vec<_> = (0..500).map(|number| format!("group-{number}")).collect();
    for (name, value) in [
        ("groups", Some(Value::from(many))),
        ("groups", Some("admins".into())),
        ("groups", Some("admins dev".into())),
        ("groups", Some(json!({ "admins": {}, "dev": {} }))),
        ("realm_access", Some(json!({ "roles": ["admins"] }))),
        ("email_verified", Some("true".into())),
        ("email", None),
        (
            "name",
            Some("\u{202e}J\u{f6}rg\r\nX-Forwarded-User: root".into()),
        ),
    ] {
        provider.set_fault(Fault::Claim(name, value.clone()));
        let tokens = flow.tokens().await;
        assert_eq!(claims(&tokens).get(name), value.as_ref(), "{name}");
        assert!(is_ours(&flow, &tokens));
        assert_eq!(
            json(&flow.userinfo(&tokens).await).get(name),
            value.as_ref(),
            "{name}"
        );
    }
    provider.set_fault(Fault::GroupOverage);
    let tokens = flow.tokens().await;
    let overage = claims(&tokens);
    assert_eq!(overage["_claim_names"]["groups"], "src1");
    assert!(overage["_claim_sources"]["src1"]["endpoint"].is_string());
    assert!(!overage.contains_key("groups"));
}

#[tokio::test]
async fn userinfo_can_be_about_somebody_else_or_signed() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    let tokens = flow.tokens().await;
    provider.set_fault(Fault::Member(
        Endpoint::Userinfo,
        "sub",
        Some("u-bob".into()),
    ));
    assert_eq!(json(&flow.userinfo(&tokens).await)["sub"], "u-bob");
    provider.set_fault(Fault::SignedUserinfo("gate"));
    let response = flow.userinfo(&tokens).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/jwt");
    let raw = std::str::from_utf8(response.body()).unwrap();
    let claims = provider.provider().keys().open(raw).unwrap();
    assert_eq!(
        (&claims["sub"], &claims["aud"]),
        (&"u-alice".into(), &"gate".into())
    );
    assert_eq!(claims["iss"], provider.issuer());
}

#[tokio::test]
async fn notices_can_be_kept_for_the_test_to_deliver() {
    let provider = TestProvider::start();
    let mut flow = Flow::with_client(provider.provider(), |client| {
        client.backchannel_logout_uri = Some("http://127.0.0.1:9/bcl".to_owned());
    });
    provider.set_fault(Fault::NoticesKept);
    let tokens = flow.tokens().await;
    let hint = tokens["id_token"].as_str().unwrap();
    let out = wire::get(&flow.url(&format!("/end_session?id_token_hint={hint}"))).await;
    assert_eq!(out.status(), StatusCode::OK);
    let notices = provider.provider().take_logout_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].uri, "http://127.0.0.1:9/bcl");
    let last = provider.hits().pop().unwrap();
    assert_eq!(
        (last.method, last.query.value("id_token_hint")),
        (Method::GET, Some(hint))
    );
}
