//! Certificates of another library, read.

use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    change(&mut params);
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn names_and_times_are_what_the_certificate_says() {
    let der = made(|params| {
        params.subject_alt_names = vec![
            SanType::DnsName("Gate.Test".try_into().unwrap()),
            SanType::DnsName("*.gate.test".try_into().unwrap()),
            SanType::URI("spiffe://corp/ns/a".try_into().unwrap()),
            SanType::Rfc822Name("Robot@corp.test".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ];
        params
            .distinguished_name
            .push(DnType::CommonName, "robot 7 ü");
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2096, 2, 29);
    });
    let facts = CertificateFacts::read(&der).unwrap();
    let shown: Vec<String> = facts.shown().collect();
    assert_eq!(
        shown,
        [
            "gate.test",
            "*.gate.test",
            "spiffe://corp/ns/a",
            "Robot@corp.test",
            "192.0.2.7",
            "2001:db8::7"
        ]
    );
    assert_eq!(facts.common_name.as_deref(), Some("robot 7 ü"));
    assert_eq!(facts.begins, UnixTime::from_seconds(946_598_400));
    assert_eq!(facts.ends, UnixTime::from_seconds(3_981_312_000));
    assert_eq!(facts.left(facts.ends), None);
    let day = Duration::from_hours(24);
    assert_eq!(facts.left(facts.ends.minus(day)), Some(day));
}

#[test]
fn of_several_common_names_none_is_meant() {
    let der = made(|params| {
        params.distinguished_name.push(DnType::CommonName, "one");
        let kind = DnType::CustomDnType(vec![2, 5, 4, 3]);
        params.distinguished_name.push(kind, "other");
    });
    assert_eq!(CertificateFacts::read(&der).unwrap().common_name, None);
    let der = made(|params| params.distinguished_name.push(DnType::CommonName, "one"));
    let facts = CertificateFacts::read(&der).unwrap();
    assert_eq!(facts.shown().collect::<Vec<_>>(), ["one"]);
}

#[test]
fn what_is_torn_or_longer_is_no_certificate() {
    let der = made(|_| {});
    for length in 0..der.len() {
        assert_eq!(CertificateFacts::read(&der[..length]), Err(NoCertificate));
    }
    let longer = [&der[..], b"\0"].concat();
    assert_eq!(CertificateFacts::read(&longer), Err(NoCertificate));
}

#[test]
fn a_fingerprint_is_read_in_both_ways_of_writing_it() {
    let plain = "0a".repeat(32);
    let colons = vec!["0A"; 32].join(":");
    let wanted = Some(Fingerprint([10; 32]));
    assert_eq!(Fingerprint::parse(&plain), wanted);
    assert_eq!(Fingerprint::parse(&colons), wanted);
    assert_eq!(wanted.unwrap().to_string(), plain);
    for bad in [
        "",
        "0a",
        &"0g".repeat(32),
        &"+a".repeat(32),
        &colons.replace(':', "-"),
    ] {
        assert_eq!(Fingerprint::parse(bad), None, "{bad}");
    }
}
