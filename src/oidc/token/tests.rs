use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use url::form_urlencoded;

use super::*;
use crate::base::secret::Secret;
use crate::oidc::authorization::{AuthorizationRequest, LoginParameters};
use crate::oidc::callback::{Arrival, AuthorizationResponse, CodeGrant};
use crate::oidc::client::{Client, TokenEndpointAuthMethod};
use crate::oidc::error_code::ErrorCode;
use crate::oidc::forge::{
    self, NONCE, NOW, REDIRECT_URI, STATE, TEN_MINUTES, VERIFIER, client_with, metadata,
    metadata_with,
};
use crate::oidc::json::JsonError;
use crate::oidc::metadata::{ProviderKind, ProviderMetadata};

/// A secret with everything that form-encoding is for.
const AWKWARD: &str = "a:b%/+ \u{e9}";

fn grant(client: &Client, metadata: &ProviderMetadata) -> CodeGrant {
    let mut attempt = forge::attempt();
    attempt.parameters = LoginParameters::default().max_age(Duration::from_mins(15));
    let (_, pending) = AuthorizationRequest::begin(client, metadata, attempt).unwrap();
    let query = format!("code=c%20de%26x&state={STATE}");
    let response = AuthorizationResponse::parse(&query).unwrap();
    let arrival = Arrival {
        provider: "corp",
        other_issuers: &[],
    };
    pending.redeem(response, arrival, NOW, TEN_MINUTES).unwrap()
}

fn client_by(method: TokenEndpointAuthMethod, secret: Option<&str>) -> Client {
    client_with(|registration| {
        registration.client_id = "dash:boards/1".to_owned();
        registration.client_secret = secret.map(|text| Secret::new(text.to_owned()));
        registration.auth_method = method;
    })
}

fn request(client: &Client, metadata: &ProviderMetadata) -> http::Request<Vec<u8>> {
    let (request, _) = TokenRequest::for_code(grant(client, metadata), client, metadata).unwrap();
    request.into_http()
}

fn form(request: &http::Request<Vec<u8>>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = form_urlencoded::parse(request.body())
        .into_owned()
        .collect();
    pairs.sort();
    pairs
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|&(n, v)| (n.to_owned(), v.to_owned()))
        .collect()
}

// E1: id and secret are form-encoded each, then joined in Basic; nothing of them is elsewhere.
#[test]
fn basic_authentication_form_encodes_id_and_secret() {
    let client = client_by(TokenEndpointAuthMethod::ClientSecretBasic, Some(AWKWARD));
    let request = request(&client, &metadata());
    let field = request.headers()[AUTHORIZATION].to_str().unwrap();
    let credentials = STANDARD
        .decode(field.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(credentials, b"dash%3Aboards%2F1:a%3Ab%25%2F%2B+%C3%A9");
    assert_eq!(
        form(&request),
        pairs(&[
            ("code", "c de&x"),
            ("code_verifier", VERIFIER),
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT_URI),
        ])
    );
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.uri(), "https://i.test/tenant/token");
    assert_eq!(request.headers()[ACCEPT], "application/json");
    assert_eq!(
        request.headers()[CONTENT_TYPE],
        "application/x-www-form-urlencoded"
    );
}

// E1: in the body, and never in a query.
#[test]
fn post_authentication_puts_id_and_secret_into_the_body() {
    let client = client_by(TokenEndpointAuthMethod::ClientSecretPost, Some(AWKWARD));
    let request = request(&client, &metadata());
    assert!(!request.headers().contains_key(AUTHORIZATION));
    assert_eq!(request.uri().query(), None);
    let form = form(&request);
    assert!(form.contains(&("client_id".to_owned(), "dash:boards/1".to_owned())));
    assert!(form.contains(&("client_secret".to_owned(), AWKWARD.to_owned())));
}

#[test]
fn a_public_client_sends_its_id_and_its_verifier_alone() {
    for method in [
        TokenEndpointAuthMethod::None,
        TokenEndpointAuthMethod::Automatic,
    ] {
        let request = request(&client_by(method, None), &metadata());
        assert!(!request.headers().contains_key(AUTHORIZATION));
        assert_eq!(
            form(&request),
            pairs(&[
                ("client_id", "dash:boards/1"),
                ("code", "c de&x"),
                ("code_verifier", VERIFIER),
                ("grant_type", "authorization_code"),
                ("redirect_uri", REDIRECT_URI),
            ])
        );
    }
}

#[test]
fn the_method_is_chosen_by_what_the_provider_lists() {
    use TokenEndpointAuthMethod::{Automatic, ClientSecretBasic, ClientSecretPost, None};
    let client = client_by(Automatic, Some("s"));
    for (listed, expected) in [
        (serde_json::Value::Null, ClientSecretBasic),
        (serde_json::json!(["client_secret_post"]), ClientSecretPost),
        (
            serde_json::json!(["client_secret_post", "client_secret_basic"]),
            ClientSecretBasic,
        ),
        (serde_json::json!(["private_key_jwt"]), ClientSecretBasic),
    ] {
        let metadata = metadata_with(|document| {
            document["token_endpoint_auth_methods_supported"] = listed.clone();
        });
        assert_eq!(client.auth_method(&metadata), expected, "{listed}");
        let public = client_by(Automatic, Option::None);
        assert_eq!(public.auth_method(&metadata), None);
    }
}

// B9: a code goes to the issuer that its login was begun with, or to nobody.
#[test]
fn a_code_is_not_sent_to_another_issuer() {
    let client = forge::client();
    let grant = grant(&client, &metadata());
    let sent = TokenRequest::for_code(grant, &client, &forge::oauth2_metadata());
    assert_eq!(sent.unwrap_err(), RequestError::OtherIssuer);
}

// C17, A19: what the ID token is held to comes out of the same login as the code.
#[test]
fn the_request_comes_with_what_its_answer_is_held_to() {
    let client = forge::client();
    let (request, expectations) =
        TokenRequest::for_code(grant(&client, &metadata()), &client, &metadata()).unwrap();
    assert!(expectations.nonce.as_ref().unwrap().equals(NONCE));
    assert_eq!(expectations.max_age, Some(Duration::from_mins(15)));
    // V5: neither is anything secret printed.
    let printed = format!("{request:?}");
    assert_eq!(printed, "TokenRequest(https://i.test/tenant/token)");
    assert!(!format!("{:?}", request.into_http().headers()).contains("Basic"));
}

fn parse(
    kind: ProviderKind,
    status: u16,
    content_type: Option<&str>,
    body: &str,
) -> Result<TokenSet, TokenError> {
    TokenAnswer {
        status,
        content_type,
        body: body.as_bytes(),
    }
    .parse(kind)
}

fn oidc(body: &str) -> Result<TokenSet, TokenError> {
    parse(ProviderKind::Oidc, 200, Some("application/json"), body)
}

fn oauth2(body: &str) -> Result<TokenSet, TokenError> {
    parse(ProviderKind::Oauth2, 200, Some("application/json"), body)
}

#[test]
fn a_good_answer_gives_its_tokens() {
    let tokens = oidc(
        r#"{"access_token":"at","token_type":"bEaReR","expires_in":3600,"refresh_token":"rt",
            "id_token":"h.p.s","scope":"openid email","x":{"y":[1]}}"#,
    )
    .unwrap();
    assert!(tokens.access_token.equals("at"));
    assert!(tokens.refresh_token.as_ref().unwrap().equals("rt"));
    assert!(tokens.raw_id_token.as_ref().unwrap().equals("h.p.s"));
    assert_eq!(tokens.expires_in, Some(Duration::from_hours(1)));
    assert_eq!(tokens.scope.as_deref().unwrap(), ["openid", "email"]);
    let printed = format!("{tokens:?}");
    assert!(!printed.contains("at\"") && !printed.contains("h.p.s"));
}

// E2: only Bearer tokens are understood; without a type, only a plain OAuth 2.0 provider's.
#[test]
fn a_token_of_another_type_is_refused() {
    for kind in [r#""DPoP""#, r#""mac""#, r#""""#, "null", r#"["Bearer"]"#] {
        let body = format!(r#"{{"access_token":"at","id_token":"t","token_type":{kind}}}"#);
        assert_eq!(oidc(&body).unwrap_err(), TokenError::TokenType, "{kind}");
        assert_eq!(oauth2(&body).unwrap_err(), TokenError::TokenType, "{kind}");
    }
    let untyped = r#"{"access_token":"at","id_token":"t"}"#;
    assert_eq!(oidc(untyped).unwrap_err(), TokenError::TokenType);
    assert!(oauth2(untyped).is_ok());
}

// E2: a lifetime is read as real providers write it, and its absence does not mean for ever.
#[test]
fn a_lifetime_is_read_leniently_and_never_unlimited() {
    for (written, seconds) in [
        ("3600", Some(3600)),
        (r#""3600""#, Some(3600)),
        ("3599.5", Some(3599)),
        ("0", Some(0)),
        ("null", None),
        ("-1", None),
        (r#""soon""#, None),
        ("1e300", None),
        ("[60]", None),
    ] {
        let body =
            format!(r#"{{"access_token":"at","token_type":"Bearer","expires_in":{written}}}"#);
        let tokens = oauth2(&body).unwrap();
        assert_eq!(tokens.expires_in.map(|span| span.as_secs()), seconds);
        let lifetime = tokens.expires_at(NOW).since(NOW);
        assert_eq!(lifetime.as_secs(), seconds.unwrap_or(300), "{written}");
    }
}

#[test]
fn scopes_are_read_with_spaces_commas_and_as_a_list() {
    for written in [r#""a b""#, r#""a,b""#, r#"["a","b"]"#] {
        let body = format!(r#"{{"access_token":"at","scope":{written}}}"#);
        assert_eq!(oauth2(&body).unwrap().scope.unwrap(), ["a", "b"]);
    }
}

#[test]
fn a_form_is_read_where_the_type_says_so() {
    let form = Some("application/x-www-form-urlencoded; charset=utf-8");
    let body = "access_token=gho_x&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer";
    let tokens = parse(ProviderKind::Oauth2, 200, form, body).unwrap();
    assert!(tokens.access_token.equals("gho_x"));
    assert_eq!(tokens.scope.unwrap(), ["read:user", "user:email"]);
    // Some say "form" and send JSON, or the other way about, or nothing at all.
    let json = r#" {"access_token":"at"}"#;
    for content_type in [form, None, Some("text/plain")] {
        assert!(parse(ProviderKind::Oauth2, 200, content_type, json).is_ok());
    }
    let twice = parse(
        ProviderKind::Oauth2,
        200,
        form,
        "access_token=a&access_token=b",
    );
    assert_eq!(
        twice.unwrap_err(),
        TokenError::Unreadable(JsonError::DuplicateMember)
    );
    assert_eq!(
        parse(ProviderKind::Oauth2, 200, None, body).unwrap_err(),
        TokenError::Unreadable(JsonError::Malformed)
    );
}

// An `error` member is a refusal whatever the status says (GitHub, Slack), and a good status
// without tokens is not a success.
#[test]
fn a_refusal_with_status_200_is_a_refusal() {
    let form = Some("application/x-www-form-urlencoded");
    let body = "error=bad_verification_code&error_description=The+code+is+wrong.";
    let error = parse(ProviderKind::Oauth2, 200, form, body).unwrap_err();
    let TokenError::Refused { status, refusal } = &error else {
        panic!("{error}");
    };
    assert_eq!((*status, &refusal.code), (200, &ErrorCode::InvalidGrant));
    assert_eq!(refusal.description.as_deref(), Some("The code is wrong."));
    let with_token = r#"{"access_token":"at","token_type":"Bearer","error":"access_denied"}"#;
    assert!(matches!(
        oauth2(with_token).unwrap_err(),
        TokenError::Refused { .. }
    ));
    assert!(matches!(
        oauth2(r#"{"ok":false,"error":{"code":1}}"#).unwrap_err(),
        TokenError::Refused { .. }
    ));
    assert_eq!(oauth2("{}").unwrap_err(), TokenError::AccessToken);
}

// E10: only `invalid_grant` ends anything; everything else may pass.
#[test]
fn only_invalid_grant_is_final() {
    for (status, body, finality) in [
        (400, r#"{"error":"invalid_grant"}"#, Finality::Final),
        (200, r#"{"error":"bad_refresh_token"}"#, Finality::Final),
        (500, r#"{"error":"invalid_grant"}"#, Finality::Transient),
        (503, r#"{"error":"invalid_grant"}"#, Finality::Transient),
        (400, r#"{"error":"invalid_request"}"#, Finality::Transient),
        (401, r#"{"error":"invalid_client"}"#, Finality::Transient),
        (400, r#"{"error":"invalid_grant_x"}"#, Finality::Transient),
        (
            400,
            r#"{"error":"x","error_description":"invalid_grant"}"#,
            Finality::Transient,
        ),
        (429, "slow down", Finality::Transient),
        (502, "<html>invalid_grant</html>", Finality::Transient),
        (200, "", Finality::Transient),
        (302, "", Finality::Transient),
    ] {
        let error = parse(ProviderKind::Oidc, status, None, body).unwrap_err();
        assert_eq!(error.finality(), finality, "{status} {body}: {error}");
    }
    let error = parse(ProviderKind::Oidc, 502, None, "<html>").unwrap_err();
    assert_eq!(error, TokenError::Status(502));
    let tokens = r#"{"access_token":"at","token_type":"Bearer","id_token":"t"}"#;
    let error = parse(ProviderKind::Oidc, 400, None, tokens).unwrap_err();
    assert_eq!(error, TokenError::Status(400));
}

#[test]
fn a_token_that_fits_no_header_field_is_refused() {
    for text in ["", "a b", "a\\r\\nX: y", "\\u00e9", "a\\u0000"] {
        let body = format!(r#"{{"access_token":"{text}","token_type":"Bearer"}}"#);
        assert_eq!(oauth2(&body).unwrap_err(), TokenError::AccessToken);
        let body = format!(r#"{{"access_token":"a","token_type":"Bearer","id_token":"{text}"}}"#);
        assert_eq!(oidc(&body).unwrap_err(), TokenError::IdToken);
        let body = format!(r#"{{"access_token":"a","refresh_token":"{text}"}}"#);
        assert_eq!(oauth2(&body).unwrap_err(), TokenError::RefreshToken);
    }
    let without = r#"{"access_token":"a","token_type":"Bearer","refresh_token":null}"#;
    assert_eq!(oidc(without).unwrap_err(), TokenError::IdToken);
    assert!(oauth2(without).unwrap().refresh_token.is_none());
}

// V5: an error holds nothing of the body but safe words.
#[test]
fn an_error_never_holds_a_token() {
    let canary = "c4n4ryc4n4ryc4n4ryc4n4ry";
    for body in [
        format!(r#"{{"access_token":"{canary}","token_type":"mac"}}"#),
        format!(r#"{{"access_token":"{canary}","access_token":"{canary}"}}"#),
        format!(r#"{{"error":"{canary}","error_description":"code {canary} is spent"}}"#),
        format!("<html>{canary}"),
    ] {
        let error = oidc(&body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{body}");
        let answer = TokenAnswer {
            status: 200,
            content_type: None,
            body: body.as_bytes(),
        };
        assert!(!format!("{answer:?}").contains(canary));
    }
}

// B5: the answer is strict JSON within bounds.
#[test]
fn an_answer_beyond_the_limit_is_refused() {
    let body = format!(r#"{{"access_token":"a","x":"{}"}}"#, "x".repeat(256 * 1024));
    assert_eq!(
        oauth2(&body).unwrap_err(),
        TokenError::Unreadable(JsonError::TooLarge { limit: 256 * 1024 })
    );
}
