use serde_json::json;

use super::*;
use crate::oidc::claim_path::ClaimPath;
use crate::oidc::forge::{ISSUER, NOW};

/// Claims as a verified ID token would have them.
fn claims(more: Value) -> Claims {
    let Value::Object(mut members) = more else {
        panic!("{more}");
    };
    members.insert("sub".to_owned(), json!("alice"));
    Claims {
        issuer: ISSUER.to_owned(),
        subject: "alice".to_owned(),
        sid: None,
        auth_time: None,
        issued_at: NOW,
        expires_at: NOW,
        members,
    }
}

fn user_info(more: Value) -> UserInfo {
    let Value::Object(mut members) = more else {
        panic!("{more}");
    };
    members.insert("sub".to_owned(), json!("alice"));
    let body = Value::Object(members).to_string();
    UserInfo::parse(body.as_bytes(), None, "alice").unwrap()
}

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

fn groups_at(at: &str, more: Value) -> Result<Groups, IdentityError> {
    let rules = IdentityRules {
        groups: path(at),
        ..IdentityRules::default()
    };
    rules
        .identity(&claims(more), None)
        .map(|identity| identity.groups)
}

fn complete(names: &[&str]) -> Groups {
    Groups::Complete(names.iter().map(|&name| name.to_owned()).collect())
}

fn verification(rules: &IdentityRules, more: Value) -> Option<Verification> {
    let identity = rules.identity(&claims(more), None).unwrap();
    identity.email.map(|email| email.verification)
}

// C24: the key is issuer and subject. The same e-mail address is not the same person.
#[test]
fn an_identity_is_its_issuer_and_subject() {
    let rules = IdentityRules::default();
    let same_email = json!({ "email": "a@ok.test", "email_verified": true });
    let here = rules.identity(&claims(same_email.clone()), None).unwrap();
    assert_eq!((&*here.issuer, &*here.subject), (ISSUER, "alice"));
    let mut elsewhere = claims(same_email);
    elsewhere.issuer = "https://other.test".to_owned();
    let elsewhere = rules.identity(&elsewhere, None).unwrap();
    assert_eq!(here.email, elsewhere.email);
    assert_ne!(here.issuer, elsewhere.issuer);
    assert_ne!(here, elsewhere);
}

// C24, E5: nothing that the UserInfo says makes somebody else of a person.
#[test]
fn user_info_never_changes_issuer_or_subject() {
    let told = user_info(json!({ "iss": "https://evil.test", "oid": "admin", "name": "Mallory" }));
    let rules = IdentityRules::default();
    let identity = rules.identity(&claims(json!({})), Some(&told)).unwrap();
    assert_eq!((&*identity.issuer, &*identity.subject), (ISSUER, "alice"));
    assert_eq!(identity.name.as_deref(), Some("Mallory"));
    // A configured subject comes from the ID token or from nowhere.
    let by_oid = IdentityRules {
        subject: Some(path("oid")),
        ..IdentityRules::default()
    };
    assert_eq!(
        by_oid.identity(&claims(json!({})), Some(&told)),
        Err(IdentityError::Subject("oid".to_owned()))
    );
    let own = claims(json!({ "oid": "o-1" }));
    assert_eq!(by_oid.identity(&own, Some(&told)).unwrap().subject, "o-1");
    // UserInfo that was bound to another subject cannot be brought along.
    let bob = UserInfo::parse(br#"{"sub":"bob"}"#, None, "bob").unwrap();
    assert_eq!(
        rules.identity(&claims(json!({})), Some(&bob)),
        Err(IdentityError::OtherSubject)
    );
}

// C25: only the boolean `true` verifies an address, unless the operator says that the provider does.
#[test]
fn only_a_true_email_verified_counts() {
    use Verification::{Unverified, Verified};
    let rules = IdentityRules::default();
    let trusting = IdentityRules {
        email_trust: EmailTrust::Provider,
        ..IdentityRules::default()
    };
    for (verified, expected) in [
        (json!(true), Verified),
        (json!(false), Unverified),
        (json!("true"), Unverified),
        (json!(1), Unverified),
        (json!(null), Unverified),
        (json!([true]), Unverified),
    ] {
        let more = json!({ "email": "a@ok.test", "email_verified": verified });
        assert_eq!(verification(&rules, more.clone()), Some(expected), "{more}");
        assert_eq!(verification(&trusting, more), Some(Verified));
    }
    let silent = json!({ "email": "a@ok.test" });
    assert_eq!(verification(&rules, silent.clone()), Some(Unverified));
    assert_eq!(verification(&trusting, silent), Some(Verified));
}

// C25: an address with more than one reading meets no rule, whoever verified it.
#[test]
fn an_odd_address_is_never_a_verified_one() {
    let trusting = IdentityRules {
        email_trust: EmailTrust::Provider,
        ..IdentityRules::default()
    };
    for address in [
        "a@ok.test@evil.test",
        "a@evil.test\r\nX: y",
        "a@ok.test ",
        "a",
    ] {
        for rules in [&IdentityRules::default(), &trusting] {
            let more = json!({ "email": address, "email_verified": true });
            assert_eq!(verification(rules, more), Some(Verification::Unverified));
        }
    }
    for nothing in [
        json!(null),
        json!(""),
        json!(7),
        json!("a".repeat(1025)),
        json!(["a@b"]),
    ] {
        let more = json!({ "email": nothing, "email_verified": true });
        assert_eq!(verification(&trusting, more), None);
    }
}

// C25: an address and its verification come from one source, never one from each.
#[test]
fn verification_is_never_borrowed_from_another_source() {
    let rules = IdentityRules::default();
    let email = |claims: Claims, told: UserInfo| {
        let email = rules.identity(&claims, Some(&told)).unwrap().email.unwrap();
        (email.address, email.verification)
    };
    let owned = |address: &str| address.to_owned();
    assert_eq!(
        email(
            claims(json!({ "email": "claimed@ok.test" })),
            user_info(json!({ "email_verified": true }))
        ),
        (owned("claimed@ok.test"), Verification::Unverified)
    );
    assert_eq!(
        email(
            claims(json!({ "email_verified": true })),
            user_info(json!({ "email": "told@ok.test" }))
        ),
        (owned("told@ok.test"), Verification::Unverified)
    );
    assert_eq!(
        email(
            claims(json!({ "email": "claimed@ok.test" })),
            user_info(json!({ "email": "told@ok.test", "email_verified": true }))
        ),
        (owned("told@ok.test"), Verification::Verified)
    );
}

// C26: groups as providers write them.
#[test]
fn groups_are_read_in_every_shape() {
    for (at, more, expected) in [
        (
            "groups",
            json!({ "groups": ["dev", "ops"] }),
            &["dev", "ops"][..],
        ),
        ("groups", json!({ "groups": "dev" }), &["dev"]),
        (
            "groups",
            json!({ "groups": "users,admins" }),
            &["users,admins"],
        ),
        (
            "groups",
            json!({ "groups": ["users,admins"] }),
            &["users,admins"],
        ),
        ("groups", json!({ "groups": "dev ops" }), &["dev ops"]),
        ("groups", json!({ "groups": [] }), &[]),
        ("groups", json!({ "groups": ["", "dev"] }), &["dev"]),
        ("groups", json!({ "groups": null }), &[]),
        ("groups", json!({}), &[]),
        (
            "realm_access.roles",
            json!({ "realm_access": { "roles": ["admin"] } }),
            &["admin"],
        ),
        (
            "https://example.com/groups",
            json!({ "https://example.com/groups": ["dev"] }),
            &["dev"],
        ),
        (
            "cognito:groups",
            json!({ "cognito:groups": ["dev"] }),
            &["dev"],
        ),
        (
            "urn:zitadel:iam:org:project:roles",
            json!({ "urn:zitadel:iam:org:project:roles": { "admin": { "1": "x" }, "dev": {} } }),
            &["admin", "dev"],
        ),
    ] {
        assert_eq!(
            groups_at(at, more.clone()),
            Ok(complete(expected)),
            "{more}"
        );
    }
}

// C26: an error inside a rule denies. Groups that are nonsense admit nobody, since a rule that
// denies a group could not see them.
#[test]
fn groups_that_are_no_names_admit_nobody() {
    for odd in [
        json!(7),
        json!(true),
        json!(["dev", 7]),
        json!([["dev"]]),
        json!([null]),
    ] {
        assert_eq!(
            groups_at("groups", json!({ "groups": odd })),
            Err(IdentityError::Groups("groups".to_owned()))
        );
    }
}

// C26: groups that are told elsewhere are unknown, not none.
#[test]
fn groups_left_out_are_not_no_groups() {
    let left_out = json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "https://graph.test/me" } },
    });
    assert_eq!(groups_at("groups", left_out.clone()), Ok(Groups::Overage));
    assert_eq!(
        groups_at("groups", json!({ "hasgroups": true })),
        Ok(Groups::Overage)
    );
    assert_eq!(
        groups_at("groups", json!({ "hasgroups": "true" })),
        Ok(Groups::Overage)
    );
    let nested = json!({ "_claim_names": { "realm_access": "src1" } });
    assert_eq!(groups_at("realm_access.roles", nested), Ok(Groups::Overage));
    // What is not asked for may be left out.
    assert_eq!(groups_at("roles", left_out.clone()), Ok(complete(&[])));
    let odd = json!({ "_claim_names": "groups" });
    assert_eq!(groups_at("groups", odd), Ok(complete(&[])));
    // The UserInfo may have them all, or be the one that leaves them out.
    let rules = IdentityRules::default();
    let told = user_info(json!({ "groups": ["dev"] }));
    let identity = rules.identity(&claims(left_out.clone()), Some(&told));
    assert_eq!(identity.unwrap().groups, complete(&["dev"]));
    let told = user_info(left_out);
    let identity = rules.identity(&claims(json!({})), Some(&told));
    assert_eq!(identity.unwrap().groups, Groups::Overage);
}

#[test]
fn a_person_has_a_bounded_number_of_groups() {
    let many = |count: usize, size: usize| {
        let names: Vec<_> = (0..count).map(|at| format!("{at:0size$}")).collect();
        groups_at("groups", json!({ "groups": names }))
    };
    assert!(many(500, 36).is_ok());
    assert!(many(1000, 65).is_ok());
    assert_eq!(many(1001, 1), Err(IdentityError::TooManyGroups));
    assert_eq!(many(1000, 66), Err(IdentityError::TooManyGroups));
}

#[test]
fn names_come_from_the_token_first_and_oversized_ones_are_left_out() {
    let rules = IdentityRules::default();
    let told = user_info(json!({ "name": "Told", "preferred_username": "told" }));
    let own = claims(json!({ "name": "Own", "preferred_username": null }));
    let identity = rules.identity(&own, Some(&told)).unwrap();
    assert_eq!(identity.name.as_deref(), Some("Own"));
    assert_eq!(identity.preferred_username.as_deref(), Some("told"));
    let odd = claims(json!({ "name": "x".repeat(1025), "preferred_username": 7 }));
    let identity = rules.identity(&odd, None).unwrap();
    assert_eq!((identity.name, identity.preferred_username), (None, None));
}

#[test]
fn a_plain_oauth2_subject_may_be_a_whole_number() {
    let rules = IdentityRules {
        subject: Some(path("id")),
        email_trust: EmailTrust::Claim,
        preferred_username: path("login"),
        ..IdentityRules::default()
    };
    let identity = |body: &str| {
        let profile = Profile::parse(body.as_bytes(), None).unwrap();
        rules.identity_of_oauth2("https://github.test", &profile)
    };
    let octocat = identity(r#"{"id":583231,"login":"octocat","email":"o@ok.test"}"#).unwrap();
    assert_eq!(octocat.subject, "583231");
    assert_eq!(octocat.issuer, "https://github.test");
    assert_eq!(octocat.preferred_username.as_deref(), Some("octocat"));
    assert_eq!(
        octocat.email.unwrap().verification,
        Verification::Unverified
    );
    assert_eq!(
        identity(r#"{"id":18446744073709551615}"#).unwrap().subject,
        "18446744073709551615"
    );
    for body in [
        r#"{"id":1.5}"#,
        r#"{"id":1e30}"#,
        r#"{"id":""}"#,
        r#"{"id":null}"#,
        r#"{"id":true}"#,
        r#"{"id":[1]}"#,
        r#"{"id":"a\nb"}"#,
        r#"{"login":"octocat"}"#,
    ] {
        let none = IdentityError::Subject("id".to_owned());
        assert_eq!(identity(body), Err(none), "{body}");
    }
    let nested = IdentityRules {
        subject: Some(path("ocs.data.id")),
        ..IdentityRules::default()
    };
    let body = br#"{"ocs":{"data":{"id":"alice","groups":["g"]}}}"#;
    let profile = Profile::parse(body, None).unwrap();
    let alice = nested.identity_of_oauth2("https://cloud.test", &profile);
    assert_eq!(alice.unwrap().subject, "alice");
}
