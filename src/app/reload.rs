//! A new generation in place of the old one: checked first, built whole, swapped at once. Whatever
//! is wrong with it changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::Shared;
use super::audit::{AuditEvent, Reload};
use super::certificates;
use super::exposure::Telling;
use super::generation::Generation;
use super::iso_time::Timestamp;
use super::start::{StartError, session_keys};
use crate::config::{Config, StoreSettings};

/// How often the files are looked at. Polling survives the swapped symbolic links of Kubernetes,
/// bind mounts and network file systems.
const POLL: Duration = Duration::from_secs(5);

/// What a file was when it was last looked at; nothing for one that cannot be read.
type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Swaps in what `config` says.
///
/// # Errors
/// [`StartError`]; then the generation before goes on.
pub fn apply(config: Config, shared: &Shared) -> Result<(), StartError> {
    let before = shared.current.load();
    if before.config.listen != config.listen
        || before.config.probes != config.probes
        || before.config.admin != config.admin
        || before.config.limits != config.limits
        || !same_stores(&before.config.session.store, &config.session.store)
    {
        tracing::warn!(
            event = "config_reload",
            "listen, probes, admin, limits and the store of sessions take effect at the next start"
        );
    }
    let seen = shared.exposures.judge(&config.upstreams)?;
    let keys = session_keys(&config.session.keys, &shared.live)?;
    let generation = Generation::build(config, &keys, &shared.live)?;
    let keyring = Arc::clone(&generation.keyring);
    shared.live.sessions.seal_with(keyring);
    shared.current.store(Arc::new(generation));
    shared.exposures.remember(seen, Telling::All);
    Ok(())
}

/// Secrets do not compare with `==`, and a new password of a store is no reason to warn.
fn same_stores(one: &StoreSettings, other: &StoreSettings) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Loads the file at `path` anew and swaps it in, and says in the log how that went. Certificates are
/// looked at as well: whoever asks for this has replaced one, as often as not.
pub fn reload(path: &Path, shared: &Shared) {
    for words in shared.certificates.look(shared.live.clock.now()) {
        certificates::warn_of(&words);
    }
    match Config::load(path) {
        Err(faults) => tell(shared, Reload::Refused(&faults.to_string())),
        Ok(config) => match apply(config, shared) {
            Err(error) => tell(shared, Reload::Refused(&error.to_string())),
            Ok(()) => tell(shared, Reload::Taken),
        },
    }
}

fn tell(shared: &Shared, outcome: Reload<'_>) {
    shared
        .audit
        .write(Timestamp::now(), None, &AuditEvent::ConfigReload(outcome));
}

/// Reloads whenever one of the files of the configuration changes. Runs until it is dropped.
pub async fn follow_files(path: PathBuf, shared: Arc<Shared>) {
    let mut known = contents(&shared.current.load().config.sources);
    loop {
        tokio::time::sleep(POLL).await;
        let sources = shared.current.load().config.sources.clone();
        let found = contents(&sources);
        if found != known {
            reload(&path, &shared);
            known = contents(&shared.current.load().config.sources);
            // A file that is broken now is tried again when it changes, not every time.
            known.extend(found.into_iter().filter(|(path, _)| sources.contains(path)));
        }
    }
}

fn contents(sources: &[PathBuf]) -> Contents {
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).ok()?;
        Some(digest(&SHA256, &bytes).as_ref().to_vec())
    };
    sources
        .iter()
        .map(|path| (path.clone(), read(path)))
        .collect()
}
