//! Too much at once: what there is no room for is told so at once, and who is signed in is served to
//! the last.

use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};
use crate::support::own_process::OwnProcess;
use crate::support::raw::{Answer, PATIENCE, Wire, exchange, try_exchange};
use crate::support::upstream::Upstream;

const STATUS: &str = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const LAST: &str = "GET /x HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
const KEPT: &str = "GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n";

fn until_connections(probes: std::net::SocketAddr, wanted: u64) {
    let late = Instant::now() + PATIENCE;
    while exchange(probes, STATUS).json()["connections"] != wanted {
        assert!(Instant::now() < late, "never {wanted} connections");
    }
}

// Q3: a flood of connections meets a word at once; the probes answer meanwhile, those that are in go
// on, and when it is over there is room again. The process may open 100 descriptors: room for 33.
#[test]
fn a_flood_of_connections_is_turned_away_and_forgotten() {
    let app = Upstream::start();
    let mut gate = OwnProcess::as_limited("ulimit -n 100;", &app.url(), "");
    let mut first = Wire::connect(gate.address);
    let mut flood: Vec<_> = (0..400).map(|_| Wire::connect(gate.address)).collect();
    gate.said("connections were refused");
    assert_eq!(exchange(gate.probes, STATUS).json()["connections"], 33);
    first.send(KEPT);
    assert_eq!(first.answer_to("GET").unwrap().status, 200);
    let refused = flood.last_mut().unwrap();
    // It is closed, with a word where there was a place for one.
    if let Some(answer) = refused.answer_to("GET") {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.field("retry-after"), Some("5"));
    }
    assert!(refused.is_closed());
    drop(flood);
    until_connections(gate.probes, 1);
    assert_eq!(exchange(gate.address, LAST).status, 200);
}

/// Lets the process open so many descriptors from now on.
fn limit_descriptors(gate: &OwnProcess, soft: &str) {
    let pid = gate.pid().to_string();
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={soft}:")])
        .status()
        .unwrap();
    assert!(set.success());
}

// Q3: where the system gives no descriptor, those who are connected are served, who waits is
// accepted once there is one again, and the log hears of it once.
#[test]
fn a_process_without_descriptors_goes_on_and_recovers() {
    let app = Upstream::start();
    let mut gate = OwnProcess::before(&app.url(), "");
    let mut connected = Wire::connect(gate.address);
    connected.send(KEPT);
    assert_eq!(connected.answer_to("GET").unwrap().status, 200);
    limit_descriptors(&gate, "1");
    let mut waiting = Wire::connect(gate.address);
    waiting.send(LAST);
    let said = gate.said("connections were not accepted");
    assert!(said.contains("os error 24"), "{said}");
    connected.send(KEPT);
    assert_eq!(connected.answer_to("GET").unwrap().status, 200);
    limit_descriptors(&gate, "1024");
    assert_eq!(waiting.answer_to("GET").unwrap().status, 200);
    assert_eq!(exchange(gate.probes, STATUS).status, 200);
}

/// An app that keeps what is asked under `/held` until it is told to answer.
fn held() -> (Upstream, Receiver<()>, Sender<()>) {
    let (tell, arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (tell, released) = (Mutex::new(tell), Arc::new(Mutex::new(released)));
    let app = Upstream::answering(move |request| {
        if request.request_line().contains("/held") {
            tell.lock().unwrap().send(()).ok();
            released.lock().unwrap().recv().ok();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    (app, arrived, release)
}

fn cookie(browser: &Browser) -> String {
    let own = browser.jar.iter().filter(|one| one.host == "gate.test");
    let pairs: Vec<_> = own
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    pairs.join("; ")
}

/// A navigation, with or without a session.
fn navigate(world: &World, path: &str, fields: &str) -> Answer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: gate.test\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n{fields}\r\n"
    );
    try_exchange(world.gate.address, request).expect("an answer")
}

// Q3: the last quarter of the room is for those who are signed in; what is new is told to come again,
// and a request too many is, whoever asks. Two workers take four requests each.
#[test]
fn overload_sheds_new_work_while_who_is_signed_in_is_served() {
    let (app, arrived, release) = held();
    let world = World::before(
        app,
        "limits: { requests: 8 }\nroutes:\n  - { match: { path: /open/** }, access: public }\n  - { access: signed_in }",
    );
    let alice = world.signed_in("alice");
    let session = format!("Cookie: {}\r\n", cookie(&alice));
    let mut half_way = world.browser();
    let callback = half_way.reach_callback(&format!("{PUBLIC}/page"), "bob");
    until_connections(world.gate.probes, 0);
    let hold = |until: u64| {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "GET /held HTTP/1.1\r\nHost: gate.test\r\n{session}\r\n"
        ));
        arrived.recv_timeout(PATIENCE).unwrap();
        until_connections(world.gate.probes, until);
        wire
    };
    let mut busy: Vec<_> = (1..=6).map(hold).collect();
    for (path, fields) in [
        ("/page", ""),
        ("/open/x", ""),
        ("/oauth2/start", ""),
        ("/oauth2/sign_in", ""),
        ("/page", "Cookie: __Host-sidegate=forged\r\n"),
    ] {
        let answer = navigate(&world, path, fields);
        assert_eq!(answer.status, 503, "{path} {fields}");
        assert_eq!(answer.field("retry-after"), Some("5"), "{path}");
        assert_eq!(answer.all("set-cookie").count(), 0);
        until_connections(world.gate.probes, 6);
    }
    for path in ["/page", "/open/x", "/oauth2/userinfo"] {
        assert_eq!(navigate(&world, path, &session).status, 200, "{path}");
        until_connections(world.gate.probes, 6);
    }
    // A login that is nearly done is finished.
    let answer = half_way.open(callback.as_str());
    assert!(answer.status == 303 && answer.sets_session(), "{answer:?}");
    until_connections(world.gate.probes, 6);
    world.gate.logged("\"reason\":\"overloaded\"");

    // Each worker's last place is taken: there is none for anybody.
    busy.extend((7..=8).map(hold));
    assert_eq!(navigate(&world, "/page", &session).status, 503);

    for _ in &busy {
        release.send(()).unwrap();
    }
    for wire in &mut busy {
        assert_eq!(wire.answer_to("GET").unwrap().status, 200);
    }
    drop(busy);
    until_connections(world.gate.probes, 0);
    assert_eq!(navigate(&world, "/page", "").status, 302);
}
