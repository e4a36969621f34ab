use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::samples::{KINDS, faults, kind};
use super::*;
use crate::app::pages::{AtProvider, ConfirmSignOut, SignIn, SignedOut};
use crate::base::clock::UnixTime;
use crate::base::origin::{Origin, PublicUrl};
use crate::base::return_to::ReturnTo;
use crate::config::PageSettings;

fn pages() -> Pages {
    let public_url = PublicUrl::parse("https://dash.test").unwrap();
    Pages::new(&PageSettings::default(), &public_url, "/oauth2").unwrap()
}

fn circumstances() -> Circumstances<'static> {
    static WANTED: LazyLock<ReturnTo> =
        LazyLock::new(|| ReturnTo::parse("/a%20b?x=https://other.test/&y=\"1\"").unwrap());
    Circumstances {
        reference: Reference::from_bytes([1, 2, 3, 4, 5]),
        now: UnixTime::from_seconds(1_000_000_000),
        return_to: Some(&WANTED),
    }
}

const LOGIN_URL: &str = "https://dash.test/oauth2/start?return_to=%2Fa%2520b%3Fx%3Dhttps%3A%2F%2Fother.test%2F%26y%3D%221%22";

fn told(one: &Fault, form: Form) -> (Response<Bytes>, String) {
    let response = fault(&pages(), one, form, &circumstances());
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response, body)
}

fn field<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[test]
fn there_is_a_sample_of_every_kind_of_fault() {
    let kinds: BTreeSet<usize> = faults("x").iter().map(kind).collect();
    assert_eq!(kinds, (0..KINDS).collect());
}

// T5: status, code and reference in every form that a person or a program may ask for.
#[test]
fn every_fault_says_its_code_and_reference_in_every_form() {
    for one in faults("x") {
        let reference = circumstances().reference;
        let (html, body) = told(&one, Form::Html(Language::English));
        assert_eq!(html.status(), one.status(), "{one:?}");
        assert_eq!(
            field(&html, "content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(
            body.contains(&format!("<code>{}</code>", one.code())),
            "{body}"
        );
        assert!(body.contains(reference.as_str()), "{body}");
        assert!(body.contains("2001-09-09T01:46:40Z"), "{body}");

        let (json, body) = told(&one, Form::Json);
        assert_eq!(json.status(), one.status());
        assert_eq!(
            field(&json, "content-type"),
            Some("application/problem+json")
        );
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], one.status().as_u16());
        assert_eq!(problem["code"], one.code());
        assert_eq!(problem["title"], one.title(Language::English.words()));
        assert_eq!(problem["reference"], reference.as_str());
        assert_eq!(
            problem["type"],
            format!("urn:sidegate:problem:{}", one.code())
        );

        let (text, body) = told(&one, Form::Text);
        assert_eq!(text.status(), one.status());
        assert_eq!(
            field(&text, "content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(body.contains(one.code()) && body.contains(reference.as_str()));
    }
}

// A22, P1: no answer of ours is stored, framed, sniffed, or tells the next site where it came from.
#[test]
fn every_own_answer_carries_the_fields_that_keep_it_private() {
    let mut answers: Vec<Response<Bytes>> = Vec::new();
    for form in [
        Form::Html(Language::English),
        Form::Json,
        Form::Text,
        Form::Terminal,
        Form::Grpc,
    ] {
        answers.extend(faults("x").iter().map(|one| told(one, form).0));
        answers.push(page(&pages(), &signed_out(), form, &circumstances()));
    }
    for kind in [Redirect::Found, Redirect::SeeOther] {
        answers.push(redirect(&pages(), kind, "/home", &circumstances()));
    }
    for answer in answers {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-request-id", circumstances().reference.as_str()),
        ] {
            assert_eq!(field(&answer, name), Some(value), "{answer:?}");
        }
        let policy = field(&answer, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("base-uri 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("script"),
            "{policy}"
        );
        assert!(answer.headers().get("set-cookie").is_none());
        let redirected = answer.status().is_redirection();
        let opener = field(&answer, "cross-origin-opener-policy");
        assert_eq!(opener, (!redirected).then_some("same-origin"));
    }
}

// A22: a page may show the style that it is sent with, and nothing else; a form leads to ourselves.
#[test]
fn a_page_is_sent_with_the_policy_that_fits_it() {
    let policy = |answer: &Response<Bytes>| {
        let body = String::from_utf8(answer.body().to_vec()).unwrap();
        let (_, rest) = body.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        let policy = field(answer, "content-security-policy").unwrap();
        policy.replace(&hash, "HASH")
    };
    let (answer, _) = told(&Fault::NoRoute, Form::Html(Language::English));
    let closed = "default-src 'none'; style-src 'sha256-HASH'; form-action 'none'; \
                  base-uri 'none'; frame-ancestors 'none'";
    assert_eq!(policy(&answer), closed);
    let confirm = Page::ConfirmSignOut(ConfirmSignOut {
        session: None,
        end_session: Some(Origin::parse("https://id.test:8443").unwrap()),
    });
    let answer = page(
        &pages(),
        &confirm,
        Form::Html(Language::English),
        &circumstances(),
    );
    let open = closed.replace(
        "form-action 'none'",
        "form-action 'self' https://id.test:8443",
    );
    assert_eq!(policy(&answer), open);
}

// A21: a 307 or 308 would post credentials on.
#[test]
fn redirects_are_302_and_303_and_carry_nothing() {
    for (kind, status) in [(Redirect::Found, 302), (Redirect::SeeOther, 303)] {
        let answer = redirect(
            &pages(),
            kind,
            "https://id.test/authorize?x=1",
            &circumstances(),
        );
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(
            field(&answer, "location"),
            Some("https://id.test/authorize?x=1")
        );
        assert!(answer.body().is_empty());
    }
}

// A21: what no field can carry is no redirect at all.
#[test]
fn a_location_with_a_line_break_becomes_an_internal_error() {
    let answer = redirect(
        &pages(),
        Redirect::Found,
        "/\r\nSet-Cookie: a=b",
        &circumstances(),
    );
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.headers().get("location").is_none());
    assert!(answer.headers().get("set-cookie").is_none());
}

#[test]
fn a_program_that_is_not_signed_in_learns_where_to_sign_in() {
    for form in [Form::Json, Form::Terminal] {
        for one in [Fault::LoginRequired, Fault::BodyLost] {
            let (answer, body) = told(&one, form);
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            let challenge = format!("Sidegate login=\"{LOGIN_URL}\"");
            assert_eq!(field(&answer, "www-authenticate"), Some(challenge.as_str()));
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["login_url"], LOGIN_URL);
        }
    }
}

#[test]
fn no_fault_asks_a_browser_for_a_password() {
    for one in faults("x") {
        for form in [
            Form::Html(Language::English),
            Form::Json,
            Form::Text,
            Form::Terminal,
            Form::Grpc,
        ] {
            let (answer, _) = told(&one, form);
            let challenge = field(&answer, "www-authenticate");
            let expected = one.status() == StatusCode::UNAUTHORIZED;
            assert_eq!(challenge.is_some(), expected, "{one:?}");
            assert!(challenge.is_none_or(|challenge| challenge.starts_with("Sidegate ")));
        }
    }
}

#[test]
fn a_terminal_gets_text_and_a_refused_program_json() {
    let kind = |one: &Fault| {
        let (answer, _) = told(one, Form::Terminal);
        field(&answer, "content-type").unwrap().to_owned()
    };
    assert_eq!(
        kind(&Fault::UpstreamConnect(samples::upstream_failure("x"))),
        "text/plain; charset=utf-8"
    );
    assert_eq!(kind(&Fault::LoginRequired), "application/problem+json");
    assert_eq!(kind(&Fault::ForeignWebSocket), "application/problem+json");
}

#[test]
fn grpc_is_refused_by_trailers_only() {
    let wanted = |one: &Fault| match one.status().as_u16() {
        401 => "16",
        403 => "7",
        404 | 405 | 501 => "12",
        502..=504 => "14",
        _ => "13",
    };
    for one in faults("x") {
        let (answer, body) = told(&one, Form::Grpc);
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(body, "");
        assert_eq!(field(&answer, "content-type"), Some("application/grpc"));
        assert_eq!(field(&answer, "grpc-status"), Some(wanted(&one)), "{one:?}");
        assert!(field(&answer, "grpc-message").is_some_and(|text| !text.is_empty()));
    }
    let (denied, _) = told(
        &Fault::NotAdmittedHere(
            Box::new(samples::identity("x")),
            samples::unmet(Missing::Group, "x"),
        ),
        Form::Grpc,
    );
    assert_eq!(
        field(&denied, "grpc-message"),
        Some("You don%E2%80%99t have access")
    );
}

#[test]
fn what_was_not_understood_closes_the_connection() {
    for one in faults("x") {
        let (answer, _) = told(&one, Form::Json);
        let closes = matches!(
            one,
            Fault::Malformed(_)
                | Fault::RequestBody(_)
                | Fault::ManyUpstreams
                | Fault::TargetTooLong
                | Fault::HeaderTooLarge(_)
        );
        assert_eq!(
            field(&answer, "connection"),
            closes.then_some("close"),
            "{one:?}"
        );
    }
}

#[test]
fn what_may_pass_says_when_to_ask_again() {
    for one in faults("x") {
        let (answer, _) = told(&one, Form::Html(Language::English));
        let passes = matches!(answer.status().as_u16(), 502..=504);
        assert_eq!(field(&answer, "retry-after").is_some(), passes, "{one:?}");
    }
    let (answer, _) = told(
        &Fault::MethodNotAllowed("GET, HEAD"),
        Form::Html(Language::English),
    );
    assert_eq!(field(&answer, "allow"), Some("GET, HEAD"));
}

/// The interface: whoever has a script or an alert on these must not be surprised.
#[test]
fn statuses_and_codes_stay_as_they_are() {
    let mut table: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for one in faults("x") {
        let statuses = table.entry(one.code()).or_default();
        statuses.insert(one.status().as_u16());
    }
    let rows: Vec<String> = table
        .into_iter()
        .map(|(code, statuses)| {
            let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
            format!("{code} {}", statuses.join(","))
        })
        .collect();
    let wanted = "access_denied 403
address_denied 403
ambiguous_target 400
body_broken 400
body_timeout 408
callback_malformed 400
claim_denied 403
client_certificate 403
clock_skew 502
code_exchange_failed 502
cookie_too_large 500
csrf_post_replay 401
domain_denied 403
email_missing 403
email_unverified 403
excluded 403
foreign_websocket 403
foreign_write 403
group_denied 403
groups_incomplete 403
header_too_large 431
identity_too_large 500
identity_unusable 502
insufficient_user_authentication 401,403
internal 500
issuer_mismatch 400,502
login_loop 400
login_required 401
logout_not_shared 501
logout_token_invalid 400
malformed_host 400
malformed_target 400
method_not_allowed 405
method_not_served 501
no_route 404
nonce_mismatch 400
overloaded 503
provider_error 400,403
provider_timeout 504
provider_unavailable 503
redirect_mismatch 500
repeated_field 400
repeated_parameter 400
session_store_down 503
state_expired 400
state_mismatch 400
state_missing 400
subject_denied 403
target_too_long 414
token_invalid 502
unknown_host 404
unknown_provider 404
unknown_transfer_coding 501
upstream_connect 502
upstream_protocol 502
upstream_timeout 504";
    assert_eq!(rows.join("\n"), wanted);
}

#[test]
fn the_documentation_has_every_code_with_its_statuses_and_no_other() {
    let mut documented: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for line in include_str!("../../../docs/ERRORS.md").lines() {
        let mut cells = line.split(" | ");
        let code = cells.next().and_then(|cell| cell.strip_prefix("| `"));
        let Some(code) = code.and_then(|cell| cell.strip_suffix('`')) else {
            continue;
        };
        let statuses = cells.next().unwrap().split(", ");
        documented.insert(code, statuses.map(|one| one.parse().unwrap()).collect());
    }
    let mut known: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for one in faults("x") {
        known
            .entry(one.code())
            .or_default()
            .insert(one.status().as_u16());
    }
    assert_eq!(documented, known);
}

// A9: nothing of a provider, a token or the configuration is on a page, but its sanitised refusal.
#[test]
fn a_body_tells_nothing_of_what_the_log_tells() {
    const CANARY: &str = "canary-issuer.test";
    for one in faults(CANARY) {
        let known_to_the_person = matches!(
            one,
            Fault::NotAdmitted(..)
                | Fault::NotAdmittedHere(..)
                | Fault::StepUpRequired(..)
                | Fault::LoginLoop(_)
                | Fault::ProviderRefused(_)
        );
        for form in [
            Form::Html(Language::English),
            Form::Json,
            Form::Text,
            Form::Terminal,
            Form::Grpc,
        ] {
            let (answer, body) = told(&one, form);
            let whole = format!("{:?}{body}", answer.headers());
            let shown = whole.contains(CANARY);
            assert!(
                !shown || (known_to_the_person && form == Form::Html(Language::English)),
                "{one:?}"
            );
        }
    }
}

// A9: a refusal may be of any length and hold anything.
#[test]
fn a_providers_words_are_cut_and_cleaned() {
    for code in [
        "<script>",
        "a b",
        "a\r\nb",
        "",
        "A",
        &"a".repeat(65),
        "\u{202e}",
    ] {
        assert_eq!(details::ProviderWords::new(code, None).code(), "unreadable");
    }
    let long = "\u{202e}<script>\0\r\n%00".repeat(10_000);
    let words = details::ProviderWords::new("access_denied", Some(&long));
    let shown = words.description().unwrap();
    assert!(shown.chars().count() <= 201, "{}", shown.len());
    assert!(!shown.contains(['\0', '\r', '\n', '\u{202e}']));
}

#[test]
fn an_issuer_that_differs_in_a_slash_is_told_so() {
    let told = |got: &str| details::IssuerMismatch::new("https://id.test", got).to_string();
    assert!(told("https://id.test/").contains("trailing slash"));
    assert!(!told("https://evil.test/").contains("trailing slash"));
}

#[test]
fn who_is_to_blame_follows_from_the_status() {
    for one in faults("x") {
        match one.blame() {
            Blame::UserAgent => assert!(
                one.status().is_client_error() || one.status().as_u16() == 501,
                "{one:?}"
            ),
            Blame::Upstream => assert!(matches!(one.status().as_u16(), 502 | 504), "{one:?}"),
            Blame::Provider => assert!(
                matches!(one.status().as_u16(), 502..=504)
                    || matches!(one, Fault::ProviderRefused(_)),
                "{one:?}"
            ),
            Blame::Ours => assert!(
                matches!(one.status().as_u16(), 500 | 503) || matches!(one, Fault::LogoutNotShared),
                "{one:?}"
            ),
        }
    }
}

fn signed_out() -> Page {
    Page::SignedOut(SignedOut {
        at_provider: AtProvider::MayLive,
        provider: Some("corp".to_owned()),
        return_to: ReturnTo::parse("/").unwrap(),
    })
}

#[test]
fn a_program_reads_pages_as_json() {
    let sign_in = Page::SignIn(SignIn {
        providers: vec!["corp".to_owned()],
        return_to: ReturnTo::parse("/x").unwrap(),
        signed_in: None,
    });
    for one in [sign_in, signed_out()] {
        let answer = page(&pages(), &one, Form::Json, &circumstances());
        assert_eq!(answer.status(), StatusCode::OK);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(
            body["login_url"]
                .as_str()
                .unwrap()
                .starts_with("https://dash.test/oauth2/start?")
        );
    }
}

proptest! {
    // H1: whatever the page to return to is, it stays one parameter, and the challenge one string.
    #[test]
    fn a_return_to_never_leaves_its_parameter(text in "/[!-~]{0,200}") {
        let Some(return_to) = ReturnTo::parse(&text) else { return Ok(()) };
        let circumstances = Circumstances { return_to: Some(&return_to), ..circumstances() };
        let answer = fault(&pages(), &Fault::LoginRequired, Form::Json, &circumstances);
        let challenge = field(&answer, "www-authenticate").unwrap();
        let url = challenge
            .strip_prefix("Sidegate login=\"")
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap();
        prop_assert!(!url.contains(['"', '\\', ' ']));
        let (page, query) = url.split_once('?').unwrap();
        prop_assert_eq!(page, "https://dash.test/oauth2/start");
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        prop_assert_eq!(pairs, vec![("return_to".into(), return_to.as_str().into())]);
    }
}
