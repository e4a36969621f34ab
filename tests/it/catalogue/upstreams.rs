//! What is wrong with the app, or with what it is told.

use super::*;
use crate::support::nobody::nobody;

pub(super) fn of_upstreams() -> Vec<Row> {
    vec![
        row(
            "identity_too_large",
            500,
            &["`x-forwarded-groups`", "8192 bytes"],
            || {
                // Three times as long in a header field as in the cookie.
                let groups: Vec<String> = (0..20)
                    .map(|n| format!("{n}{}", "\u{fc}".repeat(100)))
                    .collect();
                let world = World::start();
                world.provider.add_fault(claim("groups", json!(groups)));
                login(world, vec![])
            },
        ),
        row(
            "upstream_connect",
            502,
            &["upstream `app` at 127.0.0.1:", "cannot connect", "refused"],
            || {
                open(
                    World::before(absent(), "routes: [{ access: public }]"),
                    "/x",
                )
            },
        ),
        row(
            "upstream_timeout",
            504,
            &[
                "upstream `app` at 127.0.0.1:",
                "begin its answer within 50 ms",
            ],
            || {
                let silent = TcpListener::bind("127.0.0.1:0").unwrap();
                let mut app = Upstream::start();
                app.address = silent.local_addr().unwrap();
                let more = "routes: [{ access: public }]\nlimits: { upstream_first_byte: 50ms }";
                let outcome = open(World::before(app, more), "/x");
                drop(silent);
                outcome
            },
        ),
        row(
            "upstream_protocol",
            502,
            &["upstream `app` at 127.0.0.1:", "does not speak HTTP"],
            || {
                let app = Upstream::answering(|_| b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec());
                open(World::before(app, "routes: [{ access: public }]"), "/x")
            },
        ),
    ]
}

/// An app that is not there.
fn absent() -> Upstream {
    let mut app = Upstream::start();
    app.address = nobody();
    app
}
