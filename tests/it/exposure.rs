//! An app that can be reached around the gate: the gate says so, or does not run.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::support::instance::{Instance, key_file, secret_file, yaml};
use crate::support::process::Running;
use crate::support::raw::exchange;

/// A running gate, and where its probes are answered.
struct Gate {
    process: Running,
    probes: SocketAddr,
    /// The lines up to the one that says where it listens.
    first: Vec<String>,
    _folder: TempDir,
}

impl Gate {
    /// Runs the binary before the app at 127.0.0.1 and this port; `Err` is what it said, where it
    /// ended with status 1 instead.
    fn start(port: u16, more: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "public_url: https://gate.test\nproviders:\n  - issuer: https://127.0.0.1:1\n    client_id: dashboards\n    client_secret: {{ file: {} }}\nsession: {{ keys: [{{ file: {} }}] }}\nupstreams: {{ app: {{ url: \"http://127.0.0.1:{port}\"{more} }} }}\nlisten: [\"127.0.0.1:0\"]\nprobes: {{ address: 127.0.0.1:0 }}\n",
            secret_file(),
            key_file()
        );
        std::fs::write(folder.path().join("sidegate.yaml"), yaml).unwrap();
        let mut process = Running::start(
            Command::new(env!("CARGO_BIN_EXE_sidegate"))
                .arg("run")
                .current_dir(folder.path())
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null()),
        );
        let mut first = Vec::new();
        while let Some(line) = process.line() {
            let fields: Value = serde_json::from_str(&line).unwrap();
            first.push(line);
            if let Some(probes) = fields["probes"].as_str() {
                return Ok(Self {
                    probes: probes.parse().unwrap(),
                    process,
                    first,
                    _folder: folder,
                });
            }
        }
        assert_eq!(process.ended().0, Some(1));
        Err(first.join("\n"))
    }

    /// What `/status` says about the app.
    fn status(&self) -> Value {
        let ask = "GET /status HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
        let answer = exchange(self.probes, ask);
        let status: Value = serde_json::from_slice(&answer.body).unwrap();
        status["upstreams"][0].clone()
    }
}

fn app(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// An app that has its address and does not listen on it yet.
fn later(address: &str) -> (Socket, u16) {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

fn is_about(line: &str, port: u16) -> bool {
    let fields: Value = serde_json::from_str(line).unwrap();
    fields["level"] == "warn" && fields["reachable_at"] == format!("0.0.0.0:{port}")
}

#[test]
fn an_app_on_all_addresses_is_warned_of_at_every_start_and_reload_and_in_the_status() {
    let (_app, port) = app("0.0.0.0:0");
    let mut gate = Gate::start(port, "").unwrap();
    let warned = gate.first.iter().find(|line| line.contains("app_exposed"));
    assert!(is_about(warned.expect("a warning"), port), "{warned:?}");
    let status = gate.status();
    assert_eq!(status["name"], "app");
    assert_eq!(status["exposure"], "exposed");
    assert_eq!(status["reachable_at"][0], format!("0.0.0.0:{port}"));
    gate.process.signal("-HUP");
    assert!(is_about(&gate.process.said("app_exposed"), port));
}

#[test]
fn an_app_on_loopback_is_not_warned_of() {
    for more in ["", ", require_private: true"] {
        let (_app, port) = app("127.0.0.1:0");
        let gate = Gate::start(port, more).unwrap();
        assert_eq!(gate.status()["exposure"], "private");
        assert_eq!(gate.status()["reachable_at"], Value::Array(Vec::new()));
        let first = gate.first.join("\n");
        gate.process.signal("-HUP");
        gate.process.signal("-TERM");
        let (code, rest) = gate.process.ended();
        assert_eq!(code, Some(0), "{rest}");
        assert!(!first.contains("app_exposed") && !rest.contains("app_exposed"));
    }
}

// T7: an unsafe combination does not start, and says why.
#[test]
fn an_app_that_must_be_private_and_is_not_keeps_the_gate_from_starting() {
    let (_app, port) = app("0.0.0.0:0");
    let said = Gate::start(port, ", require_private: true").err();
    let said = said.expect("it does not start");
    assert!(said.contains("require_private"), "{said}");
    assert!(said.contains(&format!("0.0.0.0:{port}")), "{said}");
}

#[test]
fn an_app_that_appears_later_is_judged_then() {
    let (app, port) = later("0.0.0.0:0");
    let mut gate = Gate::start(port, "").unwrap();
    assert_eq!(gate.status()["exposure"], "absent");
    app.listen(1).unwrap();
    assert!(is_about(&gate.process.said("app_exposed"), port));
    assert_eq!(gate.status()["exposure"], "exposed");
}

#[test]
fn an_app_that_appears_later_and_must_be_private_ends_the_gate_when_it_is_not() {
    let (app, port) = later("0.0.0.0:0");
    let mut gate = Gate::start(port, ", require_private: true").unwrap();
    assert_eq!(gate.status()["exposure"], "absent");
    app.listen(1).unwrap();
    // What is said of it is no warning that it goes on with.
    let said = gate.process.said(&format!("0.0.0.0:{port}"));
    assert!(said.contains("require_private"), "{said}");
    assert_eq!(gate.process.ended().0, Some(1));
}

// T8: what is refused changes nothing.
#[test]
fn a_reload_that_demands_a_private_app_is_refused_while_it_is_not() {
    let clock = sidegate::base::clock::Clock::system();
    let written = |port: u16, more: &str| {
        let app = format!("{{ url: \"http://127.0.0.1:{port}\"{more} }}");
        yaml("https://127.0.0.1:1", &app, "")
    };
    let (_app, port) = app("0.0.0.0:0");
    let gate = Instance::start(&written(port, ""), &clock);
    let before = gate.shared.current.load_full();
    let refused = gate.reload(&written(port, ", require_private: true"));
    let refused = refused.expect_err("it is refused");
    assert!(refused.contains("require_private"), "{refused}");
    let now = gate.shared.current.load_full();
    assert!(std::sync::Arc::ptr_eq(&before, &now));
    let (_other, other) = app("127.0.0.1:0");
    gate.reload(&written(other, ", require_private: true"))
        .unwrap();
}
