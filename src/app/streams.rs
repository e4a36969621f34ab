//! What is open for long: WebSockets, event streams, gRPC streams. Each ends with the session that opened
//! it (security requirements G13, N5, N6); and where that is the operator's wish, the session is in use
//! for as long as one of them is open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::time::{Instant, sleep};

use super::Shared;
use super::generation::Live;
use super::sessions::IdleEnd;
use crate::base::clock::{Clock, UnixTime};
use crate::session::evidence::Evidence;
use crate::session::lifetime::Freshness;
use crate::session::{Session, SessionId, SessionLimits, StreamUse};
use crate::transport::body::Over;

/// The most sessions of which it is known that they are in use.
const MOST: usize = 100_000;
/// A use is written down after this share of the idle span: one sixteenth.
const SHARE: u32 = 16;
/// And no more often than this.
const AT_LEAST: Duration = Duration::from_mins(1);
/// So often is looked whether the wall clock has passed a moment that no timer saw: a machine slept.
const LOOK: Duration = Duration::from_mins(1);

/// Which sessions that have had a stream are in use: of those that travel in their cookies, nobody else
/// can tell.
#[derive(Debug, Default)]
pub struct Streams {
    /// When each ends for want of use.
    ends: Mutex<HashMap<SessionId, UnixTime>>,
}

impl Streams {
    /// When the session of this id ends for want of use, by what was open for it.
    #[must_use]
    pub fn idle_expires_at(&self, id: &SessionId) -> Option<UnixTime> {
        self.ends().get(id).copied()
    }

    /// The evidence, in which a session that only its cookie takes for unused is live.
    #[must_use]
    pub fn judge(&self, evidence: Evidence, limits: SessionLimits, now: UnixTime) -> Evidence {
        let Evidence::Expired(session) = &evidence else {
            return evidence;
        };
        let is_in_use = self
            .idle_expires_at(&session.id)
            .is_some_and(|end| end > now);
        if !is_in_use || session.absolute_expires_in(limits, now).is_zero() {
            return evidence;
        }
        let in_use = Session {
            seen_at: now,
            idle_expires_at: now.plus(limits.idle).min(session.absolute_expires_at),
            ..Session::clone(session)
        };
        Evidence::Session(Arc::new(in_use), Freshness::Reseal)
    }

    /// Takes in that a session was sealed anew, where a stream of it may want to know.
    pub fn note(&self, session: &Session) {
        if let Some(end) = self.ends().get_mut(&session.id) {
            *end = session.idle_expires_at.max(*end);
        }
    }

    fn prolong(&self, id: &SessionId, end: UnixTime, now: UnixTime) {
        let mut ends = self.ends();
        if ends.len() == ends.capacity() {
            // Before it grows.
            ends.retain(|_, end| *end > now);
        }
        if ends.len() < MOST || ends.contains_key(id) {
            let known = ends.entry(id.clone()).or_insert(end);
            *known = end.max(*known);
        }
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<SessionId, UnixTime>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when `session` is over, for a stream that it opens now: by its end, or by being ended.
pub fn over(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    limits: SessionLimits,
    streams: StreamUse,
) -> Over {
    let (shared, session) = (Arc::clone(shared), Arc::clone(session));
    let now = shared.live.clock.now();
    Box::pin(async move {
        let live = &shared.live;
        if session.ticket.is_none() {
            live.streams
                .prolong(&session.id, session.idle_expires_at, now);
        }
        let left = session.absolute_expires_in(limits, now);
        select! {
            () = live.ended.until(&session) => {}
            () = pass(&live.clock, now, left) => {}
            () = unused(live, &session, (limits, streams), now) => {}
        }
    })
}

/// Resolves when the session ends for want of use.
async fn unused(
    live: &Live,
    session: &Session,
    (limits, streams): (SessionLimits, StreamUse),
    mut now: UnixTime,
) {
    let often = (limits.idle / SHARE).max(AT_LEAST).min(limits.idle / 2);
    let mut end = session.idle_expires_at;
    let mut left = session.idle_expires_in(limits, now);
    loop {
        match streams {
            StreamUse::Counts => pass(&live.clock, now, often.min(left)).await,
            StreamUse::Ignored => pass(&live.clock, now, left).await,
        }
        // By requests it may have been in use since.
        let known = match &session.ticket {
            Some(_) => live.sessions.idle_end(session).await,
            None => IdleEnd::At(live.streams.idle_expires_at(&session.id).unwrap_or(end)),
        };
        let last = std::mem::replace(&mut now, live.clock.now());
        match (known, streams) {
            // It is in use, and so has not ended for want of that: its browser has another one by now,
            // with which it ends.
            (IdleEnd::Gone | IdleEnd::At(_), StreamUse::Counts) if is_replaced(known, now, end) => {
                end = now.plus(limits.idle);
                left = limits.idle;
            }
            (IdleEnd::Gone, _) => return,
            (IdleEnd::Unknown, _) => left = LOOK,
            (IdleEnd::At(known), StreamUse::Counts) if known > now => {
                live.sessions.use_on(session, limits).await;
                end = now.plus(limits.idle);
                live.streams.prolong(&session.id, end, now);
                left = limits.idle;
            }
            (IdleEnd::At(known), StreamUse::Ignored) if known > end => {
                // From where the wait before this one should have ended.
                now = last.plus(left);
                left = known.since(end);
                end = known;
            }
            (IdleEnd::At(_), _) => return,
        }
    }
}

/// Whether a session whose use was written down until `end` is no longer in its store at `now`.
fn is_replaced(known: IdleEnd, now: UnixTime, end: UnixTime) -> bool {
    let is_there = matches!(known, IdleEnd::At(known) if known > now);
    !is_there && now < end
}

/// Resolves when `span` has passed from `start`, which was a moment ago, by either clock.
async fn pass(clock: &Clock, start: UnixTime, span: Duration) {
    let (until, end) = (Instant::now().checked_add(span), start.plus(span));
    loop {
        let left = until.map_or(LOOK, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if left.is_zero() || clock.now() >= end {
            return;
        }
        select! {
            () = sleep(left.min(LOOK)) => {}
            () = clock.moved() => {}
        }
    }
}
