use super::*;
use crate::oidc::authorization::AuthorizationRequest;
use crate::oidc::error_code::ErrorCode;
use crate::oidc::forge::{
    self, ISSUER, NOW, STATE, TEN_MINUTES, VERIFIER, attempt, client, metadata, metadata_with,
};
use crate::oidc::metadata::ProviderMetadata;

fn pending_at(metadata: &ProviderMetadata) -> PendingLogin {
    AuthorizationRequest::begin(&client(), metadata, attempt())
        .unwrap()
        .1
}

fn promising() -> ProviderMetadata {
    metadata_with(|document| {
        document["authorization_response_iss_parameter_supported"] = true.into();
    })
}

fn at(provider: &str) -> Arrival<'_> {
    Arrival {
        provider,
        other_issuers: &["https://login.test/", "https://id.test/tenant"],
    }
}

fn redeem(metadata: &ProviderMetadata, query: &str) -> Result<CodeGrant, RedeemError> {
    let response = AuthorizationResponse::parse(query).unwrap();
    pending_at(metadata).redeem(response, at("corp"), NOW, TEN_MINUTES)
}

fn fault(query: &str) -> CallbackError {
    AuthorizationResponse::parse(query).unwrap_err()
}

fn with_state(query: &str) -> String {
    format!("state={STATE}&{query}")
}

#[test]
fn an_answer_to_this_login_redeems_it() {
    // Unknown parameters are ignored: real providers send these.
    let query = with_state("code=c0de&session_state=x.y&scope=openid+email&authuser=0&hd=ok.test");
    let grant = redeem(&metadata(), &query).unwrap();
    assert!(grant.code.equals("c0de"));
    assert!(grant.code_verifier.equals(VERIFIER));
    assert!(grant.nonce.as_ref().unwrap().equals(forge::NONCE));
    assert_eq!(
        (grant.provider(), grant.return_to(), grant.attempt()),
        ("corp", "/dash?panel=1", 0)
    );
    assert_eq!(grant.redirect_uri, forge::REDIRECT_URI);
    let printed = format!("{grant:?} {:?}", AuthorizationResponse::parse(&query));
    for secret in ["c0de", VERIFIER, forge::NONCE, STATE] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

// A5: a response without exactly this login's state redeems nothing.
#[test]
fn a_code_is_not_redeemed_when_the_state_differs() {
    assert_eq!(
        redeem(&metadata(), "code=c0de").unwrap_err(),
        RedeemError::StateMissing
    );
    let truncated = &STATE[..STATE.len() - 1];
    let longer = format!("{STATE}x");
    let upper = STATE.to_uppercase();
    for state in ["x", truncated, &longer, &upper, "%20", "0"] {
        assert_eq!(
            redeem(&metadata(), &format!("code=c0de&state={state}")).unwrap_err(),
            RedeemError::StateMismatch,
            "{state}"
        );
    }
    assert_eq!(fault("code=c0de&state="), CallbackError::Malformed("state"));
}

// A8: a parameter that is there twice is refused, however it is spelled and even if both are alike.
#[test]
fn a_repeated_parameter_is_refused() {
    for name in KNOWN {
        let twice = format!("{name}=a&x=y&{name}=a");
        assert_eq!(fault(&twice), CallbackError::Duplicate(name));
    }
    assert_eq!(fault("code=a&c%6Fde=b"), CallbackError::Duplicate("code"));
    assert_eq!(fault("code=a&code="), CallbackError::Duplicate("code"));
    assert_eq!(fault("state&state=x"), CallbackError::Duplicate("state"));
}

// A10: an answer has a code or an error, and nothing of another flow.
#[test]
fn an_answer_of_another_flow_is_refused() {
    assert_eq!(
        fault(&with_state("code=a&error=access_denied")),
        CallbackError::CodeAndError
    );
    assert_eq!(
        fault(&with_state("code=a&error=")),
        CallbackError::CodeAndError
    );
    assert_eq!(fault(&with_state("x=y")), CallbackError::Nothing);
    assert_eq!(fault(""), CallbackError::Nothing);
    for name in ["id_token", "access_token", "token", "response"] {
        let query = with_state(&format!("code=a&{name}=x"));
        assert_eq!(fault(&query), CallbackError::ForeignFlow(name));
        let query = with_state(&format!("{name}=&code=a"));
        assert_eq!(fault(&query), CallbackError::ForeignFlow(name));
    }
}

// A12: a code of 8 KiB works, one byte more does not.
#[test]
fn a_code_has_a_size_and_an_alphabet() {
    let largest = "c".repeat(8 * 1024);
    let grant = redeem(&metadata(), &with_state(&format!("code={largest}"))).unwrap();
    assert!(grant.code.equals(&largest));
    for code in [
        largest.as_str(),
        "",
        "a%00",
        "a%0d%0ab",
        "%FF",
        "%C3%A9",
        "a%7F",
    ] {
        let query = with_state(&format!("code={code}"));
        let query = query.replace(&largest, &format!("{largest}c"));
        assert_eq!(fault(&query), CallbackError::Malformed("code"), "{code}");
    }
    assert_eq!(
        fault(&with_state(&format!("x={}", "y".repeat(64 * 1024)))),
        CallbackError::TooLarge
    );
    assert_eq!(fault(&"x&".repeat(101)), CallbackError::TooLarge);
}

// A9: what the provider says is told in safe words, and ends this login only.
#[test]
fn a_refusal_of_the_provider_is_told_in_safe_words() {
    let refusal = |query: &str| match redeem(&metadata(), &with_state(query)) {
        Err(RedeemError::Provider(refusal)) => refusal,
        other => panic!("{query}: {other:?}"),
    };
    let denied = refusal("error=access_denied&error_description=No+entry.&error_uri=https://e");
    assert_eq!(denied.code, ErrorCode::AccessDenied);
    assert_eq!(denied.description.as_deref(), Some("No entry."));
    for (description, shown) in [
        ("%3Cscript%3Ex()%3C/script%3E", "<script>x()</script>"),
        ("a%0d%0aSet-Cookie:+x%3dy", "a Set-Cookie: x=y"),
        ("a%E2%80%AEb%E2%81%A6c", "abc"),
        ("a%00b%1b[31mc", "ab[31mc"),
    ] {
        let refusal = refusal(&format!(
            "error=server_error&error_description={description}"
        ));
        assert_eq!(refusal.description.as_deref(), Some(shown));
    }
    let long = refusal(&format!(
        "error=x_y&error_description={}",
        "ab+".repeat(20_000)
    ));
    assert_eq!(long.description.unwrap().chars().count(), 200);
    let odd = refusal("error=%3Cscript%3E");
    assert_eq!((odd.code, odd.description), (ErrorCode::Unreadable, None));
}

// A5, A9: a refusal with another state is not this login's.
#[test]
fn a_refusal_without_the_state_is_not_told() {
    let told = redeem(&metadata(), "error=access_denied&state=other").unwrap_err();
    assert_eq!(told, RedeemError::StateMismatch);
    let told = redeem(&metadata(), "error=access_denied").unwrap_err();
    assert_eq!(told, RedeemError::StateMissing);
}

// B7: where the provider promises `iss`, a code without it is refused.
#[test]
fn a_promised_issuer_must_come() {
    assert_eq!(
        redeem(&promising(), &with_state("code=a")).unwrap_err(),
        RedeemError::IssuerMissing
    );
    let encoded = with_state("code=a&iss=https%3A%2F%2Fi.test%2Ftenant");
    assert!(redeem(&promising(), &encoded).is_ok());
    assert!(redeem(&metadata(), &encoded).is_ok());
    assert!(redeem(&metadata(), &with_state("code=a")).is_ok());
    // Real providers forget it in errors; nothing is redeemed by those.
    let forgotten = redeem(&promising(), &with_state("error=access_denied"));
    assert!(matches!(forgotten, Err(RedeemError::Provider(_))));
}

// B6, B7: another issuer is refused whether or not one was promised, byte for byte after decoding.
#[test]
fn a_code_of_another_issuer_is_refused() {
    for iss in [
        "https://evil.test",
        "https://i.test/tenant/",
        "https://I.test/tenant",
        "https://i.test:443/tenant",
        "https://i.test/%2574enant",
        "https://i.test/tenant%20",
        "x",
    ] {
        for metadata in [metadata(), promising()] {
            for answer in ["code=a", "error=access_denied"] {
                let query = with_state(&format!("{answer}&iss={iss}"));
                let error = redeem(&metadata, &query).unwrap_err();
                let RedeemError::IssuerMismatch { expected, .. } = error else {
                    panic!("{query}: {error}");
                };
                assert_eq!(expected, ISSUER);
            }
        }
    }
    assert_eq!(
        fault(&with_state("code=a&iss=")),
        CallbackError::Malformed("iss")
    );
}

// B6: a code that came to another provider's callback is nobody's.
#[test]
fn a_code_that_came_to_another_providers_callback_is_refused() {
    let response = AuthorizationResponse::parse(&with_state("code=a")).unwrap();
    let grant = pending_at(&metadata()).redeem(response, at("other"), NOW, TEN_MINUTES);
    assert_eq!(grant.unwrap_err(), RedeemError::OtherProvider);
}

// B9: the attacker's metadata lists the honest provider's authorization endpoint. The honest
// provider says who it is, and that is not the attacker.
#[test]
fn a_code_of_the_honest_provider_is_not_taken_for_the_attackers() {
    let evil = "https://evil.test";
    let document = forge::document_with(|document| {
        document["issuer"] = evil.into();
        document["token_endpoint"] = "https://evil.test/token".into();
    });
    let rules = crate::oidc::endpoint::EndpointRules::HttpsOnly;
    let attacker = ProviderMetadata::parse(&document, evil, rules).unwrap();
    let query = with_state("code=honest&iss=https://i.test/tenant");
    assert_eq!(
        redeem(&attacker, &query).unwrap_err(),
        RedeemError::IssuerMismatch {
            expected: evil.to_owned(),
            got: ISSUER.to_owned()
        }
    );
}

// A13: a login that took too long, or that a wrong clock dated ahead, is over.
#[test]
fn a_login_that_took_too_long_is_over() {
    let second = Duration::from_secs(1);
    for (now, expected) in [
        (NOW.plus(TEN_MINUTES), Ok(())),
        (
            NOW.plus(TEN_MINUTES).plus(second),
            Err(RedeemError::Expired),
        ),
        (NOW.minus(Duration::from_mins(1)), Ok(())),
        (
            NOW.minus(Duration::from_secs(61)),
            Err(RedeemError::Expired),
        ),
    ] {
        let response = AuthorizationResponse::parse(&with_state("code=a")).unwrap();
        let grant = pending_at(&metadata()).redeem(response, at("corp"), now, TEN_MINUTES);
        assert_eq!(grant.map(|_| ()), expected, "{now:?}");
    }
}

// A plain OAuth 2.0 provider has no issuer of its own that an `iss` could be compared with.
#[test]
fn an_issuer_is_not_compared_where_none_is_known() {
    let metadata = forge::oauth2_metadata();
    let query = with_state("code=a&iss=https://github.test/login/oauth");
    let grant = redeem(&metadata, &query).unwrap();
    assert!(grant.nonce.is_none());
}

// B7: but whoever calls itself by another's name that is configured here answered for that one: the
// code is not taken to where the login went to (RFC 9207, mix-up).
#[test]
fn a_nameless_provider_that_calls_itself_by_anothers_name_is_refused() {
    let metadata = forge::oauth2_metadata();
    for iss in [
        "https://login.test",
        "https://login.test/",
        "https://id.test/tenant",
        "https://id.test/tenant/",
    ] {
        for answer in ["code=a", "error=access_denied"] {
            let query = with_state(&format!("{answer}&iss={iss}"));
            assert!(
                matches!(
                    redeem(&metadata, &query),
                    Err(RedeemError::IssuerMismatch { got, .. }) if got == iss
                ),
                "{query}"
            );
        }
    }
    let own = with_state("code=a&iss=https://id.test");
    assert!(redeem(&metadata, &own).is_ok());
}
