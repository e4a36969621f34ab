//! Certificates are replaced when their files change, and nobody notices.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sidegate::base::clock::{Clock, UnixTime};
use sidegate::transport::server_tls::{ClientCertificates, PairFiles, ServerTls, Tls};

use super::{Desk, put, world};
use crate::support::instance::World;

/// Looks at the files, as the gate does every few seconds; what could not be taken.
fn look(world: &World) -> Vec<String> {
    let kept = world.gate.shared.certificates.look(Clock::system().now());
    kept.into_iter().collect()
}

fn shown(world: &World, desk: &Desk) -> Vec<String> {
    let tunnel = desk
        .client()
        .connect(world.gate.address, "gate.test")
        .unwrap();
    tunnel.shown()
}

#[test]
fn a_replaced_certificate_is_shown_to_whoever_comes_next_and_drops_nobody() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test", "one.test"]), "");
    let mut before = desk
        .client()
        .connect(world.gate.address, "gate.test")
        .unwrap();
    assert_eq!(before.get("/x").unwrap().0, 200);
    desk.pair("gate", &["gate.test", "two.test"]);
    assert_eq!(shown(&world, &desk), ["gate.test", "one.test"]);
    assert!(look(&world).is_empty());
    assert_eq!(shown(&world, &desk), ["gate.test", "two.test"]);
    assert_eq!(before.get("/y").unwrap().0, 200);
    // Nothing changed: nothing happens.
    assert!(look(&world).is_empty());
    assert_eq!(shown(&world, &desk), ["gate.test", "two.test"]);
}

// R2: never half, never less.
#[test]
fn what_does_not_fit_together_yet_is_not_taken() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test", "one.test"]), "");
    let (certificate, key) = desk.authority.issue(&["gate.test", "two.test"], |_| {});
    let old = ["gate.test", "one.test"];
    let (crt, at_key) = (desk.path("gate.crt"), desk.path("gate.key"));
    put(&crt, &certificate);
    assert!(look(&world)[0].contains("does not belong"));
    assert_eq!(shown(&world, &desk), old);
    put(&at_key, "");
    assert!(look(&world)[0].contains("no PEM private key"));
    fs::remove_file(&at_key).unwrap();
    assert!(look(&world)[0].contains("cannot be read"));
    assert_eq!(shown(&world, &desk), old);
    let ended = desk.authority.issue(&["gate.test"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    desk.write("gate", &ended);
    assert!(look(&world)[0].contains("has ended"));
    assert_eq!(shown(&world, &desk), old);
    put(&crt, &certificate);
    put(&at_key, &key);
    assert!(look(&world).is_empty());
    assert_eq!(shown(&world, &desk), ["gate.test", "two.test"]);
}

#[test]
fn one_certificate_that_is_broken_keeps_no_other_from_being_replaced() {
    let desk = Desk::new();
    let (one, other) = (
        desk.pair("gate", &["gate.test"]),
        desk.pair("other", &["other.test"]),
    );
    let world = world(&format!("certificates: [{{ {one} }}, {{ {other} }}]"), "");
    put(&desk.path("gate.crt"), "nothing");
    desk.pair("other", &["other.test", "more.test"]);
    assert_eq!(look(&world).len(), 1);
    assert_eq!(shown(&world, &desk), ["gate.test"]);
    let tunnel = desk
        .client()
        .connect(world.gate.address, "other.test")
        .unwrap();
    assert_eq!(tunnel.shown(), ["other.test", "more.test"]);
}

// Kubernetes keeps each state of a secret in a folder of its own and moves one symbolic link.
#[test]
fn a_swapped_symbolic_link_is_a_replaced_certificate() {
    let desk = Desk::new();
    let state = |name: &str, names: &[&str]| {
        fs::create_dir(desk.path(name)).unwrap();
        let (certificate, key) = desk.authority.issue(names, |_| {});
        put(&desk.path(&format!("{name}/tls.crt")), &certificate);
        put(&desk.path(&format!("{name}/tls.key")), &key);
    };
    state("..1", &["gate.test", "one.test"]);
    symlink("..1", desk.path("..data")).unwrap();
    for file in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{file}"), desk.path(file)).unwrap();
    }
    let (crt, key) = (desk.path("tls.crt"), desk.path("tls.key"));
    let world = world(
        &format!("certificate: {}, key: {}", crt.display(), key.display()),
        "",
    );
    assert_eq!(shown(&world, &desk), ["gate.test", "one.test"]);
    state("..2", &["gate.test", "two.test"]);
    symlink("..2", desk.path("..data_new")).unwrap();
    fs::rename(desk.path("..data_new"), desk.path("..data")).unwrap();
    fs::remove_dir_all(desk.path("..1")).unwrap();
    assert!(look(&world).is_empty());
    assert_eq!(shown(&world, &desk), ["gate.test", "two.test"]);
}

#[test]
fn certificates_replaced_under_load_fail_no_handshake() {
    let desk = Desk::new();
    let world = world(&desk.pair("gate", &["gate.test", "first.test"]), "");
    let (over, shaken) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|turn| {
                let (desk, world, over, shaken) = (&desk, &world, &over, &shaken);
                scope.spawn(move || {
                    let mut client = desk.client();
                    if turn % 2 == 0 {
                        client.config.resumption = rustls::client::Resumption::disabled();
                    }
                    let mut kept = client.connect(world.gate.address, "gate.test").unwrap();
                    while !over.load(Ordering::Relaxed) {
                        let tunnel = client.connect(world.gate.address, "gate.test");
                        assert_eq!(tunnel.unwrap().get("/x").unwrap().0, 200);
                        assert_eq!(kept.get("/y").unwrap().0, 200);
                        shaken.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let alive = || {
            !clients
                .iter()
                .any(std::thread::ScopedJoinHandle::is_finished)
        };
        for state in 0..25_usize {
            let before = shaken.load(Ordering::Relaxed);
            let name = format!("state-{state}.test");
            let (certificate, key) = desk.authority.issue(&["gate.test", &name], |_| {});
            put(&desk.path("gate.crt"), &certificate);
            look(&world); // half of it
            put(&desk.path("gate.key"), &key);
            assert!(look(&world).is_empty());
            while alive() && shaken.load(Ordering::Relaxed) < before + 12 {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(shaken.load(Ordering::Relaxed) >= 300);
    assert_eq!(shown(&world, &desk), ["gate.test", "state-24.test"]);
}

#[test]
fn the_status_tells_names_and_ends_and_the_log_warns_before() {
    let desk = Desk::new();
    let pair = desk.pair("gate", &["gate.test"]);
    let now = Clock::system().now();
    let world = world(&pair, "");
    let certificates = &world.gate.shared.certificates;
    let ends = certificates.status(now)[0]["ends"].as_i64().unwrap();
    let days = |days: i64| UnixTime::from_seconds(ends - days * 86_400);
    for (at, state) in [
        (now, "good"),
        (days(15), "good"),
        (days(14), "ends_soon"),
        (days(0), "ended"),
    ] {
        let status = certificates.status(at);
        assert_eq!(status[0]["names"], serde_json::json!(["gate.test"]));
        assert_eq!(status[0]["state"], state);
    }
    let text = format!("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let status = crate::support::raw::exchange(world.gate.probes, text).json();
    assert_eq!(status["certificates"][0]["ends"], ends);
}

// R2: the roots for client certificates are replaced, too, and never by nothing.
#[test]
fn roots_for_client_certificates_are_replaced_by_better_ones_only() {
    let (desk, others) = (Desk::new(), Desk::new());
    desk.pair("gate", &["gate.test"]);
    let settings = ServerTls {
        pairs: vec![PairFiles {
            certificate: desk.path("gate.crt"),
            key: desk.path("gate.key"),
        }],
        clients: ClientCertificates::Required(desk.ca()),
    };
    let now = Clock::system().now();
    let tls = Tls::load(settings, now).unwrap();
    assert!(!tls.look(now).roots_replaced);
    put(&desk.ca(), "");
    let looked = tls.look(now);
    assert_eq!((looked.roots_replaced, looked.kept.len()), (false, 1));
    put(&desk.ca(), &fs::read_to_string(others.ca()).unwrap());
    let looked = tls.look(now);
    assert_eq!((looked.roots_replaced, looked.kept.len()), (true, 0));
}
