//! How often one provider is asked: never more than so many renewals a second, and hardly at all
//! while it does not answer, so that nobody stampedes when it comes back.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::clock::UnixTime;

/// The time between two renewals: 20 a second.
const BETWEEN: Duration = Duration::from_millis(50);
/// The longest queue. What would wait longer is not begun; a later request begins it.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);
/// The first pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Short enough that sessions are renewed soon after the provider's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The pace at one provider.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: Option<Instant>,
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    again_at: UnixTime,
    pause: Duration,
}

impl Pace {
    /// When the next renewal may be sent; never, if the queue is too long or the provider did not
    /// answer the last time. Of those who ask after its pause one is let through, to try.
    pub(super) fn slot(&mut self, now: UnixTime) -> Option<Instant> {
        if let Some(failing) = &mut self.failing {
            // A clock that was set back makes nobody wait longer than the longest pause.
            let waits = now < failing.again_at && failing.again_at.since(now) <= LONGEST_PAUSE;
            if waits {
                return None;
            }
            failing.again_at = now.plus(failing.pause);
        }
        let at = Instant::now().max(self.next.unwrap_or_else(Instant::now));
        if at.saturating_duration_since(Instant::now()) > LONGEST_QUEUE {
            return None;
        }
        self.next = at.checked_add(BETWEEN);
        Some(at)
    }

    /// The provider answered, or did not.
    pub(super) fn heard(&mut self, answered: bool, now: UnixTime) {
        self.failing = if answered {
            None
        } else {
            let before = self.failing.take().map_or(Duration::ZERO, |one| one.pause);
            let pause = (before * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            Some(Failing {
                again_at: now.plus(pause),
                pause,
            })
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

    #[tokio::test]
    async fn no_more_than_twenty_renewals_a_second_are_sent_and_a_hundred_queue() {
        let mut pace = Pace::default();
        let begin = Instant::now();
        let slots: Vec<_> = (0..1000).filter_map(|_| pace.slot(NOW)).collect();
        assert!((100..=110).contains(&slots.len()), "{}", slots.len());
        let in_the_first_second = slots
            .iter()
            .filter(|at| **at < begin + Duration::from_secs(1))
            .count();
        assert!(in_the_first_second <= 20, "{in_the_first_second}");
    }

    #[tokio::test]
    async fn a_provider_that_does_not_answer_is_tried_by_one_after_growing_pauses() {
        let mut pace = Pace::default();
        let mut now = NOW;
        for pause in [1, 2, 4, 8, 15, 15] {
            pace.heard(false, now);
            assert!(pace.slot(now).is_none());
            now = now.plus(Duration::from_secs(pause));
            assert!(pace.slot(now).is_some(), "after {pause} s");
            assert!(pace.slot(now).is_none(), "one alone");
        }
        pace.heard(true, now);
        assert!(pace.slot(now).is_some() && pace.slot(now).is_some());
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_stops_nothing_for_long() {
        let mut pace = Pace::default();
        pace.heard(false, NOW);
        assert!(pace.slot(NOW.minus(Duration::from_hours(5))).is_some());
    }
}
