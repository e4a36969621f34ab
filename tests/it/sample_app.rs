//! The sample app over its socket: it says who is asking, and has what is hard to carry.

use std::net::SocketAddr;

use http::{Request, StatusCode};
use sidegate::base::clock::{Clock, UnixTime};
use sidegate::demo::sample_app::SampleApp;
use sidegate::demo::serve::ServeError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::wire;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock = Clock::settable(UnixTime::from_seconds(1_800_000_000));
    let app = SampleApp::new("/oauth2", clock).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(sidegate::demo::serve(listener, app, async move {
        drop(stopped.await);
    }));
    Running {
        address,
        stop,
        served,
    }
}

impl Running {
    /// A raw connection that has sent `text`.
    async fn raw(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// Reads until `what` has arrived, and gives everything up to there.
async fn read_until(stream: &mut TcpStream, what: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.ends_with(what) {
        seen.push(stream.read_u8().await.unwrap());
    }
    seen
}

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn the_page_greets_by_name_and_shows_every_header() {
    let app = start().await;
    let request = Request::get(format!("http://{}/some/where?x=1", app.address))
        .header("X-Forwarded-User", "u-alice")
        .header("X-Forwarded-Email", "alice@example.com")
        .header("X-Forwarded-Preferred-Username", "J%C3%B6rg<b>")
        .header("X-Forwarded-Groups", "admins, dev")
        .header("X-Odd", "<script>alert(1)</script>");
    let response = wire::exchange(request, "").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let html = std::str::from_utf8(response.body()).unwrap();
    assert!(
        html.contains("<h1>Hello, J\u{f6}rg&lt;b&gt;</h1>"),
        "{html}"
    );
    assert!(html.contains("Your groups: admins, dev."), "{html}");
    assert!(html.contains("alice@example.com") && html.contains("u-alice"));
    assert!(
        html.contains("<th scope=\"row\">x-odd</th><td>&lt;script&gt;"),
        "{html}"
    );
    assert_eq!(html.matches("<script>").count(), 1);
    assert!(html.contains("<form method=\"post\" action=\"&#x2f;oauth2/sign_out\">"));
    assert!(html.contains("href=\"&#x2f;oauth2/userinfo\""));
    assert_eq!(response.headers()["referrer-policy"], "same-origin");
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.contains("script-src 'sha256-") && policy.contains("connect-src 'self'"));
}

#[tokio::test]
async fn a_stranger_is_greeted_as_one_and_may_post() {
    let app = start().await;
    let url = format!("http://{}/", app.address);
    for request in [Request::get(&url), Request::post(&url)] {
        let response = wire::exchange(request, "").await.unwrap();
        let html = std::str::from_utf8(response.body()).unwrap();
        assert!(html.contains("<h1>Hello, somebody</h1>"));
        assert!(!html.contains("sign_out"));
    }
}

#[tokio::test]
async fn the_event_stream_begins_at_once_and_ends_with_the_server() {
    let app = start().await;
    let mut stream = app.raw("GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = read_until(&mut stream, b"\r\n\r\n").await;
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200"));
    assert!(head.contains("content-type: text/event-stream"));
    read_until(&mut stream, b"id: 1\ndata: event 1 at 1800000000\n\n").await;
    app.stop.send(()).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    app.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_websocket_echoes_and_is_told_of_the_end() {
    let app = start().await;
    let mut stream = app.raw(HANDSHAKE).await;
    let head = String::from_utf8(read_until(&mut stream, b"\r\n\r\n").await).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=";
    assert!(head.to_lowercase().contains(accept), "{head}");
    // "Hello", masked, from RFC 6455 section 5.7.
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    stream.write_all(&hello).await.unwrap();
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x05Hello");
    app.stop.send(()).unwrap();
    let mut farewell = Vec::new();
    stream.read_to_end(&mut farewell).await.unwrap();
    assert_eq!(farewell, [0x88, 2, 0x03, 0xE9]);
    drop(stream);
    app.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_asks_for_no_websocket_gets_none() {
    let app = start().await;
    let url = format!("http://{}/ws", app.address);
    let response = wire::get(&url).await;
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(response.headers()["upgrade"], "websocket");
    let old = HANDSHAKE.replace("Version: 13", "Version: 8");
    let mut stream = app.raw(&old).await;
    let head = String::from_utf8(read_until(&mut stream, b"\r\n\r\n").await).unwrap();
    assert!(head.starts_with("HTTP/1.1 426"), "{head}");
    assert!(
        head.to_lowercase().contains("sec-websocket-version: 13"),
        "{head}"
    );
}
