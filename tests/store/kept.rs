//! What stands in Redis, and what is made of what should not.

use std::time::{Duration, Instant};

use sidegate::base::clock::Clock;
use sidegate::base::secret::Secret;
use sidegate::session::record::RecordKey;
use sidegate::store::redis::{RedisSettings, RedisStore};
use sidegate::store::{Replaced, Store, StoreError};
use tokio::runtime::Handle;

use crate::conformance::{NOW, group, key, record};
use crate::redis_house::open;
use crate::server::{PASSWORD, Server, permissions, until};

const HOUR: Duration = Duration::from_secs(3600);

fn store(settings: RedisSettings) -> RedisStore {
    open(settings, &Clock::settable(NOW), &Handle::current())
}

fn name(key: RecordKey) -> String {
    format!("sidegate:s:{{{}}}", key.to_text())
}

/// One of everything that a store keeps.
async fn fill(store: &RedisStore) {
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    store
        .replace(key(1), &record(1, NOW.plus(HOUR)))
        .await
        .unwrap();
    store.lock(key(1), [1; 16], HOUR).await.unwrap();
    store.claim([1; 32], NOW.plus(HOUR)).await.unwrap();
    store.announce(b"words", NOW.plus(HOUR)).await.unwrap();
}

// S4: whatever is kept has its end, and a later write moves it no further than the record says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_ends_with_what_it_is_for() {
    let server = Server::start(&[]);
    let store = store(server.settings());
    fill(&store).await;
    let keys = server.keys();
    assert_eq!(keys.len(), 6);
    for key in keys {
        let left: i64 = server.ask(&["PTTL", std::str::from_utf8(&key).unwrap()]);
        assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    }
    let sooner = record(2, NOW.plus(Duration::from_secs(60)));
    assert_eq!(store.replace(key(1), &sooner).await, Ok(Replaced::Done));
    let left: i64 = server.ask(&["PTTL", &name(key(1))]);
    assert!((50_000..=60_000).contains(&left), "{left}");
}

// S4: a crash at any moment, of the server in this case, leaves no key without an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_leaves_no_key_without_an_end() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store(server.settings());
    let mut seen = 0;
    for round in 0..6_u32 {
        until(async || store.load(key(0)).await.is_ok()).await;
        let writing = async {
            for at in 0.. {
                let mut one = record(0, NOW.plus(HOUR));
                one.person = group(u8::try_from(at % 200).unwrap());
                if store.create(key(round << 16 | at), &one).await.is_err() {
                    return at;
                }
            }
            0
        };
        let killing = async {
            tokio::time::sleep(Duration::from_micros(15_000 + u64::from(round) * 3_700)).await;
            server.kill();
        };
        let (written, ()) = tokio::join!(writing, killing);
        server.again();
        for key in server.keys() {
            let key = String::from_utf8(key).unwrap();
            let left: i64 = server.ask(&["PTTL", &key]);
            assert!(left > 0, "{key}: {left}");
            seen += 1;
        }
        // What was said to be kept is there, with `appendfsync always`, and in its group.
        until(async || store.load(key(0)).await.is_ok()).await;
        for at in 0..written {
            let key = key(round << 16 | at);
            assert!(store.load(key).await.unwrap().is_some());
            let person = group(u8::try_from(at % 200).unwrap());
            assert!(store.members(person).await.unwrap().contains(&key));
        }
    }
    assert!(seen > 6);
}

// S1, S3: in names and values stands what the store was given, hashes and sealed bytes, and nothing
// else; nothing of it is a pattern or another key's name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_hashes_and_values_are_what_was_given() {
    let server = Server::start(&[]);
    let store = store(server.settings());
    fill(&store).await;
    let kept: Vec<u8> = server.ask(&["GET", &name(key(1))]);
    assert_eq!(kept, record(1, NOW.plus(HOUR)).to_bytes());
    for key in server.keys() {
        let key = String::from_utf8(key).unwrap();
        let rest = key.strip_prefix("sidegate:").unwrap();
        let (kind, hash) = rest.split_once(":{").unwrap_or((rest, "}"));
        assert!(["s", "g", "l", "c", "e"].contains(&kind), "{key}");
        let hash = hash.strip_suffix('}').unwrap();
        assert!(hash.is_empty() || RecordKey::parse(hash).is_some(), "{key}");
    }
}

// S2: what is not ours is no session, costs no time, and hides nothing of what is ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ours_is_corrupt() {
    let server = Server::start(&[]);
    let store = store(server.settings());
    let good = record(0, NOW.plus(HOUR));
    store.create(key(9), &good).await.unwrap();
    let set = |words: &[&str]| server.asked::<redis::Value>(words).map(drop).unwrap();
    let at = name(key(1));
    let cases: [&[&str]; 5] = [
        &["SET", &at, "x"],
        &["SET", &at, "\u{1}\u{0}\u{0}\u{0}\u{0}\u{0}\u{7f}"],
        &["SETRANGE", &at, "100000000", "x"],
        &["HSET", &at, "a", "b"],
        &["RPUSH", &at, "a"],
    ];
    for case in cases {
        set(&["DEL", &at]);
        set(case);
        let begun = Instant::now();
        assert_eq!(
            store.load(key(1)).await,
            Err(StoreError::Corrupt),
            "{case:?}"
        );
        assert!(begun.elapsed() < Duration::from_millis(400));
        let replaced = store.replace(key(1), &good).await;
        assert_eq!(replaced, Err(StoreError::Corrupt), "{case:?}");
        assert_eq!(store.all(9).await, Ok(vec![(key(9), good.clone())]));
        assert_eq!(store.remove(key(1)).await, Ok(true));
        assert_eq!(store.load(key(1)).await, Ok(None));
    }
    let others = [
        format!("sidegate:g:{{{}}}", group(1).to_text()),
        "sidegate:e".to_owned(),
        format!("sidegate:l:{{{}}}", key(1).to_text()),
    ];
    for other in &others {
        set(&["DEL", other]);
        set(&["HSET", other, "a", "b"]);
    }
    let corrupt = StoreError::Corrupt;
    assert_eq!(store.members(group(1)).await, Err(corrupt.clone()));
    assert_eq!(store.create(key(1), &good).await, Err(corrupt.clone()));
    assert_eq!(store.load(key(1)).await, Ok(None), "the groups come first");
    assert_eq!(store.announced().await, Err(corrupt.clone()));
    assert_eq!(
        store.announce(b"a", NOW.plus(HOUR)).await,
        Err(corrupt.clone())
    );
    assert_eq!(store.lock(key(1), [1; 16], HOUR).await, Err(corrupt));
}

// S4: the record's own end holds where Redis still has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_redis_forgot_to_end_has_ended_all_the_same() {
    let server = Server::start(&[]);
    let clock = Clock::settable(NOW);
    let store = open(server.settings(), &clock, &Handle::current());
    store
        .create(key(1), &record(0, NOW.plus(HOUR)))
        .await
        .unwrap();
    server.tell(&["PERSIST", &name(key(1))]);
    clock.advance(HOUR);
    let later = record(1, NOW.plus(3 * HOUR));
    assert_eq!(store.load(key(1)).await, Ok(None));
    assert_eq!(store.all(9).await, Ok(vec![]));
    assert_eq!(store.replace(key(1), &later).await, Ok(Replaced::Gone));
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_everything_was_flushed_all_begins_anew() {
    let server = Server::start(&[]);
    let store = store(server.settings());
    fill(&store).await;
    server.tell(&["FLUSHALL"]);
    assert_eq!(store.load(key(1)).await, Ok(None));
    let later = record(2, NOW.plus(HOUR));
    assert_eq!(store.replace(key(1), &later).await, Ok(Replaced::Gone));
    server.tell(&["SCRIPT", "FLUSH"]);
    fill(&store).await;
    assert!(store.load(key(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_announced_is_not_given_up_for_more() {
    let server = Server::start(&[]);
    let store = store(server.settings()).with_most_announced(2500);
    let name = |at: u32| format!("{at:05}").into_bytes();
    for at in 0..2500 {
        let until = NOW.plus(HOUR).plus(Duration::from_secs(u64::from(at % 7)));
        store.announce(&name(at), until).await.unwrap();
    }
    let full = store.announce(b"more", NOW.plus(HOUR)).await;
    assert_eq!(full, Err(StoreError::Full));
    store.announce(&name(7), NOW.plus(2 * HOUR)).await.unwrap();
    let expected: Vec<_> = (0..2500).map(name).collect();
    assert_eq!(store.announced().await.unwrap(), expected);
}

// S6: who we are and what we may do is the server's word; of the password nothing is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_too_few_permissions_are_refused() {
    let server = Server::start(&[]);
    permissions(&server, &[]);
    let mut settings = server.settings();
    settings.username = Some("sidegate".to_owned());
    settings.password = Some(Secret::new(PASSWORD.to_owned()));
    let one = record(0, NOW.plus(HOUR));
    store(settings.clone()).create(key(1), &one).await.unwrap();

    let mut wrong = settings.clone();
    wrong.password = Some(Secret::new("canary-of-another".to_owned()));
    let refused = store(wrong).load(key(1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    assert!(!format!("{refused:?} {refused}").contains("canary"));

    let mut other = settings.clone();
    other.prefix = sidegate::store::redis::settings::Prefix::parse("other").unwrap();
    let noperm = Err(StoreError::Refused("NOPERM".to_owned()));
    assert_eq!(store(other).load(key(1)).await, noperm);

    let user = store(settings);
    assert!(user.load(key(1)).await.unwrap().is_some());
    server.tell(&["ACL", "SETUSER", "sidegate", "-eval"]);
    assert_eq!(
        user.remove(key(1)).await,
        Err(StoreError::Refused("NOPERM".to_owned()))
    );
}

// S6: a server that shows no certificate of the named authority is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_is_none() {
    let (files, others) = (crate::tls::Files::new(), crate::tls::Files::new());
    let (_server, port) = files.server();
    let mut settings = RedisSettings::parse(&format!("rediss://127.0.0.1:{port}")).unwrap();
    let mut by = files.client();
    settings.tls = Some(by.clone());
    assert_eq!(store(settings.clone()).load(key(1)).await, Ok(None));
    by.ca = others.client().ca;
    for tls in [by, sidegate::store::redis::settings::RedisTls::default()] {
        settings.tls = Some(tls);
        let refused = store(settings.clone()).load(key(1)).await;
        assert!(
            matches!(refused, Err(StoreError::Unreachable(_))),
            "{refused:?}"
        );
    }
}
