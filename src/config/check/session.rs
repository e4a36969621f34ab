//! `session`: how sessions are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::providers::Public;
use super::secret::secret;
use super::settings::positive;
use super::{Findings, authorities};
use crate::base::keyring::{SessionKey, SessionKeyError};
use crate::base::origin::PublicUrl;
use crate::config::tree::Path;
use crate::config::written::ConfigFile;
use crate::config::written::session::{
    CookieWritten, KeysWritten, RedisWritten, SameSiteWritten, SessionWritten, StoreWritten,
};
use crate::config::written::values::Span;
use crate::config::{SessionKeys, SessionSettings, StoreKind, StoreSettings};
use crate::session::names::{CookieNames, CookieNamesError};
use crate::session::{CookieKept, CookieSettings, SameSite, SessionLimits, StreamUse};
use crate::store::redis::RedisSettings;
use crate::store::redis::settings::Prefix;

/// The default of `idle`.
const IDLE: Duration = Duration::from_hours(8);
/// The default of `absolute`.
const ABSOLUTE: Duration = Duration::from_hours(24);
/// The default of `recheck`.
const RECHECK: Duration = Duration::from_mins(15);
/// The least of it.
const RECHECK_AT_LEAST: Duration = Duration::from_mins(1);
/// The default of `outage_grace`.
const OUTAGE_GRACE: Duration = Duration::from_hours(1);
/// The default of `cookie.name`.
const COOKIE: &str = "sidegate";
/// The most of `max_per_user`.
const MOST_PER_USER: u64 = 100;
/// The name of the key file in the state directory.
const KEY_FILE: &str = "session-key";
/// The name of the file that holds sessions, in the same folder.
const STORE_FILE: &str = "sessions";

/// `session`.
pub(super) fn check(
    file: &ConfigFile,
    public_url: Option<&PublicUrl>,
    findings: &mut Findings<'_>,
) -> Option<SessionSettings> {
    let here = Path::root("session");
    let written = file.session.clone().unwrap_or_default();
    let limits = limits(&written, &here, findings);
    let cookie = cookie(
        written.cookie.clone().unwrap_or_default(),
        public_url,
        findings,
    );
    let public = Public {
        url: public_url,
        prefix: None,
    };
    let store = stores(&written, &here, &public, findings);
    let max_per_user = max_per_user(&written, &here.key("max_per_user"), findings);
    let keys = keys(written.keys.as_ref(), &public, findings);
    Some(SessionSettings {
        keys: keys?,
        limits,
        cookie: cookie?,
        store: store?,
        streams: match written.streams_are_use {
            None | Some(true) => StreamUse::Counts,
            Some(false) => StreamUse::Ignored,
        },
        max_per_user,
    })
}

fn max_per_user(
    written: &SessionWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Option<usize> {
    let most = written.max_per_user?;
    if !(1..=MOST_PER_USER).contains(&most) {
        let remedy = format!("write a number from 1 to {MOST_PER_USER}");
        findings.fault(here, "not a number of sessions to keep to", remedy);
    } else if written.store.unwrap_or(StoreWritten::Cookie) == StoreWritten::Cookie {
        let remedy = "write `store: memory`, `disk` or `redis`, or take the key away";
        findings.fault(here, "sessions in cookies cannot be counted", remedy);
    }
    usize::try_from(most).ok()
}

fn stores(
    written: &SessionWritten,
    here: &Path,
    public: &Public<'_>,
    findings: &mut Findings<'_>,
) -> Option<StoreSettings> {
    let current = written.store.unwrap_or(StoreWritten::Cookie);
    let previous = written.previous_store;
    let key = here.key("previous_store");
    if previous == Some(current) {
        findings.fault(
            &key,
            "this is where sessions are kept now",
            "name the store that people move away from, or take the key away",
        );
    } else if previous == Some(StoreWritten::Memory) {
        findings.fault(
            &key,
            "what was kept in memory is gone with the process that had it",
            "take the key away",
        );
    }
    let uses_disk = [Some(current), previous].contains(&Some(StoreWritten::Disk));
    // Beside cookies it keeps which sessions were ended, unless all gates are told of those.
    let keeps_endings = current == StoreWritten::Cookie && written.redis.is_none();
    if written.disk.is_some() && !uses_disk && !keeps_endings {
        findings.warn(
            &here.key("disk"),
            "nothing is kept there: neither `store` nor `previous_store` is `disk`",
            "take the key away, or write `store: disk`",
        );
    }
    let endings = match &written.disk {
        Some(_) if keeps_endings => Some(disk_path(written, here, findings)?),
        _ => None,
    };
    let redis = (written.redis.as_ref())
        .map(|redis| redis_settings(redis, &here.key("redis"), public, findings));
    let mut place = |kind| store(kind, written, here, redis.as_ref(), findings);
    let current_kind = place(current);
    let previous = match previous {
        Some(kind) => Some(place(kind)?),
        None => None,
    };
    Some(StoreSettings {
        current: current_kind?,
        previous,
        shared: match redis {
            None => None,
            Some(settings) => Some(settings?),
        },
        endings,
        single_instance: written.single_instance.unwrap_or(false),
    })
}

fn redis_settings(
    written: &RedisWritten,
    here: &Path,
    public: &Public<'_>,
    findings: &mut Findings<'_>,
) -> Option<RedisSettings> {
    let url = here.key("url");
    let mut settings = match RedisSettings::parse(&written.url) {
        Ok(settings) => settings,
        Err(error) => {
            let remedy = "write `rediss://HOST:6379`, or what docs/STORES.md has";
            findings.fault(&url, error.to_string(), remedy);
            return None;
        }
    };
    if settings.password.is_some() {
        findings.fault(
            &url,
            "a password stands in the address",
            "write `username` and `password: { file: PATH }` beside it",
        );
        return None;
    }
    settings.username = written.username.clone().or(settings.username);
    if let Some(source) = &written.password {
        settings.password = Some(secret(source, &here.key("password"), public, findings)?);
    }
    if let Some(ca) = &written.ca {
        let path = here.key("ca");
        let Some(tls) = &mut settings.tls else {
            findings.fault(
                &path,
                "there is no TLS to this address, and so nothing to vouch for",
                "write `rediss://`, or take the key away",
            );
            return None;
        };
        if !authorities::are_good(ca, &path, findings) {
            return None;
        }
        tls.ca = std::fs::read(&ca.file).ok();
        tls.ca_file = Some(ca.file.clone());
    }
    if let Some(prefix) = &written.prefix {
        match Prefix::parse(prefix) {
            Ok(prefix) => settings.prefix = prefix,
            Err(error) => {
                let remedy = "write one word, such as `sidegate`";
                findings.fault(&here.key("prefix"), error.to_string(), remedy);
                return None;
            }
        }
    }
    Some(settings)
}

fn store(
    kind: StoreWritten,
    written: &SessionWritten,
    here: &Path,
    redis: Option<&Option<RedisSettings>>,
    findings: &mut Findings<'_>,
) -> Option<StoreKind> {
    match kind {
        StoreWritten::Cookie => Some(StoreKind::Cookie),
        StoreWritten::Memory => Some(StoreKind::Memory),
        StoreWritten::Disk => Some(StoreKind::Disk(disk_path(written, here, findings)?)),
        StoreWritten::Redis => match redis {
            Some(settings) => Some(StoreKind::Redis(Box::new(settings.clone()?))),
            None => {
                findings.fault(
                    &here.key("redis"),
                    "nobody says where Redis is",
                    "write `redis: { url: rediss://HOST:6379 }`",
                );
                None
            }
        },
    }
}

fn disk_path(
    written: &SessionWritten,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Option<PathBuf> {
    let path = written.disk.as_ref().and_then(|disk| disk.path.clone());
    let folder = findings.environment().state_directory();
    let path = path.or_else(|| Some(folder?.join(STORE_FILE)));
    if path.is_none() {
        findings.fault(
            &here.key("disk"),
            "there is no state directory to keep sessions in",
            "write `disk: { path: PATH }`, or set STATE_DIRECTORY",
        );
    }
    path
}

fn limits(written: &SessionWritten, here: &Path, findings: &mut Findings<'_>) -> SessionLimits {
    let idle = positive(written.idle, &here.key("idle"), findings);
    let absolute = positive(written.absolute, &here.key("absolute"), findings).unwrap_or(ABSOLUTE);
    if let Some(idle) = idle.filter(|idle| *idle > absolute) {
        findings.warn(
            &here.key("idle"),
            "a session ends before this, by `absolute`",
            format!(
                "write no more than `{}`",
                humantime::format_duration(absolute.min(idle))
            ),
        );
    }
    let recheck = positive(written.recheck, &here.key("recheck"), findings);
    if recheck.is_some_and(|recheck| recheck < RECHECK_AT_LEAST) {
        findings.fault(
            &here.key("recheck"),
            "so short that people would be sent to the provider again before they are back",
            "write `1m` or more",
        );
    }
    SessionLimits {
        idle: idle.unwrap_or(IDLE).min(absolute),
        absolute,
        recheck: recheck.unwrap_or(RECHECK),
        outage_grace: written.outage_grace.map_or(OUTAGE_GRACE, |Span(span)| span),
    }
}

fn keys(
    written: Option<&KeysWritten>,
    public: &Public<'_>,
    findings: &mut Findings<'_>,
) -> Option<SessionKeys> {
    let here = Path::root("session").key("keys");
    let sources = match written {
        Some(KeysWritten::Word(_)) => return Some(SessionKeys::Ephemeral),
        None => {
            let folder = findings.environment().state_directory();
            if folder.is_none() {
                findings.fault(
                    &here,
                    "there is no session key and no state directory to make one in",
                    "write `keys: [{ file: PATH }]` after `sidegate keygen --out PATH`, or set STATE_DIRECTORY, or write `keys: ephemeral`",
                );
            }
            return Some(SessionKeys::StateFile(folder?.join(KEY_FILE)));
        }
        Some(KeysWritten::Sources(sources)) => sources,
    };
    if sources.is_empty() {
        findings.fault(
            &here,
            "there is no key in this list",
            "add one, or take the key `keys` away",
        );
        return None;
    }
    let mut keys: Vec<SessionKey> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let item = here.index(index);
        let Some(text) = secret(source, &item, public, findings) else {
            continue;
        };
        match SessionKey::parse_file(text.expose()) {
            Ok(some) => keys.extend(some),
            Err(error) => {
                let what = match error {
                    SessionKeyError::Form => {
                        "not a session key: one line of base64url that holds exactly 32 bytes"
                    }
                    SessionKeyError::NotRandom => "this session key is not random",
                    SessionKeyError::Empty => "there is no session key in it",
                };
                findings.fault(&item, what, "make one with `sidegate keygen --out PATH`");
            }
        }
    }
    Some(SessionKeys::Given(keys))
}

fn cookie(
    written: CookieWritten,
    public_url: Option<&PublicUrl>,
    findings: &mut Findings<'_>,
) -> Option<CookieSettings> {
    let here = Path::root("session").key("cookie");
    if written.same_site == Some(SameSiteWritten::Strict) {
        // A browser does not send such a cookie on the way back from the provider: every login would
        // seem to bring no session.
        findings.fault(
            &here.key("same_site"),
            "not yet: a `strict` cookie does not come back after a login",
            "write `lax`, which browsers send on links to this site and on nothing else of others",
        );
    }
    let settings = CookieSettings {
        name: written.name.unwrap_or_else(|| COOKIE.to_owned()),
        same_site: match written.same_site {
            None | Some(SameSiteWritten::Lax) => SameSite::Lax,
            Some(SameSiteWritten::Strict) => SameSite::Strict,
        },
        domain: written.domain,
        kept: match written.persistent {
            None | Some(true) => CookieKept::UntilTheEnd,
            Some(false) => CookieKept::WithTheBrowser,
        },
    };
    // What the names are bound to makes no difference to whether a browser would take them.
    match CookieNames::new(&settings, public_url?, "") {
        Ok(_) => return Some(settings),
        Err(error @ CookieNamesError::Name) => findings.fault(
            &here.key("name"),
            "not a name that browsers take",
            error.to_string(),
        ),
        Err(error @ CookieNamesError::Domain) => findings.fault(
            &here.key("domain"),
            "browsers would not take this domain",
            error.to_string(),
        ),
        Err(error @ CookieNamesError::Path) => findings.fault(
            &Path::root("public_url"),
            error.to_string(),
            "write a shorter path",
        ),
    }
    None
}
