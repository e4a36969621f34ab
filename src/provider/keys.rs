//! Keeps the provider's key set; fetches it anew for an unknown key, one at a time and not often.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::discovery::fetch;
use super::errors::{Stage, WatchError};
use crate::base::clock::{Clock, UnixTime};
use crate::oidc::endpoint::Endpoint;
use crate::oidc::jwks::Jwks;
use crate::transport::http_client::HttpClient;

/// Unknown keys lead to no more than [`BURST`] fetches in this span: enough for a rotation between
/// two logins and one right before signing, too little to be a weapon (security requirement D2).
const COOL_DOWN: Duration = Duration::from_secs(30);
const BURST: usize = 2;
/// Keys that were not confirmed for this long are no longer believed (security requirement D4).
const MAX_STALE: Duration = Duration::from_hours(24);

/// The key set of one provider.
pub(super) struct Keys {
    known: ArcSwapOption<Known>,
    /// The times of the last fetches for an unknown key, the newest last. Whoever holds the lock is
    /// fetching, so that all others wait for the same answer (security requirement D3).
    fetches: Mutex<Vec<UnixTime>>,
    clock: Clock,
}

/// A key set, and when it was confirmed.
pub(super) struct Known {
    pub(super) jwks: Jwks,
    confirmed_at: UnixTime,
}

impl Keys {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            known: ArcSwapOption::empty(),
            fetches: Mutex::new(Vec::new()),
            clock,
        }
    }

    /// The keys, unless none are known or the last confirmation is too long ago.
    pub(super) fn current(&self) -> Option<Arc<Known>> {
        let known = self.known.load_full()?;
        (self.clock.now().since(known.confirmed_at) <= MAX_STALE).then_some(known)
    }

    /// Fetches the set. What does not parse changes nothing.
    pub(super) async fn refresh(
        &self,
        http: &HttpClient,
        jwks_uri: &Endpoint,
    ) -> Result<(), WatchError> {
        let document = fetch(http, jwks_uri.as_str(), Stage::Keys).await?;
        let jwks = Jwks::parse(&document)?;
        let confirmed_at = self.clock.now();
        self.known
            .store(Some(Arc::new(Known { jwks, confirmed_at })));
        Ok(())
    }

    /// The keys to try after `tried` did not have the right one; nothing where a fetch is not
    /// allowed yet or brought nothing.
    pub(super) async fn newer_than(
        &self,
        tried: Option<&Arc<Known>>,
        http: &HttpClient,
        jwks_uri: &Endpoint,
    ) -> Option<Arc<Known>> {
        let mut fetches = self.fetches.lock().await;
        let known = self.current();
        let is_newer = |known: &Arc<Known>| tried.is_none_or(|tried| !Arc::ptr_eq(tried, known));
        if let Some(known) = known.filter(is_newer) {
            return Some(known);
        }
        let now = self.clock.now();
        fetches.retain(|&at| now.since(at) < COOL_DOWN && at <= now);
        if fetches.len() >= BURST {
            return None;
        }
        fetches.push(now);
        match self.refresh(http, jwks_uri).await {
            Ok(()) => self.current(),
            Err(error) => {
                tracing::warn!(event = "provider", reason = %error, "key set not fetched");
                None
            }
        }
    }
}
