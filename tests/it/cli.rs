//! The binary itself: what it says, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, mpsc};

use crate::support::instance::{KEY, SECRET};
use crate::support::raw::{PATIENCE, Wire, exchange};
use crate::support::upstream::Upstream;

/// The binary, without anything of this process's environment.
fn sidegate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
    command.args(arguments).current_dir(folder).env_clear();
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = sidegate(folder, arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn secret(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, format!("{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// A configuration in `folder` with its secrets beside it.
fn write_config(folder: &Path, lines: &str, mode: u32) {
    secret(folder, "client-secret", SECRET, mode);
    secret(folder, "session-key", KEY, mode);
    let text = format!(
        "public_url: https://gate.test\nproviders:\n  - issuer: https://id.test\n    client_id: dashboards\n    client_secret: {{ file: {0}/client-secret }}\nsession: {{ keys: [{{ file: {0}/session-key }}] }}\nupstreams: {{ app: http://127.0.0.1:1 }}\n{lines}",
        folder.display()
    );
    std::fs::write(folder.join("sidegate.yaml"), text).unwrap();
}

/// A process that is stopped with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    fn terminate(self) -> Option<i32> {
        self.tell_to_stop();
        self.end()
    }

    fn tell_to_stop(&self) {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
    }

    fn end(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

// T7: a good file is good, and nothing was started to find that out.
#[test]
fn check_says_that_a_good_file_is_good() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), "", 0o600);
    let (code, out, err) = run(folder.path(), &["check"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("good"), "{out}");
    assert!(!out.contains("warning"), "{out}");
    let (code, out, _) = run(folder.path(), &["check", "--format", "json"]);
    assert_eq!(code, Some(0));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["good"], true);
}

// T7: every fault at once, each with its file, line and key; `run` says the same and does not start.
#[test]
fn every_fault_is_named_with_its_file_and_line_by_check_and_by_run() {
    let folder = tempfile::tempdir().unwrap();
    write_config(
        folder.path(),
        "colour: red\nprefix: 7\nlog: { level: loud }\nrotues: []\n",
        0o600,
    );
    let text = std::fs::read_to_string(folder.path().join("sidegate.yaml")).unwrap();
    for command in [["check"].as_slice(), &["run"], &[]] {
        let (code, out, err) = run(folder.path(), command);
        assert_eq!(code, Some(78), "{command:?}: {out}{err}");
        let said = format!("{out}{err}");
        for key in ["colour", "level", "rotues"] {
            let line = text.lines().position(|line| line.contains(key)).unwrap() + 1;
            let place = format!("sidegate.yaml:{line}");
            assert!(said.contains(key), "{command:?} {key}: {said}");
            assert!(said.contains(&place), "{command:?} {place}: {said}");
        }
        assert!(!said.contains(SECRET) && !said.contains(KEY), "{said}");
    }
}

// T7: an unset variable, two providers of one name, a strict route behind a loose one.
#[test]
fn what_would_surprise_an_operator_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    for (more, word) in [
        ("prefix: ${NOT_SET_ANYWHERE}\n", "NOT_SET_ANYWHERE"),
        (
            "routes:\n  - access: public\n  - match: { path: /admin/** }\n    access: signed_in\n",
            "routes",
        ),
        ("session: { keys: ephemeral }\n", "session"),
    ] {
        write_config(folder.path(), more, 0o600);
        let (code, out, err) = run(folder.path(), &["check"]);
        assert_eq!(code, Some(78), "{more}: {out}{err}");
        assert!(out.contains(word) || err.contains(word), "{out}{err}");
    }
    let (code, _, err) = run(folder.path(), &["check", "--config", "/nowhere.yaml"]);
    assert_eq!(code, Some(78), "{err}");
}

// T7: a secret on the command line is refused, and not repeated.
#[test]
fn secrets_are_refused_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), "", 0o600);
    for arguments in [
        ["--client-secret", "hush-hush-canary"],
        ["--session-key", "hush-hush-canary"],
    ] {
        let (code, out, err) = run(folder.path(), &arguments);
        assert_eq!(code, Some(64), "{out}{err}");
        assert!(err.contains("command line"), "{err}");
        assert!(!err.contains("hush-hush") && !out.contains("hush-hush"));
    }
    let (code, _, _) = run(folder.path(), &["check", "--no-such-flag"]);
    assert_eq!(code, Some(64));
    // Flags beside a file: nobody could say which counts.
    let (code, _, err) = run(
        folder.path(),
        &["check", "--upstream", "http://127.0.0.1:1"],
    );
    assert_eq!(code, Some(64), "{err}");
}

// T7: a secret that others on the machine can read is said to be one.
#[test]
fn a_secret_file_that_others_can_read_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o640, 0o604] {
        write_config(folder.path(), "", mode);
        let (code, out, err) = run(folder.path(), &["check"]);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains("warning"), "{mode:o}: {out}{err}");
        assert!(out.contains("client-secret"), "{mode:o}: {out}");
        assert!(out.contains("session-key"), "{mode:o}: {out}");
    }
}

// F6: each key is another, and fit to be one.
#[test]
fn keygen_makes_a_key_that_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let (code, first, err) = run(folder.path(), &["keygen"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let (_, second, _) = run(folder.path(), &["keygen"]);
    assert_ne!(first, second);
    write_config(folder.path(), "", 0o600);
    secret(folder.path(), "session-key", first.trim(), 0o600);
    assert_eq!(run(folder.path(), &["check"]).0, Some(0));
    let (code, _, _) = run(folder.path(), &["keygen", "--out", "session-key"]);
    assert_eq!(code, Some(1), "a key is never written over");
    let (code, _, _) = run(folder.path(), &["keygen", "--rotate", "session-key"]);
    assert_eq!(code, Some(0));
    assert_eq!(run(folder.path(), &["check"]).0, Some(0));
    let keys = std::fs::read_to_string(folder.path().join("session-key")).unwrap();
    assert_eq!(keys.lines().count(), 2);
    assert_eq!(keys.lines().last(), Some(first.trim()));
}

#[test]
fn version_says_the_version() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = format!("sidegate {}\n", env!("CARGO_PKG_VERSION"));
    let (code, out, _) = run(folder.path(), &["version"]);
    assert_eq!((code, out), (Some(0), wanted));
    let (code, out, _) = run(folder.path(), &["version", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
}

/// Starts `run` and waits until it says where it listens; gives that address and the probes'.
fn start(folder: &Path) -> (Running, String, String) {
    let mut child = sidegate(folder, &["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let err = child.stderr.take().unwrap();
    let running = Running(child);
    for line in BufReader::new(err).lines() {
        let line = line.unwrap();
        assert!(!line.contains(SECRET) && !line.contains(KEY), "{line}");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let (Some(address), Some(probes)) = (said["addresses"].as_str(), said["probes"].as_str())
        {
            return (running, address.to_owned(), probes.to_owned());
        }
    }
    panic!("it never said where it listens");
}

// T6: the probes are answered beside the public listener, which knows nothing of them.
#[test]
fn a_running_gate_is_healthy_and_ends_in_peace_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    write_config(
        folder.path(),
        "listen: [{ address: 127.0.0.1:0 }]\nprobes: { address: 127.0.0.1:0 }\n",
        0o600,
    );
    let (running, address, probes) = start(folder.path());
    let asking = folder.path().join("asking.yaml");
    std::fs::write(&asking, format!("probes: {{ address: \"{probes}\" }}\n")).unwrap();
    let asking = asking.display().to_string();
    let (code, out, err) = run(folder.path(), &["healthcheck", "--config", &asking]);
    assert_eq!((code, out.as_str()), (Some(0), "ready\n"), "{err}");
    let ask = "GET /readyz HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(probes.parse().unwrap(), ask).status, 200);
    // The public listener has nothing there but the app behind the login.
    assert_eq!(exchange(address.parse().unwrap(), ask).status, 401);
    assert_eq!(running.terminate(), Some(0));
    let (code, _, err) = run(folder.path(), &["healthcheck", "--config", &asking]);
    assert_eq!(code, Some(1), "{err}");
}

/// A gate before an app that says when a request is with it and answers when it is told to.
fn start_before_slow_app(folder: &Path, limits: &str) -> (Running, [SocketAddr; 2], SlowApp) {
    let (tell, arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (tell, released) = (Mutex::new(tell), Mutex::new(released));
    let app = Upstream::answering(move |request| {
        if request.request_line().contains("/slow") {
            tell.lock().unwrap().send(()).ok();
            released.lock().unwrap().recv().ok();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall of it".to_vec()
    });
    write_config(
        folder,
        &format!(
            "listen: [{{ address: 127.0.0.1:0 }}]\nprobes: {{ address: 127.0.0.1:0 }}\nroutes: [{{ access: public }}]\n{limits}\n"
        ),
        0o600,
    );
    let file = folder.join("sidegate.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("http://127.0.0.1:1 ", &format!("{} ", app.url())),
    )
    .unwrap();
    let (running, address, probes) = start(folder);
    let addresses = [address.parse().unwrap(), probes.parse().unwrap()];
    (running, addresses, (arrived, release))
}

/// Hears of a request; lets it be answered.
type SlowApp = (mpsc::Receiver<()>, mpsc::Sender<()>);

fn keep_alive(wire: &mut Wire, target: &str) {
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n"));
}

// Q9: told to stop, the gate finishes what is under way and begins nothing new.
#[test]
fn a_request_in_flight_is_finished_when_the_gate_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (running, [address, probes], (arrived, release)) = start_before_slow_app(folder.path(), "");
    let (mut idle, mut busy) = (Wire::connect(address), Wire::connect(address));
    keep_alive(&mut idle, "/x");
    assert_eq!(idle.answer_to("GET").unwrap().status, 200);
    keep_alive(&mut busy, "/slow");
    arrived.recv_timeout(PATIENCE).unwrap();
    running.tell_to_stop();
    assert!(idle.is_closed(), "nothing was under way there");
    let ask = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(probes, ask).status, 503);
    release.send(()).unwrap();
    let answer = busy.answer_to("GET").expect("the answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "all of it"));
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(busy.is_closed());
    assert_eq!(running.end(), Some(0));
    assert!(std::net::TcpStream::connect(address).is_err());
}

// Q9: what does not finish within its time is cut, and the gate ends in peace.
#[test]
fn a_request_that_does_not_finish_keeps_nobody_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let (running, [address, _], (arrived, _release)) =
        start_before_slow_app(folder.path(), "limits: { drain: 1s }");
    let mut busy = Wire::connect(address);
    keep_alive(&mut busy, "/slow");
    arrived.recv_timeout(PATIENCE).unwrap();
    running.tell_to_stop();
    assert!(busy.answer_to("GET").is_none(), "cut");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn the_demo_prints_one_url_and_answers_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = sidegate(folder.path(), &["demo", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let running = Running(child);
    let mut lines = BufReader::new(out).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.strip_prefix("Open http://").expect("a URL");
    let warned = lines.any(|line| line.unwrap().contains("NOT FOR PRODUCTION"));
    assert!(warned);
    let ask = format!(
        "GET / HTTP/1.1\r\nHost: {url}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(url.parse().unwrap(), ask);
    assert!(matches!(answer.status, 302 | 503), "{}", answer.status);
    assert_eq!(running.terminate(), Some(0));
}
