//! Several gates that share a Redis: nobody notices which of them answers, and none is left behind.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::renewal::{await_renewed, renewals, until};
use super::{Kept, MINUTE, status};
use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World};

const RECHECK: Duration = Duration::from_mins(15);
const GRACE: Duration = Duration::from_hours(1);

/// What gates can share.
const SHARED: [&str; 2] = ["redis", "cookie with redis"];

/// A world with two more gates.
fn three(kept: &Kept, more: &str) -> (World, Vec<Instance>) {
    let world = kept.world(more);
    let others = (0..2).map(|_| kept.gate(&world.provider, &world.app, more));
    let others: Vec<_> = others.collect();
    for gate in &others {
        gate.await_providers();
    }
    (world, others)
}

/// The same browser before each of the gates.
fn at_each(browser: &Browser, world: &World, others: &[Instance]) -> Vec<Browser> {
    std::iter::once(&world.gate)
        .chain(others)
        .map(|gate| browser.clone().resolve(PUBLIC, gate.address))
        .collect()
}

// E8: 150 requests at three gates on a token that has ended are one call of the provider, whether they
// can go on meanwhile or have to wait for it.
#[test]
fn requests_at_three_gates_with_an_expired_token_are_one_renewal() {
    for word in SHARED {
        let kept = Kept::of(word);
        let (world, others) = three(&kept, "");
        let alice = world.signed_in("alice");
        let each = at_each(&alice, &world, &others);
        // In cookies, the old one is sent on and on by tabs that know no better.
        for (round, after) in [RECHECK, RECHECK + GRACE].into_iter().enumerate() {
            if round > 0 && !kept.has_tickets() {
                break;
            }
            world.gate.clock.advance(after);
            std::thread::scope(|scope| {
                let asked: Vec<_> = (0..150)
                    .map(|number| {
                        let browser = each[number % 3].clone();
                        scope.spawn(move || status(&mut browser.clone()))
                    })
                    .collect();
                for one in asked {
                    let logs = || others.iter().map(Instance::log).collect::<String>();
                    let status = one.join().unwrap();
                    assert_eq!(status, 200, "{word}: {}{}", world.gate.log(), logs());
                }
            });
            until("the provider was not asked", || renewals(&world) > round);
            for browser in &each {
                await_renewed(browser);
                assert_eq!(status(&mut browser.clone()), 200, "{word}");
            }
            assert_eq!(renewals(&world), round + 1, "{word}");
        }
    }
}

// E8: the same where everybody has to wait for it, with cookies.
#[test]
fn requests_at_three_gates_that_have_to_wait_are_one_renewal() {
    let kept = Kept::of("cookie with redis");
    let (world, others) = three(&kept, "");
    let alice = world.signed_in("alice");
    let each = at_each(&alice, &world, &others);
    world.gate.clock.advance(RECHECK + GRACE);
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..60)
            .map(|number| {
                let browser = each[number % 3].clone();
                scope.spawn(move || status(&mut browser.clone()))
            })
            .collect();
        for one in asked {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    assert_eq!(renewals(&world), 1);
}

// E8: whoever dies with the lock delays the others until it ends, and no longer.
#[test]
fn the_lock_of_a_gate_that_died_ends_by_itself() {
    for word in SHARED {
        let kept = Kept::of(word);
        let world = kept.world("");
        let alice = world.signed_in("alice");
        let redis = kept.redis.as_ref().unwrap();
        // The lock's name is known from the gate that takes it; so it is taken once, and kept.
        world.gate.clock.advance(RECHECK);
        assert_eq!(status(&mut alice.clone()), 200, "{word}");
        await_renewed(&alice);
        let taken = renewals(&world);
        let keys = redis
            .keys()
            .into_iter()
            .map(|key| String::from_utf8(key).unwrap());
        let sessions: Vec<String> = keys.filter(|key| key.contains(":s:")).collect();
        assert_eq!(sessions.len(), 1, "{word}: {sessions:?}");
        let lock = sessions[0].replace(":s:", ":l:");
        let dead: String = redis.ask(&["SET", &lock, "a gate that died", "PX", "700"]);
        assert_eq!(dead, "OK");
        world.gate.clock.advance(RECHECK + GRACE);
        let begun = Instant::now();
        // The browser has the newest cookie by now.
        let mut newest = alice.clone();
        assert_eq!(status(&mut newest), 200, "{word}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{word}");
        await_renewed(&newest);
        assert!(renewals(&world) > taken, "{word}");
    }
}

// G13, S5: what was signed out at one gate is over at the others at once, also where they had a copy.
#[test]
fn a_sign_out_at_one_gate_is_one_at_all() {
    let kept = Kept::of("redis");
    let (world, others) = three(&kept, "");
    let (mut alice, bob) = (world.signed_in("alice"), world.signed_in("bob"));
    let each = at_each(&alice, &world, &others);
    for browser in &each {
        assert_eq!(status(&mut browser.clone()), 200);
    }
    let out = format!("{PUBLIC}/oauth2/sign_out");
    assert_eq!(alice.submit(&out, PUBLIC, "").status, 303);
    let begun = Instant::now();
    for browser in &each {
        until("a sign-out was not heard of", || {
            status(&mut browser.clone()) == 401
        });
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    for browser in &at_each(&bob, &world, &others) {
        assert_eq!(status(&mut browser.clone()), 200);
    }
}

// S2, R: while Redis is away nobody is sent to sign in. Who was seen lately goes on for a minute, the
// others are told to come again; and then all go on with the sessions that they had.
#[test]
fn while_redis_is_away_nobody_is_signed_out() {
    for word in SHARED {
        let kept = Kept::of(word);
        let world = kept.world("");
        let (alice, bob) = (world.signed_in("alice"), world.signed_in("bob"));
        assert_eq!(status(&mut alice.clone()), 200, "{word}");
        let redis = kept.redis.as_ref().unwrap();
        redis.signal("-STOP");
        for _ in 0..5 {
            world.gate.clock.advance(Duration::from_secs(11));
            assert_eq!(status(&mut alice.clone()), 200, "{word}");
        }
        world.gate.clock.advance(Duration::from_secs(10));
        let answer = alice.clone().open(&format!("{PUBLIC}/page"));
        if kept.has_tickets() {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.field("retry-after").is_some());
            assert!(
                answer.field("set-cookie").is_none(),
                "nothing is taken away"
            );
            world.gate.logged("session_store_down");
            assert_eq!(status(&mut bob.clone()), 503);
            // A page of scripts is told the same: nobody has to sign in.
            let passive = format!("{PUBLIC}/oauth2/userinfo?passive=1");
            assert_eq!(alice.clone().fetch("GET", &passive, "").status, 503);
        } else {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        redis.signal("-CONT");
        until("nobody came back", || status(&mut alice.clone()) == 200);
        until("nobody came back", || status(&mut bob.clone()) == 200);
    }
}

// R7: under load, a Redis that stands still or is gone takes nobody's session: half a minute of it is
// not seen at all, and what comes after a minute is a 503, never a login.
#[test]
fn half_a_minute_without_redis_under_load_is_not_seen() {
    for word in SHARED {
        let kept = Kept::of(word);
        let world = kept.world(", recheck: 8h");
        let browsers: Vec<Browser> = (0..6)
            .map(|n| world.signed_in(["alice", "bob"][n % 2]))
            .collect();
        let rounds: Vec<AtomicUsize> = browsers.iter().map(|_| AtomicUsize::new(0)).collect();
        let (may_refuse, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let redis = kept.redis.as_ref().unwrap();
        // Everybody has asked once more, from the beginning to the end.
        let a_round = || {
            let before: Vec<_> = rounds.iter().map(|n| n.load(Ordering::Acquire)).collect();
            until("nobody is answered", || {
                let now = rounds.iter().map(|n| n.load(Ordering::Acquire));
                now.zip(&before).all(|(now, before)| now >= before + 2)
            });
        };
        std::thread::scope(|scope| {
            for (mut browser, rounds) in browsers.iter().cloned().zip(&rounds) {
                let (may_refuse, is_over) = (&may_refuse, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Acquire) {
                        let page = browser.open(&format!("{PUBLIC}/page"));
                        if page.status != 200 {
                            assert!(may_refuse.load(Ordering::Acquire), "{word}: {page:?}");
                            assert_eq!(page.status, 503, "{word}: {page:?}");
                            assert!(page.field("retry-after").is_some(), "{word}");
                            assert_eq!(page.field("set-cookie"), None, "{word}");
                        }
                        rounds.fetch_add(1, Ordering::Release);
                    }
                });
            }
            a_round();
            redis.signal("-STOP");
            for _ in 0..30 {
                world.gate.clock.advance(Duration::from_secs(1));
                a_round();
            }
            if kept.has_tickets() {
                may_refuse.store(true, Ordering::Release);
                world.gate.clock.advance(MINUTE);
                a_round();
                world.gate.logged("session_store_down");
            }
            redis.signal("-CONT");
            for browser in &browsers {
                until("nobody came back", || status(&mut browser.clone()) == 200);
            }
            may_refuse.store(false, Ordering::Release);
            a_round();
            is_over.store(true, Ordering::Release);
        });
    }
}

// G4: who signs out while the store is away is out, and stays out when it is back.
#[test]
fn a_sign_out_while_redis_is_away_holds_when_it_is_back() {
    let kept = Kept::of("redis");
    let world = kept.world("");
    let mut alice = world.signed_in("alice");
    let copy = alice.clone();
    world.gate.clock.advance(2 * MINUTE);
    let redis = kept.redis.as_ref().unwrap();
    redis.signal("-STOP");
    let out = format!("{PUBLIC}/oauth2/sign_out");
    let answer = alice.submit(&out, PUBLIC, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(alice.names("gate.test").is_empty());
    redis.signal("-CONT");
    until("it is not back", || status(&mut copy.clone()) == 401);
    for _ in 0..5 {
        world.gate.clock.advance(MINUTE);
        assert_eq!(status(&mut copy.clone()), 401);
    }
}

// Under load, Redis is asked about a session once in five seconds, however many requests it has.
#[test]
fn a_session_in_use_costs_redis_one_question_in_five_seconds() {
    let kept = Kept::of("redis");
    let world = kept.world("");
    let alice = world.signed_in("alice");
    let redis = kept.redis.as_ref().unwrap();
    let asked = || {
        let told: String = redis.ask(&["INFO", "commandstats"]);
        let line = told
            .lines()
            .find(|line| line.starts_with("cmdstat_getrange:"));
        let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
        calls.map_or(0, |calls| calls.parse::<u32>().unwrap())
    };
    for round in 0..4 {
        let before = asked();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        assert_eq!(status(&mut alice.clone()), 200);
                    }
                });
            }
        });
        assert!(asked() - before <= 1, "round {round}: {}", asked() - before);
        world.gate.clock.advance(Duration::from_secs(5));
    }
    assert!(asked() >= 3, "it was asked at all");
}

// S4: whatever a gate leaves in Redis ends by itself.
#[test]
fn nothing_in_redis_is_for_ever() {
    for word in SHARED {
        let kept = Kept::of(word);
        let world = kept.world("");
        let alice = world.signed_in("alice");
        world.gate.clock.advance(RECHECK + MINUTE);
        assert_eq!(status(&mut alice.clone()), 200);
        await_renewed(&alice);
        let redis = kept.redis.as_ref().unwrap();
        for key in redis.keys() {
            let name = String::from_utf8(key).unwrap();
            let left: i64 = redis.ask(&["PTTL", &name]);
            assert!(
                (0..=26 * 3_600_000).contains(&left),
                "{word}: {name}: {left}"
            );
        }
    }
}
