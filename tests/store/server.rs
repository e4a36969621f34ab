//! Real servers, in folders of their own, on ports that the kernel chose.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use sidegate::store::redis::RedisSettings;

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    program: PathBuf,
    pub(crate) port: u16,
    args: Vec<String>,
    folder: PathBuf,
    own: Option<tempfile::TempDir>,
}

impl Server {
    /// One that listens at a port of the loopback, with these further arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Self::at(port, own.path(), args);
        server.own = Some(own);
        server
    }

    /// The same of Valkey.
    pub(crate) fn valkey(args: &[&str]) -> Self {
        let program = std::env::var_os("SIDEGATE_TEST_VALKEY").expect(
            "SIDEGATE_TEST_VALKEY must name the valkey-server of a virtual environment with \
             tests/store/requirements.txt installed",
        );
        let own = tempfile::tempdir().unwrap();
        let mut server = Self::of(PathBuf::from(program), free_port(), own.path(), args);
        server.own = Some(own);
        server
    }

    /// One at this port, with this folder.
    pub(crate) fn at(port: u16, folder: &Path, args: &[&str]) -> Self {
        Self::of(PathBuf::from("redis-server"), port, folder, args)
    }

    fn of(program: PathBuf, port: u16, folder: &Path, args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let child = run(&program, port, folder, &args);
        Self {
            child,
            program,
            port,
            args,
            folder: folder.to_owned(),
            own: None,
        }
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, with the folder that it had.
    pub(crate) fn again(&mut self) {
        self.child = run(&self.program, self.port, &self.folder, &self.args);
    }

    /// Holds it, or lets it go on: `-STOP`, `-CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(told.success());
    }

    /// Its address as settings.
    pub(crate) fn settings(&self) -> RedisSettings {
        RedisSettings::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// A connection past the store.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.asked(words).unwrap()
    }

    /// The same, whatever it answers but an error.
    pub(crate) fn tell(&self, words: &[&str]) {
        drop(self.ask::<redis::Value>(words));
    }

    /// The same, where an error is an answer.
    pub(crate) fn asked<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(10))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection)
    }

    /// All keys.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.ask(&["KEYS", "*"])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody has, and that nobody else here gets. The server says so if another process took
/// it meanwhile, and the test fails.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

fn run(program: &Path, port: u16, folder: &Path, args: &[String]) -> Child {
    let mut command = Command::new(program);
    if let Some(config) = args.first().filter(|arg| !arg.starts_with("--")) {
        command.arg(config);
    }
    let port = port.to_string();
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--dir", &folder.to_string_lossy()]);
    command.args(args.iter().skip_while(|arg| !arg.starts_with("--")));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "{all}");
        let ready = line.contains("Ready to accept connections") || line.contains("Sentinel ID is");
        all.push_str(&line);
        if ready {
            break;
        }
    }
    // Somebody has to read what it says, or it stops when the pipe is full.
    std::thread::spawn(move || drop(said.read_to_end(&mut Vec::new())));
    child
}

pub(crate) const PASSWORD: &str = "canary-of-the-password";

/// Makes the user that docs/STORES.md describes, and no other.
pub(crate) fn permissions(server: &Server, more: &[&str]) {
    let docs = include_str!("../../docs/STORES.md");
    let line = docs.lines().find(|line| line.starts_with("user sidegate"));
    let line = line.unwrap().replace("PASSWORD", PASSWORD);
    let mut words: Vec<&str> = line.split(' ').skip(1).collect();
    words.splice(0..0, ["ACL", "SETUSER"]);
    words.extend(more);
    server.tell(&words);
}

/// Asks until it is so, for half a minute at the most.
pub(crate) async fn until(mut so: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while !so().await {
        assert!(tokio::time::Instant::now() < end, "it never came to be");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
