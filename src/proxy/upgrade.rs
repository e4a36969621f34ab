//! WebSocket tunnels: two streams spliced once both sides have switched, and not a byte before; and
//! their end, which both sides are told in a close frame where one may stand.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::frames::{CloseCode, Frames, From, close_frame};
use super::moving::Alarm;
use super::way::Way;
use crate::base::entropy::Entropy;
use crate::transport::body::{InUse, Over};

/// How long the two sides of a tunnel may take to hear that it ends, and to say that they heard.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// What ends a tunnel besides its two sides.
pub struct TunnelEnd {
    /// How long it may stand still.
    pub idle: Duration,
    /// When the session that opened it is over.
    pub over: Option<Over>,
    /// When the process stops.
    pub ended: watch::Receiver<bool>,
    /// What masks our word to the app.
    pub entropy: Entropy,
}

impl fmt::Debug for TunnelEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunnelEnd")
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// Splices `browser` and `app` in a task of its own.
pub(super) fn splice(browser: OnUpgrade, app: OnUpgrade, end: TunnelEnd, in_use: Option<InUse>) {
    tokio::task::spawn_local(async move {
        let _in_use = in_use; // a tunnel is a connection, as long as it lasts
        if let (Ok(browser), Ok(app)) = (browser.await, app.await) {
            let (browser, app) = (TokioIo::new(browser), TokioIo::new(app));
            // Either side may break off at any time; there is nobody to tell.
            drop(tunnel(browser, app, end).await);
        }
    });
}

async fn tunnel(
    mut browser: impl AsyncRead + AsyncWrite + Unpin,
    mut app: impl AsyncRead + AsyncWrite + Unpin,
    mut end: TunnelEnd,
) -> io::Result<()> {
    let mut up = Way::new(Frames::new(From::Client));
    let mut down = Way::new(Frames::new(From::Server));
    let moved = Cell::new(Instant::now());
    let mut alarm = Alarm::default();
    let moving = poll_fn(|context| {
        let up = up.poll_move((&mut browser, &mut app), &moved, context)?;
        let down = down.poll_move((&mut app, &mut browser), &moved, context)?;
        both(up, down).map(io::Result::Ok)
    });
    let (code, why) = tokio::select! {
        moved = moving => return moved,
        () = alarm.stand_still(&moved, end.idle) => (CloseCode::GoingAway, "nothing was said for too long"),
        () = gone(&mut end.ended) => (CloseCode::GoingAway, "the server is stopping"),
        () = outlived(end.over) => (CloseCode::Policy, "the session has ended"),
    };
    let mask = end.entropy.bytes().ok();
    let farewell = async {
        let to_browser = close_frame(code, why, None);
        let to_app = mask.map_or_else(Vec::new, |mask| close_frame(code, why, Some(mask)));
        poll_fn(|context| {
            let down = down.poll_close((&mut app, &mut browser), &to_browser, context)?;
            let up = up.poll_close((&mut browser, &mut app), &to_app, context)?;
            both(up, down).map(io::Result::Ok)
        })
        .await?;
        // A peer that was told answers in kind before its connection is closed (RFC 6455 section
        // 7.1.1); closed any earlier, what it still sends could cost it what we said.
        poll_fn(|context| {
            let up = up.poll_ignore(&mut browser, context)?;
            let down = down.poll_ignore(&mut app, context)?;
            both(up, down).map(io::Result::Ok)
        })
        .await?;
        browser.shutdown().await?;
        app.shutdown().await
    };
    // Who does not take it in time is cut off.
    timeout(FAREWELL, farewell).await.unwrap_or(Ok(()))
}

fn both(one: Poll<()>, other: Poll<()>) -> Poll<()> {
    match (one, other) {
        (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(()),
        _ => Poll::Pending,
    }
}

/// Resolves when the session is over, if there is one.
async fn outlived(over: Option<Over>) {
    match over {
        Some(over) => over.await,
        None => std::future::pending().await,
    }
}

/// Resolves when the process stops, or when nobody is left to say so.
async fn gone(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|&ended| ended).await);
}
