//! WebSocket tunnels: their end is told in their own language, and while nothing moves they cost
//! next to nothing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::own_process::OwnProcess;
use crate::support::provider::TestProvider;
use crate::support::raw::{PATIENCE, Wire};

const OPEN: &str = "routes: [{ access: public }]";
const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// What the app's answer holds besides.
const BINARY_300: [u8; 4] = [0x82, 126, 0x01, 0x2C];

/// An app that switches, and hands over each connection then.
fn app() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            if stream.write_all(SWITCHES.as_bytes()).is_ok() && tell.send(stream).is_err() {
                return;
            }
        }
    });
    (url, told)
}

/// A gate before `url`.
fn gate(url: &str, limits: &str) -> World {
    let world = World::with(&format!("{OPEN}\n{limits}"));
    let text = yaml(world.provider.issuer(), url, &format!("{OPEN}\n{limits}"));
    World {
        gate: Instance::start(&text, world.provider.clock()),
        provider: world.provider,
        app: world.app,
    }
}

fn tunnel(world: &World, app: &Receiver<TcpStream>) -> (Wire, TcpStream) {
    let mut wire = Wire::connect(world.gate.address);
    wire.send(UPGRADE);
    assert_eq!(wire.head().unwrap().status, 101);
    (wire, app.recv_timeout(PATIENCE).unwrap())
}

fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    bytes
}

/// A masked text frame, as browsers send.
fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 1, 2, 3, 4];
    let key = [1, 2, 3, 4].into_iter().cycle();
    frame.extend(text.bytes().zip(key).map(|(byte, key)| byte ^ key));
    frame
}

/// Code and reason of a close frame: unmasked, or masked with whatever key.
fn close(frame: &[u8]) -> (u16, String) {
    assert_eq!(frame[0], 0x88, "{frame:?}");
    let length = usize::from(frame[1] & 0x7F);
    let payload: Vec<u8> = match frame[1] & 0x80 {
        0 => frame[2..].to_vec(),
        _ => {
            let key = frame[2..6].iter().cycle();
            frame[6..].iter().zip(key).map(|(a, b)| a ^ b).collect()
        }
    };
    assert_eq!(payload.len(), length, "{frame:?}");
    let reason = String::from_utf8(payload[2..].to_vec()).unwrap();
    (u16::from_be_bytes([payload[0], payload[1]]), reason)
}

// Q9, N5: the end of the process is told to both sides in a frame of their own: unmasked to the
// browser, masked to the app.
#[test]
fn a_stopping_gate_tells_both_sides_of_a_tunnel_that_it_goes_away() {
    let (url, connections) = app();
    let world = gate(&url, "limits: { drain: 0s }");
    let (mut wire, mut app) = tunnel(&world, &connections);
    wire.send(masked("hello"));
    let mut hello = [0; 11];
    app.read_exact(&mut hello).unwrap();
    assert_eq!(hello[..], masked("hello"));
    app.write_all(b"\x81\x02hi").unwrap();
    assert_eq!(wire.exactly(4), b"\x81\x02hi");

    let stopping = std::thread::spawn(move || drop(world));
    let (from_gate, reason) = (wire.exactly(28), "the server is stopping".to_owned());
    assert_eq!(from_gate[1] & 0x80, 0, "a server masks nothing");
    assert_eq!(close(&from_gate), (1001, reason.clone()));
    let mut to_app = [0; 6 + 24];
    app.read_exact(&mut to_app).unwrap();
    assert_eq!(to_app[1] & 0x80, 0x80, "a client masks everything");
    assert_eq!(close(&to_app), (1001, reason));

    // Each answers in kind; neither hears of the other's any more, and the gate closes then.
    wire.send([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xE9 ^ 2]);
    app.write_all(&[0x88, 2, 0x03, 0xE9]).unwrap();
    assert!(wire.is_closed());
    assert!(rest(&mut app).is_empty());
    stopping.join().unwrap();
}

// Q9, N5: what is said of the end never stands inside a frame, which would be read as its payload.
#[test]
fn a_close_frame_waits_for_the_end_of_the_frame_that_is_under_way() {
    let (url, connections) = app();
    let world = gate(&url, "limits: { drain: 0s }");
    let (mut wire, mut app) = tunnel(&world, &connections);
    app.write_all(&BINARY_300).unwrap();
    app.write_all(&[b'a'; 100]).unwrap();
    assert_eq!(wire.exactly(104).len(), 104);
    let stopping = std::thread::spawn(move || drop(world));
    // The other direction is between frames; once that was told, this one is waited for.
    let mut to_app = [0; 30];
    app.read_exact(&mut to_app).unwrap();
    assert_eq!(close(&to_app).0, 1001);
    app.write_all(&[b'b'; 200]).unwrap();
    app.write_all(b"\x81\x04late").unwrap();
    assert_eq!(wire.exactly(200), [b'b'; 200]);
    assert_eq!(close(&wire.exactly(28)).0, 1001);
    stopping.join().unwrap();
    assert!(wire.is_closed(), "nothing follows a close frame");
}

// Q9: who does not finish its frame, does not answer, or speaks no WebSocket, keeps nobody from stopping.
#[test]
fn no_tunnel_keeps_the_gate_from_stopping() {
    for said in [
        &BINARY_300[..],
        b"hello",
        b"\x81\x02hi",
        b"\x88\x02\x03\xe8",
    ] {
        let (url, connections) = app();
        let world = gate(&url, "limits: { drain: 0s }");
        let (mut wire, mut app) = tunnel(&world, &connections);
        app.write_all(said).unwrap();
        assert_eq!(wire.exactly(said.len()), said);
        drop(world);
        let last = wire.some();
        // After half a frame, no frame at all, or a close frame, nothing may be said.
        match said {
            b"\x81\x02hi" => assert_eq!(close(&last).0, 1001),
            _ => assert!(last.is_empty(), "{last:?}"),
        }
        rest(&mut app);
    }
}

// N5: a tunnel that nobody uses ends in its own language, too.
#[test]
fn a_tunnel_that_stands_still_is_told_why_it_ends() {
    let (url, connections) = app();
    let world = gate(&url, "limits: { websocket_idle: 1s }");
    let (mut wire, mut app) = tunnel(&world, &connections);
    let told = wire.exactly(2 + 2 + "nothing was said for too long".len());
    assert_eq!(
        close(&told),
        (1001, "nothing was said for too long".to_owned())
    );
    assert_eq!(app.read(&mut [0; 1]).unwrap(), 1);
}

// N4: bytes pass as they are, in any pieces, whoever is slow, and each direction ends by itself.
#[test]
fn what_passes_a_tunnel_arrives_whole_and_each_direction_ends_by_itself() {
    let (url, connections) = app();
    let world = gate(&url, "");
    let (mut wire, mut app) = tunnel(&world, &connections);
    let many: Vec<u8> = (0..16 * 1024 * 1024_u32)
        .map(|at| at.to_le_bytes()[at as usize % 4])
        .collect();
    let sent = many.clone();
    // The app says everything before it reads anything, and reads to the end.
    let app = std::thread::spawn(move || {
        app.write_all(&sent).unwrap();
        app.shutdown(Shutdown::Write).unwrap();
        rest(&mut app)
    });
    assert!(wire.exactly(many.len()) == many);
    assert!(wire.is_closed(), "the app has said everything");
    wire.send(&many);
    wire.finish_sending();
    assert!(app.join().unwrap() == many);
}

// N5: idle tunnels are many; each may cost 24 KiB of the gate's memory at most.
#[test]
fn an_idle_tunnel_holds_no_buffer() {
    const MANY: u64 = 300;
    let (url, connections) = app();
    let gate = OwnProcess::before(&url, "");
    let open = || {
        let mut wire = Wire::connect(gate.address);
        wire.send(UPGRADE);
        assert_eq!(wire.head().unwrap().status, 101);
        let mut app = connections.recv_timeout(PATIENCE).unwrap();
        // Both directions have moved something.
        wire.send(masked("hello"));
        app.read_exact(&mut [0; 11]).unwrap();
        app.write_all(b"\x81\x02hi").unwrap();
        assert_eq!(wire.exactly(4), b"\x81\x02hi");
        (wire, app)
    };
    let _first: Vec<_> = (0..50).map(|_| open()).collect();
    let before = gate.resident();
    let _more: Vec<_> = (0..MANY).map(|_| open()).collect();
    let more = gate.resident().saturating_sub(before);
    assert!(more <= 24 * MANY, "{more} KiB for {MANY} idle tunnels");
}

/// Alice, who has not been at the app, which switches whatever it is asked.
fn signed_in(gate: &Instance) -> Browser {
    signed_in_as(gate, "alice")
}

fn signed_in_as(gate: &Instance, username: &str) -> Browser {
    let mut browser = Browser::new().resolve(PUBLIC, gate.address);
    let callback = browser.reach_callback(&format!("{PUBLIC}/"), username);
    assert_eq!(browser.open(callback.as_str()).status, 303);
    browser
}

/// A tunnel of hers, and the app's end of it.
fn tunnel_of(browser: &Browser, gate: &Instance, app: &Receiver<TcpStream>) -> (Wire, TcpStream) {
    let mut wire = Wire::connect(gate.address);
    let cookie = browser.cookie_field(&PUBLIC.parse().unwrap());
    wire.send(UPGRADE.replace("\r\n\r\n", &format!("\r\nCookie: {cookie}\r\n\r\n")));
    assert_eq!(wire.head().unwrap().status, 101);
    (wire, app.recv_timeout(PATIENCE).unwrap())
}

// G13, N5: signing out ends the tunnels of the session, of every worker, and none of another one.
#[test]
fn signing_out_ends_the_tunnels_of_the_session_and_no_others() {
    let (url, connections) = app();
    let provider = TestProvider::start();
    register(&provider, "dashboards", "/oauth2/callback");
    let text = yaml(provider.issuer(), &url, "");
    let gate = Instance::start(&text, &provider.clock().clone());
    gate.await_providers();
    let (mut browser, other) = (signed_in(&gate), signed_in(&gate));
    let own: Vec<_> = (0..4)
        .map(|_| tunnel_of(&browser, &gate, &connections))
        .collect();
    let (mut others, mut others_app) = tunnel_of(&other, &gate, &connections);
    let out = browser.submit(
        &format!("{PUBLIC}/oauth2/sign_out"),
        &format!("{PUBLIC}/"),
        "",
    );
    assert_eq!(out.status, 303);
    for (mut wire, mut app) in own {
        let told = wire.exactly(2 + 2 + "the session has ended".len());
        assert_eq!(close(&told), (1008, "the session has ended".to_owned()));
        assert_eq!(app.read(&mut [0; 1]).unwrap(), 1);
    }
    others.send(masked("hello"));
    others_app.read_exact(&mut [0; 11]).unwrap();
}

// G13: and so does the provider's call.
#[test]
fn a_logout_token_ends_the_tunnels_of_its_subject_and_no_others() {
    let (url, connections) = app();
    let provider = TestProvider::start();
    register(&provider, "dashboards", "/oauth2/callback");
    let text = yaml(provider.issuer(), &url, "");
    let text = text.replace("session: { ", "session: { single_instance: true, ");
    let gate = Instance::start(&text, &provider.clock().clone());
    gate.await_providers();
    let (alice, bob) = (signed_in(&gate), signed_in_as(&gate, "bob"));
    let (mut own, mut own_app) = tunnel_of(&alice, &gate, &connections);
    let (mut others, mut others_app) = tunnel_of(&bob, &gate, &connections);
    let mut claims = provider.logout_claims("dashboards", "u-alice", "x");
    claims.as_object_mut().unwrap().remove("sid");
    let token = provider.sign("logout+jwt", &claims);
    assert_eq!(crate::backchannel::logout(&gate, &token).status, 200);
    let told = own.exactly(2 + 2 + "the session has ended".len());
    assert_eq!(close(&told), (1008, "the session has ended".to_owned()));
    assert_eq!(own_app.read(&mut [0; 1]).unwrap(), 1);
    others.send(masked("hello"));
    others_app.read_exact(&mut [0; 11]).unwrap();
}

// N5: a tunnel ends with the session that opened it, and both sides hear that it was no accident.
#[test]
fn a_tunnel_ends_with_its_session_and_says_so() {
    let (url, connections) = app();
    let provider = TestProvider::start();
    let clock = provider.clock().clone();
    register(&provider, "dashboards", "/oauth2/callback");
    let text = yaml(provider.issuer(), &url, "");
    let text = text.replace("session: { ", "session: { idle: 5m, absolute: 5m, ");
    let gate = Instance::start(&text, &clock);
    gate.await_providers();
    let browser = signed_in(&gate);
    clock.advance(Duration::from_secs(5 * 60 - 2));
    let (mut wire, mut app) = tunnel_of(&browser, &gate, &connections);
    let told = wire.exactly(2 + 2 + "the session has ended".len());
    assert_eq!(close(&told), (1008, "the session has ended".to_owned()));
    assert_eq!(app.read(&mut [0; 1]).unwrap(), 1);
}
