use super::*;
use crate::demo::provider::{IdTokenClaims, Lifetimes, RefreshTokens, signing::half_hash};

fn invalid_grant((status, body): (StatusCode, Value)) {
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::BAD_REQUEST, &"invalid_grant".into())
    );
}

#[test]
fn a_code_gives_tokens_that_say_who_signed_in() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    rig.pass(7);
    let code = rig.code(&mut browser, &[]);
    rig.pass(5);
    let (_, tokens) = rig.redeem(&code);
    let now = rig.clock.now().as_seconds();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 300);
    assert_eq!(tokens["scope"], "openid profile email");
    let claims = claims(&tokens);
    for (name, value) in [
        ("iss", Value::from(ISSUER)),
        ("sub", "u-alice".into()),
        ("aud", "gate".into()),
        ("nonce", "n0nce".into()),
        ("iat", now.into()),
        ("exp", (now + 300).into()),
        ("auth_time", (now - 5).into()),
        ("preferred_username", "alice".into()),
        ("name", "Alice Example".into()),
        ("email", "alice@example.com".into()),
        ("email_verified", true.into()),
        ("groups", vec!["admins", "dev"].into()),
        ("at_hash", half_hash(member(&tokens, "access_token")).into()),
    ] {
        assert_eq!(claims.get(name), Some(&value), "{name}");
    }
    assert_eq!(claims["sid"].as_str().unwrap().len(), 43);
}

#[test]
fn a_second_use_of_a_code_revokes_what_the_first_one_got() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let code = rig.code(&mut browser, &[]);
    let (_, tokens) = rig.redeem(&code);
    let access = member(&tokens, "access_token");
    assert_eq!(rig.userinfo(access).status(), StatusCode::OK);
    invalid_grant(rig.redeem(&code));
    assert_eq!(rig.userinfo(access).status(), StatusCode::UNAUTHORIZED);
    invalid_grant(rig.renew(member(&tokens, "refresh_token")));
}

#[test]
fn a_second_use_is_seen_after_the_codes_own_time() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let code = rig.code(&mut browser, &[]);
    let (_, tokens) = rig.redeem(&code);
    rig.pass(120);
    invalid_grant(rig.redeem(&code));
    assert_eq!(
        rig.userinfo(member(&tokens, "access_token")).status(),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn a_code_that_failed_once_is_spent() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    for (name, value) in [
        (
            "code_verifier",
            "another-verifier-of-more-than-forty-three-characters",
        ),
        ("code_verifier", ""),
        ("redirect_uri", "http://127.0.0.1:4180/oauth2/callback"),
        ("redirect_uri", ""),
    ] {
        let code = rig.code(&mut browser, &[]);
        let form = redemption(&code).map(|(n, v)| (n, if n == name { value } else { v }));
        invalid_grant(rig.call("/token", Some("gate:s%26cret"), &form));
        invalid_grant(rig.redeem(&code));
    }
}

#[test]
fn a_code_expires_by_the_clock() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let (in_time, late) = (rig.code(&mut browser, &[]), rig.code(&mut browser, &[]));
    rig.pass(59);
    assert_eq!(rig.redeem(&in_time).0, StatusCode::OK);
    rig.pass(1);
    invalid_grant(rig.redeem(&late));
}

#[test]
fn a_code_is_its_clients_alone() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let code = rig.code(&mut browser, &[]);
    invalid_grant(rig.call("/token", Some("other:x"), &redemption(&code)));
    // Somebody else's guess does not cost its owner the code.
    assert_eq!(rig.redeem(&code).0, StatusCode::OK);
}

#[test]
fn a_client_proves_itself_in_exactly_one_way() {
    let rig = Rig::new();
    let form = |more: &[(&'static str, &'static str)]| {
        let mut form = redemption("unknown").to_vec();
        form.extend(more);
        form
    };
    let ask = |basic, more: &[_]| rig.call("/token", basic, &form(more)).1["error"].clone();
    // Whoever comes as far as the code was believed.
    for (basic, more) in [
        (Some("gate:s%26cret"), [].as_slice()),
        (Some("gate:s%26cret"), &[("client_id", "gate")]),
        (None, &[("client_id", "gate"), ("client_secret", "s&cret")]),
        (None, &[("client_id", "spa")]),
    ] {
        assert_eq!(ask(basic, more), "invalid_grant", "{basic:?} {more:?}");
    }
    for (basic, more) in [
        (Some("gate:wrong"), [].as_slice()),
        (Some("gate:s%26cret"), &[("client_id", "other")]),
        (Some("nobody:s%26cret"), &[]),
        (Some("spa:"), &[]),
        (None, &[]),
        (None, &[("client_id", "gate")]),
        (None, &[("client_id", "gate"), ("client_secret", "wrong")]),
        (None, &[("client_id", "spa"), ("client_secret", "x")]),
    ] {
        let (status, body) = rig.call("/token", basic, &form(more));
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{basic:?} {more:?}");
        assert_eq!(body["error"], "invalid_client");
    }
    let both = ask(Some("gate:s%26cret"), &[("client_secret", "s&cret")]);
    assert_eq!(both, "invalid_request");
}

#[test]
fn a_refused_client_is_told_how_to_authenticate() {
    let rig = Rig::new();
    let request = Request::post("/op/token")
        .header(
            CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .header(AUTHORIZATION, "Bearer x");
    let response = rig.answer(request, "grant_type=refresh_token");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Basic "));
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[test]
fn a_request_that_is_no_sound_form_is_refused() {
    let rig = Rig::new();
    let json = Request::post("/op/token").header(CONTENT_TYPE, "application/json");
    let response = rig.answer(json, "{}");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(text(&response).contains("invalid_request"));
    for (form, error) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (
            vec![("grant_type", "authorization_code")],
            "invalid_request",
        ),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("code", "1"), ("code", "2")], "invalid_request"),
    ] {
        let (status, body) = rig.call("/token", Some("gate:s%26cret"), &form);
        assert_eq!(
            (status, body["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some(error))
        );
    }
}

#[test]
fn a_refresh_token_rotates_and_its_reuse_ends_the_whole_grant() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let first = rig.tokens(&mut browser);
    let (status, second) = rig.renew(member(&first, "refresh_token"));
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    // Both access tokens live on until somebody uses the old refresh token.
    for tokens in [&first, &second] {
        assert_eq!(
            rig.userinfo(member(tokens, "access_token")).status(),
            StatusCode::OK
        );
    }
    invalid_grant(rig.renew(member(&first, "refresh_token")));
    invalid_grant(rig.renew(member(&second, "refresh_token")));
    for tokens in [&first, &second] {
        let userinfo = rig.userinfo(member(tokens, "access_token"));
        assert_eq!(userinfo.status(), StatusCode::UNAUTHORIZED);
    }
}

#[test]
fn a_renewed_id_token_is_about_the_same_sign_in_without_its_nonce() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let first = claims(&tokens);
    rig.pass(100);
    let groups = vec!["ops".to_owned()];
    rig.provider.set_groups("alice", groups).unwrap();
    let (_, renewed) = rig.renew(member(&tokens, "refresh_token"));
    let second = claims(&renewed);
    for name in ["iss", "sub", "aud", "sid", "auth_time"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    assert_eq!(second["iat"], rig.clock.now().as_seconds());
    assert!(!second.contains_key("nonce"));
    assert_eq!(second["groups"], Value::from(vec!["ops"]));
    assert!(rig.provider.set_groups("nobody", Vec::new()).is_err());
}

#[test]
fn a_refresh_token_is_its_clients_alone_and_expires() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let refresh = member(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    invalid_grant(rig.call("/token", Some("other:x"), &form));
    rig.pass(8 * 60 * 60 - 1);
    let (status, renewed) = rig.renew(refresh);
    assert_eq!(status, StatusCode::OK, "a foreign try has not spent it");
    rig.pass(8 * 60 * 60);
    invalid_grant(rig.renew(member(&renewed, "refresh_token")));
}

#[test]
fn a_renewal_narrows_scopes_and_never_widens_them() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let renew = |refresh, scope| {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("scope", scope),
        ];
        rig.call("/token", Some("gate:s%26cret"), &form)
    };
    let refresh = member(&tokens, "refresh_token");
    assert_eq!(renew(refresh, "openid groups").1["error"], "invalid_scope");
    let (_, narrow) = renew(refresh, "openid email");
    assert_eq!(narrow["scope"], "openid email");
    let userinfo = rig.userinfo(member(&narrow, "access_token"));
    assert!(!text(&userinfo).contains("preferred_username"));
    // The grant itself stays as wide as it was.
    assert_eq!(
        rig.renew(member(&narrow, "refresh_token")).1["scope"],
        "openid profile email"
    );
}

#[test]
fn nobody_is_renewed_after_being_removed() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    rig.provider.remove_user("alice").unwrap();
    invalid_grant(rig.renew(member(&tokens, "refresh_token")));
}

#[test]
fn refresh_tokens_and_claims_follow_the_options() {
    let rig = Rig::with(|options| {
        options.refresh_tokens = RefreshTokens::OfflineAccess;
        options.id_token_claims = IdTokenClaims::UserinfoOnly;
        options.extra_scopes = vec!["dash.read".to_owned()];
    });
    let mut browser = Browser::default();
    let tokens = rig.tokens(&mut browser);
    assert_eq!(tokens.get("refresh_token"), None);
    assert!(!claims(&tokens).contains_key("email"));
    let offline = [("scope", "openid offline_access dash.read")];
    let (_, tokens) = rig.redeem(&rig.code(&mut browser, &offline));
    assert_eq!(tokens["scope"], "openid offline_access dash.read");
    assert_eq!(
        rig.renew(member(&tokens, "refresh_token")).0,
        StatusCode::OK
    );
}

#[test]
fn without_openid_there_is_no_id_token_and_no_userinfo() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let (_, tokens) = rig.redeem(&rig.code(&mut browser, &[("scope", "email")]));
    assert_eq!(tokens.get("id_token"), None);
    let userinfo = rig.userinfo(member(&tokens, "access_token"));
    assert_eq!(userinfo.status(), StatusCode::FORBIDDEN);
}

#[test]
fn lifetimes_can_be_changed_for_what_is_issued_from_then_on() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    rig.provider.set_lifetimes(Lifetimes {
        access_token: Duration::from_secs(10),
        ..Lifetimes::default()
    });
    let tokens = rig.tokens(&mut browser);
    assert_eq!(tokens["expires_in"], 10);
    rig.pass(10);
    let userinfo = rig.userinfo(member(&tokens, "access_token"));
    assert_eq!(userinfo.status(), StatusCode::UNAUTHORIZED);
}
