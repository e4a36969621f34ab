//! gRPC end to end, with a client and an app that others wrote.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, yaml};

fn python() -> Command {
    let python = std::env::var_os("SIDEGATE_TEST_PYTHON").expect(
        "SIDEGATE_TEST_PYTHON must name the python of a virtual environment with \
         tests/it/support/foreign_client/requirements.txt installed",
    );
    let mut command = Command::new(python);
    command.arg(script());
    command
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/grpc/story.py")
}

/// The app; it ends when it is dropped.
pub(crate) struct App {
    child: Child,
    pub(crate) port: u16,
}

impl App {
    pub(crate) fn start() -> Self {
        let mut child = python()
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("SIDEGATE_TEST_PYTHON does not start");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the app says its port");
        Self { child, port }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

fn cookie(browser: &Browser) -> String {
    let pairs: Vec<_> = browser
        .jar
        .iter()
        .filter(|one| one.host == "gate.test")
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    pairs.join("; ")
}

/// A client that waits for the end of a stream, and says on its output how that came.
pub(crate) fn waiting(gate: &Instance, cookie: &str) -> Child {
    let mut command = python();
    command.args(["wait", &gate.address.to_string(), cookie]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

// J1, J5: all kinds of calls, their metadata and their ends pass; who asks is told by the gate alone.
#[test]
fn calls_of_all_kinds_pass_with_their_metadata_and_their_ends() {
    let app = App::start();
    let listen = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
    let world = World::listening(listen, "");
    let alice = world.signed_in("alice");
    let url = format!("h2c://127.0.0.1:{}", app.port);
    let text = yaml(world.provider.issuer(), &url, "");
    world.gate.reload(&text).unwrap();
    let run = python()
        .args(["call", &world.gate.address.to_string(), &cookie(&alice)])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(
        run.status.success() && out.ends_with("done\n"),
        "{out}{err}"
    );
}

// G13: a stream ends with its session, with a status that says so, and the app hears of it.
#[test]
fn a_stream_ends_with_its_session_and_says_so() {
    let app = App::start();
    let listen = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
    let world = World::listening(listen, "");
    let mut alice = world.signed_in("alice");
    let url = format!("h2c://127.0.0.1:{}", app.port);
    let text = yaml(world.provider.issuer(), &url, "");
    world.gate.reload(&text).unwrap();
    let mut waiting = waiting(&world.gate, &cookie(&alice));
    let mut said = BufReader::new(waiting.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "open x");
    let out = format!("{PUBLIC}/oauth2/sign_out");
    assert_eq!(alice.submit(&out, PUBLIC, "").status, 303);
    let ended = said.next().unwrap().unwrap();
    assert_eq!(ended, "UNAUTHENTICATED the session has ended");
    assert!(waiting.wait().unwrap().success());
}
