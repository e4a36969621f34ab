//! One process after another on the same sockets: nobody notices, and a successor that is no good
//! changes nothing.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::support::own_process::{ANYWHERE, OwnProcess, write_config};
use crate::support::provider::TestProvider;
use crate::support::raw::{PATIENCE, Wire, exchange};
use crate::support::upstream::Upstream;

const GET: &str = "GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n";
const READY: &str = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A process that no test started itself. It is ended when this is dropped.
struct Orphan(String);

impl Drop for Orphan {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-KILL", &self.0]).status());
    }
}

/// The id in a line of the log.
fn pid(line: &str) -> Orphan {
    let (_, rest) = line.split_once("pid").expect("an id");
    let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit());
    Orphan(digits[..end.unwrap_or(digits.len())].to_owned())
}

/// Asks on connections of its own, some requests on each, until it is told to stop.
fn ask_on(address: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let mut wire = Wire::connect(address);
        for _ in 0..5 {
            wire.send(GET);
            let answer = wire.answer_to("GET").expect("a request was lost");
            assert_eq!(answer.status, 200);
            answered.fetch_add(1, Ordering::Relaxed);
            if answer.field("connection") == Some("close") {
                break;
            }
        }
    }
}

fn until(answered: &AtomicUsize, wanted: usize) {
    let late = Instant::now() + PATIENCE;
    while answered.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < late, "nothing is answered any more");
        std::thread::yield_now();
    }
}

// Q9: under load, over connections old and new, no request is lost and no connection refused.
#[test]
fn a_successor_takes_over_under_load_and_loses_no_request() {
    let app = Upstream::start();
    let mut gate = OwnProcess::before(&app.url(), "limits: { drain: 20s }");
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::<AtomicUsize>::default(),
    );
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let address = gate.address;
            std::thread::spawn(move || ask_on(address, &stop, &answered))
        })
        .collect();
    until(&answered, 100);
    gate.signal("-USR2");
    let _successor = pid(&gate.said("a successor serves"));
    assert_eq!(gate.ended(), Some(0));
    let so_far = answered.load(Ordering::Relaxed);
    until(&answered, so_far + 200);
    assert_eq!(exchange(gate.probes, READY).status, 200);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no request was lost");
    }
}

// Q9, U2: what only one process has at a time is handed on, too: under load nobody whose session is in a
// file is signed out, or told to come again.
#[test]
fn sessions_on_disk_are_handed_on_under_load() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    let kept = "store: disk, disk: { path: sessions }, ";
    let socket = tempfile::tempdir().unwrap();
    let socket = socket.path().join("admin.sock");
    let admin = format!("admin: {{ address: \"unix:{}\" }}", socket.display());
    let mut gate = OwnProcess::keeping(kept, &admin, provider.issuer(), &app.url());
    let alice = gate.signed_in(&provider, "alice");
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::<AtomicUsize>::default(),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let alice = alice.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut browser = alice.clone();
                    let answer = browser.fetch("GET", "https://gate.test/x", "");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    until(&answered, 50);
    gate.signal("-USR2");
    let _successor = pid(&gate.said("a successor serves"));
    assert_eq!(gate.ended(), Some(0));
    let so_far = answered.load(Ordering::Relaxed);
    until(&answered, so_far + 100);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("nobody was signed out");
    }
    // So is the socket of whoever looks after the gate.
    let ended = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .args(["sessions", "revoke", "--user", "alice"])
        .current_dir(gate.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(said, "1 session is over\n", "{ended:?}");
    assert_eq!(
        alice.clone().fetch("GET", "https://gate.test/x", "").status,
        401
    );
}

// Q9: what was under way is finished by the process that began it.
#[test]
fn a_request_under_way_is_finished_by_the_process_that_began_it() {
    let (tell, arrived) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (tell, released) = (std::sync::Mutex::new(tell), std::sync::Mutex::new(released));
    let app = Upstream::answering(move |request| {
        if request.request_line().contains("/held") {
            tell.lock().unwrap().send(()).ok();
            released.lock().unwrap().recv().ok();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall of it".to_vec()
    });
    let mut gate = OwnProcess::before(&app.url(), "");
    let mut busy = Wire::connect(gate.address);
    busy.send("GET /held HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    arrived.recv_timeout(PATIENCE).unwrap();
    gate.signal("-USR2");
    let _successor = pid(&gate.said("a successor serves"));
    release.send(()).unwrap();
    let answer = busy.answer_to("GET").expect("the answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "all of it"));
    assert!(busy.is_closed());
    assert_eq!(gate.ended(), Some(0));
}

// Q9: the socket's file stays with the process that has the socket, and the next one hands it on.
#[test]
fn a_unix_socket_is_handed_on_with_its_file() {
    let app = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.sock");
    let own = format!(
        "listen: [{{ address: 127.0.0.1:0 }}, \"unix:{}\"]\nprobes: {{ address: 127.0.0.1:0 }}",
        path.display()
    );
    let mut gate = OwnProcess::configured(&app.url(), &own);
    let ask = || {
        use std::io::{Read as _, Write as _};
        let mut stream = UnixStream::connect(&path).unwrap();
        let last = GET.replace("Host", "Connection: close\r\nHost");
        stream.write_all(last.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    ask();
    gate.signal("-USR2");
    let second = pid(&gate.said("a successor serves"));
    assert_eq!(gate.ended(), Some(0));
    ask();
    // The successor has one as well.
    Command::new("kill")
        .args(["-USR2", &second.0])
        .status()
        .unwrap();
    let third = pid(&gate.said("a successor serves"));
    ask();
    Command::new("kill")
        .args(["-TERM", &third.0])
        .status()
        .unwrap();
    gate.said("stopping");
    let late = Instant::now() + PATIENCE;
    while path.exists() {
        assert!(Instant::now() < late, "the last one removes it");
    }
}

// Q9: a successor that does not come to serve is no reason to stop.
#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let app = Upstream::start();
    let mut gate = OwnProcess::before(&app.url(), "");
    let mut wire = Wire::connect(gate.address);
    write_config(
        gate.folder.path(),
        &app.url(),
        &format!("{ANYWHERE}\nlimitz: {{}}"),
    );
    gate.signal("-USR2");
    gate.said("the successor does not serve");
    write_config(gate.folder.path(), &app.url(), ANYWHERE);
    wire.send(GET);
    assert_eq!(wire.answer_to("GET").unwrap().status, 200);
    assert_eq!(exchange(gate.probes, READY).status, 200);
    gate.signal("-USR2");
    let _successor = pid(&gate.said("a successor serves"));
    assert_eq!(gate.ended(), Some(0));
    assert_eq!(exchange(gate.probes, READY).status, 200);
}
