//! Whoever looks after a gate sees who is signed in, and ends sessions, with the program itself over a
//! socket of its own.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stores::renewal::until;
use crate::stores::{Kept, status};
use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, register};
use crate::support::provider::TestProvider;
use crate::support::upstream::Upstream;

const SECOND: Duration = Duration::from_secs(1);

/// A gate with a socket for whoever looks after it, and the program that speaks to it.
struct Looked {
    world: World,
    kept: Kept,
    folder: TempDir,
}

impl Looked {
    fn after(kept: Kept, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (provider, app) = (TestProvider::start(), Upstream::start());
        register(&provider, "dashboards", "/oauth2/callback");
        let admin = format!(
            "admin: {{ address: \"unix:{}/admin.sock\" }}",
            folder.path().display()
        );
        // Other faults of the file are nothing to the program.
        let file = folder.path().join("sidegate.yaml");
        std::fs::write(file, format!("colour: red\n{admin}\n")).unwrap();
        let text = format!("{}\n{admin}", kept.text(&provider, &app, more));
        let gate = Instance::start(&text, provider.clock());
        gate.await_providers();
        let world = World {
            provider,
            app,
            gate,
        };
        Self {
            world,
            kept,
            folder,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// What `sidegate sessions` says: its exit code, results, complaints.
    fn sessions(&self, arguments: &[&str]) -> (i32, String, String) {
        let run = Command::new(env!("CARGO_BIN_EXE_sidegate"))
            .arg("sessions")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            run.status.code().unwrap(),
            text(run.stdout),
            text(run.stderr),
        )
    }

    /// The list, as JSON.
    fn listed(&self, more: &[&str]) -> Vec<Value> {
        let (exit, out, err) = self.sessions(&[&["list", "--json"], more].concat());
        assert_eq!(exit, 0, "{err}");
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(told["complete"], true);
        told["sessions"].as_array().unwrap().clone()
    }

    /// Ends sessions so, and says how many there were.
    fn revoked(&self, which: &[&str]) -> String {
        self.world.gate.clock.advance(SECOND);
        let (exit, out, err) = self.sessions(&[&["revoke"], which].concat());
        assert_eq!((exit, err.as_str()), (0, ""), "{out}");
        out
    }
}

fn stores() -> [Looked; 3] {
    ["memory", "disk", "redis"].map(|word| Looked::after(Kept::of(word), ""))
}

// A list has who is there, since when and until when; who left, was ended or has expired is on none.
#[test]
fn a_list_has_who_is_signed_in_and_nobody_else() {
    for looked in stores() {
        let (world, store) = (&looked.world, looked.kept.word);
        assert_eq!(looked.listed(&[]), Vec::<Value>::new(), "{store}");
        let _both = [world.signed_in("alice"), world.signed_in("alice")];
        world.gate.clock.advance(SECOND);
        let mut bob = world.signed_in("bob");
        let all = looked.listed(&[]);
        assert_eq!(all.len(), 3, "{store}");
        assert_eq!(all[0]["user"], "bob@example.com", "the latest first");
        assert_eq!(all[0]["subject"], "u-bob");
        let begun = all[0]["started_at"].as_str().unwrap();
        assert!(all[1]["started_at"].as_str().unwrap() < begun);
        assert!(all[0]["expires_at"].as_str().unwrap() > begun);
        for name in ["u-alice", "ALICE@example.com", "alice"] {
            assert_eq!(looked.listed(&["--user", name]).len(), 2, "{store}: {name}");
        }
        let in_logs = all[1]["user_in_logs"].as_str().unwrap();
        assert_eq!(looked.listed(&["--user", in_logs]).len(), 2, "{store}");
        world.gate.logged(in_logs);
        assert!(looked.listed(&["--user", "mallory"]).is_empty(), "{store}");

        // A table says the same to people.
        let (_, table, _) = looked.sessions(&["list"]);
        let name = all[0]["session"].as_str().unwrap();
        assert!(table.starts_with("SESSION       USER"), "{table}");
        let row = table.lines().nth(1).unwrap();
        assert!(
            row.starts_with(name) && row.contains("bob@example.com"),
            "{table}"
        );

        let out = format!("{PUBLIC}/oauth2/sign_out");
        assert_eq!(bob.submit(&out, PUBLIC, "").status, 303);
        assert_eq!(looked.listed(&[]).len(), 2, "{store}: one signed out");
        let mut claims = world.provider.logout_claims("dashboards", "u-alice", "x");
        claims.as_object_mut().unwrap().remove("sid");
        world.gate.clock.advance(SECOND);
        let token = world.provider.sign("logout+jwt", &claims);
        let ended = crate::backchannel::logout(&world.gate, &token);
        assert_eq!(ended.status, 200);
        assert!(
            looked.listed(&[]).is_empty(),
            "{store}: the provider's word"
        );
        world.gate.clock.advance(SECOND);
        let mut alice = world.signed_in("alice");
        assert_eq!(status(&mut alice), 200);
        assert_eq!(looked.listed(&[]).len(), 1, "{store}");
        world.gate.clock.advance(Duration::from_hours(8));
        assert!(looked.listed(&[]).is_empty(), "{store}: not used for long");
    }
}

// By any name of a person, by the name of a session, or all: those are over, at once, and no others;
// and who signs in afterwards is in. Sessions in cookies are no exception.
#[test]
fn a_revocation_ends_whom_it_names_and_nobody_else() {
    let cookies = Looked::after(Kept::of("cookie with disk"), ", single_instance: true");
    for looked in stores().into_iter().chain([cookies]) {
        let (world, store) = (&looked.world, looked.kept.word);
        let mut bob = world.signed_in("bob");
        for name in ["u-alice", "Alice@Example.com", "alice"] {
            let both = [world.signed_in("alice"), world.signed_in("alice")];
            let said = looked.revoked(&["--user", name]);
            let counted = if looked.kept.has_tickets() {
                "2 sessions are over\n"
            } else {
                "all such sessions are over\n"
            };
            assert_eq!(said, counted, "{store}: {name}");
            for mut one in both {
                assert_eq!(status(&mut one), 401, "{store}: {name}");
            }
            assert_eq!(status(&mut bob), 200, "{store}: {name}");
            world.gate.clock.advance(SECOND);
        }
        // By what the log calls it.
        let (mut one, mut other) = (world.signed_in("alice"), world.signed_in("alice"));
        assert_eq!(status(&mut one), 200);
        let is_login = |line: &&str| line.contains("\"event\":\"login\"");
        let logins = || world.gate.log().lines().filter(is_login).count();
        until("not all is logged", || logins() == 1 + 6 + 2);
        let log = world.gate.log();
        let line = log.lines().filter(is_login).nth(7).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        looked.revoked(&["--session", line["session"].as_str().unwrap()]);
        assert_eq!(status(&mut one), 401, "{store}");
        assert_eq!(status(&mut other), 200, "{store}");
        looked.revoked(&["--user", line["user"].as_str().unwrap()]);
        assert_eq!(status(&mut other), 401, "{store}");
        looked.revoked(&["--all"]);
        assert_eq!(status(&mut bob), 401, "{store}");
        world.gate.clock.advance(SECOND);
        let mut again = world.signed_in("bob");
        assert_eq!(status(&mut again), 200, "{store}");
    }
}

// Every act is in the audit log, with who did it; what they typed is in it only as names are.
#[test]
fn every_act_is_in_the_audit_log() {
    let looked = Looked::after(Kept::of("memory"), "");
    let _alice = looked.world.signed_in("alice");
    looked.listed(&["--user", "alice@example.com"]);
    looked.revoked(&["--user", "alice@example.com"]);
    let log = looked.world.gate.logged("sessions_revoked");
    let uid = rustix::process::geteuid().as_raw();
    for event in ["sessions_listed", "sessions_revoked"] {
        let line = log.lines().find(|line| line.contains(event)).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["sessions"], 1, "{line}");
        assert_eq!(line["uid"], uid, "{line}");
        assert_eq!(line["of"], "user", "{line}");
    }
    assert!(!log.contains("alice@example.com"), "{log}");
}

// A revocation at one of the gates that share a Redis is one at all of them.
#[test]
fn a_revocation_at_one_gate_is_one_at_all() {
    for word in ["redis", "cookie with redis"] {
        let looked = Looked::after(Kept::of(word), "");
        let world = &looked.world;
        let other = looked.kept.gate(&world.provider, &world.app, "");
        other.await_providers();
        let (alice, bob) = (world.signed_in("alice"), world.signed_in("bob"));
        let there = |browser: &Browser| browser.clone().resolve(PUBLIC, other.address);
        assert_eq!(status(&mut there(&alice)), 200, "{word}");
        looked.revoked(&["--user", "alice"]);
        let begun = Instant::now();
        until("it was not heard of", || status(&mut there(&alice)) == 401);
        assert!(begun.elapsed() < SECOND, "{word}");
        assert_eq!(status(&mut there(&bob)), 200, "{word}");
        // While Redis is away it is over here, and that it may not be elsewhere is no secret.
        let redis = looked.kept.redis.as_ref().unwrap();
        redis.signal("-STOP");
        world.gate.clock.advance(SECOND);
        let (exit, _, err) = looked.sessions(&["revoke", "--user", "bob"]);
        assert_eq!(exit, 1, "{err}");
        assert!(err.contains("over here"), "{err}");
        assert_eq!(status(&mut bob.clone()), 401, "{word}");
        redis.signal("-CONT");
        until("it was not told", || status(&mut there(&bob)) == 401);
    }
}

// What cannot be done is said, with what could be done instead.
#[test]
fn what_cannot_be_done_is_said() {
    let looked = Looked::after(Kept::of("cookie"), "");
    let (exit, _, err) = looked.sessions(&["list"]);
    assert_eq!(exit, 1);
    assert!(err.contains("cookies"), "{err}");
    let mut alice = looked.world.signed_in("alice");
    looked.world.gate.clock.advance(SECOND);
    let (exit, out, err) = looked.sessions(&["revoke", "--user", "alice"]);
    assert_eq!((exit, out.as_str()), (0, "all such sessions are over\n"));
    assert!(err.contains("at this gate alone"), "{err}");
    assert!(err.contains("until this gate stops"), "{err}");
    assert_eq!(status(&mut alice), 401);
    for nonsense in [
        &["revoke"][..],
        &["revoke", "--all", "--user", "alice"],
        &["revoke", "--user", "a", "--session", "b"],
        &[],
    ] {
        assert_eq!(looked.sessions(nonsense).0, 64, "{nonsense:?}");
    }
    drop(looked.world);
    assert!(!looked.folder.path().join("admin.sock").exists());
    let file = looked.folder.path().join("sidegate.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let run = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_sidegate"))
            .args(["sessions", "list"])
            .current_dir(looked.folder.path())
            .output()
            .unwrap();
        (
            run.status.code().unwrap(),
            String::from_utf8(run.stderr).unwrap(),
        )
    };
    let (exit, err) = run(&text);
    assert!(exit == 1 && err.contains("does not answer"), "{err}");
    let (exit, err) = run("colour: red\n");
    assert!(exit == 78 && err.contains("no `admin` socket"), "{err}");
    let (exit, err) = run("admin: { address: \"127.0.0.1:9\" }\n");
    assert!(exit == 78 && err.contains("unix:"), "{err}");
}

/// The status of a request over the socket.
fn asked(looked: &Looked, request: &str) -> u16 {
    let mut stream = UnixStream::connect(looked.socket()).unwrap();
    // It may be answered, and closed, before it is sent whole.
    drop(stream.write_all(request.as_bytes()));
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    answer.split(' ').nth(1).unwrap_or("0").parse().unwrap_or(0)
}

// The socket is its owner's alone; nonsense there ends nothing, and a crowd that says nothing is no harm
// to the app's people.
#[test]
fn the_socket_is_for_its_owner_and_nonsense_ends_nothing() {
    let looked = Looked::after(Kept::of("memory"), "");
    let mode = std::fs::metadata(looked.socket()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let mut alice = looked.world.signed_in("alice");
    looked.world.gate.clock.advance(SECOND);
    let post = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let all = json!("everybody").to_string();
    let huge = format!("{{\"user\":\"{}\"}}", "x".repeat(64 * 1024));
    for (request, status) in [
        (post("/sessions/revoke", ""), 400),
        (post("/sessions/revoke", "{}"), 400),
        (post("/sessions/revoke", &huge), 400),
        (post("/sessions/revoke?all", "{\"all\":true}"), 400),
        (post("/sessions", &all), 404),
        (
            "GET /sessions/revoke HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            404,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400),
    ] {
        assert_eq!(asked(&looked, &request), status, "{request:.60}");
    }
    let _crowd: Vec<_> = (0..64)
        .map(|_| UnixStream::connect(looked.socket()).unwrap())
        .collect();
    assert_eq!(status(&mut alice), 200);
}
