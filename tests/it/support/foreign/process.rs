//! The programs: how each is started, that it is ready, and that it ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::support::instance::{PUBLIC, SECRET};

/// A bound on what should take a second; never a wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// The arguments that our own programs take: who the gate is, and `more`.
fn arguments(more: &Value) -> String {
    let mut all: Map<String, Value> = Map::new();
    all.insert("client_id".to_owned(), "dashboards".into());
    all.insert("client_secret".to_owned(), SECRET.into());
    let callback = format!("{PUBLIC}/oauth2/callback");
    all.insert("redirect_uri".to_owned(), callback.into());
    let back = format!("{PUBLIC}/oauth2/sign_out");
    all.insert("post_logout_redirect_uri".to_owned(), back.into());
    all.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(all).to_string()
}

pub(super) fn python(name: &str, more: &Value) -> Command {
    let python = std::env::var_os("SIDEGATE_TEST_PYTHON").expect(
        "SIDEGATE_TEST_PYTHON must name the python of a virtual environment with \
         tests/it/support/foreign_client/requirements.txt installed",
    );
    let mut command = Command::new(python);
    command
        .arg(root().join(format!("tests/providers/{name}/provider.py")))
        .arg(arguments(more));
    command
}

pub(super) fn oidc_provider(more: &Value) -> Command {
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/browser/op.mjs"))
        .env("RP", PUBLIC)
        .env("CLIENT_ID", "dashboards")
        .env("SECRET", SECRET)
        .env("STDIN", "watched")
        .env_remove("PORT");
    for (name, value) in more.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        command.env(name, text);
    }
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A program that runs as long as this does: it ends when its standard input does.
pub(super) struct Process {
    /// What it said to be ready.
    pub(super) said: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let of_stderr = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                drop(of_stderr.send(line));
            }
        });
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        // Made before the first line is awaited: a panic below takes the program down too.
        let mut this = Self {
            said: String::new(),
            stdin: child.stdin.take(),
            child,
            lines,
        };
        let mut told = Vec::new();
        this.said = loop {
            match this.lines.recv_timeout(PATIENCE) {
                Ok(line) => match line.strip_prefix("ready ") {
                    Some(issuer) => break issuer.to_owned(),
                    None => told.push(line),
                },
                Err(error) => panic!("{command:?}: {error}\n{}", told.join("\n")),
            }
        };
        this
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends by itself, and its last line with it; its group is ended where it does not.
        // What it said is shown where the test has failed.
        let failed = std::thread::panicking();
        let ended = loop {
            match self.lines.recv_timeout(Duration::from_secs(10)) {
                Ok(line) if failed => drop(writeln!(std::io::stderr(), "{line}")),
                Ok(_) => {}
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        if !ended {
            let group = format!("-{}", self.child.id());
            drop(Command::new("kill").args(["-KILL", "--", &group]).status());
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}
