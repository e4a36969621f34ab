//! What both sides of an HTTP/2 connection say of themselves, and hold to.

use crate::support::frames::{
    ACK, DATA, END_STREAM, Http2, NONE, Outcome, PING, PREFACE, REFUSED_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, get, setting,
};
use crate::support::instance::World;
use crate::support::upstream::Upstream;

const LISTEN: &str = "listen: [{ address: 127.0.0.1:0, h2c: true }]";
const OPEN: &str = "routes: [{ access: public }]";

fn world() -> World {
    World::listening(LISTEN, OPEN)
}

#[test]
fn what_is_no_preface_ends_the_connection_or_is_http1() {
    let world = world();
    let mut connection = Http2::silent(world.gate.address);
    connection.send(PREFACE);
    // A preface is only whole with SETTINGS as the first frame.
    connection.send(get(1, "/early", &[]));
    match connection.outcome(1) {
        Outcome::Gone(_) => {}
        other => panic!("{other:?}"),
    }
    let mut connection = Http2::silent(world.gate.address);
    connection.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    let answer = connection.wire.answer_to("GET");
    assert!(answer.is_none_or(|answer| answer.status >= 400));
    assert!(world.app.arrived().is_empty());
}

#[test]
fn settings_and_pings_are_acknowledged_with_what_they_brought() {
    let world = world();
    let mut connection = Http2::connect(world.gate.address);
    let settled = |one: &crate::support::frames::Came| one.kind == SETTINGS && one.flags == ACK;
    assert_eq!(connection.await_frame(settled).unwrap().payload, b"");
    connection.send(frame(PING, NONE, 0, b"whatever"));
    let ponged = connection.await_frame(|one| one.kind == PING).unwrap();
    assert_eq!(
        (ponged.flags, ponged.payload.as_slice()),
        (ACK, b"whatever".as_slice())
    );
}

// M6: what we said we take at a time is what we take; the rest may come again.
#[test]
fn a_stream_too_many_is_refused_and_nobody_was_asked() {
    let app = Upstream::answering(|_| {
        std::thread::park();
        Vec::new()
    });
    let limit = format!("limits: {{ http2_streams: 5 }}\n{OPEN}");
    let world = World::listening_before(app, LISTEN, &limit);
    let mut connection = Http2::connect(world.gate.address);
    let said = connection
        .await_frame(|one| one.kind == SETTINGS && one.flags == NONE)
        .unwrap();
    let said: Vec<_> = said.payload.chunks(6).filter(|one| one[1] == 3).collect();
    assert_eq!(said, [[0, 3, 0, 0, 0, 5]]);
    for stream in [1, 3, 5, 7, 9, 11] {
        connection.send(get(stream, "/held", &[]));
    }
    match connection.outcome(11) {
        Outcome::Reset(code) => assert_eq!(code, REFUSED_STREAM),
        other => panic!("{other:?}"),
    }
}

// 6.9.2: a window that shrinks below nothing is waited for, and one that grows is used.
#[test]
fn a_window_may_change_while_an_answer_waits_for_it() {
    let world = world();
    let mut connection = Http2::greeting(world.gate.address, &setting(4, 3));
    connection.send(get(1, "/windows", &[]));
    let first = connection.await_frame(|one| one.kind == DATA).unwrap();
    assert_eq!(first.payload, b"the");
    connection.send(frame(SETTINGS, NONE, 0, &setting(4, 2)));
    connection.send(frame(WINDOW_UPDATE, NONE, 1, &3_u32.to_be_bytes()));
    let second = connection.await_frame(|one| one.kind == DATA).unwrap();
    assert_eq!(second.payload, b" a");
    connection.send(frame(SETTINGS, NONE, 0, &setting(4, 1000)));
    let third = connection.await_frame(|one| one.kind == DATA).unwrap();
    assert_eq!(third.payload, b"pp saw GET /windows HTTP/1.1");
    assert_eq!(third.flags, END_STREAM);
}
