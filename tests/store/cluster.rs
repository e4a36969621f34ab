//! Three masters with a replica each: all promises are kept, slots move, a master dies.

use std::process::Command;
use std::time::Duration;

use sidegate::base::clock::Clock;
use sidegate::store::redis::RedisSettings;
use sidegate::store::redis::settings::Prefix;
use sidegate::store::{Replaced, Store, StoreError};
use tokio::runtime::Handle;

use crate::conformance::{NOW, key, record};
use crate::redis_house::{RedisHouse, open};
use crate::server::{Server, until};

const HOUR: Duration = Duration::from_secs(3600);

struct Cluster {
    nodes: Vec<Server>,
    settings: RedisSettings,
}

fn tell(words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

impl Cluster {
    async fn start() -> Self {
        let bus: Vec<_> = (0..6)
            .map(|_| crate::server::free_port().to_string())
            .collect();
        let nodes: Vec<_> = bus
            .iter()
            .map(|bus| {
                Server::start(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--repl-diskless-sync-delay",
                    "0",
                    "--cluster-port",
                    bus,
                ])
            })
            .collect();
        let addresses: Vec<_> = nodes
            .iter()
            .map(|one| format!("127.0.0.1:{}", one.port))
            .collect();
        let mut words = vec!["--cluster", "create"];
        words.extend(addresses.iter().map(String::as_str));
        words.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        tell(&words);
        for node in &nodes {
            until(async || {
                let told: String = node.ask(&["CLUSTER", "INFO"]);
                told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:6")
            })
            .await;
            until(async || {
                let told: String = node.ask(&["INFO", "replication"]);
                told.contains("master_link_status:up") || told.contains("state=online")
            })
            .await;
        }
        let url = format!("redis+cluster://{}", addresses.join(","));
        let mut settings = RedisSettings::parse(&url).unwrap();
        settings.listening_check = Duration::from_millis(500);
        Self { nodes, settings }
    }

    fn masters(&self) -> Vec<usize> {
        let is_master = |node: &Server| {
            let told: String = node.ask(&["INFO", "replication"]);
            told.contains("role:master")
        };
        (0..self.nodes.len())
            .filter(|at| is_master(&self.nodes[*at]))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_all_promises() {
    let cluster = Cluster::start().await;
    let cluster = &cluster;
    let house = async |name: &str| {
        let mut settings = cluster.settings.clone();
        settings.prefix = Prefix::parse(name).unwrap();
        let masters = cluster.masters();
        for at in &masters {
            cluster.nodes[*at].tell(&["FLUSHALL"]);
        }
        let masters = masters.iter().map(|at| &cluster.nodes[*at]).collect();
        RedisHouse::at(masters, settings, Handle::current())
    };
    crate::conformance_in_one!(house);
}

// S2: MOVED and ASK cost nobody an error, and a dead master no more than the failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_without_an_error_and_a_dead_master_is_replaced() {
    let mut cluster = Cluster::start().await;
    let store = open(
        cluster.settings.clone(),
        &Clock::settable(NOW),
        &Handle::current(),
    );
    let one = |turn| record(turn, NOW.plus(HOUR));
    for at in 0..60 {
        store.create(key(at), &one(0)).await.unwrap();
    }
    let masters = cluster.masters();
    let id = |at: usize| cluster.nodes[at].ask::<String>(&["CLUSTER", "MYID"]);
    let (from, to) = (id(masters[0]), id(masters[1]));
    let at = format!("127.0.0.1:{}", cluster.nodes[masters[0]].port);
    let moving = tokio::task::spawn_blocking(move || {
        let slots = ["--cluster-slots", "1500", "--cluster-yes"];
        let mut words = vec!["--cluster", "reshard", &at, "--cluster-from", &from];
        words.extend(["--cluster-to", &to]);
        words.extend(slots);
        tell(&words)
    });
    let mut turn = 0;
    while !moving.is_finished() {
        turn += 1;
        for at in 0..60 {
            let replaced = store.replace(key(at), &one(turn)).await;
            assert_eq!(replaced, Ok(Replaced::Done));
            assert_eq!(store.load(key(at)).await, Ok(Some(one(turn))));
        }
    }
    moving.await.unwrap();
    assert_eq!(store.all(100).await.map(|all| all.len()), Ok(60));

    let dead = masters[2];
    cluster.nodes[dead].kill();
    for at in 0..60 {
        until(
            async || match store.replace(key(at), &one(turn + 1)).await {
                Ok(Replaced::Done) => true,
                // The replica may not have had the last record.
                Ok(Replaced::Gone) => store.create(key(at), &one(turn + 1)).await.is_ok(),
                Err(StoreError::Unreachable(_) | StoreError::Refused(_)) => false,
                other => panic!("{other:?}"),
            },
        )
        .await;
    }
    assert_eq!(store.all(100).await.map(|all| all.len()), Ok(60));
}
