//! Cookies that were touched, moved or made for something else.

use super::*;
use crate::base::keyring::Purpose;
use crate::session::pending::{LoginCookies, Recalled};
use crate::session::state::{LoginState, LogoutState};

const URL: &str = "https://a.test";

// F4: every bit of the field, one at a time.
#[test]
fn a_session_cookie_with_any_bit_flipped_is_no_session() {
    let gate = Gate::at(URL);
    for session in [session_of("alice"), session_with_token(3000)] {
        let sent = Browser::given(&gate.write(&session)).sends();
        for bit in 0..sent.len() * 8 {
            let mut bytes = sent.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(field) = HeaderValue::from_bytes(&bytes) else {
                continue;
            };
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, field);
            let evidence = Presented::read(&headers, &gate.names).open(
                &Opener::new(&gate.keyring, &gate.names),
                LIMITS,
                START,
            );
            assert!(
                matches!(evidence, Evidence::None | Evidence::Unusable),
                "bit {bit}"
            );
        }
    }
}

// F4: shorter, longer, or in another alphabet.
#[test]
fn a_session_cookie_that_was_cut_or_lengthened_is_no_session() {
    let gate = Gate::at(URL);
    let sent = Browser::given(&gate.write(&session_of("alice"))).sends();
    for end in 0..sent.len() {
        let evidence = gate.open(&sent[..end]);
        assert!(
            matches!(evidence, Evidence::None | Evidence::Unusable),
            "{end}"
        );
    }
    for more in ["A", "AAAA", "=", "==", ".", "-", "%00", "\u{e9}", "0.", "/"] {
        assert!(
            matches!(gate.open(&format!("{sent}{more}")), Evidence::Unusable),
            "{more}"
        );
    }
    // A value with `-` or `_` in it, spelled in the other alphabet of base64.
    let (name, value) = (0..100)
        .map(|_| Browser::given(&gate.write(&session_of("alice"))).sends())
        .map(|sent| {
            sent.split_once('=')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap()
        })
        .find(|(_, value)| value.contains(['-', '_']))
        .unwrap();
    let other = value.replace('-', "+").replace('_', "/");
    assert!(matches!(
        gate.open(&format!("{name}={other}")),
        Evidence::Unusable
    ));
}

// F5: the right keys, and another client or host.
#[test]
fn a_session_of_another_gate_with_the_same_keys_is_no_session() {
    let keys = [key()];
    let here = Gate::with(URL, "dashboards", &keys);
    let sent = Browser::given(&here.write(&session_of("alice"))).sends();
    let value = sent.split_once('=').unwrap().1;
    for (url, client) in [
        ("https://b.test", "dashboards"),
        ("https://a.test:8443", "dashboards"),
        ("https://a.test/x", "dashboards"),
        ("http://a.test", "dashboards"),
        (URL, "wikis"),
    ] {
        let there = Gate::with(url, client, &keys);
        assert!(
            matches!(there.open(&sent), Evidence::None),
            "{url} {client}"
        );
        // Even under the name that it has there.
        let renamed = format!("{}={value}", there.names.session());
        assert!(
            matches!(there.open(&renamed), Evidence::Unusable),
            "{url} {client}"
        );
    }
    assert_eq!(subject(&here.open(&sent)), Some("alice"));
}

// F5: every purpose's value offered as every other.
#[test]
fn a_value_sealed_for_one_purpose_serves_no_other() {
    let gate = Gate::at(URL);
    let name = gate.names.session();
    let logins = LoginCookies::new(&gate.names, &gate.keyring, START);
    let state = LoginState {
        id: "id".to_owned(),
        return_to: None,
        attempt: 0,
        provider: "corp".to_owned(),
        started_at: START,
    }
    .seal(&gate.keyring, &gate.names)
    .unwrap();
    let logout = LogoutState { issued_at: START }
        .seal(&gate.keyring, &gate.names)
        .unwrap();
    let value = |lines: &[SetCookie]| {
        let sent = Browser::given(lines).sends();
        sent.split_once('=').unwrap().1.to_owned()
    };
    let session = value(&gate.write(&session_of("alice")));
    let login = value(
        &logins
            .begin(&state, &"login", &Presented::default())
            .unwrap(),
    );
    let login_name = gate.names.login(&state);

    for other in [&login, &state, &logout] {
        for offered in [format!("{name}={other}"), format!("{name}=1.{other}")] {
            assert!(matches!(gate.open(&offered), Evidence::Unusable));
        }
    }
    let recall = |offered: &str| {
        let presented = gate.read(&format!("{login_name}={offered}"));
        logins.recall::<String>(&state, &presented)
    };
    assert_eq!(recall(&login), Recalled::Pending("login".to_owned()));
    for other in [
        session.as_str(),
        session.trim_start_matches("1."),
        &state,
        &logout,
    ] {
        assert_eq!(recall(other), Recalled::Unusable);
    }
    for other in [session.trim_start_matches("1."), &login, &logout] {
        assert!(LoginState::open(other, &gate.keyring, &gate.names).is_err());
    }
    for other in [session.trim_start_matches("1."), &login, &state] {
        assert!(LogoutState::open(other, &gate.keyring, &gate.names, START).is_err());
    }
}

// F5: a login cookie's name is part of what it is sealed to.
#[test]
fn a_login_cookie_that_was_renamed_does_not_open() {
    let gate = Gate::at(URL);
    let logins = LoginCookies::new(&gate.names, &gate.keyring, START);
    let lines = logins.begin("one", &1, &Presented::default()).unwrap();
    let sent = Browser::given(&lines).sends();
    let renamed = sent.replace(&gate.names.login("one"), &gate.names.login("two"));
    assert_eq!(
        logins.recall::<i32>("two", &gate.read(&renamed)),
        Recalled::Unusable
    );
    assert_eq!(
        logins.recall::<i32>("one", &gate.read(&sent)),
        Recalled::Pending(1)
    );
}

// F18: an authentic value of a newer format leads to a login, never to a crash.
#[test]
fn an_authentic_session_of_a_newer_format_is_unusable() {
    let gate = Gate::at(URL);
    let name = gate.names.session();
    for payload in [
        &b"\x02{}"[..],
        b"",
        b"\x01",
        b"\x01null",
        b"\x01{}",
        b"\xff\xff",
    ] {
        let sealed = gate
            .keyring
            .seal(Purpose::Session, &gate.names.context(name), payload)
            .unwrap();
        let evidence = gate.open(&format!("{name}=1.{sealed}"));
        assert!(matches!(evidence, Evidence::Unusable));
    }
}
