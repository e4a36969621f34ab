//! The gate as a process of its own, before an app that a test brings, with every route public unless a test says otherwise.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use tempfile::TempDir;

use super::browser::Browser;
use super::instance::{PUBLIC, key_file, register, secret_file};
use super::provider::TestProvider;
use super::raw::PATIENCE;

/// A running gate. It is killed when it is dropped.
pub(crate) struct OwnProcess {
    pub(crate) address: SocketAddr,
    pub(crate) probes: SocketAddr,
    pub(crate) folder: TempDir,
    child: Child,
    said: Receiver<String>,
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The configuration, to which `more` is added.
pub(crate) fn write_config(folder: &Path, app: &str, more: &str) {
    let routes = if more.contains("routes:") {
        ""
    } else {
        "routes: [{ access: public }]"
    };
    let text = format!(
        "public_url: https://gate.test\nproviders:\n  - issuer: https://127.0.0.1:1\n    client_id: dashboards\n    client_secret: {{ file: {} }}\nsession: {{ keys: [{{ file: {} }}] }}\nupstreams: {{ app: \"{app}\" }}\n{routes}\n{more}\n",
        secret_file(),
        key_file(),
    );
    std::fs::write(folder.join("sidegate.yaml"), text).unwrap();
}

/// Where listeners are bound in most tests.
pub(crate) const ANYWHERE: &str =
    "listen: [{ address: 127.0.0.1:0 }]\nprobes: { address: 127.0.0.1:0 }";

impl OwnProcess {
    /// Before `app`, with these lines more.
    pub(crate) fn before(app: &str, more: &str) -> Self {
        Self::as_limited("", app, more)
    }

    /// Before `app`, for people whom the provider with this issuer vouches for.
    pub(crate) fn for_people_of(issuer: &str, app: &str) -> Self {
        Self::keeping("", "", issuer, app)
    }

    /// The same, with sessions kept as these `settings` of `session` say, such as `store: memory, `, and
    /// with these `lines` more.
    pub(crate) fn keeping(settings: &str, lines: &str, issuer: &str, app: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signed_in = "routes: [{ access: signed_in }]";
        write_config(
            folder.path(),
            app,
            &format!("{ANYWHERE}\n{signed_in}\n{lines}"),
        );
        let file = folder.path().join("sidegate.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("https://127.0.0.1:1", issuer);
        let text = text.replace("session: { ", &format!("session: {{ {settings}"));
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
        command.arg("run");
        Self::start(command, folder)
    }

    /// A browser in which `username` has signed in at `provider`, where the gate is registered.
    pub(crate) fn signed_in(&self, provider: &TestProvider, username: &str) -> Browser {
        register(provider, "dashboards", "/oauth2/callback");
        let mut browser = Browser::new().resolve(PUBLIC, self.address);
        let late = Instant::now() + PATIENCE;
        let form = loop {
            let page = browser.visit(&format!("{PUBLIC}/"));
            // The first may come before the provider is known.
            if page.answer.status != 503 {
                break page;
            }
            assert!(Instant::now() < late, "{:?}", page.answer);
        };
        let ended = browser.sign_in(&form, username);
        let url = ended.url.as_str();
        assert!(url.starts_with(PUBLIC), "{url}: {:?}", ended.answer);
        browser
    }

    /// Before `app`, with `listen` and `probes` among these lines.
    pub(crate) fn configured(app: &str, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), app, lines);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
        command.arg("run");
        Self::start(command, folder)
    }

    /// The same; first the shell runs `limit`, such as `ulimit -n 100;`.
    pub(crate) fn as_limited(limit: &str, app: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), app, &format!("{ANYWHERE}\n{more}"));
        let script = format!("{limit} exec \"$0\" run");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_sidegate")]);
        Self::start(command, folder)
    }

    /// Runs `command` in `folder`, and waits until it listens.
    pub(crate) fn start(mut command: Command, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("access")).unwrap();
        let command = command.current_dir(folder.path()).env_clear();
        let command = command.stdin(Stdio::null()).stdout(log);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, said) = mpsc::channel();
        // What nobody reads must not keep the process from writing.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                drop(tell.send(line));
            }
        });
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut running = Self {
            address: nowhere,
            probes: nowhere,
            folder,
            child,
            said,
        };
        let line = running.said("addresses");
        let word = |name: &str| {
            let (_, rest) = line.split_once(name).unwrap();
            let word = rest.trim_start_matches(['"', ':', '=']);
            let word = word.split(['"', ' ']).next().unwrap();
            word.parse().unwrap_or_else(|_| panic!("{name} in {line}"))
        };
        (running.address, running.probes) = (word("addresses"), word("probes"));
        running
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line with this word.
    pub(crate) fn said(&mut self, word: &str) -> String {
        let mut before = Vec::new();
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            if line.contains(word) {
                return line;
            }
            before.push(line);
        }
        panic!("`{word}` was never said: {}", before.join("\n"))
    }

    /// Stops it; the lines of its access log.
    pub(crate) fn access_log(mut self) -> Vec<String> {
        self.signal("-TERM");
        assert_eq!(self.ended(), Some(0));
        let text = std::fs::read_to_string(self.folder.path().join("access")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Sends a signal, such as `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(told.success());
    }

    /// Its exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// What it holds in memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse().ok()).unwrap()
    }
}
