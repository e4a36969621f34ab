//! A master, a replica and three sentinels; the master dies.

use std::path::PathBuf;
use std::time::Duration;

use sidegate::base::clock::Clock;
use sidegate::store::redis::RedisSettings;
use sidegate::store::{Heard, Store, StoreError};
use tokio::runtime::Handle;

use crate::conformance::{NOW, key, record};
use crate::redis_house::open;
use crate::server::{Server, free_port, until};

const HOUR: Duration = Duration::from_secs(3600);

fn sentinel(folder: &std::path::Path, master: u16) -> Server {
    let port = free_port();
    let config: PathBuf = folder.join(format!("{port}.conf"));
    let text = format!(
        "sentinel monitor main 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 3000\n"
    );
    std::fs::write(&config, text).unwrap();
    Server::at(port, folder, &[&config.to_string_lossy(), "--sentinel"])
}

// S2: a failover in the middle: refused while it lasts, never open, and by itself all right again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_master_dies_the_next_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut master = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    until(async || {
        replica
            .ask::<String>(&["INFO", "replication"])
            .contains("link_status:up")
    })
    .await;
    let sentinels: Vec<_> = (0..3)
        .map(|_| sentinel(folder.path(), master.port))
        .collect();
    for sentinel in &sentinels {
        until(async || {
            let told: String = sentinel.ask(&["INFO", "sentinel"]);
            told.contains("slaves=1,sentinels=3")
        })
        .await;
    }
    // The first sentinel is none.
    let hosts: Vec<_> = sentinels
        .iter()
        .map(|one| format!("127.0.0.1:{}", one.port))
        .collect();
    let url = format!("redis+sentinel://127.0.0.1:1,{}/main", hosts.join(","));
    let mut settings = RedisSettings::parse(&url).unwrap();
    settings.listening_check = Duration::from_millis(200);
    let store = open(settings.clone(), &Clock::settable(NOW), &Handle::current());
    let mut ear = store.listen();
    assert_eq!(ear.recv().await, Some(Heard::Listening));
    let one = record(0, NOW.plus(HOUR));
    store.create(key(1), &one).await.unwrap();
    until(async || !replica.keys().is_empty()).await;

    master.kill();
    assert_eq!(ear.recv().await, Some(Heard::Deaf));
    until(async || match store.create(key(2), &one).await {
        Ok(()) => true,
        Err(StoreError::Unreachable(_) | StoreError::Refused(_)) => false,
        Err(other) => panic!("{other}"),
    })
    .await;
    let role: String = replica.ask(&["INFO", "replication"]);
    assert!(role.contains("role:master"));
    assert_eq!(store.load(key(1)).await, Ok(Some(one.clone())));
    assert_eq!(ear.recv().await, Some(Heard::Listening));

    settings.place = RedisSettings::parse(&url.replace("/main", "/other"))
        .unwrap()
        .place;
    let other = open(settings, &Clock::settable(NOW), &Handle::current());
    let none = other.load(key(1)).await;
    assert!(matches!(none, Err(StoreError::Unreachable(_))), "{none:?}");
}
