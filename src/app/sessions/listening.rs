//! What others did who share the store, heard of as it happens; and what was kept of endings for whoever
//! starts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::{Arrival, Sessions};
use crate::session::ending::Ending;
use crate::store::{Heard, Store as _};

/// What was announced is asked for again after this long, where the store did not say.
const AGAIN: Duration = Duration::from_millis(250);
/// So often, before it is left to the next time that the store can be heard.
const OFTEN: usize = 20;

impl Sessions {
    /// Takes in what was announced before, and listens to those who share the store, for as long as
    /// these sessions are there. Must be called once, within the control runtime. Until it is known what
    /// was announced, no session is looked up.
    pub async fn listen(self: &Arc<Self>, arrival: Arrival) {
        let Some(store) = &self.places.shared else {
            match arrival {
                Arrival::Fresh => self.recall_endings().await,
                // The process before this one has the file until this one serves.
                Arrival::TakesOver => {
                    let sessions = Arc::clone(self);
                    self.control
                        .spawn(async move { sessions.recall_endings().await });
                }
            }
            return;
        };
        let (mut heard, sessions) = (store.listen(), Arc::downgrade(self));
        self.control.spawn(async move {
            while let Some(one) = heard.recv().await {
                let Some(sessions) = Weak::upgrade(&sessions) else {
                    return;
                };
                sessions.hear(&one).await;
            }
        });
    }

    async fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Changed(key) => self.copies().remove(*key),
            Heard::Ended(words) => self.take_in(std::slice::from_ref(words)),
            Heard::Listening => {
                self.recall_endings().await;
                // What happened meanwhile was not heard.
                self.copies().clear();
                self.hears.store(true, Ordering::Relaxed);
            }
            Heard::Deaf => self.hears.store(false, Ordering::Relaxed),
        }
    }

    async fn recall_endings(&self) {
        for store in self.notice_boards() {
            for _ in 0..OFTEN {
                match store.announced().await {
                    Ok(all) => {
                        self.take_in(&all);
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(reason = %error, "which sessions were ended is not known yet");
                        sleep(AGAIN).await;
                    }
                }
            }
        }
        self.recalled.send_replace(true);
    }

    fn take_in(&self, all: &[Vec<u8>]) {
        let known = all.iter().filter_map(|words| Ending::from_bytes(words));
        let known: Vec<Ending> = known.collect();
        if known.len() < all.len() {
            tracing::warn!("an ending was told in words of another version");
        }
        if !known.is_empty() {
            self.ended.take_in(known, self.clock.now());
        }
    }
}
