//! The provider ends sessions by a call of its own: where they are kept makes no difference, and what is
//! not its word ends nothing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::stores::renewal::until;
use crate::stores::{Kept, status};
use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World};
use crate::support::raw::Answer;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const SECOND: Duration = Duration::from_secs(1);

/// Sends a body to the endpoint as a provider does: without cookies.
fn send(gate: &Instance, fields: &str, body: &str) -> Answer {
    let mut provider = Browser::new().resolve(PUBLIC, gate.address);
    let url = format!("{PUBLIC}/oauth2/backchannel_logout");
    provider.request("POST", &url, fields, body.as_bytes())
}

pub(crate) fn logout(gate: &Instance, token: &str) -> Answer {
    send(gate, FORM, &format!("logout_token={token}&unknown=field"))
}

fn signed(world: &World, claims: &Value) -> String {
    world.provider.sign("logout+jwt", claims)
}

/// The `sid` of the ID token that was issued last.
fn last_sid(world: &World) -> String {
    let issued = world.provider.provider().issued_secrets();
    let mut sids = issued.iter().filter_map(|secret| {
        let payload = secret.expose().split('.').nth(1)?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        claims["nonce"].as_str()?;
        Some(claims["sid"].as_str()?.to_owned())
    });
    sids.next_back().unwrap()
}

/// A logout token for the dashboards, with these members set, or taken out where they are null.
fn claims(world: &World, sid: &str, change: &Value) -> Value {
    let mut claims = world.provider.logout_claims("dashboards", "u-alice", sid);
    let members = claims.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    claims
}

/// Everything that takes logout tokens without sharing them with other gates.
fn alone() -> Vec<(Kept, &'static str)> {
    vec![
        (Kept::of("cookie"), ", single_instance: true"),
        (Kept::of("memory"), ""),
        (Kept::of("disk"), ""),
        (Kept::of("redis"), ""),
        (Kept::of("cookie with redis"), ""),
    ]
}

// G6, G8: exactly 200, nothing kept by a cache, no cookie; and the session with that `sid` is over, at
// once and for every copy, while everybody else goes on.
#[test]
fn a_logout_token_ends_the_sessions_of_its_sid_and_no_others() {
    for (kept, more) in alone() {
        let store = kept.word;
        let world = kept.world(more);
        let alice = world.signed_in("alice");
        let sid = last_sid(&world);
        let (elsewhere, bob) = (world.signed_in("alice"), world.signed_in("bob"));
        assert_eq!(status(&mut alice.clone()), 200, "{store}");
        world.gate.clock.advance(SECOND);
        let answer = logout(
            &world.gate,
            &signed(&world, &claims(&world, &sid, &json!({}))),
        );
        assert_eq!(answer.status, 200, "{store}: {answer:?}");
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("set-cookie"), None);
        assert!(answer.text().is_empty());
        for _ in 0..4 {
            assert_eq!(status(&mut alice.clone()), 401, "{store}");
        }
        assert_eq!(status(&mut elsewhere.clone()), 200, "{store}");
        assert_eq!(status(&mut bob.clone()), 200, "{store}");
        let log = world.gate.logged("\"event\":\"backchannel_logout\"");
        assert!(!log.contains(&sid), "{store}");
    }
}

// G8: by subject alone, all of that person's sessions end; and who signs in after that is in.
#[test]
fn a_logout_token_without_a_sid_ends_all_sessions_of_its_subject() {
    for (kept, more) in alone() {
        let store = kept.word;
        let world = kept.world(more);
        let both = [world.signed_in("alice"), world.signed_in("alice")];
        let bob = world.signed_in("bob");
        world.gate.clock.advance(SECOND);
        let token = signed(&world, &claims(&world, "", &json!({ "sid": null })));
        assert_eq!(logout(&world.gate, &token).status, 200, "{store}");
        for one in &both {
            assert_eq!(status(&mut one.clone()), 401, "{store}");
        }
        assert_eq!(status(&mut bob.clone()), 200, "{store}");
        world.gate.clock.advance(SECOND);
        let mut again = world.signed_in("alice");
        assert_eq!(status(&mut again), 200, "{store}");
    }
}

// G6, G7, G9: exactly 400, a word why, and nothing ends.
#[test]
fn whatever_is_no_logout_token_of_the_provider_ends_nothing() {
    let kept = Kept::of("memory");
    let world = kept.world("");
    let alice = world.signed_in("alice");
    let sid = last_sid(&world);
    world.gate.clock.advance(SECOND);
    let good = signed(&world, &claims(&world, &sid, &json!({})));
    let now = world.gate.clock.now().as_seconds();
    let refused = |what: &str, answer: &Answer| {
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{what}");
        let told: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(told["code"], "logout_token_invalid", "{what}");
        assert_eq!(status(&mut alice.clone()), 200, "{what}");
    };
    for change in [
        json!({ "iss": "https://evil.test" }),
        json!({ "aud": "another" }),
        json!({ "iat": now + 120 }),
        json!({ "iat": now - 3600 }),
        json!({ "exp": now - 60 }),
        json!({ "jti": null }),
        json!({ "events": {} }),
        json!({ "events": "http://schemas.openid.net/event/backchannel-logout" }),
        json!({ "nonce": "n" }),
        json!({ "sub": null, "sid": null }),
    ] {
        let token = signed(&world, &claims(&world, &sid, &change));
        refused(&change.to_string(), &logout(&world.gate, &token));
    }
    // An access token, and one that was touched.
    let typed = world
        .provider
        .sign("at+jwt", &claims(&world, &sid, &json!({})));
    refused("an access token", &logout(&world.gate, &typed));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let touched = format!("{message}.{other}{}", &signature[1..]);
    refused("a touched one", &logout(&world.gate, &touched));
    let unsigned = logout(&world.gate, &format!("{message}."));
    refused("an unsigned one", &unsigned);
    // What is no form with one token in it.
    let field = format!("logout_token={good}");
    for (what, fields, body) in [
        ("twice", FORM, format!("{field}&{field}")),
        ("none", FORM, "unknown=1".to_owned()),
        ("nothing", FORM, String::new()),
        ("JSON", "Content-Type: application/json\r\n", field.clone()),
        ("no type", "", field.clone()),
        (
            "too much",
            FORM,
            format!("{field}&x={}", "x".repeat(64 * 1024)),
        ),
    ] {
        refused(what, &send(&world.gate, fields, &body));
    }
    let url = format!("{PUBLIC}/oauth2/backchannel_logout?{field}");
    assert_eq!(alice.clone().open(&url).status, 405);
    assert_eq!(status(&mut alice.clone()), 200);
    // And the good one, which none of these has spent, ends it, once.
    assert_eq!(logout(&world.gate, &good).status, 200);
    assert_eq!(status(&mut alice.clone()), 401);
    let again = logout(&world.gate, &good);
    assert_eq!(again.status, 400, "{again:?}");
}

// G10: never a 200 that ends a part of it.
#[test]
fn where_other_gates_may_not_hear_of_it_a_logout_token_is_not_taken() {
    let kept = Kept::of("cookie");
    let world = kept.world("");
    let alice = world.signed_in("alice");
    let sid = last_sid(&world);
    world.gate.clock.advance(SECOND);
    let token = signed(&world, &claims(&world, &sid, &json!({})));
    let answer = logout(&world.gate, &token);
    assert_eq!(answer.status, 501, "{answer:?}");
    assert_eq!(status(&mut alice.clone()), 200);
    // Who sends nothing that is signed learns nothing of how this gate is set up.
    assert_eq!(logout(&world.gate, "nonsense").status, 400);
}

// G8, G10: one gate hears it, all that share a Redis act on it within a second, and none takes the token
// again.
#[test]
fn a_logout_token_at_one_gate_is_one_at_all() {
    for word in ["redis", "cookie with redis"] {
        let kept = Kept::of(word);
        let world = kept.world("");
        let others: Vec<_> = (0..2)
            .map(|_| kept.gate(&world.provider, &world.app, ""))
            .collect();
        let alice = world.signed_in("alice");
        let sid = last_sid(&world);
        let bob = world.signed_in("bob");
        let at = |browser: &Browser, gate: &Instance| browser.clone().resolve(PUBLIC, gate.address);
        for gate in &others {
            gate.await_providers();
            assert_eq!(status(&mut at(&alice, gate)), 200, "{word}");
        }
        world.gate.clock.advance(SECOND);
        let token = signed(&world, &claims(&world, &sid, &json!({})));
        assert_eq!(logout(&world.gate, &token).status, 200, "{word}");
        let begun = std::time::Instant::now();
        for gate in &others {
            until("it was not heard of", || {
                status(&mut at(&alice, gate)) == 401
            });
        }
        assert!(begun.elapsed() < SECOND, "{word}: {:?}", begun.elapsed());
        for gate in &others {
            assert_eq!(status(&mut at(&bob, gate)), 200, "{word}");
            assert_eq!(logout(gate, &token).status, 400, "{word}: seen before");
        }
        // A gate that starts later knows it, too.
        let late = kept.gate(&world.provider, &world.app, "");
        late.await_providers();
        until("it was not recalled", || {
            status(&mut at(&alice, &late)) == 401
        });
        assert_eq!(status(&mut at(&bob, &late)), 200, "{word}");
    }
}

// G10: what was ended stays so over a restart, where there is a file for it.
#[test]
fn a_restart_does_not_revive_what_a_logout_token_ended() {
    let kept = Kept::of("disk");
    let world = kept.world("");
    let alice = world.signed_in("alice");
    let sid = last_sid(&world);
    world.gate.clock.advance(SECOND);
    let token = signed(&world, &claims(&world, &sid, &json!({})));
    assert_eq!(logout(&world.gate, &token).status, 200);
    let (provider, app) = (world.provider, world.app);
    drop(world.gate);
    let gate = kept.gate(&provider, &app, "");
    gate.await_providers();
    assert_eq!(status(&mut alice.resolve(PUBLIC, gate.address)), 401);
}

// G9: while nobody can tell whether a token was seen, it ends what it names, here at once and elsewhere
// as soon as the store answers; the provider hears that it is not done everywhere.
#[test]
fn while_the_shared_store_is_away_a_logout_token_ends_what_it_can() {
    for word in ["redis", "cookie with redis"] {
        let kept = Kept::of(word);
        let world = kept.world("");
        let other = kept.gate(&world.provider, &world.app, "");
        other.await_providers();
        let (alice, bob) = (world.signed_in("alice"), world.signed_in("bob"));
        let at_other = |browser: &Browser| browser.clone().resolve(PUBLIC, other.address);
        assert_eq!(status(&mut at_other(&alice)), 200, "{word}");
        let mut change = json!({ "sid": null });
        change["sub"] = json!("u-alice");
        world.gate.clock.advance(SECOND);
        let token = signed(&world, &claims(&world, "", &change));
        let redis = kept.redis.as_ref().unwrap();
        redis.signal("-STOP");
        assert_eq!(logout(&world.gate, &token).status, 400, "{word}");
        assert_eq!(status(&mut alice.clone()), 401, "{word}: here it is over");
        redis.signal("-CONT");
        until("it was not told", || status(&mut at_other(&alice)) == 401);
        until("somebody else was ended", || {
            status(&mut at_other(&bob)) == 200
        });
    }
}
