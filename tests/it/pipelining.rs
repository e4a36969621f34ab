//! Several requests on one connection: each is judged by itself, in order, and nothing that failed to
//! become something else is taken for it.

use crate::support::browser::Browser;
use crate::support::instance::World;
use crate::support::raw::Wire;
use crate::support::upstream::Upstream;

const ROUTES: &str =
    "routes:\n  - { match: { path: /open/** }, access: public }\n  - { access: signed_in }";

fn cookie(browser: &Browser) -> String {
    let own = browser.jar.iter().filter(|one| one.host == "gate.test");
    let pairs: Vec<_> = own
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    pairs.join("; ")
}

/// The status and text of each answer to GET, interim answers left out, until the connection ends.
fn answers(wire: &mut Wire) -> Vec<(u16, String)> {
    let mut all = Vec::new();
    while let Some(answer) = wire.answer_to("GET") {
        all.push((answer.status, answer.text()));
    }
    all
}

// L10: a hundred requests at once are answered in order, each by itself: a session on one of them is
// none on the next.
#[test]
fn a_hundred_requests_at_once_are_judged_one_by_one() {
    let world = World::with(ROUTES);
    let session = cookie(&world.signed_in("alice"));
    world.app.forget();
    let request = |at: usize| {
        let (path, cookie) = match at % 4 {
            0 => ("shut", format!("Cookie: {session}\r\n")),
            1 => ("shut", String::new()),
            2 => ("open", String::new()),
            _ => ("shut", "Cookie: __Host-sidegate=forged\r\n".to_owned()),
        };
        let last = if at == 99 {
            "Connection: close\r\n"
        } else {
            ""
        };
        format!("GET /{path}/{at} HTTP/1.1\r\nHost: gate.test\r\n{cookie}{last}\r\n")
    };
    let all: String = (0..100).map(request).collect();
    let mut wire = Wire::connect(world.gate.address);
    wire.send(all);
    let answers = answers(&mut wire);
    assert_eq!(answers.len(), 100);
    for (at, (status, text)) in answers.iter().enumerate() {
        match at % 4 {
            0 => assert!(text.contains(&format!("/shut/{at} ")), "{at}: {text}"),
            2 => assert!(text.contains(&format!("/open/{at} ")), "{at}: {text}"),
            _ => assert_eq!(*status, 401, "{at}"),
        }
    }
    assert_eq!(world.app.arrived().len(), 50);
}

// L8, N3: what asks for another protocol and does not get it stays HTTP: what follows is a request
// like any other, judged by the gate, whatever the app says.
#[test]
fn an_upgrade_that_fails_lets_nothing_pass() {
    let websocket = "Origin: https://gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for (status, fields) in [
        (200, "Connection: Upgrade\r\nUpgrade: foo\r\n"),
        (
            200,
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        (200, "Upgrade: websocket\r\n"),
        (200, websocket),
        (426, &websocket.replace(": 13", ": 7")),
        (403, websocket),
    ] {
        let app = Upstream::answering(move |_| {
            format!("HTTP/1.1 {status} Word\r\nContent-Length: 3\r\n\r\nyes").into_bytes()
        });
        let world = World::before(app, ROUTES);
        let second = "GET /shut/second HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "GET /open/first HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n{second}"
        ));
        let answers = answers(&mut wire);
        assert_eq!(answers[0], (status, "yes".to_owned()), "{fields}");
        // Either it is a request, and judged, or the connection is over.
        assert!(
            answers[1..].iter().all(|(status, _)| *status == 401),
            "{fields}"
        );
        let arrived = world.app.arrived();
        assert_eq!(arrived.len(), 1, "{fields}");
        assert!(arrived[0].body().is_empty(), "{fields}");
        if fields != websocket {
            let passed = arrived[0].fields("Upgrade");
            assert!(
                passed.is_empty() || fields.contains("WebSocket-Key"),
                "{passed:?}"
            );
        }
    }
}

// L7: a body is invited once, and only by a gate that will take it; an expectation that nobody knows
// invites nothing, and changes nothing about where the request ends.
#[test]
fn a_body_is_invited_once_and_only_where_it_is_taken() {
    let world = World::with(ROUTES);
    for (expects, invited) in [
        ("Expect: 100-continue", true),
        ("Expect: 100-Continue", true),
        ("Expect: x-invalid", false),
        ("Expect: 100-continue, x-invalid", false),
        ("Expect: 100-continue\r\nExpect: 100-continue", true),
        ("X: y", false),
    ] {
        let head = |path: &str, framing: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: gate.test\r\n{expects}\r\n{framing}\r\n\r\n")
        };
        for (framing, body) in [
            ("Content-Length: 5", "hello"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            // Taken: who waits is invited before anything is sent.
            world.app.forget();
            let mut wire = Wire::connect(world.gate.address);
            wire.send(head("/open/x", framing));
            if invited {
                assert_eq!(wire.head().unwrap().status, 100, "{expects}");
            }
            wire.send(body);
            let answer = wire.answer_to("POST").expect("an answer");
            assert_eq!(answer.status, 200, "{expects}: once");
            assert!(world.app.last().text().contains("hello"), "{expects}");
            assert_eq!(world.app.arrived().len(), 1);

            // Refused: no word but the refusal, and what comes all the same is no request.
            world.app.forget();
            let mut wire = Wire::connect(world.gate.address);
            wire.send(head("/shut/x", framing));
            assert_eq!(wire.answer_to("POST").unwrap().status, 401, "{expects}");
            wire.try_send(body);
            wire.try_send(
                "GET /open/second HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n",
            );
            for (status, _) in answers(&mut wire) {
                assert_eq!(status, 200, "{expects}: the second request, or nothing");
            }
            for one in world.app.arrived() {
                assert_eq!(one.request_line(), "GET /open/second HTTP/1.1", "{expects}");
            }
        }
    }
}
