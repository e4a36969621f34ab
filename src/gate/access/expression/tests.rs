use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::base::clock::UnixTime;
use crate::base::origin::Host;
use crate::gate::access::condition::Asked;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claims::{Email, Groups, Identity, Verification};
use crate::session::tests::session_of;

/// A Tuesday, 13:20 in UTC.
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000 - 3 * 86_400 + 19_200);

fn parsed(source: &str) -> Expression {
    Expression::parse(source, Inputs::Request).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn somebody() -> Identity {
    let mut identity = session_of("alice").identity;
    identity.groups = Groups::Complete(vec!["sre".to_owned(), "staff".to_owned()]);
    identity.email = Some(Email {
        address: "alice@ok.test".to_owned(),
        verification: Verification::Verified,
    });
    let claims = json!({
        "department": "ops", "level": 5, "active": true, "teams": ["red", "blue"],
        "mixed": ["red", 5], "none": null, "half": 0.5, "object": { "a": 1 },
        "empty": [], "realm.roles": ["admin"],
    });
    identity.claims = serde_json::from_value::<BTreeMap<String, Value>>(claims).unwrap();
    identity
}

fn judged(source: &str, identity: &Identity) -> Answer {
    let (method, host) = (Method::POST, Host::parse("app.test").unwrap());
    let applicant = Applicant {
        provider: "corp",
        identity,
        acr: Some("mfa"),
        auth_time: None,
        client: Some(ClientAddress::Ip("10.1.2.3".parse().unwrap())),
        asked: Some(Asked {
            method: &method,
            host: &host,
        }),
        now: NOW,
    };
    parsed(source).judge(&applicant)
}

fn is_unknown(answer: &Answer) -> bool {
    matches!(answer, Answer::Unknown(_))
}

#[test]
fn what_is_true_is_met_and_what_is_false_is_not() {
    let alice = somebody();
    let truths = [
        "true",
        "claims.department == 'ops'",
        "claims.department == \"ops\" && claims.level >= 5",
        "claims.department != \"dev\"",
        "claims['department'] == 'ops'",
        "claims.realm.roles.exists(r, r == 'admin')",
        "claims[\"realm.roles\"].exists(r, r == 'admin')",
        "claims.active",
        "claims.active == true && !(claims.level < 5)",
        "claims.level > 4 && claims.level <= 5 && claims.level == 5 && claims.level != -5",
        "'red' in claims.teams",
        "claims.department in ['dev', 'ops']",
        "claims.level in [1, 5]",
        "'sre' in user.groups",
        "user.groups.exists(g, g.startsWith('sr'))",
        "user.groups.all(g, g.size() > 2)",
        "size(claims.teams) == 2",
        "claims.empty.all(x, x == 1)",
        "!claims.empty.exists(x, x == 1)",
        "user.email.endsWith('@ok.test') && user.email.contains('lice')",
        "user.provider == 'corp' && user.acr == 'mfa' && user.subject == user.subject",
        "request.method == 'POST' && request.host == 'app.test'",
        "request.client_address == '10.1.2.3'",
        "request.hour >= 8 && request.hour < 18 && request.weekday <= 5",
        "has(claims.department)",
        "has(claims.realm.roles)",
        // One side settles it, whatever becomes of the other.
        "claims.none == 'x' || claims.department == 'ops'",
        "claims.department == 'ops' || claims.none == 'x'",
        "'red' in claims.mixed",
        "claims.mixed.exists(x, x == 5)",
        "'it\\'s \\\\ so' == \"it's \\\\ so\"",
        "  ( ( true ) )\n",
    ];
    for source in truths {
        assert_eq!(judged(source, &alice), Answer::Yes, "{source}");
        let opposite = format!("!({source})");
        assert!(
            matches!(judged(&opposite, &alice), Answer::No(_)),
            "{opposite}"
        );
    }
}

// A19, I12: what is absent, mistyped, too large to be kept or not known has no value, and is neither met
// nor its opposite met, whichever way it is asked.
#[test]
fn what_has_no_value_admits_nobody_either_way() {
    let mut alice = somebody();
    alice.groups = Groups::Overage;
    alice.email = Some(Email {
        address: "alice@ok.test".to_owned(),
        verification: Verification::Unverified,
    });
    let valueless = [
        // Absent, or too large to be kept: both are kept as `null`.
        "claims.none == 'x'",
        "claims.none != 'x'",
        "claims.none",
        "claims.none.startsWith('x')",
        "'x' in claims.none",
        "claims.none.exists(x, x == 'x')",
        "claims.none.all(x, x == 'x')",
        "size(claims.none) == 0",
        "has(claims.none)",
        // Mistyped.
        "claims.level == '5'",
        "claims.level != '5'",
        "claims.level == true",
        "claims.department > 3",
        "claims.department",
        "claims.half == 0",
        "claims.half != 0",
        "claims.half < 1",
        "claims.object == 'x'",
        "claims.object != 'x'",
        "claims.teams != 'red'",
        "claims.department in [1, 2]",
        "'green' in claims.mixed",
        "claims.mixed.all(x, x == 'red')",
        "claims.mixed.exists(x, x == 'green')",
        "'x' in claims.department",
        "claims.level.contains('5')",
        "size(claims.level) == 1",
        // Not known.
        "'sre' in user.groups",
        "user.groups.all(g, g != 'contractors')",
        "user.email == 'alice@ok.test'",
        "user.email != 'bob@ok.test'",
        // Nothing settles it.
        "claims.none == 'x' || claims.department == 'dev'",
        "claims.department == 'ops' && claims.none == 'x'",
    ];
    for source in valueless {
        assert!(is_unknown(&judged(source, &alice)), "{source}");
        let opposite = format!("!({source})");
        assert!(is_unknown(&judged(&opposite, &alice)), "{opposite}");
    }
}

// For a session that is older than the rule nobody looked for the claim: a sign-in tells.
#[test]
fn a_claim_that_nobody_looked_for_asks_for_a_sign_in() {
    let sign_in = Answer::Unknown(Missing::SignIn(StepUp::default()));
    assert_eq!(judged("claims.newer == 'x'", &somebody()), sign_in);
    assert_eq!(judged("!has(claims.newer)", &somebody()), sign_in);
}

#[test]
fn without_a_request_nothing_is_known_of_it() {
    let alice = somebody();
    let applicant = Applicant::by_identity("corp", &alice);
    for source in [
        "request.method == 'POST'",
        "request.host != 'app.test'",
        "request.client_address != '10.1.2.3'",
        "user.acr != 'pwd'",
    ] {
        assert!(is_unknown(&parsed(source).judge(&applicant)), "{source}");
    }
}

#[test]
fn what_is_no_expression_is_refused_where_it_is_wrong() {
    let rows: &[(&str, usize, &str)] = &[
        ("", 1, "a value is missing"),
        ("claims", 7, "the claim's name is missing"),
        ("claims.a ==", 12, "a value is missing"),
        ("claims.a = 'x'", 10, "does not belong here"),
        ("claims.a == 'x' claims.b", 17, "does not belong here"),
        ("claims.a == 'x", 13, "does not end"),
        ("claims.a == 'x\n'", 13, "does not end"),
        ("claims.a == '\\n'", 13, "after a backslash"),
        ("user.name == 'x'", 10, "`user.subject`"),
        ("request.path == '/x'", 13, "`request.method`"),
        ("group == 'x'", 6, "is not known"),
        ("user.email.matches('x')", 19, "one asks"),
        ("'a' + 'b' == 'ab'", 5, "does not belong here"),
        ("1 == 'x'", 9, "different types"),
        ("user.groups == 'x'", 19, "different types"),
        ("user.groups == user.groups", 27, "lists are not compared"),
        ("true < false", 13, "no order"),
        ("user.email", 11, "must be true or false"),
        ("5", 2, "must be true or false"),
        ("!user.email", 12, "must be true or false"),
        ("claims.a && 'x'", 16, "must be true or false"),
        ("'x' in 'xyz'", 13, "must be a list"),
        ("request.hour.startsWith('1')", 24, "must be a text"),
        ("user.email.startsWith(1)", 25, "must be a text"),
        (
            "user.groups.all(g, user.groups.all(h, h == g))",
            37,
            "a loop in a loop",
        ),
        ("user.groups.all(claims, true)", 23, "this name is taken"),
        ("user.groups.all(g, g)", 22, ""),
        ("g == 'x'", 2, "is not known"),
        ("1.5 < claims.a", 1, "not a whole number"),
        ("99999999999999999999 == claims.a", 1, "not a whole number"),
        ("claims.a in [1, 'x']", 20, "one type"),
        ("claims.a in [claims.b]", 14, "texts or numbers"),
        ("(true", 6, "`)` is missing"),
        ("ü", 1, "a value is missing"),
    ];
    for (source, at, what) in rows {
        if what.is_empty() {
            parsed(source);
            continue;
        }
        let error = Expression::parse(source, Inputs::Request).unwrap_err();
        assert!(error.what.contains(what), "{source}: {error}");
        assert_eq!(error.at, *at, "{source}: {error}");
    }
    let sign_in = Expression::parse("request.method == 'GET'", Inputs::Person).unwrap_err();
    assert!(sign_in.what.contains("no request"), "{sign_in}");
}

// T1: what is read has bounds, so that no text can take long or use the stack up.
#[test]
fn depth_and_length_have_bounds() {
    let deep = |count: usize| format!("{}true{}", "(".repeat(count), ")".repeat(count));
    assert!(Expression::parse(&deep(31), Inputs::Request).is_ok());
    for source in [
        deep(32),
        deep(2_000),
        format!("{}true", "!".repeat(100)),
        format!("true{}", " && true".repeat(1_000)),
    ] {
        assert!(Expression::parse(&source, Inputs::Request).is_err());
    }
    assert!(Expression::parse(&format!("true{}", " && true".repeat(500)), Inputs::Request).is_ok());
}

#[test]
fn an_expression_about_a_person_says_whose() {
    for source in [
        "user.provider == 'corp' && claims.a == 1",
        "request.method == 'GET'",
    ] {
        assert!(parsed(source).says_whose(), "{source}");
    }
    for source in [
        "claims.a == 1",
        "has(claims.a)",
        "'x' in user.groups",
        "user.acr == 'mfa'",
    ] {
        assert!(!parsed(source).says_whose(), "{source}");
    }
}
