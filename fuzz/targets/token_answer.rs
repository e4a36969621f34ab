//! The token endpoint's answer: tokens only from a success that refuses nothing.
//!
//! The first byte chooses the status, the second the media type; the rest is the body.

use serde_json::Value;
use sidegate::base::clock::UnixTime;
use sidegate::base::secret::Secret;
use sidegate::oidc::metadata::ProviderKind;
use sidegate::oidc::token::{Finality, TokenAnswer, TokenError, TokenSet};

use super::Outcome;

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");

/// Any bytes as an answer.
pub fn run(data: &[u8]) -> Outcome {
    let [status, media, body @ ..] = data else {
        return Outcome::Refused;
    };
    let status = match status {
        b'4' => 400,
        b'5' => 503,
        b'3' => 302,
        b'1' => 201,
        _ => 200,
    };
    let content_type = match media {
        b'f' => FORM,
        b'n' => None,
        _ => JSON,
    };
    let answer = TokenAnswer {
        status,
        content_type,
        body,
    };
    let mut accepted = false;
    for kind in [ProviderKind::Oidc, ProviderKind::Oauth2] {
        let refreshed = answer.parse_refreshed(kind);
        match answer.parse(kind) {
            Ok(tokens) => {
                accepted = true;
                check(&tokens, status, body);
                assert!(
                    refreshed.is_ok(),
                    "a refresh asks for more than a redemption"
                );
                assert!(kind == ProviderKind::Oauth2 || tokens.raw_id_token.is_some());
            }
            Err(error) => {
                check_error(&error, status);
                assert!(refreshed.is_err() || error == TokenError::IdToken);
            }
        }
        if let Ok(tokens) = &refreshed {
            check(tokens, status, body);
        }
    }
    Outcome::from(accepted)
}

fn check(tokens: &TokenSet, status: u16, body: &[u8]) {
    assert!((200..300).contains(&status));
    let sound = |token: &Secret| {
        let token = token.expose();
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let all = [
        Some(&tokens.access_token),
        tokens.refresh_token.as_ref(),
        tokens.raw_id_token.as_ref(),
    ];
    for token in all.into_iter().flatten() {
        assert!(sound(token), "a token that fits no header field");
        assert_eq!(format!("{token:?}"), "[redacted]");
    }
    for moment in [i64::MIN, 0, 1_800_000_000, i64::MAX] {
        let moment = UnixTime::from_seconds(moment);
        assert!(tokens.expires_at(moment) >= moment);
    }
    let document = serde_json::from_slice::<Value>(body);
    if let Ok(Value::Object(document)) = document {
        assert!(
            document.get("error").is_none_or(Value::is_null),
            "a refusal was overlooked"
        );
        assert_eq!(document["access_token"], tokens.access_token.expose());
    }
}

fn check_error(error: &TokenError, status: u16) {
    if error.finality() == Finality::Final {
        assert!(
            status < 500,
            "a provider that is out of order ends no grant"
        );
        assert!(matches!(error, TokenError::Refused { .. }));
    }
    let shown = error.to_string();
    assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
    assert!(shown.len() < 2_000, "{} bytes", shown.len());
}
