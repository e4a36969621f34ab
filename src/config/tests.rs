use super::*;
use crate::gate::access::{Access, EmailPattern};
use crate::gate::client_address::{ForwardedHeader, UnixPeers};
use crate::gate::routes::HostRule;
use crate::provider::{Admit, EmailTrust, ProviderKind, UserInfoUse};
use crate::proxy::{HostPolicy, IdentityField, Protocol, Qualification, UpstreamAddress};
use crate::server::ListenAddress;

const SESSION_KEY: &str = "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go";
const SMALLEST: &str = "public_url: https://dash.test\n\
    providers:\n  - issuer: https://id.test\n    client_id: dashboards\n    client_secret: { env: SECRET }\n\
    upstreams: { app: \"http://127.0.0.1:3000\" }\n";

fn environment() -> Environment {
    [
        ("SECRET", "hunter2"),
        ("SESSION_KEY", SESSION_KEY),
        ("STATE_DIRECTORY", "/var/lib/sidegate"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn good(text: &str) -> Config {
    let verdict = Verdict::of_text(text, &environment());
    assert!(verdict.faults.is_empty(), "{:#?}\n{text}", verdict.faults);
    verdict.config.unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let verdict = Verdict::of_text(text, &environment());
    assert_eq!(
        verdict.config.is_none(),
        !verdict.faults.is_empty(),
        "{text}"
    );
    verdict.faults.into_iter().map(|fault| fault.path).collect()
}

/// The smallest configuration with more in it.
fn with(more: &str) -> String {
    format!("{SMALLEST}{more}")
}

#[test]
fn the_smallest_configuration_has_safe_defaults() {
    let config = good(SMALLEST);
    assert_eq!(config.prefix, "/oauth2");
    assert_eq!(
        config.listen,
        [ListenSettings::at(ListenAddress::Tcp(
            "127.0.0.1:4180".parse().unwrap()
        ))]
    );
    assert_eq!(config.probes, "127.0.0.1:4181".parse().unwrap());
    // K1: nobody's forwarded headers are believed.
    assert!(config.trusted_proxies.networks.is_empty());
    assert_eq!(config.trusted_proxies.unix, UnixPeers::Untrusted);
    let [route] = config.routes.as_slice() else {
        panic!("{:?}", config.routes);
    };
    assert_eq!(
        (&route.access, &route.hosts),
        (&Access::SignedIn, &HostRule::Public)
    );
    let [provider] = config.providers.as_slice() else {
        panic!("{:?}", config.providers);
    };
    assert_eq!(
        (provider.id.as_str(), provider.redirect_path.as_str()),
        ("default", "/oauth2/callback")
    );
    assert_eq!(provider.scopes, ["openid", "profile", "email"]);
    assert_eq!(provider.admit, Admit::Everyone);
    assert_eq!(provider.claims.email_trust, EmailTrust::VerifiedClaim);
    assert!(provider.client_secret.as_ref().unwrap().equals("hunter2"));
    let oidc = ProviderKind::Oidc {
        issuer: "https://id.test".to_owned(),
        userinfo: UserInfoUse::WhenNeeded,
    };
    assert_eq!(provider.kind, oidc);
    assert!(config.insecure.is_empty() && config.warnings.is_empty());
    assert_eq!(config.session.limits.idle.as_secs(), 8 * 3600);
    assert_eq!(config.session.limits.absolute.as_secs(), 24 * 3600);
    let upstream = &config.upstreams[0];
    let headers: Vec<_> = upstream
        .headers
        .iter()
        .map(|rule| (rule.name.as_str(), rule.value))
        .collect();
    assert_eq!(
        headers,
        [
            ("x-forwarded-user", IdentityField::Subject),
            ("x-forwarded-email", IdentityField::Email),
            ("x-forwarded-groups", IdentityField::Groups),
            (
                "x-forwarded-preferred-username",
                IdentityField::PreferredUsername
            ),
        ]
    );
    assert_eq!(upstream.host, HostPolicy::Preserve);
    let address = UpstreamAddress::Tcp {
        host: "127.0.0.1".to_owned(),
        port: 3000,
    };
    assert_eq!(upstream.addresses, [address]);
    assert_eq!(upstream.protocol, Protocol::Http1);
    assert!(upstream.tls.is_none());
}

// Judging a configuration makes nothing: the key file is named, and whoever runs makes it.
#[test]
fn session_keys_are_given_or_named_or_said_to_be_ephemeral() {
    let keys = |more: &str| good(&with(more)).session.keys;
    let made = SessionKeys::StateFile(PathBuf::from("/var/lib/sidegate/session-key"));
    assert_eq!(format!("{:?}", keys("")), format!("{made:?}"));
    assert!(!Path::new("/var/lib/sidegate/session-key").exists());
    assert!(matches!(
        keys("session: { keys: ephemeral }\n"),
        SessionKeys::Ephemeral
    ));
    let given = keys("session: { keys: [{ env: SESSION_KEY }, { env: SESSION_KEY }] }\n");
    assert!(matches!(given, SessionKeys::Given(keys) if keys.len() == 2));
}

// C24: with several providers, names in rules say whose word they are, and what the app hears does.
#[test]
fn with_several_providers_names_are_qualified() {
    let text = "public_url: https://dash.test\n\
        providers:\n\
        \x20 - { id: corp, issuer: \"https://id.test\", client_id: a, admit: { emails: [\"@ok.test\"] } }\n\
        \x20 - { id: guests, issuer: \"https://guests.test\", client_id: a }\n\
        upstreams: { app: \"http://127.0.0.1:3000\" }\n\
        routes:\n\
        \x20 - access: { groups: [\"corp:urn:x:admins\"], emails: [\"guests:@ok.test\"], any: [{ subjects: [\"corp:1\"] }] }\n";
    let config = good(text);
    let paths: Vec<_> = config
        .providers
        .iter()
        .map(|one| one.redirect_path.as_str())
        .collect();
    assert_eq!(paths, ["/oauth2/callback/corp", "/oauth2/callback/guests"]);
    let Admit::When(admit) = &config.providers[0].admit else {
        panic!("everyone");
    };
    let email = &admit.emails.as_ref().unwrap()[0];
    assert_eq!(email.provider.as_deref(), Some("corp"));
    assert_eq!(email.pattern, EmailPattern::Domain("ok.test".to_owned()));
    let Access::When(condition) = &config.routes[0].access else {
        panic!("no condition");
    };
    let group = &condition.groups.as_ref().unwrap()[0];
    assert_eq!(
        (group.provider.as_deref(), group.name.as_str()),
        (Some("corp"), "urn:x:admins")
    );
    assert_eq!(
        condition.emails.as_ref().unwrap()[0].provider.as_deref(),
        Some("guests")
    );
    assert!(condition.any.as_ref().unwrap()[0].subjects.is_some());
    let qualified = |rule: &crate::proxy::HeaderRule| rule.qualified == Qualification::Qualified;
    assert!(config.upstreams[0].headers.iter().all(qualified));
}

#[test]
fn with_one_provider_a_colon_is_part_of_the_name() {
    let config = good(&with(
        "routes:\n  - access: { groups: [\"urn:x:admins\"] }\n",
    ));
    let Access::When(condition) = &config.routes[0].access else {
        panic!("no condition");
    };
    let group = &condition.groups.as_ref().unwrap()[0];
    assert_eq!(
        (group.provider.as_deref(), group.name.as_str()),
        (None, "urn:x:admins")
    );
}

// I12: an empty list admits nobody, and says so.
#[test]
fn an_empty_list_admits_nobody() {
    let config = good(&with("routes:\n  - access: { groups: [] }\n"));
    assert_eq!(config.warnings.len(), 1);
    let Access::When(condition) = &config.routes[0].access else {
        panic!("no condition");
    };
    assert_eq!(condition.groups.as_ref().unwrap().len(), 0);
    let none = good(&with("routes: []\n"));
    assert!(none.routes.is_empty());
}

// F17: a switch that weakens something is told, whatever its value would do.
#[test]
fn every_switch_that_weakens_is_told() {
    let text = with("insecure_trust_any_proxy: true\ntrusted_proxies: { peers: [\"0.0.0.0/0\", unix], header: forwarded }\ninsecure_public_http: true\n")
        .replace("https://dash.test", "http://dash.test")
        .replace("    client_id", "    insecure_trust_email: true\n    client_id");
    let config = good(&text);
    let told: Vec<_> = config
        .insecure
        .iter()
        .map(|switch| switch.path.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "insecure_public_http",
            "insecure_trust_any_proxy",
            "providers[0].insecure_trust_email",
        ]
    );
    assert_eq!(config.trusted_proxies.unix, UnixPeers::Trusted);
    assert_eq!(config.trusted_proxies.header, ForwardedHeader::Forwarded);
    assert_eq!(config.providers[0].claims.email_trust, EmailTrust::Provider);
}

// A24, F17: plain http is for this machine, as are secrets in the file.
#[test]
fn plain_http_and_plain_secrets_are_for_loopback() {
    for (url, fine) in [
        ("http://localhost:4180", true),
        ("http://127.0.0.1", true),
        ("http://[::1]:1", true),
        ("http://app.localhost", true),
        ("http://dash.test", false),
        ("http://127.0.0.1.dash.test", false),
        ("http://10.0.0.1", false),
    ] {
        let text = SMALLEST.replace("https://dash.test", url);
        assert_eq!(faults(&text).is_empty(), fine, "{url}");
        let text = text.replace("{ env: SECRET }", "hunter2");
        assert_eq!(faults(&text).is_empty(), fine, "{url} with a plain secret");
    }
}

#[test]
fn the_methods_hosts_and_origins_of_a_route_are_compiled() {
    let config = good(&with(
        "routes:\n\
         \x20 - { match: { host: \"DASH.test.\", path: /a, methods: [GET, PROPFIND] }, access: public }\n\
         \x20 - { match: { host: \"*\", path: /b }, access: optional, websocket: { origins: [\"https://x.test\"] } }\n\
         \x20 - { match: { host: other.test }, access: signed_in }\n\
         \x20 - { match: { path: /b }, access: signed_in, name: last }\n",
    )
    .replace("path: /b }, access: signed_in, name: last", "path: /c }, access: signed_in, name: last"));
    let names: Vec<_> = config
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(names, ["/a", "/b", "all", "last"]);
    // The public host by its name is the public host.
    assert_eq!(config.routes[0].hosts, HostRule::Public);
    assert_eq!(config.routes[0].methods.as_ref().unwrap().len(), 2);
    assert_eq!(config.routes[1].hosts, HostRule::Any);
    assert_eq!(
        config.routes[1].websocket_origins[0].to_string(),
        "https://x.test"
    );
    assert!(
        matches!(&config.routes[2].hosts, HostRule::One(host) if host.as_str() == "other.test")
    );
}

// I13: what one rule covers wholly is refused below it; a carve-out above is what order is for.
#[test]
fn a_rule_that_is_never_asked_is_refused_and_a_carve_out_is_not() {
    let routes = |one: &str, other: &str| {
        faults(&with(&format!(
            "routes:\n  - {{ access: public, {one} }}\n  - {{ access: signed_in, {other} }}\n"
        )))
    };
    for (one, other) in [
        ("match: {}", "match: { path: /admin/** }"),
        ("match: { path: /** }", "match: {}"),
        ("match: { host: \"*\" }", "match: { host: other.test }"),
        ("match: { host: DASH.TEST }", "match: { path: /x }"),
        ("match: { path: /x/* }", "match: { path: /x/y }"),
        ("match: { methods: [GET] }", "match: { methods: [HEAD] }"),
    ] {
        assert_eq!(routes(one, other), ["routes[1]"], "{one} then {other}");
    }
    for (one, other) in [
        (
            "match: { path: /admin/health }",
            "match: { path: /admin/** }",
        ),
        ("match: { host: other.test }", "match: {}"),
        ("match: {}", "match: { host: \"*\" }"),
        ("match: { methods: [GET] }", "match: {}"),
        ("match: { methods: [HEAD] }", "match: { methods: [GET] }"),
        ("match: { path: /x/* }", "match: { path: /x/** }"),
        ("match: { path: /x }", "match: { path: /x/ }"),
    ] {
        assert_eq!(
            routes(one, other),
            Vec::<String>::new(),
            "{one} then {other}"
        );
    }
}

// A provider where anybody can get an account must say who may sign in.
#[test]
fn open_enrolment_demands_a_word_about_who_may_sign_in() {
    for issuer in [
        "https://accounts.google.com",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/Organizations/v2.0",
        "https://gitlab.com",
        "https://ACCOUNTS.google.com/",
    ] {
        let text = SMALLEST.replace("https://id.test", issuer);
        assert_eq!(faults(&text), ["providers[0].admit"], "{issuer}");
        let written = text.replace("    client_id", "    admit: everyone\n    client_id");
        assert_eq!(good(&written).providers[0].admit, Admit::Everyone);
    }
    for issuer in [
        "https://login.microsoftonline.com/6f0f9a3e-0000-4000-8000-000000000001/v2.0",
        "https://gitlab.corp.test",
        "https://accounts.google.com.evil.test",
    ] {
        assert_eq!(
            faults(&SMALLEST.replace("https://id.test", issuer)),
            Vec::<String>::new(),
            "{issuer}"
        );
    }
}

// B3, A18: an endpoint that is not ours to trust, a parameter that is ours to set.
#[test]
fn endpoints_are_https_and_our_parameters_stay_ours() {
    for issuer in [
        "http://id.test",
        "file:///etc/passwd",
        "gopher://id.test",
        "//id.test",
        "https://u:p@id.test",
        "https://id.test/#x",
        "https://id.test/?x=y",
        "https:id.test",
        "id.test",
    ] {
        let text = SMALLEST.replace("https://id.test", &format!("\"{issuer}\""));
        assert_eq!(faults(&text), ["providers[0].issuer"], "{issuer}");
    }
    for name in [
        "state",
        "redirect_uri",
        "request",
        "id_token_hint",
        "response_mode",
    ] {
        let parameters = format!("    authorization_parameters: {{ {name}: x }}\n    client_id");
        let text = SMALLEST.replace("    client_id", &parameters);
        assert_eq!(
            faults(&text),
            [format!("providers[0].authorization_parameters.{name}")]
        );
    }
}

// A misspelt key is one fault, not also a missing one; and a broken value is not also a missing one.
#[test]
fn a_fault_is_said_once() {
    for (from, to, path) in [
        ("client_id", "clientid", "providers[0].clientid"),
        (
            "public_url: https://dash.test",
            "public_url: [x]",
            "public_url",
        ),
        (
            "issuer: https://id.test",
            "issuer: { x: y }",
            "providers[0].issuer",
        ),
        ("upstreams: {", "upstream: {", "upstream"),
    ] {
        assert_eq!(faults(&SMALLEST.replace(from, to)), [path]);
    }
}

// T7: a secret that others can read is a warning; what was read is what a reload watches.
#[cfg(unix)]
#[test]
fn files_of_secrets_are_watched_and_their_modes_looked_at() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("secret"), "hunter2\n").unwrap();
    std::fs::write(path("key"), SESSION_KEY).unwrap();
    let ca = rcgen::generate_simple_self_signed(["id.test".to_owned()]).unwrap();
    std::fs::write(path("ca.pem"), ca.cert.pem()).unwrap();
    for (name, mode) in [("secret", 0o644), ("key", 0o600)] {
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let place = folder.path().display();
    let secret = format!("{{ file: {place}/secret }}\n    ca: {{ file: {place}/ca.pem }}");
    let text = with(&format!("session: {{ keys: [{{ file: {place}/key }}] }}\n"))
        .replace("{ env: SECRET }", &secret);
    let file = path("sidegate.yaml");
    std::fs::write(&file, text).unwrap();
    let config = Verdict::of_file(&file, &environment())
        .unwrap()
        .into_config()
        .unwrap();
    assert_eq!(
        config.sources,
        [file, path("secret"), path("ca.pem"), path("key")]
    );
    let [warning] = config.warnings.as_slice() else {
        panic!("{:?}", config.warnings);
    };
    assert_eq!(warning.path, "providers[0].client_secret.file");
    assert!(
        config.providers[0]
            .client_secret
            .as_ref()
            .unwrap()
            .equals("hunter2")
    );
}

#[test]
fn flags_make_the_same_configuration_as_a_file() {
    let flags = Flags {
        public_url: Some("https://dash.test".to_owned()),
        upstream: Some("http://127.0.0.1:3000".to_owned()),
        issuer: Some("https://id.test".to_owned()),
        client_id: Some("dashboards".to_owned()),
        client_secret: Some(secret_source::SecretSource::Env("SECRET".to_owned())),
        ..Flags::default()
    };
    let from_flags = Verdict::of_flags(&flags, &environment())
        .into_config()
        .unwrap();
    assert_eq!(format!("{from_flags:?}"), format!("{:?}", good(SMALLEST)));
}

#[test]
fn a_configuration_that_cannot_be_had_says_why() {
    let missing = Config::load(Path::new("/nowhere/sidegate.yaml")).unwrap_err();
    assert!(matches!(missing, ConfigError::Unreadable { .. }));
    let empty = Verdict::of_text("", &environment())
        .into_config()
        .unwrap_err();
    assert!(empty.to_string().contains("public_url"), "{empty}");
}

// E8: replicas that know nothing of each other would spend each other's refresh tokens; in a pod nobody
// can tell how many there are.
#[test]
fn pods_that_may_be_replicas_are_warned_of_refresh_tokens() {
    let warned = |more: &str, pod: bool| {
        let mut all: Vec<_> = vec![("SECRET", "hunter2"), ("STATE_DIRECTORY", "/var/lib/x")];
        all.extend(pod.then_some(("KUBERNETES_SERVICE_HOST", "10.0.0.1")));
        let all = all.into_iter();
        let environment: Environment = all
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let text = SMALLEST.replace("upstreams", &format!("{more}\nupstreams"));
        let config = Verdict::of_text(&text, &environment).config.unwrap();
        let is_warned = config.warnings.iter().any(|one| one.path == "session");
        assert_eq!(is_warned, pod && config.renews_alone(), "{more}");
        config.renews_alone()
    };
    for pod in [false, true] {
        assert!(warned("", pod));
        assert!(!warned("session: { single_instance: true }", pod));
        assert!(!warned("session: { redis: { url: \"redis://r\" } }", pod));
        assert!(!warned("session: { store: memory }", pod));
        assert!(!warned("    refresh_tokens: ignore", pod));
    }
}
