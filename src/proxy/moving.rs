//! Tells when something has stood still for too long.

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one limit that is kept and set anew only when it has rung: a connection that is in
/// use all the time sets it once in as long as the limit, not once a request.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Resolves when nothing has moved for `limit`, which must be the same at every call.
    pub(super) async fn stand_still(&mut self, moved: &Cell<Instant>, limit: Duration) {
        poll_fn(|context| {
            loop {
                let Some(due) = moved.get().checked_add(limit) else {
                    return Poll::Pending; // later than time goes
                };
                let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
                match sleep.as_mut().poll(context) {
                    // It was set for an earlier moment, so it rings in time.
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if Instant::now() >= due => return Poll::Ready(()),
                    Poll::Ready(()) => sleep.as_mut().reset(due),
                }
            }
        })
        .await;
    }
}
