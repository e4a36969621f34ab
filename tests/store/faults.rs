//! Redis and the way to it fail: nobody waits long, nothing wrong is believed, and all is well when
//! they are.

use std::time::{Duration, Instant};

use sidegate::base::clock::Clock;
use sidegate::store::redis::{RedisSettings, RedisStore};
use sidegate::store::{Heard, Store, StoreError};
use tokio::runtime::Handle;

use crate::conformance::{NOW, key, record};
use crate::redis_house::open;
use crate::relay::{Relay, Way};
use crate::server::{Server, until};

/// An answer's time and a connection's, and something for a busy machine.
const BOUND: Duration = Duration::from_millis(500 + 1000 + 1000);
/// What takes no time, on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(300);
const HOUR: Duration = Duration::from_secs(3600);

struct World {
    server: Server,
    relay: Relay,
    store: RedisStore,
}

impl World {
    async fn start() -> Self {
        let server = Server::start(&[]);
        let relay = Relay::to(server.port).await;
        let url = format!("redis://127.0.0.1:{}", relay.port);
        let mut settings = RedisSettings::parse(&url).unwrap();
        settings.listening_check = Duration::from_millis(200);
        let store = open(settings, &Clock::settable(NOW), &Handle::current());
        let one = record(0, NOW.plus(HOUR));
        store.create(key(1), &one).await.unwrap();
        Self {
            server,
            relay,
            store,
        }
    }

    /// Whether the record can be had; an error is one of a store that is not there, and comes in time.
    async fn answers(&self) -> bool {
        let begun = Instant::now();
        let came = self.store.load(key(1)).await;
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        match came {
            Ok(found) => {
                assert_eq!(found, Some(record(0, NOW.plus(HOUR))));
                true
            }
            Err(StoreError::Unreachable(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

// S2: down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_down_is_told_at_once_and_found_again() {
    let mut world = World::start().await;
    world.server.kill();
    until(async || !world.answers().await).await;
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(!world.answers().await);
    }
    assert!(begun.elapsed() < BOUND);
    world.server.again();
    let one = record(0, NOW.plus(HOUR));
    until(async || world.store.create(key(1), &one).await.is_ok()).await;
    assert!(world.answers().await);
}

// S2: slow. What hangs is asked once; nobody after that waits for it, and it is not used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_is_not_used_again() {
    let world = World::start().await;
    let before = world.relay.connections();
    world.relay.goes(Way::Hung);
    assert!(!world.answers().await);
    until(async || {
        let begun = Instant::now();
        !world.answers().await && begun.elapsed() < AT_ONCE
    })
    .await;
    world.relay.goes(Way::Open);
    until(async || world.answers().await).await;
    assert!(world.relay.connections() > before);
}

// S2: a server that stands still is as one that hangs, and as good as ever when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_costs_nobody_more_than_the_bound() {
    let world = World::start().await;
    world.server.signal("-STOP");
    for _ in 0..5 {
        assert!(!world.answers().await);
    }
    world.server.signal("-CONT");
    until(async || world.answers().await).await;
}

// S2: a dead connection that nobody used meanwhile costs no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_cut_while_idle_costs_nobody_an_error() {
    let world = World::start().await;
    for _ in 0..5 {
        let killed: i64 = world
            .server
            .ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(killed >= 1);
        assert!(world.answers().await);
    }
}

// S2: what was cut off is not believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_answer_is_none() {
    let world = World::start().await;
    for bytes in 1..60 {
        until(async || world.answers().await).await;
        world.relay.goes(Way::Half(bytes));
        assert!(!world.answers().await, "{bytes}");
        world.relay.goes(Way::Open);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_is_told_when_something_may_be_missed() {
    let world = World::start().await;
    let mut ear = world.store.listen();
    assert_eq!(ear.recv().await, Some(Heard::Listening));
    for way in [Way::Cut, Way::Hung] {
        world.relay.goes(way);
        assert_eq!(ear.recv().await, Some(Heard::Deaf));
        world.relay.goes(Way::Open);
        assert_eq!(ear.recv().await, Some(Heard::Listening));
        let telling = async || world.store.announce(b"words", NOW.plus(HOUR)).await;
        until(async || telling().await.is_ok()).await;
        assert_eq!(ear.recv().await, Some(Heard::Ended(b"words".to_vec())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_too_slow_is_told_that_it_missed_something() {
    let world = World::start().await;
    let (mut slow, mut quick) = (world.store.listen(), world.store.listen());
    assert_eq!(slow.recv().await, Some(Heard::Listening));
    assert_eq!(quick.recv().await, Some(Heard::Listening));
    let all = 6000;
    for at in 0..all {
        world
            .server
            .tell(&["PUBLISH", "sidegate:news", &format!("e{at}")]);
        assert_eq!(
            quick.recv().await,
            Some(Heard::Ended(at.to_string().into_bytes()))
        );
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&Heard::Ended((all - 1).to_string().into_bytes())) {
        heard.push(slow.recv().await.unwrap());
    }
    let deaf = heard
        .iter()
        .position(|heard| *heard == Heard::Deaf)
        .unwrap();
    assert_eq!(heard.get(deaf + 1), Some(&Heard::Listening));
    assert!(heard.len() < all + 2);
}

// S2: a replica, a full server and one that lost its data's format: refused, and not for longer than
// it lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_refuses_is_told_and_forgotten_when_it_does_not_any_more() {
    let world = World::start().await;
    let refused = |code: &str| Err(StoreError::Refused(code.to_owned()));
    let one = record(0, NOW.plus(HOUR));
    let port = crate::server::free_port().to_string();
    for (code, begin, end) in [
        (
            "READONLY",
            ["REPLICAOF", "127.0.0.1", &port].as_slice(),
            ["REPLICAOF", "NO", "ONE"].as_slice(),
        ),
        (
            "OOM",
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            "NOREPLICAS",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ] {
        world.server.tell(begin);
        assert_eq!(world.store.create(key(2), &one).await, refused(code));
        let announced = world.store.announce(b"words", NOW.plus(HOUR)).await;
        if code == "OOM" {
            // There is room for what ends sessions, which needs little: see docs/STORES.md.
            assert_eq!(announced, Ok(()));
        } else {
            until(async || world.store.announce(b"words", NOW.plus(HOUR)).await == refused(code))
                .await;
        }
        world.server.tell(end);
        until(async || world.store.create(key(2), &one).await.is_ok()).await;
        assert_eq!(
            world.store.load(key(2)).await,
            Ok(Some(one.clone())),
            "{code}"
        );
    }
}
