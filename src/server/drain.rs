//! Stopping without dropping a request: first not ready, then no new ones, then, at a deadline, none.

use tokio::sync::watch;

/// How far the stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Serving.
    Open,
    /// Serving still, but not ready: whoever sends requests here has time to hear of it.
    Leaving,
    /// No new connections; requests in flight finish, and connections close after them.
    Draining,
    /// Requests are cut; tunnels tell their two sides.
    Ended,
    /// Nothing is left.
    Gone,
}

/// The end that tells.
#[derive(Debug)]
pub struct Drain(watch::Sender<Stage>);

/// The end that listens. Clones hear the same.
#[derive(Debug, Clone)]
pub struct Drained(watch::Receiver<Stage>);

impl Drain {
    /// Both ends of a stop that has not begun.
    #[must_use]
    pub fn pair() -> (Self, Drained) {
        let (sender, receiver) = watch::channel(Stage::Open);
        (Self(sender), Drained(receiver))
    }

    /// Moves on to `stage`; never back.
    pub fn move_on(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let later = stage > *now;
            *now = (*now).max(stage);
            later
        });
    }
}

impl Drained {
    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Resolves once `stage` is reached, also when whoever tells is gone.
    pub async fn reached(&mut self, stage: Stage) {
        // An error says that the sender is gone: nobody will ever say more, so this is the end.
        drop(self.0.wait_for(|now| *now >= stage).await);
    }
}
