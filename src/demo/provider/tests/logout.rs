use super::*;

fn end_session(rig: &Rig, browser: &mut Browser, parameters: &[(&str, &str)]) -> Response<Bytes> {
    browser.get(rig, &format!("/op/end_session?{}", encode(parameters)))
}

fn signed_in(rig: &Rig, browser: &mut Browser) -> bool {
    callback(&browser.authorize(rig, &[("prompt", "none")])).contains_key("code")
}

#[test]
fn a_hint_signs_out_at_once_and_leads_back_with_state() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let response = end_session(
        &rig,
        &mut browser,
        &[
            ("id_token_hint", member(&tokens, "id_token")),
            ("client_id", "gate"),
            ("post_logout_redirect_uri", AFTER),
            ("state", "s&t"),
        ],
    );
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[LOCATION], format!("{AFTER}?state=s%26t"));
    assert!(browser.cookie.is_none());
    assert!(!signed_in(&rig, &mut browser));
}

#[test]
fn an_old_hint_is_good_enough_and_so_is_one_by_retired_keys() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    rig.pass(9 * 60 * 60);
    rig.provider.rotate_keys(
        Arc::new(SigningKeys::generate().unwrap()),
        super::super::OldKeys::Withdrawn,
    );
    let hint = [("id_token_hint", member(&tokens, "id_token"))];
    let response = end_session(&rig, &mut browser, &hint);
    assert!(text(&response).contains("Signed out"));
    assert!(!signed_in(&rig, &mut browser));
}

#[test]
fn the_old_cookie_is_worth_nothing_after_signing_out() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let mut thief = Browser {
        cookie: browser.cookie.clone(),
    };
    assert!(signed_in(&rig, &mut thief));
    let hint = [("id_token_hint", member(&tokens, "id_token"))];
    end_session(&rig, &mut browser, &hint);
    assert!(!signed_in(&rig, &mut thief));
}

#[test]
fn without_a_fitting_hint_the_person_is_asked() {
    let (rig, mut browser, mut other) = (Rig::new(), Browser::default(), Browser::default());
    rig.tokens(&mut browser);
    let others = rig.tokens(&mut other);
    for parameters in [
        vec![
            ("client_id", "gate"),
            ("post_logout_redirect_uri", AFTER),
            ("state", "x"),
        ],
        vec![("id_token_hint", member(&others, "id_token"))],
        vec![],
    ] {
        let page = end_session(&rig, &mut browser, &parameters);
        assert_eq!(page.status(), StatusCode::OK);
        assert!(text(&page).contains("Sign out?"));
        let stayed = browser.decide(&rig, &page, "stay");
        assert!(text(&stayed).contains("Still signed in"));
        assert!(signed_in(&rig, &mut browser) && signed_in(&rig, &mut other));
    }
    let parameters = [
        ("client_id", "gate"),
        ("post_logout_redirect_uri", AFTER),
        ("state", "x"),
    ];
    let page = end_session(&rig, &mut browser, &parameters);
    // Another browser cannot answer for this one.
    assert_eq!(
        other.decide(&rig, &page, "sign_out").status(),
        StatusCode::BAD_REQUEST
    );
    let page = end_session(&rig, &mut browser, &parameters);
    let done = browser.decide(&rig, &page, "sign_out");
    assert_eq!(done.headers()[LOCATION], format!("{AFTER}?state=x"));
    assert!(!signed_in(&rig, &mut browser) && signed_in(&rig, &mut other));
}

#[test]
fn an_unregistered_place_or_a_foreign_hint_gets_a_page_and_signs_nobody_out() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let hint = ("id_token_hint", member(&tokens, "id_token"));
    let elsewhere = format!("{AFTER}/");
    let foreign = SigningKeys::generate().unwrap();
    let header = foreign.header(SigningAlgorithm::Rs256, "JWT");
    let forged = Value::Object(claims(&tokens));
    let forged = foreign
        .sign(SigningAlgorithm::Rs256, &header, &forged)
        .unwrap();
    for parameters in [
        vec![hint, ("post_logout_redirect_uri", "http://evil.test/")],
        vec![hint, ("post_logout_redirect_uri", &elsewhere)],
        vec![
            hint,
            ("client_id", "other"),
            ("post_logout_redirect_uri", AFTER),
        ],
        vec![("post_logout_redirect_uri", AFTER)],
        vec![("client_id", "nobody"), ("post_logout_redirect_uri", AFTER)],
        vec![
            ("id_token_hint", forged.as_str()),
            ("post_logout_redirect_uri", AFTER),
        ],
        vec![("id_token_hint", "nonsense")],
        vec![hint, hint],
    ] {
        let page = end_session(&rig, &mut browser, &parameters);
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        assert!(!page.headers().contains_key(LOCATION));
        assert!(signed_in(&rig, &mut browser));
    }
}

#[test]
fn a_hint_signs_out_where_the_cookie_did_not_come_along() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let hint = [("id_token_hint", member(&tokens, "id_token"))];
    end_session(&rig, &mut Browser::default(), &hint);
    assert!(!signed_in(&rig, &mut browser));
    // Twice is once.
    let again = end_session(&rig, &mut browser, &hint);
    assert!(text(&again).contains("Signed out"));
}

#[test]
fn each_client_with_tokens_of_the_sign_in_is_told() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let code = rig.code(&mut browser, &[("client_id", "other")]);
    rig.call("/token", Some("other:x"), &redemption(&code));
    // A code alone is no session at the client.
    rig.code(&mut browser, &[("client_id", "spa")]);
    let hint = [("id_token_hint", member(&tokens, "id_token"))];
    end_session(&rig, &mut browser, &hint);
    let notices = rig.provider.take_logout_notices();
    let names: Vec<_> = notices
        .iter()
        .map(|notice| notice.client_id.as_str())
        .collect();
    assert_eq!(names, ["gate", "other"]);
    assert!(rig.provider.take_logout_notices().is_empty());
    let sid = claims(&tokens)["sid"].clone();
    let now = rig.clock.now().as_seconds();
    let mut jtis = std::collections::BTreeSet::new();
    for notice in &notices {
        assert_eq!(
            notice.uri,
            format!("http://127.0.0.1:4180/{}/bcl", notice.client_id)
        );
        let raw = notice.token.expose();
        let header = URL_SAFE_NO_PAD
            .decode(raw.split('.').next().unwrap())
            .unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header["typ"], "logout+jwt");
        let mut told = KEYS.open(raw).unwrap();
        assert!(jtis.insert(told.remove("jti").unwrap().to_string()));
        let expected = serde_json::json!({
            "iss": ISSUER, "aud": notice.client_id, "sub": "u-alice", "sid": sid,
            "iat": now, "exp": now + 120,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        assert_eq!(Value::Object(told), expected);
    }
}

#[test]
fn signing_out_takes_back_what_was_not_meant_to_outlive_it() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let tokens = rig.tokens(&mut browser);
    let offline = [("scope", "openid offline_access")];
    let (_, lasting) = rig.redeem(&rig.code(&mut browser, &offline));
    let under_way = rig.code(&mut browser, &[]);
    rig.provider.sign_out_everywhere("alice").unwrap();
    assert_eq!(rig.provider.take_logout_notices().len(), 1);
    assert_eq!(rig.redeem(&under_way).1["error"], "invalid_grant");
    assert_eq!(
        rig.renew(member(&tokens, "refresh_token")).1["error"],
        "invalid_grant"
    );
    let userinfo = rig.userinfo(member(&tokens, "access_token"));
    assert_eq!(userinfo.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        rig.renew(member(&lasting, "refresh_token")).0,
        StatusCode::OK
    );
    assert!(!signed_in(&rig, &mut browser));
}

#[test]
fn a_logout_token_is_no_hint() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    rig.tokens(&mut browser);
    rig.provider.sign_out_everywhere("alice").unwrap();
    let notices = rig.provider.take_logout_notices();
    let hint = [("id_token_hint", notices[0].token.expose())];
    let page = end_session(&rig, &mut browser, &hint);
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
}
