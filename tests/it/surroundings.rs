//! The machine around the process: its names, its roots of trust, its environment. The gate takes what
//! it was configured to take, and what hangs there holds up nobody who does not need it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::authority::Authority;
use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, key_file, register, secret_file, yaml};
use crate::support::process::Running;
use crate::support::provider::TestProvider;
use crate::support::raw::Wire;
use crate::support::upstream::Upstream;

/// A gate in a process of its own, in a folder of its own.
pub(crate) struct Gate {
    _folder: TempDir,
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
}

impl Gate {
    /// Starts the binary, as `wrap` has it run, with this configuration.
    pub(crate) fn start(yaml: &str, folder: TempDir, wrap: impl FnOnce(&mut Command)) -> Self {
        let text = format!(
            "{yaml}\nlisten: [{{ address: 127.0.0.1:0 }}]\nprobes: {{ address: 127.0.0.1:0 }}\n"
        );
        fs::write(folder.path().join("sidegate.yaml"), text).unwrap();
        // In a mount namespace of its own, where files of the system can be put over.
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "--", "/bin/sh", "-c"])
            .arg("set -e; for file in hosts nsswitch.conf; do if [ -e \"$file\" ]; then mount --bind \"$file\" \"/etc/$file\"; fi; done; exec \"$0\" run 1>&2")
            .arg(env!("CARGO_BIN_EXE_sidegate"))
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        wrap(&mut command);
        let mut process = Running::start(&mut command);
        let line = process.said("\"addresses\"");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = said["addresses"].as_str().unwrap().parse().unwrap();
        Self {
            _folder: folder,
            process,
            address,
        }
    }

    /// One answer to a program's request for `path`.
    fn status(&self, path: &str) -> u16 {
        let mut wire = Wire::connect(self.address);
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
        ));
        wire.head().unwrap().status
    }

    fn browser(&self) -> Browser {
        Browser::new().resolve(PUBLIC, self.address)
    }

    /// A login from the first page to the app's.
    fn signs_in(&self) {
        let mut browser = self.browser();
        let form = browser.visit(&format!("{PUBLIC}/page"));
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.answer.status, 200, "{:?}", page.answer);
    }
}

/// A folder in which `hosts` is the system's hosts file.
fn folder_with_hosts(lines: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts"), lines).unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").unwrap();
    folder
}

/// A folder in which the system's hosts file is a pipe that nobody writes to: a look-up never ends.
fn folder_where_names_hang() -> TempDir {
    let folder = folder_with_hosts("");
    let hosts = folder.path().join("hosts");
    fs::remove_file(&hosts).unwrap();
    let made = Command::new("mkfifo").arg(&hosts).status().unwrap();
    assert!(made.success());
    folder
}

// R6: names that are looked up for ever hold up whoever needs them, for a bounded time, and nobody
// else; they take a thread each, not one for each who waits, and do not keep the process from ending.
#[test]
fn names_that_are_looked_up_for_ever_hold_up_nobody_who_does_not_need_them() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    register(&provider, "dashboards", "/oauth2/callback/here");
    let (secret, key) = (secret_file(), key_file());
    let provider_line = |id: &str, issuer: &str| {
        format!(
            "  - {{ id: {id}, issuer: \"{issuer}\", client_id: dashboards, client_secret: {{ file: {secret} }} }}"
        )
    };
    let yaml = format!(
        "public_url: {PUBLIC}\nproviders:\n{}\n{}\nsession: {{ keys: [{{ file: {key} }}] }}\nupstreams: {{ app: {}, lost: \"http://app.hangs.test:8080\" }}\nlimits: {{ upstream_connect: 2s }}\nroutes:\n  - {{ match: {{ path: \"/lost/**\" }}, access: public, upstream: lost }}\n  - {{ match: {{ path: \"/open/**\" }}, access: public, upstream: app }}\n  - {{ access: signed_in, upstream: app }}",
        provider_line("here", provider.issuer()),
        provider_line("far", "https://id.hangs.test"),
        app.url(),
    );
    let mut gate = Gate::start(&yaml, folder_where_names_hang(), |_| {});
    gate.process.said("provider is answering");
    let (lost, all) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let status = gate.status("/lost/x");
                lost.fetch_add(1, Ordering::SeqCst);
                assert_eq!(status, 502);
            });
        }
        // Fifty who need the name wait for two seconds; nobody else does meanwhile.
        let mut slowest = Duration::ZERO;
        while lost.load(Ordering::SeqCst) == 0 {
            let begin = Instant::now();
            assert_eq!(gate.status("/open/x"), 200);
            slowest = slowest.max(begin.elapsed());
        }
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    });
    assert!(all.elapsed() < Duration::from_secs(8));
    let threads = fs::read_dir(format!("/proc/{}/task", gate.process.id())).unwrap();
    let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")));
    let look_ups = names.filter(|name| name.as_ref().is_ok_and(|name| name == "look-up\n"));
    assert_eq!(look_ups.count(), 2);
    // Somebody signs in where the name is no question, and is told where it is one.
    let mut browser = gate.browser();
    let callback = browser.reach_callback(
        &format!("{PUBLIC}/oauth2/start?provider=here&return_to=/page"),
        "alice",
    );
    assert!(browser.open(callback.as_str()).sets_session());
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 200);
    let begin = Instant::now();
    let answer = gate
        .browser()
        .open(&format!("{PUBLIC}/oauth2/start?provider=far"));
    assert_eq!(answer.status, 503);
    assert!(begin.elapsed() < Duration::from_secs(5));
    let begin = Instant::now();
    gate.process.signal("-TERM");
    let (code, rest) = gate.process.ended();
    assert_eq!(code, Some(0), "{rest}");
    assert!(begin.elapsed() < Duration::from_secs(15));
}

// R6: a name with an address that nobody listens on and one that works is a name that works, for a
// provider and for an app, in whichever order the system tells them.
#[test]
fn a_name_with_a_dead_address_beside_a_living_one_works() {
    for hosts in ["::1 {}\n127.0.0.1 {}\n", "127.0.0.1 {}\n::1 {}\n"] {
        let provider = TestProvider::start_with(|options| {
            options.issuer = options.issuer.replace("127.0.0.1", "localhost");
        });
        register(&provider, "dashboards", "/oauth2/callback");
        let app = Upstream::start();
        let app_url = app.url().replace("127.0.0.1", "app.test");
        let folder = folder_with_hosts(&hosts.replace("{}", "localhost app.test"));
        let mut gate = Gate::start(&yaml(provider.issuer(), &app_url, ""), folder, |_| {});
        gate.process.said("provider is answering");
        let port = provider.issuer().rsplit_once(':').unwrap().1;
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let mut browser = gate.browser().resolve(provider.issuer(), address);
        let form = browser.visit(&format!("{PUBLIC}/page"));
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.answer.status, 200, "{hosts}: {:?}", page.answer);
        assert_eq!(app.arrived().len(), 1);
    }
}

// R5: no setting names a proxy for what the gate connects to, so none is used, whatever the
// environment says: not even for the client's secret.
#[test]
fn proxies_of_the_environment_are_not_used() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    register(&provider, "dashboards", "/oauth2/callback");
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", trap.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut gate = Gate::start(
        &yaml(provider.issuer(), &app.url(), ""),
        folder,
        |command| {
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY"] {
                command.env(name, &proxy);
                command.env(name.to_ascii_lowercase(), &proxy);
            }
            // A name for CGI's sake, and an exception that excepts nothing.
            command.env("CGI_HTTP_PROXY", &proxy).env("NO_PROXY", "");
        },
    );
    gate.process.said("provider is answering");
    gate.signs_in();
    assert_eq!(
        trap.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
}

// R2: where the operator named the authority of a provider, the system's are nobody's, also those
// that the environment adds to them.
#[test]
fn the_systems_authorities_do_not_vouch_for_a_provider_with_its_own() {
    let (ours, systems) = (Authority::named("ours"), Authority::named("the system's"));
    let (ca, system) = (ours.file(), systems.file());
    for (ca, believed) in [(None, true), (Some(ca.path()), false)] {
        let shown = systems.server(&["127.0.0.1"], |_| {});
        let provider = TestProvider::start_tls(Arc::new(shown), |_| {});
        let app = Upstream::start();
        let ca = ca.map_or(String::new(), |path| {
            format!("    ca: {{ file: {} }}\n", path.display())
        });
        let text = yaml(provider.issuer(), &app.url(), "")
            .replace("    client_id:", &format!("{ca}    client_id:"));
        let folder = tempfile::tempdir().unwrap();
        let mut gate = Gate::start(&text, folder, |command| {
            command.env("SSL_CERT_FILE", system.path());
        });
        let said = gate.process.said("\"event\":\"provider\"");
        assert_eq!(said.contains("is answering"), believed, "{said}");
        assert_eq!(said.contains("UnknownIssuer"), !believed, "{said}");
    }
}
