//! Answers of an app that are not what they should be: nobody gets less than they are told, nor what
//! is another's, and a connection on which it happened is never used again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::instance::{World, yaml};
use crate::support::raw::{Answer, Wire, exchange};

const PUBLIC_ROUTE: &str = "routes: [{ access: public }]\nlimits: { upstream_first_byte: 20s }";

/// What is to be seen of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wanted {
    /// We say that there is none.
    Refused,
    /// It breaks off, and that can be seen.
    Broken,
    /// It is whole, with this body.
    Whole(&'static str),
}
use Wanted::{Broken, Refused, Whole};

/// Whether the app keeps its side open afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Closes,
    Waits,
}
use Then::{Closes, Waits};

/// An app that answers whatever is in `next`, and `good` to `/good`.
struct Odd {
    url: String,
    next: Arc<Mutex<(Vec<u8>, Then)>>,
    /// Requests that came on a connection whose last answer was odd.
    misled: Arc<AtomicUsize>,
}

impl Odd {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let next = Arc::new(Mutex::new((Vec::new(), Closes)));
        let misled = Arc::new(AtomicUsize::new(0));
        let (answers, counted) = (Arc::clone(&next), Arc::clone(&misled));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, counted) = (Arc::clone(&answers), Arc::clone(&counted));
                std::thread::spawn(move || drop(serve(stream, &answers, &counted)));
            }
        });
        Self { url, next, misled }
    }
}

fn head_of(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn serve(
    mut stream: TcpStream,
    next: &Mutex<(Vec<u8>, Then)>,
    misled: &AtomicUsize,
) -> std::io::Result<()> {
    while head_of(&mut stream)?.contains(" /good ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")?;
    }
    let (answer, then) = next.lock().unwrap().clone();
    stream.write_all(&answer)?;
    if then == Closes {
        return Ok(());
    }
    let mut more = Vec::new();
    stream.read_to_end(&mut more)?;
    if !more.is_empty() {
        misled.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// All that comes for one request, and how it is to be read.
fn seen(world: &World, method: &str) -> (Answer, bool) {
    let mut wire = Wire::connect(world.gate.address);
    wire.send(format!(
        "{method} /odd HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
    ));
    let all = wire.exactly(usize::MAX);
    let text = String::from_utf8_lossy(&all).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let fields: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let field = |wanted: &str| {
        let mut all = fields.iter().filter(|(name, _)| name == wanted);
        all.next().map(|(_, value)| value.clone())
    };
    let (whole, body) = match (field("transfer-encoding"), field("content-length")) {
        (Some(_), _) => (body.ends_with("0\r\n\r\n"), unchunked(body)),
        (None, Some(length)) if method != "HEAD" && status != 304 => (
            length.parse::<usize>().unwrap() == body.len(),
            body.to_owned(),
        ),
        _ => (true, body.to_owned()),
    };
    let body = body.into_bytes();
    (
        Answer {
            status,
            fields,
            body,
        },
        whole,
    )
}

fn unchunked(text: &str) -> String {
    let (mut rest, mut body) = (text, String::new());
    while let Some((size, more)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else {
            break;
        };
        body.push_str(more.get(..size).unwrap_or(more));
        rest = more.get(size + 2..).unwrap_or_default();
    }
    body
}

fn ok(fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").into_bytes()
}

fn rows() -> Vec<(&'static str, Vec<u8>, Then, Wanted)> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let many = "x-many: 1\r\n".repeat(10_000);
    let large = format!("x-large: {}\r\n", "x".repeat(1024 * 1024));
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(200_000);
    let continued = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2_000);
    let length = |length| format!("Content-Length: {length}\r\n");
    vec![
        ("a good one", ok(&length("5"), "words"), Closes, Whole("words")),
        ("two framings", ok(&format!("{chunked}{}", length("3")), "5\r\nwords\r\n0\r\n\r\n"), Closes, Whole("words")),
        ("two framings, the other way round", ok(&format!("{}{chunked}", length("3")), "5\r\nwords\r\n0\r\n\r\n"), Closes, Whole("words")),
        ("two lengths", ok(&format!("{}{}", length("3"), length("5")), "words"), Waits, Refused),
        ("two lengths in one line", ok(&length("3, 5"), "words"), Waits, Refused),
        ("a length with a sign", ok(&length("+5"), "words"), Waits, Refused),
        ("a length that is none", ok(&length("five"), "words"), Waits, Refused),
        ("a length that is too long", ok(&length("50"), "words"), Closes, Broken),
        ("a length that is too short", ok(&length("5"), "words and more"), Waits, Whole("words")),
        ("an answer behind the answer", ok(&length("5"), "wordsHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"), Waits, Whole("words")),
        ("a chunked one, and an answer behind it", ok(chunked, "5\r\nwords\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"), Waits, Whole("words")),
        ("another coding before the chunks", ok("Transfer-Encoding: gzip, chunked\r\n", "5\r\nwords\r\n0\r\n\r\n"), Waits, Refused),
        ("chunks twice", ok("Transfer-Encoding: chunked, chunked\r\n", "5\r\nwords\r\n0\r\n\r\n"), Waits, Refused),
        ("another coding alone", ok("Transfer-Encoding: identity\r\n", "words"), Closes, Refused),
        ("chunks without an end", ok(chunked, "5\r\nwords\r\n"), Closes, Broken),
        ("a chunk that is cut off", ok(chunked, "50\r\nwords"), Closes, Broken),
        ("a chunk of an odd size", ok(chunked, "5\r\nwords\r\nzz\r\n"), Waits, Broken),
        ("a chunk of a huge size", ok(chunked, "5\r\nwords\r\nfffffffffffffffff\r\nx"), Waits, Broken),
        ("a chunk of a negative size", ok(chunked, "5\r\nwords\r\n-1\r\nx"), Waits, Broken),
        ("a chunk that is longer than it says", ok(chunked, "3\r\nwords\r\n0\r\n\r\n"), Waits, Broken),
        ("a body up to the end", ok("", "words"), Closes, Whole("words")),
        ("lines that end with a line feed alone", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nwords".to_vec(), Closes, Whole("words")),
        ("a field of 1 MiB", ok(&format!("{large}{}", length("5")), "words"), Waits, Refused),
        ("10,000 fields", ok(&format!("{many}{}", length("5")), "words"), Waits, Refused),
        ("a blank before the colon", ok("Content-Length : 5\r\n", "words"), Waits, Refused),
        ("a folded field", ok("X-One: a\r\n b\r\nContent-Length: 5\r\n", "words"), Waits, Refused),
        ("a field without a name", ok(": a\r\nContent-Length: 5\r\n", "words"), Waits, Refused),
        ("a NUL in a field", ok("X-One: a\0b\r\nContent-Length: 5\r\n", "words"), Waits, Refused),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nwords".to_vec(), Waits, Refused),
        ("a status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nwords".to_vec(), Waits, Refused),
        ("a status that is none", b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nwords".to_vec(), Waits, Refused),
        ("another version", b"HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nwords".to_vec(), Waits, Refused),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Waits, Refused),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), Closes, Refused),
        ("nothing", Vec::new(), Closes, Refused),
        ("a switch that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes".to_vec(), Waits, Refused),
        ("interim answers and no other", b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), Closes, Refused),
        ("many interim answers", [continued.into_bytes(), ok(&length("5"), "words")].concat(), Closes, Whole("words")),
        ("a flood of interim answers", [flood.into_bytes(), ok(&length("5"), "words")].concat(), Waits, Refused),
    ]
}

// L12: whatever is wrong with an answer, it is refused or visibly broken, and its connection is done.
#[test]
fn an_answer_that_is_wrong_is_refused_or_visibly_broken() {
    let odd = Odd::start();
    let world = World::start();
    let text = yaml(world.provider.issuer(), &odd.url, PUBLIC_ROUTE);
    world.gate.reload(&text).unwrap();
    let mut wrong = Vec::new();
    // A request without a body and others are sent by different hands.
    let rows = rows().into_iter();
    let rows = rows.flat_map(|row| ["GET", "POST"].map(|method| (method, row.clone())));
    for (method, (what, answer, then, wanted)) in rows {
        *odd.next.lock().unwrap() = (answer, then);
        let (answer, whole) = seen(&world, method);
        let got = match (answer.status, whole) {
            (502, true) => "Refused".to_owned(),
            (200, false) => "Broken".to_owned(),
            (status, whole) => format!("{status} {whole} {:?}", answer.text()),
        };
        let wanted = match wanted {
            Refused | Broken => format!("{wanted:?}"),
            Whole(body) => format!("200 true {body:?}"),
        };
        if got != wanted {
            wrong.push(format!("{method}, {what}: {got}, not {wanted}"));
        }
        // Both workers go on, and neither on that connection.
        for _ in 0..4 {
            let request = "GET /good HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
            assert_eq!(
                exchange(world.gate.address, request).text(),
                "good",
                "{what}"
            );
        }
        let misled = odd.misled.swap(0, Ordering::SeqCst);
        if misled > 0 {
            wrong.push(format!("{method}, {what}: the connection was used again"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// L11, L12: what has no body has none, whatever the app sends behind it.
#[test]
fn what_may_have_no_body_has_none() {
    let odd = Odd::start();
    let world = World::start();
    let text = yaml(world.provider.issuer(), &odd.url, PUBLIC_ROUTE);
    world.gate.reload(&text).unwrap();
    for (method, status, line) in [
        ("HEAD", 200, "200 OK"),
        ("GET", 204, "204 No Content"),
        ("POST", 204, "204 No Content"),
        ("GET", 304, "304 Not Modified"),
        ("POST", 304, "304 Not Modified"),
    ] {
        for fields in [
            "Content-Length: 60\r\n",
            "Transfer-Encoding: chunked\r\n",
            "",
        ] {
            let answer = format!(
                "HTTP/1.1 {line}\r\n{fields}\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
            );
            *odd.next.lock().unwrap() = (answer.into_bytes(), Waits);
            let (answer, _) = seen(&world, method);
            let told = (answer.status, answer.text());
            assert!(
                told == (status, String::new()) || answer.status == 502,
                "{method} {line} {fields}: {told:?}"
            );
            for _ in 0..4 {
                let request = "GET /good HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";
                assert_eq!(exchange(world.gate.address, request).text(), "good");
            }
            assert_eq!(
                odd.misled.load(Ordering::SeqCst),
                0,
                "{method} {line} {fields}"
            );
        }
    }
}

// An app that closes while a body is still being sent to it has the last word, if it said one.
#[test]
fn an_app_that_closes_while_it_is_sent_a_body_is_heard() {
    let odd = Odd::start();
    let world = World::start();
    let text = yaml(world.provider.issuer(), &odd.url, PUBLIC_ROUTE);
    world.gate.reload(&text).unwrap();
    for (answer, status) in [
        (
            &b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"[..],
            413,
        ),
        (b"", 502),
    ] {
        *odd.next.lock().unwrap() = (answer.to_vec(), Closes);
        let mut wire = Wire::connect(world.gate.address);
        wire.send("POST /odd HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000000\r\n\r\npart");
        assert_eq!(wire.answer_to("POST").unwrap().status, status);
    }
}
