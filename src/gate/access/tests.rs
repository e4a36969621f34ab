use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::condition::Applicant;
use super::*;
use crate::base::clock::UnixTime;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claim_path::ClaimPath;
use crate::oidc::claims::{Email, Groups, Identity, Verification};

fn by<'a>(provider: &'a str, identity: &'a Identity) -> Applicant<'a> {
    Applicant::by_identity(provider, identity)
}

fn alice() -> Identity {
    Identity {
        issuer: "https://id.test".to_owned(),
        subject: "a1".to_owned(),
        email: Some(Email {
            address: "alice@ok.test".to_owned(),
            verification: Verification::Verified,
        }),
        groups: Groups::Complete(vec!["dev".to_owned(), "users,admins".to_owned()]),
        preferred_username: None,
        name: None,
        claims: BTreeMap::new(),
    }
}

fn named(name: &str) -> Named {
    Named {
        provider: None,
        name: name.to_owned(),
    }
}

fn with_email(address: &str) -> Identity {
    let email = Email {
        address: address.to_owned(),
        verification: Verification::Verified,
    };
    Identity {
        email: Some(email),
        ..alice()
    }
}

fn domain(name: &str) -> Condition {
    let pattern = EmailPattern::Domain(name.to_owned());
    Condition {
        emails: Some(vec![EmailRule {
            provider: None,
            pattern,
        }]),
        ..Condition::default()
    }
}

// C25: only the exact single-@ domain matches.
#[test]
fn only_an_address_of_exactly_that_domain_is_admitted() {
    for good in ["alice@ok.test", "Alice@OK.test", "a+b@ok.test"] {
        assert_eq!(
            domain("ok.test").judge(&by("p", &with_email(good))),
            Verdict::Met,
            "{good}"
        );
    }
    for bad in [
        "a@ok.test@evil.test",
        "a@evil.test@ok.test",
        "\"a@ok.test\"@evil.test",
        "a@ok.test.",
        " a@ok.test",
        "a@ok.test ",
        "a\0@ok.test",
        "a@ok.test,b@ok.test",
        "a\u{ff20}ok.test",
        "a@xok.test",
        "a@sub.ok.test",
        "@ok.test",
        "a@",
        "a@xn--ok-test",
        "a@evil.test\r\nX: y@ok.test",
        "ok.test",
        "",
    ] {
        assert_ne!(
            domain("ok.test").judge(&by("p", &with_email(bad))),
            Verdict::Met,
            "{bad:?}"
        );
    }
}

// C25: an address that the provider does not vouch for meets no rule.
#[test]
fn an_unverified_address_meets_no_rule() {
    let email = Email {
        address: "alice@ok.test".to_owned(),
        verification: Verification::Unverified,
    };
    let unverified = Identity {
        email: Some(email),
        ..alice()
    };
    assert_eq!(
        domain("ok.test").judge(&by("p", &unverified)),
        Verdict::NotMet(Missing::VerifiedEmail)
    );
    let none = Identity {
        email: None,
        ..alice()
    };
    assert_eq!(
        domain("ok.test").judge(&by("p", &none)),
        Verdict::NotMet(Missing::Email)
    );
}

// C26: a group whose name holds the delimiter is one group; an overage is no membership.
#[test]
fn a_group_is_matched_whole_and_an_overage_admits_nobody() {
    let admins = Condition {
        groups: Some(vec![named("admins")]),
        ..Condition::default()
    };
    assert_eq!(
        admins.judge(&by("p", &alice())),
        Verdict::NotMet(Missing::Group)
    );
    let overage = Identity {
        groups: Groups::Overage,
        ..alice()
    };
    assert_eq!(
        admins.judge(&by("p", &overage)),
        Verdict::NotMet(Missing::CompleteGroups)
    );
    let dev = Condition {
        groups: Some(vec![named("ops"), named("dev")]),
        ..Condition::default()
    };
    assert_eq!(dev.judge(&by("p", &alice())), Verdict::Met);
}

// C24: one provider's groups and addresses are not another's.
#[test]
fn a_rule_that_names_a_provider_believes_only_that_provider() {
    let of = |name: &str| Named {
        provider: Some("corp".to_owned()),
        name: name.to_owned(),
    };
    let groups = Condition {
        groups: Some(vec![of("dev")]),
        ..Condition::default()
    };
    assert_eq!(groups.judge(&by("corp", &alice())), Verdict::Met);
    assert_eq!(
        groups.judge(&by("other", &alice())),
        Verdict::NotMet(Missing::Group)
    );
    let subjects = Condition {
        subjects: Some(vec![of("a1")]),
        ..Condition::default()
    };
    assert_eq!(subjects.judge(&by("corp", &alice())), Verdict::Met);
    assert_eq!(
        subjects.judge(&by("other", &alice())),
        Verdict::NotMet(Missing::Subject)
    );
}

// I12: an empty list means nobody.
#[test]
fn an_empty_list_admits_nobody_and_all_keys_must_hold() {
    for nobody in [
        Condition {
            groups: Some(vec![]),
            ..Condition::default()
        },
        Condition {
            emails: Some(vec![]),
            ..Condition::default()
        },
        Condition {
            subjects: Some(vec![]),
            ..Condition::default()
        },
        Condition {
            any: Some(vec![]),
            ..Condition::default()
        },
        Condition {
            claims: Some(vec![]),
            ..Condition::default()
        },
        Condition {
            acr: Some(vec![]),
            ..Condition::default()
        },
        Condition {
            addresses: Some(vec![]),
            ..Condition::default()
        },
    ] {
        assert_ne!(nobody.judge(&by("p", &alice())), Verdict::Met, "{nobody:?}");
    }
    let both = Condition {
        groups: Some(vec![named("dev")]),
        ..domain("other.test")
    };
    assert_eq!(
        both.judge(&by("p", &alice())),
        Verdict::NotMet(Missing::OtherEmail)
    );
    let either = Condition {
        any: Some(vec![
            domain("other.test"),
            Condition {
                groups: Some(vec![named("dev")]),
                ..Condition::default()
            },
        ]),
        ..Condition::default()
    };
    assert_eq!(either.judge(&by("p", &alice())), Verdict::Met);
}

/// Claims as they are kept, by their paths.
fn with_claims(claims: Value) -> Identity {
    let Value::Object(claims) = claims else {
        panic!("no claims");
    };
    Identity {
        claims: claims.into_iter().collect(),
        ..alice()
    }
}

fn claim(path: &str, values: Vec<Scalar>) -> Condition {
    Condition {
        claims: Some(vec![ClaimRule {
            provider: None,
            path: ClaimPath::parse(path).unwrap(),
            values,
        }]),
        ..Condition::default()
    }
}

fn deny(condition: Condition) -> Condition {
    Condition {
        deny: Some(Box::new(condition)),
        ..Condition::default()
    }
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

#[test]
fn a_claim_is_one_of_the_values_or_a_list_that_has_one() {
    let sre = claim("department", vec![text("sre"), text("ops")]);
    let level = claim("level", vec![Scalar::Number(5)]);
    let active = claim("active", vec![Scalar::Bool(true)]);
    for (condition, claims, is_met) in [
        (&sre, json!({ "department": "ops" }), true),
        (&sre, json!({ "department": ["dev", "sre"] }), true),
        (&sre, json!({ "department": "SRE" }), false),
        (&sre, json!({ "department": "sre,ops" }), false),
        (&sre, json!({ "department": [] }), false),
        (&level, json!({ "level": 5 }), true),
        (&level, json!({ "level": 6 }), false),
        (&active, json!({ "active": true }), true),
        (&active, json!({ "active": false }), false),
    ] {
        let who = with_claims(claims.clone());
        let verdict = condition.judge(&by("p", &who));
        assert_eq!(verdict == Verdict::Met, is_met, "{condition}: {claims}");
    }
}

// C24: a claim of this name from another provider is another claim, for a rule and for its denial.
#[test]
fn a_claim_counts_from_the_provider_that_the_rule_names_alone() {
    let mut sre = claim("department", vec![text("sre")]);
    sre.claims.as_mut().unwrap()[0].provider = Some("corp".to_owned());
    let who = with_claims(json!({ "department": "sre" }));
    assert_eq!(sre.judge(&by("corp", &who)), Verdict::Met);
    assert_ne!(sre.judge(&by("other", &who)), Verdict::Met);
    assert_ne!(deny(sre).judge(&by("other", &who)), Verdict::Met);
}

/// A condition, with what it judges there is nothing, or nonsense, of.
fn senseless() -> Vec<(Condition, Identity)> {
    let nobody = || Identity {
        email: None,
        groups: Groups::Overage,
        ..with_claims(json!({ "department": null }))
    };
    let mistyped = |value| with_claims(json!({ "department": value }));
    let sre = || claim("department", vec![text("sre")]);
    let mut unverified = alice();
    unverified.email.as_mut().unwrap().verification = Verification::Unverified;
    let in_groups = Condition {
        groups: Some(vec![named("dev")]),
        ..Condition::default()
    };
    let acr = Condition {
        acr: Some(vec![named("mfa")]),
        ..Condition::default()
    };
    let young = Condition {
        max_age: Some(Duration::from_secs(60)),
        ..Condition::default()
    };
    let near = Condition {
        addresses: Some(vec!["0.0.0.0/0".parse().unwrap()]),
        ..Condition::default()
    };
    vec![
        (in_groups, nobody()),
        (domain("ok.test"), nobody()),
        (domain("ok.test"), unverified),
        (domain("ok.test"), with_email("a@b@ok.test")),
        (sre(), nobody()),
        (sre(), alice()),
        (sre(), mistyped(json!(5))),
        (sre(), mistyped(json!({ "sre": true }))),
        (sre(), mistyped(json!([["sre"]]))),
        (sre(), mistyped(json!(["dev", 7]))),
        (
            claim("department", vec![Scalar::Number(5)]),
            mistyped(json!("5")),
        ),
        (
            claim("department", vec![Scalar::Number(5)]),
            mistyped(json!(5.0)),
        ),
        (
            claim("department", vec![Scalar::Bool(true)]),
            mistyped(json!("true")),
        ),
        (claim("department", vec![]), mistyped(json!("sre"))),
        (acr, alice()),
        (young, alice()),
        (near, alice()),
    ]
}

// Every kind of rule fails closed: where there is nothing to judge by, or nonsense, the rule is not met,
// and neither is its denial, nor an alternative of either.
#[test]
fn what_cannot_be_judged_admits_nobody_and_neither_does_its_denial() {
    for (condition, who) in senseless() {
        let either = Condition {
            any: Some(vec![condition.clone(), deny(condition.clone())]),
            ..Condition::default()
        };
        for one in [
            condition.clone(),
            deny(condition.clone()),
            deny(deny(condition)),
            deny(either.clone()),
            either,
        ] {
            assert_ne!(one.judge(&by("p", &who)), Verdict::Met, "{one}: {who:?}");
        }
    }
}

#[test]
fn a_denial_keeps_out_whom_it_means_and_nobody_else() {
    let contractors = deny(Condition {
        groups: Some(vec![named("contractors")]),
        ..Condition::default()
    });
    assert_eq!(contractors.judge(&by("p", &alice())), Verdict::Met);
    let developers = deny(Condition {
        groups: Some(vec![named("dev")]),
        ..Condition::default()
    });
    let excluded = Verdict::NotMet(Missing::Exclusion);
    assert_eq!(developers.judge(&by("p", &alice())), excluded);
}

fn at(client: &str) -> ClientAddress {
    ClientAddress::Ip(client.parse().unwrap())
}

#[test]
fn an_address_is_in_a_network_or_nobody_passes() {
    let near = Condition {
        addresses: Some(vec![
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]),
        ..Condition::default()
    };
    let who = alice();
    for (client, is_met) in [
        (Some(at("10.1.2.3")), true),
        (Some(at("fd00::1")), true),
        (Some(at("11.0.0.1")), false),
        (Some(at("::1")), false),
        (Some(ClientAddress::Local), false),
        (None, false),
    ] {
        let applicant = Applicant {
            client,
            ..by("p", &who)
        };
        let verdict = near.judge(&applicant);
        assert_eq!(verdict == Verdict::Met, is_met, "{client:?}");
    }
}

// A19: how and when somebody signed in is the provider's word; without it a sign-in is missing.
#[test]
fn a_sign_in_is_strong_and_fresh_enough_or_it_is_what_is_missing() {
    let minute = Duration::from_secs(60);
    let condition = Condition {
        acr: Some(vec![named("mfa"), named("phr")]),
        max_age: Some(minute),
        ..Condition::default()
    };
    let (who, now) = (alice(), UnixTime::from_seconds(10_000));
    let strong = |max_age| StepUp {
        acr: vec!["mfa".to_owned(), "phr".to_owned()],
        max_age,
    };
    let fresh = StepUp {
        acr: Vec::new(),
        max_age: Some(minute),
    };
    let ago = |seconds| Some(now.minus(Duration::from_secs(seconds)));
    let ahead = |seconds| Some(now.plus(Duration::from_secs(seconds)));
    for (acr, auth_time, missing) in [
        (Some("mfa"), ago(0), None),
        (Some("phr"), ago(90), None),
        (Some("phr"), ahead(30), None),
        (Some("phr"), ahead(31), Some(fresh.clone())),
        (Some("phr"), ago(91), Some(fresh.clone())),
        (Some("phr"), None, Some(fresh.clone())),
        (Some("pwd"), ago(0), Some(strong(None))),
        (Some("MFA"), ago(0), Some(strong(None))),
        (None, ago(0), Some(strong(None))),
        (None, None, Some(strong(Some(minute)))),
    ] {
        let applicant = Applicant {
            acr,
            auth_time,
            now,
            ..by("p", &who)
        };
        let wanted = missing.map_or(Verdict::Met, |step_up| {
            Verdict::NotMet(Missing::SignIn(step_up))
        });
        assert_eq!(condition.judge(&applicant), wanted, "{acr:?} {auth_time:?}");
    }
}

// Nobody is sent to sign in again who would not pass then either.
#[test]
fn a_sign_in_is_missing_only_where_nothing_else_is() {
    let acr = Condition {
        acr: Some(vec![named("mfa")]),
        ..Condition::default()
    };
    let admins = Condition {
        groups: Some(vec![named("admins")]),
        ..acr.clone()
    };
    assert_eq!(
        admins.judge(&by("p", &alice())),
        Verdict::NotMet(Missing::Group)
    );
    let either = Condition {
        any: Some(vec![domain("other.test"), acr.clone()]),
        ..Condition::default()
    };
    let step_up = StepUp {
        acr: vec!["mfa".to_owned()],
        max_age: None,
    };
    assert_eq!(
        either.judge(&by("p", &alice())),
        Verdict::NotMet(Missing::SignIn(step_up))
    );
    // Of whom the rule wants no authentication context that this provider has, it wants another account.
    let mut foreign = acr;
    foreign.acr.as_mut().unwrap()[0].provider = Some("corp".to_owned());
    assert_eq!(
        foreign.judge(&by("p", &alice())),
        Verdict::NotMet(Missing::Alternative)
    );
    // The rule is younger than the session.
    assert_eq!(
        claim("department", vec![text("sre")]).judge(&by("p", &alice())),
        Verdict::NotMet(Missing::SignIn(StepUp::default()))
    );
}

// I13: what is explained is what is done.
#[test]
fn a_condition_is_met_exactly_where_all_its_parts_are() {
    let all = Condition {
        groups: Some(vec![named("dev")]),
        claims: claim("level", vec![Scalar::Number(5)]).claims,
        any: Some(vec![domain("other.test"), domain("ok.test")]),
        deny: Some(Box::new(Condition {
            subjects: Some(vec![named("b1")]),
            ..Condition::default()
        })),
        ..Condition::default()
    };
    let good = with_claims(json!({ "level": 5 }));
    assert_eq!(all.judge(&by("p", &good)), Verdict::Met);
    let mut tried = senseless();
    tried.push((all.clone(), good));
    tried.push((all, alice()));
    for (condition, who) in tried {
        for one in [condition.clone(), deny(condition)] {
            let parts = one.parts(&by("p", &who));
            let own = parts.iter().filter(|part| part.depth == 0);
            let is_met = own.clone().all(|part| part.verdict == Verdict::Met);
            assert!(own.count() > 0, "{one}");
            let verdict = one.judge(&by("p", &who));
            assert_eq!(verdict == Verdict::Met, is_met, "{one}: {who:?}");
        }
    }
}
