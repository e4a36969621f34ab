//! A shared cache in front of the gate, Varnish as it comes: what is one person's is given to nobody
//! else, whatever the app says about it, and nothing of ours is kept.

use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};
use crate::support::process::Running;
use crate::support::raw::Answer;
use crate::support::upstream::{Arrived, Upstream};

const GATE: &str = "trusted_proxies: [127.0.0.1]
routes:
  - { match: { path: /public/** }, access: public }
  - { match: { path: /greet/** }, access: optional }
  - { match: { path: /admin/** }, access: { groups: [admins] } }
  - { access: signed_in }";

/// What an app may say about keeping its answer.
const POLICIES: &[&str] = &[
    "",
    "Cache-Control: max-age=60\r\n",
    "Cache-Control: public, max-age=60\r\n",
    "Cache-Control: s-maxage=60\r\n",
    "Cache-Control: public\r\nCache-Control: max-age=60\r\n",
    "Cache-Control: public, max-age=60, no-transform, x=\"a, private\r\n",
    "Cache-Control: must-revalidate, max-age=60\r\n",
    "Cache-Control: max-age=60\r\nSurrogate-Control: max-age=60\r\n",
    "Cache-Control: private\r\nSurrogate-Control: max-age=60\r\n",
    "Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
    "Cache-Control: public, max-age=60\r\nVary: Accept-Encoding\r\n",
    "Cache-Control: public, max-age=60\r\nVary: Cookie\r\n",
    "Cache-Control: public, max-age=60\r\nETag: \"one\"\r\n",
];

// ------------------------------------------------------------------------------- the cache

/// How the cache takes it that a request or an answer has cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cookies {
    /// Untuned: it passes such requests on and keeps no such answer.
    Heeded,
    /// RFC 9111 asks a cache to look at no cookie (section 7.3), and many are set up so.
    Overlooked,
}

/// Overlooks cookies and leaves all else as it is in Varnish's own settings.
const OVERLOOKING: &str = "
sub vcl_recv {
  call vcl_req_host;
  call vcl_req_method;
  call vcl_req_authorization;
  return (hash);
}
sub vcl_backend_response {
  if (!bereq.uncacheable) {
    call vcl_beresp_stale;
    call vcl_beresp_control;
    call vcl_beresp_vary;
  }
  return (deliver);
}
";

/// Varnish in front of the gate. It ends when it is dropped.
struct Cache {
    folder: tempfile::TempDir,
    running: Option<Running>,
}

impl Cache {
    fn start(cookies: Cookies, gate: std::net::SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("varnishd");
        command.args(["-F", "-j", "none", "-s", "malloc,16m", "-a", "127.0.0.1:0"]);
        command.arg("-n").arg(folder.path().join("work"));
        match cookies {
            Cookies::Heeded => command.args(["-b", &gate.to_string()]),
            Cookies::Overlooked => {
                let (host, port) = (gate.ip(), gate.port());
                let backend = format!(
                    "vcl 4.1;\nbackend gate {{ .host = \"{host}\"; .port = \"{port}\"; }}\n"
                );
                let file = folder.path().join("gate.vcl");
                std::fs::write(&file, backend + OVERLOOKING).unwrap();
                command.arg("-f").arg(file)
            }
        };
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        let mut running = Running::start(&mut command);
        running.said("said Child starts");
        Self {
            folder,
            running: Some(running),
        }
    }

    /// Where the kernel let it listen.
    fn address(&self) -> std::net::SocketAddr {
        let mut asking = Command::new("varnishadm");
        asking.arg("-n").arg(self.folder.path().join("work"));
        let said = asking.arg("debug.listen_address").output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let mut words = said.split_whitespace().skip(1); // the name of the listener
        let host = words.next().unwrap_or_default();
        let port = words.next().unwrap_or_default();
        format!("{host}:{port}").parse().unwrap()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal("-TERM");
            running.ended();
        }
    }
}

/// Whether the answer comes out of the cache's store: it then names the request that filled it, too.
fn was_kept(answer: &Answer) -> bool {
    let ids = answer.field("x-varnish").expect("Varnish answered");
    ids.split_whitespace().count() == 2
}

// ------------------------------------------------------------------------------- the world

/// An app that says to whom it answers, how often it was asked, and `policy` about keeping that.
fn app(policy: impl Fn(&Arrived) -> String + Send + Sync + 'static) -> Upstream {
    let asked = AtomicUsize::new(0);
    Upstream::answering(move |arrived| {
        let who = arrived.fields("X-Forwarded-User").join(",");
        let time = asked.fetch_add(1, Ordering::Relaxed);
        let body = format!("for <{who}>, answer {time}");
        let policy = policy(arrived);
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\n{policy}Content-Type: text/html\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    })
}

/// The policy that stands at this number in the path: `/anything/NUMBER`, or `/anything/NUMBERc`
/// for one with a cookie of the app's.
fn by_number(arrived: &Arrived) -> String {
    let line = arrived.request_line();
    let path = line.split(' ').nth(1).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let number = last.trim_end_matches('c');
    let mut policy = match number.parse::<usize>() {
        Ok(number) => (*POLICIES.get(number).expect("a policy")).to_owned(),
        Err(_) => String::new(),
    };
    if number != last {
        policy.push_str("Set-Cookie: theme=dark; Path=/\r\n");
    }
    policy
}

/// Everything that `by_number` can be asked for under `/folder`.
fn paths(folder: &str) -> Vec<String> {
    let numbers = 0..POLICIES.len();
    numbers
        .flat_map(|number| {
            [
                format!("/{folder}/{number}"),
                format!("/{folder}/{number}c"),
            ]
        })
        .collect()
}

struct Scene {
    cache: Cache,
    #[expect(dead_code, reason = "it ends when this is dropped")]
    world: World,
}

impl Scene {
    fn set(cookies: Cookies) -> Self {
        let world = World::before(app(by_number), GATE);
        let cache = Cache::start(cookies, world.gate.address);
        Self { cache, world }
    }

    /// A browser that knows the cache for the gate.
    fn nobody(&self) -> Browser {
        Browser::new().resolve(PUBLIC, self.cache.address())
    }

    /// Signed in through the cache.
    fn signed_in(&self, username: &str) -> Browser {
        let mut browser = self.nobody();
        let form = browser.visit(&format!("{PUBLIC}/"));
        let page = browser.sign_in(&form, username);
        assert_eq!(page.answer.status, 200, "{:?}", page.answer);
        assert!(page.answer.text().contains(&format!("for <u-{username}>")));
        browser
    }
}

fn url(path: &str) -> String {
    format!("{PUBLIC}{path}")
}

/// It is this person's own page, and nothing in between kept it.
fn assert_own(answer: &Answer, who: &str, place: &str) {
    assert_eq!(answer.status, 200, "{place}: {answer:?}");
    let text = answer.text();
    assert!(
        text.starts_with(&format!("for <u-{who}>, ")),
        "{place}: {text}"
    );
    assert!(!was_kept(answer), "{place}: {answer:?}");
}

/// It is the gate's own answer: not kept, and not to be kept by caches that keep more than Varnish.
fn assert_ours(answer: &Answer, status: u16, place: &str) {
    assert_eq!(answer.status, status, "{place}: {answer:?}");
    assert!(
        !answer.everything().contains("for <"),
        "{place}: {answer:?}"
    );
    assert!(!was_kept(answer), "{place}: {answer:?}");
    let policy: Vec<_> = answer.all("cache-control").collect();
    assert_eq!(policy, ["no-store"], "{place}: {answer:?}");
}

/// It leads to the provider.
fn assert_sent_away(answer: &Answer, place: &str) {
    assert_ours(answer, 302, place);
}

// ------------------------------------------------------------------------------- the tests

fn pages_stay_with_their_people(cookies: Cookies) {
    let scene = Scene::set(cookies);
    let (mut alice, mut bob) = (scene.signed_in("alice"), scene.signed_in("bob"));
    let mut sent_to = std::collections::HashSet::new();
    for path in [paths("page"), paths("account/style.css;x")].concat() {
        let place = format!("{cookies:?}, {path}");
        for turn in 0..3 {
            // Each asks first somewhere: whose answer would be kept differs.
            for who in 0..3 {
                match (turn + who) % 3 {
                    0 => assert_own(&alice.open(&url(&path)), "alice", &place),
                    1 => assert_own(&bob.open(&url(&path)), "bob", &place),
                    _ => {
                        let answer = scene.nobody().open(&url(&path));
                        assert_sent_away(&answer, &place);
                        assert!(
                            sent_to.insert(answer.location().to_owned()),
                            "{place}: a way to sign in that somebody had before"
                        );
                    }
                }
            }
        }
        // A HEAD fills a cache as a GET does.
        let head = alice.request("HEAD", &url(&path), "", b"");
        assert_eq!(head.status, 200, "{place}");
        assert_own(&bob.open(&url(&path)), "bob", &place);
        let kept = bob.request("GET", &url(&path), "If-None-Match: \"one\"\r\n", b"");
        assert!(!was_kept(&kept), "{place}: {kept:?}");
        let refused = scene.nobody().fetch("GET", &url(&path), "");
        assert_ours(&refused, 401, &place);
    }
}

// P1, P2, P3
#[test]
fn an_untuned_cache_shows_nobody_what_is_anothers() {
    pages_stay_with_their_people(Cookies::Heeded);
}

// P1, P2, P3: here nothing but the gate's own word keeps a page from the next who asks.
#[test]
fn a_cache_that_overlooks_cookies_shows_nobody_what_is_anothers() {
    pages_stay_with_their_people(Cookies::Overlooked);
}

// P1: the cache lets one request go first and has the others wait for what it brings.
#[test]
fn people_who_ask_at_once_get_a_page_each() {
    for cookies in [Cookies::Heeded, Cookies::Overlooked] {
        let scene = Scene::set(cookies);
        let people = ["alice", "bob"].map(|name| (name, scene.signed_in(name)));
        let nobody = scene.nobody();
        for path in paths("page") {
            let at_once = Barrier::new(6); // waited at before anything can go wrong
            std::thread::scope(|scope| {
                let (at_once, path, nobody) = (&at_once, &path, &nobody);
                for (name, browser) in people.iter().chain(&people) {
                    scope.spawn(move || {
                        let mut browser = browser.clone();
                        at_once.wait();
                        assert_own(&browser.open(&url(path)), name, path);
                    });
                }
                for _ in 0..2 {
                    scope.spawn(move || {
                        let mut nobody = nobody.clone();
                        at_once.wait();
                        assert_sent_away(&nobody.open(&url(path)), path);
                    });
                }
            });
        }
    }
}

// P1: what the gate itself says is said anew to everybody.
#[test]
fn nothing_that_the_gate_says_is_kept() {
    for cookies in [Cookies::Heeded, Cookies::Overlooked] {
        let scene = Scene::set(cookies);
        let (mut alice, mut bob) = (scene.signed_in("alice"), scene.signed_in("bob"));
        for turn in 0..3 {
            let place = format!("{cookies:?}, turn {turn}");
            for (who, browser) in [("alice", &mut alice), ("bob", &mut bob)] {
                let told = browser.fetch("GET", &url("/oauth2/userinfo"), "");
                assert_eq!(told.status, 200, "{place}");
                assert!(
                    told.text().contains(&format!("u-{who}")),
                    "{place}: {told:?}"
                );
                assert!(!was_kept(&told), "{place}");
            }
            let mut nobody = scene.nobody();
            for (path, status) in [
                ("/oauth2/userinfo", 401),
                ("/oauth2/callback?code=x&state=y", 400),
                ("/oauth2/nothing", 404),
                ("/public/..%2fadmin", 401),
            ] {
                let said = nobody.fetch("GET", &url(path), "");
                assert_ours(&said, status, &format!("{place}, {path}"));
            }
            // Nobody's 401 and bob's 403 are not what alice is told.
            let refused = bob.open(&url("/admin/0"));
            assert_ours(&refused, 403, &place);
            assert_own(&alice.open(&url("/admin/0")), "alice", &place);
        }
        // Whoever has signed out is nobody, at once.
        let page = alice.visit(&url("/oauth2/sign_out"));
        let left = alice.submit_form(&page, &[]);
        assert!(left.status < 400, "{left:?}");
        alice.jar.retain(|cookie| cookie.host == "gate.test");
        assert_sent_away(&alice.open(&url("/page/2")), "signed out");
    }
}

// P1: an app that fails once is not down for as long as a cache likes.
#[test]
fn that_the_app_is_unreachable_is_not_kept() {
    for cookies in [Cookies::Heeded, Cookies::Overlooked] {
        let fails = AtomicUsize::new(2);
        let app = Upstream::answering(move |_| {
            let left = fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
            match left {
                Ok(_) => b"this is no HTTP\r\n\r\n".to_vec(),
                Err(_) => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup".to_vec(),
            }
        });
        let world = World::before(app, GATE);
        let cache = Cache::start(cookies, world.gate.address);
        let mut nobody = Browser::new().resolve(PUBLIC, cache.address());
        for _ in 0..2 {
            let down = nobody.open(&url("/public/x"));
            assert_ours(&down, 502, "down");
        }
        assert_eq!(nobody.open(&url("/public/x")).text(), "up");
    }
}

// What is everybody's may be kept, and is: a cache in front is of use, and the tests above can fail.
#[test]
fn what_is_public_is_kept_for_everybody() {
    for cookies in [Cookies::Heeded, Cookies::Overlooked] {
        let scene = Scene::set(cookies);
        let mut alice = scene.signed_in("alice");
        let first = scene.nobody().open(&url("/public/2"));
        assert!(first.text().starts_with("for <>, "), "{first:?}");
        assert!(!was_kept(&first));
        assert_eq!(first.all("set-cookie").count(), 0, "{first:?}");
        let second = scene.nobody().open(&url("/public/2"));
        assert!(was_kept(&second), "{second:?}");
        assert_eq!(second.text(), first.text());

        let hers = alice.open(&url("/public/2"));
        assert_eq!(was_kept(&hers), cookies == Cookies::Overlooked, "{hers:?}");
        assert!(hers.text().starts_with("for <>, "), "{hers:?}");

        // Where a session is looked for but not asked for, what is hers is hers alone.
        let hers = alice.open(&url("/greet/2"));
        assert_own(&hers, "alice", "/greet/2");
        let anybodys = scene.nobody().open(&url("/greet/2"));
        assert!(anybodys.text().starts_with("for <>, "), "{anybodys:?}");
    }
}
