//! Sessions that were ended before their time (security requirement F16): a cookie that was copied
//! before tells of a session that is over.

use std::collections::HashMap;

use super::{Session, SessionId};
use crate::base::clock::UnixTime;

/// So many are listed one by one.
const MOST: usize = 16 * 1024;
/// So many make room at a time.
const ROOM: usize = MOST / 8;

/// The list. None is ever forgotten before its time: where there is no room, those that began first
/// leave it together with whatever else began before them.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    listed: HashMap<SessionId, Listed>,
    /// Sessions that began then or earlier are over.
    watermark: Option<UnixTime>,
}

#[derive(Debug, Clone, Copy)]
struct Listed {
    started_at: UnixTime,
    /// When its cookies are worth nothing by themselves.
    until: UnixTime,
}

impl Revocations {
    /// Ends `session` for good.
    pub fn end(&mut self, session: &Session, now: UnixTime) {
        let listed = Listed {
            started_at: session.started_at,
            until: session.absolute_expires_at,
        };
        self.listed.insert(session.id.clone(), listed);
        if self.listed.len() > MOST {
            self.listed.retain(|_, listed| listed.until > now);
            self.make_room();
        }
    }

    /// Whether it was ended.
    #[must_use]
    pub fn has(&self, session: &Session) -> bool {
        self.watermark
            .is_some_and(|mark| session.started_at <= mark)
            || self.listed.contains_key(&session.id)
    }

    fn make_room(&mut self) {
        if self.listed.len() <= MOST {
            return;
        }
        let mut starts: Vec<UnixTime> = self.listed.values().map(|one| one.started_at).collect();
        starts.sort_unstable();
        let Some(mark) = starts.get(ROOM).copied() else {
            return;
        };
        self.watermark = Some(self.watermark.map_or(mark, |old| old.max(mark)));
        self.listed.retain(|_, listed| listed.started_at > mark);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::tests::session_of;

    fn session(number: u32, started_at: i64) -> Session {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        Session {
            id: SessionId::from_bytes(id),
            started_at: UnixTime::from_seconds(started_at),
            absolute_expires_at: UnixTime::from_seconds(started_at + 86_400),
            ..session_of("alice")
        }
    }

    #[test]
    fn a_session_that_was_ended_is_over_and_no_other() {
        let (mut list, now) = (Revocations::default(), UnixTime::from_seconds(10));
        list.end(&session(1, 0), now);
        assert!(list.has(&session(1, 0)));
        assert!(!list.has(&session(2, 0)));
    }

    // F16: none is forgotten; what has no room ends earlier sessions with it, and later ones live on.
    #[test]
    fn none_that_was_ended_comes_back_however_many_there_are() {
        let (mut list, now) = (Revocations::default(), UnixTime::from_seconds(100_000));
        let many = u32::try_from(2 * MOST).unwrap();
        for number in 0..many {
            list.end(&session(number, 20_000 + i64::from(number)), now);
        }
        assert!(list.listed.len() <= MOST);
        for number in 0..many {
            assert!(list.has(&session(number, 20_000 + i64::from(number))));
        }
        assert!(!list.has(&session(many, 20_000 + i64::from(many))));
    }

    #[test]
    fn what_has_ended_by_itself_makes_room_first() {
        let mut list = Revocations::default();
        let most = u32::try_from(MOST).unwrap();
        for number in 0..most {
            list.end(&session(number, 0), UnixTime::from_seconds(1));
        }
        let later = UnixTime::from_seconds(0).plus(Duration::from_hours(24));
        list.end(&session(most, 90_000), later);
        assert_eq!((list.listed.len(), list.watermark), (1, None));
    }
}
