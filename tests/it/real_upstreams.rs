//! Servers that others wrote, behind the gate: whatever is sent to it, none of them sees a request
//! that the gate did not send. `framing` has what is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::framing::{Comes, corpus};
use crate::support::own_process::OwnProcess;
use crate::support::raw::{PATIENCE, Wire};
use crate::support::server::Server;

/// How often a server, which notes method and target, saw each target that begins with a slash and one of our words.
fn seen(server: &Server) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for line in server.read("seen").lines() {
        let target = line.split(' ').nth(1).unwrap_or(line);
        *seen.entry(target.to_owned()).or_insert(0) += 1;
    }
    seen
}

fn support(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/upstreams");
    folder.join(name)
}

/// A command of the virtual environment with the app servers.
fn python(module: &str) -> Command {
    let folder = std::env::var_os("SIDEGATE_TEST_UPSTREAMS").expect(
        "SIDEGATE_TEST_UPSTREAMS must name a virtual environment with \
         tests/it/support/upstreams/requirements.txt installed",
    );
    let mut command = Command::new(Path::new(&folder).join("bin/python"));
    command.args(["-m", module]).env("PYTHONPATH", support(""));
    command
}

fn nginx(folder: &Path, address: SocketAddr) -> Command {
    let folder = folder.display();
    let text = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\n  log_format seen '$request_method $request_uri';\n  access_log {folder}/seen seen;\n  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n  server {{ listen {address}; location / {{ return 200 ok; }} }}\n}}\n"
    );
    std::fs::write(format!("{folder}/nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", &format!("{folder}/nginx.conf")]);
    command
}

fn apache(folder: &Path, address: SocketAddr) -> Command {
    let folder = folder.display();
    let modules = "/usr/lib/apache2/modules";
    // Its files are nobody's: each request is a 404, and is read to its end like any other.
    let text = format!(
        "ServerRoot {folder}\nServerName app.test\nPidFile {folder}/pid\nListen {address}\nLoadModule mpm_event_module {modules}/mod_mpm_event.so\nLoadModule authz_core_module {modules}/mod_authz_core.so\nDocumentRoot {folder}\nErrorLog {folder}/errors\nLogFormat \"%m %U\" seen\nCustomLog {folder}/seen seen\n"
    );
    std::fs::write(format!("{folder}/apache.conf"), text).unwrap();
    let mut command = Command::new("apache2");
    command.args(["-X", "-f", &format!("{folder}/apache.conf")]);
    command
}

fn gunicorn(_: &Path, address: SocketAddr) -> Command {
    let mut command = python("gunicorn");
    let bind = format!("--bind={address}");
    command.args([&bind, "--worker-class=gthread", "--threads=4", "seen:wsgi"]);
    command
}

fn uvicorn(http: &str, address: SocketAddr) -> Command {
    let mut command = python("uvicorn");
    let port = address.port().to_string();
    command.args([
        "--host=127.0.0.1",
        "--port",
        &port,
        "--http",
        http,
        "seen:asgi",
    ]);
    command
}

fn node(folder: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new("node");
    let port = address.port().to_string();
    command
        .arg(support("seen.mjs"))
        .arg(port)
        .arg(folder.join("seen"));
    command
}

/// Which of the two requests is noted: the one that comes to the proxy, or the one it makes of that.
#[derive(Clone, Copy)]
enum Noted {
    Before,
    Behind,
}

fn haproxy(noted: Noted, folder: &Path, address: SocketAddr) -> Command {
    // With the status in it: a line of nothing but the request is written before the answer and after.
    let noting =
        "  log stdout format raw local0\n  log-format \"%HM %HU %ST\"\n  option dontlognull\n";
    let (before, behind) = match noted {
        Noted::Before => (noting, ""),
        Noted::Behind => ("", noting),
    };
    let socket = folder.join("behind");
    let socket = socket.display();
    let text = format!(
        "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\nfrontend before\n  bind {address}\n{before}  default_backend app\nbackend app\n  server app unix@{socket}\nfrontend behind\n  bind unix@{socket}\n{behind}  http-request return status 200 content-type text/plain string ok\n"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text).unwrap();
    // What it notes goes to its standard output only.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec haproxy -db -f \"$0\" >\"$SEEN\""]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.arg(file).env("PATH", format!("{path}:/usr/sbin"));
    command
}

/// Sends everything; each case and what follows it have targets of their own.
fn differential(command: impl Fn(&Path, SocketAddr) -> Command) {
    let server = Server::start(command);
    let gate = OwnProcess::before(&format!("http://{}", server.address), "");
    let mut expected = Vec::new();
    for (at, (case, comes)) in corpus().into_iter().enumerate() {
        let case = case.replace("/first", &format!("/first{at}"));
        let mut wire = Wire::connect(gate.address);
        wire.try_send(&case);
        wire.try_send(format!(
            "GET /second{at} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
        ));
        let first = case
            .trim_start()
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut methods = [first.as_str()].into_iter().chain(std::iter::repeat("GET"));
        while wire.answer_to(methods.next().unwrap_or_default()).is_some() {}
        match comes {
            Comes::Read(_) => expected.extend([format!("/first{at}"), format!("/second{at}")]),
            Comes::ReadAndClosed(_) => expected.push(format!("/first{at}")),
            Comes::Refused => {}
        }
    }
    let late = Instant::now() + PATIENCE;
    while !expected
        .iter()
        .all(|target| seen(&server).contains_key(target))
    {
        let now = seen(&server);
        let missing: Vec<_> = expected
            .iter()
            .filter(|one| !now.contains_key(*one))
            .collect();
        assert!(Instant::now() < late, "{missing:?} {}", server.read("said"));
    }
    let sent = gate.access_log();
    for (target, times) in seen(&server) {
        assert_eq!(times, 1, "{target} was sent once");
        let path = format!("\"path\":\"{target}\"");
        let of_it = sent.iter().filter(|line| line.contains(&path));
        assert_eq!(of_it.count(), 1, "{target} was not sent by the gate");
    }
}

// L14: each with its own reading of HTTP/1.1, and with the gate before it all read the same.
#[test]
fn nginx_sees_no_request_that_was_not_sent() {
    differential(nginx);
}

// L14
#[test]
fn apache_sees_no_request_that_was_not_sent() {
    differential(apache);
}

// L14
#[test]
fn gunicorn_sees_no_request_that_was_not_sent() {
    differential(gunicorn);
}

// L14: with both of its parsers.
#[test]
fn uvicorn_sees_no_request_that_was_not_sent() {
    differential(|_, address| uvicorn("h11", address));
    differential(|_, address| uvicorn("httptools", address));
}

// L14
#[test]
fn node_sees_no_request_that_was_not_sent() {
    differential(node);
}

// L14: neither HAProxy nor what is behind it, which reads what HAProxy made of the request.
#[test]
fn haproxy_and_what_is_behind_it_see_no_request_that_was_not_sent() {
    differential(|folder, address| haproxy(Noted::Before, folder, address));
    differential(|folder, address| haproxy(Noted::Behind, folder, address));
}
