//! The provider's rules, each asked of the engine itself: no socket, no waiting.

mod authorize;
mod endpoints;
mod logout;
mod pages;
mod token;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::signing::{SigningAlgorithm, SigningKeys};
use super::{ClientRegistration, Ledger, Provider, ProviderOptions};
use crate::base::clock::{Clock, UnixTime};
use crate::base::secret::Secret;

/// Made once: a fresh RSA key for every test would cost more than all the tests.
static KEYS: LazyLock<Arc<SigningKeys>> =
    LazyLock::new(|| Arc::new(SigningKeys::generate().unwrap()));

const ISSUER: &str = "http://127.0.0.1:9/op";
const CALLBACK: &str = "http://127.0.0.1:4180/oauth2/callback?kept=%2f";
const AFTER: &str = "http://127.0.0.1:4180/oauth2/sign_out";
const VERIFIER: &str = "a-code-verifier-of-more-than-forty-three-characters";

/// A provider with three clients and a clock that stands still.
struct Rig {
    provider: Arc<Provider>,
    clock: Clock,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ProviderOptions)) -> Self {
        let clock = Clock::settable(UnixTime::from_seconds(1_800_000_000));
        let mut options = ProviderOptions::new(ISSUER);
        options.clock = clock.clone();
        options.keys = Some(Arc::clone(&KEYS));
        options.ledger = Ledger::Kept;
        for (client_id, secret) in [
            ("gate", Some("s&cret")),
            ("other", Some("x")),
            ("spa", None),
        ] {
            let secret = secret.map(|secret| Secret::new(secret.to_owned()));
            let mut client = ClientRegistration::new(client_id, secret, CALLBACK);
            client.post_logout_redirect_uris = vec![AFTER.to_owned()];
            client.backchannel_logout_uri = Some(format!("http://127.0.0.1:4180/{client_id}/bcl"));
            options.clients.push(client);
        }
        options.clients[1].id_token_algorithm = SigningAlgorithm::Es256;
        change(&mut options);
        let provider = Provider::new(options).unwrap();
        Self { provider, clock }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn answer(&self, request: http::request::Builder, body: &str) -> Response<Bytes> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.provider.answer(&request.body(body).unwrap())
    }

    /// A call of a client: a form, and perhaps credentials of `Basic`.
    fn call(&self, path: &str, basic: Option<&str>, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut request = Request::post(format!("/op{path}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(basic)));
        }
        let response = self.answer(request, &encode(form));
        let status = response.status();
        (
            status,
            serde_json::from_slice(response.body()).unwrap_or_default(),
        )
    }

    fn userinfo(&self, access_token: &str) -> Response<Bytes> {
        let request =
            Request::get("/op/userinfo").header(AUTHORIZATION, format!("Bearer {access_token}"));
        self.answer(request, "")
    }

    /// Signs `username` in through the form and gives the code of client `gate`.
    fn code(&self, browser: &mut Browser, changes: &[(&str, &str)]) -> String {
        let mut page = browser.authorize(self, changes);
        if page.status() == StatusCode::OK {
            page = browser.sign_in(self, &page, "alice");
        }
        callback(&page)["code"].clone()
    }

    /// A whole sign-in of alice at client `gate`: the token answer.
    fn tokens(&self, browser: &mut Browser) -> Value {
        let code = self.code(browser, &[]);
        let (status, tokens) = self.redeem(&code);
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    fn redeem(&self, code: &str) -> (StatusCode, Value) {
        self.call("/token", Some("gate:s%26cret"), &redemption(code))
    }

    fn renew(&self, refresh_token: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.call("/token", Some("gate:s%26cret"), &form)
    }
}

/// A browser: it keeps cookies and posts forms, and follows nothing by itself.
#[derive(Default)]
struct Browser {
    cookie: Option<String>,
}

impl Browser {
    fn visit(
        &mut self,
        rig: &Rig,
        mut request: http::request::Builder,
        body: &str,
    ) -> Response<Bytes> {
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, format!("other=1; {cookie}"));
        }
        let response = rig.answer(request, body);
        if let Some(set) = response.headers().get(SET_COOKIE) {
            let set = set.to_str().unwrap();
            let gone = set.contains("Max-Age=0");
            self.cookie = (!gone).then(|| set.split(';').next().unwrap().to_owned());
        }
        response
    }

    fn get(&mut self, rig: &Rig, target: &str) -> Response<Bytes> {
        self.visit(rig, Request::get(target), "")
    }

    fn post(&mut self, rig: &Rig, target: &str, form: &[(&str, &str)]) -> Response<Bytes> {
        let request =
            Request::post(target).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.visit(rig, request, &encode(form))
    }

    /// A sound authorization request with `changes`; an empty value takes a parameter out.
    fn authorize(&mut self, rig: &Rig, changes: &[(&str, &str)]) -> Response<Bytes> {
        self.get(rig, &authorize_target(changes))
    }

    /// Fills in the sign-in form of `page`.
    fn sign_in(&mut self, rig: &Rig, page: &Response<Bytes>, username: &str) -> Response<Bytes> {
        let (action, interaction) = form_of(page);
        let form = [
            ("interaction", interaction.as_str()),
            ("username", username),
            ("password", "sidegate"),
        ];
        self.post(rig, &action, &form)
    }

    /// Presses a button of the form of `page`.
    fn decide(&mut self, rig: &Rig, page: &Response<Bytes>, decision: &str) -> Response<Bytes> {
        let (action, interaction) = form_of(page);
        let form = [
            ("interaction", interaction.as_str()),
            ("decision", decision),
        ];
        self.post(rig, &action, &form)
    }
}

fn authorize_target(changes: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let sound = [
        ("response_type", "code"),
        ("client_id", "gate"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "st&te"),
        ("nonce", "n0nce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let replaced = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let mut query: Vec<_> = sound
        .into_iter()
        .filter(|(name, _)| !replaced(name))
        .collect();
    query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    format!("/op/authorize?{}", encode(&query))
}

fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn encode(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// The text between `before` and the next quote.
fn attribute(html: &str, before: &str) -> String {
    let (_, rest) = html
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {html}"));
    rest.split('"')
        .next()
        .unwrap()
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
}

fn form_of(page: &Response<Bytes>) -> (String, String) {
    let html = text(page);
    (
        attribute(html, "action=\""),
        attribute(html, "name=\"interaction\" value=\""),
    )
}

/// The parameters of a redirect back to the client.
fn callback(response: &Response<Bytes>) -> std::collections::BTreeMap<String, String> {
    assert_eq!(
        response.status(),
        StatusCode::SEE_OTHER,
        "{}",
        text(response)
    );
    let location = response.headers()[LOCATION].to_str().unwrap();
    assert!(location.starts_with(CALLBACK), "{location}");
    Url::parse(location)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

/// The error that a redirect back to the client carries.
fn refusal(response: &Response<Bytes>) -> String {
    let parameters = callback(response);
    assert!(!parameters.contains_key("code"));
    assert_eq!(parameters["iss"], ISSUER);
    parameters["error"].clone()
}

/// The claims of a token, whose signature must be one of today's keys.
fn claims(tokens: &Value) -> Map<String, Value> {
    KEYS.open(tokens["id_token"].as_str().unwrap()).unwrap()
}

fn member<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {tokens}"))
}
