use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::*;
use crate::base::entropy::Entropy;
use crate::oidc::forge::{
    self, CLIENT_ID, NONCE, REDIRECT_URI, STATE, VERIFIER, attempt, client, client_with, metadata,
};

/// The parameters of the request's URL; a name that is there twice fails the test.
fn parameters(request: &AuthorizationRequest) -> BTreeMap<String, String> {
    let url = Url::parse(request.url()).unwrap();
    let mut seen = BTreeMap::new();
    for (name, value) in url.query_pairs().into_owned() {
        assert!(seen.insert(name.clone(), value).is_none(), "{name} twice");
    }
    seen
}

fn begin(client: &Client, change: impl FnOnce(&mut Attempt)) -> AuthorizationRequest {
    let mut attempt = attempt();
    change(&mut attempt);
    AuthorizationRequest::begin(client, &metadata(), attempt)
        .unwrap()
        .0
}

// A1, A2: all parameters are there, once each, and come from the configuration alone. The S256
// challenge is that of the verifier (computed with another implementation).
#[test]
fn an_authorization_request_carries_exactly_what_it_must() {
    let request = begin(&client(), |_| ());
    assert!(request.url().starts_with("https://i.test/tenant/auth?"));
    let expected = [
        ("client_id", CLIENT_ID),
        (
            "code_challenge",
            "TPWSkCnYxO0iqEiNd1lA8A6jHqEcYPr4MAeS2yWjZ-A",
        ),
        ("code_challenge_method", "S256"),
        ("nonce", NONCE),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("state", STATE),
    ];
    let seen = parameters(&request);
    let seen: Vec<_> = seen.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(seen, expected);
}

// A1: a thousand logins share nothing that must be unguessable.
#[test]
fn no_two_logins_share_state_nonce_or_challenge() {
    let entropy = Entropy::system();
    let token = || entropy.token().unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..1000 {
        let request = begin(&client(), |attempt| {
            attempt.randomness = Randomness {
                state: Secret::new(token()),
                nonce: Secret::new(token()),
                code_verifier: Secret::new(token()),
            };
        });
        let parameters = parameters(&request);
        for name in ["state", "nonce", "code_challenge"] {
            assert_eq!(parameters[name].len(), 43);
            assert!(seen.insert(parameters[name].clone()), "{name} repeats");
        }
    }
}

// A1: `openid` is asked for even where nobody configured it, and once where somebody did.
#[test]
fn an_openid_provider_is_always_asked_for_openid() {
    for (scopes, expected) in [
        (&[][..], "openid"),
        (&["groups"], "openid groups"),
        (&["email", "openid", "email"], "openid email"),
    ] {
        let client = client_with(|r| r.scopes = scopes.iter().map(|&s| s.to_owned()).collect());
        assert_eq!(parameters(&begin(&client, |_| ()))["scope"], expected);
    }
}

// A4: the verifier never stands in the URL, and neither does it in anything printed.
#[test]
fn the_code_verifier_is_in_no_url() {
    let (request, pending) =
        AuthorizationRequest::begin(&client(), &metadata(), attempt()).unwrap();
    assert!(!request.url().contains(VERIFIER));
    // V5: nor do state and nonce stand in anything printed.
    let printed = format!("{request:?} {pending:?} {:?}", attempt());
    for secret in [VERIFIER, STATE, NONCE] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(pending.code_verifier.equals(VERIFIER));
}

// A1, A4: weak randomness begins no login.
#[test]
fn a_guessable_or_malformed_state_nonce_or_verifier_begins_no_login() {
    type Change = fn(&mut Randomness, String);
    let state: Change = |r, text| r.state = Secret::new(text);
    let nonce: Change = |r, text| r.nonce = Secret::new(text);
    let verifier: Change = |r, text| r.code_verifier = Secret::new(text);
    let a = |n| "a".repeat(n);
    for (change, text, verdict) in [
        (state, a(22), Ok(())),
        (state, a(21), Err(BeginError::WeakRandomness)),
        (state, String::new(), Err(BeginError::WeakRandomness)),
        (state, a(8193), Err(BeginError::WeakRandomness)),
        (state, a(30) + "&x=y", Err(BeginError::WeakRandomness)),
        (nonce, a(21), Err(BeginError::WeakRandomness)),
        (nonce, a(30) + "\u{e9}", Err(BeginError::WeakRandomness)),
        (verifier, a(43), Ok(())),
        (verifier, a(128), Ok(())),
        (verifier, a(42), Err(BeginError::CodeVerifier)),
        (verifier, a(129), Err(BeginError::CodeVerifier)),
        (verifier, a(43) + "=", Err(BeginError::CodeVerifier)),
        (verifier, a(43) + "+", Err(BeginError::CodeVerifier)),
    ] {
        let mut attempt = attempt();
        change(&mut attempt.randomness, text.clone());
        let begun = AuthorizationRequest::begin(&client(), &metadata(), attempt).map(|_| ());
        assert_eq!(begun, verdict, "{text}");
    }
}

// A18: wishes of the caller and parameters of the operator never double one another.
#[test]
fn a_callers_wish_neither_repeats_nor_overrides_what_is_configured() {
    let wishes = || {
        LoginParameters::default()
            .prompt(Prompt::SelectAccount)
            .login_hint("mallory@evil.test&client_id=z")
            .unwrap()
            .ui_locales("de fr")
            .unwrap()
    };
    let plain = parameters(&begin(&client(), |attempt| attempt.parameters = wishes()));
    assert_eq!(plain["prompt"], "select_account");
    assert_eq!(plain["login_hint"], "mallory@evil.test&client_id=z");
    assert_eq!(plain["ui_locales"], "de fr");
    assert_eq!(plain["client_id"], CLIENT_ID);

    let configured = client_with(|registration| {
        registration.authorization_parameters = [
            ("prompt", "consent"),
            ("login_hint", "ops@ok.test"),
            ("hd", "ok.test"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec();
    });
    let both = parameters(&begin(&configured, |attempt| attempt.parameters = wishes()));
    assert_eq!(both["prompt"], "consent select_account");
    assert_eq!(both["login_hint"], "ops@ok.test");
    assert_eq!(both["hd"], "ok.test");
    let mut same = attempt();
    same.parameters = LoginParameters::default().prompt(Prompt::Login);
    let login = client_with(|registration| {
        registration.authorization_parameters = vec![("prompt".to_owned(), "login".to_owned())];
    });
    let (request, _) = AuthorizationRequest::begin(&login, &metadata(), same).unwrap();
    assert_eq!(parameters(&request)["prompt"], "login");
}

#[test]
fn a_hint_is_short_and_plain() {
    for hint in ["a\r\nb", "a\0", &"x".repeat(321)] {
        assert_eq!(LoginParameters::default().login_hint(hint), Err(HintError));
        assert_eq!(LoginParameters::default().ui_locales(hint), Err(HintError));
    }
}

// A19: what is asked for is remembered, and the shorter demand wins.
#[test]
fn a_demanded_freshness_is_sent_and_kept_for_the_answer() {
    let configured = client_with(|registration| {
        registration.authorization_parameters = vec![("max_age".to_owned(), "600".to_owned())];
    });
    for (client, wish, expected) in [
        (&client(), None, None),
        (&client(), Some(60), Some(60)),
        (&configured, None, Some(600)),
        (&configured, Some(60), Some(60)),
        (&configured, Some(6000), Some(600)),
    ] {
        let mut attempt = attempt();
        if let Some(seconds) = wish {
            attempt.parameters = LoginParameters::default().max_age(Duration::from_secs(seconds));
        }
        let (request, pending) = AuthorizationRequest::begin(client, &metadata(), attempt).unwrap();
        assert_eq!(pending.max_age, expected);
        let sent = parameters(&request).get("max_age").cloned();
        assert_eq!(sent, expected.map(|seconds: u64| seconds.to_string()));
    }
}

#[test]
fn a_plain_oauth2_provider_gets_neither_openid_nor_a_nonce() {
    let client = client_with(|r| r.scopes = vec!["read:user".to_owned()]);
    let (request, pending) =
        AuthorizationRequest::begin(&client, &forge::oauth2_metadata(), attempt()).unwrap();
    let seen = parameters(&request);
    assert_eq!(seen["scope"], "read:user");
    assert!(!seen.contains_key("nonce"));
    assert_eq!(seen["code_challenge_method"], "S256");
    assert!(pending.nonce.is_none());
}

#[test]
fn a_resource_indicator_may_be_sent_several_times() {
    let client = client_with(|registration| {
        registration.authorization_parameters = ["https://a.test", "https://b.test"]
            .map(|value| ("resource".to_owned(), value.to_owned()))
            .to_vec();
    });
    let request = begin(&client, |_| ());
    let url = Url::parse(request.url()).unwrap();
    let resources: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| name == "resource")
        .map(|(_, value)| value.into_owned())
        .collect();
    assert_eq!(resources, ["https://a.test", "https://b.test"]);
}

// What is sealed by one version is opened by the next: these names are a format.
#[test]
fn a_pending_login_survives_its_seal() {
    let (_, pending) = AuthorizationRequest::begin(&client(), &metadata(), attempt()).unwrap();
    let sealed = serde_json::to_string(&pending).unwrap();
    assert_eq!(
        sealed,
        format!(
            r#"{{"s":"{STATE}","n":"{NONCE}","v":"{VERIFIER}","p":"corp","u":"{REDIRECT_URI}","i":"{}","e":"n","r":"/dash?panel=1","t":1800000000,"k":0}}"#,
            forge::ISSUER
        )
    );
    let opened: PendingLogin = serde_json::from_str(&sealed).unwrap();
    assert_eq!(serde_json::to_string(&opened).unwrap(), sealed);
    assert!(opened.code_verifier.equals(VERIFIER));
    let unknown = sealed.replace(r#""e":"n""#, r#""e":"x""#);
    assert!(serde_json::from_str::<PendingLogin>(&unknown).is_err());
}
