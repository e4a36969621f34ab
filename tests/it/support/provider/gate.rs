//! Holds requests without letting time pass: they wait until the test opens.

use std::sync::Arc;

use tokio::sync::watch;

/// A gate that requests queue up at. Clones are the same gate.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// A closed gate.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Inner {
            arrived: watch::channel(0).0,
            open: watch::channel(false).0,
        }))
    }

    /// Waits until `count` requests have come as far as the gate.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut arrived = self.0.arrived.subscribe();
        arrived.wait_for(|so_far| *so_far >= count).await.unwrap();
    }

    /// Lets everybody pass, from now on.
    pub(crate) fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Comes to the gate and waits there until it is open.
    pub(super) async fn pass(&self) {
        let mut open = self.0.open.subscribe();
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        open.wait_for(|open| *open).await.unwrap();
    }
}
