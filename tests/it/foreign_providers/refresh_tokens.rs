//! What each provider does with refresh tokens: the ground that stories of renewal stand on.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::foreign::{Make, SomeProvider};
use crate::support::instance::{PUBLIC, SECRET};
use crate::support::upstream::Upstream;

/// A client by hand: what the providers do with refresh tokens, without a gate between.
struct Client<'a> {
    provider: &'a SomeProvider,
    browser: Browser,
    metadata: Value,
}

impl<'a> Client<'a> {
    fn of(provider: &'a SomeProvider, app: &Upstream) -> Self {
        let mut browser = Browser::new()
            .resolve(PUBLIC, app.address)
            .resolve(&provider.origin(), provider.address());
        let base = provider.issuer.trim_end_matches('/');
        let document = browser.open(&format!("{base}/.well-known/openid-configuration"));
        let metadata = serde_json::from_str(&document.text()).unwrap();
        Self {
            provider,
            browser,
            metadata,
        }
    }

    /// Signs in and gives the token answer.
    fn sign_in(&mut self, username: &str) -> Value {
        let verifier = "verifier-of-a-test-with-at-least-forty-three-characters";
        let hash = digest(&SHA256, verifier.as_bytes());
        let callback = format!("{PUBLIC}/oauth2/callback");
        // Another one each time: some look whether it was there before.
        let nonce = format!("nonce-of-a-test-{}", self.browser.seen.len());
        let query = encoded(&[
            ("response_type", "code"),
            ("client_id", "dashboards"),
            ("redirect_uri", &callback),
            ("scope", "openid profile email groups"),
            ("state", "state-of-a-test-0123456789"),
            ("nonce", &nonce),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(hash)),
            ("code_challenge_method", "S256"),
        ]);
        let url = self.metadata["authorization_endpoint"].as_str().unwrap();
        let form = self
            .provider
            .visit(&mut self.browser, &format!("{url}?{query}"));
        let page = self.provider.sign_in(&mut self.browser, &form, username);
        let code = page.url.query_pairs().find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("no code: {}", page.url)).1;
        let (status, tokens) = self.ask(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &callback),
            ("code_verifier", verifier),
        ]);
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    fn renew(&mut self, tokens: &Value) -> (u16, Value) {
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        self.ask(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ])
    }

    fn ask(&mut self, form: &[(&str, &str)]) -> (u16, Value) {
        let secret = STANDARD.encode(format!("dashboards:{SECRET}"));
        let fields = format!(
            "Authorization: Basic {secret}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        );
        let url = self.metadata["token_endpoint"].as_str().unwrap().to_owned();
        let answer = self
            .browser
            .request("POST", &url, &fields, encoded(form).as_bytes());
        let told = serde_json::from_str(&answer.text()).unwrap_or_default();
        (answer.status, told)
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(pairs);
    text.finish()
}

const ALL: [Make; 4] = [
    Make::Embedded,
    Make::OidcProvider,
    Make::Authlib,
    Make::Glewlwyd,
];

/// What the stories of renewal rest on, at each of them.
#[test]
fn every_provider_rotates_refresh_tokens_counts_them_and_can_revoke_them() {
    for make in ALL {
        let (provider, app) = (SomeProvider::renewing(make, 7), Upstream::start());
        let mut client = Client::of(&provider, &app);
        let first = client.sign_in("alice");
        assert_eq!(first["expires_in"], 7, "{make:?}: {first}");
        let (status, second) = client.renew(&first);
        assert_eq!(status, 200, "{make:?}: {second}");
        assert_ne!(first["refresh_token"], second["refresh_token"], "{make:?}");
        assert_eq!(provider.token_calls("authorization_code"), 1, "{make:?}");
        assert_eq!(provider.token_calls("refresh_token"), 1, "{make:?}");
        provider.revoke("alice");
        let (status, refused) = client.renew(&second);
        assert_eq!(status, 400, "{make:?}: {refused}");
        assert_eq!(provider.token_calls("refresh_token"), 2, "{make:?}");
        let anew = client.sign_in("alice");
        assert_eq!(
            client.renew(&anew).0,
            200,
            "{make:?}: a new login is a new start"
        );
    }
}

/// A token that is used twice was stolen or asked for twice at a time: most end all that came of it.
#[test]
fn a_refresh_token_that_is_used_twice_ends_the_chain_nearly_everywhere() {
    for make in ALL {
        let (provider, app) = (SomeProvider::renewing(make, 7), Upstream::start());
        let mut client = Client::of(&provider, &app);
        let first = client.sign_in("alice");
        let (status, second) = client.renew(&first);
        assert_eq!(status, 200, "{make:?}: {second}");
        assert_eq!(client.renew(&first).0, 400, "{make:?}: used already");
        let newer = client.renew(&second).0;
        let expected = if make == Make::Authlib { 200 } else { 400 };
        assert_eq!(newer, expected, "{make:?}");
    }
}
