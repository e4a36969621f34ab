//! What is wrong with a request, or with who sends it.

use super::*;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn of_requests() -> Vec<Row> {
    vec![
        row("login_required", 401, &["nobody is signed in"], || {
            let world = World::start();
            let answer = world.browser().fetch("GET", &format!("{PUBLIC}/x"), "");
            (world, answer)
        }),
        row(
            "csrf_post_replay",
            401,
            &["the request's body is lost"],
            || {
                let world = World::start();
                let mut browser = world.signed_in("alice");
                world.gate.clock.advance(Duration::from_hours(9));
                let form = format!("{PUBLIC}/form");
                let answer = browser.submit(&form, &form, "text=hours+of+work");
                (world, answer)
            },
        ),
        row(
            "group_denied",
            403,
            &["route `cellar`", "groups [cooks, maids]", "claim `groups`"],
            || signed_in_at(guarded("groups: [cooks, maids]"), "/cellar"),
        ),
        row(
            "group_denied",
            403,
            &["`admit` of provider `default`", "groups [default:cooks]"],
            || {
                let world = World::with_provider("    admit: { groups: [cooks] }", "");
                login(world, vec![])
            },
        ),
        row(
            "groups_incomplete",
            403,
            &["overage", "cannot be trusted", "route `cellar`"],
            || {
                let world = guarded("groups: [admins]");
                world.provider.add_fault(Fault::GroupOverage);
                signed_in_at(world, "/cellar")
            },
        ),
        row(
            "email_missing",
            403,
            &["no e-mail address", "claim `email`"],
            || {
                let world = guarded("emails: [\"@example.com\"]");
                world.provider.add_fault(Fault::Claim("email", None));
                signed_in_at(world, "/cellar")
            },
        ),
        row(
            "email_unverified",
            403,
            &["not verified", "claim `email_verified`"],
            || {
                let world = guarded("emails: [\"@example.com\"]");
                world.provider.add_fault(claim("email_verified", false));
                signed_in_at(world, "/cellar")
            },
        ),
        row(
            "domain_denied",
            403,
            &["route `cellar`", "emails [@other.test, eve@example.com]"],
            || {
                signed_in_at(
                    guarded("emails: [\"@other.test\", eve@example.com]"),
                    "/cellar",
                )
            },
        ),
        row(
            "subject_denied",
            403,
            &["route `cellar`", "subjects [u-bob]", "claim `sub`"],
            || signed_in_at(guarded("subjects: [u-bob]"), "/cellar"),
        ),
        row(
            "access_denied",
            403,
            &["any of [groups [cooks], subjects [u-bob]]"],
            || {
                let any = "any: [{ groups: [cooks] }, { subjects: [u-bob] }]";
                signed_in_at(guarded(any), "/cellar")
            },
        ),
        row("no_route", 404, &["no route matches"], || {
            open(
                World::with("routes:\n  - { match: { path: /a }, access: public }"),
                "/b",
            )
        }),
        row("unknown_host", 404, &["no route serves this host"], || {
            bytes(
                World::start(),
                "GET / HTTP/1.1\r\nHost: other.test\r\nAccept: text/html",
            )
        }),
        row(
            "client_certificate",
            403,
            &["no client certificate"],
            || {
                let desk = crate::server_tls::Desk::new();
                let world = desk.asking("routes: [{ access: { client_certificate: [any] } }]");
                open(world, "/x")
            },
        ),
        row("foreign_websocket", 403, &["another origin"], || {
            let world = World::start();
            let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: https://evil.test\r\n";
            let answer =
                world
                    .signed_in("alice")
                    .request("GET", &format!("{PUBLIC}/ws"), fields, b"");
            (world, answer)
        }),
        row(
            "foreign_write",
            403,
            &["another origin", "https://evil.app.test"],
            || {
                let world = World::start();
                let fields = "Sec-Fetch-Site: same-site\r\nOrigin: https://evil.app.test\r\n";
                let answer = world.signed_in("alice").request(
                    "POST",
                    &format!("{PUBLIC}/orders"),
                    fields,
                    b"x",
                );
                (world, answer)
            },
        ),
        row("malformed_target", 400, &["target is malformed"], || {
            from_host("/%00", "")
        }),
        row("malformed_host", 400, &["Host"], || {
            from_host("/", "\r\nHost: b.test")
        }),
        row("method_not_served", 501, &["method"], || {
            bytes(World::start(), "TRACE / HTTP/1.1\r\nHost: gate.test")
        }),
        row("repeated_field", 400, &["repeated"], || {
            from_host("/", "\r\nOrigin: https://a.test\r\nOrigin: https://b.test")
        }),
        row("target_too_long", 414, &["limits.target"], || {
            let world = World::with("limits: { target: 1KiB }");
            let target = "x".repeat(2000);
            bytes(world, &format!("GET /{target} HTTP/1.1\r\nHost: gate.test"))
        }),
        row("header_too_large", 431, &["limits.header_block"], || {
            let world = World::with("limits: { header_block: 8KiB, target: 4KiB }");
            let long = "x".repeat(9000);
            bytes(
                world,
                &format!("GET / HTTP/1.1\r\nHost: gate.test\r\nCookie: a={long}"),
            )
        }),
        row("header_too_large", 431, &["limits.header_fields"], || {
            let world = World::with("limits: { header_fields: 16 }");
            let many = "\r\nX-A: b".repeat(20);
            bytes(world, &format!("GET / HTTP/1.1\r\nHost: gate.test{many}"))
        }),
        row("method_not_allowed", 405, &["GET"], || {
            bytes(
                World::start(),
                "DELETE /oauth2/start HTTP/1.1\r\nHost: gate.test",
            )
        }),
        row("repeated_parameter", 400, &["repeated"], || {
            open(World::start(), "/oauth2/start?return_to=/a&rd=/b")
        }),
        row("body_broken", 400, &["the body broke off"], || {
            let world = World::with("routes: [{ access: public }]");
            bytes(
                world,
                "POST /x HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\nzz",
            )
        }),
        row("unknown_provider", 404, &["no provider"], || {
            open(World::start(), "/oauth2/start?provider=nobody")
        }),
    ]
}
