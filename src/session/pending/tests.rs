use proptest::prelude::*;

use super::*;
use crate::base::origin::PublicUrl;
use crate::session::tests::{Browser, Gate, START};
use crate::session::{CookieKept, CookieSettings};

const SECOND: Duration = Duration::from_secs(1);
const URL: &str = "https://a.test";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Login {
    return_to: String,
    nonce: String,
}

fn to(return_to: &str) -> Login {
    Login {
        return_to: return_to.to_owned(),
        nonce: "n".repeat(43),
    }
}

fn at(gate: &Gate, after: u64) -> LoginCookies<'_> {
    let now = START.plus(Duration::from_secs(after));
    LoginCookies::new(&gate.names, &gate.keyring, now)
}

/// Begins a login `after` so many seconds in this browser.
fn begin(gate: &Gate, browser: &mut Browser, state: &str, after: u64) {
    let presented = gate.read(&browser.sends());
    let lines = at(gate, after).begin(state, &to(state), &presented);
    browser.take(&lines.unwrap());
}

fn recall(gate: &Gate, browser: &Browser, state: &str, after: u64) -> Recalled<Login> {
    at(gate, after).recall(state, &gate.read(&browser.sends()))
}

// F1: short-lived, and sent along on the way back from another site.
#[test]
fn a_login_cookie_lives_for_ten_minutes_and_a_marker_for_one() {
    let gate = Gate::at(URL);
    let attributes = "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=";
    let lines = at(&gate, 0)
        .begin("s", &to("/"), &Presented::default())
        .unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].name(), gate.names.login("s"));
    assert!(lines[0].as_str().ends_with(&format!("{attributes}600")));
    let marker = at(&gate, 0).finish("s").unwrap();
    assert_eq!(marker.name(), gate.names.login("s"));
    assert!(marker.as_str().ends_with(&format!("{attributes}60")));
}

// The way back from the provider starts on another site: a strict login cookie would be missing.
#[test]
fn a_login_cookie_is_lax_where_the_session_is_strict() {
    let settings = CookieSettings {
        name: "sidegate".to_owned(),
        same_site: SameSite::Strict,
        domain: None,
        kept: CookieKept::default(),
    };
    let public = PublicUrl::parse(URL).unwrap();
    let names = CookieNames::new(&settings, &public, "dashboards").unwrap();
    let gate = Gate::at(URL);
    let logins = LoginCookies::new(&names, &gate.keyring, START);
    let begun = logins.begin("s", &to("/"), &Presented::default()).unwrap();
    for line in [&begun[0], &logins.finish("s").unwrap(), &logins.forget("s")] {
        assert!(
            line.as_str().contains("; SameSite=Lax;"),
            "{}",
            line.as_str()
        );
    }
}

// A14: eight tabs, finished in any order.
#[test]
fn eight_tabs_log_in_beside_each_other_and_each_finds_its_own_page() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    for tab in 0..8 {
        begin(&gate, &mut browser, &format!("tab {tab}"), tab);
    }
    for tab in [5, 0, 7, 3, 1, 6, 2, 4] {
        let state = format!("tab {tab}");
        assert_eq!(
            recall(&gate, &browser, &state, 20),
            Recalled::Pending(to(&state))
        );
        browser.take(&[at(&gate, 20).finish(&state).unwrap()]);
    }
}

// A14: the oldest gives way, and only as many as must.
#[test]
fn of_many_logins_in_flight_the_newest_ten_stay() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    for tab in 0..25 {
        begin(&gate, &mut browser, &format!("tab {tab}"), tab);
        assert!(browser.holds() <= MAX_LOGINS_IN_FLIGHT);
        assert!(browser.sends().len() <= MAX_TOTAL_BYTES);
    }
    for tab in 0..25 {
        let state = format!("tab {tab}");
        let expected = if tab < 15 {
            Recalled::Absent
        } else {
            Recalled::Pending(to(&state))
        };
        assert_eq!(recall(&gate, &browser, &state, 30), expected);
    }
}

// A14: what does not open gives way first; the login itself never does.
#[test]
fn a_login_that_opens_outlasts_one_that_does_not() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    for tab in 0..9 {
        begin(&gate, &mut browser, &format!("tab {tab}"), tab);
    }
    let junk: Vec<String> = (0..3)
        .map(|n| format!("{}=junk", gate.names.login(&format!("junk {n}"))))
        .collect();
    let presented = gate.read(&format!("{}; {}", junk.join("; "), browser.sends()));
    let lines = at(&gate, 9).begin("new", &to("/"), &presented).unwrap();
    let removed: Vec<&str> = lines[1..].iter().map(SetCookie::name).collect();
    assert_eq!(removed.len(), 3);
    for n in 0..3 {
        assert!(removed.contains(&gate.names.login(&format!("junk {n}")).as_str()));
    }
    begin(&gate, &mut browser, "tab 9", 9);
    let presented = gate.read(&browser.sends());
    let lines = at(&gate, 10).begin("tab 0", &to("/"), &presented).unwrap();
    assert_eq!(lines.len(), 1, "begun anew under its own name");
}

// A14: ten logins to very long pages stay below what a head may hold.
#[test]
fn logins_to_long_pages_give_way_sooner() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    let long = "/".repeat(2000);
    for tab in 0..10 {
        let presented = gate.read(&browser.sends());
        let lines = at(&gate, tab).begin(&tab.to_string(), &to(&long), &presented);
        browser.take(&lines.unwrap());
        assert!(browser.sends().len() <= MAX_TOTAL_BYTES);
    }
    assert!((4..9).contains(&browser.holds()), "{}", browser.holds());
    assert_eq!(
        recall(&gate, &browser, "9", 10),
        Recalled::Pending(to(&long))
    );
}

// H1: too long for a cookie is for the caller to know.
#[test]
fn a_login_that_does_not_fit_into_one_cookie_is_refused() {
    let gate = Gate::at(URL);
    let lines = |length| at(&gate, 0).begin("s", &to(&"p".repeat(length)), &Presented::default());
    let largest = (2500..3000)
        .take_while(|&length| lines(length).is_ok())
        .last()
        .unwrap();
    assert!(lines(largest).unwrap()[0].as_str().len() <= MAX_COOKIE_BYTES);
    let Err(WriteError::TooLarge(fault)) = lines(largest + 1) else {
        panic!("a cookie beyond the limit");
    };
    assert!(fault.bytes > fault.limit && fault.limit == MAX_COOKIE_BYTES);
}

// V8, A5, A7: only the browser that began a login knows it, and only by its own state.
#[test]
fn a_login_is_known_only_to_its_own_browser_and_state() {
    let gate = Gate::at(URL);
    let (mut one, mut two) = (Browser::default(), Browser::default());
    begin(&gate, &mut one, "one", 0);
    begin(&gate, &mut two, "two", 0);
    assert_eq!(recall(&gate, &two, "one", 1), Recalled::Absent);
    assert_eq!(recall(&gate, &one, "two", 1), Recalled::Absent);
    assert_eq!(recall(&gate, &one, "", 1), Recalled::Absent);
    assert_eq!(recall(&gate, &one, "one ", 1), Recalled::Absent);
    assert_eq!(recall(&gate, &one, "one", 1), Recalled::Pending(to("one")));
}

// V8: the name is short, so the state's digest is compared as well.
#[test]
fn a_state_that_only_shares_the_name_of_another_does_not_open_it() {
    let gate = Gate::at(URL);
    let logins = at(&gate, 0);
    let content = Content {
        state_digest: digest_of("another state with the same forty bits"),
        at: START,
        standing: Standing::Pending(to("/")),
    };
    let name = gate.names.login("state");
    let sealed = gate
        .keyring
        .seal(
            Purpose::PendingLogin,
            &gate.names.context(&name),
            &payload::write(LOGIN_FORMAT, &content).unwrap(),
        )
        .unwrap();
    let presented = gate.read(&format!("{name}={sealed}"));
    assert_eq!(
        logins.recall::<Login>("state", &presented),
        Recalled::Unusable
    );
}

// A13: the age is sealed in; a browser that keeps the cookie for longer gains nothing.
#[test]
fn a_login_older_than_ten_minutes_is_over_and_still_says_where_it_was_going() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    begin(&gate, &mut browser, "s", 0);
    assert_eq!(
        recall(&gate, &browser, "s", 599),
        Recalled::Pending(to("s"))
    );
    assert_eq!(
        recall(&gate, &browser, "s", 600),
        Recalled::Expired(to("s"))
    );
    let early = LoginCookies::new(&gate.names, &gate.keyring, START.minus(CLOCK_SKEW + SECOND));
    let presented = gate.read(&browser.sends());
    assert_eq!(early.recall::<Login>("s", &presented), Recalled::Unusable);
}

// A15: a tossed cookie of the same name.
#[test]
fn of_two_login_cookies_of_one_name_the_valid_one_is_used() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    begin(&gate, &mut browser, "s", 0);
    let (good, name) = (browser.sends(), gate.names.login("s"));
    let stranger = Gate::at(URL);
    let mut other = Browser::default();
    begin(&stranger, &mut other, "s", 0);
    for bad in [format!("{name}=junk"), format!("{name}="), other.sends()] {
        for field in [format!("{bad}; {good}"), format!("{good}; {bad}")] {
            let recalled = at(&gate, 1).recall("s", &gate.read(&field));
            assert_eq!(recalled, Recalled::Pending(to("s")), "{field}");
        }
        let alone = at(&gate, 1).recall::<Login>("s", &gate.read(&bad));
        assert_eq!(alone, Recalled::Unusable);
    }
    // Hundreds of planted logins hide none, and do not make an answer swell.
    let planted: Vec<String> = (0..900)
        .map(|n| format!("{}=x", gate.names.login(&format!("planted {n}"))))
        .collect();
    let presented = gate.read(&format!("{}; {good}", planted.join("; ")));
    assert_eq!(
        at(&gate, 1).recall("s", &presented),
        Recalled::Pending(to("s"))
    );
    let lines = at(&gate, 1).begin("next", &to("next"), &presented).unwrap();
    assert_eq!(lines.len(), 1 + MAX_REMOVALS);
    assert!(lines.iter().all(|line| line.name() != name));
}

// A6: a callback that comes twice is known as such, whatever else is in the jar.
#[test]
fn a_finished_login_is_remembered_and_never_pending_again() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    begin(&gate, &mut browser, "s", 0);
    let pending = browser.sends();
    browser.take(&[at(&gate, 5).finish("s").unwrap()]);
    let finished = START.plus(5 * SECOND);
    assert_eq!(browser.holds(), 1);
    assert_eq!(
        recall(&gate, &browser, "s", 6),
        Recalled::Finished(finished)
    );
    for field in [
        format!("{pending}; {}", browser.sends()),
        format!("{}; {pending}", browser.sends()),
    ] {
        let recalled = at(&gate, 6).recall::<Login>("s", &gate.read(&field));
        assert_eq!(recalled, Recalled::Finished(finished));
    }
}

// A9: a login that failed is gone.
#[test]
fn a_forgotten_login_leaves_nothing() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    begin(&gate, &mut browser, "s", 0);
    browser.take(&[at(&gate, 1).forget("s")]);
    assert_eq!(browser.holds(), 0);
}

// A20: three finished logins in half a minute are a loop; older or pending ones are not.
#[test]
fn logins_that_finished_within_half_a_minute_are_counted() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    let count =
        |browser: &Browser, after| at(&gate, after).recent_finishes(&gate.read(&browser.sends()));
    for turn in 0..3 {
        let state = format!("turn {turn}");
        begin(&gate, &mut browser, &state, turn * 10);
        assert_eq!(count(&browser, turn * 10), usize::try_from(turn).unwrap());
        browser.take(&[at(&gate, turn * 10).finish(&state).unwrap()]);
    }
    assert_eq!(count(&browser, 29), 3);
    assert_eq!(count(&browser, 30), 2);
    assert_eq!(count(&browser, 49), 1);
    assert_eq!(count(&browser, 50), 0);
    // One marker twice is one; a login in flight, junk and a marker from the future are none.
    let sent = browser.sends();
    assert_eq!(
        at(&gate, 29).recent_finishes(&gate.read(&format!("{sent}; {sent}"))),
        3
    );
    let mut others = Browser::default();
    begin(&gate, &mut others, "pending", 29);
    others.take(&[at(&gate, 1000).finish("future").unwrap()]);
    assert_eq!(count(&others, 29), 0);
    let junk = format!("{}=junk", gate.names.login("junk"));
    assert_eq!(at(&gate, 29).recent_finishes(&gate.read(&junk)), 0);
}

// F18: a value that an other version of ours wrote begins the login anew.
#[test]
fn a_login_of_another_shape_is_unusable() {
    let gate = Gate::at(URL);
    let mut browser = Browser::default();
    begin(&gate, &mut browser, "s", 0);
    let presented = gate.read(&browser.sends());
    assert_eq!(
        at(&gate, 1).recall::<Vec<u8>>("s", &presented),
        Recalled::Unusable
    );
}

proptest! {
    // F11: no bytes make a login.
    #[test]
    fn no_value_that_we_did_not_seal_is_a_login(value in "[ -:<-~]{0,200}") {
        let gate = Gate::at(URL);
        let presented = gate.read(&format!("{}={value}", gate.names.login("s")));
        let recalled = at(&gate, 0).recall::<Login>("s", &presented);
        prop_assert_eq!(recalled, Recalled::Unusable);
        prop_assert_eq!(at(&gate, 0).recent_finishes(&presented), 0);
    }
}
