//! `sidegate config show`: the settings in force, defaults and all, secrets masked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::yaml::Shown;
use super::{Exit, Start, Streams, check, shown_access, shown_routes, shown_sessions};
use crate::config::environment::Environment;
use crate::config::{Config, Hsts, HstsReach};
use crate::gate::client_address::{ForwardedHeader, UnixPeers};
use crate::gate::routes::{HostRule, Route};
use crate::provider::{
    Admit, AuthMethod, ClaimPaths, EmailTrust, IdTokenHint, ProviderKind, ProviderSettings,
    UserInfoUse,
};
use crate::proxy::{
    HostPolicy, IdentityField, Privacy, Protocol, UpstreamSettings, UpstreamTls, Verification,
};
use crate::server::connection::Wire;
use crate::server::{ListenSettings, ProxyProtocol, Purpose};
use crate::transport::server_tls::{ClientCertificates, PairFiles, ServerTls};

/// What stands for a secret.
pub(super) const MASKED: &str = "***";

/// Shows the settings; where there are faults, says those.
///
/// # Errors
/// The answer cannot be written.
pub fn run(
    start: &Start,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    match check::load(start, environment, streams) {
        Err(exit) => Ok(exit),
        Ok(config) => {
            write!(streams.out, "{}", show(&config))?;
            Ok(Exit::Done)
        }
    }
}

fn show(config: &Config) -> Shown {
    let insecure = |name: &str| {
        let on = config.insecure.iter().any(|switch| switch.path == name);
        Shown::word(on)
    };
    Shown::map([
        ("public_url", Shown::text(config.public_url.to_string())),
        (
            "listen",
            Shown::List(config.listen.iter().map(listen).collect()),
        ),
        (
            "probes",
            Shown::map([("address", Shown::text(config.probes.to_string()))]),
        ),
        ("trusted_proxies", trusted_proxies(config)),
        ("prefix", Shown::text(config.prefix.as_str())),
        (
            "providers",
            Shown::List(config.providers.iter().map(provider).collect()),
        ),
        ("session", shown_sessions::session(config)),
        (
            "upstreams",
            Shown::Map(config.upstreams.iter().map(upstream).collect()),
        ),
        (
            "routes",
            Shown::List(config.routes.iter().map(|one| route(one, config)).collect()),
        ),
        ("limits", limits(config)),
    ])
    .with(
        "pages",
        config
            .pages
            .support
            .as_ref()
            .map(|support| Shown::map([("support", Shown::text(support.as_str()))])),
    )
    .with("admin", config.admin.as_deref().map(admin))
    .with("log", Some(log(config)))
    .with("hsts", config.hsts.map(hsts))
    .with(
        "insecure_public_http",
        Some(insecure("insecure_public_http")),
    )
    .with(
        "insecure_trust_any_proxy",
        Some(insecure("insecure_trust_any_proxy")),
    )
}

fn admin(socket: &std::path::Path) -> Shown {
    let address = format!("unix:{}", socket.display());
    Shown::map([("address", Shown::text(address))])
}

fn listen(one: &ListenSettings) -> Shown {
    let demanded = one.proxy_protocol == ProxyProtocol::Demanded;
    let leads = matches!(one.purpose, Purpose::Redirect(_));
    Shown::map([
        ("address", Shown::text(one.address.to_string())),
        ("h2c", Shown::word(one.cleartext == Wire::Either)),
        ("proxy_protocol", Shown::word(demanded)),
    ])
    .with("tls", one.tls.as_ref().map(listen_tls))
    .with("health_path", one.health_path.as_deref().map(Shown::text))
    .with("redirect", leads.then(|| Shown::word("https")))
}

fn listen_tls(tls: &ServerTls) -> Shown {
    let file = |path: &std::path::Path| Shown::text(path.display().to_string());
    let pair = |files: &PairFiles| {
        Shown::map([
            ("certificate", file(&files.certificate)),
            ("key", file(&files.key)),
        ])
    };
    let asked = match tls.clients {
        ClientCertificates::Unasked => None,
        ClientCertificates::Requested(_) => Some("request"),
        ClientCertificates::Required(_) => Some("require"),
    };
    let pairs = Shown::List(tls.pairs.iter().map(pair).collect());
    Shown::map([("certificates", pairs)])
        .with("client_ca", tls.clients.roots().map(file))
        .with("client_certificates", asked.map(Shown::word))
}

fn trusted_proxies(config: &Config) -> Shown {
    let trusted = &config.trusted_proxies;
    let mut peers: Vec<String> = trusted.networks.iter().map(ToString::to_string).collect();
    if trusted.unix == UnixPeers::Trusted {
        peers.push("unix".to_owned());
    }
    let header = match trusted.header {
        ForwardedHeader::XForwardedFor => "x_forwarded_for",
        ForwardedHeader::Forwarded => "forwarded",
    };
    Shown::map([
        ("peers", Shown::texts(&peers)),
        ("header", Shown::word(header)),
    ])
}

fn provider(provider: &ProviderSettings) -> Shown {
    let secret = provider.client_secret.as_ref();
    let ca = provider.ca.as_ref().map(|path| path.display().to_string());
    let parameters = provider.authorization_parameters.iter();
    let parameters = parameters.map(|(name, value)| (name.clone(), Shown::text(value.as_str())));
    let admit = match &provider.admit {
        Admit::Everyone => Shown::word("everyone"),
        Admit::When(one) => shown_access::condition(one, shown_access::Names::Bare),
    };
    let auth_method = match provider.auth_method {
        AuthMethod::Auto => "auto",
        AuthMethod::ClientSecretBasic => "client_secret_basic",
        AuthMethod::ClientSecretPost => "client_secret_post",
        AuthMethod::None => "none",
    };
    let hint = match provider.id_token_hint {
        IdTokenHint::Auto => "auto",
        IdTokenHint::Always => "always",
        IdTokenHint::Never => "never",
    };
    let trusts_email = provider.claims.email_trust == EmailTrust::Provider;
    let shown = Shown::map([("id", Shown::text(provider.id.as_str()))]);
    with_kind(shown, &provider.kind)
        .with("client_id", Some(Shown::text(provider.client_id.as_str())))
        .with("client_secret", secret.map(|_| Shown::text(MASKED)))
        .with(
            "redirect_path",
            Some(Shown::text(provider.redirect_path.as_str())),
        )
        .with("token_endpoint_auth_method", Some(Shown::word(auth_method)))
        .with("scopes", Some(Shown::texts(&provider.scopes)))
        .with("admit", Some(admit))
        .with(
            "ca",
            ca.map(|path| Shown::map([("file", Shown::text(path))])),
        )
        .with(
            "trusted_audiences",
            Some(Shown::texts(&provider.trusted_audiences)),
        )
        .with("claims", Some(claims(&provider.claims)))
        .with(
            "authorization_parameters",
            Some(Shown::Map(parameters.collect())),
        )
        .with("id_token_hint", Some(Shown::word(hint)))
        .with("insecure_trust_email", Some(Shown::word(trusts_email)))
}

fn with_kind(shown: Shown, kind: &ProviderKind) -> Shown {
    let text = |text: &String| Some(Shown::text(text.as_str()));
    match kind {
        ProviderKind::Oidc { issuer, userinfo } => {
            let userinfo = match userinfo {
                UserInfoUse::WhenNeeded => "when_needed",
                UserInfoUse::Always => "always",
                UserInfoUse::Never => "never",
            };
            shown
                .with("kind", Some(Shown::word("oidc")))
                .with("issuer", text(issuer))
                .with("userinfo", Some(Shown::word(userinfo)))
        }
        ProviderKind::OAuth2 {
            authorization_endpoint,
            token_endpoint,
            userinfo_endpoint,
        } => shown
            .with("kind", Some(Shown::word("oauth2")))
            .with("authorization_endpoint", text(authorization_endpoint))
            .with("token_endpoint", text(token_endpoint))
            .with("userinfo_endpoint", text(userinfo_endpoint)),
    }
}

fn claims(claims: &ClaimPaths) -> Shown {
    let text = |path: &Option<String>| path.as_ref().map(|path| Shown::text(path.as_str()));
    Shown::map([])
        .with("subject", text(&claims.subject))
        .with("email", text(&claims.email))
        .with("email_verified", text(&claims.email_verified))
        .with("groups", text(&claims.groups))
        .with("preferred_username", text(&claims.preferred_username))
        .with("name", text(&claims.name))
}

fn upstream(upstream: &UpstreamSettings) -> (String, Shown) {
    let url = match upstream.urls().as_slice() {
        [url] => Shown::text(url.as_str()),
        urls => Shown::texts(urls),
    };
    let http2 = Shown::word(match upstream.protocol {
        Protocol::Http1 => "false",
        Protocol::Http2 => "true",
    });
    let host = match &upstream.host {
        HostPolicy::Preserve => Shown::word("preserve"),
        HostPolicy::Upstream => Shown::word("upstream"),
        HostPolicy::Fixed(host) => Shown::text(String::from_utf8_lossy(host.as_bytes())),
    };
    let headers = upstream.headers.iter().map(|rule| {
        let field = match rule.value {
            IdentityField::Subject => "{sub}",
            IdentityField::Email => "{email}",
            IdentityField::Groups => "{groups}",
            IdentityField::PreferredUsername => "{preferred_username}",
            IdentityField::Name => "{name}",
        };
        (rule.name.as_str().to_owned(), Shown::text(field))
    });
    let shown = Shown::map([
        ("url", url),
        ("http2", http2),
        ("host", host),
        ("headers", Shown::Map(headers.collect())),
        (
            "require_private",
            Shown::word(match upstream.privacy {
                Privacy::Wanted => "false",
                Privacy::Required => "true",
            }),
        ),
    ]);
    let tls = upstream.tls.as_ref().map(upstream_tls);
    (upstream.name.clone(), shown.with("tls", tls))
}

fn upstream_tls(tls: &UpstreamTls) -> Shown {
    let file = |file: &Option<PathBuf>| {
        file.as_ref()
            .map(|file| Shown::text(file.display().to_string()))
    };
    let server_name = tls.server_name.as_ref().map(ToString::to_string);
    let skipped = match tls.verification {
        Verification::Demanded => "false",
        Verification::Skipped => "true",
    };
    Shown::map([("insecure_skip_verification", Shown::word(skipped))])
        .with(
            "ca",
            file(&tls.files.ca).map(|file| Shown::map([("file", file)])),
        )
        .with("server_name", server_name.map(Shown::text))
        .with("certificate", file(&tls.files.certificate))
        .with("key", file(&tls.files.key))
}

fn route(route: &Route, config: &Config) -> Shown {
    let host = match &route.hosts {
        HostRule::Public => config.public_url.origin().host().to_string(),
        HostRule::Any => "*".to_owned(),
        HostRule::One(host) => host.to_string(),
    };
    let path = route
        .path
        .as_ref()
        .map(|path| Shown::text(path.to_string()));
    let methods = route.methods.as_ref().map(|methods| {
        let methods: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
        Shown::texts(&methods)
    });
    let matches = Shown::map([("host", Shown::text(host))])
        .with("path", path)
        .with("methods", methods);
    let upstream = route
        .upstream()
        .and_then(|index| config.upstreams.get(index));
    let access = shown_access::of_route(route);
    let origins: Vec<String> = route
        .websocket_origins
        .iter()
        .map(ToString::to_string)
        .collect();
    let shown = Shown::map([
        ("name", Shown::text(route.name.as_str())),
        ("match", matches),
        ("access", access),
        (
            "write_shield",
            shown_routes::write_shield(&route.write_shield),
        ),
    ])
    .with(
        "shadow_access",
        route.tried_access.as_ref().map(shown_access::of_access),
    )
    .with("cors", route.cors.as_deref().map(shown_routes::cors));
    match route.own_answer().map(shown_routes::own_answer) {
        Some((key, answer)) => shown.with(key, Some(answer)),
        None => shown
            .with(
                "upstream",
                upstream.map(|one| Shown::text(one.name.as_str())),
            )
            .with(
                "websocket",
                Some(Shown::map([("origins", Shown::texts(&origins))])),
            ),
    }
}

fn limits(config: &Config) -> Shown {
    let limits = &config.limits;
    let first = config.upstreams.first();
    Shown::map([
        ("target", size(limits.target)),
        ("header_block", size(limits.header_block)),
        ("header_fields", Shown::word(limits.header_fields)),
        ("header_timeout", span(limits.header_timeout)),
        ("idle_between_bytes", span(limits.idle_between_bytes)),
        ("keep_alive_idle", span(limits.keep_alive_idle)),
        ("websocket_idle", span(limits.websocket_idle)),
        ("connections", Shown::word(limits.connections)),
        ("requests", Shown::word(limits.requests)),
        ("http2_streams", Shown::word(limits.http2_streams)),
    ])
    .with(
        "upstream_connect",
        first.map(|one| span(one.connect_timeout)),
    )
    .with(
        "upstream_first_byte",
        first.map(|one| span(one.first_byte_timeout)),
    )
    .with("drain_delay", Some(span(limits.drain_delay)))
    .with("drain", Some(span(limits.drain)))
}

fn log(config: &Config) -> Shown {
    Shown::map([
        ("format", Shown::word(config.log.format.as_str())),
        ("level", Shown::word(config.log.level.as_str())),
    ])
}

fn hsts(hsts: Hsts) -> Shown {
    let subdomains = hsts.reach != HstsReach::Host;
    let preload = hsts.reach == HstsReach::Preloaded;
    Shown::map([
        ("max_age", span(hsts.max_age)),
        ("include_subdomains", Shown::word(subdomains)),
        ("preload", Shown::word(preload)),
    ])
}

pub(super) fn span(span: Duration) -> Shown {
    Shown::text(humantime::format_duration(span).to_string())
}

fn size(bytes: usize) -> Shown {
    Shown::word(match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Verdict;

    fn environment() -> Environment {
        let key = "Jm8y0m1sSsdUDnRDQj3Yw1H7rN5vKpXc2tB9aLzE4go";
        [("OIDC_CLIENT_SECRET", "hunter2"), ("SESSION_KEY", key)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn good(text: &str) -> Config {
        Verdict::of_text(text, &environment())
            .into_config()
            .unwrap()
    }

    const EXAMPLE: &str = include_str!("../../config.example.yaml");
    const SEVERAL: &str = "public_url: https://dash.test/tools\n\
        trusted_proxies: [10.0.0.0/8, unix]\n\
        listen: [\"unix:/run/x.sock\", \"systemd:http\", \"[::1]:1\"]\n\
        providers:\n\
        \x20 - { id: corp, issuer: \"https://id.test\", client_id: a, client_secret: { env: OIDC_CLIENT_SECRET }, admit: { emails: [\"@ok.test\"], any: [{ groups: [\"a, b\"] }] } }\n\
        \x20 - { id: old, kind: oauth2, authorization_endpoint: \"https://o.test/a\", token_endpoint: \"https://o.test/t\", userinfo_endpoint: \"https://o.test/u\", client_id: \"1\", insecure_trust_email: true, claims: { subject: id } }\n\
        session: { keys: ephemeral, idle: 90m, absolute: 36h 30m }\n\
        upstreams: { a: \"unix:/run/a.sock\", b: { url: \"http://[::1]:3000\", host: b.test, headers: { X-Who: \"{name}\" }, require_private: true } }\n\
        access: { strict: { claims: { \"corp:https://x.test/level: 1\": [\"1\", 1, true], \"corp:department\": sre }, acr: [\"corp:urn:mfa\"], max_age: 1h 5m, addresses: [10.1.0.0/16, \"::1\"], when: \"user.provider == 'corp' && claims.level > 5\", deny: { claims: { \"old:suspended\": true }, any: [{ subjects: [\"corp:x\"] }] } } }\n\
        routes:\n\
        \x20 - { match: { host: \"*\", methods: [GET] }, access: public, upstream: a }\n\
        \x20 - { match: { path: /old/** }, access: optional, redirect: { to: \"https://N.test/x\", status: 308, keep_path: true, keep_query: true } }\n\
        \x20 - { match: { path: /gone }, access: public, respond: { status: 410, body: \"a\\nb\", content_type: text/html, headers: { X-A: b } } }\n\
        \x20 - { match: { path: /closed }, access: public, respond: 404, cors: { origins: [\"*\"], methods: [], max_age: 1h 5s } }\n\
        \x20 - { match: { path: /strict }, access: strict, upstream: a, shadow_access: { groups: [\"corp:x\"] }, write_shield: { mode: shadow, origins: [\"https://y.test:8443\"] } }\n\
        \x20 - { access: { groups: [\"corp:x: y\"], subjects: [\"old:1\"] }, upstream: b, cors: { origins: [\"https://X.test:443\"], preflights: passed, credentials: true, expose: [X-A] } }\n\
        limits: { target: 5000B }\n\
        hsts: { max_age: 400d, include_subdomains: true, preload: true }\n\
        pages: { support: \"yes: \\\"we\\\" can\" }\n";

    // What is shown is all there is: read again, with the secrets put back, it is the same.
    #[test]
    fn what_is_shown_is_a_configuration_and_the_same_one() {
        let stored = |settings: &str| {
            let written = format!(
                "session: {{ {settings}, recheck: 20m, outage_grace: 0s, streams_are_use: false, cookie: {{ persistent: false }},"
            );
            SEVERAL.replace("session: {", &written)
        };
        let others = [
            stored("store: memory, previous_store: disk, disk: { path: /var/x }"),
            stored("disk: { path: /var/x }, single_instance: true"),
            stored("store: disk, disk: { path: /var/x }, max_per_user: 3"),
            stored(
                "store: redis, previous_store: cookie, redis: { url: \"rediss://[::1]:1/2\", username: a, prefix: b }",
            ),
            stored("redis: { url: \"redis+sentinel://a:1,b:2/c\" }"),
            stored("redis: { url: \"rediss+cluster://a,b:2\" }"),
            stored("redis: { url: \"unix:///run/redis.sock\" }"),
        ];
        for text in others.iter().map(String::as_str).chain([EXAMPLE, SEVERAL]) {
            let config = good(text);
            let shown = show(&config).to_string();
            let back = shown
                .replace(
                    "client_secret: \"***\"",
                    "client_secret: { env: OIDC_CLIENT_SECRET }",
                )
                .replace("- \"***\"", "- { env: SESSION_KEY }");
            assert_eq!(
                format!("{:?}", good(&back)),
                format!("{config:?}"),
                "{shown}"
            );
        }
    }

    // T7: the settings in force hold secrets, and what is shown of them does not.
    #[test]
    fn secrets_are_masked() {
        let shown = show(&good(EXAMPLE)).to_string();
        assert!(
            !shown.contains("hunter2") && !shown.contains("Jm8y0m1s"),
            "{shown}"
        );
        assert!(shown.contains("client_secret: \"***\""), "{shown}");
    }
}
