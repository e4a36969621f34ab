//! Whoever sends what only costs is hung up on, or costs no more than others; nobody else notices,
//! and the app hears next to nothing of it. What it costs in memory and time is measured by
//! `bench/floods`.

use crate::support::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, Http2, NONE,
    Outcome, PING, PRIORITY, RST_STREAM, SETTINGS, WHOLE, WINDOW_UPDATE, asking, block, frame, get,
    integer, literal, setting,
};
use crate::support::instance::World;
use crate::support::raw::Wire;
use crate::support::upstream::Upstream;

const LISTEN: &str = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
const OPEN: &str = "routes: [{ access: public }]";
/// How often each is done, if the connection takes it for so long.
const TIMES: u32 = 100_000;
const ALIVE: &[u8] = b"alive??!";

/// A gate before an app that never answers `/held`.
fn world() -> World {
    let app = Upstream::answering(|arrived| {
        if arrived.request_line().contains("/held") {
            std::thread::park();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
    });
    World::listening_before(app, LISTEN, OPEN)
}

/// Sends `begin`, then what `each` makes of 0, 1, 2... until that fails; a thread of its own reads
/// meanwhile, as a flood that reads nothing would only block itself. Says whether it was hung up on.
fn flood(world: &World, begin: &[u8], each: impl Fn(u32) -> Vec<u8>) -> bool {
    let mut connection = Http2::connect(world.gate.address);
    let mut reader = connection.wire.another();
    let reading = std::thread::spawn(move || is_answered(&mut reader));
    connection.send(begin);
    let mut frames = (0..TIMES).map(each);
    loop {
        let many: Vec<u8> = frames.by_ref().take(100).flatten().collect();
        if many.is_empty() || !connection.send(many) {
            break;
        }
    }
    connection.send(frame(PING, NONE, 0, ALIVE));
    let ended = !reading.join().unwrap();
    assert_eq!(
        Http2::connect(world.gate.address).visit("/fine").status,
        200
    );
    ended
}

/// Whether the last ping is answered; reads to the end otherwise.
fn is_answered(reader: &mut Wire) -> bool {
    let mut tail = Vec::new();
    loop {
        let more = reader.some();
        if more.is_empty() {
            return false;
        }
        tail.extend(more);
        if tail.windows(ALIVE.len()).any(|window| window == ALIVE) {
            return true;
        }
        tail.drain(..tail.len().saturating_sub(ALIVE.len()));
    }
}

/// The frames of each turn.
type Frames<'a> = &'a dyn Fn(u32) -> Vec<u8>;

// M4: frames that tell of the connection alone, and pieces of a body that are none.
#[test]
fn a_flood_of_frames_that_carry_nothing_ends_its_connection() {
    let world = world();
    let open = frame(HEADERS, END_HEADERS, 1, &block(&asking("POST", "/held")));
    let held = get(1, "/held", &[]);
    let floods: [(&str, &[u8], Frames<'_>); 9] = [
        ("PING", &[], &|_| frame(PING, NONE, 0, &[7; 8])),
        ("answers to PING", &[], &|_| frame(PING, 1, 0, &[7; 8])),
        ("SETTINGS", &[], &|_| frame(SETTINGS, NONE, 0, &[])),
        ("SETTINGS that move windows", &held, &|at| {
            frame(SETTINGS, NONE, 0, &setting(4, at % 2))
        }),
        ("PRIORITY", &[], &|at| {
            frame(PRIORITY, NONE, at * 2 + 1, &[0, 0, 0, 0, 1])
        }),
        ("WINDOW_UPDATE", &held, &|_| {
            frame(WINDOW_UPDATE, NONE, 0, &1_u32.to_be_bytes())
        }),
        ("unknown frames", &[], &|_| frame(0xbe, NONE, 0, &[])),
        ("empty DATA", &open, &|_| frame(DATA, NONE, 1, &[])),
        ("CONTINUATION", &frame(HEADERS, END_STREAM, 1, &[]), &|_| {
            frame(CONTINUATION, NONE, 1, &[])
        }),
    ];
    for (what, begin, each) in floods {
        assert!(flood(&world, begin, each), "{what}");
    }
}

// M4: DATA of one byte is what small messages are made of; what is not taken is bounded.
#[test]
fn one_byte_at_a_time_is_bounded_by_what_the_app_takes() {
    let world = world();
    let open = frame(HEADERS, END_HEADERS, 1, &block(&asking("POST", "/held")));
    flood(&world, &open, |_| frame(DATA, NONE, 1, b"x"));
}

// M4: rapid reset, and resets that we are provoked to.
#[test]
fn requests_that_are_taken_back_end_the_connection_and_hardly_reach_the_app() {
    let cancel = |stream| frame(RST_STREAM, NONE, stream, &CANCEL.to_be_bytes());
    let provoke = |stream| frame(WINDOW_UPDATE, NONE, stream, &[0; 4]);
    let floods: [(&str, Frames<'_>); 4] = [
        ("reset at once", &|at| {
            [get(at * 2 + 1, "/held", &[]), cancel(at * 2 + 1)].concat()
        }),
        ("reset by us", &|at| {
            [get(at * 2 + 1, "/held", &[]), provoke(at * 2 + 1)].concat()
        }),
        ("malformed", &|at| get(at * 2 + 1, "/held", &[("te", "x")])),
        ("too many", &|at| get(at * 2 + 1, "/held", &[])),
    ];
    for (what, each) in floods {
        let world = world();
        assert!(flood(&world, &[], each), "{what}");
        let arrived = world.app.arrived();
        let asked = arrived
            .iter()
            .filter(|one| one.request_line().contains("/held"))
            .count();
        let bound = if what == "too many" { 200 } else { 150 };
        assert!(asked <= bound, "{what}: the app was asked {asked} times");
    }
}

// M4: the same, slowly enough for each request to be begun with.
#[test]
fn requests_that_are_taken_back_one_by_one_end_the_connection_too() {
    let world = world();
    let mut connection = Http2::connect(world.gate.address);
    let ended = (0..10_000).any(|at| {
        let stream = at * 2 + 1;
        connection.send(get(stream, "/held", &[]));
        connection.send(frame(PING, NONE, 0, &[1; 8]));
        let begun = connection.await_frame(|one| one.kind == PING).is_some();
        connection.send(frame(RST_STREAM, NONE, stream, &CANCEL.to_be_bytes()));
        !begun
    });
    assert!(ended);
    let asked = world.app.arrived().len();
    assert!(asked <= 150, "the app was asked {asked} times");
}

// M5: what a few bytes stand for is counted as what it stands for.
#[test]
fn a_head_that_unfolds_is_refused_before_it_has() {
    let world = world();
    let mut connection = Http2::connect(world.gate.address);
    // One field of 4,000 bytes is remembered, and then meant 10,000 times.
    let mut remembered = vec![0x40];
    remembered.extend(
        literal(b"x-bomb", "b".repeat(3_900).as_bytes())
            .get(1..)
            .unwrap(),
    );
    let bomb = [
        block(&asking("GET", "/bomb")),
        remembered,
        integer(0x80, 7, 62).repeat(10_000),
    ]
    .concat();
    match connection.ask_block(&bomb) {
        Outcome::Answered(answer) => assert_eq!(answer.status, 431),
        Outcome::Gone(Some(code)) => assert_eq!(code, ENHANCE_YOUR_CALM),
        other => panic!("{other:?}"),
    }
    let mut connection = Http2::connect(world.gate.address);
    let crumbs = [
        block(&asking("GET", "/crumbs")),
        literal(b"cookie", b"a=b").repeat(10_000),
    ]
    .concat();
    match connection.ask_block(&crumbs) {
        Outcome::Answered(answer) => assert_eq!(answer.status, 431),
        Outcome::Gone(Some(_)) => {}
        other => panic!("{other:?}"),
    }
    let mut connection = Http2::connect(world.gate.address);
    let fields = [
        block(&asking("GET", "/fields")),
        literal(b"a", b"").repeat(1_000),
    ]
    .concat();
    assert_eq!(connection.ask_block(&fields).answer().status, 431);
    assert!(world.app.arrived().is_empty());
    let mut connection = Http2::connect(world.gate.address);
    connection.send(frame(HEADERS, WHOLE, 1, &block(&asking("GET", "/fine"))));
    assert_eq!(connection.outcome(1).answer().status, 200);
}
