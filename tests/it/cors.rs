//! Scripts of other origins: what they may ask and read is what a route says, and a preflight lets
//! nobody in.

use crate::support::frames::{Http2, asking};
use crate::support::instance::{PUBLIC, World};
use crate::support::raw::{Answer, exchange};
use crate::support::upstream::Upstream;

const ROUTES: &str = r#"
routes:
  - match: { path: /answered/** }
    access: signed_in
    cors:
      origins: ["https://x.test", "https://Y.test:443"]
      methods: [GET, PUT]
      headers: [Content-Type, X-Own]
      expose: [X-App]
      credentials: true
      max_age: 10m
  - match: { path: /passed/** }
    access: signed_in
    cors: { origins: ["https://x.test"], preflights: passed }
  - { match: { path: /any/** }, access: signed_in, cors: { origins: ["*"] } }
  - { match: { path: /fixed }, access: public, respond: { body: "{}" }, cors: { origins: ["https://x.test"] } }
  - { match: { path: /split/**, methods: [GET] }, access: signed_in, cors: { origins: ["https://x.test"], preflights: passed } }
  - { match: { path: /split/** }, access: signed_in }
  - { match: { path: /own/**, methods: [OPTIONS] }, access: signed_in }
  - { match: { path: /own/** }, access: signed_in, cors: { origins: ["https://x.test"] } }
  - { match: { path: /public/** }, access: public }
  - access: signed_in
"#;

const ALLOWS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// An app that has its own mind about other origins.
fn world() -> World {
    let app = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\nX-App: marker\r\nAccess-Control-Allow-Origin: https://apps.test\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: X-Secret\r\n\r\nok".to_vec()
    });
    World::before(app, ROUTES)
}

fn ask(world: &World, method: &str, target: &str, fields: &[&str]) -> Answer {
    let fields: String = fields.iter().flat_map(|line| [*line, "\r\n"]).collect();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n");
    exchange(world.gate.address, head)
}

fn preflight(world: &World, target: &str, origin: &str, method: &str, more: &[&str]) -> Answer {
    let (origin, method) = (
        format!("Origin: {origin}"),
        format!("Access-Control-Request-Method: {method}"),
    );
    let fields = [&[origin.as_str(), method.as_str()], more].concat();
    ask(world, "OPTIONS", target, &fields)
}

fn allows(answer: &Answer) -> Vec<(&'static str, String)> {
    let said = |name: &'static str| {
        let values: Vec<_> = answer.all(name).map(str::to_owned).collect();
        (!values.is_empty()).then(|| (name, values.join(" | ")))
    };
    ALLOWS.into_iter().filter_map(said).collect()
}

fn nothing(answer: &Answer) -> bool {
    allows(answer).is_empty()
}

#[test]
fn a_preflight_of_a_listed_origin_is_answered_with_exactly_what_is_allowed() {
    let world = world();
    for (origin, told) in [
        ("https://x.test", "https://x.test"),
        ("https://y.test", "https://y.test"),
        ("https://y.test:443", "https://y.test"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let more = ["Access-Control-Request-Headers: x-own, x-other"];
            let answer = preflight(&world, "/answered/a?b", origin, method, &more);
            assert_eq!((answer.status, answer.body.len()), (204, 0));
            assert_eq!(
                allows(&answer),
                [
                    ("access-control-allow-origin", told.to_owned()),
                    ("access-control-allow-credentials", "true".to_owned()),
                    ("access-control-allow-methods", "GET, PUT".to_owned()),
                    (
                        "access-control-allow-headers",
                        "content-type, x-own".to_owned()
                    ),
                    ("access-control-max-age", "600".to_owned()),
                ]
            );
            let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
            assert_eq!(answer.field("vary"), Some(vary));
            assert!(answer.field("set-cookie").is_none());
        }
    }
    let any = preflight(&world, "/any/a", "https://whoever.test", "GET", &[]);
    assert_eq!(
        allows(&any),
        [
            ("access-control-allow-origin", "*".to_owned()),
            ("access-control-allow-methods", "GET, HEAD, POST".to_owned()),
        ]
    );
    assert!(world.app.arrived().is_empty());
    let log = world.gate.logged("\"method\":\"OPTIONS\"");
    assert!(
        log.contains("\"status\":204") && log.contains("\"route\":\"/answered/**\""),
        "{log}"
    );
}

// I11: an origin is one or it is not; what looks like a listed one is none.
#[test]
fn an_origin_that_is_not_listed_is_allowed_nothing() {
    let world = world();
    for origin in [
        "https://evil.test",
        "http://x.test",
        "https://x.test:8443",
        "https://x.test.evil.test",
        "https://evil-x.test",
        "https://x.test@evil.test",
        "https://x.test/path",
        "https://x.test, https://evil.test",
        "https://*.test",
        "null",
        "*",
        "file://",
        "x.test",
    ] {
        for target in ["/answered/a", "/passed/a", "/fixed"] {
            let answer = preflight(&world, target, origin, "GET", &[]);
            assert!(
                answer.status == 204 && nothing(&answer),
                "{origin} {target}: {answer:?}"
            );
            let answer = ask(&world, "GET", target, &[&format!("Origin: {origin}")]);
            assert!(nothing(&answer), "{origin} {target}: {answer:?}");
            assert_eq!(answer.all("vary").last(), Some("Origin"));
        }
    }
    for origin in ["null", "file://", "*", "x"] {
        assert!(
            nothing(&preflight(&world, "/any/a", origin, "GET", &[])),
            "{origin}"
        );
    }
    assert!(world.app.arrived().is_empty());
}

// I11, J1: what goes on to the app is a bare question: nobody's, and about nothing but itself.
#[test]
fn a_passed_preflight_carries_no_identity_no_cookie_and_no_other_method() {
    let world = world();
    let alice = world.signed_in("alice");
    world.app.forget();
    let cookies: Vec<_> = alice
        .jar
        .iter()
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    let cookie = format!("Cookie: theme=dark; {}", cookies.join("; "));
    let forged = [
        cookie.as_str(),
        "Authorization: Bearer abc",
        "Proxy-Authorization: Basic abc",
        "X-Forwarded-User: admin",
        "X_Forwarded_User: admin",
        "X-Forwarded-Email: admin@example.com",
        "X-HTTP-Method-Override: DELETE",
        "X-Method-Override: DELETE",
        "X-API-Key: abc",
        "Content-Length: 0",
        "Access-Control-Request-Headers: x-own",
        "Sec-Fetch-Mode: cors",
    ];
    let answer = preflight(&world, "/passed/a?b=c", "https://x.test", "DELETE", &forged);
    // The app's word is the app's.
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.field("access-control-allow-origin"),
        Some("https://apps.test")
    );
    assert!(answer.field("set-cookie").is_none());
    let arrived = world.app.last();
    assert_eq!(arrived.request_line(), "OPTIONS /passed/a?b=c HTTP/1.1");
    let text = arrived.text().to_lowercase();
    for word in [
        "cookie",
        "authorization",
        "x-forwarded-user",
        "x_forwarded_user",
        "email",
        "override",
        "api-key",
        "alice",
        "abc",
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert_eq!(arrived.fields("origin"), ["https://x.test"]);
    assert_eq!(arrived.fields("access-control-request-method"), ["DELETE"]);
    assert_eq!(arrived.fields("access-control-request-headers"), ["x-own"]);
    assert_eq!(arrived.fields("x-forwarded-proto"), ["https"]);
    assert_eq!(arrived.body(), b"");
}

// I11: only a preflight is one; everything else is asked who it is, like everybody.
#[test]
fn what_is_no_preflight_does_not_open_the_route() {
    let world = world();
    let (origin, method) = (
        "Origin: https://x.test",
        "Access-Control-Request-Method: DELETE",
    );
    for target in ["/passed/a", "/answered/a"] {
        let rows: [(&str, &[&str], u16); 12] = [
            ("OPTIONS", &[origin], 401),
            ("OPTIONS", &[method], 401),
            ("OPTIONS", &[], 401),
            ("DELETE", &[origin, method], 401),
            ("GET", &[origin, method], 401),
            (
                "POST",
                &[origin, method, "X-HTTP-Method-Override: OPTIONS"],
                401,
            ),
            (
                "OPTIONS",
                &[origin, method, "Content-Length: 1\r\n\r\nx"],
                401,
            ),
            (
                "OPTIONS",
                &[origin, method, "Transfer-Encoding: chunked\r\n\r\n0\r\n"],
                401,
            ),
            (
                "OPTIONS",
                &[origin, "Access-Control-Request-Method: TRACE"],
                401,
            ),
            (
                "OPTIONS",
                &[origin, "Access-Control-Request-Method: get"],
                401,
            ),
            (
                "OPTIONS",
                &[origin, "Access-Control-Request-Method: G T"],
                401,
            ),
            (
                "OPTIONS",
                &[origin, method, "Access-Control-Request-Method: GET"],
                400,
            ),
        ];
        for (verb, fields, status) in rows {
            let answer = ask(&world, verb, target, fields);
            assert_eq!(answer.status, status, "{verb} {target} {fields:?}");
        }
        let twice = ask(&world, "OPTIONS", target, &[origin, origin, method]);
        assert_eq!(twice.status, 400);
    }
    // What belongs to the gate, and what no route of these names, is as it was.
    for (target, status) in [
        ("/oauth2/userinfo", 405),
        ("/oauth2/nothing", 404),
        ("/elsewhere", 401),
    ] {
        let answer = preflight(&world, target, "https://x.test", "GET", &[]);
        assert!(
            answer.status == status && nothing(&answer),
            "{target}: {answer:?}"
        );
    }
    let public = preflight(&world, "/public/a", "https://x.test", "GET", &[]);
    assert_eq!(
        public.field("access-control-allow-origin"),
        Some("https://apps.test")
    );
    let arrived = world.app.arrived();
    assert!(
        arrived
            .iter()
            .all(|one| one.request_line().contains("/public/a")),
        "{arrived:?}"
    );
}

// I11: the route of the request that is asked about decides, under every reading of the target.
#[test]
fn a_preflight_is_decided_by_the_route_of_the_request_that_it_asks_about() {
    let world = world();
    let ask = |target: &str, method: &str| preflight(&world, target, "https://x.test", method, &[]);
    assert_eq!(ask("/split/a", "GET").status, 200);
    assert_eq!(ask("/split/a", "HEAD").status, 200);
    for method in ["DELETE", "POST", "OPTIONS"] {
        assert_eq!(ask("/split/a", method).status, 401, "{method}");
    }
    // A rule for OPTIONS is asked like every other.
    assert_eq!(ask("/own/a", "GET").status, 401);
    world.app.forget();
    for target in [
        "/passed/../admin",
        "/passed/..%2fadmin",
        "/passed/..;/admin",
        "/passed//../../admin",
        "/PASSED/a",
        "//passed/a",
        "/x/../passed/a",
        "/passed/../answered/a",
    ] {
        let answer = ask(target, "GET");
        assert!(
            matches!(answer.status, 400 | 401),
            "{target}: {}",
            answer.status
        );
        assert!(nothing(&answer), "{target}");
    }
    assert!(world.app.arrived().is_empty());
}

// P5: who may read what the gate says is said for listed origins on that route alone.
#[test]
fn a_script_of_a_listed_origin_can_read_what_the_gate_tells_it() {
    let world = world();
    for (target, fields) in [
        (
            "/answered/a",
            vec![
                ("access-control-allow-origin", "https://x.test"),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "x-app"),
            ],
        ),
        (
            "/passed/a",
            vec![("access-control-allow-origin", "https://x.test")],
        ),
        ("/any/a", vec![("access-control-allow-origin", "*")]),
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(&world, method, target, &["Origin: https://x.test"]);
            assert_eq!(answer.status, 401, "{target}");
            assert_eq!(answer.json()["code"], "login_required");
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            assert_eq!(allows(&answer), fields, "{target}");
            assert_eq!(answer.all("vary").last(), Some("Origin"));
        }
    }
    for target in ["/elsewhere", "/oauth2/userinfo", "/oauth2/nothing"] {
        let answer = ask(&world, "GET", target, &["Origin: https://x.test"]);
        assert!(nothing(&answer), "{target}: {answer:?}");
    }
    let fixed = ask(&world, "GET", "/fixed", &["Origin: https://x.test"]);
    assert_eq!((fixed.status, fixed.text().as_str()), (200, "{}"));
    assert_eq!(
        fixed.field("access-control-allow-origin"),
        Some("https://x.test")
    );
}

#[test]
fn where_the_gate_answers_preflights_its_word_replaces_the_apps() {
    let world = world();
    let mut alice = world.signed_in("alice");
    let mut get = |path: &str, more: &str| alice.fetch("GET", &format!("{PUBLIC}{path}"), more);
    let listed = get("/answered/a", "Origin: https://x.test\r\n");
    assert_eq!(listed.text(), "ok");
    assert_eq!(
        allows(&listed),
        [
            ("access-control-allow-origin", "https://x.test".to_owned()),
            ("access-control-allow-credentials", "true".to_owned()),
            ("access-control-expose-headers", "x-app".to_owned()),
        ]
    );
    let vary: Vec<_> = listed.all("vary").collect();
    assert_eq!(vary, ["Accept", "Origin"]);
    for more in ["", "Origin: https://apps.test\r\n", "Origin: null\r\n"] {
        let answer = get("/answered/a", more);
        assert!(
            answer.status == 200 && nothing(&answer),
            "{more}: {answer:?}"
        );
        assert_eq!(answer.all("vary").last(), Some("Origin"));
    }
    // Where they are passed, and where nothing is said, the app's word stays as it is.
    for path in ["/passed/a", "/elsewhere"] {
        let answer = get(path, "Origin: https://x.test\r\n");
        assert_eq!(
            answer.field("access-control-allow-origin"),
            Some("https://apps.test"),
            "{path}"
        );
        assert_eq!(
            answer.field("access-control-expose-headers"),
            Some("X-Secret")
        );
        assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["Accept"], "{path}");
    }
}

// I11: over HTTP/2 a body needs no field that tells of it.
#[test]
fn over_http2_a_preflight_with_a_body_is_none_either() {
    let world = World::listening("listen: [{ address: 127.0.0.1:0, h2c: true }]", ROUTES);
    let mut connection = Http2::connect(world.gate.address);
    let mut fields = asking("OPTIONS", "/passed/a");
    fields.extend([
        ("origin", "https://x.test"),
        ("access-control-request-method", "GET"),
    ]);
    assert_eq!(connection.post(&fields, b"act").answer().status, 401);
    assert!(world.app.arrived().is_empty());
    fields.push(("cookie", "a=b"));
    assert_eq!(connection.ask(&fields).answer().status, 200);
    let arrived = world.app.last();
    assert_eq!(arrived.request_line(), "OPTIONS /passed/a HTTP/1.1");
    assert!(arrived.fields("cookie").is_empty() && arrived.body().is_empty());
    if let Some(path) = fields.iter_mut().find(|(name, _)| *name == ":path") {
        path.1 = "/answered/a";
    }
    let answered = connection.ask(&fields).answer();
    assert_eq!(answered.status, 204);
    assert_eq!(
        answered.field("access-control-allow-origin"),
        Some("https://x.test")
    );
}
