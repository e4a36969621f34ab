//! The session's cookies as a browser and an attacker see them: written, sent back, taken apart.

mod parts;
mod spellings;
mod tampering;
mod tickets;

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::cookie::{SessionCookie, SetCookie};
use super::evidence::Evidence;
use super::lifetime::{Freshness, SignedIn};
use super::names::CookieNames;
use super::presented::{Opener, Presented};
use super::{CookieKept, CookieSettings, SameSite, Session, SessionLimits};
use crate::base::clock::UnixTime;
use crate::base::entropy::Entropy;
use crate::base::keyring::{Keyring, SessionKey};
use crate::base::origin::PublicUrl;
use crate::base::secret::Secret;
use crate::oidc::claims::{Email, Groups, Identity, Verification};

pub(crate) const START: UnixTime = UnixTime::from_seconds(1_800_000_000);
pub(super) const LIMITS: SessionLimits = SessionLimits {
    idle: Duration::from_hours(8),
    absolute: Duration::from_hours(24),
    recheck: Duration::from_mins(15),
    outage_grace: Duration::from_hours(1),
};

pub(super) fn alice() -> SignedIn {
    SignedIn {
        identity: Identity {
            issuer: "https://id.example.com/realms/corp".to_owned(),
            subject: "f:5cbc1d0e-1d3c-4f0e-9f57-6c8f3a2d9b10:alice".to_owned(),
            email: Some(Email {
                address: "alice.liddell@example.com".to_owned(),
                verification: Verification::Verified,
            }),
            groups: Groups::Complete(vec![
                "dashboards-users".to_owned(),
                "engineering".to_owned(),
                "on-call".to_owned(),
            ]),
            preferred_username: Some("alice".to_owned()),
            name: Some("Alice Pleasance Liddell".to_owned()),
            claims: BTreeMap::new(),
        },
        provider: "corp".to_owned(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        grant: None,
        raw_id_token: None,
    }
}

/// One gate: its names and keys.
pub(super) struct Gate {
    pub(super) names: CookieNames,
    pub(super) keyring: Keyring,
}

impl Gate {
    pub(super) fn at(url: &str) -> Self {
        Self::with(url, "dashboards", &[key()])
    }

    pub(super) fn with(url: &str, client_ids: &str, keys: &[SessionKey]) -> Self {
        let settings = CookieSettings {
            name: "sidegate".to_owned(),
            same_site: SameSite::Lax,
            domain: None,
            kept: CookieKept::default(),
        };
        let public = PublicUrl::parse(url).unwrap();
        Self {
            names: CookieNames::new(&settings, &public, client_ids).unwrap(),
            keyring: Keyring::new(keys).unwrap(),
        }
    }

    pub(super) fn write(&self, session: &Session) -> Vec<SetCookie> {
        self.write_over(session, &Presented::default())
    }

    pub(super) fn write_over(&self, session: &Session, presented: &Presented) -> Vec<SetCookie> {
        SessionCookie::write(session, &self.keyring, &self.names, presented, START).unwrap()
    }

    pub(super) fn read(&self, cookies: &str) -> Presented {
        self.read_fields(&[cookies.as_bytes()])
    }

    pub(super) fn read_fields(&self, fields: &[&[u8]]) -> Presented {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field).unwrap());
        }
        Presented::read(&headers, &self.names)
    }

    pub(super) fn open(&self, cookies: &str) -> Evidence {
        self.open_at(cookies, START)
    }

    pub(super) fn open_at(&self, cookies: &str, now: UnixTime) -> Evidence {
        self.read(cookies)
            .open(&Opener::new(&self.keyring, &self.names), LIMITS, now)
    }
}

pub(super) fn key() -> SessionKey {
    SessionKey::generate(Entropy::system()).unwrap()
}

/// A browser that keeps cookies by name: what it sends after it was given these.
#[derive(Debug, Clone, Default)]
pub(super) struct Browser {
    jar: Vec<(String, String)>,
}

impl Browser {
    pub(super) fn given(lines: &[SetCookie]) -> Self {
        let mut browser = Self::default();
        browser.take(lines);
        browser
    }

    pub(super) fn take(&mut self, lines: &[SetCookie]) {
        for line in lines {
            let (pair, attributes) = line.as_str().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.jar.retain(|(own, _)| own != name);
            if !attributes.split("; ").any(|one| one == "Max-Age=0") {
                self.jar.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    pub(super) fn sends(&self) -> String {
        let pairs: Vec<String> = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    pub(super) fn holds(&self) -> usize {
        self.jar.len()
    }
}

/// The subject of a live session.
pub(super) fn subject(evidence: &Evidence) -> Option<&str> {
    match evidence {
        Evidence::Session(session, _) => Some(&session.identity.subject),
        _ => None,
    }
}

pub(crate) fn session_of(subject: &str) -> Session {
    let mut who = alice();
    who.identity.subject = subject.to_owned();
    Session::start(who, [7; 16], LIMITS, START)
}

/// A session whose raw ID token has this many bytes.
pub(super) fn session_with_token(bytes: usize) -> Session {
    let mut session = session_of("alice");
    session.raw_id_token = Some(Secret::new("t".repeat(bytes)));
    session
}

// F1: all attributes, on every cookie of a gate.
#[test]
fn every_cookie_carries_the_attributes_of_its_gate() {
    for (url, attributes) in [
        (
            "https://a.test",
            "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400",
        ),
        (
            "https://a.test/x",
            "; HttpOnly; SameSite=Lax; Secure; Path=/x; Max-Age=86400",
        ),
        (
            "http://localhost:4180",
            "; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400",
        ),
    ] {
        let gate = Gate::at(url);
        let lines = gate.write(&session_with_token(5000));
        assert!(lines.len() > 1);
        for line in lines {
            assert!(line.as_str().ends_with(attributes), "{}", line.as_str());
            assert_eq!(
                line.as_str().matches(';').count(),
                attributes.matches(';').count()
            );
            assert_eq!(line.header_value().as_bytes(), line.as_str().as_bytes());
        }
    }
    let shared = CookieSettings {
        name: "sidegate".to_owned(),
        same_site: SameSite::Strict,
        domain: Some("b.test".to_owned()),
        kept: CookieKept::UntilTheEnd,
    };
    let public = PublicUrl::parse("https://a.b.test").unwrap();
    let gate = Gate {
        names: CookieNames::new(&shared, &public, "dashboards").unwrap(),
        keyring: Keyring::new(&[key()]).unwrap(),
    };
    let line = &gate.write(&session_of("alice"))[0];
    let attributes = "; HttpOnly; SameSite=Strict; Secure; Path=/; Domain=b.test; Max-Age=86400";
    assert!(line.as_str().ends_with(attributes), "{}", line.as_str());
    // A cookie that ends with its browser says nothing of a time, and its removal does.
    let shared = CookieSettings {
        kept: CookieKept::WithTheBrowser,
        ..shared
    };
    let gate = Gate {
        names: CookieNames::new(&shared, &public, "dashboards").unwrap(),
        ..gate
    };
    let line = &gate.write(&session_of("alice"))[0];
    assert!(line.as_str().ends_with("; Path=/; Domain=b.test"));
    let gone = &SessionCookie::clear(&gate.names, &Presented::default())[0];
    assert!(gone.as_str().contains("Max-Age=0"), "{}", gone.as_str());
}

// F1: what one gate on a host writes or clears, the other does not see.
#[test]
fn two_gates_on_one_host_never_touch_each_others_cookies() {
    let keys = [key()];
    let gates: Vec<Gate> = [
        ("https://a.test", "one"),
        ("https://a.test:8443", "one"),
        ("https://a.test/x", "one"),
        ("https://a.test", "two"),
    ]
    .iter()
    .map(|(url, client)| Gate::with(url, client, &keys))
    .collect();
    let mut browser = Browser::default();
    for (index, gate) in gates.iter().enumerate() {
        browser.take(&gate.write(&session_of(&format!("user {index}"))));
    }
    assert_eq!(browser.holds(), gates.len());
    for (index, gate) in gates.iter().enumerate() {
        let evidence = gate.open(&browser.sends());
        assert_eq!(subject(&evidence), Some(format!("user {index}").as_str()));
    }
    browser.take(&SessionCookie::clear_all(
        &gates[0].names,
        &gates[0].read(&browser.sends()),
    ));
    assert!(matches!(gates[0].open(&browser.sends()), Evidence::None));
    assert_eq!(subject(&gates[1].open(&browser.sends())), Some("user 1"));
}

// F2: an ordinary person's cookie stays small.
#[test]
fn an_ordinary_session_takes_less_than_a_kibibyte() {
    let lines = Gate::at("https://dash.example.com").write(&Session::start(
        alice(),
        [7; 16],
        LIMITS,
        START,
    ));
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].as_str().len() < 1024,
        "{}",
        lines[0].as_str().len()
    );
}

// F6: rotation keeps sessions and asks for them to be sealed anew; removal ends them.
#[test]
fn sessions_survive_a_rotation_of_keys_and_end_with_a_removed_one() {
    let (old, new) = (key(), key());
    let url = "https://a.test";
    let before = Gate::with(url, "c", std::slice::from_ref(&old));
    let during = Gate::with(url, "c", &[new.clone(), old]);
    let after = Gate::with(url, "c", &[new]);
    let mut browser = Browser::given(&before.write(&session_of("alice")));
    let Evidence::Session(session, Freshness::Reseal) = during.open(&browser.sends()) else {
        panic!("a session to be sealed anew");
    };
    assert!(matches!(after.open(&browser.sends()), Evidence::Unusable));
    browser.take(&during.write(&session));
    assert!(matches!(
        after.open(&browser.sends()),
        Evidence::Session(_, Freshness::Fresh)
    ));
}

// F15: what ends a session is sealed inside it.
#[test]
fn a_user_agent_that_ignores_max_age_has_no_longer_session() {
    let gate = Gate::at("https://a.test");
    let cookies = Browser::given(&gate.write(&session_of("alice"))).sends();
    let idle_end = START.plus(LIMITS.idle);
    let second = Duration::from_secs(1);
    let before = gate.open_at(&cookies, idle_end.minus(second));
    assert!(matches!(before, Evidence::Session(_, Freshness::Reseal)));
    assert!(matches!(
        gate.open_at(&cookies, idle_end),
        Evidence::Expired(_)
    ));
    let years = Duration::from_hours(50 * 365 * 24);
    assert!(matches!(
        gate.open_at(&cookies, START.plus(years)),
        Evidence::Expired(_)
    ));
}

// F15: Max-Age only saves the browser from keeping what is over.
#[test]
fn max_age_counts_down_to_the_absolute_limit() {
    let gate = Gate::at("https://a.test");
    let later = START.plus(Duration::from_hours(1));
    let session = session_of("alice").touched(LIMITS, later);
    let lines = SessionCookie::write(
        &session,
        &gate.keyring,
        &gate.names,
        &Presented::default(),
        later,
    );
    assert!(lines.unwrap()[0].as_str().ends_with("; Max-Age=82800"));
}

// F19: what an earlier configuration left behind changes nothing.
#[test]
fn leftover_cookies_beside_a_session_do_not_disturb_it() {
    let gate = Gate::at("https://a.test");
    let cookies = Browser::given(&gate.write(&session_of("alice"))).sends();
    let base = gate.names.session();
    let leftovers = format!("{base}.5=old; {base}-r=old; {base}-l-aaaaaaaa=old; {base}.x=old");
    for all in [
        format!("{cookies}; {leftovers}"),
        format!("{leftovers}; {cookies}"),
    ] {
        assert!(matches!(
            gate.open(&all),
            Evidence::Session(_, Freshness::Fresh)
        ));
    }
    // Without a session they lead to an ordinary login, and the next session removes them.
    let presented = gate.read(&leftovers);
    let lines = gate.write_over(&session_of("alice"), &presented);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].name(), gate.names.part(5));
}

// A25: what is half valid is cleared; logins of other tabs stay.
#[test]
fn clearing_a_session_removes_its_cookies_and_no_login() {
    let gate = Gate::at("https://a.test/x");
    let base = gate.names.session();
    let login = gate.names.login("state");
    let presented = gate.read(&format!(
        "{base}=3.broken; {base}.2=x; {login}=y; {base}.8=z"
    ));
    let cleared = SessionCookie::clear(&gate.names, &presented);
    let names: Vec<&str> = cleared.iter().map(SetCookie::name).collect();
    assert_eq!(names, [base, &gate.names.part(2), &gate.names.part(8)]);
    for line in &cleared {
        // Same attributes as when it was set, an empty value, and both ways of saying "over".
        let attributes = "=; HttpOnly; SameSite=Lax; Secure; Path=/x; Max-Age=0; \
                          Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        assert_eq!(line.as_str(), format!("{}{attributes}", line.name()));
    }
    // G2: at logout everything goes, presented or not.
    let all = SessionCookie::clear_all(&gate.names, &presented);
    assert_eq!(all.last().map(SetCookie::name), Some(login.as_str()));
    assert_eq!(all.len(), 4);
    assert_eq!(
        SessionCookie::clear_all(&gate.names, &Presented::default()).len(),
        1
    );
}

#[test]
fn credentials_are_never_printed() {
    let gate = Gate::at("https://a.test");
    let lines = gate.write(&session_of("alice"));
    let cookies = Browser::given(&lines).sends();
    let value = cookies.split_once("=1.").unwrap().1;
    let field = lines[0].header_value();
    let printed = format!(
        "{lines:?} {field:?} {:?} {:?}",
        gate.read(&cookies),
        gate.keyring
    );
    assert!(
        !printed.contains(value) && !printed.contains(&value[..20]),
        "{printed}"
    );
}
