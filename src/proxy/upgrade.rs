//! WebSocket tunnels: two streams spliced once both sides have switched, and not a byte before.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::moving::{Alarm, Moving};
use crate::transport::body::InUse;

use tokio::sync::watch;

/// What ends a tunnel besides its two sides.
#[derive(Debug, Clone)]
pub struct TunnelEnd {
    /// How long it may stand still.
    pub idle: Duration,
    /// How long it may last at most: a tunnel ends with the session that opened it.
    pub at_most: Option<Duration>,
    /// When the process stops.
    pub ended: watch::Receiver<bool>,
}

/// Splices `browser` and `app` in a task of its own.
pub(super) fn splice(
    browser: OnUpgrade,
    app: OnUpgrade,
    mut end: TunnelEnd,
    in_use: Option<InUse>,
) {
    tokio::task::spawn_local(async move {
        let _in_use = in_use; // a tunnel is a connection, as long as it lasts
        let (Ok(browser), Ok(app)) = (browser.await, app.await) else {
            return;
        };
        let moved = Rc::new(Cell::new(Instant::now()));
        let mut browser = Moving::new(TokioIo::new(browser), Rc::clone(&moved));
        let mut app = Moving::new(TokioIo::new(app), Rc::clone(&moved));
        let mut alarm = Alarm::default();
        tokio::select! {
            // Either side may break off at any time; there is nobody to tell.
            _ = tokio::io::copy_bidirectional(&mut browser, &mut app) => {}
            () = alarm.stand_still(&moved, end.idle) => {}
            () = gone(&mut end.ended) => {}
            () = outlived(end.at_most) => {}
        }
    });
}

/// Resolves after this long, if there is such a time.
async fn outlived(at_most: Option<Duration>) {
    match at_most {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the process stops, or when nobody is left to say so.
async fn gone(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|&ended| ended).await);
}
