//! `sidegate config show`: the settings in force, defaults and all, secrets masked.

use std::io;
use std::time::Duration;

use super::yaml::Shown;
use super::{Exit, Start, Streams, check};
use crate::config::environment::Environment;
use crate::config::{Config, SessionKeys};
use crate::gate::access::{Access, Condition, EmailPattern, EmailRule, Named};
use crate::gate::client_address::{ForwardedHeader, UnixPeers};
use crate::gate::routes::{HostRule, Route};
use crate::provider::{
    Admit, AuthMethod, EmailTrust, IdTokenHint, ProviderKind, ProviderSettings, UserInfoUse,
};
use crate::proxy::{HostPolicy, IdentityField, UpstreamAddress, UpstreamSettings};
use crate::server::ListenAddress;
use crate::session::SameSite;

/// What stands for a secret.
const MASKED: &str = "***";

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
        ("session", session(config)),
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
    .with("log", Some(log(config)))
    .with(
        "insecure_public_http",
        Some(insecure("insecure_public_http")),
    )
    .with(
        "insecure_trust_any_proxy",
        Some(insecure("insecure_trust_any_proxy")),
    )
}

fn listen(address: &ListenAddress) -> Shown {
    let text = match address {
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    };
    Shown::map([("address", Shown::text(text))])
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
    let text = |text: &String| Shown::text(text.as_str());
    let head = Shown::map([("id", text(&provider.id))]);
    let head = match &provider.kind {
        ProviderKind::Oidc { issuer, userinfo } => head
            .with("kind", Some(Shown::word("oidc")))
            .with("issuer", Some(text(issuer)))
            .with(
                "userinfo",
                Some(Shown::word(match userinfo {
                    UserInfoUse::WhenNeeded => "when_needed",
                    UserInfoUse::Always => "always",
                    UserInfoUse::Never => "never",
                })),
            ),
        ProviderKind::OAuth2 {
            authorization_endpoint,
            token_endpoint,
            userinfo_endpoint,
        } => head
            .with("kind", Some(Shown::word("oauth2")))
            .with("authorization_endpoint", Some(text(authorization_endpoint)))
            .with("token_endpoint", Some(text(token_endpoint)))
            .with("userinfo_endpoint", Some(text(userinfo_endpoint))),
    };
    let claims = &provider.claims;
    let claims = Shown::map([])
        .with("subject", claims.subject.as_ref().map(text))
        .with("email", claims.email.as_ref().map(text))
        .with("email_verified", claims.email_verified.as_ref().map(text))
        .with("groups", claims.groups.as_ref().map(text))
        .with(
            "preferred_username",
            claims.preferred_username.as_ref().map(text),
        )
        .with("name", claims.name.as_ref().map(text));
    let parameters = provider.authorization_parameters.iter();
    head.with("client_id", Some(text(&provider.client_id)))
        .with(
            "client_secret",
            provider.client_secret.as_ref().map(|_| Shown::text(MASKED)),
        )
        .with("redirect_path", Some(text(&provider.redirect_path)))
        .with(
            "token_endpoint_auth_method",
            Some(Shown::word(match provider.auth_method {
                AuthMethod::Auto => "auto",
                AuthMethod::ClientSecretBasic => "client_secret_basic",
                AuthMethod::ClientSecretPost => "client_secret_post",
                AuthMethod::None => "none",
            })),
        )
        .with("scopes", Some(Shown::texts(&provider.scopes)))
        .with(
            "admit",
            Some(match &provider.admit {
                Admit::Everyone => Shown::word("everyone"),
                Admit::When(one) => condition(one, Names::Bare),
            }),
        )
        .with(
            "ca",
            provider
                .ca
                .as_ref()
                .map(|path| Shown::map([("file", Shown::text(path.display().to_string()))])),
        )
        .with(
            "trusted_audiences",
            Some(Shown::texts(&provider.trusted_audiences)),
        )
        .with("claims", Some(claims))
        .with(
            "authorization_parameters",
            Some(Shown::Map(
                parameters
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect(),
            )),
        )
        .with(
            "id_token_hint",
            Some(Shown::word(match provider.id_token_hint {
                IdTokenHint::Auto => "auto",
                IdTokenHint::Always => "always",
                IdTokenHint::Never => "never",
            })),
        )
        .with(
            "insecure_trust_email",
            Some(Shown::word(
                provider.claims.email_trust == EmailTrust::Provider,
            )),
        )
}

fn session(config: &Config) -> Shown {
    let session = &config.session;
    let keys = match &session.keys {
        SessionKeys::Given(keys) => Shown::List(keys.iter().map(|_| Shown::text(MASKED)).collect()),
        SessionKeys::StateFile(path) => {
            let file = Shown::text(path.display().to_string());
            Shown::List(vec![Shown::map([("file", file)])])
        }
        SessionKeys::Ephemeral => Shown::word("ephemeral"),
    };
    let cookie = Shown::map([
        ("name", Shown::text(session.cookie.name.as_str())),
        (
            "same_site",
            Shown::word(match session.cookie.same_site {
                SameSite::Lax => "lax",
                SameSite::Strict => "strict",
            }),
        ),
    ])
    .with(
        "domain",
        session
            .cookie
            .domain
            .as_ref()
            .map(|name| Shown::text(name.as_str())),
    );
    Shown::map([
        ("keys", keys),
        ("store", Shown::word("cookie")),
        ("idle", span(session.limits.idle)),
        ("absolute", span(session.limits.absolute)),
        ("cookie", cookie),
    ])
}

fn upstream(upstream: &UpstreamSettings) -> (String, Shown) {
    let url = match &upstream.address {
        UpstreamAddress::Unix(path) => format!("unix:{}", path.display()),
        UpstreamAddress::Tcp { host, port } if host.contains(':') => {
            format!("http://[{host}]:{port}")
        }
        UpstreamAddress::Tcp { host, port } => format!("http://{host}:{port}"),
    };
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
        ("url", Shown::text(url)),
        ("host", host),
        ("headers", Shown::Map(headers.collect())),
    ]);
    (upstream.name.clone(), shown)
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
        .map_or_else(|| "/**".to_owned(), ToString::to_string);
    let methods = route.methods.as_ref().map(|methods| {
        let methods: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
        Shown::texts(&methods)
    });
    let matches = Shown::map([("host", Shown::text(host)), ("path", Shown::text(path))])
        .with("methods", methods);
    let upstream = config.upstreams.get(route.upstream);
    let access = match &route.access {
        Access::Public => Shown::word("public"),
        Access::Optional => Shown::word("optional"),
        Access::SignedIn => Shown::word("signed_in"),
        Access::When(one) => condition(one, Names::WithProvider),
    };
    let origins: Vec<String> = route
        .websocket_origins
        .iter()
        .map(ToString::to_string)
        .collect();
    Shown::map([
        ("name", Shown::text(route.name.as_str())),
        ("match", matches),
        ("access", access),
    ])
    .with(
        "upstream",
        upstream.map(|one| Shown::text(one.name.as_str())),
    )
    .with(
        "websocket",
        Some(Shown::map([("origins", Shown::texts(&origins))])),
    )
}

/// Whether names in a condition are written with their provider.
#[derive(Clone, Copy)]
enum Names {
    Bare,
    WithProvider,
}

fn condition(one: &Condition, names: Names) -> Shown {
    let say = |provider: &Option<String>, name: &str| match (names, provider) {
        (Names::WithProvider, Some(provider)) => Shown::text(format!("{provider}:{name}")),
        _ => Shown::text(name),
    };
    let named = |list: &Vec<Named>| {
        Shown::List(
            list.iter()
                .map(|one| say(&one.provider, &one.name))
                .collect(),
        )
    };
    let email = |rule: &EmailRule| match &rule.pattern {
        EmailPattern::Address(address) => say(&rule.provider, address),
        EmailPattern::Domain(domain) => say(&rule.provider, &format!("@{domain}")),
    };
    let emails = |list: &Vec<EmailRule>| Shown::List(list.iter().map(email).collect());
    let any =
        |list: &Vec<Condition>| Shown::List(list.iter().map(|one| condition(one, names)).collect());
    Shown::map([])
        .with("groups", one.groups.as_ref().map(named))
        .with("emails", one.emails.as_ref().map(emails))
        .with("subjects", one.subjects.as_ref().map(named))
        .with("any", one.any.as_ref().map(any))
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
    ])
    .with(
        "upstream_connect",
        first.map(|one| span(one.connect_timeout)),
    )
    .with(
        "upstream_first_byte",
        first.map(|one| span(one.first_byte_timeout)),
    )
    .with("drain", Some(span(limits.drain)))
}

fn log(config: &Config) -> Shown {
    Shown::map([
        ("format", Shown::word(config.log.format.as_str())),
        ("level", Shown::word(config.log.level.as_str())),
    ])
}

fn span(span: Duration) -> Shown {
    Shown::text(humantime::format_duration(span).to_string())
}

fn size(bytes: usize) -> Shown {
    Shown::word(match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    })
}
