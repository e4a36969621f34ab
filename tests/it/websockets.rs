//! WebSockets between a client and an app on `websockets`, which others wrote, through the gate:
//! 100 MB there and back, with and without compression.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use url::Url;

use crate::support::instance::PUBLIC;
use crate::support::own_process::OwnProcess;
use crate::support::provider::TestProvider;
use crate::support::raw::PATIENCE;
use crate::support::server::Server;

/// In KiB.
const LITTLE: u64 = 16 * 1024;

fn support(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/websockets");
    folder.join(name)
}

fn python(script: &str) -> Command {
    let python = std::env::var_os("SIDEGATE_TEST_PYTHON").expect(
        "SIDEGATE_TEST_PYTHON must name the python of a virtual environment with \
         tests/it/support/foreign_client/requirements.txt installed",
    );
    let mut command = Command::new(python);
    command.arg(support(script));
    command
}

/// 100 MB in messages of many sizes; then each side closes once, and the other hears why.
fn echoed(mode: &str) {
    let app = Server::start(|_, address| {
        let mut command = python("echo.py");
        command.arg(address.port().to_string()).arg(mode);
        command
    });
    let provider = TestProvider::start();
    let url = format!("http://{}", app.address);
    let gate = OwnProcess::for_people_of(provider.issuer(), &url);
    let browser = gate.signed_in(&provider, "alice");
    let cookie = browser.cookie_field(&Url::parse(PUBLIC).unwrap());

    let mut command = python("client.py");
    let port = gate.address.port().to_string();
    let mut client = command
        .args([&port, mode, "alice@example.com"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(client.stdin.take().unwrap(), "{cookie}").unwrap();
    let (mut before, mut most, mut last) = (0, 0, String::new());
    for (at, line) in BufReader::new(client.stdout.take().unwrap())
        .lines()
        .enumerate()
    {
        last = line.unwrap();
        most = gate.resident().max(most);
        // What is needed once is there after the first round of sizes.
        if at == 11 {
            before = most;
        }
    }
    assert!(client.wait().unwrap().success(), "{}", app.read("said"));
    assert_eq!(last, "done");
    assert!(before > 0);
    let grown = most - before;
    assert!(grown < LITTLE, "{grown} KiB for 100 MB in both directions");

    let ends = "/echo 4001 the client has had enough\n/closes 4002 the server has had enough\n";
    let late = Instant::now() + PATIENCE;
    while app.read("seen") != ends {
        assert!(Instant::now() < late, "{}", app.read("seen"));
        std::thread::yield_now();
    }
}

// Bytes both ways as they are, and reasons for closing with them.
#[test]
fn a_hundred_megabytes_of_messages_come_back_as_they_went() {
    echoed("plain");
}

// What both sides agreed on in the handshake is theirs.
#[test]
fn compressed_messages_come_back_as_they_went() {
    echoed("deflate");
}
