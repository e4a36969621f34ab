use std::collections::BTreeSet;

use http::Uri;
use proptest::prelude::*;

use super::reference::{self, Without};
use super::steps::*;
use super::*;

const CASES: &str = include_str!("../../../tests/data/targets.txt");

fn readings(target: &str) -> Vec<String> {
    let target = Target::parse(target).unwrap_or_else(|why| panic!("{target:?}: {why}"));
    let lossy = |reading: &[u8]| String::from_utf8_lossy(reading).into_owned();
    target.readings().map(lossy).collect()
}

/// What the rules at the head of the corpus say about one reading.
#[derive(Debug, PartialEq)]
enum Rule {
    Open,
    Admins,
    SignedIn,
}

fn rule(path: &[u8]) -> Rule {
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').skip(1).collect();
    match segments.as_slice() {
        [b"admin", ..] => Rule::Admins,
        [b"public" | b"docs", ..] | [b"healthz"] => Rule::Open,
        [b"api", one, b"status"] if !one.is_empty() => Rule::Open,
        _ => Rule::SignedIn,
    }
}

// I1, I3, I4, I6, I7: each line of the corpus comes out as it says.
#[test]
fn no_spelling_of_a_path_leads_past_its_rule() {
    let mut count = 0;
    for line in CASES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (expected, text) = line.split_once(' ').unwrap();
        let rules: Option<Vec<Rule>> = Target::parse(text)
            .ok()
            .map(|target| target.readings().map(rule).collect());
        let holds = match (expected, rules) {
            ("admin" | "guarded", None) => true,
            ("admin", Some(rules)) => rules.contains(&Rule::Admins),
            ("guarded", Some(rules)) => rules.iter().any(|rule| *rule != Rule::Open),
            ("open", Some(rules)) => rules.iter().all(|rule| *rule == Rule::Open),
            _ => false,
        };
        assert!(
            holds,
            "{line}: {:?}",
            Target::parse(text).map(|_| readings(text))
        );
        count += 1;
    }
    assert!(count > 250, "only {count} cases were read");
}

// I1 (V1): what the upstream gets is what was received.
#[test]
fn path_and_query_stay_as_received() {
    for (text, path, query) in [
        ("/", "/", None),
        ("/a?", "/a", Some("")),
        (
            "/A%2fb//..;x/?q=%00?&\\",
            "/A%2fb//..;x/",
            Some("q=%00?&\\"),
        ),
        ("/caf\u{e9}?\u{e9}", "/caf\u{e9}", Some("\u{e9}")),
    ] {
        let target = Target::parse(text).unwrap();
        assert_eq!(
            (target.as_str(), target.path(), target.query()),
            (text, path, query)
        );
        assert_eq!(target.readings().next(), Some(path.as_bytes()));
    }
}

// I1, I7
#[test]
fn what_no_rule_can_judge_is_malformed() {
    for (text, why) in [
        ("", Malformed::NotAPath),
        ("*", Malformed::NotAPath),
        ("?x", Malformed::NotAPath),
        ("foo", Malformed::NotAPath),
        ("\\admin", Malformed::NotAPath),
        ("http://a.test/x", Malformed::NotAPath),
        ("/a b", Malformed::ControlByte),
        ("/a\n", Malformed::ControlByte),
        ("/\0", Malformed::ControlByte),
        ("/a\x7f", Malformed::ControlByte),
        ("/a?b\r\nc", Malformed::ControlByte),
        ("/a?b c", Malformed::ControlByte),
        ("/a#b", Malformed::Fragment),
        ("/a?b#c", Malformed::Fragment),
        ("/a%00", Malformed::Nul),
        ("/a%252500", Malformed::Nul),
        ("/a%c0%80", Malformed::Nul),
        ("/a%u0000", Malformed::Nul),
    ] {
        assert_eq!(Target::parse(text).err(), Some(why), "{text:?}");
    }
    for fine in ["/a%0a", "/a%09", "/a%20", "/a?%00", "/a%", "/a%ff%zz"] {
        assert!(Target::parse(fine).is_ok(), "{fine:?}");
    }
}

// I7: whatever form of target the HTTP layer lets through, only a path gets further.
#[test]
fn only_a_path_comes_out_of_an_http_uri() {
    let parse = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        Target::parse(uri.path_and_query()?.as_str()).ok()
    };
    for refused in ["*", "?x", "foo", "app.test:443", ""] {
        assert!(parse(refused).is_none(), "{refused:?}");
    }
    assert_eq!(
        parse("http://other.test/public/x?y").unwrap().as_str(),
        "/public/x?y"
    );
    assert_eq!(parse("http://other.test").unwrap().as_str(), "/");
    assert_eq!(parse("/caf\u{e9}\\x").unwrap().path(), "/caf\u{e9}\\x");
}

#[test]
fn an_ordinary_path_is_its_own_only_reading() {
    for path in [
        "/",
        "/a/b.c/d-e_f~g/",
        "/.well-known/x",
        "/a..b/..c/...d",
        "/@scope/a+b,c=d&e!f$g'(h)*:[i]{j}|^`\"<k>",
        "/static/app.1a2b3c.js?V=%2E%2E;X",
    ] {
        let target = Target::parse(path).unwrap();
        assert_eq!(target.readings().count(), 1, "{path}");
        assert_eq!(target.others.capacity(), 0, "{path}");
    }
    assert_eq!(
        readings("/Files/README"),
        ["/Files/README", "/files/readme"]
    );
}

// A rule for /Public/** is met by all readings only if these two kinds can be told apart.
#[test]
fn readings_with_the_case_folded_come_last() {
    let target = Target::parse("/A%2FB").unwrap();
    let unfolded: Vec<&[u8]> = target.unfolded_readings().collect();
    assert_eq!(unfolded, [b"/A%2FB".as_slice(), b"/A/B"]);
    let folded: Vec<&[u8]> = target.readings().skip(unfolded.len()).collect();
    assert_eq!(folded, [b"/a%2fb".as_slice(), b"/a/b"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one row a line")]
#[rustfmt::skip]
fn each_step_does_what_it_says() {
    type Row = (
        &'static str,
        fn(&[u8]) -> Vec<u8>,
        &'static [u8],
        &'static [u8],
    );
    let rows: &[Row] = &[
        (
            "percent",
            percent_decoded,
            b"/%61%2F%2f%252e%zz%4",
            b"/a//%2e%zz%4",
        ),
        ("percent", percent_decoded, b"/%%32e%", b"/%2e%"),
        (
            "percent",
            percent_decoded,
            b"/%ff%+1%u002e",
            b"/\xff%+1%u002e",
        ),
        (
            "slashes",
            percent_decoded_but_slashes,
            b"/%61%2F%2f%5c%252f",
            b"/a%2F%2f\\%2f",
        ),
        (
            "u",
            u_decoded,
            b"/%u002e%U002E%u00e9%u12%2e",
            b"/..\xc3\xa9%u12%2e",
        ),
        (
            "u",
            u_decoded,
            b"/%ud83d%ude00%ud83d%ude00x",
            "/\u{1f600}\u{1f600}x".as_bytes(),
        ),
        (
            "u",
            u_decoded,
            b"/%ud83d%u0061%ude00%ud83d",
            b"/%ud83da%ude00%ud83d",
        ),
        (
            "over-long",
            over_long_decoded,
            b"/\xc0\xae\xc0\xaf\xc1\x9c\xc1\x1c",
            b"/./\\\\",
        ),
        (
            "over-long",
            over_long_decoded,
            b"/\xe0\x80\xae\xf0\x80\x80\xaf",
            b"/./",
        ),
        (
            "over-long",
            over_long_decoded,
            b"/\xf8\x80\x80\x80\xae\xfc\x80\x80\x80\x80\xaf",
            b"/./",
        ),
        (
            "over-long",
            over_long_decoded,
            b"/\xe0\x9f\xbf\xc0",
            b"/\xdf\xbf\xc0",
        ),
        (
            "over-long",
            over_long_decoded,
            b"/\xc3\xa9\xe2\x82\xac\xff\xc0@",
            b"/\xc3\xa9\xe2\x82\xac\xff\xc0@",
        ),
        (
            "nfkc",
            compatibility_composed,
            "/．／＼；％２".as_bytes(),
            b"/./\\;%2",
        ),
        (
            "nfkc",
            compatibility_composed,
            b"/\xef\xbc\x8e\xff\xef\xbc\x8e\xef",
            b"/.\xff.\xef",
        ),
        ("backslash", backslashes_turned, b"/a\\..\\b", b"/a/../b"),
        ("params", parameters_cut, b"/a;b=c;d/;/e;/..;x", b"/a//e/.."),
        ("query", query_cut, b"/a?b?c#d", b"/a"),
        ("fragment", fragment_cut, b"/a?b#c", b"/a?b"),
        ("slashes", slashes_merged, b"//a///b//", b"/a/b/"),
        ("dots", dot_segments_removed, b"/a/./b/../../c/..", b"/"),
        ("dots", dot_segments_removed, b"/../../a/.", b"/a/"),
        ("dots", dot_segments_removed, b"/a//../b/...", b"/a/b/..."),
        ("dots", dot_segments_removed, b"/.//evil", b"//evil"),
        ("dots", dot_segments_removed, b"/..", b"/"),
        (
            "ends",
            segment_ends_trimmed,
            b"/a./b. ./../..../c \t\n",
            b"/a/b/..//c",
        ),
        (
            "ends",
            segment_ends_trimmed,
            "/a\u{a0}\u{2028}\u{85}\u{feff}".as_bytes(),
            b"/a",
        ),
        ("ends", segment_ends_trimmed, b"/. /a\xff", b"//a\xff"),
        ("end", path_end_trimmed, b"/a./b. .", b"/a./b"),
        ("end", path_end_trimmed, b"/a./..", b"/a./.."),
        ("end", path_end_trimmed, b"/a./", b"/a./"),
        ("blanks", blanks_trimmed, b"/ .. /\ta /b .", b"/../a/b ."),
        (
            "lower",
            lower_cased,
            "/AbÄİß".as_bytes(),
            "/abäi\u{307}ß".as_bytes(),
        ),
        ("fold", case_folded, "/Aßıſ\u{212a}".as_bytes(), b"/assisk"),
        ("fold", case_folded, b"/A\xffB", b"/a\xffb"),
    ];
    for (name, step, path, expected) in rows {
        let lossy = String::from_utf8_lossy(path);
        assert_eq!(
            step(path).escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{name} {lossy}"
        );
    }
}

// I1: bounded work, whatever is sent.
#[test]
fn a_long_and_nasty_target_has_few_and_small_readings() {
    let fill = |piece: &str| format!("/{}", piece.repeat(32 * 1024 / piece.len()));
    for piece in [
        "%25",
        "%2525",
        "%252e%252e%252f",
        "..;/",
        "A",
        "a\\",
        "//",
        "/./",
        "x/../",
        "%c0%ae",
        "\u{fdfa}",
        "%ef%b7%ba",
        "\u{ff0e}\u{ff0f}",
        "%u002e",
        ".%09",
        "%20.",
        "İ",
        "ΐ",
        ";x=y/",
        "a\u{300}\u{31b}",
        "%3f",
        "%23A",
        "%FF",
        "%ED%A0%80",
    ] {
        for tail in ["", "/A;b//..\\c%2F%2e%2e;/．％32%20."] {
            let text = fill(piece) + tail;
            match Target::parse(&text) {
                Ok(target) => {
                    assert!(target.readings().count() <= MAX_READINGS, "{piece}");
                    let bytes: usize = target.readings().map(<[u8]>::len).sum();
                    assert!(bytes <= MAX_READING_BYTES, "{piece}");
                }
                Err(why) => assert_eq!(why, Malformed::TooManyReadings, "{piece}"),
            }
        }
    }
    assert_eq!(
        Target::parse(&format!("/%{}2e", "25".repeat(300))).err(),
        Some(Malformed::TooManyReadings)
    );
    assert_eq!(Target::parse(&fill("A")).unwrap().readings().count(), 2);
    assert_eq!(Target::parse(&fill("a")).unwrap().readings().count(), 1);
    assert_eq!(
        Target::parse(&"/a".repeat(MAX_READING_BYTES)).err(),
        Some(Malformed::TooManyReadings)
    );
}

#[test]
fn the_query_is_not_printed() {
    let shown = format!("{:?}", Target::parse("/a?code=hunter2").unwrap());
    assert!(
        shown.contains("/a") && !shown.contains("hunter2"),
        "{shown}"
    );
}

/// Holds the readings of `text` to the model's. Answers how many there are.
fn agrees(text: &str) -> Result<usize, TestCaseError> {
    let path = text.split('?').next().unwrap();
    let expected = reference::closure(path.as_bytes(), MAX_READINGS);
    match Target::parse(text) {
        Ok(target) => {
            let (all, unfolded) = expected.map_err(|_| TestCaseError::fail("no closure"))?;
            let set = |some: Vec<&[u8]>| -> BTreeSet<Vec<u8>> {
                some.into_iter().map(<[u8]>::to_vec).collect()
            };
            prop_assert_eq!(&set(target.readings().collect()), &all);
            prop_assert_eq!(&set(target.unfolded_readings().collect()), &unfolded);
            prop_assert_eq!(
                target.readings().count(),
                all.len(),
                "a reading comes twice"
            );
            prop_assert_eq!(target.readings().next(), Some(path.as_bytes()));
            prop_assert!(
                target
                    .readings()
                    .all(|reading| reading.first() == Some(&b'/'))
            );
            Ok(all.len())
        }
        // Which of the two is met first depends on the order of the search.
        Err(Malformed::Nul | Malformed::TooManyReadings) => {
            let why = expected.err();
            prop_assert!(
                matches!(why, Some(Without::Nul | Without::End)),
                "{:?}",
                why
            );
            Ok(0)
        }
        Err(why) => Err(TestCaseError::fail(why.to_string())),
    }
}

#[rustfmt::skip]
const NASTY: &[&str] = &[
    "/", "/", "/", ".", "..", "//", "\\", ";", ";x=1", "a", "A", "admin", "public", "%2e", "%2E", "%252e", "%2f",
    "%2F", "%252F", "%5c", "%255c", "%3b", "%3f", "%23", "%20", "%09", "%0a", "%c0%ae", "%c0%af", "%c0", "%af", "%e0%80",
    "%ff", "%u002e", "%u002f", "%uff0e", "%ud83d", "%ude00", "%25", "%", "%u", "2", "5", "e", "f", "．", "／", "＼", "％",
    "；", "İ", "ı", "ß", "é", "e\u{301}", "\u{a0}", "\u{85}", "\u{feff}", "%c1%1c", "?q",
];

fn nasty_path(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(NASTY), 0..most)
        .prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    // I1, I2: the readings are exactly the closure, no more and no less.
    #[test]
    fn the_readings_are_the_closure_of_all_steps(text in nasty_path(8)) {
        agrees(&text)?;
    }

    // The fast way out is taken only where the closure has one member.
    #[test]
    fn an_ordinary_path_has_no_other_reading(text in "/[a-z0-9_~!$&'()*+,=:@|^\"{}<>`/.-]{0,12}") {
        let count = agrees(&text)?;
        let fast = Target::parse(&text).is_ok_and(|target| target.others.capacity() == 0);
        prop_assert_eq!(fast, count == 1);
    }

    // I1: any text at all is refused, or agrees with the model.
    #[test]
    fn any_text_agrees(text in "/[\\PC%;\\\\.A-F0-9]{0,10}") {
        if !text.contains(['#', ' ']) {
            agrees(&text)?;
        }
    }
}

// The corpus, too, so that every class of attack is compared with the model.
#[test]
fn the_corpus_agrees_with_the_model() {
    let targets = CASES
        .lines()
        .filter_map(|line| Some(line.split_once(" /")?.1));
    for target in targets.map(|rest| format!("/{rest}")) {
        if !target.contains(['#', ' ']) {
            agrees(&target).unwrap_or_else(|why| panic!("{target}: {why}"));
        }
    }
}
