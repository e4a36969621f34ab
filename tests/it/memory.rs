//! What attackers and slow people may hold of the gate's memory: a bounded part, given back.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::own_process::OwnProcess;
use crate::support::raw::{Wire, try_exchange};
use crate::support::upstream::Upstream;

const MIB: u64 = 1024;

/// How much larger the process is after `act` than before; `act` has run once before that, so that
/// what is needed once is there.
fn growth<T>(gate: &OwnProcess, mut act: impl FnMut() -> T) -> u64 {
    drop(act());
    let before = gate.resident();
    let _held = act();
    gate.resident().saturating_sub(before)
}

/// An app that answers without end and reads nothing.
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
                let begin = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
                let mut ok = stream.write_all(begin.as_bytes()).is_ok();
                let piece = vec![b'x'; 64 * 1024];
                while ok {
                    ok = stream.write_all(&piece).is_ok();
                }
            });
        }
    });
    url
}

// Q2: of an answer that nobody reads the gate holds little, and no more as time goes on.
#[test]
fn who_does_not_read_holds_little() {
    let gate = OwnProcess::before(&endless(), "");
    let grown = growth(&gate, || {
        let wires = (0..50).map(|_| {
            let mut wire = Wire::connect(gate.address);
            wire.send("GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n");
            assert_eq!(wire.head().unwrap().status, 200);
            wire
        });
        wires.collect::<Vec<_>>()
    });
    assert!(grown < 16 * MIB, "{grown} KiB for 50 who do not read");
}

// Q2: nor does who sends next to nothing of a body, or of a head.
#[test]
fn who_sends_drop_by_drop_holds_little() {
    let app = Upstream::start();
    let gate = OwnProcess::before(&app.url(), "");
    for begun in [
        "POST /x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000000000\r\n\r\nx",
        "GET /x HTTP/1.1\r\nHost: gate.test\r\nX-Long: x",
    ] {
        let grown = growth(&gate, || {
            let wires = (0..100).map(|_| {
                let mut wire = Wire::connect(gate.address);
                wire.send(begun);
                wire
            });
            wires.collect::<Vec<_>>()
        });
        assert!(grown < 16 * MIB, "{grown} KiB for 100 that say {begun:?}");
    }
}

// Q2: of a head that is not whole the gate holds what came of it, and no buffers.
#[test]
fn who_does_not_end_a_head_holds_what_was_sent() {
    let app = Upstream::start();
    let gate = OwnProcess::before(&app.url(), "");
    let grown = growth(&gate, || {
        let wires = (0..400).map(|_| {
            let mut wire = Wire::connect(gate.address);
            wire.send("GET /x HTTP/1.1\r\nHost: gate.test\r\nX-Long: x");
            wire
        });
        let wires = wires.collect::<Vec<_>>();
        // Every one of them was read when a later one is answered by the same worker: the workers
        // take turns.
        for _ in 0..64 {
            let answer = try_exchange(gate.address, "GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n");
            assert_eq!(answer.unwrap().status, 200);
        }
        wires
    });
    assert!(
        grown < 3 * MIB,
        "{grown} KiB for 400 that do not end a head"
    );
}

// Q4: heads as large as can be are refused fast and held by nobody.
#[test]
fn heads_that_are_too_large_leave_nothing() {
    let app = Upstream::start();
    let gate = OwnProcess::before(&app.url(), "");
    let bombs = [
        format!(
            "GET /x HTTP/1.1\r\nHost: gate.test\r\nX: {}\r\n\r\n",
            "x".repeat(1 << 20)
        ),
        format!(
            "GET /x HTTP/1.1\r\nHost: gate.test\r\n{}\r\n",
            "X: y\r\n".repeat(10_000)
        ),
        format!(
            "GET /{} HTTP/1.1\r\nHost: gate.test\r\n\r\n",
            "x".repeat(64 * 1024)
        ),
        format!(
            "GET /x HTTP/1.1\r\nHost: gate.test\r\nCookie: {}\r\n\r\n",
            "a=b; ".repeat(14_000)
        ),
    ];
    let grown = growth(&gate, || {
        for bomb in bombs.iter().cycle().take(80) {
            let answer = try_exchange(gate.address, bomb).expect("a refusal");
            assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
        }
    });
    assert!(grown < 8 * MIB, "{grown} KiB after 80 bombs");
    assert!(app.arrived().is_empty());
}

// Q5: a body that nobody asked for is read by nobody: it costs its connection, and no memory.
#[test]
fn a_body_without_a_session_is_not_kept() {
    let app = Upstream::start();
    let gate = OwnProcess::before(&app.url(), "routes: [{ access: signed_in }]");
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let grown = growth(&gate, || {
        for _ in 0..5 {
            let mut wire = Wire::connect(gate.address);
            wire.send("POST /x HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut sent = 0;
            while wire.try_send(&piece) {
                sent += piece.len();
                assert!(sent < 1 << 30, "nobody ends it");
            }
        }
    });
    assert!(grown < 4 * MIB, "{grown} KiB after five bodies without end");
    assert!(app.arrived().is_empty());
}

/// Requests of every kind, with clients that go in the middle of each.
fn mixture(gate: &OwnProcess) {
    for at in 0..600 {
        let mut wire = Wire::connect(gate.address);
        match at % 6 {
            0 | 1 => {
                for _ in 0..5 {
                    wire.send("GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n");
                    assert_eq!(wire.answer_to("GET").unwrap().status, 200);
                }
            }
            2 => {
                let body = "x".repeat(100_000);
                wire.send(format!(
                    "POST /x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 100000\r\n\r\n{body}"
                ));
                assert_eq!(wire.answer_to("POST").unwrap().status, 200);
            }
            3 => {
                wire.send("POST /x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 100000\r\n\r\nx");
            }
            4 => wire.send("GET /x HTTP/1.1\r\nHost: ga"),
            _ => {
                wire.send("GET /oauth2/userinfo HTTP/1.1\r\nHost: gate.test\r\nCookie: __Host-sidegate=x\r\n\r\n");
                assert_eq!(wire.answer_to("GET").unwrap().status, 401);
            }
        }
    }
}

// Q10: over time nothing grows. As many rounds as SIDEGATE_SOAK says, or few.
#[test]
fn nothing_grows_over_time() {
    let app = Upstream::start();
    let gate = OwnProcess::before(&app.url(), "");
    let rounds = std::env::var("SIDEGATE_SOAK").map_or(3, |rounds| rounds.parse().unwrap());
    for _ in 0..2 {
        mixture(&gate);
        app.forget();
    }
    let before = gate.resident();
    for _ in 0..rounds {
        mixture(&gate);
        app.forget();
    }
    let grown = gate.resident().saturating_sub(before);
    assert!(grown < 2 * MIB, "{grown} KiB in {rounds} rounds");
}
