//! The one clock. The rim asks it once a request and hands the answer down as a value.

use std::future::poll_fn;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, in whole seconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX time).
///
/// 64 bits wide, so dates after 2038 are ordinary. Arithmetic saturates instead of wrapping.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The moment `seconds` after the epoch; negative is before it.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// This moment moved later by `span`, cut to whole seconds; saturates at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(span.as_secs()))
    }

    /// This moment moved earlier by `span`, cut to whole seconds; saturates at the start of time.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(span.as_secs()))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A source of [`UnixTime`]: the system's, or one that tests set by hand.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    set: Option<Arc<Settable>>,
}

#[derive(Debug)]
struct Settable {
    seconds: AtomicI64,
    /// Who waits for it to be moved.
    waiting: Mutex<Vec<Waker>>,
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self { set: None }
    }

    /// A clock that stands still at `start` until [`Clock::advance`] or [`Clock::set`] moves it.
    /// Clones share the time.
    #[must_use]
    pub fn settable(start: UnixTime) -> Self {
        Self {
            set: Some(Arc::new(Settable {
                seconds: AtomicI64::new(start.0),
                waiting: Mutex::default(),
            })),
        }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match &self.set {
            Some(set) => UnixTime(set.seconds.load(Ordering::SeqCst)),
            None => system_now(),
        }
    }

    /// Moves a settable clock forward by `span`, cut to whole seconds. A system clock stays as it is.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().plus(span));
    }

    /// Sets a settable clock to `moment`. A system clock stays as it is.
    pub fn set(&self, moment: UnixTime) {
        if let Some(set) = &self.set {
            set.seconds.store(moment.0, Ordering::SeqCst);
            let waiting = std::mem::take(&mut *set.waiting());
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Resolves when a settable clock is moved, for whoever waits for a moment. A system clock moves
    /// without saying so: this never resolves then.
    pub fn moved(&self) -> impl Future<Output = ()> {
        let start = self.now();
        poll_fn(move |context| {
            let Some(set) = &self.set else {
                return Poll::Pending;
            };
            // Before it is looked at, so that no move is missed.
            set.waiting().push(context.waker().clone());
            if self.now() == start {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
    }
}

impl Settable {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
fn system_now() -> UnixTime {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    };
    UnixTime(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_past_2038_is_ordinary() {
        let late = UnixTime::from_seconds(i64::from(i32::MAX)).plus(Duration::from_secs(10));
        assert_eq!(late.as_seconds(), 2_147_483_657);
        assert_eq!(
            late.since(UnixTime::from_seconds(i64::from(i32::MAX)))
                .as_secs(),
            10
        );
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let end = UnixTime::from_seconds(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        let start = UnixTime::from_seconds(i64::MIN);
        assert_eq!(start.minus(Duration::from_secs(1)), start);
        assert_eq!(start.since(end), Duration::ZERO);
    }

    #[test]
    fn a_settable_clock_moves_only_when_told() {
        let clock = Clock::settable(UnixTime::from_seconds(100));
        let shared = clock.clone();
        shared.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), UnixTime::from_seconds(105));
        assert!(Clock::system().now() > UnixTime::from_seconds(1_700_000_000));
    }
}
