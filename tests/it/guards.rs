//! The guards, each held once over real sockets: whatever a request brings, the app gets what the
//! gate says and nothing else.

use crate::support::browser::Browser;
use crate::support::instance::{PUBLIC, World};
use crate::support::raw::{Answer, try_exchange};
use crate::support::upstream::Upstream;

const ROUTES: &str = "routes:
  - { match: { path: /public/** }, access: public }
  - { match: { path: /healthz }, access: public }
  - { match: { path: /api/*/status }, access: public }
  - { match: { path: /greet/** }, access: optional }
  - { match: { path: /docs/**, methods: [GET] }, access: public }
  - { match: { path: /admin/** }, access: { groups: [admins] } }
  - { access: signed_in }";

/// Sends exactly this target and these fields, with the browser's cookies.
fn send(
    world: &World,
    browser: &Browser,
    method: &str,
    target: &str,
    fields: &str,
) -> Option<Answer> {
    let pairs: Vec<_> = browser
        .jar
        .iter()
        .filter(|one| one.host == "gate.test")
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    let cookie = if pairs.is_empty() {
        String::new()
    } else {
        format!("Cookie: {}\r\n", pairs.join("; "))
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: gate.test\r\n{cookie}{fields}Connection: close\r\n\r\n"
    );
    try_exchange(world.gate.address, request)
}

/// Every spelling that some app might take for `name`.
fn spellings(name: &str) -> Vec<String> {
    let underscored = name.replace('-', "_");
    let mut mixed = name.to_owned();
    if let Some(at) = mixed.find('-') {
        mixed.replace_range(at..=at, "_");
    }
    vec![
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        underscored,
        mixed,
        name.replace('-', "."),
        name.replace('-', "--"),
    ]
}

// J1, J2, J8, K1, N4: every identity name in every spelling, on every kind of route, with a session
// and without: the app sees ours, once, or none.
#[test]
fn no_spelling_of_an_identity_header_reaches_the_app_on_any_route() {
    let world = World::with(ROUTES);
    let (alice, nobody) = (world.signed_in("alice"), world.browser());
    let ours = [
        ("x-forwarded-user", "u-alice"),
        ("x-forwarded-email", "alice@example.com"),
        ("x-forwarded-groups", "admins,dev"),
        ("x-forwarded-preferred-username", "alice"),
    ];
    let always = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "gate.test"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-for", "127.0.0.1"),
    ];
    let names = [
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Auth-Request-User",
        "Remote-User",
        "Remote-Groups",
        "X-Remote-User",
        "X-Remote-Extra-Scopes",
        "X-WEBAUTH-USER",
        "Cf-Access-Authenticated-User-Email",
        "X-Goog-Authenticated-User-Email",
        "X-Goog-Iap-Jwt-Assertion",
        "X-Amzn-Oidc-Identity",
        "X-Pomerium-Claim-Email",
        "X-Forwarded-Client-Cert",
        "X-SSL-Client-S-DN",
        "Ssl-Client-Cert",
        "X-Sidegate-Assertion",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
    ];
    for name in names {
        for spelling in spellings(name) {
            let forged = format!("{spelling}: forged-value\r\n");
            let websocket = format!(
                "{forged}Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nOrigin: {PUBLIC}\r\n"
            );
            let cases = [
                (&nobody, "/public/x", &forged, false),
                (&alice, "/public/x", &forged, false),
                (&nobody, "/greet/x", &forged, false),
                (&alice, "/greet/x", &forged, true),
                (&alice, "/admin/x", &forged, true),
                (&alice, "/page", &forged, true),
                (&alice, "/ws", &websocket, true),
            ];
            for (who, target, fields, identified) in cases {
                world.app.forget();
                send(&world, who, "GET", target, fields);
                let seen = world.app.last();
                assert!(
                    !seen.text().contains("forged-value"),
                    "{spelling} on {target}: {}",
                    seen.text()
                );
                for (name, value) in ours {
                    let wanted: &[&str] = if identified { &[value] } else { &[] };
                    assert_eq!(seen.fields(name), wanted, "{spelling} on {target}");
                }
                for (name, value) in always {
                    assert_eq!(seen.fields(name), [value], "{spelling} on {target}");
                }
            }
        }
    }
}

// J3, J4, J5: what `Connection` names cannot delete a field of ours; hop-by-hop fields end here.
#[test]
fn connection_cannot_delete_what_the_gate_says() {
    let world = World::with(ROUTES);
    let alice = world.signed_in("alice");
    let fields = "Connection: X-Forwarded-User, X-Forwarded-For, Host, Cookie, Authorization, X-Mine\r\nX-Mine: hop\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nTE: trailers\r\nTrailer: X-Forwarded-User\r\nProxy: http://evil.test\r\nAuthorization: Bearer of-the-app\r\n";
    send(&world, &alice, "GET", "/page", fields).unwrap();
    let seen = world.app.last();
    assert_eq!(seen.fields("x-forwarded-user"), ["u-alice"]);
    assert_eq!(seen.fields("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.fields("host"), ["gate.test"]);
    for gone in [
        "x-mine",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "proxy",
    ] {
        assert!(seen.fields(gone).is_empty(), "{gone}: {}", seen.text());
    }
    // What the client says of trailer fields, we say: they pass.
    assert_eq!(seen.fields("te"), ["trailers"]);
    assert_eq!(seen.fields("connection"), ["te"]);
    // J7: the app has tokens of its own.
    assert_eq!(seen.fields("authorization"), ["Bearer of-the-app"]);
}

// J7: a token is no evidence, and does not stand in for a session.
#[test]
fn an_authorization_header_admits_to_nothing() {
    let world = World::with(ROUTES);
    let answer = send(
        &world,
        &world.browser(),
        "GET",
        "/page",
        "Authorization: Bearer x\r\n",
    )
    .unwrap();
    assert_eq!(answer.status, 401);
    assert!(world.app.arrived().is_empty());
}

// J10: the app's answer cannot name a cookie of ours away, nor set one; its own pass.
#[test]
fn the_app_cannot_touch_a_cookie_of_ours() {
    let world = World::start();
    let alice = world.signed_in("alice");
    let own = alice
        .jar
        .iter()
        .find(|one| one.name.starts_with("__Host-sidegate"))
        .unwrap()
        .name
        .clone();
    let hostile = Upstream::answering(move |_| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Set-Cookie, Cache-Control\r\nSet-Cookie: {own}=planted; Path=/\r\nSet-Cookie: theirs=1; Path=/\r\n\r\n").into_bytes()
    });
    world
        .gate
        .reload(&crate::support::instance::yaml(
            world.provider.issuer(),
            &hostile.url(),
            "",
        ))
        .unwrap();
    let answer = send(&world, &alice, "GET", "/page", "").unwrap();
    assert_eq!(
        answer.all("set-cookie").collect::<Vec<_>>(),
        ["theirs=1; Path=/"]
    );
    assert!(
        !hostile.last().text().contains("__Host-sidegate"),
        "{}",
        hostile.last().text()
    );
}

// I1, I14: the bytes that were judged are the bytes that the app gets.
#[test]
fn the_target_reaches_the_app_byte_for_byte() {
    let world = World::with("");
    let alice = world.signed_in("alice");
    for target in [
        "/a%2Fb//c/../d;x=1?q=%20&r=//y",
        "/A.B/%E2%82%AC?",
        "/?x",
        "/stray%",
        "/x%252e?a=b%26c",
    ] {
        send(&world, &alice, "GET", target, "").unwrap();
        assert_eq!(
            world.app.last().request_line(),
            format!("GET {target} HTTP/1.1")
        );
    }
}

// I2, I6, I10, I11, K2: whatever reaches the app without a session is what a public rule names.
#[test]
fn nothing_but_what_is_public_is_reached_without_a_session() {
    let world = World::with(ROUTES);
    let nobody = world.browser();
    let forwarded = "X-Forwarded-Uri: /public/x\r\nX-Original-URI: /public/x\r\nX-Original-Method: GET\r\nX-HTTP-Method-Override: GET\r\nX-Forwarded-Proto: http\r\n";
    for (method, target) in [
        ("GET", "/healthz/"),
        ("GET", "/healthz/../admin"),
        ("GET", "/healthz%2f..%2fadmin"),
        ("GET", "/healthz;x"),
        ("GET", "//healthz"),
        ("GET", "/public/..%2fadmin"),
        ("GET", "/public/%2e%2e/admin"),
        ("GET", "/public/..;/admin"),
        ("GET", "/public/%252e%252e%252fadmin"),
        ("GET", "/public\\..\\admin"),
        ("GET", "/api/a%2Fb/status"),
        ("GET", "/api/a/status/../../admin"),
        ("POST", "/docs/x"),
        ("get", "/docs/x"),
        ("OPTIONS", "/admin/x"),
        ("PROPFIND", "/page"),
        ("GET", "/oauth2/anything"),
        ("GET", "/ADMIN"),
        ("GET", "/admin%20"),
    ] {
        let fields = format!("{forwarded}Access-Control-Request-Method: DELETE\r\n");
        let answer = send(&world, &nobody, method, target, &fields);
        assert!(
            world.app.arrived().is_empty(),
            "{method} {target} reached the app: {answer:?}"
        );
    }
    for target in ["/public/x", "/healthz", "/api/a/status", "/docs/x"] {
        send(&world, &nobody, "GET", target, "").unwrap();
        assert!(world.app.last().request_line().contains(target));
    }
    // J8: where a rule names methods, no field claims another.
    send(
        &world,
        &nobody,
        "GET",
        "/docs/x",
        "X-HTTP-Method-Override: DELETE\r\n",
    )
    .unwrap();
    assert!(world.app.last().fields("x-http-method-override").is_empty());
}

// I7, I8, I9: one host, one form.
#[test]
fn a_request_for_two_hosts_is_for_none() {
    let world = World::with(ROUTES);
    for head in [
        "GET http://other.test/public/x HTTP/1.1\r\nHost: gate.test\r\n",
        "GET /public/x HTTP/1.1\r\nHost: gate.test\r\nHost: gate.test\r\n",
        "GET /public/x HTTP/1.1\r\nHost: gate.test, evil.test\r\n",
        "GET /public/x HTTP/1.1\r\nHost: evil.test\r\n",
        "GET /public/x HTTP/1.1\r\n",
        "CONNECT gate.test:443 HTTP/1.1\r\nHost: gate.test\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: gate.test\r\n",
        "TRACE /public/x HTTP/1.1\r\nHost: gate.test\r\n",
        "GET public/x HTTP/1.1\r\nHost: gate.test\r\n",
    ] {
        let answer = try_exchange(
            world.gate.address,
            format!("{head}Connection: close\r\n\r\n"),
        );
        assert!(answer.is_none_or(|answer| answer.status >= 400), "{head}");
        assert!(world.app.arrived().is_empty(), "{head}");
    }
}

// K2, K8, A2: what an untrusted peer says of scheme and host changes no redirect and no cookie.
#[test]
fn forwarded_fields_change_neither_redirect_nor_cookie() {
    let world = World::start();
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.test;proto=http\r\n";
    let answer = send(&world, &world.browser(), "GET", "/page", fields).unwrap();
    assert_eq!(answer.status, 302);
    assert!(!answer.location().contains("evil.test"));
    assert!(
        answer
            .location()
            .contains("redirect_uri=https%3A%2F%2Fgate.test%2Foauth2%2Fcallback")
    );
    assert!(
        answer
            .all("set-cookie")
            .all(|line| line.contains("Secure") && line.starts_with("__Host-"))
    );
}

// P4: nor any page, problem document or link in them: a cache in front that does not know these fields
// would keep for everybody what one person made it say.
#[test]
fn forwarded_fields_change_no_page() {
    let world = World::with(ROUTES);
    let alice = world.signed_in("alice");
    let nobody = world.browser();
    let forwarded = "X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil.test\r\nX-Original-Host: evil.test\r\nForwarded: host=evil.test;proto=http\r\n";
    let navigation =
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
    for (who, method, target, as_seen) in [
        (&nobody, "GET", "/oauth2/sign_in", navigation),
        (&nobody, "GET", "/oauth2/sign_out", navigation),
        (&nobody, "GET", "/oauth2/start?provider=none", navigation),
        (&nobody, "GET", "/oauth2/callback", navigation),
        (&nobody, "GET", "/page", "Accept: application/json\r\n"),
        (&nobody, "GET", "/page", "Accept: text/plain\r\n"),
        (&nobody, "POST", "/page", navigation),
        (&alice, "GET", "/admin", navigation),
        (&alice, "GET", "/admin", "Accept: application/json\r\n"),
        (&alice, "GET", "/oauth2/userinfo", navigation),
        (&alice, "GET", "/oauth2/sign_out", navigation),
    ] {
        let told = |fields: &str| {
            let fields = format!("{as_seen}{fields}");
            let answer = send(&world, who, method, target, &fields).unwrap();
            // The reference and the time alone differ between two of the same.
            let text = match answer.field("x-request-id") {
                Some(reference) => answer.everything().replace(reference, "REFERENCE"),
                None => answer.everything(),
            };
            let lines = text.lines().filter(|line| {
                let line = line.to_ascii_lowercase();
                !line.starts_with("date:") && !line.contains("<time ") && !line.contains("_in\":")
            });
            (answer.status, lines.collect::<Vec<_>>().join("\n"))
        };
        let (plain, bent) = (told(""), told(forwarded));
        assert_eq!(plain, bent, "{method} {target} {as_seen}");
    }
}

// P5: our own answers name no software, open nothing to other origins and make no promise for the
// domain that nobody asked for; what the app says of these passes as it is.
#[test]
fn no_answer_names_our_software_or_opens_anything_to_other_origins() {
    let app = Upstream::answering(|arrived| {
        assert!(arrived.fields("Via").is_empty());
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: app/7\r\nAccess-Control-Allow-Origin: https://other.test\r\n\r\n".to_vec()
    });
    let world = World::before(app, ROUTES);
    let nobody = world.browser();
    let asking = "Origin: https://other.test\r\nAccess-Control-Request-Method: GET\r\n";
    for method in ["GET", "OPTIONS", "POST"] {
        for target in [
            "/oauth2/userinfo",
            "/oauth2/sign_in",
            "/oauth2/sign_out",
            "/oauth2/start",
            "/oauth2/callback?code=x&state=y",
            "/oauth2/none",
            "/page",
            "/a/../b",
        ] {
            let answer = send(&world, &nobody, method, target, asking).unwrap();
            for (name, value) in &answer.fields {
                let name = name.to_ascii_lowercase();
                let is_ours_to_say = !name.starts_with("access-control-")
                    && !["server", "via", "x-powered-by", "strict-transport-security"]
                        .contains(&name.as_str());
                assert!(is_ours_to_say, "{method} {target}: {name}: {value}");
            }
        }
    }
    let answer = send(&world, &nobody, "GET", "/public/x", asking).unwrap();
    assert_eq!(answer.field("server"), Some("app/7"));
    assert_eq!(
        answer.field("access-control-allow-origin"),
        Some("https://other.test")
    );
    assert_eq!(answer.field("via"), None);
}

// A17, A26: a body without a session is neither read nor passed on, and no answer holds anything of
// the app.
#[test]
fn before_a_login_nothing_of_the_app_or_of_a_body_is_anywhere() {
    let world = World::start();
    let mut nobody = world.browser();
    let answer = nobody.submit(
        &format!("{PUBLIC}/page"),
        &format!("{PUBLIC}/"),
        "canary-of-the-body=1",
    );
    assert_eq!(answer.status, 401);
    assert!(!answer.everything().contains("canary-of-the-body"));
    for answer in [
        nobody.open(&format!("{PUBLIC}/")),
        nobody.fetch("GET", &format!("{PUBLIC}/x"), ""),
    ] {
        assert!(!answer.everything().contains("marker-of-the-app"));
    }
    assert!(world.app.arrived().is_empty());
    assert!(!world.gate.log().contains("canary-of-the-body"));
}

// A11, A23: the callback takes GET alone, and a login begun elsewhere leads nowhere else.
#[test]
fn the_callback_takes_get_alone_and_a_foreign_start_leads_home() {
    let world = World::start();
    let mut browser = world.browser();
    for method in ["POST", "HEAD", "PUT"] {
        assert_eq!(
            browser
                .request(
                    method,
                    &format!("{PUBLIC}/oauth2/callback?code=x&state=y"),
                    "",
                    b""
                )
                .status,
            405,
            "{method}"
        );
    }
    let start = format!(
        "{PUBLIC}/oauth2/start?iss=https://evil.test&target_link_uri=https://evil.test/x&login_hint=a&return_to=https://evil.test/"
    );
    let form = browser.visit(&start);
    assert!(form.url.as_str().starts_with(world.provider.issuer()));
    let page = browser.sign_in(&form, "alice");
    assert_eq!(page.url.as_str(), format!("{PUBLIC}/"));
}

// G1, G5: another site cannot sign anybody out, and the way on stays here.
#[test]
fn another_site_cannot_sign_a_person_out() {
    let world = World::start();
    let mut alice = world.signed_in("alice");
    let out = format!("{PUBLIC}/oauth2/sign_out?return_to=https://evil.test/");
    let image = alice.request(
        "GET",
        &out,
        "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\nSec-Fetch-Site: cross-site\r\n",
        b"",
    );
    let link = alice.request("GET", &out, "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-User: ?1\r\nAccept: text/html\r\n", b"");
    let form = alice.submit(&out, "https://evil.test/", "");
    for answer in [&image, &link, &form] {
        assert!(answer.field("set-cookie").is_none(), "{answer:?}");
        assert!(!answer.everything().contains("evil.test/"), "{answer:?}");
    }
    assert_eq!(alice.open(&format!("{PUBLIC}/page")).status, 200);
    let own = alice.submit(&out, &format!("{PUBLIC}/"), "");
    assert_eq!(own.status, 303);
    assert!(own.location().starts_with(world.provider.issuer()));
    assert!(
        alice.names("gate.test").is_empty(),
        "{:?}",
        alice.names("gate.test")
    );
    assert_eq!(
        alice.fetch("GET", &format!("{PUBLIC}/page"), "").status,
        401
    );
}

// H4: only the very origin counts, not a name that ends like it.
#[test]
fn a_place_on_another_host_leads_home() {
    let world = World::start();
    for place in [
        "https://badgate.test/x",
        "https://gate.test.evil.test/x",
        "https://gate.test:8443/x",
        "http://gate.test/x",
        "//evil.test/x",
        "/\\evil.test",
    ] {
        let mut browser = world.browser();
        let mut start = url::Url::parse(&format!("{PUBLIC}/oauth2/start")).unwrap();
        start.query_pairs_mut().append_pair("return_to", place);
        let form = browser.visit(start.as_str());
        let page = browser.sign_in(&form, "alice");
        assert_eq!(page.url.as_str(), format!("{PUBLIC}/"), "{place}");
    }
}

// T6: the probes tell and change nothing, and are not on the public listener.
#[test]
fn probes_are_elsewhere_and_change_nothing() {
    let world = World::with(ROUTES);
    let ask = |address, target: &str| {
        try_exchange(
            address,
            format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        .unwrap()
    };
    for target in ["/livez", "/readyz"] {
        assert_eq!(ask(world.gate.probes, target).status, 200);
    }
    let status = ask(world.gate.probes, "/status").json();
    assert_eq!(status["status"], "ok");
    assert_eq!(ask(world.gate.probes, "/reload").status, 404);
    for target in ["/livez", "/readyz", "/status", "/metrics"] {
        let answer = send(&world, &world.browser(), "GET", target, "").unwrap();
        assert_eq!(answer.status, 401, "{target}");
    }
}

// F8: a value is as long as what it holds, whatever it holds: nothing is compressed.
#[test]
fn a_sealed_value_does_not_tell_what_repeats_in_it() {
    use sidegate::base::entropy::Entropy;
    use sidegate::base::keyring::{Keyring, Purpose, SessionKey};
    let ring = Keyring::new(&[SessionKey::generate(Entropy::system()).unwrap()]).unwrap();
    let length = |text: &[u8]| ring.seal(Purpose::Session, b"", text).unwrap().len();
    assert_eq!(
        length(&[b'a'; 500]),
        length(&std::array::from_fn::<u8, 500, _>(|at| u8::try_from(
            at * 37 % 251
        )
        .unwrap()))
    );
}

// C27: a claim is one line, whatever is in it, and nobody is refused for a name.
#[test]
fn a_claim_never_writes_a_line_of_its_own() {
    use crate::support::provider::Fault;
    let world = World::start();
    world.provider.set_fault(Fault::Claim(
        "preferred_username",
        Some(serde_json::json!(
            "M\u{fc}ller\r\nX-Forwarded-Groups: admins"
        )),
    ));
    let mut browser = world.browser();
    let form = browser.visit(&format!("{PUBLIC}/"));
    let page = browser.sign_in(&form, "bob");
    assert_eq!(page.answer.status, 200, "{:?}", page.answer);
    let seen = world.app.last();
    assert_eq!(seen.fields("x-forwarded-groups"), ["dev"]);
    assert_eq!(
        seen.fields("x-forwarded-preferred-username"),
        ["M%C3%BCller%0D%0AX-Forwarded-Groups: admins"]
    );
}
