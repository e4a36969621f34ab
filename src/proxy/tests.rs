use http::HeaderMap;

use http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use std::collections::BTreeMap;

use super::credentials::OwnCookies;
use super::head::make_private;
use super::identity::{self, Stripper};
use super::{ForwardError, HeaderRule, IdentityField, Qualification, hop};
use crate::base::origin::PublicUrl;
use crate::gate::facts::Upgrade;
use crate::gate::routes::MethodOverride;
use crate::oidc::claims::{Groups, Identity};
use crate::session::names::CookieNames;
use crate::session::tests::session_of;
use crate::session::{CookieKept, CookieSettings, SameSite, Session};

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

fn left(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect()
}

fn names() -> CookieNames {
    let settings = CookieSettings {
        name: "sidegate".to_owned(),
        same_site: SameSite::Lax,
        domain: None,
        kept: CookieKept::default(),
    };
    let public = PublicUrl::parse("https://gate.test").unwrap();
    CookieNames::new(&settings, &public, "dashboards").unwrap()
}

fn session(subject: &str, groups: &[&str]) -> Session {
    let mut session = session_of(subject);
    session.identity = Identity {
        issuer: "https://id.test".to_owned(),
        subject: subject.to_owned(),
        email: None,
        groups: Groups::Complete(groups.iter().map(|&group| group.to_owned()).collect()),
        preferred_username: None,
        name: None,
        claims: BTreeMap::new(),
    };
    session
}

fn rule(value: IdentityField, qualified: Qualification) -> HeaderRule {
    HeaderRule {
        name: HeaderName::from_static("x-me"),
        value,
        qualified,
    }
}

fn written(session: &Session, rule: HeaderRule) -> Vec<String> {
    let mut headers = HeaderMap::new();
    identity::set(&mut headers, session, &[rule]).unwrap();
    left(&headers)
}

// J1: also a field that the operator chose, and each family's bare beginning.
#[test]
fn every_spelling_of_an_identity_name_is_removed_and_no_other_name_is() {
    let own = HeaderName::from_static("my-user");
    let stripper = Stripper::new([own].iter());
    for name in [
        "my-user",
        "MY_USER",
        "my.user",
        "my--user",
        "my_-user",
        "x-webauth-",
        "x_webauth_",
        "_x-forwarded-user",
        "X.Forwarded.Whatever",
        "remote_user",
        "proxy",
        "ssl_client_verify",
    ] {
        let mut headers = fields(&[(name, "forged"), ("accept", "*/*"), (name, "twice")]);
        stripper.strip(&mut headers, MethodOverride::Passed);
        assert_eq!(left(&headers), ["accept: */*"], "{name}");
    }
    let others = [
        ("my-users", "1"),
        ("x-request-id", "2"),
        ("x-webauthn", "3"),
        ("authorization", "Bearer app"),
        ("traceparent", "4"),
        ("x-http-method-override", "PUT"),
    ];
    let mut headers = fields(&others);
    stripper.strip(&mut headers, MethodOverride::Passed);
    assert_eq!(headers, fields(&others));
    stripper.strip(&mut headers, MethodOverride::Dropped);
    assert!(!headers.contains_key("x-http-method-override"), "J8");
}

// J3, J4: what ends here, and what `Connection` cannot name away.
#[test]
fn hop_by_hop_fields_end_here_and_protected_ones_stay() {
    let mut headers = fields(&[
        ("connection", "close, x-mine, Host, Content-Length"),
        ("connection", "cookie, authorization, transfer-encoding"),
        ("x-mine", "1"),
        ("host", "gate.test"),
        ("content-length", "3"),
        ("cookie", "a=b"),
        ("authorization", "Bearer app"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("te", "trailers"),
        ("trailer", "x-forwarded-user"),
        ("upgrade", "h2c"),
    ]);
    hop::strip_request(&mut headers, Upgrade::None);
    let mut lines = left(&headers);
    lines.sort();
    assert_eq!(
        lines,
        [
            "authorization: Bearer app",
            "connection: te",
            "content-length: 3",
            "cookie: a=b",
            "host: gate.test",
            "te: trailers",
        ]
    );
}

// J4: whoever does not read trailer fields has none asked for; gRPC may announce its own.
#[test]
fn trailer_fields_are_asked_for_where_they_are_read() {
    let mut headers = fields(&[("te", "gzip"), ("trailer", "x"), ("host", "gate.test")]);
    hop::strip_request(&mut headers, Upgrade::None);
    assert_eq!(left(&headers), ["host: gate.test"]);
    let mut headers = fields(&[("content-type", "application/grpc"), ("trailer", "x")]);
    hop::strip_request(&mut headers, Upgrade::None);
    assert_eq!(
        left(&headers),
        ["content-type: application/grpc", "trailer: x"]
    );
}

// J10: an app cannot delete a cookie by naming its field.
#[test]
fn a_response_keeps_its_cookies_whatever_connection_names() {
    let mut headers = fields(&[
        ("connection", "Set-Cookie, x-internal"),
        ("set-cookie", "app=1"),
        ("x-internal", "1"),
        ("transfer-encoding", "chunked"),
        ("proxy-authenticate", "Basic"),
        ("upgrade", "h2"),
    ]);
    hop::strip_response(&mut headers);
    assert_eq!(left(&headers), ["set-cookie: app=1"]);
}

// C26: a comma inside a group makes no second group; the prefix cannot be forged either.
#[test]
fn a_group_with_a_comma_stays_one_group() {
    let odd = session("a", &["users,admins", "50%", "Entwicklung Süd"]);
    assert_eq!(
        written(&odd, rule(IdentityField::Groups, Qualification::Plain)),
        ["x-me: users%2Cadmins,50%25,Entwicklung S%C3%BCd"]
    );
    assert_eq!(
        written(&odd, rule(IdentityField::Groups, Qualification::Qualified)),
        ["x-me: corp:users%2Cadmins,corp:50%25,corp:Entwicklung S%C3%BCd"]
    );
    let mut told_nothing = session("a", &[]);
    told_nothing.identity.groups = Groups::Overage;
    for field in [
        IdentityField::Groups,
        IdentityField::Email,
        IdentityField::Name,
    ] {
        let lines = written(&told_nothing, rule(field, Qualification::Plain));
        assert!(lines.is_empty(), "J2: {field:?} {lines:?}");
    }
}

// J6, J11: an identity is sent whole or not at all.
#[test]
fn an_identity_that_is_too_large_is_refused_not_cut() {
    let fits = "g".repeat(8 * 1024);
    let lines = written(
        &session("a", &[&fits]),
        rule(IdentityField::Groups, Qualification::Plain),
    );
    assert_eq!(lines, [format!("x-me: {fits}")]);
    let large = session("a", &[&fits, "h"]);
    let rules = [rule(IdentityField::Groups, Qualification::Plain)];
    let refused = identity::set(&mut HeaderMap::new(), &large, &rules);
    assert!(matches!(refused, Err(ForwardError::IdentityTooLarge(..))));
}

// P2: what shared caches heed is taken away or contradicted; what browsers heed stays.
#[test]
fn an_answer_to_a_person_is_private_whatever_the_app_says() {
    for (said, told) in [
        (&[][..], "private"),
        (&["max-age=60"], "private, max-age=60"),
        (&["no-cache"], "private, no-cache"),
        (&["public, max-age=60"], "private, max-age=60"),
        (&["Public", "S-MaxAge=5 , immutable"], "private, immutable"),
        (&["private, s-maxage=60"], "private"),
        (&["no-store, public"], "private, no-store"),
        (
            &["private=\"Set-Cookie, X-A\", max-age=1"],
            "private, max-age=1",
        ),
        (
            &["no-cache=\"a, private\""],
            "private, no-cache=\"a, private\"",
        ),
        (
            &["x=\"a\\\", private\", max-age=1"],
            "private, x=\"a\\\", private\", max-age=1",
        ),
        (&["x=\"a, public"], "private, x=\"a, public"),
        (&[", ,public,"], "private"),
        (&["x=\"a", "private"], "private, x=\"a"),
        (
            &["no-store, no-cache=\"a\", public"],
            "private, no-store, no-cache=\"a\"",
        ),
        (&["no-store"], "no-store"),
        (&["Private, max-age=5"], "Private, max-age=5"),
        (&["max-age=5", "private"], "max-age=5|private"),
    ] {
        let lines: Vec<_> = said.iter().map(|line| ("cache-control", *line)).collect();
        let mut headers = fields(&lines);
        make_private(&mut headers);
        let told: Vec<_> = told
            .split('|')
            .map(|line| format!("cache-control: {line}"))
            .collect();
        assert_eq!(left(&headers), told, "{said:?}");
    }
    let mut targeted = fields(&[
        ("surrogate-control", "max-age=60"),
        ("cdn-cache-control", "max-age=60"),
        ("some-new-cdn-cache-control", "max-age=60"),
        ("x-accel-expires", "60"),
        ("cache-control", "no-store"),
    ]);
    make_private(&mut targeted);
    assert_eq!(left(&targeted), ["cache-control: no-store"]);
}

proptest! {
    // C27: whatever a claim holds becomes one line of visible ASCII that decodes to it again.
    #[test]
    fn any_claim_becomes_one_line_that_decodes_to_it(subject in any::<String>()) {
        prop_assume!(!subject.is_empty() && subject.len() < 1000);
        let mut headers = HeaderMap::new();
        let rules = [rule(IdentityField::Subject, Qualification::Plain)];
        identity::set(&mut headers, &session(&subject, &[]), &rules).unwrap();
        prop_assert_eq!(headers.len(), 1);
        let value = headers.get("x-me").unwrap().as_bytes();
        prop_assert!(value.iter().all(|byte| (0x20..0x7f).contains(byte)));
        prop_assert!(value.first() != Some(&b' ') && value.last() != Some(&b' '));
        let mut decoded = Vec::new();
        let mut bytes = value.iter();
        while let Some(&byte) = bytes.next() {
            if byte == b'%' {
                let pair = [*bytes.next().unwrap(), *bytes.next().unwrap()];
                let text = std::str::from_utf8(&pair).unwrap();
                decoded.push(u8::from_str_radix(text, 16).unwrap());
            } else {
                decoded.push(byte);
            }
        }
        prop_assert_eq!(decoded, subject.into_bytes());
    }

    // F12: our cookies go, their neighbours stay byte for byte and in order.
    #[test]
    fn neighbours_of_our_cookies_stay_as_they_are(
        pieces in prop::collection::vec(("[ ]?[a-zA-Z_=\"%]{1,12}", any::<bool>()), 1..8),
    ) {
        let names = names();
        let own = [names.session().to_owned(), names.part(1), names.login("a-state")];
        let ours = |at: usize| format!(" {}=sealed-value", own[at % own.len()]);
        let line: Vec<String> = pieces
            .iter()
            .enumerate()
            .flat_map(|(at, (piece, follow))| {
                let mut both = vec![piece.clone()];
                both.extend(follow.then(|| ours(at)));
                both
            })
            .collect();
        let kept: Vec<&str> = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_str(&line.join(";")).unwrap());
        OwnCookies::new(names).leave_request(&mut headers);
        let passed = headers.get("cookie").map(|value| value.to_str().unwrap().to_owned());
        // A space before the very first cookie means nothing, and may go.
        prop_assert_eq!(
            passed.unwrap_or_default().trim_start().to_owned(),
            kept.join(";").trim_start().to_owned()
        );
    }
}

// F12, F13: nothing is left of a line that was ours alone; the app sets no cookie of ours.
#[test]
fn our_cookies_neither_reach_the_app_nor_come_from_it() {
    let names = names();
    let own = names.session().to_owned();
    let cookies = OwnCookies::new(names.clone());
    let mut request = fields(&[("cookie", &format!("{own}=x; {}=y", names.part(1)))]);
    cookies.leave_request(&mut request);
    assert!(request.is_empty());
    let mut answer = fields(&[
        ("set-cookie", &format!("{own}=planted; Path=/")),
        ("set-cookie", "app=1; Domain=test"),
        ("set-cookie", &format!(" {} ; Max-Age=0", names.login("s"))),
        ("set-cookie", "other=2"),
    ]);
    cookies.stay_ours(&mut answer);
    assert_eq!(
        left(&answer),
        ["set-cookie: app=1; Domain=test", "set-cookie: other=2"]
    );
}
