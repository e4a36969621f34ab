//! When a session ends, and when its cookie should be written anew.

use std::time::Duration;

use super::{Session, SessionLimits};
use crate::base::clock::UnixTime;

/// What should happen to a live session's cookie with this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing: the cookie is good as it is.
    Fresh,
    /// Seal it anew: it was sealed under an older key, or a good part of the idle span has passed.
    Reseal,
}

/// Where a session stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Neither limit is reached.
    Live,
    /// One of them is.
    Expired,
}

impl Session {
    /// Where the session stands at `now`, by the limits sealed into it and by today's `limits`,
    /// whichever is the shorter.
    #[must_use]
    pub fn phase(&self, limits: SessionLimits, now: UnixTime) -> Phase {
        let absolute = self
            .absolute_expires_at
            .min(self.started_at.plus(limits.absolute));
        let idle = self.idle_expires_at.min(self.seen_at.plus(limits.idle));
        // Sealed by a clock that ran ahead by more than replicas may differ: not to be believed.
        let from_the_future = self.seen_at > now.plus(CLOCK_SKEW);
        if now >= absolute || now >= idle || from_the_future {
            Phase::Expired
        } else {
            Phase::Live
        }
    }
}

/// How far the clocks of replicas may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
