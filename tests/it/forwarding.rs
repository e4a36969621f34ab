//! The messages themselves: versions, interim answers, early answers, and ways that break.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World, yaml};
use crate::support::raw::{Wire, exchange};
use crate::support::upstream::Upstream;

const PUBLIC_ROUTE: &str = "routes: [{ access: public }]";

/// An app that runs `act` on each connection.
fn app(act: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let act = std::sync::Arc::new(act);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = std::sync::Arc::clone(&act);
            std::thread::spawn(move || act(stream));
        }
    });
    url
}

fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A world whose app is at `url`, open to everybody.
fn before(url: &str, more: &str) -> World {
    let world = World::start();
    let text = yaml(
        world.provider.issuer(),
        url,
        &format!("{PUBLIC_ROUTE}\n{more}"),
    );
    world.gate.reload(&text).unwrap();
    world
}

fn get(world: &World, method: &str, target: &str) -> crate::support::raw::Answer {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
    exchange(world.gate.address, request)
}

#[test]
fn answers_without_a_body_keep_their_fields_and_the_connection() {
    let bare = Upstream::answering(|arrived| {
        match arrived.request_line().split(' ').next() {
            Some("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
            Some("DELETE") => "HTTP/1.1 204 No Content\r\n\r\n",
            _ => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
        }
        .as_bytes()
        .to_vec()
    });
    let world = World::before(bare, PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    for (method, status) in [("HEAD", 200), ("DELETE", 204), ("GET", 304), ("HEAD", 200)] {
        wire.send(format!("{method} /x HTTP/1.1\r\nHost: gate.test\r\n\r\n"));
        let answer = wire.answer_to(method).unwrap();
        assert_eq!(answer.status, status);
        if method == "HEAD" {
            assert_eq!(answer.field("content-length"), Some("12345"));
        }
    }
}

#[test]
fn an_old_client_and_an_old_app_are_understood() {
    let old = app(|mut stream| {
        head_of(&mut stream);
        stream
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold words")
            .unwrap();
    });
    let world = before(&old, "");
    assert_eq!(get(&world, "GET", "/x").body, b"old words");
    let answer = exchange(
        world.gate.address,
        "GET /x HTTP/1.0\r\nHost: gate.test\r\n\r\n",
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, "old words"));
    assert!(answer.field("transfer-encoding").is_none());
}

// J4: interim answers of the app are no answers.
#[test]
fn interim_answers_do_not_stand_for_the_answer() {
    let early = app(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords").unwrap();
    });
    let world = before(&early, "");
    let answer = get(&world, "GET", "/x");
    assert_eq!((answer.status, answer.text().as_str()), (200, "words"));
}

// L6, L7: a refusal does not invite the body, and what follows it is not read as a request.
#[test]
fn a_refused_upload_is_not_invited_and_not_read_as_requests() {
    let world = World::start();
    let mut wire = Wire::connect(world.gate.address);
    wire.send("POST /upload HTTP/1.1\r\nHost: gate.test\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(wire.answer_to("POST").unwrap().status, 401);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n".repeat(1000);
    wire.try_send(smuggled);
    assert!(wire.is_closed());
    assert!(world.app.arrived().is_empty());
}

#[test]
fn an_upload_that_waits_to_be_invited_is_invited() {
    let world = World::with(PUBLIC_ROUTE);
    let mut wire = Wire::connect(world.gate.address);
    wire.send("POST /upload HTTP/1.1\r\nHost: gate.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(wire.head().unwrap().status, 100);
    wire.send("words");
    assert_eq!(wire.answer_to("POST").unwrap().status, 200);
    assert_eq!(world.app.last().body(), b"words");
}

// L6, L7: an answer that comes before the body was read leaves no connection to reuse.
#[test]
fn an_early_answer_leaves_no_connection_in_the_middle_of_a_body() {
    let (tell, told) = mpsc::channel();
    let hasty = app(move |mut stream| {
        let head = head_of(&mut stream);
        let close = if head.starts_with("GET") {
            "Connection: close\r\n"
        } else {
            ""
        };
        let answer = format!("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n{close}\r\nno");
        tell.send(head).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        if !close.is_empty() {
            return;
        }
        // Whatever comes on this connection now is the first request's body.
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"));
    });
    let world = before(&hasty, "");
    let mut upload = Wire::connect(world.gate.address);
    upload.send("POST /upload HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000000\r\n\r\npart");
    assert_eq!(upload.answer_to("POST").unwrap().status, 413);
    assert!(told.recv().unwrap().starts_with("POST /upload"));
    // The other worker gets a connection too, so that the next one comes to the upload's worker.
    let mut other = Wire::connect(world.gate.address);
    other.send("GET /other HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(other.answer_to("GET").unwrap().status, 413);
    assert!(told.recv().unwrap().starts_with("GET /other "));
    let mut next = Wire::connect(world.gate.address);
    for at in 0..4 {
        next.send(format!(
            "GET /next/{at} HTTP/1.1\r\nHost: gate.test\r\n\r\n"
        ));
        assert_eq!(next.answer_to("GET").unwrap().status, 413);
        assert!(
            told.recv()
                .unwrap()
                .starts_with(&format!("GET /next/{at} ")),
            "a head of its own on a connection of its own"
        );
    }
}

#[test]
fn a_client_that_goes_away_ends_the_request_at_the_app() {
    let (tell, told) = mpsc::channel();
    let patient = app(move |mut stream| {
        head_of(&mut stream);
        tell.send("asked").unwrap();
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            tell.send("gone").unwrap();
        }
    });
    let world = before(&patient, "");
    let mut wire = Wire::connect(world.gate.address);
    wire.send("GET /slow HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(told.recv().unwrap(), "asked");
    drop(wire);
    assert_eq!(told.recv().unwrap(), "gone");
}

#[test]
fn an_app_that_does_not_begin_is_a_gateway_timeout() {
    let silent = app(|mut stream| {
        head_of(&mut stream);
        drop(stream.read(&mut [0]));
    });
    let world = before(&silent, "limits: { upstream_first_byte: 1s }");
    assert_eq!(get(&world, "GET", "/x").status, 504);
}

#[test]
fn an_app_on_a_unix_socket_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 8192];
            drop(stream.read(&mut buffer));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix"));
        }
    });
    let world = before(&format!("unix:{}", path.display()), "");
    assert_eq!(get(&world, "GET", "/x").body, b"unix");
}

// L2: two framings are one, whoever reads them.
#[test]
fn a_request_with_two_framings_reaches_the_app_with_one_or_not_at_all() {
    let world = World::with(PUBLIC_ROUTE);
    for framing in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        world.app.forget();
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "POST /x HTTP/1.1\r\nHost: gate.test\r\n{framing}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n"
        ));
        drop(wire.answer_to("POST"));
        for arrived in world.app.arrived() {
            let count = arrived.text().matches("content-length:").count()
                + arrived.text().matches("transfer-encoding:").count();
            assert!(count <= 1, "{framing}: {}", arrived.text());
        }
    }
}

#[test]
fn a_body_reaches_the_app_whatever_the_method() {
    let world = World::with(PUBLIC_ROUTE);
    for (method, framing, body) in [
        (
            "GET",
            "Transfer-Encoding: chunked",
            "5\r\nwords\r\n0\r\n\r\n",
        ),
        ("GET", "Content-Length: 5", "words"),
        (
            "DELETE",
            "Transfer-Encoding: chunked",
            "5\r\nwords\r\n0\r\n\r\n",
        ),
        ("QUERY", "Content-Length: 5", "words"),
        (
            "OPTIONS",
            "Transfer-Encoding: chunked",
            "5\r\nwords\r\n0\r\n\r\n",
        ),
    ] {
        let mut wire = Wire::connect(world.gate.address);
        wire.send(format!(
            "{method} /search HTTP/1.1\r\nHost: gate.test\r\n{framing}\r\n\r\n{body}"
        ));
        assert_eq!(wire.answer_to(method).unwrap().status, 200, "{method}");
        let arrived = String::from_utf8(world.app.last().body()).unwrap();
        assert!(arrived.contains("words"), "{method} {framing}: {arrived:?}");
        // The connection is in step: the next request is the next request.
        wire.send("GET /next HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        assert_eq!(wire.answer_to("GET").unwrap().status, 200, "{method}");
        assert!(world.app.last().request_line().starts_with("GET /next "));
    }
}

// R: who is to blame is said rightly, so that nobody looks for a fault in the app.
#[test]
fn a_request_that_does_not_come_whole_is_not_the_apps_fault() {
    let waiting = app(|mut stream| {
        head_of(&mut stream);
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let world = before(&waiting, "limits: { idle_between_bytes: 1s }");
    let chunked =
        "POST /x HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwords\r\n";
    let mut broken = Wire::connect(world.gate.address);
    broken.send(format!("{chunked}this is no chunk\r\n"));
    let answer = broken.answer_to("POST").unwrap();
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("body_broken"))
    );
    assert!(broken.is_closed());
    let mut slow = Wire::connect(world.gate.address);
    slow.send(chunked);
    let answer = slow.answer_to("POST").unwrap();
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (408, Some("body_timeout"))
    );
    assert!(slow.is_closed());
}

// J8: a port that is not ours would stand in the links that the app writes.
#[test]
fn the_app_hears_of_no_port_but_ours() {
    let world = World::with(PUBLIC_ROUTE);
    for sent in [
        "gate.test",
        "gate.test:443",
        "gate.test:8443",
        "GATE.test.:80",
    ] {
        let answer = exchange(
            world.gate.address,
            format!("GET /x HTTP/1.1\r\nHost: {sent}\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(answer.status, 200, "{sent}");
        assert_eq!(world.app.last().fields("host"), ["gate.test"], "{sent}");
    }
}

// A 401 body says what a program needs, and sets nothing.
#[test]
fn programs_get_a_problem_document_and_no_cookie() {
    let world = World::start();
    let mut script: Browser = world.browser();
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = script.fetch(method, &format!("{PUBLIC}/api/x?q=1"), "");
        assert_eq!(answer.status, 401, "{method}");
        assert_eq!(
            answer.field("content-type"),
            Some("application/problem+json")
        );
        assert!(answer.field("set-cookie").is_none());
        let challenge = answer.field("www-authenticate").unwrap();
        assert!(challenge.starts_with("Sidegate login="), "{challenge}");
        let body = answer.json();
        for member in ["type", "title", "status", "code", "reference", "login_url"] {
            assert!(body.get(member).is_some(), "{member} in {body}");
        }
        assert_eq!(body["status"], 401);
    }
    let head = script.fetch("HEAD", &format!("{PUBLIC}/api/x"), "");
    assert_eq!((head.status, head.body.len()), (401, 0));
    let call = script.fetch(
        "POST",
        &format!("{PUBLIC}/pkg.Service/Call"),
        "Content-Type: application/grpc\r\n",
    );
    assert_eq!((call.status, call.field("grpc-status")), (200, Some("16")));
    assert!(call.body.is_empty());
    assert!(world.app.arrived().is_empty());
}
