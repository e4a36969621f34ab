//! WebSocket tunnels: two streams spliced once both sides have switched, and not a byte before.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::moving::{Moving, stand_still};

use tokio::sync::watch;

/// What ends a tunnel besides its two sides.
#[derive(Debug, Clone)]
pub struct TunnelEnd {
    /// How long it may stand still.
    pub idle: Duration,
    /// When the process stops.
    pub ended: watch::Receiver<bool>,
}

/// Splices `browser` and `app` in a task of its own.
pub(super) fn splice(browser: OnUpgrade, app: OnUpgrade, mut end: TunnelEnd) {
    tokio::task::spawn_local(async move {
        let (Ok(browser), Ok(app)) = (browser.await, app.await) else {
            return;
        };
        let moved = Rc::new(Cell::new(Instant::now()));
        let mut browser = Moving::new(TokioIo::new(browser), Rc::clone(&moved));
        let mut app = Moving::new(TokioIo::new(app), Rc::clone(&moved));
        tokio::select! {
            // Either side may break off at any time; there is nobody to tell.
            _ = tokio::io::copy_bidirectional(&mut browser, &mut app) => {}
            () = stand_still(&moved, end.idle) => {}
            () = gone(&mut end.ended) => {}
        }
    });
}

/// Resolves when the process stops, or when nobody is left to say so.
async fn gone(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|&ended| ended).await);
}
