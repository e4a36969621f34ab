//! Debian's docker-registry behind the gate: layers of 200 MB are pushed in pieces and in one, and
//! pulled again, byte for byte, while the gate holds next to nothing of them.

use std::fmt::Write as _;
use std::process::Command;

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde_json::json;
use url::Url;

use crate::support::instance::PUBLIC;
use crate::support::own_process::OwnProcess;
use crate::support::provider::TestProvider;
use crate::support::raw::{Answer, Wire};
use crate::support::server::Server;

const PIECE: usize = 64 * 1024;
const LAYER: usize = 200 * 1024 * 1024;
/// In KiB.
const LITTLE: u64 = 16 * 1024;
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A registry that is told these lines of `http`.
fn registry(http: &str) -> Server {
    Server::start(|folder, address| {
        let (file, folder) = (folder.join("registry.yml"), folder.display());
        let text = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {folder}/images }} }}\nhttp:\n  addr: {address}\n{http}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(file);
        command
    })
}

/// The piece of a layer that begins at `at`: no two are the same.
fn piece(seed: u64, at: usize) -> Vec<u8> {
    let mut state = seed ^ (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let words = (0..PIECE / 8).flat_map(|_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        (state ^ (state >> 29))
            .wrapping_mul(0xBF58_476D_1CE4_E5B9)
            .to_le_bytes()
    });
    words.collect()
}

fn named(hash: &[u8]) -> String {
    let mut name = "sha256:".to_owned();
    for byte in hash {
        write!(name, "{byte:02x}").unwrap();
    }
    name
}

fn name_of_layer(seed: u64, size: usize) -> String {
    let mut hash = Context::new(&SHA256);
    for at in (0..size).step_by(PIECE) {
        hash.update(&piece(seed, at));
    }
    named(hash.finish().as_ref())
}

/// How the bytes of a request's body are framed.
#[derive(Clone, Copy)]
enum Framed {
    Length,
    Chunks,
}

/// Somebody who is signed in, on one connection to the gate.
struct Client<'a> {
    gate: &'a OwnProcess,
    wire: Wire,
    cookie: String,
    /// The most that the gate held, in KiB.
    most: u64,
}

impl Client<'_> {
    fn begin(&mut self, method: &str, target: &str, fields: &str) {
        let cookie = &self.cookie;
        self.wire.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: gate.test\r\nCookie: {cookie}\r\n{fields}\r\n"
        ));
    }

    fn look(&mut self) {
        self.most = self.most.max(self.gate.resident());
    }

    fn ask(&mut self, method: &str, target: &str, fields: &str, body: &[u8]) -> Answer {
        let length = body.len();
        self.begin(
            method,
            target,
            &format!("{fields}Content-Length: {length}\r\n"),
        );
        self.wire.send(body);
        self.wire.answer_to(method).unwrap()
    }

    /// Sends the bytes `from..to` of a layer.
    fn stream(&mut self, method: &str, target: &str, part: (u64, usize, usize), framed: Framed) {
        let (seed, from, to) = part;
        let framing = match framed {
            Framed::Length => format!("Content-Length: {}", to - from),
            Framed::Chunks => "Transfer-Encoding: chunked".to_owned(),
        };
        self.begin(
            method,
            target,
            &format!("{framing}\r\nContent-Type: application/octet-stream\r\n"),
        );
        for at in (from..to).step_by(PIECE) {
            let bytes = piece(seed, at);
            match framed {
                Framed::Length => self.wire.send(bytes),
                Framed::Chunks => {
                    let size = format!("{PIECE:x}\r\n").into_bytes();
                    self.wire.send([size, bytes, b"\r\n".to_vec()].concat());
                }
            }
            if at % (64 * PIECE) == 0 {
                self.look();
            }
        }
        if matches!(framed, Framed::Chunks) {
            self.wire.send("0\r\n\r\n");
        }
    }

    /// Where an upload goes on: at the name that the browser knows, and never at the registry's own.
    fn place(answer: &Answer) -> String {
        assert_eq!(answer.status, 202, "{answer:?}");
        let place = answer.location().strip_prefix(PUBLIC);
        let place = place.unwrap_or_else(|| panic!("{answer:?}"));
        assert!(place.starts_with("/v2/team/image/blobs/uploads/"));
        place.to_owned()
    }

    fn begin_upload(&mut self) -> String {
        Self::place(&self.ask("POST", "/v2/team/image/blobs/uploads/", "", b""))
    }

    fn push_in_pieces(&mut self, seed: u64, size: usize) -> String {
        let name = name_of_layer(seed, size);
        let mut place = self.begin_upload();
        let framings = [Framed::Length, Framed::Chunks].into_iter().cycle();
        for (quarter, framed) in (0..4).zip(framings) {
            let part = (seed, size / 4 * quarter, size / 4 * (quarter + 1));
            self.stream("PATCH", &place, part, framed);
            let answer = self.wire.answer_to("PATCH").unwrap();
            place = Self::place(&answer);
            let range = format!("0-{}", part.2 - 1);
            assert_eq!(answer.field("range"), Some(range.as_str()));
        }
        let stored = self.ask("PUT", &format!("{place}&digest={name}"), "", b"");
        Self::stored(&stored, &name);
        name
    }

    fn push_in_one(&mut self, seed: u64, size: usize) -> String {
        let name = name_of_layer(seed, size);
        let place = self.begin_upload();
        let target = format!("{place}&digest={name}");
        self.stream("PUT", &target, (seed, 0, size), Framed::Length);
        Self::stored(&self.wire.answer_to("PUT").unwrap(), &name);
        name
    }

    fn stored(answer: &Answer, name: &str) {
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.field("docker-content-digest"), Some(name));
        let there = format!("{PUBLIC}/v2/team/image/blobs/{name}");
        assert_eq!(answer.location(), there);
    }

    /// The length and the name of what comes.
    fn pull(&mut self, name: &str) -> (usize, String) {
        self.begin("GET", &format!("/v2/team/image/blobs/{name}"), "");
        let head = self.wire.head().unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        let length: usize = head.field("content-length").unwrap().parse().unwrap();
        let mut hash = Context::new(&SHA256);
        let (mut came, mut looked) = (0, 0);
        while came < length {
            let bytes = self.wire.some();
            assert!(!bytes.is_empty(), "{came} of {length} bytes");
            hash.update(&bytes);
            came += bytes.len();
            if came - looked > 64 * PIECE {
                looked = came;
                self.look();
            }
        }
        (came, named(hash.finish().as_ref()))
    }
}

// Bodies of any size pass in both directions and none is kept; a registry that is told nothing
// learns its public name from the gate's fields.
#[test]
fn an_image_is_pushed_and_pulled_whole_and_the_gate_keeps_nothing_of_it() {
    let registry = registry("");
    let provider = TestProvider::start();
    let app = format!("http://{}", registry.address);
    let gate = OwnProcess::for_people_of(provider.issuer(), &app);
    let browser = gate.signed_in(&provider, "alice");
    let mut client = Client {
        gate: &gate,
        wire: Wire::connect(gate.address),
        cookie: browser.cookie_field(&Url::parse(PUBLIC).unwrap()),
        most: 0,
    };
    // What is needed once is there after the first of each kind.
    let small = 64 * PIECE;
    for name in [
        client.push_in_pieces(1, small),
        client.push_in_one(2, small),
    ] {
        assert_eq!(client.pull(&name), (small, name));
    }
    let before = gate.resident();
    client.most = before;

    let layers = [
        client.push_in_pieces(3, LAYER),
        client.push_in_one(4, LAYER),
    ];
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": layers}}).to_string();
    let config_name = named(digest(&SHA256, config.as_bytes()).as_ref());
    let place = client.begin_upload();
    let target = format!("{place}&digest={config_name}");
    let stored = client.ask("PUT", &target, "", config.as_bytes());
    Client::stored(&stored, &config_name);
    let layer = |name: &String| json!({"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": LAYER, "digest": name});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": config_name},
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    })
    .to_string();
    let kind = format!("Content-Type: {MANIFEST}\r\n");
    let tag = "/v2/team/image/manifests/latest";
    let answer = client.ask("PUT", tag, &kind, manifest.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.location().starts_with(PUBLIC), "{answer:?}");

    let pulled = client.ask("GET", tag, &format!("Accept: {MANIFEST}\r\n"), b"");
    assert_eq!((pulled.status, pulled.text()), (200, manifest));
    for name in layers {
        assert_eq!(client.pull(&name), (LAYER, name));
    }
    let grown = client.most.saturating_sub(before);
    assert!(grown < LITTLE, "{grown} KiB for layers of 200 MB");
}

// The ways in which a registry can be told where it is to be found.
#[test]
fn uploads_stay_at_the_public_name_however_the_registry_is_told_it() {
    for (http, expected) in [
        ("", PUBLIC),
        ("  host: https://gate.test", PUBLIC),
        ("  relativeurls: true", ""),
    ] {
        let registry = registry(http);
        let app = format!("http://{}", registry.address);
        let gate = OwnProcess::before(&app, "");
        let mut wire = Wire::connect(gate.address);
        // What somebody says about the name is not what the registry hears.
        wire.send("POST /v2/team/image/blobs/uploads/ HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.test;proto=http\r\nContent-Length: 0\r\n\r\n");
        let answer = wire.answer_to("POST").unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        let start = format!("{expected}/v2/team/image/blobs/uploads/");
        assert!(answer.location().starts_with(&start), "{answer:?}");
    }
}
