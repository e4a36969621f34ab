use super::*;

#[test]
fn a_sign_in_ends_at_the_client_with_code_state_and_issuer() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let page = browser.authorize(&rig, &[("login_hint", "al\"ice")]);
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(
        attribute(text(&page), "name=\"username\" value=\""),
        "al&quot;ice"
    );
    let done = browser.sign_in(&rig, &page, "alice");
    let parameters = callback(&done);
    assert_eq!(parameters["state"], "st&te");
    assert_eq!(parameters["iss"], ISSUER);
    assert_eq!(parameters["kept"], "/");
    assert_eq!(parameters["code"].len(), 43);
    let last = rig.provider.last_authorization().unwrap();
    assert_eq!(last.value("nonce"), Some("n0nce"));
}

#[test]
fn the_cookie_is_the_providers_own_and_unreadable_by_scripts() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let page = browser.authorize(&rig, &[]);
    let done = browser.sign_in(&rig, &page, "alice");
    let cookie = done.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("sidegate-provider-"));
    assert!(
        cookie.ends_with("; Path=/op; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
}

#[test]
fn who_is_signed_in_is_not_asked_again() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let one = rig.code(&mut browser, &[]);
    let again = browser.authorize(&rig, &[]);
    assert_ne!(callback(&again)["code"], one);
    // Another browser is asked.
    let stranger = Browser::default().authorize(&rig, &[]);
    assert_eq!(stranger.status(), StatusCode::OK);
    // And so is this one when its time is over.
    rig.pass(10 * 60 * 60);
    assert_eq!(browser.authorize(&rig, &[]).status(), StatusCode::OK);
}

#[test]
fn an_unknown_client_or_redirect_uri_gets_a_page_and_never_a_redirect() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    rig.code(&mut browser, &[]);
    let longer = format!("{CALLBACK}&x=1");
    let repeated = format!(
        "{}&redirect_uri={}",
        authorize_target(&[]),
        "http://evil.test/"
    );
    for target in [
        authorize_target(&[("client_id", "nobody")]),
        authorize_target(&[("client_id", "")]),
        authorize_target(&[("redirect_uri", "")]),
        authorize_target(&[("redirect_uri", "http://evil.test/")]),
        authorize_target(&[("redirect_uri", &longer)]),
        authorize_target(&[("redirect_uri", CALLBACK.trim_end_matches("%2f"))]),
        format!("{}&client_id=gate", authorize_target(&[])),
        repeated,
    ] {
        let page = browser.get(&rig, &target);
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{target}");
        assert!(!page.headers().contains_key(LOCATION), "{target}");
    }
}

#[test]
fn an_unsound_request_is_refused_at_the_client_with_its_state() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    rig.code(&mut browser, &[]);
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "root", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "dance", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("max_age", "+1", "invalid_request"),
        ("request", "x.y.z", "request_not_supported"),
        ("request_uri", "urn:x", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
    ] {
        let response = browser.authorize(&rig, &[(name, value)]);
        assert_eq!(refusal(&response), error, "{name}={value}");
        assert_eq!(callback(&response)["state"], "st&te");
    }
    let twice = browser.get(&rig, &format!("{}&nonce=2", authorize_target(&[])));
    assert_eq!(refusal(&twice), "invalid_request");
}

#[test]
fn a_wrong_password_asks_again_and_signs_nobody_in() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let page = browser.authorize(&rig, &[]);
    let (action, interaction) = form_of(&page);
    for (username, password) in [("alice", "wrong"), ("mallory", "sidegate"), ("alice", "")] {
        let form = [
            ("interaction", interaction.as_str()),
            ("username", username),
            ("password", password),
        ];
        let again = browser.post(&rig, &action, &form);
        assert_eq!(again.status(), StatusCode::FORBIDDEN);
        assert!(!again.headers().contains_key(SET_COOKIE));
        assert_eq!(form_of(&again).1, interaction);
    }
    // The page is still good for the right one, once.
    let done = browser.sign_in(&rig, &page, "bob");
    assert!(callback(&done).contains_key("code"));
    let stale = browser.sign_in(&rig, &page, "bob");
    assert_eq!(stale.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn a_page_that_waited_too_long_is_stale() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let page = browser.authorize(&rig, &[]);
    rig.pass(10 * 60);
    assert_eq!(
        browser.sign_in(&rig, &page, "alice").status(),
        StatusCode::BAD_REQUEST
    );
}

#[test]
fn whoever_cancels_is_sent_back_with_access_denied() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let page = browser.authorize(&rig, &[]);
    let done = browser.decide(&rig, &page, "cancel");
    assert_eq!(refusal(&done), "access_denied");
    assert_eq!(callback(&done)["state"], "st&te");
}

#[test]
fn prompt_none_never_shows_a_page() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let none = [("prompt", "none")];
    assert_eq!(refusal(&browser.authorize(&rig, &none)), "login_required");
    let tokens = rig.tokens(&mut browser);
    assert!(callback(&browser.authorize(&rig, &none)).contains_key("code"));
    // With a hint it must be the same person.
    let hint = member(&tokens, "id_token");
    let hinted = [("prompt", "none"), ("id_token_hint", hint)];
    assert!(callback(&browser.authorize(&rig, &hinted)).contains_key("code"));
    let page = browser.authorize(&rig, &[("prompt", "login")]);
    browser.sign_in(&rig, &page, "bob");
    assert_eq!(refusal(&browser.authorize(&rig, &hinted)), "login_required");
    let forged = [("prompt", "none"), ("id_token_hint", "a.b.c")];
    assert_eq!(refusal(&browser.authorize(&rig, &forged)), "login_required");
}

#[test]
fn prompt_login_and_max_age_ask_again_and_move_auth_time_but_not_sid() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let first = claims(&rig.tokens(&mut browser));
    rig.pass(100);
    let within = [("max_age", "100")];
    assert!(callback(&browser.authorize(&rig, &within)).contains_key("code"));
    let none = [("max_age", "99"), ("prompt", "none")];
    assert_eq!(refusal(&browser.authorize(&rig, &none)), "login_required");
    for change in [
        ("max_age", "99"),
        ("prompt", "login"),
        ("prompt", "select_account"),
    ] {
        rig.pass(200);
        let page = browser.authorize(&rig, &[change]);
        assert_eq!(page.status(), StatusCode::OK, "{change:?}");
        let code = callback(&browser.sign_in(&rig, &page, "alice"))["code"].clone();
        let again = claims(&rig.redeem(&code).1);
        assert_eq!(again["sid"], first["sid"]);
        assert_eq!(again["auth_time"], rig.clock.now().as_seconds());
    }
}

#[test]
fn another_person_in_the_same_browser_gets_another_sid() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let alice = claims(&rig.tokens(&mut browser));
    let page = browser.authorize(&rig, &[("prompt", "select_account")]);
    let code = callback(&browser.sign_in(&rig, &page, "bob"))["code"].clone();
    let bob = claims(&rig.redeem(&code).1);
    assert_eq!(
        (&bob["sub"], &alice["sub"]),
        (&"u-bob".into(), &"u-alice".into())
    );
    assert_ne!(bob["sid"], alice["sid"]);
}

#[test]
fn consent_is_asked_where_wanted_and_can_be_denied() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let consent = [("prompt", "consent")];
    let page = browser.authorize(&rig, &consent);
    let asked = browser.sign_in(&rig, &page, "alice");
    assert!(text(&asked).contains("Allow access"));
    assert_eq!(
        refusal(&browser.decide(&rig, &asked, "deny")),
        "access_denied"
    );
    // An answer counts once.
    assert_eq!(
        browser.decide(&rig, &asked, "allow").status(),
        StatusCode::BAD_REQUEST
    );
    let asked = browser.authorize(&rig, &consent);
    assert!(callback(&browser.decide(&rig, &asked, "allow")).contains_key("code"));
    // It is no way around signing in.
    let asked = browser.authorize(&rig, &consent);
    let stranger = Browser::default().decide(&rig, &asked, "allow");
    assert_eq!(stranger.status(), StatusCode::BAD_REQUEST);
    // A sign-in form's name is none of a consent form.
    let page = browser.authorize(&rig, &[("prompt", "login")]);
    let (_, interaction) = form_of(&page);
    let form = [("interaction", interaction.as_str()), ("decision", "allow")];
    let crossed = browser.post(&rig, "/op/consent", &form);
    assert_eq!(crossed.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn form_post_carries_the_answer_in_a_form() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    rig.code(&mut browser, &[]);
    let page = browser.authorize(&rig, &[("response_mode", "form_post")]);
    assert_eq!(page.status(), StatusCode::OK);
    let html = text(&page);
    assert_eq!(attribute(html, "action=\""), CALLBACK);
    assert_eq!(attribute(html, "name=\"state\" value=\""), "st&te");
    assert_eq!(attribute(html, "name=\"iss\" value=\""), ISSUER);
    let code = attribute(html, "name=\"code\" value=\"");
    assert_eq!(rig.redeem(&code).0, StatusCode::OK);
}

#[test]
fn a_request_may_come_as_a_form_too() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let target = authorize_target(&[]);
    let query = target.split_once('?').unwrap().1;
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let page = browser.post(&rig, "/op/authorize", &pairs);
    assert!(callback(&browser.sign_in(&rig, &page, "alice")).contains_key("code"));
}

#[test]
fn a_person_who_was_removed_is_signed_in_no_more() {
    let (rig, mut browser) = (Rig::new(), Browser::default());
    let code = rig.code(&mut browser, &[]);
    rig.provider.remove_user("alice").unwrap();
    assert!(rig.provider.remove_user("alice").is_err());
    assert_eq!(
        refusal(&browser.authorize(&rig, &[("prompt", "none")])),
        "login_required"
    );
    assert_eq!(rig.redeem(&code).1["error"], "invalid_grant");
    let page = browser.authorize(&rig, &[]);
    assert_eq!(
        browser.sign_in(&rig, &page, "alice").status(),
        StatusCode::FORBIDDEN
    );
}
