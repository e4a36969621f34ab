use std::collections::BTreeSet;

use super::*;
use crate::demo::provider::{Endpoint, OldKeys, ProviderError, RegistrationError};

fn json(response: &Response<Bytes>) -> Value {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn the_metadata_names_endpoints_that_exist() {
    let rig = Rig::new();
    let metadata = json(&rig.answer(Request::get("/op/.well-known/openid-configuration"), ""));
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        Value::from(vec!["S256"])
    );
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
    let mut seen = BTreeSet::new();
    for (name, value) in metadata.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let path = Url::parse(value.as_str().unwrap())
                .unwrap()
                .path()
                .to_owned();
            seen.insert(rig.provider.endpoint(&path).expect(name));
        }
    }
    assert_eq!(seen.len(), 7);
}

#[test]
fn rotated_keys_stay_published_or_not_as_told() {
    let rig = Rig::new();
    let kids = || -> Vec<String> {
        let set = json(&rig.answer(Request::get("/op/jwks"), ""));
        let keys = set["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| member(key, "kid").to_owned())
            .collect()
    };
    let before = kids();
    assert_eq!(before.len(), 2);
    rig.provider.rotate_keys(
        Arc::new(SigningKeys::generate().unwrap()),
        OldKeys::Published,
    );
    let both = kids();
    assert_eq!(both.len(), 4);
    assert_eq!(both[2..], before[..]);
    rig.provider.rotate_keys(
        Arc::new(SigningKeys::generate().unwrap()),
        OldKeys::Withdrawn,
    );
    let after = kids();
    assert_eq!(after.len(), 4);
    assert!(!after.contains(&both[0]) && after.contains(&before[0]));
    let mut browser = Browser::default();
    let tokens = rig.tokens(&mut browser);
    let keys = rig.provider.keys();
    assert!(keys.open(member(&tokens, "id_token")).is_some());
    assert_eq!(keys.kid(SigningAlgorithm::Rs256), after[0]);
}

#[test]
fn a_client_may_have_its_tokens_signed_by_the_other_key() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let code = rig.code(&mut browser, &[("client_id", "other")]);
    let (_, tokens) = rig.call("/token", Some("other:x"), &redemption(&code));
    let header = member(&tokens, "id_token").split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims(&tokens)["aud"], "other");
}

#[test]
fn userinfo_tells_what_the_scopes_ask_for() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let (_, tokens) = rig.redeem(&rig.code(&mut browser, &[("scope", "openid email")]));
    let told = json(&rig.userinfo(member(&tokens, "access_token")));
    let expected = serde_json::json!({
        "sub": "u-alice", "email": "alice@example.com", "email_verified": true,
    });
    assert_eq!(told, expected);
}

#[test]
fn userinfo_wants_a_live_access_token() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let bare = rig.answer(Request::get("/op/userinfo"), "");
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        bare.headers()["www-authenticate"],
        "Bearer realm=\"sidegate provider\""
    );
    for wrong in [
        "",
        "nonsense",
        member(&tokens, "refresh_token"),
        member(&tokens, "id_token"),
    ] {
        let response = rig.userinfo(wrong);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""));
    }
    let access = member(&tokens, "access_token");
    rig.pass(299);
    assert_eq!(rig.userinfo(access).status(), StatusCode::OK);
    rig.pass(1);
    assert_eq!(rig.userinfo(access).status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn revoking_a_refresh_token_ends_its_grant_and_an_access_token_only_itself() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let revoke = |basic, token| rig.call("/revoke", Some(basic), &[("token", token)]);
    let tokens = rig.tokens(&mut browser);
    let (access, refresh) = (
        member(&tokens, "access_token"),
        member(&tokens, "refresh_token"),
    );
    assert_eq!(revoke("other:x", access).1["error"], "invalid_grant");
    assert_eq!(revoke("gate:no", access).0, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.userinfo(access).status(), StatusCode::OK);
    assert_eq!(revoke("gate:s%26cret", access).0, StatusCode::OK);
    assert_eq!(rig.userinfo(access).status(), StatusCode::UNAUTHORIZED);
    let (_, renewed) = rig.renew(refresh);
    let (access, refresh) = (
        member(&renewed, "access_token"),
        member(&renewed, "refresh_token"),
    );
    assert_eq!(revoke("gate:s%26cret", refresh).0, StatusCode::OK);
    assert_eq!(rig.userinfo(access).status(), StatusCode::UNAUTHORIZED);
    assert_eq!(rig.renew(refresh).1["error"], "invalid_grant");
    assert_eq!(revoke("gate:s%26cret", "unknown").0, StatusCode::OK);
    let none = rig.call("/revoke", Some("gate:s%26cret"), &[]);
    assert_eq!(none.1["error"], "invalid_request");
}

#[test]
fn introspection_knows_live_tokens_and_says_nothing_of_others() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let ask = |token| {
        rig.call("/introspect", Some("other:x"), &[("token", token)])
            .1
    };
    let facts = ask(member(&tokens, "access_token"));
    let now = rig.clock.now().as_seconds();
    let expected = serde_json::json!({
        "active": true, "token_type": "Bearer", "iss": ISSUER, "sub": "u-alice",
        "username": "alice", "client_id": "gate", "aud": "gate",
        "scope": "openid profile email", "iat": now, "exp": now + 300,
    });
    assert_eq!(facts, expected);
    assert_eq!(ask(member(&tokens, "refresh_token"))["active"], true);
    let inactive = serde_json::json!({ "active": false });
    assert_eq!(ask("unknown"), inactive);
    rig.renew(member(&tokens, "refresh_token"));
    assert_eq!(ask(member(&tokens, "refresh_token")), inactive);
    rig.pass(300);
    assert_eq!(ask(member(&tokens, "access_token")), inactive);
    let public = [("client_id", "spa"), ("token", "unknown")];
    assert_eq!(
        rig.call("/introspect", None, &public).1["error"],
        "invalid_client"
    );
}

#[test]
fn other_paths_and_methods_are_refused_and_calls_counted() {
    let rig = Rig::new();
    for path in [
        "/authorize",
        "/op/none",
        "/op/token/",
        "/opt",
        "/op/authorize/x",
    ] {
        assert_eq!(
            rig.answer(Request::get(path), "").status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let response = rig.answer(Request::get("/op/token?code=1"), "");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(
        rig.answer(Request::put("/op/jwks"), "").status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        rig.answer(Request::head("/op/jwks"), "").status(),
        StatusCode::OK
    );
    assert_eq!(rig.provider.hits(Endpoint::Jwks), 2);
    assert_eq!(rig.provider.hits(Endpoint::Token), 1);
    assert_eq!(rig.provider.hits(Endpoint::Userinfo), 0);
}

#[test]
fn a_provider_is_built_on_loopback_only() {
    let build = |issuer: &str| {
        let mut options = ProviderOptions::new(issuer);
        options.keys = Some(Arc::clone(&KEYS));
        Provider::new(options)
    };
    for good in [
        "http://127.0.0.1:4181",
        "http://localhost:1/a/b",
        "http://[::1]:1",
        "https://127.0.0.1:1",
        "http://id.localhost",
    ] {
        assert!(build(good).is_ok(), "{good}");
    }
    for bad in [
        "http://id.example.com",
        "http://10.0.0.1:80",
        "http://127.0.0.1.evil.test",
        "http://127.0.0.1:1/",
        "http://127.0.0.1:1/a//b",
        "http://127.0.0.1:1/?x",
        "http://127.0.0.1:1?",
        "http://127.0.0.1:1/#x",
        "http://u@127.0.0.1:1",
        "ftp://127.0.0.1",
        "127.0.0.1:1",
        "http://127.0.0.1:1/a%20b",
    ] {
        assert!(matches!(build(bad), Err(ProviderError::Issuer)), "{bad}");
    }
}

#[test]
fn an_unsound_client_is_not_registered() {
    let rig = Rig::new();
    let client = |change: &dyn Fn(&mut ClientRegistration)| {
        let mut client = ClientRegistration::new("new", None, CALLBACK);
        change(&mut client);
        rig.provider.register(client)
    };
    assert_eq!(client(&|_| {}), Ok(()));
    assert_eq!(
        client(&|it| it.client_id = String::new()),
        Err(RegistrationError::ClientId)
    );
    for bad in [
        "/relative",
        "http://a.test/#x",
        "javascript:alert(1)",
        "http://a.test/ x",
    ] {
        assert_eq!(
            client(&|it| it.redirect_uris = vec![bad.to_owned()]),
            Err(RegistrationError::RedirectUri)
        );
        assert_eq!(
            client(&|it| it.post_logout_redirect_uris = vec![bad.to_owned()]),
            Err(RegistrationError::RedirectUri)
        );
    }
    for bad in ["https://127.0.0.1/x", "http://a.test/x", "http://10.0.0.1/"] {
        assert_eq!(
            client(&|it| it.backchannel_logout_uri = Some(bad.to_owned())),
            Err(RegistrationError::BackchannelLogoutUri)
        );
    }
}

#[test]
fn the_ledger_has_every_secret_and_nothing_prints_one() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let code = rig.code(&mut browser, &[]);
    let (_, tokens) = rig.redeem(&code);
    let cookie = browser.cookie.clone().unwrap();
    let ledger = rig.provider.issued_secrets();
    let printed = format!("{:?} {ledger:?}", rig.provider);
    for secret in [
        code.as_str(),
        member(&tokens, "access_token"),
        member(&tokens, "refresh_token"),
        member(&tokens, "id_token"),
        cookie.split_once('=').unwrap().1,
    ] {
        assert!(ledger.iter().any(|known| known.expose() == secret));
        assert!(!printed.contains(secret));
    }
    let quiet = Rig::with(|options| options.ledger = Ledger::Off);
    quiet.tokens(&mut Browser::default());
    assert!(quiet.provider.issued_secrets().is_empty());
}
