//! The embedded provider over its socket: a whole sign-in, tokens that somebody else can verify,
//! logout that reaches the clients, and an end that cuts nobody off.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Map, Value};
use sidegate::base::secret::Secret;
use sidegate::demo::notices::{self, DeliveryError};
use sidegate::demo::provider::signing::SigningAlgorithm;
use sidegate::demo::provider::{
    ClientRegistration, Endpoint, LogoutNotice, Provider, ProviderOptions,
};
use sidegate::demo::sample_app::SampleApp;
use sidegate::demo::serve::ServeError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::support::nobody::nobody;
use crate::support::provider::TestProvider;
use crate::support::wire;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/oauth2/callback";
const VERIFIER: &str = "a-code-verifier-of-more-than-forty-three-characters";

/// One browser, and one client that it signs in at.
pub(crate) struct Flow<'a> {
    pub(crate) provider: &'a Provider,
    cookie: String,
}

impl<'a> Flow<'a> {
    /// Registers the client `gate` and begins with no cookie.
    pub(crate) fn new(provider: &'a TestProvider) -> Self {
        Self::with_client(provider.provider(), |_| {})
    }

    pub(crate) fn with_client(
        provider: &'a Provider,
        change: impl FnOnce(&mut ClientRegistration),
    ) -> Self {
        let secret = Secret::new("s3cret".to_owned());
        let mut client = ClientRegistration::new("gate", Some(secret), CALLBACK);
        change(&mut client);
        provider.register(client).unwrap();
        Self {
            provider,
            cookie: String::new(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.provider.issuer())
    }

    async fn browse(
        &mut self,
        request: http::request::Builder,
        fields: &[(&str, &str)],
    ) -> Response<Bytes> {
        let request = request.header(COOKIE, &self.cookie);
        let response = if fields.is_empty() {
            wire::exchange(request, "").await
        } else {
            wire::post_form(request, fields).await
        }
        .unwrap();
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            self.cookie = cookie
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned();
        }
        response
    }

    /// Signs alice in and gives her code.
    pub(crate) async fn code(&mut self) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let url = Url::parse_with_params(
            &self.url("/authorize"),
            [
                ("response_type", "code"),
                ("client_id", "gate"),
                ("redirect_uri", CALLBACK),
                ("scope", "openid profile email"),
                ("state", "s"),
                ("nonce", "n"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        )
        .unwrap();
        let mut page = self.browse(Request::get(url.as_str()), &[]).await;
        if page.status() == StatusCode::OK {
            let html = String::from_utf8(page.body().to_vec()).unwrap();
            let (_, rest) = html.split_once("name=\"interaction\" value=\"").unwrap();
            let fields = [
                ("interaction", rest.split('"').next().unwrap()),
                ("username", "alice"),
                ("password", "sidegate"),
            ];
            page = self
                .browse(Request::post(self.url("/login")), &fields)
                .await;
        }
        let location = page.headers()[LOCATION].to_str().unwrap();
        let url = Url::parse(location).unwrap();
        let (_, code) = url.query_pairs().find(|(name, _)| name == "code").unwrap();
        code.into_owned()
    }

    pub(crate) async fn redeem(&self, code: &str) -> hyper::Result<Response<Bytes>> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.call_token(&fields).await
    }

    pub(crate) async fn renew(&self, refresh_token: &str) -> hyper::Result<Response<Bytes>> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.call_token(&fields).await
    }

    async fn call_token(&self, fields: &[(&str, &str)]) -> hyper::Result<Response<Bytes>> {
        let basic = base64::engine::general_purpose::STANDARD.encode("gate:s3cret");
        let request =
            Request::post(self.url("/token")).header(AUTHORIZATION, format!("Basic {basic}"));
        wire::post_form(request, fields).await
    }

    /// A whole sign-in: the token answer.
    pub(crate) async fn tokens(&mut self) -> Value {
        let code = self.code().await;
        json(&self.redeem(&code).await.unwrap())
    }

    pub(crate) async fn userinfo(&self, tokens: &Value) -> Response<Bytes> {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        let request = Request::get(self.url("/userinfo")).header(AUTHORIZATION, bearer);
        wire::exchange(request, "").await.unwrap()
    }

    async fn sign_out(&mut self, tokens: &Value) -> Response<Bytes> {
        let hint = tokens["id_token"].as_str().unwrap();
        let url = self.url(&format!("/end_session?id_token_hint={hint}"));
        self.browse(Request::get(url), &[]).await
    }
}

pub(crate) fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// Verifies an ID token with a library that the provider does not use.
async fn verify(flow: &Flow<'_>, raw: &str) -> Map<String, Value> {
    let set: JwkSet = serde_json::from_value(json(&wire::get(&flow.url("/jwks")).await)).unwrap();
    let header = jsonwebtoken::decode_header(raw).unwrap();
    let key = set.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["gate"]);
    validation.set_issuer(&[flow.provider.issuer()]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode(raw, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn what_is_signed_here_is_verified_by_another_library() {
    for (algorithm, expected) in [
        (SigningAlgorithm::Rs256, Algorithm::RS256),
        (SigningAlgorithm::Es256, Algorithm::ES256),
    ] {
        let provider = TestProvider::start_with(|options| options.issuer.push_str("/tenant"));
        let mut flow = Flow::with_client(provider.provider(), |client| {
            client.id_token_algorithm = algorithm;
        });
        let tokens = flow.tokens().await;
        let raw = tokens["id_token"].as_str().unwrap();
        assert_eq!(jsonwebtoken::decode_header(raw).unwrap().alg, expected);
        let claims = verify(&flow, raw).await;
        assert_eq!(claims["preferred_username"], "alice");
        let renewed = flow.renew(tokens["refresh_token"].as_str().unwrap()).await;
        let renewed = json(&renewed.unwrap());
        let again = verify(&flow, renewed["id_token"].as_str().unwrap()).await;
        assert_eq!(again["sub"], claims["sub"]);
        assert_eq!(flow.userinfo(&renewed).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn each_call_is_recorded_as_it_arrived() {
    let provider = TestProvider::start();
    let mut flow = Flow::new(&provider);
    flow.tokens().await;
    let seen: Vec<_> = provider.hits().iter().map(|hit| hit.endpoint).collect();
    assert_eq!(
        seen,
        [Endpoint::Authorize, Endpoint::Login, Endpoint::Token].map(Some)
    );
    let token = provider.hits_of(Endpoint::Token).remove(0);
    assert_eq!(token.method, http::Method::POST);
    assert_eq!(token.form.value("code_verifier"), Some(VERIFIER));
    assert!(token.headers.contains_key(AUTHORIZATION));
    let authorize = provider.hits_of(Endpoint::Authorize).remove(0);
    assert_eq!(authorize.query.value("redirect_uri"), Some(CALLBACK));
    assert_eq!(
        wire::get(&flow.url("/nowhere")).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(provider.hits().last().unwrap().endpoint, None);
}

#[tokio::test]
async fn a_form_that_is_too_long_is_not_read() {
    let provider = TestProvider::start();
    let flow = Flow::new(&provider);
    let long = "x".repeat(64 * 1024);
    let request = Request::post(flow.url("/token"));
    let response = wire::post_form(request, &[("code", &long)]).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(provider.provider().hits(Endpoint::Token), 0);
}

// --- logout --------------------------------------------------------------------------------------

/// A client's back-channel endpoint: gives the form of the one request that it gets, and answers
/// when told.
async fn hear_one(listener: TcpListener) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    loop {
        stream.read_buf(&mut heard).await.unwrap();
        let text = String::from_utf8(heard.clone()).unwrap();
        let Some((fields, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = fields.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if Some(body.len()) == length {
            assert!(fields.starts_with("POST /bcl?x=1 HTTP/1.1\r\n"), "{fields}");
            return (body.to_owned(), stream);
        }
    }
}

#[tokio::test]
async fn a_client_is_told_of_the_logout_before_the_person_hears_that_it_is_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/bcl?x=1", listener.local_addr().unwrap());
    let provider = TestProvider::start();
    let mut flow = Flow::with_client(provider.provider(), |client| {
        client.backchannel_logout_uri = Some(uri);
    });
    let tokens = flow.tokens().await;
    let claims = verify(&flow, tokens["id_token"].as_str().unwrap()).await;
    let mut signing_out = Box::pin(flow.sign_out(&tokens));
    let (form, mut client) = tokio::select! {
        heard = hear_one(listener) => heard,
        _ = &mut signing_out => panic!("the person heard first"),
    };
    client
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(signing_out.await.status(), StatusCode::OK);
    let raw = form.strip_prefix("logout_token=").unwrap();
    let told = provider.provider().keys().open(raw).unwrap();
    for name in ["iss", "sub", "aud", "sid"] {
        assert_eq!(told[name], claims[name], "{name}");
    }
}

#[tokio::test]
async fn the_provider_without_the_tests_around_it_tells_clients_too() {
    let clients = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/bcl?x=1", clients.local_addr().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let provider = Provider::new(ProviderOptions::new(issuer)).unwrap();
    let served = sidegate::demo::serve(listener, Arc::clone(&provider), std::future::pending());
    let served = tokio::spawn(served);
    let mut flow = Flow::with_client(&provider, |client| {
        client.backchannel_logout_uri = Some(uri);
    });
    let tokens = flow.tokens().await;
    let mut signing_out = Box::pin(flow.sign_out(&tokens));
    let (_, mut client) = tokio::select! {
        heard = hear_one(clients) => heard,
        _ = &mut signing_out => panic!("the person heard first"),
    };
    let accepted = b"HTTP/1.1 204 No Content\r\n\r\n";
    client.write_all(accepted).await.unwrap();
    assert_eq!(signing_out.await.status(), StatusCode::OK);
    served.abort();
}

#[tokio::test]
async fn a_client_that_is_gone_keeps_nobody_signed_in() {
    let gone = nobody();
    let provider = TestProvider::start();
    let mut flow = Flow::with_client(provider.provider(), |client| {
        client.backchannel_logout_uri = Some(format!("http://{gone}/"));
    });
    let tokens = flow.tokens().await;
    assert_eq!(flow.sign_out(&tokens).await.status(), StatusCode::OK);
    assert_eq!(
        flow.userinfo(&tokens).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn an_administrators_logout_reaches_the_clients_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/bcl?x=1", listener.local_addr().unwrap());
    let provider = TestProvider::start();
    let mut flow = Flow::with_client(provider.provider(), |client| {
        client.backchannel_logout_uri = Some(uri);
    });
    flow.tokens().await;
    let hearing = async {
        let (form, mut client) = hear_one(listener).await;
        client
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        form
    };
    let (form, ()) = tokio::join!(hearing, provider.sign_out_everywhere("alice"));
    assert!(form.starts_with("logout_token="));
}

#[tokio::test]
async fn a_logout_token_goes_to_loopback_and_nowhere_else() {
    // The unspecified address is no loopback address, and yet leads nowhere else than here: were
    // the rule gone, this would connect and still not leave the machine.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for uri in [
        format!("http://0.0.0.0:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        "/relative".to_owned(),
    ] {
        let notice = LogoutNotice {
            client_id: "gate".to_owned(),
            uri: uri.clone(),
            token: Secret::new("token".to_owned()),
        };
        let delivered = notices::deliver(&notice).await;
        assert!(
            matches!(delivered, Err(DeliveryError::NotLoopback)),
            "{uri}: {delivered:?}"
        );
    }
}

#[tokio::test]
async fn logout_tokens_of_a_tests_own_are_signed_by_the_provider() {
    let provider = TestProvider::start();
    let claims = provider.logout_claims("gate", "u-alice", "sid");
    let raw = provider.sign("logout+jwt", &claims);
    let header = jsonwebtoken::decode_header(&raw).unwrap();
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let opened = provider.provider().keys().open(&raw).unwrap();
    assert_eq!(Value::Object(opened), claims);
    assert_ne!(
        claims["jti"],
        provider.logout_claims("gate", "u-alice", "sid")["jti"]
    );
}

// --- TLS -----------------------------------------------------------------------------------------

#[tokio::test]
async fn a_provider_over_tls_is_known_by_the_tests_certificate_alone() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&crypto))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let provider = TestProvider::start_tls(Arc::new(config), |options| {
        options.issuer = options.issuer.replace("127.0.0.1", "localhost");
    });
    assert!(provider.issuer().starts_with("https://localhost:"));
    let port = Url::parse(provider.issuer()).unwrap().port().unwrap();
    let fetch = |roots: RootCertStore| {
        let config = ClientConfig::builder_with_provider(Arc::clone(&crypto))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let name = "localhost".try_into().unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            let mut stream = connector.connect(name, stream).await?;
            let request = b"GET /jwks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        }
    };
    assert!(fetch(RootCertStore::empty()).await.is_err());
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    assert!(
        fetch(roots)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
    assert_eq!(provider.hits_of(Endpoint::Jwks).len(), 1);
}

// --- the loop ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_listener_that_others_could_reach_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let app = SampleApp::new("/oauth2", sidegate::base::clock::Clock::system()).unwrap();
    let served = sidegate::demo::serve(listener, app, std::future::ready(())).await;
    assert!(matches!(served, Err(ServeError::NotLoopback(_))));
}

#[tokio::test]
async fn the_end_lets_a_request_under_way_finish_and_takes_no_other() {
    let provider = Arc::new(TestProvider::start());
    let gate = crate::support::provider::Gate::closed();
    let fault = crate::support::provider::Fault::Held(Endpoint::Jwks, gate.clone());
    provider.set_fault(fault);
    let address = provider
        .issuer()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let url = format!("{}/jwks", provider.issuer());
    let under_way = tokio::spawn(async move { wire::get(&url).await });
    gate.arrived(1).await;
    // Dropping opens the gate, stops, and waits for the thread.
    let stopped = tokio::task::spawn_blocking(move || drop(provider));
    let finished = tokio::time::timeout(Duration::from_secs(20), under_way).await;
    assert_eq!(finished.unwrap().unwrap().status(), StatusCode::OK);
    stopped.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
