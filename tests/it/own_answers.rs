//! Routes that answer by themselves: who gets the answer, that no app is asked, and that nothing of
//! a request leads anybody elsewhere than the operator wrote.

use crate::support::frames::{Http2, asking};
use crate::support::instance::{Instance, PUBLIC, World, key_file, register, secret_file};
use crate::support::provider::TestProvider;
use crate::support::raw::{Answer, Wire, exchange};

const ROUTES: &str = r#"
routes:
  - { match: { path: /healthz }, access: public, respond: { body: "fine\n" } }
  - { match: { path: /wp-login }, access: public, respond: 404 }
  - name: notice
    match: { path: /notice/** }
    access: signed_in
    respond:
      status: 200
      body: "<p>closed on Friday</p>"
      content_type: text/html
      headers: { Cache-Control: "public, max-age=60", X-Notice: "1", Retry-After: "5" }
  - { match: { path: /staff }, access: { groups: [nobody-is-in-it] }, respond: { body: "staff only" } }
  - { match: { path: /gone, methods: [DELETE] }, access: public, respond: 410 }
  - { match: { path: /empty }, access: public, respond: 204 }
  - { match: { path: /docs }, access: public, redirect: /docs/ }
  - { match: { path: /old }, access: public, redirect: /new }
  - { match: { path: /rel/** }, access: public, redirect: { to: /, keep_path: true, keep_query: true, status: 307 } }
  - { match: { path: /abs/** }, access: public, redirect: { to: "https://new.test:8443/x", keep_path: true, keep_query: true, status: 308 } }
  - { match: { path: /private/** }, access: signed_in, redirect: { to: "https://new.test/p", status: 301 } }
  - { match: { path: /open/** }, access: public }
  - access: signed_in
"#;

fn ask(world: &World, method: &str, target: &str, more: &str) -> Answer {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: gate.test\r\n{more}\r\n");
    exchange(world.gate.address, request)
}

#[test]
fn a_route_answers_by_itself_whatever_the_method_and_no_app_is_asked() {
    let world = World::with(ROUTES);
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND",
    ] {
        let answer = ask(&world, method, "/healthz?a=b", "");
        assert_eq!(answer.status, 200, "{method}");
        let body: &[u8] = if method == "HEAD" { b"" } else { b"fine\n" };
        assert_eq!(answer.body, body, "{method}");
        assert_eq!(answer.field("content-length"), Some("5"), "{method}");
        let kind = answer.field("content-type");
        assert_eq!(kind, Some("text/plain; charset=utf-8"), "{method}");
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert!(answer.field("x-request-id").is_some());
        assert!(answer.field("set-cookie").is_none());
    }
    assert_eq!(ask(&world, "GET", "/wp-login", "").status, 404);
    assert_eq!(ask(&world, "GET", "/wp-login", "").body, b"");
    let empty = ask(&world, "GET", "/empty", "");
    assert_eq!((empty.status, empty.field("content-length")), (204, None));
    // A route of one method says nothing of the others.
    assert_eq!(ask(&world, "DELETE", "/gone", "").status, 410);
    assert_eq!(ask(&world, "POST", "/gone", "").status, 401);
    assert!(world.app.arrived().is_empty());
    let log = world.gate.logged("\"route\":\"/healthz\"");
    assert!(
        log.contains("\"path\":\"/healthz\",\"status\":200"),
        "{log}"
    );
}

// Where access is asked for, an answer of the operator's is no less guarded than an app's.
#[test]
fn an_own_answer_is_for_those_whom_the_route_admits() {
    let world = World::with(ROUTES);
    let page = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
    for target in ["/notice/a", "/private/a", "/staff"] {
        let answer = ask(&world, "GET", target, "");
        assert_eq!(answer.status, 401, "{target}");
        assert!(!answer.text().contains("Friday") && answer.field("x-notice").is_none());
        let page = ask(&world, "GET", target, page);
        assert_eq!(page.status, 302, "{target}");
        assert!(
            page.location().starts_with(world.provider.issuer()),
            "{target}"
        );
    }
    let mut alice = world.signed_in("alice");
    world.app.forget();
    let notice = alice.open(&format!("{PUBLIC}/notice/a"));
    assert_eq!(
        (notice.status, notice.text().as_str()),
        (200, "<p>closed on Friday</p>")
    );
    assert_eq!(notice.field("content-type"), Some("text/html"));
    assert_eq!(notice.field("x-notice"), Some("1"));
    // What somebody who is signed in gets is theirs, whatever the operator wrote.
    assert_eq!(notice.field("cache-control"), Some("private, max-age=60"));
    let led = alice.fetch("GET", &format!("{PUBLIC}/private/a"), "");
    assert_eq!((led.status, led.location()), (301, "https://new.test/p"));
    assert_eq!(led.field("cache-control"), Some("no-store"));
    let staff = alice.fetch("GET", &format!("{PUBLIC}/staff"), "");
    assert_eq!(staff.status, 403);
    assert!(!staff.text().contains("staff only"));
    assert!(world.app.arrived().is_empty());
    let log = world.gate.logged("\"route\":\"notice\"");
    let line = log
        .lines()
        .find(|line| line.contains("\"route\":\"notice\""))
        .unwrap();
    assert!(line.contains("\"session\":"), "{line}");
}

// F15: an own answer keeps a session alive as an app's does.
#[test]
fn a_session_in_use_at_an_own_answer_is_sealed_anew() {
    // Nothing has to be waited for: what counts here is the use alone.
    let world = World::with_session("recheck: 8h", ROUTES);
    let mut alice = world.signed_in("alice");
    world
        .gate
        .clock
        .advance(std::time::Duration::from_secs(60 * 60));
    let answer = alice.open(&format!("{PUBLIC}/notice/a"));
    let led = if answer.status == 302 {
        alice.follow(&format!("{PUBLIC}/notice/a"), answer).answer
    } else {
        answer
    };
    assert_eq!(led.status, 200);
    world
        .gate
        .clock
        .advance(std::time::Duration::from_secs(60 * 45));
    let again = alice.fetch("GET", &format!("{PUBLIC}/notice/a"), "");
    assert_eq!(again.status, 200, "{}", world.gate.log());
    assert!(again.sets_session(), "{again:?}");
}

// I3: what a route closes is closed in every spelling; the app sees none of them.
#[test]
fn what_a_route_answers_by_itself_no_spelling_carries_past_it() {
    let world = World::with(ROUTES);
    let mut alice = world.signed_in("alice");
    world.app.forget();
    for target in [
        "/wp-login/",
        "/wp-login;x=y",
        "/WP-LOGIN",
        "//wp-login",
        "/open/../wp-login",
        "/open/%2e%2e/wp-login",
        "/open/..;/wp-login",
        "/wp%2Dlogin",
    ] {
        let answer = alice.fetch("GET", &format!("{PUBLIC}/x"), "");
        assert_eq!(answer.status, 200);
        world.app.forget();
        let cookies: Vec<_> = alice
            .jar
            .iter()
            .map(|one| format!("{}={}", one.name, one.value))
            .collect();
        let more = format!("Cookie: {}\r\n", cookies.join("; "));
        let answer = ask(&world, "GET", target, &more);
        assert_eq!(answer.status, 404, "{target}");
        assert!(world.app.arrived().is_empty(), "{target}");
        // And whoever may not have what another reading guards is asked to sign in.
        let nobody = ask(&world, "GET", target, "");
        assert!(
            matches!(nobody.status, 401 | 404),
            "{target}: {}",
            nobody.status
        );
    }
    // What leads from `/docs` to `/docs/` does not lead from there.
    assert_eq!(ask(&world, "GET", "/docs", "").location(), "/docs/");
    let docs = alice.fetch("GET", &format!("{PUBLIC}/docs/"), "");
    assert_eq!(docs.status, 200);
    assert_eq!(world.app.last().request_line(), "GET /docs/ HTTP/1.1");
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/old/"), "").location(),
        "/new"
    );
}

// H1: the place is the operator's; what goes along changes neither its origin nor its path.
#[test]
fn nothing_of_a_request_leads_to_another_origin() {
    let world = World::with(ROUTES);
    for (target, status, location) in [
        ("/rel", 307, "/"),
        ("/rel/", 307, "/"),
        ("/rel/a/b?c=//d", 307, "/a/b?c=//d"),
        (
            "/rel?next=https://evil.test",
            307,
            "/?next=https://evil.test",
        ),
        ("/abs", 308, "https://new.test:8443/x"),
        ("/abs/", 308, "https://new.test:8443/x/"),
        ("/abs/a%20b;c?d", 308, "https://new.test:8443/x/a%20b;c?d"),
        ("/abs/@evil.test", 308, "https://new.test:8443/x/@evil.test"),
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(&world, method, target, "");
            assert_eq!(
                (answer.status, answer.location()),
                (status, location),
                "{target}"
            );
            assert_eq!(answer.body, b"");
            assert_eq!(answer.field("cache-control"), Some("no-store"));
        }
    }
    for start in ["/rel", "/abs"] {
        for rest in [
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "/%5cevil.test",
            "/%2fevil.test",
            "/%252fevil.test",
            "/%0d%0aLocation:%20https://evil.test",
            "/%00evil.test",
            "/%09/evil.test",
            "/..//evil.test",
            "/../../evil.test",
            "/%2e%2e/evil",
            "/.%2e/evil",
            "/./evil",
        ] {
            let answer = ask(&world, "GET", &format!("{start}{rest}"), "");
            assert!(
                matches!(answer.status, 400 | 401),
                "{start}{rest}: {}",
                answer.status
            );
            assert_eq!(answer.field("location"), None, "{start}{rest}");
            assert!(
                !answer.everything().contains("evil.test\r"),
                "{start}{rest}"
            );
        }
    }
    assert!(world.app.arrived().is_empty());
}

// Q5: a body that nobody wants is not read, and costs the connection where it is large.
#[test]
fn a_body_that_comes_to_an_own_answer_is_not_waited_for() {
    let world = World::with(ROUTES);
    let mut wire = Wire::connect(world.gate.address);
    wire.send("POST /healthz HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(wire.answer_to("POST").unwrap().status, 200);
    // The next request is read where it begins.
    wire.send("GET /wp-login HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(wire.answer_to("GET").unwrap().status, 404);
    wire.send("POST /healthz HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000000\r\n\r\nx");
    let answer = wire.answer_to("POST").unwrap();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (200, Some("close"))
    );
    // Nobody is asked to send what nobody reads.
    let mut waiting = Wire::connect(world.gate.address);
    waiting.send("PUT /healthz HTTP/1.1\r\nHost: gate.test\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(waiting.answer_to("PUT").unwrap().status, 200);
}

#[test]
fn over_http2_and_to_grpc_and_websockets_the_answer_is_in_their_language() {
    let world = World::listening("listen: [{ address: 127.0.0.1:0, h2c: true }]", ROUTES);
    let mut connection = Http2::connect(world.gate.address);
    let get = connection.ask(&asking("GET", "/healthz")).answer();
    assert_eq!((get.status, get.text().as_str()), (200, "fine\n"));
    let head = connection.ask(&asking("HEAD", "/healthz")).answer();
    assert_eq!(
        (head.status, head.body.len(), head.field("content-length")),
        (200, 0, Some("5"))
    );
    let post = connection
        .post(&asking("POST", "/healthz"), b"of no said length")
        .answer();
    assert_eq!((post.status, post.text().as_str()), (200, "fine\n"));
    let led = connection.ask(&asking("GET", "/abs/a?b")).answer();
    assert_eq!(led.location(), "https://new.test:8443/x/a?b");
    // A call follows no redirect and reads no page: it gets a status of its own.
    for (path, status) in [
        ("/healthz", "12"),
        ("/wp-login", "12"),
        ("/old", "12"),
        ("/gone", "13"),
    ] {
        let method = if path == "/gone" { "DELETE" } else { "POST" };
        let mut fields = asking(method, path);
        fields.push(("content-type", "application/grpc"));
        let call = connection.ask(&fields).answer();
        assert_eq!(call.status, 200, "{path}");
        assert_eq!(call.field("grpc-status"), Some(status), "{path}");
        assert_eq!(
            (call.field("location"), call.body.len()),
            (None, 0),
            "{path}"
        );
    }
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://elsewhere.test\r\n";
    let answer = ask(&world, "GET", "/wp-login", handshake);
    assert_eq!((answer.status, answer.field("upgrade")), (404, None));
    assert!(world.app.arrived().is_empty());
}

#[test]
fn a_gate_of_own_answers_needs_no_app() {
    let provider = TestProvider::start();
    register(&provider, "dashboards", "/oauth2/callback");
    let text = format!(
        "public_url: {PUBLIC}\nproviders:\n  - issuer: {}\n    client_id: dashboards\n    client_secret: {{ file: {} }}\nsession: {{ keys: [{{ file: {} }}] }}\nroutes: [{{ access: public, redirect: {{ to: \"https://moved.test\", keep_path: true }} }}]\n",
        provider.issuer(),
        secret_file(),
        key_file(),
    );
    let gate = Instance::start(&text, provider.clock());
    let answer = exchange(
        gate.address,
        "GET /a/b?c HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    );
    assert_eq!(
        (answer.status, answer.location()),
        (302, "https://moved.test/a/b")
    );
}
