//! A file that the configuration names and that is not there, or is not what it should be: nothing
//! starts, nothing is done without it, and nothing is trusted in its place.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sidegate::config::Verdict;
use sidegate::config::environment::Environment;

use crate::support::instance::{Instance, KEY, PUBLIC, SECRET, World, yaml};
use crate::support::provider::TestProvider;
use crate::support::upstream::Upstream;

/// Every setting that names a file or folder, and what it is called in the configuration below.
const SETTINGS: [(&str, &str); 5] = [
    ("providers[0].client_secret.file", "CLIENT_SECRET"),
    ("providers[0].ca.file", "CA"),
    ("session.keys[0].file", "SESSION_KEY"),
    ("pages.directory", "DIRECTORY"),
    ("pages.logo", "LOGO"),
];

const CONFIG: &str = "public_url: https://gate.test
providers:
  - issuer: https://id.test
    client_id: dashboards
    client_secret: { file: CLIENT_SECRET }
    ca: { file: CA }
session: { keys: [{ file: SESSION_KEY }] }
pages: { directory: DIRECTORY, logo: LOGO }
upstreams: { app: http://127.0.0.1:1 }
listen: [{ address: 127.0.0.1:0 }]
probes: { address: 127.0.0.1:0 }
";

/// Puts something else in a file's place.
type Breakage = fn(&Path);

/// A folder with every file that the configuration names, all of them good.
fn good(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["id.test".to_owned()]).unwrap();
    fs::write(folder.join("CLIENT_SECRET"), SECRET).unwrap();
    fs::write(folder.join("CA"), made.cert.pem()).unwrap();
    fs::write(folder.join("SESSION_KEY"), KEY).unwrap();
    fs::create_dir(folder.join("DIRECTORY")).unwrap();
    fs::write(
        folder.join("DIRECTORY").join("LOGO"),
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
    )
    .unwrap();
    fs::write(folder.join("sidegate.yaml"), CONFIG).unwrap();
}

/// What the binary says and how it ends. One that runs is killed by the test's end, and fails it.
fn said(folder: &Path, command: &str) -> (Option<i32>, String) {
    let output = Command::new("timeout")
        .args([
            "--signal=KILL",
            "60",
            env!("CARGO_BIN_EXE_sidegate"),
            command,
        ])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

// R2: whatever file is missing, is a folder, is empty or is something else: `check` and `run` name
// the setting and nothing starts.
#[test]
fn no_file_that_is_missing_or_broken_is_done_without() {
    let whole = tempfile::tempdir().unwrap();
    good(whole.path());
    let (code, text) = said(whole.path(), "check");
    assert_eq!(code, Some(0), "{text}");
    let breakages: [(&str, Breakage); 4] = [
        ("missing", |_| {}),
        ("of the other kind", |path| {
            if path.ends_with("DIRECTORY") {
                fs::write(path, "").unwrap();
            } else {
                fs::create_dir(path).unwrap();
            }
        }),
        ("broken", |path| {
            if path.ends_with("DIRECTORY") {
                fs::create_dir(path).unwrap();
                fs::write(path.join("error.html"), [0xff, 0xfe]).unwrap();
                fs::write(path.join("LOGO"), "<svg/>").unwrap();
            } else {
                fs::write(path, [0xff, 0xfe, 0x00]).unwrap();
            }
        }),
        ("a link to nowhere", |path| {
            std::os::unix::fs::symlink("/nowhere", path).unwrap();
        }),
    ];
    for (setting, name) in SETTINGS {
        for (how, breakage) in breakages {
            let folder = tempfile::tempdir().unwrap();
            good(folder.path());
            let path = match name {
                "LOGO" => folder.path().join("DIRECTORY").join(name),
                _ => folder.path().join(name),
            };
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            breakage(&path);
            for command in ["check", "run"] {
                let (code, text) = said(folder.path(), command);
                assert_eq!(code, Some(78), "{command}, {setting} {how}: {text}");
                assert!(text.contains(setting), "{command}, {setting} {how}: {text}");
                assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
            }
        }
    }
}

// R2: a file that goes away after it was checked keeps the gate from starting, too, and a reload
// without it changes nothing.
#[test]
fn a_ca_that_went_away_after_the_check_is_not_replaced_by_the_systems() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&path, made.cert.pem()).unwrap();
    let (provider, app) = (TestProvider::start(), Upstream::start());
    let text = yaml(provider.issuer(), &app.url(), "");
    let with_ca = text.replace(
        "    client_id:",
        &format!("    ca: {{ file: {} }}\n    client_id:", path.display()),
    );
    let verdict = Verdict::of_text(&with_ca, &Environment::of_process());
    let config = verdict.config.unwrap();
    let gate = Instance::start(&text, provider.clock());
    fs::remove_file(&path).unwrap();
    let refused = sidegate::app::reload::apply(config, &gate.shared).unwrap_err();
    assert!(refused.to_string().contains("ca.pem"), "{refused}");
    assert!(gate.reload(&with_ca).unwrap_err().contains("ca.file"));
    let world = World {
        provider,
        app,
        gate,
    };
    world.await_provider();
    let mut browser = world.browser();
    assert_eq!(browser.open(&format!("{PUBLIC}/page")).status, 302);
}
