//! Nobody gains a session, and nobody loses one, by what else stands in a `Cookie` field.

use sidegate::config::Verdict;
use sidegate::config::environment::Environment;

use crate::support::browser::{Browser, Cookie};
use crate::support::instance::{Instance, PUBLIC, SECRET, World, yaml};
use crate::support::provider::TestProvider;
use crate::support::raw::{Answer, exchange};
use crate::support::upstream::Upstream;

fn sessions(browser: &Browser) -> Vec<Cookie> {
    let own = browser.jar.iter().filter(|cookie| {
        cookie.host == "gate.test"
            && cookie.name.contains("sidegate-")
            && !cookie.name.contains("-l-")
    });
    own.cloned().collect()
}

/// A script's request with exactly these `Cookie` fields.
fn with_cookies(world: &World, fields: &[&str]) -> Answer {
    let cookies: Vec<_> = fields
        .iter()
        .map(|field| format!("Cookie: {field}\r\n"))
        .collect();
    let cookies = cookies.concat();
    exchange(
        world.gate.address,
        format!(
            "GET /api HTTP/1.1\r\nHost: gate.test\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n{cookies}Connection: close\r\n\r\n"
        ),
    )
}

fn assert_no_identity(world: &World, answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}");
    assert_eq!(answer.json()["code"], "login_required", "{what}");
    assert!(world.app.arrived().is_empty(), "{what} reached the app");
}

// F1: every cookie that is set in a whole story, by its attributes.
#[test]
fn every_cookie_of_a_whole_story_is_bound_to_this_host_and_to_https() {
    let world = World::start();
    let mut browser = world.signed_in("alice");
    let out = format!("{PUBLIC}/oauth2/sign_out");
    let answer = browser.submit(&out, &format!("{PUBLIC}/"), "");
    browser.follow(&out, answer);
    let gate = browser.seen.iter().flat_map(|answer| {
        answer
            .all("set-cookie")
            .filter(|line| !line.starts_with("sidegate-provider-"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    let lines: Vec<_> = gate.collect();
    assert!(lines.len() >= 3, "{lines:?}");
    for line in &lines {
        assert!(line.starts_with("__Host-sidegate-"), "{line}");
        let attributes: Vec<_> = line.split("; ").skip(1).collect();
        for wanted in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(attributes.contains(&wanted), "{wanted}: {line}");
        }
        assert!(!line.to_lowercase().contains("domain"), "{line}");
    }
}

/// A gate of its own under `public`, for `client`.
fn gate_at(provider: &TestProvider, app: &Upstream, public: &str, client: &str) -> Instance {
    let mut registration = sidegate::demo::provider::ClientRegistration::new(
        client,
        Some(sidegate::base::secret::Secret::new(SECRET.to_owned())),
        format!("{public}/oauth2/callback"),
    );
    registration.post_logout_redirect_uris = vec![format!("{public}/oauth2/sign_out")];
    provider.provider().register(registration).unwrap();
    let text = yaml(provider.issuer(), &app.url(), "")
        .replace(
            &format!("public_url: {PUBLIC}"),
            &format!("public_url: {public}"),
        )
        .replace("client_id: dashboards", &format!("client_id: {client}"));
    Instance::start(&text, provider.clock())
}

fn sign_in_at(browser: &mut Browser, public: &str, username: &str) {
    let form = browser.visit(&format!("{public}/"));
    let page = browser.sign_in(&form, username);
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
}

// F1: cookies know no ports: what keeps two gates on one host apart is the name. F5: and a cookie
// that is renamed is no session at the other gate, though both have the same keys.
#[test]
fn two_gates_on_one_host_never_touch_each_others_sessions() {
    let provider = TestProvider::start();
    let apps = [Upstream::start(), Upstream::start()];
    let urls = ["https://gate.test", "https://gate.test:8443"];
    let gates = [
        gate_at(&provider, &apps[0], urls[0], "dashboards"),
        gate_at(&provider, &apps[1], urls[1], "reports"),
    ];
    let mut browser = Browser::new()
        .resolve(urls[0], gates[0].address)
        .resolve(urls[1], gates[1].address);
    wait_for(&gates[0]);
    wait_for(&gates[1]);
    sign_in_at(&mut browser, urls[0], "alice");
    let first = sessions(&browser);
    // Another person at the provider now.
    browser.jar.retain(|cookie| cookie.host == "gate.test");
    sign_in_at(&mut browser, urls[1], "bob");
    let both = sessions(&browser);
    assert_eq!((first.len(), both.len()), (1, 2));
    assert_ne!(both[0].name, both[1].name);
    for (index, user) in [(0, "u-alice"), (1, "u-bob")] {
        let answer = browser.fetch("GET", &format!("{}/api", urls[index]), "");
        assert_eq!(answer.status, 200);
        let last = apps[index].last();
        assert_eq!(last.fields("X-Forwarded-User"), [user]);
        // F12: a neighbour's cookie is the neighbour's, and passes.
        let cookie = last.fields("Cookie").join("; ");
        assert!(!cookie.contains(&both[index].name), "{cookie}");
        assert!(cookie.contains(&both[1 - index].name), "{cookie}");
    }
    let renamed = format!("{}={}", both[1].name, both[0].value);
    let request = format!(
        "GET /api HTTP/1.1\r\nHost: gate.test:8443\r\nCookie: {renamed}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(exchange(gates[1].address, request).status, 401);
    // Signing out at one leaves the other.
    let out = format!("{}/oauth2/sign_out", urls[0]);
    drop(browser.submit(&out, &format!("{}/", urls[0]), ""));
    let answer = browser.fetch("GET", &format!("{}/api", urls[1]), "");
    assert_eq!(answer.status, 200);
}

fn wait_for(gate: &Instance) {
    let up = || {
        gate.shared.current.load().providers.iter().all(|provider| {
            matches!(
                provider.health().standing(),
                sidegate::provider::Standing::Up { .. }
            )
        })
    };
    for _ in 0..2_000_000 {
        if up() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the gate never learned about its provider");
}

// F1: below a base path the stronger prefix is impossible, and the cookie stays below the path.
#[test]
fn below_a_base_path_the_cookie_is_of_that_path() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    let public = "https://gate.test/tools";
    let gate = gate_at(&provider, &app, public, "dashboards");
    wait_for(&gate);
    let mut browser = Browser::new().resolve("https://gate.test", gate.address);
    sign_in_at(&mut browser, public, "alice");
    let own = sessions(&browser);
    assert_eq!(own.len(), 1);
    assert!(own[0].name.starts_with("__Secure-sidegate-"), "{own:?}");
    assert_eq!((own[0].path.as_str(), own[0].secure), ("/tools", true));
}

// F17: without TLS there are cookies on loopback alone, unless somebody insists in writing.
#[test]
fn cookies_without_secure_exist_on_loopback_alone() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    let public = "http://localhost:4180";
    let gate = gate_at(&provider, &app, public, "dashboards");
    wait_for(&gate);
    let mut browser = Browser::new().resolve(public, gate.address);
    sign_in_at(&mut browser, public, "alice");
    let own = browser.jar.iter().filter(|one| one.host == "localhost");
    for cookie in own {
        assert!(cookie.name.starts_with("sidegate-"), "{cookie:?}");
        assert!(!cookie.secure);
    }
    let text = yaml(provider.issuer(), &app.url(), "");
    let text = text.replace(PUBLIC, "http://gate.test");
    let verdict = Verdict::of_text(&text, &Environment::of_process());
    assert!(verdict.config.is_none());
    assert!(
        verdict
            .faults
            .iter()
            .any(|fault| fault.to_string().contains("public_url")),
    );
}

// F4, F5: whatever is changed in a real session cookie, all that comes of it is the same 401.
#[test]
fn a_session_cookie_that_was_changed_anywhere_is_never_an_identity() {
    let world = World::start();
    let browser = world.signed_in("alice");
    let own = sessions(&browser).remove(0);
    world.app.forget();
    let mut tried = 0;
    let mut refuse = |value: &str, what: &str| {
        let answer = with_cookies(&world, &[&format!("{}={value}", own.name)]);
        assert_no_identity(&world, &answer, what);
        tried += 1;
    };
    for at in 0..own.value.len() {
        for bit in 0..7 {
            // Every bit of the first bytes, where version and key are; then one of each character.
            if at >= 16 && bit != at % 6 {
                continue;
            }
            let mut bytes = own.value.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if bytes[at].is_ascii_graphic() && !b";".contains(&bytes[at]) {
                let changed = String::from_utf8(bytes).unwrap();
                refuse(&changed, &format!("bit {bit} of character {at}"));
            }
        }
        if at % 7 == 0 || at > own.value.len() - 8 {
            refuse(&own.value[..at], &format!("cut at {at}"));
        }
    }
    for (what, value) in [
        ("one more", format!("{}A", own.value)),
        ("padding", format!("{}=", own.value)),
        ("quotes", format!("\"{}\"", own.value)),
        ("twice", format!("{0}{0}", own.value)),
        ("other alphabet", own.value.replace(['-', '_'], "+")),
    ] {
        refuse(&value, what);
    }
    assert!(tried > own.value.len() / 2, "{tried}");
    // F5: the value of one purpose is none of another.
    let login = browser.jar.iter().find(|one| one.name.contains("-l-"));
    let login = login.expect("the finished login's cookie");
    let swapped = format!("{}={}", own.name, login.value);
    assert_no_identity(&world, &with_cookies(&world, &[&swapped]), "a login's");
    let good = with_cookies(&world, &[&format!("{}={}", own.name, own.value)]);
    assert_eq!(good.status, 200);
}

// F9: a neighbour can toss a second cookie of our name; it neither replaces ours nor locks us out.
#[test]
fn a_tossed_cookie_of_the_same_name_neither_wins_nor_locks_out() {
    let world = World::start();
    let alice = sessions(&world.signed_in("alice")).remove(0);
    let good = format!("{}={}", alice.name, alice.value);
    for bad in ["", "garbage", "3.AAAA", &alice.value[1..]] {
        let bad = format!("{}={bad}", alice.name);
        for fields in [
            vec![format!("{bad}; {good}")],
            vec![format!("{good}; {bad}")],
            vec![bad.clone(), good.clone()],
            vec![good.clone(), bad.clone()],
            vec![[bad.as_str(); 12].join("; "), good.clone()],
        ] {
            world.app.forget();
            let fields: Vec<_> = fields.iter().map(String::as_str).collect();
            let answer = with_cookies(&world, &fields);
            assert_eq!(answer.status, 200, "{bad}");
            assert_eq!(world.app.last().fields("X-Forwarded-User"), ["u-alice"]);
        }
    }
    // Two that open: one of them counts as a whole, the later login, in either order.
    world.gate.clock.advance(std::time::Duration::from_secs(5));
    let bob = sessions(&world.signed_in("bob")).remove(0);
    let other = format!("{}={}", bob.name, bob.value);
    for field in [format!("{good}; {other}"), format!("{other}; {good}")] {
        assert_eq!(with_cookies(&world, &[&field]).status, 200);
        let last = world.app.last();
        assert_eq!(last.fields("X-Forwarded-User"), ["u-bob"]);
        assert_eq!(last.fields("X-Forwarded-Preferred-Username"), ["bob"]);
    }
}

// F10: what a browser does not protect as our name is not our name.
#[test]
fn a_spelling_that_a_browser_would_not_protect_is_not_the_session() {
    let world = World::start();
    let own = sessions(&world.signed_in("alice")).remove(0);
    world.app.forget();
    let (name, value) = (&own.name, &own.value);
    for spelling in [
        format!("\u{2000}{name}={value}"),
        format!("\u{a0}{name}={value}"),
        format!("\u{b}{name}={value}"),
        format!("$Version=1, {name}={value}"),
        format!("={name}={value}"),
        format!("{}={value}", name.to_lowercase()),
        format!("{}={value}", name.to_uppercase()),
        format!("\"{name}\"={value}"),
        format!("a=b, {name}={value}"),
        format!("a=\"; {name}x={value}\""),
        format!("{name}[]={value}"),
        format!("{name} ={value}"),
        format!("{}={value}", name.trim_start_matches("__Host-")),
    ] {
        let answer = with_cookies(&world, &[&spelling]);
        // Some of these are no field value at all.
        assert!(matches!(answer.status, 400 | 401), "{spelling:?}");
        assert!(world.app.arrived().is_empty(), "{spelling:?}");
    }
}

// F11: odd and huge fields cost nothing but an answer.
#[test]
fn odd_and_huge_cookie_fields_are_survived_and_the_session_in_them_is_found() {
    let world = World::start();
    let own = sessions(&world.signed_in("alice")).remove(0);
    let good = format!("{}={}", own.name, own.value);
    let many = vec!["a=b"; 500].join("; ");
    for fields in [
        vec![many.clone(), good.clone()],
        vec!["; ;; ; =; =x; x".to_owned(), good.clone()],
        vec![format!(";;;{good};;;")],
        vec!["a".repeat(8000), good.clone()],
    ] {
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        assert_eq!(with_cookies(&world, &fields).status, 200);
    }
    assert_eq!(with_cookies(&world, &["a\u{0}b=c", &good]).status, 400);
    let huge = format!("a={}", "x".repeat(70_000));
    assert_eq!(with_cookies(&world, &[&huge, &good]).status, 431);
    assert_eq!(with_cookies(&world, &[&good]).status, 200);
}

fn many_groups(count: usize) -> Vec<String> {
    // Names that do not compress into nothing.
    (0..count)
        .map(|n| {
            format!(
                "{:016x}",
                (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
        })
        .collect()
}

fn signed_in_with_groups(world: &World, count: usize) -> Browser {
    let engine = world.provider.provider();
    engine.set_groups("alice", many_groups(count)).unwrap();
    world.signed_in("alice")
}

// F2: whatever the size, each cookie fits a browser, and the next request is understood.
#[test]
fn a_session_of_any_size_is_readable_on_the_next_request_or_refused_at_login() {
    let world = World::start();
    let (mut most, mut refused) = (0, 0);
    for count in (0..=600).step_by(20) {
        let groups = many_groups(count);
        let engine = world.provider.provider();
        engine.set_groups("alice", groups.clone()).unwrap();
        let mut browser = world.browser();
        let form = browser.visit(&format!("{PUBLIC}/"));
        let page = browser.sign_in(&form, "alice");
        let own = sessions(&browser);
        if page.answer.status != 200 {
            assert!(page.answer.text().contains("cookie_too_large"), "{count}");
            assert!(own.is_empty(), "{count}");
            refused += 1;
            continue;
        }
        assert_eq!(refused, 0, "{count} groups fit, and fewer did not");
        most = most.max(own.len());
        for cookie in &own {
            assert!(cookie.name.len() + cookie.value.len() <= 4096, "{count}");
        }
        let answer = browser.fetch("GET", &format!("{PUBLIC}/api"), "");
        assert_eq!(answer.status, 200, "{count} groups");
        let told = world.app.last().fields("X-Forwarded-Groups").join(",");
        assert_eq!(told, groups.join(","));
    }
    assert_eq!(most, 3, "some of these sessions are split");
    assert!(refused > 0, "and some are too large");
}

// F3: parts that do not belong together are no session; a session that shrinks takes its parts away.
#[test]
fn parts_that_do_not_belong_together_are_no_session() {
    let world = World::start();
    let parts = sessions(&signed_in_with_groups(&world, 400));
    let other = sessions(&signed_in_with_groups(&world, 400));
    assert!(parts.len() >= 2, "{}", parts.len());
    let pair = |name: &str, value: &str| format!("{name}={value}");
    let (first, second) = (&parts[0], &parts[1]);
    let whole: Vec<_> = parts
        .iter()
        .map(|one| pair(&one.name, &one.value))
        .collect();
    assert_eq!(with_cookies(&world, &[&whole.join("; ")]).status, 200);
    world.app.forget();
    let base = first.name.clone();
    let (_, rest) = first.value.split_once('.').expect("a count");
    for (what, field) in [
        ("the first alone", pair(&base, &first.value)),
        ("the second alone", pair(&second.name, &second.value)),
        (
            "swapped",
            [pair(&base, &second.value), pair(&second.name, &first.value)].join("; "),
        ),
        (
            "of another session",
            [
                pair(&base, &first.value),
                pair(&second.name, &other[1].value),
            ]
            .join("; "),
        ),
        (
            "as the third",
            [
                pair(&base, &first.value),
                pair(&format!("{base}.2"), &second.value),
            ]
            .join("; "),
        ),
    ] {
        let answer = with_cookies(&world, &[&field]);
        assert_no_identity(&world, &answer, what);
    }
    for count in ["99999999", "-1", "1e9", "007", "0", "1", "9", ""] {
        let field = [pair(&base, &format!("{count}.{rest}")), whole[1].clone()].join("; ");
        let answer = with_cookies(&world, &[&field]);
        assert_no_identity(&world, &answer, count);
    }
    // The same browser signs in again with fewer groups.
    let mut browser = signed_in_with_groups(&world, 400);
    world
        .provider
        .provider()
        .set_groups("alice", vec![])
        .unwrap();
    let page = browser.visit(&format!("{PUBLIC}/oauth2/start?return_to=%2F"));
    assert_eq!(page.answer.status, 200);
    assert_eq!(sessions(&browser).len(), 1);
    assert_eq!(
        browser.fetch("GET", &format!("{PUBLIC}/api"), "").status,
        200
    );
}
