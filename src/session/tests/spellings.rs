//! Cookie fields as browsers, neighbours and attackers write them.

use proptest::prelude::*;

use super::*;
use crate::session::presented::cookie_pairs;

const URL: &str = "https://a.test";

fn value(gate: &Gate, who: &str) -> String {
    let sent = Browser::given(&gate.write(&session_of(who))).sends();
    sent.split_once('=').unwrap().1.to_owned()
}

// F10: every spelling that some parser takes for our name.
#[test]
fn a_spelling_that_browsers_do_not_protect_is_not_our_cookie() {
    let gate = Gate::at(URL);
    let (name, value) = (gate.names.session().to_owned(), value(&gate, "alice"));
    let plain = name.replace("__Host-", "");
    for spelling in [
        format!("\u{2000}{name}={value}"),
        format!("\u{a0}{name}={value}"),
        format!("\u{85}{name}={value}"),
        format!("\u{3000}{name}={value}"),
        format!("$Version=1,{name}={value}"),
        format!("$Version=1, {name}={value}"),
        format!("$Version=\"1\",{name}={value}"),
        format!("${name}={value}"),
        format!("\"{name}\"={value}"),
        format!("a=b,{name}={value}"),
        format!("a=b, {name}={value}"),
        format!("a=b {name}={value}"),
        format!("a={name}={value}"),
        format!("={name}={value}"),
        format!("; ={name}={value}"),
        format!("{}={value}", name.replace("__Host-", "__host-")),
        format!("{}={value}", name.replace("__Host-", "__HOST-")),
        format!("{}={value}", name.to_ascii_uppercase()),
        format!("{}={value}", name.replace("__Host-", "__Secure-")),
        format!("{plain}={value}"),
        format!("{name} ={value}"),
        format!("{name}\t={value}"),
        format!("{name}x={value}"),
        format!("{name}[]={value}"),
        format!("{name}%20={value}"),
        format!("%5f{}={value}", &name[1..]),
        name.clone(),
        format!("{name}:{value}"),
    ] {
        assert!(matches!(gate.open(&spelling), Evidence::None), "{spelling}");
    }
}

// F10: our name, and a value as only other parsers read it.
#[test]
fn a_value_that_is_quoted_or_encoded_is_no_session() {
    let gate = Gate::at(URL);
    let (name, value) = (gate.names.session(), value(&gate, "alice"));
    for spelling in [
        format!("{name}=\"{value}\""),
        format!("{name}={value}\""),
        format!("{name}= \u{a0}{value}"),
        format!("{name}={},x={value}", &value[..20]),
        format!("{name}={value},a=b"),
        format!("{name}={}", value.replace('.', "%2E")),
        format!("{name}={value}="),
        format!("{name}=,{value}"),
        format!("{name}=={value}"),
        format!("{name}="),
    ] {
        assert!(
            matches!(gate.open(&spelling), Evidence::Unusable),
            "{spelling}"
        );
    }
}

// F9, F10: a real cookie of ours counts wherever it stands among neighbours.
#[test]
fn neighbours_do_not_hide_our_cookie() {
    let gate = Gate::at(URL);
    let own = format!("{}={}", gate.names.session(), value(&gate, "alice"));
    for field in [
        format!("a=b; {own}; c=d"),
        format!("a=b;{own};c=d"),
        format!(";;; ; =; ==; {own} ;; ;"),
        format!("$Version=1; {own}; $Path=/"),
        format!("q=\"1; {own}; z=2\""),
        format!("a; {own}"),
        format!("\t{own}\t"),
        format!("b\u{f6}se=\u{ff}; {own}"),
        format!("{}x=1; {own}", gate.names.session()),
    ] {
        assert_eq!(subject(&gate.open(&field)), Some("alice"), "{field}");
    }
    // RFC 9113 section 8.2.3: HTTP/2 may send each pair in a field of its own.
    let fields: [&[u8]; 4] = [b"a=b", b"\xff\xfe=\x80", own.as_bytes(), b"c=d"];
    let evidence =
        gate.read_fields(&fields)
            .open(&Opener::new(&gate.keyring, &gate.names), LIMITS, START);
    assert_eq!(subject(&evidence), Some("alice"));
}

// F9: two cookies of the own name, either order.
#[test]
fn of_two_cookies_of_one_name_the_valid_one_is_used() {
    let gate = Gate::at(URL);
    let stranger = Gate::at(URL);
    let name = gate.names.session();
    let good = format!("{name}={}", value(&gate, "alice"));
    for bad in [
        format!("{name}=garbage"),
        format!("{name}="),
        format!("{name}=1.AAAA"),
        format!("{name}=3.AAAA"),
        format!("{name}={}", value(&stranger, "mallory")),
    ] {
        for field in [format!("{bad}; {good}"), format!("{good}; {bad}")] {
            assert_eq!(subject(&gate.open(&field)), Some("alice"), "{field}");
        }
        let crowd = vec![bad.as_str(); 200].join("; ");
        assert_eq!(
            subject(&gate.open(&format!("{crowd}; {good}"))),
            Some("alice")
        );
    }
}

// F9, F14: of two sessions that open, the one of the latest login.
#[test]
fn a_planted_older_session_does_not_displace_a_newer_login() {
    let gate = Gate::at(URL);
    let name = gate.names.session();
    let hour = Duration::from_hours(1);
    let write = |who: &str, at: UnixTime| {
        let mut signed_in = alice();
        signed_in.identity.subject = who.to_owned();
        let session = Session::start(signed_in, [3; 16], LIMITS, at);
        Browser::given(&gate.write(&session)).sends()
    };
    let (planted, own) = (write("mallory", START), write("alice", START.plus(hour)));
    assert!(own.starts_with(name));
    for field in [format!("{planted}; {own}"), format!("{own}; {planted}")] {
        let evidence = gate.open_at(&field, START.plus(hour));
        assert_eq!(subject(&evidence), Some("alice"));
    }
    // What is over never displaces what is live, whichever is newer.
    let used = session_of("alice").touched(LIMITS, START.plus(7 * hour));
    let live = Browser::given(&gate.write(&used)).sends();
    for field in [format!("{own}; {live}"), format!("{live}; {own}")] {
        let Evidence::Session(session, _) = gate.open_at(&field, START.plus(10 * hour)) else {
            panic!("the live one");
        };
        assert_eq!(session.started_at, START);
    }
}

// F9: of two copies of one session, the one that was used last.
#[test]
fn of_two_copies_of_one_session_the_one_last_used_counts() {
    let gate = Gate::at(URL);
    let hours = Duration::from_hours;
    let stale = session_of("alice");
    let used = stale.touched(LIMITS, START.plus(hours(2)));
    let (stale, used) = (
        Browser::given(&gate.write(&stale)).sends(),
        Browser::given(&gate.write(&used)).sends(),
    );
    for field in [format!("{stale}; {used}"), format!("{used}; {stale}")] {
        let Evidence::Session(session, _) = gate.open_at(&field, START.plus(hours(3))) else {
            panic!("a session");
        };
        assert_eq!(session.seen_at, START.plus(hours(2)));
    }
}

// F11: sizes and shapes that have crashed others.
#[test]
fn an_enormous_or_shapeless_field_is_read_in_one_pass() {
    let gate = Gate::at(URL);
    let own = format!("{}={}", gate.names.session(), value(&gate, "alice"));
    let pairs: Vec<String> = (0..500).map(|n| format!("n{n}=v{n}")).collect();
    assert_eq!(
        subject(&gate.open(&format!("{}; {own}", pairs.join("; ")))),
        Some("alice")
    );
    for filler in [";", "; ", "=", "a", "a=;", " ", "\t", "\"", ",", "\u{ff}"] {
        let field = filler.repeat(65_536);
        assert!(matches!(gate.open(&field), Evidence::None), "{filler:?}");
        assert_eq!(
            subject(&gate.open(&format!("{field};{own}"))),
            Some("alice")
        );
    }
    let long = format!("{}=1.{}", gate.names.session(), "A".repeat(65_536));
    assert!(matches!(gate.open(&long), Evidence::Unusable));
    let tagged: Vec<String> = (0..2000)
        .map(|n| format!("{}={}", gate.names.login(&n.to_string()), "A".repeat(10)))
        .collect();
    assert_eq!(
        subject(&gate.open(&format!("{}; {own}", tagged.join("; ")))),
        Some("alice")
    );
}

// F12: what the upstream gets is cut out of the field along these lines.
#[test]
fn pairs_keep_every_byte_between_semicolons() {
    let field: &[u8] = b"a=b;  c = d ;;x;\xff\x80=\"q\"; e=f=g";
    let pairs: Vec<_> = cookie_pairs(field).collect();
    let raw: Vec<&[u8]> = pairs.iter().map(|pair| pair.raw).collect();
    assert_eq!(raw.join(&b';'), field);
    let parsed: Vec<(&[u8], &[u8])> = pairs.iter().map(|pair| (pair.name, pair.value)).collect();
    assert_eq!(parsed[0], (&b"a"[..], &b"b"[..]));
    assert_eq!(parsed[1], (&b"c "[..], &b" d"[..]));
    assert_eq!(parsed[2], (&b""[..], &b""[..]));
    assert_eq!(parsed[3], (&b""[..], &b""[..]));
    assert_eq!(parsed[5], (&b"e"[..], &b"f=g"[..]));
}

/// Bytes that a field value may hold, rich in what matters to cookie parsers.
fn field_bytes() -> impl Strategy<Value = Vec<u8>> {
    let gate_name = Gate::at(URL).names.session().as_bytes().to_vec();
    let piece = prop_oneof![
        Just(gate_name),
        prop::sample::select(vec![
            ";",
            "; ",
            "=",
            ",",
            "\"",
            "$Version=1",
            ".1",
            ".2",
            "-l-",
            "1.",
            "3."
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(
            any::<u8>().prop_filter("a field value", |b| *b == b'\t' || (*b >= 32 && *b != 127)),
            0..40
        ),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    // F11: no bytes crash the reader, and none that we did not seal make a session.
    #[test]
    fn no_field_that_we_did_not_write_gives_a_session(
        fields in prop::collection::vec(field_bytes(), 0..4)
    ) {
        let gate = Gate::at(URL);
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let presented = gate.read_fields(&fields);
        let evidence = presented.open(&Opener::new(&gate.keyring, &gate.names), LIMITS, START);
        prop_assert!(matches!(evidence, Evidence::None | Evidence::Unusable));
        for line in SessionCookie::clear_all(&gate.names, &presented) {
            prop_assert!(gate.names.is_own(line.name()));
            prop_assert!(line.header_value() == line.as_str());
        }
    }

    // F12: taking a field apart loses nothing.
    #[test]
    fn joining_the_pairs_gives_the_field_again(field in prop::collection::vec(any::<u8>(), 0..200)) {
        let raw: Vec<&[u8]> = cookie_pairs(&field).map(|pair| pair.raw).collect();
        prop_assert_eq!(raw.join(&b';'), field);
    }
}
