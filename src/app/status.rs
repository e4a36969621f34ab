//! What the probes tell: ready or not, and how everything is doing. Nothing personal, no secret.

use std::sync::Arc;

use serde_json::json;

use super::Shared;
use crate::provider::Standing;
use crate::server::drain::{Drained, Stage};
use crate::server::probes::Probed;
use crate::server::worker::Workers;

/// How everything is doing.
#[derive(Debug)]
pub struct Status {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    drained: Drained,
}

impl Status {
    /// The status of a process.
    #[must_use]
    pub fn new(shared: Arc<Shared>, workers: Arc<Workers>, drained: Drained) -> Self {
        Self {
            shared,
            workers,
            drained,
        }
    }
}

impl Probed for Status {
    /// Ready is whoever listens and is not stopping. Whether the provider answers is not asked: a
    /// gate that is taken out of service for it would sign everybody out.
    fn is_ready(&self) -> bool {
        self.drained.stage() == Stage::Open
    }

    fn status(&self) -> String {
        let generation = self.shared.current.load();
        let providers: Vec<_> = generation
            .providers
            .iter()
            .map(|provider| {
                let standing = provider.health().standing();
                let (since, cause) = match &standing {
                    Standing::Unasked => (None, None),
                    Standing::Up { since } => (Some(since.as_seconds()), None),
                    Standing::Down { since, cause } => (Some(since.as_seconds()), Some(cause)),
                };
                json!({ "id": provider.id(), "state": standing.to_string(), "since": since, "cause": cause })
            })
            .collect();
        let insecure: Vec<_> = generation
            .config
            .insecure
            .iter()
            .map(|one| &one.path)
            .collect();
        let seen = self.shared.exposures.seen();
        let upstreams: Vec<_> = seen
            .iter()
            .map(|(name, exposure)| {
                json!({ "name": name, "exposure": exposure.as_str(), "reachable_at": exposure.addresses() })
            })
            .collect();
        let degraded = providers.iter().any(|provider| provider["state"] != "up");
        let status = match (self.drained.stage(), degraded) {
            (Stage::Open, false) => "ok",
            (Stage::Open, true) => "degraded",
            (Stage::Leaving | Stage::Draining | Stage::Ended | Stage::Gone, _) => "draining",
        };
        json!({
            "status": status,
            "version": env!("CARGO_PKG_VERSION"),
            "connections": self.workers.connections(),
            "providers": providers,
            "upstreams": upstreams,
            "certificates": self.shared.certificates.status(self.shared.live.clock.now()),
            "shadow": self.shared.differences.status(),
            "insecure": insecure,
        })
        .to_string()
    }
}
