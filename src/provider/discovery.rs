//! Fetches the provider's metadata in the background, and keeps them while it is down.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use http::header::ACCEPT;

use super::errors::{Stage, WatchError};
use super::{Provider, ProviderKind};
use crate::base::clock::UnixTime;
use crate::oidc::metadata::{ProviderMetadata, well_known_url};
use crate::transport::http_client::{Bounds, HttpClient};

/// The first pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Short enough that a login works within five seconds of the provider's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How often known metadata and keys are fetched anew.
const REFRESH: Duration = Duration::from_hours(1);
/// How long one fetch may take, in all.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// The largest discovery document or key set, in bytes.
pub(super) const DOCUMENT_LIMIT: usize = 256 * 1024;

/// How a provider is doing, for `/status` and for logs.
#[derive(Debug)]
pub struct Health(Mutex<Standing>);

/// How a provider is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known yet, and nothing went wrong.
    Unasked,
    /// It answered.
    Up {
        /// When it last did after not doing so.
        since: UnixTime,
    },
    /// It did not answer, or with something unusable.
    Down {
        /// Since when.
        since: UnixTime,
        /// What is wrong, in words for an operator.
        cause: String,
    },
}

impl Health {
    pub(super) fn new(known: bool, now: UnixTime) -> Self {
        Self(Mutex::new(if known {
            Standing::Up { since: now }
        } else {
            Standing::Unasked
        }))
    }

    /// The present standing.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes an outcome; the log hears of changes only.
    fn note(&self, provider: &str, outcome: Result<(), &WatchError>, now: UnixTime) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (outcome, &*standing) {
            (Ok(()), Standing::Up { .. }) => {}
            (Ok(()), _) => {
                tracing::info!(event = "provider", provider, "provider is answering");
                *standing = Standing::Up { since: now };
            }
            (Err(error), Standing::Down { since, cause }) => {
                let (since, said) = (*since, error.to_string());
                if *cause != said {
                    tracing::warn!(event = "provider", provider, reason = %said, "provider is unusable");
                }
                *standing = Standing::Down { since, cause: said };
            }
            (Err(error), _) => {
                tracing::warn!(event = "provider", provider, reason = %error, "provider is unusable");
                *standing = Standing::Down {
                    since: now,
                    cause: error.to_string(),
                };
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unasked => "unasked",
            Self::Up { .. } => "up",
            Self::Down { .. } => "down",
        })
    }
}

impl Provider {
    /// Keeps metadata and keys: at once, then hourly, and after a failure with growing pauses of at
    /// most four seconds or when a login asks for it. Runs until it is dropped.
    pub async fn watch(self: Arc<Self>) {
        let ProviderKind::Oidc { issuer, .. } = &self.settings.kind else {
            return;
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = self.learn(issuer).await;
            self.health
                .note(self.id(), outcome.as_ref().map(|&()| ()), self.clock.now());
            self.answered.notify_waiters();
            let wait = match outcome {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    REFRESH
                }
                Err(_) => {
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            };
            // A nudge shortens the wait, but never below the first pause: no stampede.
            tokio::time::sleep(FIRST_PAUSE.min(wait)).await;
            let rest = wait.saturating_sub(FIRST_PAUSE);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.nudge.notified() => {}
            }
        }
    }

    /// Waits while the provider was asked for the first time and has neither answered nor failed: a
    /// login in the first moments after a start is no outage.
    pub async fn first_answer(&self) {
        let answered = self.answered.notified(); // before the look, so that nothing falls between
        if self.metadata.load().is_none() && self.health.standing() == Standing::Unasked {
            answered.await;
        }
    }

    async fn learn(&self, issuer: &str) -> Result<(), WatchError> {
        let url = well_known_url(issuer, self.endpoints)?;
        let document = fetch(&self.http, url.as_str(), Stage::Discovery).await?;
        let newer = ProviderMetadata::parse(&document, issuer, self.endpoints)?;
        if let Some(known) = self.metadata.load_full() {
            known.accepts_update(&newer)?;
        }
        if let Some(jwks_uri) = newer.jwks_uri() {
            self.keys.refresh(&self.http, jwks_uri).await?;
        }
        self.metadata.store(Some(Arc::new(newer)));
        Ok(())
    }
}

/// Fetches one JSON document. Redirects are not followed (security requirement B4).
pub(super) async fn fetch(
    http: &HttpClient,
    url: &str,
    stage: Stage,
) -> Result<bytes::Bytes, WatchError> {
    let request = Request::get(url)
        .header(ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|_| WatchError::Request)?;
    let bounds = Bounds {
        total: FETCH_TIME,
        body: DOCUMENT_LIMIT,
    };
    let response = http.exchange(request, bounds).await?;
    match response.status().as_u16() {
        200 => Ok(response.into_body()),
        status => Err(WatchError::Status { stage, status }),
    }
}
