//! Under a service manager: the binary serves the sockets that it was passed, and tells how it goes.

use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::instance::{key_file, secret_file};
use crate::support::process::Running;

/// What is never reached where all is well: a test that waits for it has failed.
const TOO_LONG: Duration = Duration::from_secs(60);
const ASK: &str = "GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";

/// A service manager: a folder with the configuration, and the socket that it listens to.
struct Manager {
    folder: TempDir,
    notices: UnixDatagram,
}

impl Manager {
    fn new(listen: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let yaml = format!(
            "public_url: https://gate.test\nproviders:\n  - issuer: https://127.0.0.1:1\n    client_id: dashboards\n    client_secret: {{ file: {} }}\nsession: {{ keys: [{{ file: {} }}] }}\nupstreams: {{ app: \"http://127.0.0.1:1\" }}\nlisten: {listen}\nprobes: {{ address: 127.0.0.1:0 }}\n",
            secret_file(),
            key_file()
        );
        std::fs::write(folder.path().join("sidegate.yaml"), yaml).unwrap();
        let notices = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(TOO_LONG)).unwrap();
        Self { folder, notices }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the binary with `first` as descriptor 3 and `second` as descriptor 4, as `names` has
    /// them: the shell knows the process's id, which stays when it becomes the binary.
    fn start(&self, names: &str, pid: &str, first: OwnedFd, second: OwnedFd) -> Running {
        let count = names.split(':').count();
        let script = format!(
            "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_PID={pid} LISTEN_FDS={count} LISTEN_FDNAMES={names} exec \"$0\" run"
        );
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_sidegate")])
            .current_dir(self.folder.path())
            .env_clear()
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("WATCHDOG_USEC", "200000")
            .stdin(first)
            .stdout(second);
        Running::start(&mut command)
    }

    /// The next notice; the watchdog's are left out.
    fn told(&self) -> String {
        loop {
            let notice = self.notice();
            if notice != "WATCHDOG=1" {
                return notice;
            }
        }
    }

    fn notice(&self) -> String {
        let mut words = [0; 512];
        let read = self.notices.recv(&mut words).expect("a notice");
        std::str::from_utf8(&words[..read]).unwrap().to_owned()
    }

    /// How a start with these sockets failed.
    fn refused(&self, names: &str, pid: &str, first: OwnedFd, second: OwnedFd) -> String {
        let mut process = self.start(names, pid, first, second);
        let mut said = process.line().expect("a reason");
        while said.contains("\"level\":\"warn\"") {
            said = process.line().expect("a reason after the warnings");
        }
        assert!(!said.contains("public_url"), "it has started");
        assert_eq!(process.ended().0, Some(1), "{said}");
        said
    }
}

fn nothing() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn status(mut stream: impl std::io::Read) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

fn ask_unix(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(ASK.as_bytes()).unwrap();
    status(stream)
}

#[test]
fn the_sockets_of_the_service_manager_are_served_and_it_hears_how_it_goes() {
    let manager = Manager::new("[\"systemd:http\"]");
    let tcp = loopback();
    let unix = UnixListener::bind(manager.path("http.sock")).unwrap();
    let (first, second) = (tcp.try_clone().unwrap(), unix.try_clone().unwrap());
    let running = manager.start("http:http", "$$", first.into(), second.into());
    assert_eq!(manager.told(), "READY=1\nSTATUS=taking requests");

    // Ready means that requests are taken, on every socket of that name.
    let mut stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    stream.write_all(ASK.as_bytes()).unwrap();
    assert_eq!(status(stream), "HTTP/1.1 401 Unauthorized");
    assert_eq!(
        ask_unix(&manager.path("http.sock")),
        "HTTP/1.1 401 Unauthorized"
    );

    running.signal("-HUP");
    assert_eq!(manager.told(), "RELOADING=1");
    assert_eq!(manager.told(), "READY=1\nSTATUS=taking requests");

    running.signal("-TERM");
    let stopping = manager.told();
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    // The drain of 30 seconds and what else has to end.
    assert!(
        stopping.ends_with("EXTEND_TIMEOUT_USEC=35000000"),
        "{stopping}"
    );
    let (ended, said) = running.ended();
    assert_eq!(ended, Some(0), "{said}");
    // The socket's file is not ours to remove: the next process gets the same socket.
    assert!(manager.path("http.sock").exists());
}

#[test]
fn a_request_that_comes_between_two_processes_is_answered_by_the_second() {
    let manager = Manager::new("[\"systemd:http\"]");
    let tcp = loopback();
    let start = || manager.start("http", "$$", tcp.try_clone().unwrap().into(), nothing());
    let running = start();
    assert!(manager.told().starts_with("READY=1"));
    running.signal("-TERM");
    assert!(manager.told().starts_with("STOPPING=1"));
    assert_eq!(running.ended().0, Some(0));

    let mut stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    stream.write_all(ASK.as_bytes()).unwrap();
    let _running = start();
    assert_eq!(status(stream), "HTTP/1.1 401 Unauthorized");
}

// Q9: a restart under load refuses nobody and loses no request: what the first process does not
// take waits for the second.
#[test]
fn a_restart_under_load_loses_no_request() {
    let manager = Manager::new("[\"systemd:http\"]");
    let tcp = loopback();
    let address = tcp.local_addr().unwrap();
    let start = || manager.start("http", "$$", tcp.try_clone().unwrap().into(), nothing());
    let running = start();
    assert!(manager.told().starts_with("READY=1"));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = TcpStream::connect(address).expect("nobody is refused");
                    stream.write_all(ASK.as_bytes()).unwrap();
                    assert_eq!(status(stream), "HTTP/1.1 401 Unauthorized");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    running.signal("-TERM");
    assert!(manager.told().starts_with("STOPPING=1"));
    assert_eq!(running.ended().0, Some(0));
    let _running = start();
    assert!(manager.told().starts_with("READY=1"));
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.join().expect("no request was lost") > 0);
    }
}

// Q9: a successor takes the sockets on, whoever opened them, and the service manager hears whom to
// watch; it does not hear that anything stops.
#[test]
fn the_service_manager_hears_of_a_successor() {
    let manager = Manager::new("[\"systemd:http\"]");
    let tcp = loopback();
    let running = manager.start("http", "$$", tcp.try_clone().unwrap().into(), nothing());
    assert!(manager.told().starts_with("READY=1"));
    running.signal("-USR2");
    assert!(manager.told().starts_with("READY=1"), "the successor");
    let told = manager.told();
    let pid = told.strip_prefix("MAINPID=").expect("whom to watch");
    let pid = pid.lines().next().unwrap();
    let mut stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    stream.write_all(ASK.as_bytes()).unwrap();
    assert_eq!(status(stream), "HTTP/1.1 401 Unauthorized");
    // The watchdog is fed by the successor as well.
    assert_eq!(manager.notice(), "WATCHDOG=1");
    let ended = Command::new("kill").args(["-TERM", pid]).status().unwrap();
    assert!(ended.success());
    assert!(manager.told().starts_with("STOPPING=1"));
    assert_eq!(running.ended().0, Some(0));
}

#[test]
fn the_watchdog_of_the_service_manager_is_fed() {
    let manager = Manager::new("[\"systemd:http\"]");
    let _running = manager.start("http", "$$", loopback().into(), nothing());
    assert!(manager.told().starts_with("READY=1"));
    for _ in 0..3 {
        assert_eq!(manager.notice(), "WATCHDOG=1");
    }
}

#[test]
fn a_socket_that_was_not_passed_to_us_under_its_name_is_none() {
    let manager = Manager::new("[\"systemd:http\"]");
    for (names, pid) in [("spare", "$$"), ("http", "1"), ("http", "")] {
        let said = manager.refused(names, pid, loopback().into(), nothing());
        assert!(said.contains("cannot listen on systemd:http"), "{said}");
    }
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    let manager = Manager::new("[\"systemd:http\"]");
    let listener = loopback();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for socket in [
        nothing(),
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        connected.into(),
    ] {
        let said = manager.refused("http", "$$", socket, nothing());
        assert!(said.contains("is no listening"), "{said}");
    }
}
