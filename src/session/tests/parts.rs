//! Sessions that take several cookies.

use proptest::prelude::*;

use super::*;
use crate::session::cookie::{MAX_COOKIE_BYTES, MAX_PARTS, WriteError};

const URL: &str = "https://a.test";

fn assert_sizes(lines: &[SetCookie]) {
    assert!(lines.len() <= MAX_PARTS);
    for line in lines {
        assert!(line.as_str().len() <= MAX_COOKIE_BYTES);
        let attributes = line.as_str().split("; ").skip(1);
        assert!(attributes.into_iter().all(|one| one.len() <= 1024));
    }
}

/// The token sizes between `low` and `high` at which one more cookie becomes necessary.
fn boundaries(gate: &Gate, low: usize, high: usize) -> Vec<usize> {
    let count = |bytes| gate.write(&session_with_token(bytes)).len();
    (low..high)
        .step_by(64)
        .filter(|&start| count(start) != count(start + 64))
        .map(|start| {
            (start..start + 64)
                .find(|&bytes| count(bytes) != count(bytes + 1))
                .unwrap()
        })
        .collect()
}

// F2: every size around the edges of one, two and three cookies.
#[test]
fn a_session_of_any_size_around_a_boundary_is_readable_on_the_next_request() {
    let gate = Gate::at(URL);
    let edges = boundaries(&gate, 64, 8200);
    assert_eq!(edges.len(), MAX_PARTS - 1);
    for edge in edges {
        for bytes in edge - 8..=edge + 8 {
            let lines = gate.write(&session_with_token(bytes));
            assert_sizes(&lines);
            let Evidence::Session(session, Freshness::Fresh) =
                gate.open(&Browser::given(&lines).sends())
            else {
                panic!("a session of {bytes} bytes");
            };
            assert_eq!(session.raw_id_token.as_ref().unwrap().expose().len(), bytes);
        }
    }
}

// F2: the cap, and whose fault it is.
#[test]
fn a_session_beyond_three_cookies_is_refused_and_says_what_is_too_large() {
    let gate = Gate::at(URL);
    let write = |session: &Session| {
        SessionCookie::write(
            session,
            &gate.keyring,
            &gate.names,
            &Presented::default(),
            START,
        )
    };
    let largest = (8000..9000)
        .take_while(|&bytes| write(&session_with_token(bytes)).is_ok())
        .last()
        .unwrap();
    assert_sizes(&write(&session_with_token(largest)).unwrap());
    let Err(WriteError::TooLarge(fault)) = write(&session_with_token(largest + 1)) else {
        panic!("one byte too many was accepted");
    };
    assert!(fault.bytes > fault.limit);
    assert_eq!(fault.largest, "id_token");

    let mut grouped = session_of("alice");
    grouped.identity.groups = Groups::Complete((0..2000).map(|n| format!("group-{n}")).collect());
    let Err(WriteError::TooLarge(fault)) = write(&grouped) else {
        panic!("thousands of groups were accepted");
    };
    assert_eq!(fault.largest, "groups");
    assert!(fault.to_string().contains("groups"));
}

// F3: what is not needed any more is removed.
#[test]
fn a_session_that_shrinks_deletes_its_surplus_parts() {
    let gate = Gate::at(URL);
    let mut browser = Browser::given(&gate.write(&session_with_token(8000)));
    assert_eq!(browser.holds(), 3);
    let lines = gate.write_over(&session_with_token(4000), &gate.read(&browser.sends()));
    browser.take(&lines);
    assert_eq!(browser.holds(), 2);
    assert_eq!(subject(&gate.open(&browser.sends())), Some("alice"));
    browser.take(&gate.write_over(&session_of("alice"), &gate.read(&browser.sends())));
    assert_eq!(browser.holds(), 1);
    assert_eq!(subject(&gate.open(&browser.sends())), Some("alice"));
}

// F3: missing, from another session, or swapped.
#[test]
fn parts_that_do_not_belong_together_make_no_session() {
    let gate = Gate::at(URL);
    let pairs = |cookies: &str| -> Vec<String> { cookies.split("; ").map(str::to_owned).collect() };
    let one = pairs(&Browser::given(&gate.write(&session_with_token(8000))).sends());
    let other = pairs(&Browser::given(&gate.write(&session_with_token(8000))).sends());
    let (first, second, third) = (&one[0], &one[1], &one[2]);
    let swap = |pair: &str, from: usize, to: usize| {
        pair.replace(
            &format!("{}=", gate.names.part(from)),
            &format!("{}=", gate.names.part(to)),
        )
    };
    for broken in [
        format!("{first}; {third}"),
        format!("{first}; {second}"),
        format!("{second}; {third}"),
        first.clone(),
        format!("{first}; {second}; {}", other[2]),
        format!("{first}; {}; {}", other[1], other[2]),
        format!("{}; {second}; {third}", other[0]),
        format!("{first}; {}; {}", swap(second, 1, 2), swap(third, 2, 1)),
        format!("{first}; {second}; {}", swap(second, 1, 2)),
        format!("{first}; {second}; {}", swap(third, 2, 3)),
    ] {
        assert!(matches!(gate.open(&broken), Evidence::Unusable), "{broken}");
        // The chunks are cleared: the next request is clean.
        let mut browser = Browser {
            jar: broken
                .split("; ")
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        browser.take(&SessionCookie::clear(&gate.names, &gate.read(&broken)));
        assert_eq!(browser.holds(), 0);
    }
    // The order in which a browser sends them, doubles and surplus parts do not matter.
    for sound in [
        format!("{third}; {second}; {first}"),
        format!("{second}; {first}; {third}; {second}; {first}"),
        format!("{first}; {second}; {third}; {}", swap(third, 2, 3)),
        format!("{}; {}; {first}; {second}; {third}", other[1], other[2]),
        format!("{first}; {second}; {third}; {}; {}", other[1], other[2]),
    ] {
        assert_eq!(subject(&gate.open(&sound)), Some("alice"));
    }
}

// F3: the number of parts is never believed beyond the cap.
#[test]
fn an_absurd_number_of_parts_is_no_session_and_no_work() {
    let gate = Gate::at(URL);
    let cookies = Browser::given(&gate.write(&session_with_token(4000))).sends();
    assert!(cookies.contains("=2."));
    for count in [
        "99999999",
        "-1",
        "1e9",
        "007",
        "02",
        "+2",
        " 2",
        "0",
        "3",
        "4",
        "9",
        "",
        "2.2",
        "\u{662}",
        "18446744073709551618",
    ] {
        let changed = cookies.replacen("=2.", &format!("={count}."), 1);
        assert!(matches!(gate.open(&changed), Evidence::Unusable), "{count}");
    }
    let full = Browser::given(&gate.write(&session_with_token(8000))).sends();
    assert!(full.contains("=3."));
    for count in ["1", "2", "4", "9"] {
        let changed = full.replacen("=3.", &format!("={count}."), 1);
        assert!(matches!(gate.open(&changed), Evidence::Unusable), "{count}");
    }
    let single = Browser::given(&gate.write(&session_of("alice"))).sends();
    for prefix in ["=", "=.", "=1..", "=1,", "=11.", "=2."] {
        let changed = single.replacen("=1.", prefix, 1);
        assert!(
            matches!(gate.open(&changed), Evidence::Unusable),
            "{prefix}"
        );
    }
}

// F9: a planted cookie of a split session's names locks nobody out.
#[test]
fn planted_parts_do_not_lock_anybody_out() {
    let gate = Gate::at(URL);
    let cookies = Browser::given(&gate.write(&session_with_token(8000))).sends();
    let planted: Vec<String> = (0..40)
        .flat_map(|n| {
            [
                format!("{}=3.{n}AAAAAAAAAAAAAAAAAAAA", gate.names.session()),
                format!("{}={n}", gate.names.part(1)),
                format!("{}={n}", gate.names.part(2)),
                format!("{}={n}", gate.names.part(9)),
            ]
        })
        .collect();
    let planted = planted.join("; ");
    assert_eq!(
        subject(&gate.open(&format!("{planted}; {cookies}"))),
        Some("alice")
    );
    assert!(matches!(gate.open(&planted), Evidence::Unusable));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // F2, F3: any size, sent back in any order.
    #[test]
    fn every_session_that_is_written_is_read_back_in_any_order(
        bytes in 0_usize..9000,
        order in Just([0_usize, 1, 2]).prop_shuffle(),
    ) {
        let gate = Gate::at(URL);
        let written = SessionCookie::write(
            &session_with_token(bytes), &gate.keyring, &gate.names, &Presented::default(), START,
        );
        let Ok(lines) = written else {
            prop_assert!(bytes > 8000);
            return Ok(());
        };
        assert_sizes(&lines);
        let sent = Browser::given(&lines).sends();
        let pairs: Vec<&str> = sent.split("; ").collect();
        let shuffled: Vec<&str> = order.iter().filter_map(|&at| pairs.get(at).copied()).collect();
        let fields: Vec<&[u8]> = shuffled.iter().map(|pair| pair.as_bytes()).collect();
        let evidence = gate.read_fields(&fields).open(&Opener::new(&gate.keyring, &gate.names), LIMITS, START);
        let Evidence::Session(session, _) = evidence else {
            return Err(TestCaseError::fail("no session"));
        };
        prop_assert_eq!(session.raw_id_token.as_ref().map(|token| token.expose().len()), Some(bytes));
    }
}
