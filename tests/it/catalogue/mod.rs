//! Every error has its code, its answer and its reference, and the log line with that reference
//! tells the whole reason. One table: how it is provoked, what is answered, what the log says.

mod logins;
mod requests;
mod upstreams;

use std::net::TcpListener;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::browser::{Browser, Cookies};
use crate::support::instance::{
    Instance, KEY, PUBLIC, World, key_file, register, secret_file, yaml,
};
use crate::support::provider::{Fault, IdTokenFault, TestProvider};
use crate::support::raw::{Answer, exchange};
use crate::support::upstream::Upstream;

use sidegate::demo::provider::Endpoint;

/// One way to an error: its code and status, what the log's detail holds, and how to get there.
#[derive(Clone)]
struct Row {
    code: &'static str,
    status: u16,
    detail: &'static [&'static str],
    provoke: fn() -> (World, Answer),
}

fn row(
    code: &'static str,
    status: u16,
    detail: &'static [&'static str],
    provoke: fn() -> (World, Answer),
) -> Row {
    Row {
        code,
        status,
        detail,
        provoke,
    }
}

/// A login of alice to its end, under these faults of the provider's.
fn login(world: World, faults: Vec<Fault>) -> (World, Answer) {
    for fault in faults {
        world.provider.add_fault(fault);
    }
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/"));
    let answer = browser.sign_in(&form, "alice").answer;
    (world, answer)
}

fn bad_token(fault: IdTokenFault) -> (World, Answer) {
    login(World::start(), vec![Fault::IdToken(fault)])
}

fn claim(name: &'static str, value: impl Into<Value>) -> Fault {
    Fault::Claim(name, Some(value.into()))
}

/// A login that has begun, and the `state` of its request.
fn begun(world: &World) -> (Browser, String) {
    let mut browser = world.browser();
    let answer = browser.open(&format!("{PUBLIC}/deep?q=1"));
    let url = url::Url::parse(answer.location()).unwrap();
    let mut pairs = url.query_pairs();
    let state = pairs.find(|(name, _)| name == "state").unwrap().1;
    (browser, state.into_owned())
}

fn callback(pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("{PUBLIC}/oauth2/callback?{query}")
}

/// What the provider sends the browser back with, to a login that has begun.
fn sent_back(pairs: &[(&str, &str)]) -> (World, Answer) {
    let world = World::start();
    let (mut browser, state) = begun(&world);
    let pairs = [pairs, &[("state", state.as_str())]].concat();
    let answer = browser.open(&callback(&pairs));
    (world, answer)
}

/// The answer to these bytes, which are the whole request but for `Connection: close`.
fn bytes(world: World, request: &str) -> (World, Answer) {
    let (line, rest) = request.split_once("\r\n").unwrap_or((request, ""));
    let request = format!("{line}\r\nConnection: close\r\n{rest}\r\n\r\n");
    let answer = exchange(world.gate.address, request);
    (world, answer)
}

fn from_host(target: &str, more: &str) -> (World, Answer) {
    bytes(
        World::start(),
        &format!("GET {target} HTTP/1.1\r\nHost: gate.test{more}"),
    )
}

fn open(world: World, path: &str) -> (World, Answer) {
    let answer = world.browser().open(&format!("{PUBLIC}{path}"));
    (world, answer)
}

fn signed_in_at(world: World, path: &str) -> (World, Answer) {
    let answer = world.signed_in("alice").open(&format!("{PUBLIC}{path}"));
    (world, answer)
}

/// A guarded route beside an open one, so that a login can end on a page.
fn guarded(access: &str) -> World {
    World::with(&format!(
        "routes:\n  - {{ name: cellar, match: {{ path: /cellar }}, access: {{ {access} }} }}\n  - {{ access: signed_in }}"
    ))
}

/// The lines of the log with this reference that say what went wrong.
fn lines(world: &World, reference: &str) -> Vec<Value> {
    world
        .gate
        .logged(reference)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["reference"] == reference && line.get("reason").is_some())
        .collect()
}

// T9, T5: each code by its own way, over sockets: status, code, reference, and why, in the log.
fn hold(rows: Vec<Row>) {
    for Row {
        code,
        status,
        detail,
        provoke,
    } in rows
    {
        let (world, answer) = provoke();
        let body = answer.text();
        assert_eq!(answer.status, status, "{code}: {body}");
        let reference = answer.field("x-request-id").unwrap_or_default().to_owned();
        assert_eq!(reference.len(), 9, "{code}: {answer:?}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{code}");
        match answer.field("content-type") {
            Some("application/problem+json") => {
                assert_eq!(answer.json()["code"], code);
                assert_eq!(answer.json()["reference"], reference, "{code}");
                assert_eq!(answer.json()["status"], status, "{code}");
            }
            Some("text/html; charset=utf-8") => {
                assert!(
                    body.contains(&format!("<code>{code}</code>")),
                    "{code}: {body}"
                );
                assert!(
                    body.contains(&format!("<code>{reference}</code>")),
                    "{code}: {body}"
                );
            }
            other => panic!("{code}: {other:?}"),
        }
        let lines = lines(&world, &reference);
        assert!(!lines.is_empty(), "{code}: {}", world.gate.log());
        for line in lines {
            assert_eq!(line["reason"], code, "{line}");
            for word in detail {
                let told = line["detail"].as_str().unwrap_or_default();
                assert!(told.contains(word), "{code}: `{word}` is not in {line}");
            }
        }
        // What the log says is for the operator alone.
        for word in detail.iter().filter(|word| word.contains('`')) {
            assert!(!body.contains(word), "{code}: {body}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_has_its_code_and_its_log_line() {
    hold(requests::of_requests());
}

#[test]
fn what_is_wrong_with_a_login_has_its_code_and_its_log_line() {
    hold(logins::of_logins());
}

#[test]
fn what_is_wrong_with_the_app_has_its_code_and_its_log_line() {
    hold(upstreams::of_upstreams());
}

#[test]
fn every_code_that_a_person_meets_is_in_the_table() {
    let rows = [
        requests::of_requests(),
        logins::of_logins(),
        upstreams::of_upstreams(),
    ]
    .concat();
    let provoked: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.code).collect();
    for code in [
        "state_missing",
        "state_expired",
        "provider_error",
        "code_exchange_failed",
        "redirect_mismatch",
        "token_invalid",
        "issuer_mismatch",
        "nonce_mismatch",
        "clock_skew",
        "email_missing",
        "email_unverified",
        "domain_denied",
        "group_denied",
        "groups_incomplete",
        "cookie_too_large",
        "upstream_connect",
        "upstream_timeout",
        "header_too_large",
        "csrf_post_replay",
    ] {
        assert!(provoked.contains(code), "{code}");
    }
}
