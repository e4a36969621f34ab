//! What a reload swaps whole: [`Generation`]. What it must not lose: [`Live`].

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::app::claim_once::Claims;
use crate::app::ended_sessions::EndedSessions;
use crate::app::pages::Pages;
use crate::app::renewal::Renewals;
use crate::app::sessions::Sessions;
use crate::app::start::StartError;
use crate::app::streams::Streams;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::keyring::{Keyring, SessionKey};
use crate::config::Config;
use crate::gate::access::Verdict;
use crate::gate::{Callback, Gate};
use crate::provider::{Provider, ProviderSettings};
use crate::session::evidence::Evidence;
use crate::session::names::CookieNames;
use crate::transport::http_client::HttpClient;

/// Rules, keys and pages as one configuration has them. A request finishes under the generation
/// that admitted it.
#[derive(Debug)]
pub struct Generation {
    /// The configuration it was built from.
    pub config: Config,
    /// The decision.
    pub gate: Gate,
    /// What seals and opens.
    pub keyring: Arc<Keyring>,
    /// Our cookies' names.
    pub names: CookieNames,
    /// The providers, in the operator's order.
    pub providers: Vec<Arc<Provider>>,
    /// Our pages.
    pub pages: Pages,
    hsts: Option<HeaderValue>,
}

/// So many logins talk to a provider at a time; who comes then tries again in a moment.
const MOST_FINISHING: usize = 256;

/// What outlives a reload.
#[derive(Debug)]
pub struct Live {
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
    /// The session key of a gate that was told to keep none, for as long as the process lives.
    pub ephemeral_key: OnceLock<SessionKey>,
    /// How many logins may be finished at a time.
    pub finishing: Arc<Semaphore>,
    /// Acts that happen once.
    pub claims: Claims,
    /// Renewals under way, and what came of them.
    pub renewals: Arc<Renewals>,
    /// Sessions that were ended before their time.
    pub ended: Arc<EndedSessions>,
    /// Sessions that have had something open.
    pub streams: Streams,
    /// Sessions that are kept in a store.
    pub sessions: Arc<Sessions>,
    /// The control runtime: provider calls run there, whatever becomes of the request.
    pub control: Handle,
    watched: Mutex<Vec<Watched>>,
}

/// A provider and the task that keeps its metadata and keys.
#[derive(Debug)]
struct Watched {
    provider: Arc<Provider>,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// Nothing learned yet but the `sessions` and which of them were `ended`; `control` is where providers are talked to.
    #[must_use]
    pub fn new(
        clock: Clock,
        control: Handle,
        ended: Arc<EndedSessions>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self {
            renewals: Arc::new(Renewals::new(
                clock.clone(),
                control.clone(),
                Arc::clone(&ended),
                Arc::clone(&sessions),
            )),
            ended,
            streams: Streams::default(),
            sessions,
            clock,
            entropy: Entropy::system(),
            ephemeral_key: OnceLock::new(),
            finishing: Arc::new(Semaphore::new(MOST_FINISHING)),
            claims: Claims::default(),
            control,
            watched: Mutex::new(Vec::new()),
        }
    }

    /// The providers of `config`: those whose settings did not change stay as they are, with all
    /// that was learned of them; the others begin anew.
    fn providers(&self, config: &Config) -> Result<Vec<Arc<Provider>>, StartError> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = Vec::with_capacity(config.providers.len());
        for settings in &config.providers {
            let same = |one: &&Watched| same_settings(one.provider.settings(), settings);
            let found = watched.iter().find(same);
            let provider = match found {
                Some(one)
                    if one.provider.redirect_uri()
                        == config.public_url.join(&settings.redirect_path) =>
                {
                    Arc::clone(&one.provider)
                }
                _ => {
                    let http = HttpClient::new(settings.ca.as_deref(), settings.reach())?;
                    let clock = self.clock.clone();
                    Arc::new(Provider::new(
                        settings.clone(),
                        &config.public_url,
                        http,
                        clock,
                    )?)
                }
            };
            kept.push(provider);
        }
        let is_kept = |one: &Watched| kept.iter().any(|kept| Arc::ptr_eq(kept, &one.provider));
        watched.retain(is_kept);
        for provider in &kept {
            if !watched
                .iter()
                .any(|one| Arc::ptr_eq(&one.provider, provider))
            {
                let task = self
                    .control
                    .spawn(Arc::clone(provider).watch())
                    .abort_handle();
                watched.push(Watched {
                    provider: Arc::clone(provider),
                    task,
                });
            }
        }
        drop(watched);
        Ok(kept)
    }
}

/// Secrets do not compare with `==`, and everything else prints what it is.
fn same_settings(one: &ProviderSettings, other: &ProviderSettings) -> bool {
    let secrets = match (&one.client_secret, &other.client_secret) {
        (None, None) => true,
        (Some(one), Some(other)) => one.equals(other.expose()),
        _ => false,
    };
    secrets && format!("{one:?}") == format!("{other:?}")
}

impl Generation {
    /// Builds everything that `config` says; `keys` are the session keys it leads to.
    ///
    /// # Errors
    /// [`StartError`] for what only building can find. Nothing of the generation before is touched.
    pub fn build(config: Config, keys: &[SessionKey], live: &Live) -> Result<Self, StartError> {
        let callbacks = config
            .providers
            .iter()
            .map(|provider| Callback {
                path: provider.redirect_path.clone(),
                provider: provider.id.clone(),
            })
            .collect();
        let mut client_ids: Vec<&str> = config
            .providers
            .iter()
            .map(|provider| provider.client_id.as_str())
            .collect();
        client_ids.sort_unstable(); // their order in the file is nobody's reason to sign in again
        let names = CookieNames::new(
            &config.session.cookie,
            &config.public_url,
            &client_ids.join("\n"),
        )?;
        Ok(Self {
            gate: Gate::new(
                config.public_url.clone(),
                &config.prefix,
                callbacks,
                config.routes.clone(),
            ),
            keyring: Arc::new(Keyring::new(keys)?),
            names,
            providers: live.providers(&config)?,
            pages: Pages::new(&config.pages, &config.public_url, &config.prefix)?
                .embedded_in(&config.login.embed_origins),
            hsts: config
                .hsts
                .and_then(|hsts| HeaderValue::try_from(hsts.value()).ok()),
            config,
        })
    }

    /// Writes what every answer says, whoever gives it: what the app says of the whole host does not
    /// count where the operator has spoken.
    pub fn sign(&self, headers: &mut HeaderMap) {
        if let Some(hsts) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    /// The provider with this id.
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.id() == id)
    }

    /// The evidence, as far as this generation accepts it: a session counts only while the provider
    /// that vouched for it is configured, is the same issuer, and admits the person. What a reload
    /// tightened holds from the next request on.
    #[must_use]
    pub fn accepted(&self, evidence: Evidence) -> Evidence {
        let (Evidence::Session(session, _) | Evidence::Unheard(session, _)) = &evidence else {
            return evidence;
        };
        let vouched = self.provider(&session.provider).is_some_and(|provider| {
            provider.issuer() == session.identity.issuer
                && provider.admits(&session.identity) == Verdict::Met
        });
        if vouched {
            evidence
        } else {
            Evidence::Expired(Arc::clone(session))
        }
    }

    /// The absolute URL of one of our own endpoints, such as `sign_out`.
    #[must_use]
    pub fn endpoint_url(&self, name: &str) -> String {
        self.config
            .public_url
            .join(&format!("{}/{name}", self.config.prefix))
    }
}
