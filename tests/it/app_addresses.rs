//! Several addresses of one app.

use std::sync::mpsc;

use crate::support::instance::{World, yaml};
use crate::support::nobody::nobody;
use crate::support::raw::Wire;
use crate::support::upstream::Upstream;

fn lead(world: &World, urls: &[String], more: &str) {
    let app = format!("{{ url: [{}] }}", urls.join(", "));
    let more = format!("routes: [{{ access: public }}]\n{more}");
    let text = yaml(world.provider.issuer(), &app, &more);
    world.gate.reload(&text).unwrap();
}

fn get(wire: &mut Wire) -> (u16, String) {
    wire.send("GET /page HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let answer = wire.answer_to("GET").unwrap();
    (answer.status, answer.text())
}

/// An app that names itself.
fn named(name: &'static str) -> Upstream {
    Upstream::answering(move |_| {
        let length = name.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}").into_bytes()
    })
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next_at_once() {
    let world = World::start();
    let dead = format!("http://{}", nobody());
    for urls in [
        vec![dead.clone(), world.app.url()],
        vec![world.app.url(), dead.clone()],
        vec![
            dead.clone(),
            format!("http://{}", nobody()),
            world.app.url(),
        ],
    ] {
        lead(&world, &urls, "");
        for _ in 0..6 {
            // Each on a connection of its own at the gate, so that both workers take part.
            assert_eq!(get(&mut Wire::connect(world.gate.address)).0, 200);
        }
    }
    lead(&world, &[dead.clone(), format!("http://{}", nobody())], "");
    for _ in 0..4 {
        assert_eq!(get(&mut Wire::connect(world.gate.address)).0, 502);
    }
}

#[test]
fn equals_take_turns() {
    let (one, two) = (named("one"), named("two"));
    let world = World::start();
    lead(&world, &[one.url(), two.url()], "");
    let mut wire = Wire::connect(world.gate.address);
    let told: Vec<String> = (0..6).map(|_| get(&mut wire).1).collect();
    assert_eq!(
        told.iter().filter(|told| *told == "one").count(),
        3,
        "{told:?}"
    );
    for pair in told.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
}

#[test]
fn the_next_request_goes_to_the_address_with_fewer_in_flight() {
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let slow = Upstream::answering({
        let tell = tell.clone();
        move |_| {
            tell.send("slow").unwrap();
            // Until the test is over.
            assert!(released.lock().unwrap().recv().is_err());
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec()
        }
    });
    let fast = Upstream::answering(move |_| {
        tell.send("fast").unwrap();
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast".to_vec()
    });
    let world = World::start();
    lead(&world, &[slow.url(), fast.url()], "");
    let mut waiting = Vec::new();
    for _ in 0..12 {
        let mut wire = Wire::connect(world.gate.address);
        wire.send("GET /page HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        match told.recv().unwrap() {
            "fast" => assert_eq!(wire.answer_to("GET").unwrap().text(), "fast"),
            _ => waiting.push(wire),
        }
    }
    // Each of the two workers waits there once, and then asks elsewhere.
    assert!((1..=2).contains(&waiting.len()), "{}", waiting.len());
    drop(release);
    for mut wire in waiting {
        assert_eq!(wire.answer_to("GET").unwrap().text(), "slow");
    }
}

// Another request is not sent twice because there is another address: only connecting is tried anew.
#[test]
fn a_request_that_was_sent_is_not_sent_to_the_next_address() {
    let hanging_up = Upstream::answering(|_| Vec::new());
    let world = World::start();
    lead(&world, &[hanging_up.url(), world.app.url()], "");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let mut wire = Wire::connect(world.gate.address);
        wire.send("POST /page HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 2\r\n\r\nhi");
        statuses.push(wire.answer_to("POST").unwrap().status);
    }
    let sent = hanging_up.arrived().len() + world.app.arrived().len();
    assert_eq!(sent, 6, "{statuses:?}");
    let failed = statuses.iter().filter(|status| **status == 502).count();
    assert_eq!(failed, hanging_up.arrived().len());
    assert!(failed > 0);
}
