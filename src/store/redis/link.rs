//! The one connection, and what is known of it. A connection that failed is never used twice; while
//! there is none, whoever asks is told so at once, and one task alone tries for another.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::cluster_routing::RoutingInfo;
use redis::{Cmd, FromRedisValue, PushInfo, PushKind, RedisError, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::dial::{Dialer, Wire};
use super::fault::{Fault, unreachable_as};
use crate::store::StoreError;

/// The wait before the second try; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What is known of the connection.
#[derive(Clone)]
enum State {
    /// The first try after a good connection, or the very first: worth waiting for.
    Joining,
    /// There is one, the `number`th; of a cluster perhaps while another is being made.
    Up {
        wire: Wire,
        number: u64,
        renewing: Renewing,
    },
    /// There is none, and the last try has failed.
    Down(StoreError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Renewing {
    Yes,
    No,
}

/// The one connection.
pub(super) struct Link {
    dialer: Arc<Dialer>,
    runtime: Handle,
    state: watch::Sender<State>,
    /// Tries and connections that failed since the last answer.
    failures: AtomicU32,
    numbers: AtomicU64,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Begins to connect, on `runtime`, on which all that is to do with the connection happens.
    pub(super) fn start(dialer: Arc<Dialer>, runtime: Handle) -> Arc<Self> {
        let link = Arc::new(Self {
            dialer,
            runtime,
            state: watch::Sender::new(State::Joining),
            failures: AtomicU32::new(0),
            numbers: AtomicU64::new(0),
        });
        link.rejoin(Duration::ZERO);
        link
    }

    /// The answer to a command, in bounded time.
    pub(super) async fn ask<T: FromRedisValue>(
        self: &Arc<Self>,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let (wire, number) = self.wire().await?;
        let answer = tokio::time::timeout(self.dialer.patience(), wire.ask(command)).await;
        Ok(self.judge(answer, number)?)
    }

    /// As [`Link::ask`], for what may be asked twice: a connection that others closed while nobody
    /// looked costs no error.
    pub(super) async fn ask_twice<T: FromRedisValue>(
        self: &Arc<Self>,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let (wire, number) = self.wire().await?;
        let answer = tokio::time::timeout(self.dialer.patience(), wire.ask(command)).await;
        let broken = matches!(&answer, Ok(Err(error)) if error.is_connection_dropped());
        match self.judge(answer, number) {
            Err(_) if broken => self.ask(command).await,
            answer => Ok(answer?),
        }
    }

    /// As [`Link::ask`], of these nodes of a cluster.
    pub(super) async fn ask_at(
        self: &Arc<Self>,
        command: Cmd,
        nodes: RoutingInfo,
    ) -> Result<Value, StoreError> {
        let (wire, number) = self.wire().await?;
        let asking = wire.ask_at(command, nodes);
        let answer = tokio::time::timeout(self.dialer.patience(), asking).await;
        Ok(self.judge(answer, number)?)
    }

    fn judge<T>(
        self: &Arc<Self>,
        answer: Result<Result<T, RedisError>, tokio::time::error::Elapsed>,
        number: u64,
    ) -> Result<T, Fault> {
        let fault = match answer {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::Relaxed);
                return Ok(answer);
            }
            Ok(Err(error)) => Fault::from(error),
            Err(_) => Fault::silence(),
        };
        if fault.severed {
            self.sever(number, &fault.error);
        }
        Err(fault)
    }

    /// The connection, when there is one or the first try for it succeeds.
    async fn wire(&self) -> Result<(Wire, u64), StoreError> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, State::Joining));
        let patience = self.dialer.connect_timeout();
        let Ok(Ok(settled)) = tokio::time::timeout(patience, settled).await else {
            return Err(unreachable_as("no connection yet"));
        };
        match &*settled {
            State::Up { wire, number, .. } => Ok((wire.clone(), *number)),
            State::Down(error) => Err(error.clone()),
            State::Joining => Err(unreachable_as("no connection yet")),
        }
    }

    /// The `number`th connection has failed; nobody gets it any more. That of a cluster serves on
    /// until there is another, for it may be one node of many that failed.
    fn sever(self: &Arc<Self>, number: u64, error: &StoreError) {
        let before = self.failures.load(Ordering::Relaxed);
        let cluster = self.dialer.is_cluster();
        let first = self.state.send_if_modified(|state| match state {
            State::Up {
                number: current,
                renewing,
                ..
            } if *current == number && *renewing == Renewing::No => {
                if cluster {
                    *renewing = Renewing::Yes;
                } else if before == 0 {
                    *state = State::Joining;
                } else {
                    *state = State::Down(error.clone());
                }
                true
            }
            _ => false,
        });
        if first {
            self.failures.fetch_add(1, Ordering::Relaxed);
            self.rejoin(wait(before));
        }
    }

    /// Tries until there is a connection, or nobody needs one any more.
    fn rejoin(self: &Arc<Self>, first: Duration) {
        let weak = Arc::downgrade(self);
        drop(self.runtime.spawn(async move {
            let mut next = first;
            loop {
                tokio::time::sleep(next).await;
                let Some(link) = weak.upgrade() else {
                    return;
                };
                match link.join(weak.clone()).await {
                    Ok(()) => return,
                    Err(fault) => {
                        next = wait(link.failures.fetch_add(1, Ordering::Relaxed));
                        link.state.send_replace(State::Down(fault.error));
                    }
                }
            }
        }));
    }

    async fn join(&self, weak: Weak<Self>) -> Result<(), Fault> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let cluster = self.dialer.is_cluster();
        let pushed = move |pushed: PushInfo| -> Result<(), redis::aio::SendError> {
            // A cluster's connection mends what breaks of it.
            if !cluster
                && pushed.kind == PushKind::Disconnection
                && let Some(link) = weak.upgrade()
            {
                link.sever(number, &unreachable_as("the connection broke"));
            }
            Ok(())
        };
        let wire = self.dialer.wire(pushed).await?;
        self.state.send_replace(State::Up {
            wire,
            number,
            renewing: Renewing::No,
        });
        Ok(())
    }
}

/// How long to wait after so many failures.
fn wait(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        more => FIRST_WAIT
            .saturating_mul(1 << more.saturating_sub(1).min(10))
            .min(LONGEST_WAIT),
    }
}
