//! Which addresses are left out for a while: one that could not be connected to costs time, each time.

use std::time::Duration;

use tokio::time::Instant;

/// An address that failed so often in a row is left out.
const FAILURES: u8 = 2;
/// For so long; then one attempt is worth it again.
const OUT_FOR: Duration = Duration::from_secs(10);

/// What became of the attempts to connect to one address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Health {
    failures: u8,
    out_until: Option<Instant>,
}

impl Health {
    /// Whether it is left out, as long as there is another.
    pub(super) fn is_out(self, now: Instant) -> bool {
        self.out_until.is_some_and(|until| now < until)
    }

    /// After an attempt that failed.
    pub(super) fn failed(self, now: Instant) -> Self {
        let failures = self.failures.saturating_add(1);
        Self {
            failures,
            out_until: (failures >= FAILURES)
                .then(|| now.checked_add(OUT_FOR))
                .flatten(),
        }
    }

    /// After an attempt that succeeded.
    pub(super) fn succeeded() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_failed_twice_is_left_out_until_it_is_worth_an_attempt() {
        let now = Instant::now();
        let once = Health::default().failed(now);
        assert!(!once.is_out(now));
        let twice = once.failed(now);
        assert!(twice.is_out(now));
        assert!(twice.is_out(now + OUT_FOR - Duration::from_millis(1)));
        let later = now + OUT_FOR;
        assert!(!twice.is_out(later));
        // It gets one attempt then, not two.
        assert!(twice.failed(later).is_out(later));
        assert!(!Health::succeeded().failed(later).is_out(later));
    }
}
