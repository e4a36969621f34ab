//! A place that is accepted stays on our own origin, in the eyes of an independent URL parser, and
//! however often its path is decoded on the way.

use std::sync::LazyLock;

use sidegate::base::origin::Origin;
use sidegate::base::return_to::{MAX_LEN, ReturnTo};
use url::Url;

use super::Outcome;

const OWN: &str = "https://app.example.test";
/// What a server in front of us, or the app, might be resolving against.
const BASES: [&str; 3] = [
    "https://app.example.test/",
    "https://app.example.test/a/b/c?d",
    "https://app.example.test//x",
];
static OWN_ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin::parse(OWN).expect("an origin"));

/// Any text as a place.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else {
        return Outcome::Refused;
    };
    let as_path = ReturnTo::parse(text);
    let as_either = ReturnTo::parse_for(text, &OWN_ORIGIN);
    if let Some(place) = &as_path {
        assert!(text.starts_with('/'));
        assert_eq!(as_either.as_ref(), Some(place), "a path is one either way");
    }
    if let Some(place) = &as_either {
        sound(place);
        if !text.starts_with('/') {
            let url = Url::parse(text).expect("what was taken for a URL is one");
            // A host with the dot of the root is the same host; only path and query are kept anyhow.
            let origin = url.origin().ascii_serialization();
            assert_eq!(origin.trim_end_matches('.'), OWN);
        }
    }
    Outcome::from(as_either.is_some())
}

fn sound(place: &ReturnTo) {
    let text = place.as_str();
    assert!(text.len() <= MAX_LEN && text.len() == place.len());
    assert!(text.starts_with('/') && !text.starts_with("//"));
    let fit = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
    assert!(
        text.bytes().all(fit),
        "not fit for a header field: {text:?}"
    );
    assert_eq!(
        ReturnTo::parse(text).as_ref(),
        Some(place),
        "read anew, it is another"
    );
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let mut path = path.as_bytes().to_vec();
    for round in 0..4 {
        let seen = String::from_utf8_lossy(&path);
        for base in BASES {
            let base = Url::parse(base).expect("a base");
            for reference in [seen.to_string(), format!("{seen}?{query}")] {
                let url = base.join(&reference).expect("a reference");
                let origin = url.origin().ascii_serialization();
                assert_eq!(origin, OWN, "{text:?} leads away, decoded {round} times");
            }
        }
        path = decoded(&path);
    }
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).filter(|_| path[at] == b'%');
        let value = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(value.unwrap_or(path[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    out
}
