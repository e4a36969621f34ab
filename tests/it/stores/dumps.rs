//! Whoever has a copy of a store has nothing.

use std::sync::Arc;
use std::time::Duration;

use sidegate::base::clock::Clock;
use sidegate::oidc::claims::{Groups, Identity};
use sidegate::session::card::Card;
use sidegate::session::cookie::SessionCookie;
use sidegate::session::lifetime::SignedIn;
use sidegate::session::presented::Presented;
use sidegate::session::ticket::Ticket;
use sidegate::session::{Session, SessionLimits};
use sidegate::store::Store as _;
use sidegate::store::disk::DiskStore;

use super::renewal::await_renewed;
use super::{Kept, MINUTE, status};
use crate::support::instance::{KEY, PUBLIC, World};
use crate::support::raw::exchange;

/// Everything that is in the store.
fn dump(kept: &Kept) -> Vec<u8> {
    let Some(redis) = &kept.redis else {
        return std::fs::read(kept.file()).unwrap();
    };
    let mut all: Vec<u8> = Vec::new();
    for key in redis.keys() {
        let name = String::from_utf8(key).unwrap();
        let what: String = redis.ask(&["TYPE", &name]);
        all.extend(name.as_bytes());
        match what.as_str() {
            "string" => all.extend(redis.ask::<Vec<u8>>(&["GET", &name])),
            "zset" => {
                let members: Vec<Vec<u8>> = redis.ask(&["ZRANGE", &name, "0", "-1"]);
                all.extend(members.concat());
            }
            other => panic!("{name} is {other}"),
        }
    }
    all
}

fn has(dump: &[u8], text: &str) -> bool {
    dump.windows(text.len()).any(|some| some == text.as_bytes())
}

/// Sign-ins, a renewal, a sign-out, and a logout token for a person.
fn a_life(world: &World) {
    let (alice, mut bob) = (world.signed_in("alice"), world.signed_in("bob"));
    world.gate.clock.advance(15 * MINUTE);
    assert_eq!(status(&mut alice.clone()), 200);
    await_renewed(&alice);
    let out = format!("{PUBLIC}/oauth2/sign_out");
    assert_eq!(bob.submit(&out, PUBLIC, "").status, 303);
    let mut claims = world.provider.logout_claims("dashboards", "u-bob", "x");
    claims.as_object_mut().unwrap().remove("sid");
    let token = world.provider.sign("logout+jwt", &claims);
    let ended = crate::backchannel::logout(&world.gate, &token);
    assert_eq!(ended.status, 200);
}

// S1: it shows no token, no name, no address, no key; neither of who is there nor of who was ended.
#[test]
fn a_copy_of_a_store_shows_nothing() {
    for word in ["disk", "redis", "cookie with redis"] {
        let kept = Kept::of(word);
        let world = kept.world("");
        a_life(&world);
        let dump = dump(&kept);
        assert!(dump.len() > 500, "{word}");
        let known = ["alice", "u-bob", "example", "127.0.0.1", KEY];
        let mut secrets: Vec<String> = known.map(str::to_owned).into();
        let issued = world.provider.provider().issued_secrets();
        secrets.extend(issued.iter().map(|secret| secret.expose().to_owned()));
        assert!(secrets.len() > 8);
        for secret in secrets {
            assert!(!has(&dump, &secret), "{word}: {secret}");
        }
    }
}

// S1: whoever has the disk's file and the gate's keys learns who is signed in, and opens no session: what
// they can seal themselves is a ticket with another key.
#[test]
fn a_copy_of_the_disk_and_the_keys_open_no_session() {
    let kept = Kept::of("disk");
    let world = kept.world("");
    let alice = world.signed_in("alice");
    let (provider, app) = (world.provider, world.app);
    drop(world.gate);
    let other = Kept::of("disk");
    std::fs::copy(kept.file(), other.file()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stolen = runtime.block_on(async {
        let store = DiskStore::open(&other.file(), provider.clock().clone())
            .await
            .unwrap();
        let found = store.all(10).await.unwrap();
        store.close().await;
        found
    });
    let [(key, record)] = stolen.as_slice() else {
        panic!("{stolen:?}")
    };
    let gate = other.gate(&provider, &app, "");
    gate.await_providers();
    let generation = gate.shared.current.load_full();
    let card = Card::open(&record.card, &generation.keyring, *key).unwrap();
    assert_eq!(card.subject, "u-alice");
    let ticket = Ticket::new(card.id, [7; 32], &generation.names);
    assert_eq!(ticket.record_key(), *key, "it names her session");
    let forged = Session {
        ticket: Some(Arc::new(ticket)),
        ..session()
    };
    let nothing = Presented::read(&http::HeaderMap::new(), &generation.names);
    let cookie = SessionCookie::write(
        &forged,
        &generation.keyring,
        &generation.names,
        &nothing,
        provider.clock().now(),
    );
    let cookie = cookie.unwrap()[0].as_str().to_owned();
    let pair = cookie.split(';').next().unwrap();
    let request = format!("GET /x HTTP/1.1\r\nHost: gate.test\r\nCookie: {pair}\r\n\r\n");
    assert_eq!(exchange(gate.address, request).status, 401);
    // With her own, she is in.
    assert_eq!(status(&mut alice.resolve(PUBLIC, gate.address)), 200);
}

/// A session like any other.
fn session() -> Session {
    let who = SignedIn {
        identity: Identity {
            issuer: "https://id.test".to_owned(),
            subject: "u-thief".to_owned(),
            email: None,
            groups: Groups::Complete(Vec::new()),
            preferred_username: None,
            name: None,
            claims: std::collections::BTreeMap::new(),
        },
        provider: "corp".to_owned(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        grant: None,
        raw_id_token: None,
    };
    let day = Duration::from_hours(24);
    let limits = SessionLimits {
        idle: day,
        absolute: day,
        recheck: day,
        outage_grace: day,
    };
    Session::start(who, [1; 16], limits, Clock::system().now())
}
