use serde_json::json;

use super::*;
use crate::oidc::forge::{self, ISSUER, document_with, metadata, metadata_with};

const RULES: EndpointRules = EndpointRules::HttpsOrLoopback;

fn fault(change: impl FnOnce(&mut serde_json::Value)) -> MetadataError {
    ProviderMetadata::parse(&document_with(change), ISSUER, RULES).unwrap_err()
}

// B1: the issuer is the configured one byte for byte, or the provider is unusable.
#[test]
fn metadata_of_another_issuer_is_refused() {
    for published in [
        "https://i.test/tenant/",
        "https://I.test/tenant",
        "https://i.test/Tenant",
        "https://i.test:443/tenant",
        "https://i.test%2Ftenant",
        "https://i.test/%74enant",
        "http://i.test/tenant",
        "https://evil.test/tenant",
        " https://i.test/tenant",
        "",
    ] {
        let error = fault(|document| document["issuer"] = published.into());
        let MetadataError::IssuerMismatch(mismatch) = error else {
            panic!("{published}: {error}");
        };
        assert_eq!(mismatch.configured, ISSUER);
        assert_eq!(mismatch.published, published);
    }
    for odd in [json!([ISSUER]), json!(null), json!(1), json!({})] {
        assert_eq!(
            fault(|document| document["issuer"] = odd.clone()),
            MetadataError::Member("issuer"),
            "{odd}"
        );
    }
    let missing = fault(|document| {
        document.as_object_mut().unwrap().remove("issuer");
    });
    assert_eq!(missing, MetadataError::Member("issuer"));
}

// B1: the most common fault is named.
#[test]
fn a_trailing_slash_is_suspected_aloud() {
    let error = fault(|document| document["issuer"] = "https://i.test/tenant/".into());
    assert_eq!(
        error.to_string(),
        "the provider says its issuer is `https://i.test/tenant/`, the configuration says \
         `https://i.test/tenant`; they differ only by a trailing slash"
    );
    let error = fault(|document| document["issuer"] = "https://evil.test/".into());
    assert!(!error.to_string().contains("slash"), "{error}");
}

// B2: behind the issuer's path, with one slash.
#[test]
fn the_discovery_document_is_behind_the_issuers_path() {
    for (issuer, url) in [
        (
            "https://i.test",
            "https://i.test/.well-known/openid-configuration",
        ),
        (
            "https://i.test/",
            "https://i.test/.well-known/openid-configuration",
        ),
        (
            "https://i.test/tenant1",
            "https://i.test/tenant1/.well-known/openid-configuration",
        ),
        (
            "https://i.test/tenant1/",
            "https://i.test/tenant1/.well-known/openid-configuration",
        ),
        (
            "http://127.0.0.1:9000/op",
            "http://127.0.0.1:9000/op/.well-known/openid-configuration",
        ),
    ] {
        assert_eq!(well_known_url(issuer, RULES).unwrap().as_str(), url);
    }
    for issuer in [
        "i.test",
        "http://i.test",
        "https://i.test?x=y",
        "https://i.test?",
        "https://i.test#x",
        "https://u@i.test",
        "file:///etc",
        "",
    ] {
        assert_eq!(
            well_known_url(issuer, RULES),
            Err(MetadataError::NoIssuer(issuer.to_owned()))
        );
    }
}

// B3: every endpoint that is there, not only those in use.
#[test]
fn an_endpoint_that_is_not_https_makes_the_metadata_unusable() {
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
        "revocation_endpoint",
    ] {
        for (url, expected) in [
            ("http://i.test/x", EndpointError::PlainHttp),
            ("http://127.0.0.1:4181/x", EndpointError::PlainHttp),
            ("file:///etc/passwd", EndpointError::NotUrl),
            ("gopher://i.test/", EndpointError::NotUrl),
            ("//i.test/x", EndpointError::NotUrl),
            ("https://u:p@i.test/x", EndpointError::UserInformation),
            ("https://i.test/#x", EndpointError::Fragment),
        ] {
            assert_eq!(
                fault(|document| document[name] = url.into()),
                MetadataError::Endpoint {
                    name,
                    fault: expected
                },
                "{name} {url}"
            );
        }
        let odd = fault(|document| document[name] = json!(["https://i.test/x"]));
        assert_eq!(odd, MetadataError::Member(name));
    }
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let missing = fault(|document| {
            document.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(missing, MetadataError::Member(name));
    }
}

// A18: an endpoint of the provider's cannot repeat what we set.
#[test]
fn an_endpoint_that_sets_our_parameters_is_refused() {
    for (name, parameter) in [
        ("authorization_endpoint", "redirect_uri"),
        ("authorization_endpoint", "state"),
        ("end_session_endpoint", "post_logout_redirect_uri"),
    ] {
        let error = fault(|document| {
            document[name] = format!("https://i.test/x?{parameter}=y").into();
        });
        assert_eq!(
            error,
            MetadataError::Endpoint {
                name,
                fault: EndpointError::OwnParameter(parameter)
            }
        );
    }
    let harmless = metadata_with(|document| {
        document["authorization_endpoint"] = "https://i.test/auth?p=b2c_1_signin".into();
    });
    assert!(
        harmless
            .authorization_endpoint()
            .as_str()
            .contains("p=b2c_1")
    );
}

// A3: a provider that lists PKCE methods must list S256; one that lists nothing is asked for it.
#[test]
fn a_provider_with_plain_pkce_alone_is_refused() {
    for listed in [json!(["plain"]), json!([]), json!(["s256"])] {
        let error = fault(|document| document["code_challenge_methods_supported"] = listed);
        assert_eq!(error, MetadataError::NoS256);
    }
    let error = fault(|document| document["code_challenge_methods_supported"] = json!("S256"));
    assert_eq!(
        error,
        MetadataError::Member("code_challenge_methods_supported")
    );
    metadata_with(|document| document["code_challenge_methods_supported"] = json!(null));
}

// C1, C3: what may sign an ID token is what the provider lists and we take.
#[test]
fn only_asymmetric_algorithms_are_taken_from_the_list() {
    assert_eq!(
        metadata().signing_algorithms(),
        [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
    );
    let none_listed = metadata_with(|document| {
        document["id_token_signing_alg_values_supported"] = json!(null);
    });
    assert_eq!(none_listed.signing_algorithms(), Algorithm::ALL);
    let error = fault(|document| {
        document["id_token_signing_alg_values_supported"] = json!(["none", "HS256"]);
    });
    assert_eq!(error, MetadataError::NoAlgorithm);
}

// B7: whether `iss` is promised is a boolean, and nothing else.
#[test]
fn the_promise_of_iss_is_read() {
    const NAME: &str = "authorization_response_iss_parameter_supported";
    for (value, expected) in [
        (json!(true), ResponseIss::Promised),
        (json!(false), ResponseIss::Unpromised),
        (json!(null), ResponseIss::Unpromised),
    ] {
        assert_eq!(
            metadata_with(|document| document[NAME] = value).response_iss(),
            expected
        );
    }
    assert_eq!(metadata().response_iss(), ResponseIss::Unpromised);
    assert_eq!(
        fault(|document| document[NAME] = json!("true")),
        MetadataError::Member(NAME)
    );
}

// B5: bounded, strict JSON.
#[test]
fn a_document_that_is_not_bounded_json_is_refused() {
    let parse = |bytes: &[u8]| ProviderMetadata::parse(bytes, ISSUER, RULES).unwrap_err();
    let twice = format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}"}}"#);
    assert_eq!(
        parse(twice.as_bytes()),
        MetadataError::Json(JsonError::DuplicateMember)
    );
    assert_eq!(
        parse(&vec![b'['; 10_000]),
        MetadataError::Json(JsonError::TooDeep)
    );
    assert_eq!(
        parse(b"<!doctype html>"),
        MetadataError::Json(JsonError::Malformed)
    );
    assert_eq!(parse(b"[]"), MetadataError::Json(JsonError::NotAnObject));
    let mut trailing = document_with(|_| ());
    trailing.extend(b"{}");
    assert_eq!(parse(&trailing), MetadataError::Json(JsonError::Malformed));
    let huge = document_with(|document| document["x"] = "x".repeat(256 * 1024).into());
    assert_eq!(
        parse(&huge),
        MetadataError::Json(JsonError::TooLarge { limit: 256 * 1024 })
    );
}

// B12: newer metadata never weakens what is known.
#[test]
fn an_update_that_weakens_is_not_taken() {
    let known = metadata_with(|document| {
        document["authorization_response_iss_parameter_supported"] = json!(true);
    });
    let promising = |change: &dyn Fn(&mut serde_json::Value)| {
        metadata_with(|document| {
            document["authorization_response_iss_parameter_supported"] = json!(true);
            change(document);
        })
    };
    let moved = promising(&|document| {
        document["token_endpoint"] = "https://new.i.test/token".into();
        document["revocation_endpoint"] = "https://new.i.test/revoke".into();
    });
    assert_eq!(known.accepts_update(&moved), Ok(()));
    let silent = promising(&|document| {
        document["code_challenge_methods_supported"] = json!(null);
    });
    assert_eq!(known.accepts_update(&silent), Err(UpdateFault::S256));
    assert_eq!(silent.accepts_update(&known), Ok(()));
    assert_eq!(
        known.accepts_update(&metadata()),
        Err(UpdateFault::ResponseIss)
    );
    assert_eq!(
        known.accepts_update(&forge::oauth2_metadata()),
        Err(UpdateFault::Issuer)
    );

    let local = |token_endpoint: &str| {
        let issuer = "http://127.0.0.1:9000";
        let document = document_with(|document| {
            document["issuer"] = issuer.into();
            document["token_endpoint"] = token_endpoint.into();
        });
        ProviderMetadata::parse(&document, issuer, RULES).unwrap()
    };
    let (tls, plain) = (
        local("https://127.0.0.1:9443/token"),
        local("http://127.0.0.1:9000/token"),
    );
    assert_eq!(
        tls.accepts_update(&plain),
        Err(UpdateFault::PlainHttp("token_endpoint"))
    );
    assert_eq!(plain.accepts_update(&tls), Ok(()));
}

#[test]
fn a_plain_oauth2_provider_is_described_by_hand() {
    let metadata = forge::oauth2_metadata();
    assert_eq!(metadata.kind(), ProviderKind::Oauth2);
    assert_eq!(metadata.issuer(), "https://github.test");
    assert_eq!(metadata.response_iss(), ResponseIss::Unknown);
    assert!(metadata.jwks_uri().is_none() && metadata.signing_algorithms().is_empty());

    let endpoints = Oauth2Endpoints {
        issuer: "https://g.test".to_owned(),
        authorization_endpoint: "https://g.test/a".to_owned(),
        token_endpoint: "http://g.test/t".to_owned(),
        userinfo_endpoint: "https://g.test/u".to_owned(),
        revocation_endpoint: None,
        end_session_endpoint: None,
    };
    assert_eq!(
        ProviderMetadata::of_oauth2(&endpoints, RULES),
        Err(MetadataError::Endpoint {
            name: "token_endpoint",
            fault: EndpointError::PlainHttp
        })
    );
}
