//! What others did that share the Redis, heard over a connection of its own.
//!
//! That it is still heard is made sure of from end to end: a word that we publish the way all are
//! published has to come back. So a connection that hangs, a node that lost its cluster, and a server
//! that is master no more are all noticed, within two checks.

use std::sync::Arc;
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::acts::Acts;
use super::dial::Dialer;
use crate::session::record::RecordKey;
use crate::store::Heard;

/// How much a listener may be behind before it counts as deaf.
const BEHIND: usize = 4096;
/// How much of that is on its way to the listener itself.
const QUEUE: usize = 64;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const CHANGED: u8 = b'c';
const ENDED: u8 = b'e';

/// The message that a record has changed.
pub(super) fn changed(key: RecordKey) -> Vec<u8> {
    [&[CHANGED], key.as_bytes().as_slice()].concat()
}

/// The message that sessions were ended.
pub(super) fn ended(words: &[u8]) -> Vec<u8> {
    [&[ENDED], words].concat()
}

fn read(message: &[u8]) -> Option<Heard> {
    match message.split_first()? {
        (&CHANGED, key) => Some(Heard::Changed(RecordKey::from_bytes(key.try_into().ok()?))),
        (&ENDED, words) => Some(Heard::Ended(words.to_vec())),
        _ => None,
    }
}

/// The one who hears, and tells all listeners of this process.
#[derive(Debug)]
pub(super) struct Ear {
    told: broadcast::Sender<Heard>,
    hears: watch::Sender<bool>,
}

/// What the ear needs.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) acts: Acts,
    pub(super) dialer: Arc<Dialer>,
    pub(super) check: Duration,
    /// What tells our own words from those of others: chance.
    pub(super) listener: [u8; 16],
}

impl Ear {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            told: broadcast::Sender::new(BEHIND),
            hears: watch::Sender::new(false),
        })
    }

    /// Listens until the task is ended.
    pub(super) async fn listen(self: Arc<Self>, hearing: Hearing) {
        let mut wait = Duration::ZERO;
        for turn in 0_usize.. {
            tokio::time::sleep(wait).await;
            self.hear(&hearing, turn).await;
            let heard = self.hears.send_replace(false);
            wait = if heard {
                self.tell(Heard::Deaf);
                FIRST_WAIT
            } else {
                wait.max(FIRST_WAIT).saturating_mul(2).min(LONGEST_WAIT)
            };
        }
    }

    /// Listens over one connection for as long as it is good.
    async fn hear(&self, hearing: &Hearing, turn: usize) -> Option<()> {
        let (sender, mut arrivals) = mpsc::unbounded_channel::<PushInfo>();
        let mut connection = hearing.dialer.one(sender, turn).await.ok()?;
        let (news, echo) = (
            hearing.acts.names.news(),
            hearing.acts.names.echo(hearing.listener),
        );
        let channels = [&news, &echo];
        let subscribing = connection.subscribe(&channels);
        tokio::time::timeout(hearing.check, subscribing)
            .await
            .ok()?
            .ok()?;
        let mut checks = interval_at(Instant::now() + hearing.check, hearing.check);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut owed = true;
        hearing.acts.publish(&echo, b"").await.ok()?;
        loop {
            tokio::select! {
                pushed = arrivals.recv() => {
                    let pushed = pushed?;
                    match pushed.kind {
                        PushKind::Disconnection => return None,
                        PushKind::Message => {}
                        _ => continue,
                    }
                    let (channel, message) = words(&pushed.data)?;
                    if channel == echo.as_bytes() {
                        owed = false;
                        if !self.hears.send_replace(true) {
                            self.tell(Heard::Listening);
                        }
                    } else if let Some(heard) = read(message) {
                        self.tell(heard);
                    }
                }
                _ = checks.tick() => {
                    if owed {
                        return None;
                    }
                    owed = true;
                    hearing.acts.publish(&echo, b"").await.ok()?;
                }
            }
        }
    }

    /// One more listener, from now on, and what has to run for it to hear anything.
    pub(super) fn attend(
        &self,
    ) -> (
        mpsc::Receiver<Heard>,
        impl Future<Output = ()> + Send + use<>,
    ) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        // First the words, then how things stand: said twice is no harm, missed would be.
        let told = self.told.subscribe();
        let hears = self.hears.subscribe();
        (receiver, pass_on(told, hears, sender))
    }

    fn tell(&self, heard: Heard) {
        // An error says that nobody listens.
        drop(self.told.send(heard));
    }
}

async fn pass_on(
    mut told: broadcast::Receiver<Heard>,
    listening: watch::Receiver<bool>,
    sender: mpsc::Sender<Heard>,
) {
    let now = *listening.borrow();
    let mut next = now.then_some(Heard::Listening);
    loop {
        if let Some(heard) = next.take()
            && sender.send(heard).await.is_err()
        {
            return;
        }
        let heard = tokio::select! {
            heard = told.recv() => heard,
            () = sender.closed() => return,
        };
        match heard {
            Ok(heard) => next = Some(heard),
            Err(broadcast::error::RecvError::Closed) => return,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                if sender.send(Heard::Deaf).await.is_err() {
                    return;
                }
                next = listening.borrow().then_some(Heard::Listening);
            }
        }
    }
}

/// Channel and message.
fn words(pushed: &[Value]) -> Option<(&[u8], &[u8])> {
    match pushed {
        [Value::BulkString(channel), Value::BulkString(message)] => Some((channel, message)),
        _ => None,
    }
}
