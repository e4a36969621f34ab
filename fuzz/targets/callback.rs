//! A response is understood in one way or not at all, and redeems a login only with all that the
//! login asks for.

use serde_json::json;
use sidegate::base::clock::UnixTime;
use sidegate::oidc::authorization::PendingLogin;
use sidegate::oidc::callback::{Arrival, AuthorizationResponse};
use std::time::Duration;

use super::Outcome;

const STATE: &str = "state-of-this-login-0123456789abcdef";
const ISSUER: &str = "https://i.test";
/// The issuer of another provider.
const OTHER: &str = "https://o.test";
const NOW: i64 = 1_800_000_000;

/// Any text as the query of a callback.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else {
        return Outcome::Refused;
    };
    let Ok(response) = AuthorizationResponse::parse(text) else {
        return Outcome::Refused;
    };
    let parameters = parameters(text);
    let one = |name: &str| {
        let mut values = parameters.iter().filter(|(own, _)| own == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "`{name}` is there twice");
        value
    };
    for foreign in ["id_token", "access_token", "token", "response"] {
        assert!(one(foreign).is_none(), "`{foreign}` is of another flow");
    }
    let (code, state, iss, error) = (one("code"), one("state"), one("iss"), one("error"));
    one("error_description");
    one("error_uri");
    assert_ne!(code.is_some(), error.is_some());
    assert_eq!(response.is_error(), error.is_some());
    assert_eq!(response.state(), state);
    let printable =
        |text: &str| !text.is_empty() && text.bytes().all(|b| (0x20..0x7F).contains(&b));
    assert!([code, state, iss].into_iter().flatten().all(printable));
    // What is printed is that of any response with the same issuer: nothing of code and state.
    if error.is_none() {
        let any = ["code=c", "code=c&state=s"][usize::from(state.is_some())];
        let any = AuthorizationResponse::parse(any).expect("a response");
        let any = format!("{any:?}").replace("iss: None", &format!("iss: {iss:?}"));
        assert_eq!(format!("{response:?}"), any, "a secret is printed");
    }

    let mut redeemed = false;
    for promise in ["p", "n", "u"] {
        let again = AuthorizationResponse::parse(text).expect("the same as before");
        let now = UnixTime::from_seconds(NOW);
        let grant = pending(promise).redeem(again, at("corp"), now, Duration::from_mins(10));
        let right_issuer = match (promise, iss) {
            ("u", iss) => iss.map(|iss| iss.trim_end_matches('/')) != Some(OTHER),
            ("n", None) => true,
            (_, iss) => iss == Some(ISSUER),
        };
        let due = code.is_some() && state == Some(STATE) && right_issuer;
        assert_eq!(grant.is_ok(), due, "{promise}: {grant:?}");
        redeemed |= grant.is_ok();
    }
    let elsewhere = AuthorizationResponse::parse(text).expect("the same as before");
    let now = UnixTime::from_seconds(NOW);
    let grant = pending("u").redeem(elsewhere, at("other"), now, Duration::from_mins(10));
    assert!(grant.is_err(), "redeemed at another provider's callback");
    Outcome::from(redeemed)
}

fn at(provider: &str) -> Arrival<'_> {
    Arrival {
        provider,
        other_issuers: &[OTHER],
    }
}

fn pending(promise: &str) -> PendingLogin {
    let login = json!({
        "s": STATE, "n": "nonce-0123456789abcdef", "v": "verifier", "p": "corp",
        "u": "https://app.test/cb", "i": ISSUER, "e": promise, "r": "/", "t": NOW - 5,
    });
    serde_json::from_value(login).expect("a login in flight")
}

/// The form's pairs (URL Standard section 5.1), written once more.
fn parameters(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        bytes
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two digits"));
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
