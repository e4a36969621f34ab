//! A discovery document is of the issuer that it was asked from, and leads nowhere but to TLS.

use serde_json::Value;
use sidegate::oidc::endpoint::{Endpoint, EndpointRules};
use sidegate::oidc::metadata::{ProviderKind, ProviderMetadata, well_known_url};
use url::{Host, Url};

use super::Outcome;

const ISSUERS: [&str; 2] = ["https://i.test", "http://127.0.0.1:9000/x"];
/// What we set ourselves in an authorization request.
const OURS: [&str; 6] = [
    "client_id",
    "state",
    "nonce",
    "redirect_uri",
    "response_type",
    "scope",
];
const RULES: EndpointRules = EndpointRules::HttpsOrLoopback;

/// Any bytes as a discovery document, and as an issuer.
pub fn run(data: &[u8]) -> Outcome {
    if let Ok(text) = std::str::from_utf8(data) {
        as_issuer(text);
    }
    let parsed = ISSUERS.map(|issuer| ProviderMetadata::parse(data, issuer, RULES));
    for (metadata, issuer) in parsed.iter().zip(ISSUERS) {
        if let Ok(metadata) = metadata {
            check(metadata, issuer, data);
        }
    }
    Outcome::from(parsed.iter().any(Result::is_ok))
}

fn check(metadata: &ProviderMetadata, issuer: &str, data: &[u8]) {
    let document: Value = serde_json::from_slice(data).expect("JSON");
    assert_eq!(document["issuer"], issuer);
    assert_eq!(
        (metadata.issuer(), metadata.kind()),
        (issuer, ProviderKind::Oidc)
    );
    let endpoints = [
        (
            "authorization_endpoint",
            Some(metadata.authorization_endpoint()),
        ),
        ("token_endpoint", Some(metadata.token_endpoint())),
        ("jwks_uri", metadata.jwks_uri()),
        ("userinfo_endpoint", metadata.userinfo_endpoint()),
        ("end_session_endpoint", metadata.end_session_endpoint()),
        ("revocation_endpoint", metadata.revocation_endpoint()),
    ];
    for (name, endpoint) in endpoints {
        assert_eq!(endpoint.is_some(), document[name].is_string(), "{name}");
        if let Some(endpoint) = endpoint {
            let written = document[name]
                .as_str()
                .and_then(|text| Url::parse(text).ok());
            assert_eq!(Some(endpoint.url()), written.as_ref(), "{name}");
            sound(endpoint, issuer.starts_with("http://"));
        }
    }
    assert!(metadata.jwks_uri().is_some());
    let query = metadata.authorization_endpoint().url().query_pairs();
    for (name, _) in query {
        assert!(!OURS.contains(&&*name), "`{name}` would be there twice");
    }
    assert!(!metadata.signing_algorithms().is_empty());
    if let Some(methods) = document["code_challenge_methods_supported"].as_array() {
        assert!(methods.iter().any(|method| method == "S256"));
    }
    assert_eq!(metadata.accepts_update(metadata), Ok(()));
}

fn sound(endpoint: &Endpoint, local: bool) {
    let url = endpoint.url();
    let on_this_machine = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        // The dot of the root changes nothing (RFC 6761 section 6.3).
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => panic!("an endpoint without a host"),
    };
    assert!(
        url.scheme() == "https" || (local && url.scheme() == "http" && on_this_machine),
        "{url}"
    );
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(endpoint.as_str().parse::<http::Uri>().is_ok());
    assert_eq!(Url::parse(endpoint.as_str()).as_ref(), Ok(url));
}

fn as_issuer(text: &str) {
    let Ok(well_known) = well_known_url(text, RULES) else {
        return;
    };
    sound(&well_known, true);
    let issuer = Url::parse(text).expect("an issuer is a URL");
    assert_eq!(well_known.url().origin(), issuer.origin());
    assert!(
        well_known
            .as_str()
            .ends_with("/.well-known/openid-configuration")
    );
    assert!(well_known.url().query().is_none());
}
