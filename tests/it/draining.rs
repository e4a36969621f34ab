//! Stopping: not ready first, then nothing new, and nothing that was begun is lost.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::own_process::OwnProcess;
use crate::support::raw::{PATIENCE, Wire, exchange};
use crate::support::upstream::Upstream;

const GET: &str = "GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n";

fn ready(probes: SocketAddr) -> bool {
    let ask = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    exchange(probes, ask).status == 200
}

/// Until the process is not ready, which it says at once.
fn until_leaving(gate: &OwnProcess) {
    let late = Instant::now() + PATIENCE;
    while ready(gate.probes) {
        assert!(Instant::now() < late, "it is still ready");
    }
}

// Q9: while whoever sends requests here has not heard yet, they are served as before.
#[test]
fn a_gate_that_leaves_is_not_ready_and_serves_for_the_delay() {
    let app = Upstream::start();
    let mut gate = OwnProcess::before(&app.url(), "limits: { drain_delay: 2s }");
    let mut kept = Wire::connect(gate.address);
    kept.send(GET);
    assert_eq!(kept.answer_to("GET").unwrap().status, 200);
    let told = Instant::now();
    gate.signal("-TERM");
    until_leaving(&gate);
    for wire in [&mut kept, &mut Wire::connect(gate.address)] {
        for _ in 0..2 {
            wire.send(GET);
            let answer = wire.answer_to("GET").unwrap();
            assert_eq!((answer.status, answer.field("connection")), (200, None));
        }
    }
    assert!(kept.is_closed(), "what is idle then is closed");
    assert!(told.elapsed() >= Duration::from_secs(2), "not earlier");
    assert_eq!(gate.ended(), Some(0));
    assert!(TcpStream::connect(gate.address).is_err());
}

/// Asks again and again on one connection as long as it lasts, and on a new one as long as the gate
/// is ready. Gives how many requests were answered; each that was sent must be.
fn ask_on(address: SocketAddr, probes: SocketAddr, answered: &AtomicUsize) {
    while TcpStream::connect(probes).is_ok() && ready(probes) {
        let mut wire = Wire::connect(address);
        loop {
            wire.send(GET);
            let answer = wire.answer_to("GET").expect("a request was lost");
            assert_eq!(answer.status, 200);
            assert!(answer.text().starts_with("the app saw GET /x"));
            answered.fetch_add(1, Ordering::Relaxed);
            if answer.field("connection") == Some("close") {
                break;
            }
        }
        assert!(wire.is_closed());
    }
}

// Q9: of requests under way, on connections old and new, none is lost: the last answer of a
// connection says that it is the last.
#[test]
fn a_stop_under_load_loses_no_request() {
    let app = Upstream::start();
    let mut gate = OwnProcess::before(&app.url(), "limits: { drain_delay: 1s, drain: 20s }");
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, probes, answered) = (gate.address, gate.probes, Arc::clone(&answered));
            std::thread::spawn(move || ask_on(address, probes, &answered))
        })
        .collect();
    let late = Instant::now() + PATIENCE;
    while answered.load(Ordering::Relaxed) < 100 {
        assert!(Instant::now() < late);
        std::thread::yield_now();
    }
    gate.signal("-TERM");
    for client in clients {
        client.join().expect("no request was lost");
    }
    assert_eq!(gate.ended(), Some(0));
}
