//! Where one request ends and the next begins: read in one way, by the gate and by the app, or not
//! at all. Each case is sent in one piece and in two, cut at every byte, and a second, marked request
//! follows it.
//!
//! Whatever is sent: the app sees no request that was not asked for, each with one framing, and no
//! byte of a body as a request.

use crate::support::instance::World;
use crate::support::raw::Wire;
use crate::support::upstream::Arrived;

const OPEN: &str = "routes: [{ access: public }]";
const SECOND: &str = "GET /second HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";

/// What may come of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Comes {
    /// An error, the end of the connection, and nothing at the app.
    Refused,
    /// The first request with this body, and perhaps the second.
    Read(&'static str),
    /// The same, and nothing after it: nobody knows where the next request begins.
    ReadAndClosed(&'static str),
}

use Comes::{Read, ReadAndClosed, Refused};

/// The body of a request as the app reads it, whichever its framing.
fn body(arrived: &Arrived) -> String {
    let bytes = arrived.body();
    if arrived.fields("Transfer-Encoding").is_empty() {
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (mut rest, mut body) = (text.as_str(), String::new());
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size of our own making");
        body.push_str(&more[..size]);
        rest = &more[size + 2..];
        if size == 0 {
            break;
        }
    }
    body
}

/// Holds what reached the app against what may.
fn judge(world: &World, case: &str, comes: Comes, statuses: &[u16]) {
    let arrived = world.app.arrived();
    let lines: Vec<_> = arrived.iter().map(Arrived::request_line).collect();
    let report = || format!("{case:?}: {comes:?}, answers {statuses:?}, at the app {lines:?}");
    for one in &arrived {
        let framings = one.fields("Transfer-Encoding").len() + one.fields("Content-Length").len();
        assert!(framings <= 1, "{}: {}", report(), one.text());
        for coding in one.fields("Transfer-Encoding") {
            assert_eq!(coding, "chunked", "{}", report());
        }
        for length in one.fields("Content-Length") {
            let canonical = length.parse::<u64>().unwrap().to_string();
            assert_eq!(length, canonical, "{}", report());
        }
        assert!(
            !one.text().contains('_'),
            "no other field is like one that frames: {}",
            one.text()
        );
    }
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!(arrived.len() <= served.max(1), "{}", report());
    let firsts = arrived.iter().filter(|one| one.text().contains("/first "));
    let firsts: Vec<_> = firsts.map(body).collect();
    let seconds = lines.iter().filter(|line| *line == "GET /second HTTP/1.1");
    let seconds = seconds.count();
    assert_eq!(firsts.len() + seconds, arrived.len(), "{}", report());
    match comes {
        Refused => {
            assert!(arrived.is_empty(), "{}", report());
            let refusal = |status: &u16| matches!(status, 400 | 411 | 431 | 501 | 505);
            assert!(
                statuses.len() == 1 && statuses.iter().all(refusal),
                "{}",
                report()
            );
        }
        Read(wanted) => {
            assert_eq!(firsts, [wanted], "{}", report());
            assert_eq!(seconds, 1, "{}", report());
        }
        ReadAndClosed(wanted) => {
            assert_eq!(firsts, [wanted], "{}", report());
            assert_eq!(seconds, 0, "{}", report());
        }
    }
}

/// Sends `pieces` and the second request; judges what comes of it.
fn send(world: &World, pieces: &[&[u8]], case: &str, comes: Comes) {
    world.app.forget();
    let mut wire = Wire::connect(world.gate.address);
    for piece in pieces {
        wire.try_send(piece);
    }
    wire.try_send(SECOND);
    let mut statuses = Vec::new();
    let first = case.split(' ').next().unwrap_or_default();
    let mut methods = [first].into_iter().chain(std::iter::repeat("GET"));
    while let Some(answer) = wire.answer_to(methods.next().unwrap_or_default()) {
        statuses.push(answer.status);
    }
    judge(world, case, comes, &statuses);
}

/// Each case in one piece, and in two.
fn run(cases: &[(String, Comes)]) {
    let world = World::with(OPEN);
    for (case, comes) in cases {
        let bytes = case.as_bytes();
        send(&world, &[bytes], case, *comes);
        for cut in 1..bytes.len() {
            let (first, rest) = bytes.split_at(cut);
            send(&world, &[first, rest], case, *comes);
        }
    }
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /first HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n\r\n{body}")
}

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

fn transfer_codings() -> Vec<(String, Comes)> {
    let te = |value: &str, comes| (post(&format!("Transfer-Encoding: {value}"), CHUNKS), comes);
    let fields = |fields: &str, comes| (post(fields, CHUNKS), comes);
    vec![
        te("chunked", Read("hello")),
        te("CHUNKED", Read("hello")),
        te("  chunked\t", Read("hello")),
        fields("transfer-ENCODING: chunked", Read("hello")),
        te("identity", Refused),
        te("gzip, chunked", Refused),
        te("chunked, identity", Refused),
        te("chunked, chunked", Refused),
        te("xchunked", Refused),
        te("chunked;x=1", Refused),
        te("\u{b}chunked", Refused),
        te("chunked\u{c}", Refused),
        te("chun\0ked", Refused),
        te("", Refused),
        te("\r\n chunked", Refused),
        fields("Transfer-Encoding : chunked", Refused),
        fields("Transfer-Encoding\t: chunked", Refused),
        fields(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Refused,
        ),
        fields(
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            Refused,
        ),
        fields(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
            Refused,
        ),
        // Not that field: no body, and what follows is no request.
        fields("Transfer_Encoding: chunked", ReadAndClosed("")),
        fields(
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            ReadAndClosed("hello"),
        ),
        fields(
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            ReadAndClosed("hello"),
        ),
    ]
}

// L1: one transfer coding, `chunked`, or none; beside a length it alone counts, and the connection ends.
#[test]
fn transfer_codings_are_read_in_one_way() {
    run(&transfer_codings());
}

fn lengths() -> Vec<(String, Comes)> {
    let cl = |value: &str, comes| (post(&format!("Content-Length: {value}"), "hello"), comes);
    let fields = |fields: &str, comes| (post(fields, "hello"), comes);
    vec![
        cl("5", Read("hello")),
        cl(" \t5 ", Read("hello")),
        cl("05", Read("hello")),
        fields("Content-Length: 5\r\nContent-Length: 5", Read("hello")),
        fields("Content-Length: 5\r\nContent-Length: 6", Refused),
        fields("Content-Length: 6\r\nContent-Length: 5", Refused),
        cl("5, 5", Refused),
        cl("5,6", Refused),
        cl("+5", Refused),
        cl("-5", Refused),
        cl("-0", Refused),
        cl("0x5", Refused),
        cl("5.0", Refused),
        cl("5e0", Refused),
        cl("1 5", Refused),
        cl("18446744073709551616", Refused),
        cl("99999999999999999999999999", Refused),
        cl("", Refused),
        cl("five", Refused),
        fields("Content-Length : 5", Refused),
        fields("Content_Length: 5", ReadAndClosed("")),
    ]
}

// L2: a length is digits; what a recipient may accept is read one way.
#[test]
fn lengths_are_read_in_one_way() {
    run(&lengths());
}

fn chunks() -> Vec<(String, Comes)> {
    let chunked = |body: &str, comes| (post("Transfer-Encoding: chunked", body), comes);
    vec![
        chunked("5\r\nhello\r\n0\r\n\r\n", Read("hello")),
        chunked("05\r\nhello\r\n000\r\n\r\n", Read("hello")),
        chunked("5;x=y\r\nhello\r\n0;z\r\n\r\n", Read("hello")),
        chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", Read("hello")),
        chunked("0x5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("+5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("-5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("5_0\r\nhello\r\n0\r\n\r\n", Refused),
        chunked(" 5\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("5\nhello\r\n0\r\n\r\n", Refused),
        chunked("5\rhello\r\n0\r\n\r\n", Refused),
        chunked("5;x\ny\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("5\r\nhello\n0\r\n\r\n", Refused),
        chunked("5\r\nhello0\r\n\r\n", Refused),
        chunked("5\r\nhello!\r\n0\r\n\r\n", Refused),
        chunked("5\r\nhello\r\n0\n\r\n", Refused),
        chunked("11111111111111111\r\nhello\r\n0\r\n\r\n", Refused),
        chunked("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", Refused),
    ]
}

// L3: a chunk is its size in hexadecimal, its bytes, and the end of the line; nothing else.
#[test]
fn chunks_are_read_in_one_way() {
    run(&chunks());
}

fn versions() -> Vec<(String, Comes)> {
    let version = |version: &str, comes| {
        let case = format!("GET /first {version}\r\nHost: gate.test\r\n\r\n");
        (case, comes)
    };
    vec![
        version("HTTP/1.1", Read("")),
        version("HTTP/1.0", ReadAndClosed("")),
        version("HTTP/0.9", Refused),
        version("HTTP/1.2", Refused),
        version("HTTP/2.0", Refused),
        version("HTTP/3", Refused),
        version("http/1.1", Refused),
        version("HTTP/1.1 ", Refused),
        version(" HTTP/1.1", Refused),
        version("HTTP/1.10", Refused),
        version("HTTP/01.1", Refused),
        version("", Refused),
        (
            post("Transfer-Encoding: chunked", CHUNKS).replace("HTTP/1.1", "HTTP/1.0"),
            Refused,
        ),
        (
            post("X: y", "hello").replace("HTTP/1.1", "HTTP/1.0"),
            ReadAndClosed(""),
        ),
        (
            post("Content-Length: 5", "hello").replace("HTTP/1.1", "HTTP/1.0"),
            ReadAndClosed("hello"),
        ),
    ]
}

// L4, L9: HTTP/1.1 and 1.0 are spoken; in 1.0 there is no chunked body, and none that the end of the
// connection ends.
#[test]
fn versions_are_read_in_one_way() {
    run(&versions());
}

fn fields() -> Vec<(String, Comes)> {
    let field = |field: &str, comes| {
        let case = format!("GET /first HTTP/1.1\r\nHost: gate.test\r\n{field}\r\n\r\n");
        (case, comes)
    };
    vec![
        field("X: y", Read("")),
        field("X:", Read("")),
        field("X : y", Refused),
        field("X\t: y", Refused),
        field("X\0: y", Refused),
        field("X\u{e9}: y", Refused),
        field("X", Refused),
        field(": y", Refused),
        field("X: y\rz", Refused),
        field("X: y\0z", Refused),
        field("X: y\r\n z", Refused),
        field("X: y\r\n\tGET /smuggled HTTP/1.1", Refused),
        field("X: y\r\n : z", Refused),
        (
            " GET /first HTTP/1.1\r\nHost: gate.test\r\n\r\n".to_owned(),
            Refused,
        ),
        (
            "GET  /first HTTP/1.1\r\nHost: gate.test\r\n\r\n".to_owned(),
            Refused,
        ),
        (
            "GET\t/first HTTP/1.1\r\nHost: gate.test\r\n\r\n".to_owned(),
            Refused,
        ),
        (
            "GET /first HTTP/1.1\r\n Host: gate.test\r\n\r\n".to_owned(),
            Refused,
        ),
        // RFC 9112 section 2.2: an empty line or several before a request are passed over.
        (
            "\r\nGET /first HTTP/1.1\r\nHost: gate.test\r\n\r\n".to_owned(),
            Read(""),
        ),
    ]
}

// L5: a field is a name, a colon and a value on one line.
#[test]
fn fields_are_read_in_one_way() {
    run(&fields());
}

fn bodies() -> Vec<(String, Comes)> {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    let length = smuggled.len();
    let methods = ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH"];
    let mut cases = Vec::new();
    for method in methods {
        let case = format!(
            "{method} /first HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {length}\r\n\r\n{smuggled}"
        );
        cases.push((
            case,
            Read("GET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
        ));
        let case = format!(
            "{method} /first HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{smuggled}\r\n0\r\n\r\n"
        );
        cases.push((
            case,
            Read("GET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
        ));
    }
    cases
}

// L6: a body is a body with every method, and never the next request.
#[test]
fn no_body_is_read_as_a_request() {
    run(&bodies());
}

/// All cases.
pub(crate) fn corpus() -> Vec<(String, Comes)> {
    [
        transfer_codings(),
        lengths(),
        chunks(),
        versions(),
        fields(),
        bodies(),
    ]
    .concat()
}
