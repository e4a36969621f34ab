use proptest::prelude::*;
use url::Url;

use super::*;

const CASES: &str = include_str!("../../../tests/data/redirects.txt");
const OWN: &str = "https://app.example.test";

fn own() -> Origin {
    Origin::parse(OWN).unwrap()
}

/// The cases of the corpus: what must come of each, and the payload.
fn cases() -> impl Iterator<Item = (&'static str, String)> {
    let lines = CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (expected, payload) = line.split_once(' ').unwrap_or((line, ""));
        (expected, with_bytes(payload))
    })
}

/// `text` with each `{hh}` as the byte it stands for.
fn with_bytes(text: &str) -> String {
    let mut pieces = text.split('{');
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_once('}').unwrap();
        out.push(char::from(u8::from_str_radix(hex, 16).unwrap()));
        out.push_str(rest);
    }
    out
}

/// One percent-decoding, as plain as can be.
fn decoded(text: &str) -> String {
    let text = text.as_bytes();
    let mut out = vec![];
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digits = text
            .get(at + 1..at + 3)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        if let Some(digits) = digits {
            out.push(u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The oracle: a browser that is sent to `place` from any page of ours stays on our origin, also if
/// somebody decoded the path once or twice, or normalised it, before.
fn stays_here(place: &str) -> bool {
    use unicode_normalization::UnicodeNormalization as _;

    let path = place.split('?').next().unwrap();
    let once = decoded(path);
    let twice = decoded(&once);
    let forms = [place, path, &once, &twice];
    let composed: Vec<String> = forms.iter().map(|form| form.nfkc().collect()).collect();
    [
        "https://app.example.test/",
        "http://own/x/y",
        "http://own:8080/?z",
    ]
    .iter()
    .all(|base| {
        let base = Url::parse(base).unwrap();
        forms
            .iter()
            .copied()
            .chain(composed.iter().map(String::as_str))
            .all(|form| {
                base.join(form)
                    .is_ok_and(|url| url.origin() == base.origin())
            })
    })
}

/// What [`ReturnTo`] promises of every value.
fn is_sound(place: &ReturnTo) -> bool {
    let text = place.as_str();
    text.len() <= MAX_LEN
        && place.len() == text.len()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['\\', '#'])
        && stays_here(text)
        && ReturnTo::parse(text).as_ref() == Some(place)
}

// H1, H2, H3, H5: each line of the corpus comes out as it says, however it is offered.
#[test]
fn no_payload_leads_off_our_origin() {
    let mut count = 0;
    for (expected, payload) in cases() {
        let path = ReturnTo::parse(&payload);
        let full = ReturnTo::parse_for(&payload, &own());
        let asked_for = Target::parse(&payload)
            .ok()
            .and_then(|target| ReturnTo::of_target(&target));
        let outcome = match (&path, &full) {
            (None, None) => "refused",
            (None, Some(_)) => "own",
            (Some(_), Some(_)) => "kept",
            (Some(_), None) => "a path, but no place of ours",
        };
        assert_eq!(outcome, expected, "{payload:?}: {path:?} {full:?}");
        assert_eq!(path, asked_for, "{payload:?}");
        for place in [path, full].into_iter().flatten() {
            assert!(is_sound(&place), "{payload:?}: {}", place.as_str());
        }
        count += 1;
    }
    assert!(count > 500, "only {count} cases were read");
}

// H3: a page that is asked for is no place to return to when it is no path of ours to a browser.
#[test]
fn a_requested_path_that_reads_as_another_host_is_not_returned_to() {
    for path in [
        "//evil.test/x",
        "/\\evil.test",
        "/%09/evil.test",
        "/.//evil.test",
        "/%2f/evil.test",
        "/x/..//evil.test",
    ] {
        let target = Target::parse(path).unwrap();
        assert_eq!(ReturnTo::of_target(&target), None, "{path}");
    }
}

#[rustfmt::skip]
const DEEP_LINKS: &[&str] = &[
    "/", "/?", "/x", "/x/", "/x?y", "/x?y=z&a=b", "/x?", "/x??a=?",
    "/search?q=a%20b&next=https%3A%2F%2Fx.example%2Fy%3Fz%3D1",
    "/search?q=a+b&next=https://x.example/y?z=1",
    "/search?q=a%0Ab%09c%5Cd%00e%2F%2Ff",
    "/x?return_to=//evil.test/&rd=/%5Cevil.test",
    "/d/abc123/overview?orgId=1&from=now-6h&to=now&var-host=All&refresh=10s",
    "/explore?left=%7B%22datasource%22:%22Prometheus%22,%22queries%22:%5B%7B%22expr%22:%22rate(x%5B5m%5D)%22%7D%5D%7D",
    "/explore?left={\"a\":[1,2]}|^`",
    "/graph?g0.expr=sum%20by%20(job)%20(rate(http_requests_total%7Bcode%3D~%225..%22%7D%5B5m%5D))&g0.tab=0",
    "/notebooks/My%20Notebook%20(1).ipynb",
    "/notebooks/%E6%96%87%E6%A1%A3.ipynb?token=",
    "/group%2Fproject/-/blob/main/src%2Fmain.rs?ref_type=heads",
    "/api/v4/projects/group%2Fproject/repository/files/src%2Fmain%2Ejava/raw",
    "/app/kibana?_g=(time:(from:now-15m,to:now))&_a=(query:(language:kuery,query:'a:%22b%20c%22'))",
    "/applications/argocd/my-app?view=tree&resource=%2FPod%2Fdefault%2Fx",
    "/c/main/namespaces/../pods",
    "/a//b", "/a/./b", "/a/../b", "/a;v=1;w=2/b;x", "/a/b.c/d...", "/100%25", "/50%", "/!room:example.test/$event",
    "/proxy/https://x.example/y", "/proxy/https%3A%2F%2Fx.example%2Fy%3Fq%3D1", "/~user/", "/@scope/name", "/.well-known/x",
    "/*", "/a:b@c", "/Files/README.MD", "/x?utf8=%E2%9C%93&sig=AbC%2Bd%2F%3D%3D",
];

// H1: the exact page, its query included, or people lose what they came for.
#[test]
fn deep_links_survive_unchanged() {
    for link in DEEP_LINKS {
        let target = Target::parse(link).unwrap();
        for place in [
            ReturnTo::parse(link),
            ReturnTo::parse_for(link, &own()),
            ReturnTo::parse_for(&format!("{OWN}{link}"), &own()),
            ReturnTo::of_target(&target),
        ] {
            let place = place.unwrap_or_else(|| panic!("{link}"));
            assert_eq!(place.as_str(), *link);
            assert!(is_sound(&place), "{link}");
        }
    }
}

// H1: scheme, host and port, exactly.
#[test]
fn only_our_own_origin_is_taken_off() {
    let own = Origin::parse("http://b\u{fc}cher.test:8080").unwrap();
    let place = |text: &str| ReturnTo::parse_for(text, &own).map(|place| place.as_str().to_owned());
    for text in [
        "http://b\u{fc}cher.test:8080/a?b",
        "http://xn--bcher-kva.test:8080/a?b",
        "http://XN--BCHER-KVA.test.:8080/a?b",
    ] {
        assert_eq!(place(text).as_deref(), Some("/a?b"), "{text}");
    }
    assert_eq!(
        place("http://xn--bcher-kva.test:8080").as_deref(),
        Some("/")
    );
    assert_eq!(
        place("http://xn--bcher-kva.test:8080?a").as_deref(),
        Some("/?a")
    );
    for text in [
        "http://b\u{fc}cher.test/a",
        "http://b\u{fc}cher.test:80/a",
        "https://b\u{fc}cher.test:8080/a",
        "http://bucher.test:8080/a",
        "http://b\u{fc}ch\ter.test:8080/a",
        "http://u@b\u{fc}cher.test:8080/a",
        "//b\u{fc}cher.test:8080/a",
        "http:/b\u{fc}cher.test:8080/a",
        "xhttp://b\u{fc}cher.test:8080/a",
        "x http://b\u{fc}cher.test:8080/a",
    ] {
        assert_eq!(place(text), None, "{text:?}");
    }
}

#[test]
fn letters_beyond_ascii_come_out_encoded() {
    let place = ReturnTo::parse("/caf\u{e9}/\u{6587}?q=\u{1f600}%20").unwrap();
    assert_eq!(place.as_str(), "/caf%C3%A9/%E6%96%87?q=%F0%9F%98%80%20");
    assert!(is_sound(&place));
}

// H1: what the login cookie cannot hold is no place to return to.
#[test]
fn a_place_is_no_longer_than_its_cookie_can_hold() {
    let of_len = |len: usize| format!("/?{}", "x".repeat(len - 2));
    assert_eq!(
        ReturnTo::parse(&of_len(MAX_LEN)).map(|place| place.len()),
        Some(MAX_LEN)
    );
    assert_eq!(ReturnTo::parse(&of_len(MAX_LEN + 1)), None);
    let target = Target::parse(&of_len(MAX_LEN + 1)).unwrap();
    assert_eq!(ReturnTo::of_target(&target), None);
    // Three times as long once it is encoded.
    assert_eq!(ReturnTo::parse(&format!("/{}", "\u{e9}".repeat(700))), None);
    assert_eq!(
        ReturnTo::parse_for(&format!("{OWN}{}", of_len(MAX_LEN)), &own()),
        None
    );
}

#[test]
fn home_is_where_the_app_lives() {
    for (public, home) in [
        ("https://app.example.test", "/"),
        ("https://app.example.test/tools/dash/", "/tools/dash/"),
    ] {
        let place = ReturnTo::home(&PublicUrl::parse(public).unwrap());
        assert_eq!(place.as_str(), home);
        assert!(is_sound(&place));
    }
}

#[test]
fn a_query_is_not_printed() {
    let shown = format!("{:?}", ReturnTo::parse("/x?token=hunter2").unwrap());
    assert_eq!(shown, "ReturnTo(/x?[redacted])");
}

#[rustfmt::skip]
const NASTY: &[&str] = &[
    "/", "/", "/", "\\", ".", "..", "//", ";", ":", "@", "?", "#", "x", "evil.test", "app.example.test", "own", "http:", "https:",
    "https://app.example.test", "javascript:", "data:", "%2f", "%2F", "%5c", "%5C", "%252f", "%255c", "%2e", "%252e", "%09",
    "%0a", "%0d", "%20", "%00", "%7f", "%2509", "%25", "%", "2f", "5c", "%c0%af", "%c1%9c", "%u002f", "%u005c", "%3b", "%3f",
    "%23", "%40", "\t", "\n", "\r", " ", "\0", "\x7f", "／", "＼", "．", "％", "。", "\u{a0}", "\u{3000}", "\u{feff}",
    "%ef%bc%8f", "%ef%bc%bc", "%e3%80%80", "[::1]", "é", "&", "=",
];

// H1, H2: encoded, a text has more readings; a place is held to those of what a browser will ask for.
#[test]
fn a_place_that_is_accepted_is_accepted_again_as_it_was_written() {
    let text = concat!(
        "/.noownwn/.//./mviu.teevil0aeapp.example.testvi./:e%EF%BC%8FDDDDDDDDD//`D~`/./",
        "%2fi%;/.//eviu\u{48e}eevil.test"
    );
    let encoded = text.replace('\u{48e}', "%D2%8E");
    assert!(Target::parse(text).is_ok() && Target::parse(&encoded).is_err());
    let place = |text: &str| ReturnTo::parse(text).map(|place| place.as_str().to_owned());
    let encoded = text.replace('\u{48e}', "%D2%8E");
    assert!(Target::parse(text).is_ok() && Target::parse(&encoded).is_err());
    assert_eq!((place(text), place(&encoded)), (None, None));
    assert_eq!(
        place("/caf\u{e9}?\u{e9}").as_deref(),
        Some("/caf%C3%A9?%C3%A9")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    // H1, H2: whatever is accepted keeps a browser on our origin, by a parser that is not ours.
    #[test]
    fn what_is_accepted_stays_on_our_origin(
        pieces in prop::collection::vec(prop::sample::select(NASTY), 0..8),
        start in prop::sample::select(&["", "/", "/x", "https://app.example.test", "https://app.example.test/"][..]),
    ) {
        let text = format!("{start}{}", pieces.concat());
        let path = ReturnTo::parse(&text);
        prop_assert!(path.as_ref().is_none_or(is_sound), "{:?}", text);
        let full = ReturnTo::parse_for(&text, &own());
        prop_assert!(full.as_ref().is_none_or(is_sound), "{:?}", text);
        if path.is_some() {
            prop_assert_eq!(&path, &full);
        } else if full.is_some() {
            let url = Url::parse(&text).unwrap();
            prop_assert_eq!(url.scheme(), "https");
            prop_assert_eq!(url.host_str().map(|host| host.trim_end_matches('.')), Some("app.example.test"));
            prop_assert_eq!(url.port_or_known_default(), Some(443));
        }
        if let Some(place) = &full {
            prop_assert_eq!(ReturnTo::parse(place.as_str()), Some(place.clone()));
        }
        let target = Target::parse(&text).ok();
        prop_assert_eq!(target.as_ref().and_then(ReturnTo::of_target), path);
    }

    // H1: a link of ordinary characters is never lost.
    #[test]
    fn an_ordinary_link_is_accepted_unchanged(
        link in "/[A-Za-z0-9_~-]{1,8}(/[A-Za-z0-9_~-][A-Za-z0-9_~.-]{0,7}|/a%20b|/%C3%A9){0,3}(\\?([A-Za-z0-9_~.=&/?:@!$'()*+,;-]|%[0-9A-F]{2}){0,20})?",
    ) {
        let place = ReturnTo::parse(&link);
        prop_assert_eq!(place.as_ref().map(ReturnTo::as_str), Some(link.as_str()));
    }
}
