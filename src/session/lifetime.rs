//! When a session begins and ends, and when its cookie should be written anew.
//!
//! Both limits live in the sealed session, never in `Max-Age`, which a user agent may ignore. Every
//! end is the earlier of the one sealed in and the one that today's limits give, so a limit that
//! an operator shortens holds at once, and none is ever lengthened for a session that exists.

use std::sync::Arc;
use std::time::Duration;

use super::groups::SessionGroups;
use super::{Grant, Session, SessionId, SessionLimits};
use crate::base::clock::UnixTime;
use crate::base::keyring::SealedBy;
use crate::base::secret::Secret;
use crate::oidc::claims::Identity;

/// How far the clocks of replicas may differ.
pub(super) const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// For so long nobody is sent to sign in again in the same way.
const STEPPING_UP: Duration = Duration::from_mins(1);
/// How far a clock may be set back without ending the sessions that it sealed before; each lives as much
/// longer. A clock that was wrong by more makes none immortal.
const SET_BACK: Duration = Duration::from_mins(65);
/// The share of the idle span that may pass before a use is written down: one sixteenth. A session
/// can so end up to that much early, and a cookie is written at most that often.
const RESEAL_SHARE: u32 = 16;
/// However short an access token lives, the provider is not asked more often for one session.
const RENEW_AT_MOST_EVERY: Duration = Duration::from_mins(1);
/// Uses closer together than this are one use.
const RESEAL_AT_LEAST: Duration = Duration::from_mins(1);

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

/// How the provider's word for a session stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It is young enough.
    Good,
    /// It should be renewed; until then it is still good.
    Due,
    /// It is too old to go by (security requirement V9): nothing may be admitted before it is renewed.
    Overdue,
}

/// Who has just signed in, as the login found it.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who it is.
    pub identity: Identity,
    /// The `id` of the provider in the configuration.
    pub provider: String,
    /// The provider's own session id, where it told one.
    pub provider_sid: Option<String>,
    /// When the person last proved who they are, where the provider said.
    pub auth_time: Option<UnixTime>,
    /// In which authentication context they signed in (`acr`), where the provider said.
    pub acr: Option<String>,
    /// What renews the session, where the provider gave it.
    pub grant: Option<Grant>,
    /// The raw ID token, where the provider needs it at logout.
    pub raw_id_token: Option<Secret>,
}

/// What a renewal brought.
#[derive(Debug)]
pub struct Renewed {
    /// Who it is now: claims and groups may have changed.
    pub identity: Identity,
    /// What renews the session next time.
    pub grant: Grant,
    /// The new raw ID token, where one came and is kept.
    pub raw_id_token: Option<Secret>,
}

impl Session {
    /// Begins a session at `now`. `id` are 16 unguessable bytes, drawn for this login: whatever a
    /// user agent had before, the session after a login has another id.
    #[must_use]
    pub fn start(who: SignedIn, id: [u8; 16], limits: SessionLimits, now: UnixTime) -> Self {
        let absolute_expires_at = now.plus(limits.absolute);
        Self {
            id: SessionId::from_bytes(id),
            identity: who.identity,
            provider: who.provider,
            provider_sid: who.provider_sid,
            auth_time: who.auth_time,
            acr: who.acr,
            stepped_up: None,
            started_at: now,
            seen_at: now,
            idle_expires_at: now.plus(limits.idle).min(absolute_expires_at),
            absolute_expires_at,
            vouched_at: now,
            grant: who.grant,
            turn: 0,
            raw_id_token: who.raw_id_token,
            ticket: None,
            family: None,
            groups: SessionGroups::default(),
        }
    }

    /// Whether it has just begun, at `now`, because an earlier one was not enough for one of `acr`.
    #[must_use]
    pub fn has_just_stepped_up(&self, acr: &[String], now: UnixTime) -> bool {
        self.stepped_up.as_deref() == Some(acr) && now < self.started_at.plus(STEPPING_UP)
    }

    /// The same session after the provider vouched anew, at `now`, for `who`. Who it is may not
    /// change, so [`Session::is_of`] comes first. Its limits stay as they are.
    #[must_use]
    pub fn renewed(&self, who: Renewed, now: UnixTime) -> Self {
        Self {
            identity: who.identity,
            vouched_at: now,
            grant: Some(who.grant),
            turn: self.turn.saturating_add(1),
            raw_id_token: who.raw_id_token.or_else(|| self.raw_id_token.clone()),
            ..self.clone()
        }
    }

    /// The same session, seen whenever `other`, of the same id, was: a renewal begins with the session
    /// as it was then, and it may have been used since.
    #[must_use]
    pub fn seen_with(self: &Arc<Self>, other: &Self) -> Arc<Self> {
        if other.id != self.id || other.seen_at <= self.seen_at {
            return Arc::clone(self);
        }
        Arc::new(Self {
            seen_at: other.seen_at,
            idle_expires_at: other.idle_expires_at.min(self.absolute_expires_at),
            ..Self::clone(self)
        })
    }

    /// The same session with another grant, or with none any more. Nobody vouched for it.
    #[must_use]
    pub fn regranted(&self, grant: Option<Grant>) -> Self {
        Self {
            grant,
            turn: self.turn.saturating_add(1),
            ..self.clone()
        }
    }

    /// Whether `identity` is the person of this session: the same subject of the same issuer.
    #[must_use]
    pub fn is_of(&self, identity: &Identity) -> bool {
        self.identity.issuer == identity.issuer && self.identity.subject == identity.subject
    }

    /// How the provider's word stands at `now`. It is due when `recheck` is over, or earlier when the
    /// access token ends, though never within the first minute, or when a clock was set back since; it is
    /// overdue `outage_grace` after `recheck`.
    #[must_use]
    pub fn word(&self, limits: SessionLimits, now: UnixTime) -> Word {
        let recheck_at = self.vouched_at.plus(limits.recheck);
        if now >= recheck_at.plus(limits.outage_grace) {
            return Word::Overdue;
        }
        let access_ends = self.grant.as_ref().map(|grant| {
            let earliest = self.vouched_at.plus(RENEW_AT_MOST_EVERY);
            grant.access_expires_at.max(earliest)
        });
        // Given before a clock was set back: nobody can tell how old it is.
        let from_the_future = self.vouched_at > now.plus(CLOCK_SKEW);
        if from_the_future || now >= access_ends.unwrap_or(recheck_at).min(recheck_at) {
            Word::Due
        } else {
            Word::Good
        }
    }

    /// The same session, used at `now`: its idle end moves, its absolute end never moves later. A
    /// session that is over stays over.
    #[must_use]
    pub fn touched(&self, limits: SessionLimits, now: UnixTime) -> Self {
        let mut touched = self.clone();
        if self.phase(limits, now) == Phase::Live {
            // A replica whose clock is behind must not take time away.
            touched.seen_at = self.seen_at.max(now);
            touched.absolute_expires_at = self.absolute_end(limits);
            touched.idle_expires_at = touched
                .seen_at
                .plus(limits.idle)
                .min(touched.absolute_expires_at);
        }
        touched
    }

    /// Where the session stands at `now`, by the limits sealed into it and by today's `limits`,
    /// whichever is the shorter.
    #[must_use]
    pub fn phase(&self, limits: SessionLimits, now: UnixTime) -> Phase {
        // Sealed by a clock that ran ahead by more than what is put right at a time: not to be believed.
        let from_the_future = self.seen_at > now.plus(SET_BACK);
        if now >= self.idle_end(limits) || from_the_future {
            Phase::Expired
        } else {
            Phase::Live
        }
    }

    /// How long the session lasts from `now` if it is not used again; zero when it is over.
    #[must_use]
    pub fn idle_expires_in(&self, limits: SessionLimits, now: UnixTime) -> Duration {
        self.idle_end(limits).since(now)
    }

    /// How long the session lasts from `now` at the most; zero when that is past.
    #[must_use]
    pub fn absolute_expires_in(&self, limits: SessionLimits, now: UnixTime) -> Duration {
        self.absolute_end(limits).since(now)
    }

    /// Whether a session that was `sealed_by` this key should be sealed anew.
    #[must_use]
    pub fn freshness(
        &self,
        sealed_by: SealedBy,
        limits: SessionLimits,
        now: UnixTime,
    ) -> Freshness {
        // A short idle limit must leave time to write the use down before it is reached.
        let threshold = (limits.idle / RESEAL_SHARE)
            .max(RESEAL_AT_LEAST)
            .min(limits.idle / 2);
        match sealed_by {
            SealedBy::Newest if now.since(self.seen_at) < threshold => Freshness::Fresh,
            SealedBy::Newest | SealedBy::Older => Freshness::Reseal,
        }
    }

    fn absolute_end(&self, limits: SessionLimits) -> UnixTime {
        self.absolute_expires_at
            .min(self.started_at.plus(limits.absolute))
    }

    fn idle_end(&self, limits: SessionLimits) -> UnixTime {
        self.idle_expires_at
            .min(self.seen_at.plus(limits.idle))
            .min(self.absolute_end(limits))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::tests::{LIMITS, START, alice};

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);

    fn session() -> Session {
        Session::start(alice(), [7; 16], LIMITS, START)
    }

    // F14: the id of a session is the one drawn for its login.
    #[test]
    fn every_login_gives_another_session_id() {
        let (one, two) = (
            Session::start(alice(), [1; 16], LIMITS, START),
            Session::start(alice(), [2; 16], LIMITS, START),
        );
        assert_ne!(one.id, two.id);
        assert_eq!(one.touched(LIMITS, START.plus(HOUR)).id, one.id);
    }

    // F15: both limits end a session, each to the second.
    #[test]
    fn a_session_ends_at_its_idle_limit_and_at_its_absolute_limit() {
        let session = session();
        let idle_end = START.plus(8 * HOUR);
        let second = Duration::from_secs(1);
        assert_eq!(session.phase(LIMITS, idle_end.minus(second)), Phase::Live);
        assert_eq!(session.phase(LIMITS, idle_end), Phase::Expired);

        let mut used = session;
        for hours in 1..24 {
            used = used.touched(LIMITS, START.plus(hours * HOUR));
            assert_eq!(used.phase(LIMITS, START.plus(hours * HOUR)), Phase::Live);
        }
        let absolute_end = START.plus(24 * HOUR);
        assert_eq!(used.phase(LIMITS, absolute_end.minus(second)), Phase::Live);
        assert_eq!(used.phase(LIMITS, absolute_end), Phase::Expired);
    }

    // F15: who was there while a renewal was under way was there after it, too.
    #[test]
    fn a_successor_was_seen_whenever_its_session_was() {
        let session = Arc::new(session());
        let used = session.touched(LIMITS, START.plus(3 * HOUR));
        let late = Arc::new(session.regranted(None));
        let seen = late.seen_with(&used);
        assert_eq!((seen.seen_at, seen.turn), (used.seen_at, 1));
        assert_eq!(seen.idle_expires_at, used.idle_expires_at);
        assert_eq!(seen.seen_with(&session).seen_at, used.seen_at);
        let stranger = Session::start(alice(), [8; 16], LIMITS, START.plus(4 * HOUR));
        assert_eq!(late.seen_with(&stranger).seen_at, START);
    }

    // V9: no end is sealed in that lies past the absolute one.
    #[test]
    fn an_idle_limit_beyond_the_absolute_one_is_cut() {
        let limits = SessionLimits {
            idle: 3 * HOUR,
            absolute: HOUR,
            ..LIMITS
        };
        let session = Session::start(alice(), [7; 16], limits, START);
        assert_eq!(session.idle_expires_at, START.plus(HOUR));
    }

    // F15: 64-bit time.
    #[test]
    fn a_session_may_live_past_2038() {
        let before = UnixTime::from_seconds(i64::from(i32::MAX) - 10);
        let session = Session::start(alice(), [7; 16], LIMITS, before);
        assert_eq!(session.phase(LIMITS, before.plus(HOUR)), Phase::Live);
        let touched = session.touched(LIMITS, before.plus(HOUR));
        assert_eq!(touched.idle_expires_in(LIMITS, before.plus(HOUR)), 8 * HOUR);
        assert_eq!(session.phase(LIMITS, before.plus(9 * HOUR)), Phase::Expired);
    }

    // V9: use does not revive.
    #[test]
    fn a_session_that_is_over_is_not_revived_by_use() {
        let later = START.plus(8 * HOUR);
        let touched = session().touched(LIMITS, later);
        assert_eq!(touched.phase(LIMITS, later), Phase::Expired);
        assert_eq!(touched.idle_expires_at, session().idle_expires_at);
    }

    // V9: longer limits do not lengthen what exists, shorter ones hold at once.
    #[test]
    fn the_shorter_of_the_sealed_and_of_todays_limits_holds() {
        let longer = SessionLimits {
            idle: 100 * HOUR,
            absolute: 100 * HOUR,
            ..LIMITS
        };
        let shorter = SessionLimits {
            idle: HOUR,
            absolute: 2 * HOUR,
            ..LIMITS
        };
        let session = session();
        assert_eq!(session.idle_expires_in(longer, START), 8 * HOUR);
        assert_eq!(session.absolute_expires_in(longer, START), 24 * HOUR);
        assert_eq!(session.idle_expires_in(shorter, START), HOUR);
        assert_eq!(session.absolute_expires_in(shorter, START), 2 * HOUR);
        assert_eq!(session.phase(shorter, START.plus(HOUR)), Phase::Expired);
        let touched = session.touched(longer, START.plus(HOUR));
        assert_eq!(touched.absolute_expires_at, session.absolute_expires_at);
        assert_eq!(touched.idle_expires_at, session.absolute_expires_at);
        assert_eq!(
            session
                .touched(shorter, START.plus(30 * MINUTE))
                .absolute_expires_in(LIMITS, START),
            2 * HOUR
        );
        assert_eq!(
            session.idle_expires_in(LIMITS, START.plus(9 * HOUR)),
            Duration::ZERO
        );
    }

    // T10: what was sealed before a clock was set back lives, but is vouched for anew.
    #[test]
    fn a_session_from_a_clock_far_ahead_is_not_believed() {
        let session = session();
        assert_eq!(session.phase(LIMITS, START.minus(SET_BACK)), Phase::Live);
        let earlier = START.minus(SET_BACK + Duration::from_secs(1));
        assert_eq!(session.phase(LIMITS, earlier), Phase::Expired);
        assert_eq!(session.word(LIMITS, START.minus(MINUTE)), Word::Good);
        assert_eq!(session.word(LIMITS, START.minus(HOUR)), Word::Due);
        // A replica a little behind takes nothing away.
        let touched = session.touched(LIMITS, START.minus(MINUTE));
        assert_eq!(touched.idle_expires_at, session.idle_expires_at);
    }

    // F6: sealed anew under the first key; and often enough to keep an active session.
    #[test]
    fn a_cookie_is_written_anew_after_a_sixteenth_of_the_idle_limit_or_under_an_older_key() {
        let session = session();
        let fresh = |limits, after| session.freshness(SealedBy::Newest, limits, START.plus(after));
        assert_eq!(fresh(LIMITS, 29 * MINUTE), Freshness::Fresh);
        assert_eq!(fresh(LIMITS, 30 * MINUTE), Freshness::Reseal);
        assert_eq!(
            session.freshness(SealedBy::Older, LIMITS, START),
            Freshness::Reseal
        );
        let idle = |seconds| SessionLimits {
            idle: Duration::from_secs(seconds),
            absolute: HOUR,
            ..LIMITS
        };
        assert_eq!(fresh(idle(300), Duration::from_secs(59)), Freshness::Fresh);
        assert_eq!(fresh(idle(300), Duration::from_mins(1)), Freshness::Reseal);
        assert_eq!(fresh(idle(40), Duration::from_secs(19)), Freshness::Fresh);
        assert_eq!(fresh(idle(40), Duration::from_secs(20)), Freshness::Reseal);
    }

    proptest! {
        // V9: whatever happens in whatever order, no end moves past the absolute limit.
        #[test]
        fn no_sequence_of_uses_outlives_the_absolute_limit(
            uses in prop::collection::vec((0_u64..40_000, 1_u64..200_000, 1_u64..200_000), 0..20)
        ) {
            let first = session();
            let mut session = first.clone();
            let mut now = START;
            for (step, idle, absolute) in uses {
                now = now.plus(Duration::from_secs(step));
                let limits = SessionLimits {
                    idle: Duration::from_secs(idle),
                    absolute: Duration::from_secs(absolute),
                    ..LIMITS
                };
                let was = session.phase(limits, now);
                session = session.touched(limits, now);
                prop_assert_eq!(session.phase(limits, now), was);
                prop_assert!(session.absolute_expires_at <= first.absolute_expires_at);
                prop_assert!(session.idle_expires_at <= session.absolute_expires_at);
                prop_assert_eq!(&session.id, &first.id);
                prop_assert_eq!(session.started_at, first.started_at);
            }
        }
    }
}
