//! Gates that share sessions, at a provider that others wrote: one renewal for all, and a logout that
//! the provider tells one of them is heard by all, open connections included.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::SCOPES;
use super::renewal::{LIFETIME, status};
use crate::stores::Kept;
use crate::stores::renewal::{await_renewed, until};
use crate::support::browser::Browser;
use crate::support::foreign::{Make, SomeProvider, at};
use crate::support::instance::{Instance, PUBLIC};
use crate::support::raw::Wire;
use crate::support::upstream::Upstream;

/// What gates can share.
const SHARED: [&str; 2] = ["redis", "cookie with redis"];
/// What one gate keeps for itself, and what says that it is the only one.
const ALONE: [(&str, &str); 3] = [
    ("memory", ""),
    ("disk", ""),
    ("cookie", ", single_instance: true"),
];
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const FIRST_EVENT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nfirst\n\n\r\n";
const ENDED: &str = "the session has ended";
/// What live connections run over.
const CALLS: &str = "routes:\n  - { match: { path: /story.Echo/** }, access: signed_in, upstream: calls }\n  - { access: signed_in, upstream: app }\n";

/// Gates that keep sessions together.
struct Gates {
    provider: SomeProvider,
    all: Vec<Instance>,
    _kept: Kept,
}

impl Gates {
    /// Gates before an app of their own.
    fn start(provider: SomeProvider, word: &'static str, more: &str, how_many: usize) -> Self {
        let text = at(&provider, &Upstream::start().url(), SCOPES, "");
        Self::of(&text, provider, word, more, how_many)
    }

    /// Gates of this configuration, with `more` for its sessions.
    fn of(
        text: &str,
        provider: SomeProvider,
        word: &'static str,
        more: &str,
        how_many: usize,
    ) -> Self {
        let kept = Kept::of(word);
        let (text, clock) = (kept.keeps(text, more), provider.clock());
        let listen = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
        let all: Vec<_> = (0..how_many)
            .map(|_| Instance::start_listening(&text, listen, &clock))
            .collect();
        for gate in &all {
            gate.await_providers();
        }
        provider.tells(&all[0]);
        Self {
            provider,
            all,
            _kept: kept,
        }
    }

    /// Somebody who signed in at the first of them.
    fn signed_in(&self, username: &str) -> Browser {
        let mut browser = Browser::new()
            .resolve(PUBLIC, self.all[0].address)
            .resolve(&self.provider.origin(), self.provider.address());
        let form = self.provider.visit(&mut browser, &format!("{PUBLIC}/"));
        let page = self.provider.sign_in(&mut browser, &form, username);
        assert_eq!(page.answer.status, 200, "{:?}", page.answer);
        browser
    }

    /// The same browser before each of them.
    fn before_each(&self, browser: &Browser) -> Vec<Browser> {
        let at = |gate: &Instance| browser.clone().resolve(PUBLIC, gate.address);
        self.all.iter().map(at).collect()
    }
}

/// Ends the person's session at the provider, which tells the first gate before it answers.
fn sign_out_there(provider: &SomeProvider, browser: &mut Browser) {
    let page = browser.visit(&format!("{}/session/end", provider.origin()));
    drop(provider.sign_out(browser, page));
}

// E8: 150 requests at three gates on a token that has ended are one call of the provider.
#[test]
fn requests_at_three_gates_are_one_renewal_at_oidc_provider() {
    for word in SHARED {
        let provider = SomeProvider::renewing(Make::OidcProvider, LIFETIME);
        let gates = Gates::start(provider, word, "", 3);
        let alice = gates.signed_in("alice");
        let each = gates.before_each(&alice);
        gates.all[0]
            .clock
            .advance(Duration::from_secs(LIFETIME + 1));
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..150)
                .map(|number| {
                    let mut browser = each[number % 3].clone();
                    scope.spawn(move || status(&mut browser, "/x"))
                })
                .collect();
            for one in asked {
                assert_eq!(one.join().unwrap(), 200, "{word}");
            }
        });
        for browser in &each {
            await_renewed(browser);
        }
        let calls = gates.provider.token_calls("refresh_token");
        assert_eq!(calls, 1, "{word}");
    }
}

/// G6, G8, G9: what the provider says by its own call ends a session at all gates within a second, and
/// nobody else's; and it says so once.
fn ended_by_the_provider(word: &'static str, more: &str, how_many: usize, by: &Value) {
    let provider = SomeProvider::start(Make::OidcProvider, by);
    let gates = Gates::start(provider, word, more, how_many);
    let (mut alice, bob) = (gates.signed_in("alice"), gates.signed_in("bob"));
    for browser in gates.before_each(&alice) {
        assert_eq!(status(&mut browser.clone(), "/x"), 200, "{word}");
    }
    gates.all[0].clock.advance(Duration::from_secs(1));
    sign_out_there(&gates.provider, &mut alice);
    let begun = Instant::now();
    let sent = gates.provider.logouts();
    assert_eq!(sent.len(), 1, "{word}");
    assert_eq!(sent[0].1, 200, "{word}: {}", gates.all[0].log());
    for browser in gates.before_each(&alice) {
        until("it was not heard of", || {
            status(&mut browser.clone(), "/x") == 401
        });
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{word}");
    // Whoever has the token can do nothing with it, not even to the person that it names.
    gates.all[0].clock.advance(Duration::from_secs(1));
    let again = gates.signed_in("alice");
    for gate in &gates.all {
        assert_eq!(crate::backchannel::logout(gate, &sent[0].0).status, 400);
    }
    for browser in [&again, &bob] {
        for mut browser in gates.before_each(browser) {
            assert_eq!(status(&mut browser, "/x"), 200, "{word}");
        }
    }
}

#[test]
fn a_logout_at_oidc_provider_ends_the_session_at_three_gates() {
    for word in SHARED {
        ended_by_the_provider(word, "", 3, &json!({}));
        ended_by_the_provider(word, "", 3, &json!({ "LOGOUT": "subject" }));
    }
}

#[test]
fn a_logout_at_oidc_provider_ends_the_session_of_a_gate_by_itself() {
    for (word, more) in ALONE {
        ended_by_the_provider(word, more, 1, &json!({}));
        ended_by_the_provider(word, more, 1, &json!({ "LOGOUT": "subject" }));
    }
}

/// An app with an event stream and a WebSocket, neither of which ends by itself.
fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let asked = String::from_utf8_lossy(&head);
                let answer = match asked.split(' ').nth(1) {
                    Some("/socket") => SWITCHES,
                    Some("/events") => FIRST_EVENT,
                    _ => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
                };
                stream.write_all(answer.as_bytes()).unwrap();
                if answer == SWITCHES || answer == FIRST_EVENT {
                    // Until the gate hangs up.
                    drop(stream.read_to_end(&mut Vec::new()));
                }
            });
        }
    });
    url
}

/// An exchange of hers, so far as its answer has begun.
fn opened(gate: &Instance, cookie: &str, path: &str, fields: &str) -> Wire {
    let mut wire = Wire::connect(gate.address);
    wire.send(format!(
        "GET {path} HTTP/1.1\r\nHost: gate.test\r\nOrigin: {PUBLIC}\r\nCookie: {cookie}\r\n{fields}\r\n"
    ));
    drop(wire.head().unwrap());
    wire
}

// G13: a logout that the provider tells one gate closes what is open at another, each in its own words.
#[test]
fn a_logout_at_oidc_provider_closes_what_is_open_at_another_gate() {
    let calls = crate::grpc::App::start();
    let upstreams = format!(
        "app: {}, calls: \"h2c://127.0.0.1:{}\"",
        endless(),
        calls.port
    );
    for word in SHARED {
        let provider = SomeProvider::start(Make::OidcProvider, &Value::Null);
        let text = at(&provider, "APP", SCOPES, CALLS).replace("app: APP", &upstreams);
        let gates = Gates::of(&text, provider, word, "", 2);
        let mut alice = gates.signed_in("alice");
        let (cookie, far) = (alice.cookie_field(&PUBLIC.parse().unwrap()), &gates.all[1]);
        let mut events = opened(far, &cookie, "/events", "");
        let mut socket = opened(far, &cookie, "/socket", UPGRADE);
        let mut called = crate::grpc::waiting(far, &cookie);
        let mut said = BufReader::new(called.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "open x", "{word}");
        gates.all[0].clock.advance(Duration::from_secs(1));
        sign_out_there(&gates.provider, &mut alice);
        let begun = Instant::now();
        let told = socket.exactly(2 + 2 + ENDED.len());
        assert_eq!(told[..4], [0x88, 23, 0x03, 0xF0], "{word}: 1008");
        assert_eq!(told[4..], *ENDED.as_bytes(), "{word}");
        let mut seen = Vec::new();
        while !seen.ends_with(b"0\r\n\r\n") {
            seen.extend(events.some());
        }
        let last = said.next().unwrap().unwrap();
        assert_eq!(last, format!("UNAUTHENTICATED {ENDED}"), "{word}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{word}");
        assert!(called.wait().unwrap().success());
    }
}
