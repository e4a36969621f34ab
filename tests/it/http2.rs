//! HTTP/2 towards clients: what is asked, judged, passed and answered is the same as over HTTP/1.1.

use crate::support::browser::Browser;
use crate::support::frames::{
    CANCEL, DATA, END_STREAM, HEADERS, Http2, NONE, Outcome, PROTOCOL_ERROR, RST_STREAM, WHOLE,
    asking, block, frame, get,
};
use crate::support::instance::World;
use crate::support::raw::{Wire, exchange};
use crate::support::upstream::Upstream;

const LISTEN: &str = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
const OPEN: &str = "routes: [{ access: public }]";

fn world(more: &str) -> World {
    World::listening(LISTEN, more)
}

/// The browser's cookies of the gate.
fn cookies(browser: &Browser) -> Vec<String> {
    let own = browser.jar.iter().filter(|one| one.host == "gate.test");
    own.map(|one| format!("{}={}", one.name, one.value))
        .collect()
}

#[test]
fn a_login_over_http1_is_a_session_over_http2() {
    let world = world("");
    let browser = world.signed_in("alice");
    let mut connection = Http2::connect(world.gate.address);
    let line = cookies(&browser).join("; ");
    let mut fields = asking("GET", "/dash?a=b");
    fields.push(("cookie", &line));
    let answer = connection.ask(&fields).answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "the app saw GET /dash?a=b HTTP/1.1");
    let arrived = world.app.last();
    assert_eq!(arrived.fields("x-forwarded-email"), ["alice@example.com"]);
    assert_eq!(arrived.fields("host"), ["gate.test"]);
    assert!(arrived.fields("cookie").is_empty());
    world.gate.logged(
        "\"protocol\":\"HTTP/2\",\"method\":\"GET\",\"host\":\"gate.test\",\"path\":\"/dash\"",
    );
}

// M9: a cookie in crumbs is one cookie before anybody looks for a session, and ours leave it whole.
#[test]
fn a_session_in_crumbs_is_a_session_and_goes_no_further() {
    let world = world("");
    let browser = world.signed_in("alice");
    let mut connection = Http2::connect(world.gate.address);
    let mut crumbs = vec!["theme=dark".to_owned()];
    crumbs.extend(cookies(&browser));
    crumbs.push("lang=de".to_owned());
    let mut fields = asking("GET", "/");
    fields.extend(crumbs.iter().map(|crumb| ("cookie", crumb.as_str())));
    assert_eq!(connection.ask(&fields).answer().status, 200);
    let arrived = world.app.last();
    assert_eq!(arrived.fields("cookie"), ["theme=dark; lang=de"]);
    assert_eq!(arrived.fields("x-forwarded-email"), ["alice@example.com"]);
    // The parts of a value are no crumbs: nothing is made of two halves of our cookie.
    let own = cookies(&browser).join("; ");
    let (left, right) = own.split_at(own.len() / 2);
    let mut fields = asking("GET", "/");
    fields.extend([("cookie", left), ("cookie", right)]);
    assert_eq!(connection.ask(&fields).answer().status, 401);
}

// J1, M9: whatever is sent over HTTP/2, the app hears who it is from us alone.
#[test]
fn an_identity_cannot_be_brought_over_http2() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let mut fields = asking("GET", "/forged");
    for name in [
        "x-forwarded-user",
        "x-forwarded-email",
        "x_forwarded_user",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "x-real-ip",
        "remote_user",
    ] {
        fields.extend([(name, "forged"), (name, "twice")]);
    }
    assert_eq!(connection.ask(&fields).answer().status, 200);
    let seen = world.app.last().text();
    assert!(!seen.contains("forged\r"), "{seen}");
    assert!(!seen.contains("twice"), "{seen}");
    let arrived = world.app.last();
    assert_eq!(arrived.fields("x-forwarded-proto"), ["https"]);
}

// I9, M2: the host is one, whichever way it is told.
#[test]
fn authority_and_host_name_one_host() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let rows: [(&[(&str, &str)], u16); 9] = [
        (&[(":authority", "gate.test")], 200),
        (&[("host", "gate.test")], 200),
        (&[(":authority", "gate.test"), ("host", "gate.test")], 200),
        (&[(":authority", "GATE.test"), ("host", "gate.TEST")], 200),
        (&[(":authority", "gate.test"), ("host", "other.test")], 400),
        (
            &[(":authority", "gate.test"), ("host", "gate.test:81")],
            400,
        ),
        (&[("host", "gate.test"), ("host", "gate.test")], 400),
        (&[(":authority", "me@gate.test")], 400),
        (&[], 400),
    ];
    for (named, status) in rows {
        world.app.forget();
        let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", "/")];
        fields.extend(named.iter().filter(|(name, _)| name.starts_with(':')));
        fields.extend(named.iter().filter(|(name, _)| !name.starts_with(':')));
        let answer = connection.ask(&fields).answer();
        assert_eq!(answer.status, status, "{named:?}");
        let arrived = world.app.arrived();
        assert_eq!(arrived.len(), usize::from(status == 200), "{named:?}");
        if let Some(arrived) = arrived.first() {
            let host = arrived.fields("host").concat().to_lowercase();
            assert_eq!(host, "gate.test", "{named:?}");
            assert_eq!(arrived.fields("x-forwarded-proto"), ["https"]);
        }
    }
}

#[test]
fn bodies_pass_with_a_length_and_without_whatever_the_method() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET"] {
        let answer = connection
            .post(&asking(method, "/up"), b"of no said length")
            .answer();
        assert_eq!(answer.status, 200, "{method}");
        let arrived = world.app.last();
        assert_eq!(arrived.fields("transfer-encoding"), ["chunked"], "{method}");
        assert!(arrived.text().contains("of no said length"), "{method}");
        let mut fields = asking(method, "/up");
        fields.push(("content-length", "5"));
        assert_eq!(connection.post(&fields, b"exact").answer().status, 200);
        let arrived = world.app.last();
        assert_eq!(arrived.fields("content-length"), ["5"], "{method}");
        assert!(arrived.fields("transfer-encoding").is_empty(), "{method}");
        assert_eq!(arrived.body(), b"exact", "{method}");
    }
    assert_eq!(connection.visit("/none").status, 200);
    let arrived = world.app.last();
    assert!(arrived.fields("transfer-encoding").is_empty());
    assert!(arrived.fields("content-length").is_empty());
}

#[test]
fn answers_without_a_body_have_none_and_interim_ones_are_not_taken_for_them() {
    let app = Upstream::answering(|arrived| {
        let line = arrived.request_line();
        if line.starts_with("HEAD") {
            b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec()
        } else if line.contains("/204") {
            b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nX-Kept: 1\r\n\r\n".to_vec()
        } else if line.contains("/304") {
            b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n".to_vec()
        } else {
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()
        }
    });
    let world = World::listening_before(app, LISTEN, OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let head = connection.ask(&asking("HEAD", "/")).answer();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("1234"))
    );
    assert_eq!(head.body, b"");
    let none = connection.visit("/204");
    assert_eq!((none.status, none.field("x-kept")), (204, Some("1")));
    assert!(none.field("connection").is_none() && none.body.is_empty());
    let same = connection.visit("/304");
    assert_eq!((same.status, same.field("etag")), (304, Some("\"a\"")));
    assert!(same.body.is_empty());
    let whole = connection.visit("/interim");
    assert_eq!((whole.status, whole.text().as_str()), (200, "abc"));
    assert!(whole.field("keep-alive").is_none());
    assert!(whole.field("transfer-encoding").is_none());
}

// M7: nothing but the preface makes HTTP/2 of a connection, and only where that is allowed.
#[test]
fn an_upgrade_to_http2_is_ignored_and_a_preface_decided_by_the_listener() {
    let world = world(OPEN);
    let upgrade = "GET /one HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let answer = exchange(world.gate.address, upgrade);
    assert_eq!(answer.status, 200);
    assert!(world.app.last().fields("upgrade").is_empty());
    assert!(world.app.last().fields("http2-settings").is_empty());
    let closed = World::with(OPEN);
    let mut connection = Http2::connect(closed.gate.address);
    connection.send(get(1, "/two", &[]));
    match connection.outcome(1) {
        Outcome::Gone(None) => {}
        other => panic!("{other:?}"),
    }
    assert!(closed.app.arrived().is_empty());
    // HTTP/1.1 goes on beside it.
    let mut wire = Wire::connect(world.gate.address);
    for target in ["/a", "/b"] {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n"));
        assert_eq!(wire.answer_to("GET").unwrap().status, 200);
    }
}

// M8: WebSockets come over HTTP/1.1; no other tunnel comes at all.
#[test]
fn extended_connect_is_not_offered_and_connect_is_refused() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let settings = connection.await_frame(|came| came.kind == 4).unwrap();
    let offered = settings
        .payload
        .chunks(6)
        .any(|one| one.starts_with(&[0, 8]) && one[5] != 0);
    assert!(!offered, "{settings:?}");
    let mut fields = asking("CONNECT", "/ws");
    fields.extend([(":protocol", "websocket"), ("sec-websocket-version", "13")]);
    match connection.ask(&fields) {
        Outcome::Reset(code) => assert_eq!(code, PROTOCOL_ERROR),
        other => panic!("{other:?}"),
    }
    let refused = connection.ask(&[(":method", "CONNECT"), (":authority", "gate.test:443")]);
    assert_eq!(refused.answer().status, 501);
    assert!(world.app.arrived().is_empty());
}

// L3, M5: the limits of a head are those of HTTP/1.1.
#[test]
fn a_head_beyond_its_limits_is_told_so() {
    let world = world(&format!(
        "limits: {{ target: 1KiB, header_block: 8KiB, header_fields: 20 }}\n{OPEN}"
    ));
    let mut connection = Http2::connect(world.gate.address);
    let long = format!("/{}", "a".repeat(1024));
    assert_eq!(connection.ask(&asking("GET", &long)).answer().status, 414);
    let names: Vec<String> = (0..20).map(|at| format!("x-{at}")).collect();
    let mut fields = asking("GET", "/");
    fields.extend(names.iter().map(|name| (name.as_str(), "1")));
    assert_eq!(
        connection.ask(&fields).answer().status,
        431,
        "with `host` there are 21"
    );
    fields.pop();
    assert_eq!(connection.ask(&fields).answer().status, 200);
    let value = "v".repeat(8 * 1024);
    let mut fields = asking("GET", "/");
    fields.push(("x-large", &value));
    let answer = connection.ask(&fields).answer();
    assert_eq!(answer.status, 431);
    assert!(answer.field("sidegate-reference").is_some() || !answer.body.is_empty());
    // Cookies in many crumbs are one field, as they are over HTTP/1.1.
    let mut fields = asking("GET", "/");
    fields.extend(std::iter::repeat_n(("cookie", "a=b"), 100));
    assert_eq!(connection.ask(&fields).answer().status, 200);
    // Far beyond, nothing is read of it.
    let value = "v".repeat(64 * 1024);
    let mut fields = asking("GET", "/");
    fields.push(("x-huge", &value));
    match connection.ask(&fields) {
        Outcome::Answered(answer) => assert_eq!(answer.status, 431),
        Outcome::Gone(_) => {}
        other @ Outcome::Reset(_) => panic!("{other:?}"),
    }
    assert_eq!(world.app.arrived().len(), 2);
}

#[test]
fn many_requests_at_once_get_each_its_own_answer() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let streams: Vec<u32> = (0..100).map(|_| connection.open()).collect();
    for &stream in &streams {
        connection.send(get(stream, &format!("/of/{stream}"), &[]));
    }
    let mut ended = std::collections::HashMap::new();
    while ended.len() < streams.len() {
        let came = connection.await_frame(|came| came.kind == DATA).unwrap();
        let text: &mut String = ended.entry(came.stream).or_default();
        text.push_str(&String::from_utf8_lossy(&came.payload));
    }
    for (stream, text) in ended {
        assert_eq!(text, format!("the app saw GET /of/{stream} HTTP/1.1"));
    }
}

// Client gone means upstream aborted, for this request alone.
#[test]
fn a_request_that_is_given_up_is_given_up_at_the_app() {
    let (tell, told) = std::sync::mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Read as _;
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read) = stream.read(&mut buffer) {
                    tell.send(read > 0).ok();
                    if read == 0 {
                        return;
                    }
                }
                tell.send(false).ok();
            });
        }
    });
    let silent = World::listening_at(&format!("http://{address}"), LISTEN, OPEN);
    let mut connection = Http2::connect(silent.gate.address);
    let stream = connection.open();
    connection.send(get(stream, "/never", &[]));
    assert!(told.recv().unwrap(), "the request arrived");
    connection.send(frame(RST_STREAM, NONE, stream, &CANCEL.to_be_bytes()));
    assert!(!told.recv().unwrap(), "the connection to the app ended");
}

#[test]
fn grpc_is_refused_in_trailers_and_never_led_to_sign_in() {
    let world = world(
        "routes: [{ match: { path: /admin/** }, access: { groups: [nobody] } }, { access: signed_in }]",
    );
    let mut connection = Http2::connect(world.gate.address);
    for method in ["POST", "GET"] {
        let mut fields = asking(method, "/greeter.Greeter/SayHello");
        fields.extend([
            ("content-type", "application/grpc+proto"),
            ("te", "trailers"),
            ("accept", "text/html"),
            ("sec-fetch-mode", "navigate"),
        ]);
        let refused = connection.ask(&fields).answer();
        assert_eq!(refused.status, 200, "{method}");
        assert_eq!(refused.field("grpc-status"), Some("16"), "{method}");
        assert!(refused.field("grpc-message").is_some_and(str::is_ascii));
        assert!(refused.field("location").is_none());
        assert!(refused.field("set-cookie").is_none());
        assert_eq!(refused.body, b"");
    }
    let browser = world.signed_in("alice");
    let line = cookies(&browser).join("; ");
    let mut fields = asking("POST", "/admin/Delete");
    fields.extend([
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("cookie", &line),
    ]);
    let denied = connection.ask(&fields).answer();
    assert_eq!(
        (denied.status, denied.field("grpc-status")),
        (200, Some("7"))
    );
    assert_eq!(
        world
            .app
            .arrived()
            .iter()
            .filter(|one| one.request_line().contains("/admin"))
            .count(),
        0
    );
}

// Constant memory is the floods' matter; that every byte comes is this one's.
#[test]
fn large_bodies_pass_both_ways_within_small_windows() {
    const LENGTH: usize = 3 * 1024 * 1024;
    let app = Upstream::answering(|arrived| {
        let body = arrived.body();
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend(body);
        answer
    });
    let world = World::listening_before(app, LISTEN, OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let stream = connection.open();
    let length = LENGTH.to_string();
    let mut fields = asking("POST", "/echo");
    fields.push(("content-length", &length));
    connection.send_block(stream, &block(&fields), NONE);
    let body: Vec<u8> = (0..LENGTH)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let (mut window, mut common) = (512 * 1024_usize, 65_535_usize);
    let mut sent = 0;
    while sent < LENGTH {
        let most = (LENGTH - sent).min(16_384).min(window).min(common);
        if most == 0 {
            let update = connection.await_frame(|came| came.kind == 8).unwrap();
            let more = u32::from_be_bytes(update.payload.clone().try_into().unwrap()) as usize;
            if update.stream == 0 {
                common += more;
            } else {
                window += more;
            }
            continue;
        }
        let last = if sent + most == LENGTH {
            END_STREAM
        } else {
            NONE
        };
        connection.send(frame(DATA, last, stream, &body[sent..sent + most]));
        (sent, window, common) = (sent + most, window - most, common - most);
    }
    let answer = connection.outcome(stream).answer();
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
}

#[test]
fn a_head_in_several_frames_is_one() {
    let world = world(OPEN);
    let mut connection = Http2::connect(world.gate.address);
    let stream = connection.open();
    let block = block(&asking("GET", "/pieces"));
    connection.send(frame(HEADERS, END_STREAM, stream, &[]));
    for piece in block.chunks(block.len().div_ceil(3)) {
        connection.send(frame(9, NONE, stream, piece));
    }
    connection.send(frame(9, WHOLE & 4, stream, &[]));
    assert_eq!(connection.outcome(stream).answer().status, 200);
}

// An answer to HEAD has the fields of that to GET and no byte of its body (RFC 9110 section 9.3.2).
#[test]
fn no_answer_to_head_has_a_body_whoever_gives_it() {
    let world = world("routes: [{ match: { path: /app }, access: public }, { access: signed_in }]");
    let mut connection = Http2::connect(world.gate.address);
    for (path, status) in [("/app", 200), ("/refused", 401), ("/oauth2/nothing", 404)] {
        let mut fields = asking("GET", path);
        fields.push(("accept", "application/json"));
        let get = connection.ask(&fields).answer();
        assert!(get.status == status && !get.body.is_empty(), "{path}");
        fields[0] = (":method", "HEAD");
        let head = connection.ask(&fields).answer();
        assert_eq!((head.status, head.body.len()), (status, 0), "{path}");
        if path != "/app" {
            assert_eq!(
                head.field("content-length"),
                get.field("content-length"),
                "{path}"
            );
        }
    }
}
