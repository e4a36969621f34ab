//! What is open for long ends with its session; and whether it is a use of the session, the operator says.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use sidegate::base::clock::UnixTime;
use sidegate::session::SessionId;
use sidegate::session::evidence::Evidence;
use sidegate::session::presented::{Opener, Presented};

use super::renewal::until;
use super::{HOUR, Kept, MINUTE, status};
use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, register, yaml};
use crate::support::provider::TestProvider;
use crate::support::raw::{PATIENCE, Wire};

const ENDED: &str = "the session has ended";
const SECOND: Duration = Duration::from_secs(1);

/// An app that switches where it is asked to, and hands over each such connection.
fn app() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                loop {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                        head.push(byte[0]);
                    }
                    if head.starts_with(b"GET /socket") {
                        let switches = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                        drop(stream.write_all(switches.as_bytes()));
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        drop(tell.send(stream));
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    if head.is_empty() || stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, told)
}

/// A gate that keeps sessions so, before that app; and an open WebSocket of alice's.
struct Open {
    gate: Instance,
    alice: Browser,
    wire: Wire,
    app: TcpStream,
    id: SessionId,
    _provider: TestProvider,
}

impl Open {
    fn with(kept: &Kept, more: &str) -> Self {
        let (url, connections) = app();
        let provider = TestProvider::start();
        register(&provider, "dashboards", "/oauth2/callback");
        let text = kept.keeps(&yaml(provider.issuer(), &url, ""), more);
        // Nobody is asked anew: the provider's own hours pass with the clock, too.
        let client = "    client_id: dashboards\n";
        let text = text.replace(client, &format!("{client}    refresh_tokens: ignore\n"));
        let gate = Instance::start(&text, provider.clock());
        gate.await_providers();
        let mut alice = Browser::new().resolve(PUBLIC, gate.address);
        let form = alice.visit(&format!("{PUBLIC}/"));
        assert_eq!(alice.sign_in(&form, "alice").answer.status, 200);
        let cookie = alice.cookie_field(&PUBLIC.parse().unwrap());
        let mut wire = Wire::connect(gate.address);
        wire.send(format!("GET /socket HTTP/1.1\r\nHost: gate.test\r\nOrigin: {PUBLIC}\r\nCookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"));
        assert_eq!(wire.head().unwrap().status, 101);
        Self {
            id: session_id(&gate, &cookie, kept),
            app: connections.recv_timeout(PATIENCE).unwrap(),
            gate,
            alice,
            wire,
            _provider: provider,
        }
    }

    /// Whether a message still comes through.
    fn is_open(&mut self) -> bool {
        self.wire.send([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        let mut frame = [0; 8];
        self.app.read_exact(&mut frame).is_ok() && frame.ends_with(b"hi")
    }

    fn assert_closed(&mut self) {
        let told = self.wire.exactly(2 + 2 + ENDED.len());
        assert_eq!(told[..4], [0x88, 23, 0x03, 0xF0], "1008");
    }

    /// When the gate takes the session for ended without use, by what is open.
    fn idle_end(&self) -> Option<UnixTime> {
        self.gate.shared.live.streams.idle_expires_at(&self.id)
    }
}

/// The id that travels in a cookie; any one for tickets, which nobody asks for by it.
fn session_id(gate: &Instance, cookie: &str, kept: &Kept) -> SessionId {
    if kept.has_tickets() {
        return SessionId::from_bytes([0; 16]);
    }
    let generation = gate.shared.current.load_full();
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", cookie.parse().unwrap());
    let opener = Opener::new(&generation.keyring, &generation.names);
    let presented = Presented::read(&headers, &generation.names);
    let limits = generation.config.session.limits;
    match presented.open(&opener, limits, gate.clock.now()) {
        Evidence::Session(session, _) => session.id.clone(),
        other => panic!("{other:?}"),
    }
}

/// In how many seconds the session ends without use, by its own page.
fn idle_left(browser: &mut Browser) -> u64 {
    let url = format!("{PUBLIC}/oauth2/userinfo?passive=1");
    let told = browser.fetch("GET", &url, "").json();
    told["idle_expires_in"].as_u64().unwrap_or(0)
}

// N5: whoever works over a WebSocket alone is not signed out for want of use, in any store; the absolute
// limit ends it all the same.
#[test]
fn what_is_open_is_a_use_of_its_session() {
    for kept in Kept::all() {
        let store = kept.word;
        let mut open = Open::with(&kept, ", recheck: 24h");
        let hours = open.gate.clock.now();
        for hour in 1..=11 {
            open.gate.clock.advance(HOUR);
            let expected = hours.plus((hour + 8) * HOUR);
            if kept.has_tickets() {
                let mut alice = open.alice.clone();
                until("its use was not seen", || {
                    idle_left(&mut alice) > 7 * 3600 + 1800
                });
            } else {
                until("its use was not seen", || open.idle_end() >= Some(expected));
            }
            assert!(open.is_open(), "{store}: hour {hour}");
        }
        assert_eq!(status(&mut open.alice), 200, "{store}: 11 hours later");
        assert!(open.is_open(), "{store}");
        open.gate.clock.advance(13 * HOUR);
        open.assert_closed();
        assert_eq!(status(&mut open.alice), 401, "{store}");
    }
}

// G13, N5: whoever signs in again at the same browser goes on with what is open, and signs out of it, too.
#[test]
fn what_is_open_survives_another_login_and_ends_with_its_sign_out() {
    for kept in Kept::all() {
        let store = kept.word;
        let mut open = Open::with(&kept, ", recheck: 24h");
        for hour in 1..4 {
            open.gate.clock.advance(HOUR);
            let start = format!("{PUBLIC}/oauth2/start?return_to=/x");
            let again = open.alice.visit(&start);
            assert_eq!(again.answer.status, 200, "{store}: {:?}", again.answer);
            assert!(open.is_open(), "{store}: hour {hour}");
        }
        let mut elsewhere = open.alice.clone();
        elsewhere.jar.clear();
        let form = elsewhere.visit(&format!("{PUBLIC}/x"));
        assert_eq!(elsewhere.sign_in(&form, "alice").answer.status, 200);
        let out = format!("{PUBLIC}/oauth2/sign_out");
        assert_eq!(open.alice.submit(&out, PUBLIC, "").status, 303, "{store}");
        open.assert_closed();
        assert_eq!(status(&mut elsewhere), 200, "{store}: another browser");
    }
}

// N5: where requests alone are a use, what is open ends with the session that nobody used.
#[test]
fn where_streams_are_no_use_they_end_with_the_idle_session() {
    for kept in Kept::all() {
        let store = kept.word;
        let mut open = Open::with(&kept, ", recheck: 24h, streams_are_use: false");
        open.gate.clock.advance(7 * HOUR + 59 * MINUTE);
        assert!(open.is_open(), "{store}");
        open.gate.clock.advance(MINUTE);
        open.assert_closed();
        assert_eq!(status(&mut open.alice), 401, "{store}");
    }
}

// N5: requests beside it keep it open, whoever opened it and when.
#[test]
fn where_streams_are_no_use_requests_beside_them_are() {
    for kept in Kept::all() {
        let store = kept.word;
        let mut open = Open::with(&kept, ", recheck: 24h, streams_are_use: false");
        open.gate.clock.advance(7 * HOUR);
        assert_eq!(status(&mut open.alice), 200, "{store}");
        let mut alice = open.alice.clone();
        until("its use was not seen", || idle_left(&mut alice) > 7 * 3600);
        open.gate.clock.advance(7 * HOUR);
        assert!(open.is_open(), "{store}");
        open.gate.clock.advance(HOUR + SECOND);
        open.assert_closed();
    }
}
