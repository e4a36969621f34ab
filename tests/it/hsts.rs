//! `hsts`: every answer tells browsers to come by https alone, or none does.

use crate::support::browser::Browser;
use crate::support::frames::{Http2, asking};
use crate::support::instance::{PUBLIC, World};
use crate::support::raw::{Answer, Wire, exchange};
use crate::support::upstream::Upstream;

const ROUTES: &str = "routes: [{ match: { path: /app/** }, access: public }, { match: { path: /fixed }, access: public, respond: 200 }, { match: { path: /led }, access: public, redirect: /fixed }, { access: signed_in }]\n";

/// An app that says something of its own about the whole host.
fn app() -> Upstream {
    Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nStrict-Transport-Security: max-age=1\r\nStrict-Transport-Security: max-age=2; preload\r\n\r\nok".to_vec()
    })
}

fn said(answer: &Answer) -> Vec<&str> {
    answer.all("strict-transport-security").collect()
}

fn get(world: &World, target: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    exchange(world.gate.address, request)
}

// P5, J10: ours and the app's alike, once, whatever the app says.
#[test]
fn every_answer_says_that_browsers_come_by_https_where_that_is_wanted() {
    let hsts = "hsts: { max_age: 365d, include_subdomains: true }";
    let listen =
        "listen: [{ address: 127.0.0.1:0, h2c: true }, { address: 127.0.0.1:0, redirect: https }]";
    let world = World::listening_before(app(), listen, &format!("{ROUTES}{hsts}"));
    let wanted = ["max-age=31536000; includeSubDomains"];
    for (target, status) in [
        ("/app/a", 200),
        ("/fixed", 200),
        ("/led", 302),
        ("/x", 401),
        ("/oauth2/start", 401),
        ("/oauth2/sign_in", 200),
        ("/oauth2/nothing", 404),
        ("/app/%00", 400),
    ] {
        let answer = get(&world, target);
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(said(&answer), wanted, "{target}");
    }
    let long = get(&world, &format!("/app/{}", "a".repeat(33 * 1024)));
    assert_eq!((long.status, said(&long)), (414, wanted.to_vec()));
    let mut wire = Wire::connect(world.gate.address);
    wire.send("GET / HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
    assert_eq!(said(&wire.answer_to("GET").unwrap()), wanted);
    let mut connection = Http2::connect(world.gate.address);
    let answer = connection.ask(&asking("GET", "/app/a")).answer();
    assert_eq!(said(&answer), wanted);
    // A whole login, too, save for the provider's answers.
    let mut browser: Browser = world.signed_in("alice");
    assert_eq!(
        said(&browser.fetch("GET", &format!("{PUBLIC}/x"), "")),
        wanted
    );
    // Over plain http it would not be heeded (RFC 6797 section 7.2).
    let plain = exchange(
        world.gate.addresses[1],
        "GET /x HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    );
    assert_eq!(plain.status, 308);
    assert!(said(&plain).is_empty());
}

#[test]
fn where_nothing_is_wanted_the_apps_word_stays_and_ours_is_none() {
    let world = World::before(app(), ROUTES);
    assert_eq!(
        said(&get(&world, "/app/a")),
        ["max-age=1", "max-age=2; preload"]
    );
    for target in ["/fixed", "/x", "/oauth2/start"] {
        assert!(said(&get(&world, target)).is_empty(), "{target}");
    }
    // A short span, and none at all, are said as such.
    for (written, told) in [("1h", "max-age=3600"), ("0s", "max-age=0")] {
        let app = world.app.url();
        let more = format!("{ROUTES}hsts: {written}");
        let text = crate::support::instance::yaml(world.provider.issuer(), &app, &more);
        world.gate.reload(&text).unwrap();
        assert_eq!(said(&get(&world, "/app/a")), [told]);
    }
}
