//! A renewal that is under way, until it lands or breaks off.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Outcome, Renewals};
use crate::session::{Grant, Session};

/// A renewal under way. However it ends, by an outcome, a panic or the end of its runtime, those who
/// wait are told, and the session is left to the next renewal.
#[derive(Debug)]
pub(super) struct Flight {
    renewals: Arc<Renewals>,
    session: Arc<Session>,
    provider: String,
    tell: watch::Sender<Option<Outcome>>,
}

impl Flight {
    /// The renewal of `session` at the provider with this id, told by `tell`.
    pub(super) fn new(
        renewals: &Arc<Renewals>,
        session: &Arc<Session>,
        provider: &str,
        tell: watch::Sender<Option<Outcome>>,
    ) -> Self {
        Self {
            renewals: Arc::clone(renewals),
            session: Arc::clone(session),
            provider: provider.to_owned(),
            tell,
        }
    }

    /// It is over: gives the grant that came too late to be of use.
    pub(super) fn land(self, outcome: Outcome) -> Option<Grant> {
        let unwanted = self.renewals.settle(&self.session, &outcome);
        self.tell.send_replace(Some(outcome));
        unwanted
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Whoever landed has told.
        if self.tell.borrow().is_some() {
            return;
        }
        let now = self.renewals.clock.now();
        self.renewals
            .paced(&self.provider, |pace| pace.heard(false, now));
        self.renewals.settle(&self.session, &Outcome::Unchanged);
        self.tell.send_replace(Some(Outcome::Unchanged));
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;
    use crate::app::renewal::table::Entry;
    use crate::app::respond::samples;
    use crate::app::sessions::{Places, Sessions};
    use crate::base::clock::Clock;

    /// Renewals in which one of `session` is under way, beside the session `unseen`; who waits for it.
    fn under_way(
        session: &Arc<Session>,
        unseen: Option<&Arc<Session>>,
    ) -> (Arc<Renewals>, Flight, watch::Receiver<Option<Outcome>>) {
        let renewals = Arc::new(Renewals::new(
            Clock::system(),
            Handle::current(),
            Arc::default(),
            Arc::new(Sessions::new(
                Places::default(),
                Arc::default(),
                Clock::system(),
                Handle::current(),
            )),
        ));
        let (tell, told) = watch::channel(None);
        let entry = Entry::UnderWay(told.clone(), unseen.map(Arc::clone));
        renewals.table.lock().unwrap().put(&session.id, entry);
        let flight = Flight::new(&renewals, session, "corp", tell);
        (renewals, flight, told)
    }

    // E8: whatever goes wrong in a renewal, the next request begins another one.
    #[tokio::test]
    async fn a_renewal_that_panics_leaves_the_session_to_the_next_one() {
        let session = Arc::new(samples::session("x"));
        let (renewals, flight, told) = under_way(&session, None);
        let broken = tokio::spawn(async move {
            let _flight = flight;
            panic!("on purpose");
        });
        assert!(broken.await.is_err());
        assert!(matches!(*told.borrow(), Some(Outcome::Unchanged)));
        assert!(renewals.table.lock().unwrap().get(&session.id).is_none());
        // What panics at once does not do so a thousand times a second.
        let now = renewals.clock.now();
        assert!(renewals.paced("corp", |pace| pace.slot(now)).is_none());
    }

    // E8: and the session of which no cookie tells yet is not forgotten with it.
    #[tokio::test]
    async fn a_renewal_that_breaks_off_loses_no_successor() {
        let session = Arc::new(samples::session("x"));
        let newer = Arc::new(session.regranted(None));
        let (renewals, flight, _told) = under_way(&newer, Some(&newer));
        drop(flight);
        let recalled = renewals.recall(&session);
        assert!(
            matches!(&recalled, Some(Outcome::Renewed(one)) if one.turn == newer.turn),
            "{recalled:?}"
        );
    }

    // E17: who signs out with an old cookie gives up what came of it as well, and neither comes back.
    #[tokio::test]
    async fn the_end_of_a_session_gives_its_successor_and_leaves_neither() {
        let session = Arc::new(samples::session("x"));
        let newer = Arc::new(session.regranted(None));
        for is_under_way in [false, true] {
            let (renewals, flight, _told) = under_way(&newer, Some(&newer));
            if !is_under_way {
                drop(flight.land(Outcome::Unchanged));
            }
            // The newer cookie has nothing to hear of.
            let ended = renewals.end(&session).map(|successor| successor.turn);
            assert_eq!(ended, Some(newer.turn));
            assert!(renewals.end(&session).is_none());
            for one in [&session, &newer] {
                assert!(matches!(renewals.recall(one), Some(Outcome::Over)));
            }
        }
        let (renewals, _flight, _told) = under_way(&newer, Some(&newer));
        assert!(renewals.end(&newer).is_none());
    }
}
