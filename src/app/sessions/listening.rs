//! What others did who share the store, heard of as it happens.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::Sessions;
use crate::store::{Heard, Store as _};

impl Sessions {
    /// Listens to those who share the store, for as long as these sessions are there. Must be called
    /// once, within the control runtime.
    pub fn listen(self: &Arc<Self>) {
        let Some(store) = &self.places.shared else {
            return;
        };
        let (mut heard, sessions) = (store.listen(), Arc::downgrade(self));
        self.control.spawn(async move {
            while let Some(one) = heard.recv().await {
                let Some(sessions) = Weak::upgrade(&sessions) else {
                    return;
                };
                sessions.hear(&one);
            }
        });
    }

    fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Changed(key) => self.copies().remove(*key),
            Heard::Ended(_) => {}
            Heard::Listening => {
                // What happened meanwhile was not heard.
                self.copies().clear();
                self.hears.store(true, Ordering::Relaxed);
            }
            Heard::Deaf => self.hears.store(false, Ordering::Relaxed),
        }
    }
}
