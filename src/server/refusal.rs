//! What becomes of a connection that there is no room for, and how the log hears of what comes in
//! floods.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::listener::Socketed;

/// The whole answer to somebody whose request nobody reads.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nCache-Control: no-store\r\nContent-Type: text/plain\r\nContent-Length: 41\r\nConnection: close\r\n\r\nToo many connections. Try again shortly.\n";
/// How long the answer may take to be read: closed at once, the socket would be reset, and the
/// answer with it, since the request was not read.
const TIME: Duration = Duration::from_secs(1);
/// So many are given that time at once, and no more than this part of the connections that may be:
/// each has a descriptor that somebody else may need. The others are closed as soon as they are told.
const MOST: usize = 64;
const LEAST: usize = 8;
const PART: usize = 16;
/// How much of the request is taken in then, so that nothing unread resets the connection.
const TAKEN: usize = 16 * 1024;
/// How often the log hears of it.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How whoever is turned away hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// By an answer in plain HTTP.
    Plain,
    /// By the end of the connection.
    None,
}

/// Turns connections away, each with a word where there is room for one.
#[derive(Debug)]
pub(super) struct Refusals {
    places: Arc<Semaphore>,
    told: Told,
}

impl Refusals {
    /// None yet, where `connections` may be.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new((connections / PART).clamp(LEAST, MOST))),
            told: Told::default(),
        }
    }

    /// Says by `word` that there is no room for `socket` among `most`. Called on the control runtime.
    pub(super) fn refuse(&mut self, socket: Socketed, word: Word, most: usize) {
        if let Some(count) = self.told.now() {
            tracing::warn!(
                reason = "connections_full",
                refused = count,
                limit = most,
                "connections were refused: limits.connections is reached"
            );
        }
        if word == Word::None {
            return; // dropped, and so closed
        }
        let mut socket = socket;
        // A fresh socket takes so little at once, or its peer is gone.
        drop(say(&mut socket));
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            tokio::time::sleep(TIME).await;
            drop(take(&mut socket));
            drop(place);
        });
    }
}

fn say(socket: &mut Socketed) -> std::io::Result<()> {
    match socket {
        Socketed::Tcp(socket) => {
            socket.write_all(NO_ROOM)?;
            socket.shutdown(Shutdown::Write)
        }
        Socketed::Unix(socket) => {
            socket.write_all(NO_ROOM)?;
            socket.shutdown(Shutdown::Write)
        }
    }
}

fn take(socket: &mut Socketed) -> std::io::Result<usize> {
    let mut request = [0; TAKEN];
    match socket {
        Socketed::Tcp(socket) => socket.read(&mut request),
        Socketed::Unix(socket) => socket.read(&mut request),
    }
}

/// Counts what comes in floods, so that the log has one line of many.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<Instant>,
    count: u64,
}

impl Told {
    /// Counts one more; how many there were since the log last heard, if it should hear now.
    pub(super) fn now(&mut self) -> Option<u64> {
        self.count = self.count.saturating_add(1);
        if self.last.is_some_and(|last| last.elapsed() < TOLD_EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(NO_ROOM).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[test]
    fn a_flood_is_told_once() {
        let mut told = Told::default();
        assert_eq!(told.now(), Some(1));
        assert!((0..1000).all(|_| told.now().is_none()));
    }
}
