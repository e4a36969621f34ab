//! Every rule of HTTP/2 (RFC 9113) and of its header compression (RFC 7541) that a client can
//! break, broken by hand: what it costs is the connection or the stream, as the rule says.

use crate::support::frames::{
    ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR, GOAWAY, HEADERS, Http2, NONE, PADDED, PING, PRIORITY, PROTOCOL_ERROR,
    PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, WHOLE, WINDOW_UPDATE, asking, block, frame,
    get, integer, literal, setting,
};
use crate::support::instance::World;
use crate::support::upstream::Upstream;

const LISTEN: &str = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
const OPEN: &str = "routes: [{ access: public }]";

/// What a break of a rule costs.
#[derive(Debug, Clone, Copy)]
enum Costs {
    /// Nothing: whatever it is, it is ignored, and the connection goes on.
    Nothing,
    /// The stream with the number 1, by one of these codes; the connection may go with it.
    Stream(&'static [u32]),
    /// The connection, by one of these codes.
    Connection(&'static [u32]),
}
use Costs::{Connection, Nothing, Stream};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
/// Where the rule has a code of its own, the library says `PROTOCOL_ERROR` instead: what it costs is
/// right, the word for it is not.
const SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];
const FLOW: &[u32] = &[FLOW_CONTROL_ERROR, PROTOCOL_ERROR];
const COMPRESSION: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];
/// On a stream that is over: which of the two depends on what is still remembered of it.
const CLOSED: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];

/// A head on stream 1 that more comes after.
fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &block(&asking("POST", "/one")))
}

/// A whole request on stream 1 that the app never answers.
fn held() -> Vec<u8> {
    get(1, "/held", &[])
}

fn head(more: &[u8]) -> Vec<u8> {
    let block = [block(&asking("GET", "/one")), more.to_vec()].concat();
    frame(HEADERS, WHOLE, 1, &block)
}

fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It did not.
    None,
    /// With a GOAWAY that says why.
    Told(u32),
    /// Without.
    Bare,
}

/// How stream 1 was reset, and how the connection ended, if it did: by then all that was sent has
/// been read, and answered to.
fn fate(connection: &mut Http2) -> (Vec<u32>, End) {
    let mut resets = Vec::new();
    for round in [b"round: 1", b"round: 2"] {
        connection.send(frame(PING, NONE, 0, round));
        loop {
            let Some(came) = connection.next() else {
                return (resets, End::Bare);
            };
            let code = |at: usize| u32::from_be_bytes(came.payload[at..at + 4].try_into().unwrap());
            match came.kind {
                GOAWAY if code(4) != 0 => return (resets, End::Told(code(4))),
                RST_STREAM if came.stream == 1 && code(0) != 0 => resets.push(code(0)),
                PING if came.payload == round => break,
                _ => {}
            }
        }
    }
    (resets, End::None)
}

/// Sends each on a connection of its own, and sees what it costs.
fn hold(rows: Vec<(&str, Vec<u8>, Costs)>) {
    let app = Upstream::answering(|arrived| {
        if arrived.request_line().contains("/held") {
            std::thread::park();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    let world = World::listening_before(app, LISTEN, OPEN);
    let mut complaints = Vec::new();
    for (rule, bytes, costs) in rows {
        let mut connection = Http2::greeting(world.gate.address, &[]);
        connection.send(bytes);
        let (resets, end) = fate(&mut connection);
        let fits = match costs {
            Nothing => resets.is_empty() && end == End::None,
            Stream(codes) => match (resets.first(), end) {
                (Some(code), _) => codes.contains(code),
                (None, End::Told(code)) => codes.contains(&code),
                (None, End::None | End::Bare) => false,
            },
            Connection(codes) => matches!(end, End::Told(code) if codes.contains(&code)),
        };
        if !fits {
            complaints.push(format!("{rule}: resets {resets:?}, end {end:?}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    let mut connection = Http2::connect(world.gate.address);
    assert_eq!(connection.visit("/fine").status, 200);
}

// M1: RFC 9113 sections 4 and 5.
#[test]
#[expect(clippy::too_many_lines, reason = "a table, a row a rule")]
fn frames_are_held_to_their_form_and_streams_to_their_states() {
    let reset = || frame(RST_STREAM, NONE, 1, &8_u32.to_be_bytes());
    let update = |stream| frame(WINDOW_UPDATE, NONE, stream, &1_u32.to_be_bytes());
    let large = vec![0; 16_385];
    hold(vec![
        (
            "4.1: an unknown kind is ignored",
            frame(0xbe, 0xff, 0, b"anything"),
            Nothing,
        ),
        (
            "4.1: flags without a meaning are ignored",
            frame(PING, 0xfe, 0, &[0; 8]),
            Nothing,
        ),
        (
            "4.1: the reserved bit is ignored",
            frame(WINDOW_UPDATE, NONE, 1 << 31, &1_u32.to_be_bytes()),
            Nothing,
        ),
        (
            "4.2: DATA of the largest size",
            all(&[open(), frame(DATA, END_STREAM, 1, &large[1..])]),
            Nothing,
        ),
        (
            "4.2: DATA beyond it",
            all(&[open(), frame(DATA, END_STREAM, 1, &large)]),
            Stream(SIZE),
        ),
        (
            "4.2: HEADERS beyond it",
            frame(HEADERS, WHOLE, 1, &large),
            Connection(SIZE),
        ),
        (
            "4.3: a block that is none",
            frame(HEADERS, WHOLE, 1, &[0x40, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Connection(COMPRESSION),
        ),
        (
            "4.3: PRIORITY within a block",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/"))),
                frame(PRIORITY, NONE, 1, &[0, 0, 0, 0, 1]),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "4.3: another HEADERS within a block",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/"))),
                get(3, "/", &[]),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "5.5: an unknown kind within a block",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/"))),
                frame(0xbe, NONE, 0, b"x"),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "5.1: DATA on an idle stream",
            frame(DATA, END_STREAM, 1, b"x"),
            Connection(PROTOCOL),
        ),
        (
            "5.1: RST_STREAM on an idle stream",
            reset(),
            Connection(PROTOCOL),
        ),
        (
            "5.1: WINDOW_UPDATE on an idle stream",
            update(1),
            Connection(PROTOCOL),
        ),
        (
            "5.1: CONTINUATION on an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &[0x82]),
            Connection(PROTOCOL),
        ),
        (
            "5.1: PRIORITY on an idle stream",
            frame(PRIORITY, NONE, 1, &[0, 0, 0, 0, 1]),
            Nothing,
        ),
        (
            "5.1: DATA after the end",
            all(&[held(), frame(DATA, END_STREAM, 1, b"x")]),
            Stream(CLOSED),
        ),
        (
            "5.1: HEADERS after the end",
            all(&[held(), held()]),
            Stream(CLOSED),
        ),
        (
            "5.1: CONTINUATION after the end",
            all(&[held(), frame(CONTINUATION, END_HEADERS, 1, &[0x82])]),
            Connection(CLOSED),
        ),
        (
            "5.1: WINDOW_UPDATE after the end",
            all(&[held(), update(1)]),
            Nothing,
        ),
        (
            "5.1: DATA after a reset",
            all(&[open(), reset(), frame(DATA, END_STREAM, 1, b"x")]),
            Stream(CLOSED),
        ),
        (
            "5.1: HEADERS after a reset",
            all(&[open(), reset(), open()]),
            Stream(CLOSED),
        ),
        (
            "5.1: CONTINUATION after a reset",
            all(&[
                open(),
                reset(),
                frame(CONTINUATION, END_HEADERS, 1, &[0x82]),
            ]),
            Connection(CLOSED),
        ),
        (
            "5.1: WINDOW_UPDATE and RST_STREAM after a reset",
            all(&[open(), reset(), update(1), reset()]),
            Nothing,
        ),
        (
            "5.1.1: a stream of the server's",
            frame(HEADERS, WHOLE, 2, &block(&asking("GET", "/"))),
            Connection(PROTOCOL),
        ),
        (
            "5.1.1: a number below one before",
            all(&[get(5, "/", &[]), get(3, "/", &[])]),
            Connection(CLOSED),
        ),
        (
            "5.3.1: a stream that depends on itself",
            frame(
                HEADERS,
                WHOLE | 0x20,
                1,
                &[vec![0, 0, 0, 1, 9], block(&asking("GET", "/"))].concat(),
            ),
            Stream(PROTOCOL),
        ),
    ]);
}

// M1: RFC 9113 section 6.
#[test]
#[expect(clippy::too_many_lines, reason = "a table, a row a rule")]
fn each_kind_of_frame_is_held_to_its_own_rules() {
    let padded = |length: u8| {
        frame(
            HEADERS,
            WHOLE | PADDED,
            1,
            &[&[length], block(&asking("GET", "/")).as_slice()].concat(),
        )
    };
    hold(vec![
        (
            "6.1: DATA on stream 0",
            frame(DATA, NONE, 0, b"x"),
            Connection(PROTOCOL),
        ),
        (
            "6.1: more padding than there is",
            all(&[
                open(),
                frame(DATA, END_STREAM | PADDED, 1, &[6, 1, 2, 3, 4, 5]),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "6.1: padding that fits",
            all(&[
                open(),
                frame(DATA, END_STREAM | PADDED, 1, &[3, 1, 2, 3, 4, 5]),
            ]),
            Nothing,
        ),
        (
            "6.1: no room for the padding's length",
            all(&[open(), frame(DATA, END_STREAM | PADDED, 1, &[])]),
            Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        (
            "6.2: HEADERS on stream 0",
            frame(HEADERS, WHOLE, 0, &block(&asking("GET", "/"))),
            Connection(PROTOCOL),
        ),
        (
            "6.2: more padding than there is",
            padded(255),
            Connection(PROTOCOL),
        ),
        (
            "6.3: PRIORITY on stream 0",
            frame(PRIORITY, NONE, 0, &[0, 0, 0, 0, 1]),
            Connection(PROTOCOL),
        ),
        (
            "6.3: PRIORITY of four bytes",
            all(&[held(), frame(PRIORITY, NONE, 1, &[0, 0, 0, 0])]),
            Stream(SIZE),
        ),
        (
            "6.4: RST_STREAM on stream 0",
            frame(RST_STREAM, NONE, 0, &[0, 0, 0, 8]),
            Connection(PROTOCOL),
        ),
        (
            "6.4: RST_STREAM of three bytes",
            all(&[held(), frame(RST_STREAM, NONE, 1, &[0, 0, 8])]),
            Connection(SIZE),
        ),
        (
            "6.5: an acknowledgement with a payload",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            Connection(SIZE),
        ),
        (
            "6.5: SETTINGS on a stream",
            frame(SETTINGS, NONE, 1, &setting(3, 1)),
            Connection(PROTOCOL),
        ),
        (
            "6.5: SETTINGS of five bytes",
            frame(SETTINGS, NONE, 0, &[0; 5]),
            Connection(SIZE),
        ),
        (
            "6.5.2: ENABLE_PUSH of 2",
            frame(SETTINGS, NONE, 0, &setting(2, 2)),
            Connection(PROTOCOL),
        ),
        (
            "6.5.2: a window beyond the largest",
            frame(SETTINGS, NONE, 0, &setting(4, 1 << 31)),
            Connection(FLOW),
        ),
        (
            "6.5.2: frames below the least",
            frame(SETTINGS, NONE, 0, &setting(5, 16_383)),
            Connection(PROTOCOL),
        ),
        (
            "6.5.2: frames beyond the largest",
            frame(SETTINGS, NONE, 0, &setting(5, 1 << 24)),
            Connection(PROTOCOL),
        ),
        (
            "6.5.2: an unknown setting is ignored",
            frame(SETTINGS, NONE, 0, &setting(0xff, 1)),
            Nothing,
        ),
        (
            "6.6: PUSH_PROMISE of a client",
            all(&[
                held(),
                frame(
                    PUSH_PROMISE,
                    END_HEADERS,
                    1,
                    &[&[0, 0, 0, 4], block(&asking("GET", "/")).as_slice()].concat(),
                ),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "6.7: PING on a stream",
            frame(PING, NONE, 1, &[0; 8]),
            Connection(PROTOCOL),
        ),
        (
            "6.7: PING of seven bytes",
            frame(PING, NONE, 0, &[0; 7]),
            Connection(SIZE),
        ),
        (
            "6.7: an answer to no PING is ignored",
            frame(PING, ACK, 0, b"unasked!"),
            Nothing,
        ),
        (
            "6.8: GOAWAY on a stream",
            frame(GOAWAY, NONE, 1, &[0; 8]),
            Connection(PROTOCOL),
        ),
        (
            "6.9: an update of nothing to the connection",
            frame(WINDOW_UPDATE, NONE, 0, &[0; 4]),
            Connection(PROTOCOL),
        ),
        (
            "6.9: an update of nothing to a stream",
            all(&[held(), frame(WINDOW_UPDATE, NONE, 1, &[0; 4])]),
            Stream(PROTOCOL),
        ),
        (
            "6.9: an update of three bytes",
            frame(WINDOW_UPDATE, NONE, 0, &[0, 0, 1]),
            Connection(SIZE),
        ),
        (
            "6.9.1: the connection's window beyond the largest",
            frame(WINDOW_UPDATE, NONE, 0, &0x7fff_ffff_u32.to_be_bytes()),
            Connection(FLOW),
        ),
        (
            "6.9.1: a stream's window beyond the largest",
            all(&[
                held(),
                frame(WINDOW_UPDATE, NONE, 1, &0x7fff_ffff_u32.to_be_bytes()),
            ]),
            Stream(FLOW),
        ),
        (
            "6.10: CONTINUATION after the end of a block",
            all(&[open(), frame(CONTINUATION, END_HEADERS, 1, &[])]),
            Connection(PROTOCOL),
        ),
        (
            "6.10: CONTINUATION on stream 0",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/"))),
                frame(CONTINUATION, END_HEADERS, 0, &[]),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "6.10: CONTINUATION on another stream",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/"))),
                frame(CONTINUATION, END_HEADERS, 3, &[]),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "6.10: CONTINUATION after DATA",
            all(&[
                open(),
                frame(DATA, NONE, 1, b"x"),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
            ]),
            Connection(PROTOCOL),
        ),
        (
            "8.1: a second head that ends nothing",
            all(&[open(), open()]),
            Stream(PROTOCOL),
        ),
        (
            "8.4: DATA on a stream that was never promised",
            frame(DATA, NONE, 4, b"x"),
            Connection(PROTOCOL),
        ),
    ]);
}

// M1: RFC 7541.
#[test]
fn header_blocks_are_held_to_the_rules_of_their_compression() {
    let text = |bits: &[u8]| {
        [
            &[0, 1, b'a', 0x80 | u8::try_from(bits.len()).unwrap()],
            bits,
        ]
        .concat()
    };
    hold(vec![
        (
            "2.3.3: an index beyond both tables",
            head(&integer(0x80, 7, 200)),
            Connection(COMPRESSION),
        ),
        (
            "2.3.3: a name beyond both tables",
            head(&[integer(0x40, 6, 200), vec![1, b'a']].concat()),
            Connection(COMPRESSION),
        ),
        (
            "4.2: the size changed at the end of a block",
            head(&[0x20]),
            Connection(COMPRESSION),
        ),
        (
            "5.1: an integer without an end",
            head(&[&[0xff], [0xff; 12].as_slice()].concat()),
            Connection(COMPRESSION),
        ),
        (
            "5.1: an integer that is cut off",
            head(&[0xff]),
            Connection(COMPRESSION),
        ),
        (
            "5.2: a text that is cut off",
            head(&[0, 5, b'a']),
            Connection(COMPRESSION),
        ),
        (
            "5.2: padding of more than seven bits",
            head(&text(&[0x1f, 0xff])),
            Connection(COMPRESSION),
        ),
        (
            "5.2: padding of zeros",
            head(&text(&[0x18])),
            Connection(COMPRESSION),
        ),
        (
            "5.2: the end of the text within it",
            head(&text(&[0xff, 0xff, 0xff, 0xff])),
            Connection(COMPRESSION),
        ),
        ("6.1: the index 0", head(&[0x80]), Connection(COMPRESSION)),
        (
            "6.3: a larger table than was allowed",
            frame(
                HEADERS,
                WHOLE,
                1,
                &[integer(0x20, 5, 1 << 20), block(&asking("GET", "/"))].concat(),
            ),
            Connection(COMPRESSION),
        ),
        (
            "6.3: a smaller one",
            frame(
                HEADERS,
                WHOLE,
                1,
                &[vec![0x20], block(&asking("GET", "/"))].concat(),
            ),
            Nothing,
        ),
        ("a text that is well coded", head(&text(&[0x1f])), Nothing),
        (
            "a field that must not be remembered",
            head(&[&[0x10], literal(b"x-a", b"1").get(1..).unwrap()].concat()),
            Nothing,
        ),
    ]);
}
