//! How sessions are kept, as `config show` writes it.

use std::path::PathBuf;

use super::config_show::{MASKED, span};
use super::yaml::Shown;
use crate::config::{Config, SessionKeys, StoreKind, StoreSettings};
use crate::session::{CookieKept, SameSite, StreamUse};
use crate::store::redis::RedisSettings;

/// `session`.
pub(super) fn session(config: &Config) -> Shown {
    let session = &config.session;
    let store = &session.store;
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
            "persistent",
            Shown::word(session.cookie.kept == CookieKept::UntilTheEnd),
        ),
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
        ("store", Shown::word(kind(&store.current))),
        ("idle", span(session.limits.idle)),
        ("absolute", span(session.limits.absolute)),
        ("recheck", span(session.limits.recheck)),
        ("outage_grace", span(session.limits.outage_grace)),
        (
            "streams_are_use",
            Shown::word(session.streams == StreamUse::Counts),
        ),
        ("cookie", cookie),
        ("single_instance", Shown::word(store.single_instance)),
    ])
    .with("max_per_user", session.max_per_user.map(Shown::word))
    .with("redis", store.shared.as_ref().map(redis))
    .with(
        "previous_store",
        store.previous.as_ref().map(|one| Shown::word(kind(one))),
    )
    .with("disk", disk(store))
}

/// The word for where sessions are kept.
fn kind(kind: &StoreKind) -> &'static str {
    match kind {
        StoreKind::Cookie => "cookie",
        StoreKind::Memory => "memory",
        StoreKind::Disk(_) => "disk",
        StoreKind::Redis(_) => "redis",
    }
}

fn redis(redis: &RedisSettings) -> Shown {
    let ca = redis.tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
    let file = |path: &PathBuf| Shown::map([("file", Shown::text(path.display().to_string()))]);
    Shown::map([
        ("url", Shown::text(redis.url())),
        ("prefix", Shown::text(redis.prefix.as_str())),
    ])
    .with("username", redis.username.as_deref().map(Shown::text))
    .with(
        "password",
        redis.password.as_ref().map(|_| Shown::text(MASKED)),
    )
    .with("ca", ca.map(file))
}

/// The one file of whatever is kept on disk.
fn disk(store: &StoreSettings) -> Option<Shown> {
    let of = |kind: &StoreKind| match kind {
        StoreKind::Disk(path) => Some(path.clone()),
        StoreKind::Cookie | StoreKind::Memory | StoreKind::Redis(_) => None,
    };
    let path = of(&store.current)
        .or_else(|| store.previous.as_ref().and_then(of))
        .or_else(|| store.endings.clone())?;
    let path = Shown::text(path.display().to_string());
    Some(Shown::map([("path", path)]))
}
