//! The sessions that were opened lately, so that the next request of the same person is not
//! decrypted and read anew.
//!
//! What is remembered is only that this very text opens to this session, or to this ticket and what
//! the store had under it. Whether that is still so, and the session still live and still accepted,
//! is asked at every request. One memory serves one worker under one
//! generation: with the keys and names changes the memory.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::Session;
use super::loaded::Loaded;
use super::ticket::Ticket;
use crate::base::keyring::SealedBy;

/// How many sessions are remembered, each in the place that its text falls on.
const PLACES: usize = 256;
/// The longest text that is remembered, in bytes: with [`PLACES`], the bound of the memory.
const LONGEST: usize = 8 * 1024;
/// Of a text, the end is hashed: it holds the authentication tag, which stands for all of it.
const HASHED: usize = 32;

/// The memory. It holds no text that did not open.
pub struct Recent {
    /// Keyed, so that nobody can tell from the time it takes how much of a text is right: the
    /// comparison is reached only by texts whose keyed hash is equal.
    hasher: RandomState,
    places: RefCell<Vec<Option<Remembered>>>,
    learned: RefCell<Option<Arc<Session>>>,
}

struct Remembered {
    hash: u64,
    text: Box<str>,
    known: Known,
    sealed_by: SealedBy,
}

/// What a text opened to.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// The session itself.
    Session(Arc<Session>),
    /// A ticket, and what its store had, as far as that was asked.
    Ticket(Arc<Ticket>, Option<Arc<Loaded>>),
}

impl Recent {
    /// An empty memory that hashes with keys of `hasher`.
    #[must_use]
    pub fn new(hasher: RandomState) -> Self {
        Self {
            hasher,
            places: RefCell::default(),
            learned: RefCell::default(),
        }
    }

    /// What `text` opened to, if it did lately.
    pub(super) fn recall(&self, text: &str) -> Option<(Known, SealedBy)> {
        let hash = self.hash(text);
        let places = self.places.borrow();
        let found = places.get(place(hash))?.as_ref()?;
        (found.hash == hash && *found.text == *text).then(|| (found.known.clone(), found.sealed_by))
    }

    /// The session that was opened last without having been remembered, once.
    #[must_use]
    pub fn take_learned(&self) -> Option<Arc<Session>> {
        self.learned.borrow_mut().take()
    }

    /// Remembers what `text` opened to; whoever had the place is forgotten.
    pub(super) fn remember(&self, text: &str, known: Known, sealed_by: SealedBy) {
        let session = match &known {
            Known::Session(session) => Some(session),
            Known::Ticket(_, loaded) => loaded.as_ref().map(|loaded| &loaded.session),
        };
        if let Some(session) = session {
            *self.learned.borrow_mut() = Some(Arc::clone(session));
        }
        if text.len() > LONGEST {
            return;
        }
        let hash = self.hash(text);
        let mut places = self.places.borrow_mut();
        if places.is_empty() {
            places.resize_with(PLACES, || None);
        }
        if let Some(slot) = places.get_mut(place(hash)) {
            *slot = Some(Remembered {
                hash,
                text: text.into(),
                known,
                sealed_by,
            });
        }
    }

    fn hash(&self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        let end = bytes
            .last_chunk::<HASHED>()
            .map_or(bytes, <[u8; HASHED]>::as_slice);
        self.hasher.hash_one((bytes.len(), end))
    }
}

fn place(hash: u64) -> usize {
    usize::try_from(hash % PLACES as u64).unwrap_or_default()
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.places.borrow().iter().flatten().count();
        write!(f, "Recent({remembered} sessions)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::UnixTime;
    use crate::session::evidence::Evidence;
    use crate::session::presented::Opener;
    use crate::session::tests::{Browser, Gate, LIMITS, START, session_of};

    impl Gate {
        fn cookies(&self) -> String {
            Browser::given(&self.write(&session_of("alice"))).sends()
        }
    }

    fn outcome(gate: &Gate, recent: &Recent, cookies: &str, now: UnixTime) -> &'static str {
        let opener = Opener::new(&gate.keyring, &gate.names).remembering(recent);
        match gate.read(cookies).open(&opener, LIMITS, now) {
            Evidence::Session(..) => "live",
            Evidence::Expired(_) => "over",
            Evidence::Unheard(..) | Evidence::Unconfirmed(_) | Evidence::StoreDown => {
                unreachable!()
            }
            Evidence::Unusable => "unusable",
            Evidence::None => "none",
        }
    }

    // F4: a text that was touched is another text, also right after the true one was opened.
    #[test]
    fn a_touched_cookie_does_not_pass_for_the_one_that_is_remembered() {
        let gate = Gate::at("https://a.test");
        let recent = Recent::new(RandomState::new());
        let cookies = gate.cookies();
        assert_eq!(outcome(&gate, &recent, &cookies, START), "live");
        assert_eq!(outcome(&gate, &recent, &cookies, START), "live");
        assert_eq!(format!("{recent:?}"), "Recent(1 sessions)");
        let value_at = cookies.find('=').unwrap() + 3;
        for at in value_at..cookies.len() {
            let mut bytes = cookies.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(bytes).unwrap();
            assert_eq!(outcome(&gate, &recent, &touched, START), "unusable", "{at}");
        }
        assert_eq!(format!("{recent:?}"), "Recent(1 sessions)");
    }

    // E1: remembered is what the cookie says, not that the session is live.
    #[test]
    fn a_remembered_session_ends_when_it_is_over() {
        let gate = Gate::at("https://a.test");
        let recent = Recent::new(RandomState::new());
        let cookies = gate.cookies();
        assert_eq!(outcome(&gate, &recent, &cookies, START), "live");
        let after = START.plus(LIMITS.absolute);
        assert_eq!(outcome(&gate, &recent, &cookies, after), "over");
    }

    #[test]
    fn the_memory_is_bounded_however_many_come() {
        let gate = Gate::at("https://a.test");
        let recent = Recent::new(RandomState::new());
        let session = match gate.open(&gate.cookies()) {
            Evidence::Session(session, _) => session,
            other => panic!("{other:?}"),
        };
        for number in 0..4 * PLACES {
            let known = Known::Session(Arc::clone(&session));
            recent.remember(&format!("text {number}"), known, SealedBy::Newest);
        }
        let known = Known::Session(session);
        recent.remember(&"x".repeat(LONGEST + 1), known, SealedBy::Newest);
        assert!(recent.recall(&"x".repeat(LONGEST + 1)).is_none());
        assert_eq!(recent.places.borrow().len(), PLACES);
    }
}
