//! Whatever stands in `Cookie` fields: a session or login is found only where every byte of what was
//! sealed is there.
//!
//! One field a line. `$n` is the session cookie's name, `$s` the value of a session, `$a`, `$b` and
//! `$c` the three values of a split one, `$l` and `$v` a login's name and value: no fuzzer could come
//! upon these by itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sidegate::base::clock::UnixTime;
use sidegate::base::keyring::{Keyring, SessionKey};
use sidegate::base::origin::PublicUrl;
use sidegate::base::secret::Secret;
use sidegate::oidc::claims::{Groups, Identity};
use sidegate::session::cookie::{SessionCookie, SetCookie};
use sidegate::session::evidence::Evidence;
use sidegate::session::lifetime::SignedIn;
use sidegate::session::names::CookieNames;
use sidegate::session::pending::{LoginCookies, Recalled};
use sidegate::session::presented::{Opener, Presented, cookie_pairs};
use sidegate::session::{CookieKept, CookieSettings, SameSite, Session, SessionLimits};

use super::Outcome;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
const LIMITS: SessionLimits = SessionLimits {
    idle: Duration::from_hours(8),
    absolute: Duration::from_hours(24),
    recheck: Duration::from_mins(15),
    outage_grace: Duration::from_hours(1),
};
const STATE: &str = "state-of-this-login-0123456789abcdef";

struct Gate {
    names: CookieNames,
    keyring: Keyring,
    whole: Vec<String>,
    split: Vec<String>,
    login: (String, String),
}

static GATE: LazyLock<Gate> = LazyLock::new(Gate::new);

impl Gate {
    fn new() -> Self {
        let settings = CookieSettings {
            name: "sidegate".to_owned(),
            same_site: SameSite::Lax,
            domain: None,
            kept: CookieKept::default(),
        };
        let public = PublicUrl::parse("https://app.example.test").expect("a URL");
        let names = CookieNames::new(&settings, &public, "dashboards").expect("names");
        let key = SessionKey::parse("Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go").expect("a key");
        let keyring = Keyring::new(&[key]).expect("a ring");
        let written = |session: &Session| -> Vec<String> {
            SessionCookie::write(session, &keyring, &names, &Presented::default(), NOW)
                .expect("cookies")
                .iter()
                .map(|line| pair(line).1)
                .collect()
        };
        let (whole, split) = (
            written(&session("whole", 0)),
            written(&session("split", 7_500)),
        );
        assert_eq!((whole.len(), split.len()), (1, 3));
        let logins = LoginCookies::new(&names, &keyring, NOW);
        let begun = logins.begin(STATE, &"a login", &Presented::default());
        let login = begun
            .expect("a cookie")
            .first()
            .map(pair)
            .expect("a cookie");
        Self {
            names,
            keyring,
            whole,
            split,
            login,
        }
    }

    fn expanded(&self, field: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = field.iter();
        while let Some(byte) = bytes.next() {
            let word = match (byte, bytes.as_slice().first()) {
                (b'$', Some(b'n')) => self.names.session(),
                (b'$', Some(b's')) => &self.whole[0],
                (b'$', Some(b'a')) => &self.split[0],
                (b'$', Some(b'b')) => &self.split[1],
                (b'$', Some(b'c')) => &self.split[2],
                (b'$', Some(b'l')) => &self.login.0,
                (b'$', Some(b'v')) => &self.login.1,
                _ => {
                    out.push(*byte);
                    continue;
                }
            };
            bytes.next();
            out.extend_from_slice(word.as_bytes());
        }
        out
    }
}

/// Any lines as `Cookie` fields.
pub fn run(data: &[u8]) -> Outcome {
    let gate = &*GATE;
    let fields: Vec<Vec<u8>> = data
        .split(|byte| *byte == b'\n')
        .take(20)
        .map(|field| gate.expanded(field))
        .filter(|field| HeaderValue::from_bytes(field).is_ok())
        .collect();
    for field in &fields {
        pairs_are_what_they_should_be(field);
    }
    let (presented, evidence) = read(gate, &fields);
    // Several fields are one, joined by `; ` (RFC 9113 section 8.2.3).
    let (joined, joined_evidence) = read(gate, &[fields.join(&b"; "[..])]);
    assert_eq!(format!("{presented:?}"), format!("{joined:?}"));
    assert_eq!(found(&evidence), found(&joined_evidence));
    let has_own = fields
        .iter()
        .flat_map(|field| cookie_pairs(field))
        .any(|pair| gate.names.is_own(pair.name));
    assert!(presented.is_empty() || has_own);

    let holds = |value: &String| {
        fields.iter().any(|field| {
            field
                .windows(value.len())
                .any(|part| part == value.as_bytes())
        })
    };
    let needed = match found(&evidence) {
        Some("whole") => gate.whole.as_slice(),
        Some("split") => gate.split.as_slice(),
        Some(other) => panic!("a session of {other}, whom nobody let in"),
        None => &[],
    };
    assert!(needed.iter().all(holds), "a session that was not presented");
    let logins = LoginCookies::new(&gate.names, &gate.keyring, NOW);
    let recalled = logins.recall::<String>(STATE, &presented);
    if !matches!(recalled, Recalled::Absent | Recalled::Unusable) {
        assert!(holds(&gate.login.1), "a login that was not presented");
    }
    Outcome::from(!needed.is_empty())
}

fn read(gate: &Gate, fields: &[Vec<u8>]) -> (Presented, Evidence) {
    let mut headers = HeaderMap::new();
    for value in fields
        .iter()
        .filter_map(|field| HeaderValue::from_bytes(field).ok())
    {
        headers.append(COOKIE, value);
    }
    let presented = Presented::read(&headers, &gate.names);
    let evidence = presented.open(&Opener::new(&gate.keyring, &gate.names), LIMITS, NOW);
    (presented, evidence)
}

fn found(evidence: &Evidence) -> Option<&str> {
    match evidence {
        Evidence::None | Evidence::Unusable | Evidence::StoreDown => None,
        Evidence::Session(session, _)
        | Evidence::Unheard(session, _)
        | Evidence::Unconfirmed(session)
        | Evidence::Expired(session) => Some(&session.identity.subject),
    }
}

/// The pairs once more, slowly: between semicolons, blanks around them cut, before and after `=`.
fn pairs_are_what_they_should_be(field: &[u8]) {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut expected = Vec::new();
    for raw in field.split(|byte| *byte == b';') {
        let from = raw
            .iter()
            .position(|byte| !blank(byte))
            .unwrap_or(raw.len());
        let to = raw
            .iter()
            .rposition(|byte| !blank(byte))
            .map_or(from, |at| at + 1);
        let trimmed = &raw[from..to];
        expected.push(match trimmed.iter().position(|byte| *byte == b'=') {
            Some(at) => (raw, &trimmed[..at], &trimmed[at + 1..]),
            None => (raw, &b""[..], &b""[..]),
        });
    }
    let pairs: Vec<_> = cookie_pairs(field)
        .map(|pair| (pair.raw, pair.name, pair.value))
        .collect();
    assert_eq!(pairs, expected);
}

fn session(subject: &str, token_bytes: usize) -> Session {
    let who = SignedIn {
        identity: Identity {
            issuer: "https://i.test".to_owned(),
            subject: subject.to_owned(),
            email: None,
            groups: Groups::Complete(Vec::new()),
            preferred_username: None,
            name: None,
            claims: BTreeMap::new(),
        },
        provider: "corp".to_owned(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        grant: None,
        raw_id_token: (token_bytes > 0).then(|| Secret::new("t".repeat(token_bytes))),
    };
    Session::start(who, [7; 16], LIMITS, NOW)
}

fn pair(line: &SetCookie) -> (String, String) {
    let value = line.as_str().split(';').next().unwrap_or_default();
    let (name, value) = value.split_once('=').expect("a pair");
    (name.to_owned(), value.to_owned())
}
