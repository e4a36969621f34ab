//! The certificates that our listeners show: read at the start, looked after while the process runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::start::StartError;
use crate::base::certificate::CertificateFacts;
use crate::base::clock::{Clock, UnixTime};
use crate::server::ListenSettings;
use crate::transport::server_tls::Tls;

/// How often the files are looked at: soon enough for a renewal, and cheap, since nothing is read of
/// files that did not change.
const LOOK: Duration = Duration::from_secs(5);
/// How long before its end a certificate is warned of.
const SOON: Duration = Duration::from_hours(14 * 24);
/// How often it is warned of.
const REMIND: Duration = Duration::from_hours(24);

/// What all listeners of a process show.
#[derive(Debug, Default)]
pub struct Certificates(Vec<Option<Arc<Tls>>>);

impl Certificates {
    /// Reads the certificates of `listen`, which are good at `now`.
    ///
    /// # Errors
    /// [`StartError::Listen`] with what is wrong with which file; nothing is served with less.
    pub fn load(listen: &[ListenSettings], now: UnixTime) -> Result<Self, StartError> {
        let load = |one: &ListenSettings| match &one.tls {
            None => Ok(None),
            Some(tls) => match Tls::load(tls.clone(), now) {
                Ok(tls) => Ok(Some(Arc::new(tls))),
                Err(cause) => Err(StartError::ListenTls {
                    address: one.address.to_string(),
                    cause,
                }),
            },
        };
        listen.iter().map(load).collect::<Result<_, _>>().map(Self)
    }

    /// How TLS is spoken at the listener with this index, if it is.
    #[must_use]
    pub fn at(&self, entrance: usize) -> Option<Arc<Tls>> {
        self.0.get(entrance).cloned().flatten()
    }

    fn facts(&self) -> Vec<CertificateFacts> {
        let all = self.0.iter().flatten();
        all.flat_map(|tls| tls.facts()).collect()
    }

    /// Takes what changed on disk and is good at `now`; says what was taken, and gives the words for
    /// what could not be.
    pub fn look(&self, now: UnixTime) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        for tls in self.0.iter().flatten() {
            let looked = tls.look(now);
            for facts in &looked.replaced {
                tracing::info!(
                    event = "certificate",
                    names = %names(facts),
                    ends = facts.ends.as_seconds(),
                    fingerprint = %facts.fingerprint,
                    "a certificate was replaced"
                );
            }
            if looked.roots_replaced {
                tracing::info!(
                    event = "certificate",
                    "the roots for client certificates were replaced"
                );
            }
            kept.extend(looked.kept.iter().map(ToString::to_string));
        }
        kept
    }

    /// The certificates for `/status`, each with its end.
    #[must_use]
    pub fn status(&self, now: UnixTime) -> Vec<Value> {
        let state = |facts: &CertificateFacts| match facts.left(now) {
            None => "ended",
            Some(left) if left <= SOON => "ends_soon",
            Some(_) => "good",
        };
        self.facts()
            .iter()
            .map(|facts| {
                json!({
                    "names": facts.shown().collect::<Vec<_>>(),
                    "ends": facts.ends.as_seconds(),
                    "state": state(facts),
                })
            })
            .collect()
    }

    /// Warns of those that have ended at `now` or soon will.
    pub fn remind(&self, now: UnixTime) {
        for facts in self.facts() {
            let words = match facts.left(now) {
                None => "a certificate has ended: browsers refuse it",
                Some(left) if left <= SOON => "a certificate ends soon",
                Some(_) => continue,
            };
            tracing::warn!(
                event = "certificate_ends",
                names = %names(&facts),
                ends = facts.ends.as_seconds(),
                "{words}"
            );
        }
    }
}

fn names(facts: &CertificateFacts) -> String {
    facts.shown().collect::<Vec<_>>().join(" ")
}

/// Looks after them until it is dropped.
pub async fn follow(certificates: Arc<Certificates>, clock: Clock) {
    let mut told = BTreeSet::new();
    let mut reminded = clock.now();
    certificates.remind(reminded);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = clock.now();
        let kept = certificates.look(now);
        for words in kept.difference(&told) {
            warn_of(words);
        }
        told = kept;
        if now.since(reminded) >= REMIND {
            certificates.remind(now);
            reminded = now;
        }
    }
}

/// Tells that what is on disk cannot be used.
pub fn warn_of(words: &str) {
    tracing::warn!(
        event = "certificate_kept",
        reason = words,
        "a certificate on disk cannot be used yet: the one before stays, and the files are looked at again"
    );
}
