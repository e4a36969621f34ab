//! Sessions that were ended before their time (security requirement F16): a cookie that was copied
//! before tells of a session that is over.

use std::collections::HashMap;

use super::card::Card;
use super::ending::{Ending, Whom};
use super::record::GroupKey;
use super::{Session, SessionId};
use crate::base::clock::UnixTime;

/// So many are listed one by one.
const MOST: usize = 16 * 1024;
/// So many make room at a time.
const ROOM: usize = MOST / 8;

/// The list. None is ever forgotten before its time: where there is no room, those that reach back the
/// furthest leave it together with every session that began as early.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    sessions: HashMap<SessionId, Listed>,
    groups: HashMap<GroupKey, Listed>,
    /// Sessions that began then or earlier are over.
    watermark: Option<UnixTime>,
}

#[derive(Debug, Clone, Copy)]
struct Listed {
    begun_until: UnixTime,
    /// When its sessions are over by themselves.
    until: UnixTime,
}

impl Revocations {
    /// Ends whatever `ending` says, for good.
    pub fn end(&mut self, ending: Ending, now: UnixTime) {
        let Ending {
            whom,
            begun_until,
            until,
        } = ending;
        let listed = Listed { begun_until, until };
        match whom {
            Whom::Session(id) => {
                self.sessions.insert(id, listed);
            }
            Whom::Group(group) => self.end_group(group, listed),
            Whom::Everybody => self.raise(begun_until),
        }
        if self.len() > MOST {
            self.sessions.retain(|_, listed| listed.until > now);
            self.groups.retain(|_, listed| listed.until > now);
            self.make_room();
        }
    }

    /// The later of two endings of one group has the earlier in it.
    fn end_group(&mut self, group: GroupKey, listed: Listed) {
        let known = self.groups.entry(group).or_insert(listed);
        known.begun_until = known.begun_until.max(listed.begun_until);
        known.until = known.until.max(listed.until);
    }

    /// Whether it was ended.
    #[must_use]
    pub fn has(&self, session: &Session) -> bool {
        let groups = || session.groups().iter();
        self.names(&session.id, session.started_at, groups)
    }

    /// Whether the session of this card, in these groups, was ended.
    #[must_use]
    pub fn has_card(&self, card: &Card, groups: &[GroupKey]) -> bool {
        self.names(&card.id, card.started_at, || groups.iter())
    }

    fn names<'a, I: Iterator<Item = &'a GroupKey>>(
        &self,
        id: &SessionId,
        started_at: UnixTime,
        groups: impl FnOnce() -> I,
    ) -> bool {
        let is_over = |group: &GroupKey| {
            let listed = self.groups.get(group);
            listed.is_some_and(|listed| started_at <= listed.begun_until)
        };
        self.watermark.is_some_and(|mark| started_at <= mark)
            || self.sessions.contains_key(id)
            || (!self.groups.is_empty() && groups().any(is_over))
    }

    fn raise(&mut self, mark: UnixTime) {
        self.watermark = Some(self.watermark.map_or(mark, |old| old.max(mark)));
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.groups.len()
    }

    fn make_room(&mut self) {
        if self.len() <= MOST {
            return;
        }
        let all = self.sessions.values().chain(self.groups.values());
        let mut starts: Vec<UnixTime> = all.map(|one| one.begun_until).collect();
        starts.sort_unstable();
        let Some(mark) = starts.get(ROOM).copied() else {
            return;
        };
        self.raise(mark);
        self.sessions.retain(|_, listed| listed.begun_until > mark);
        self.groups.retain(|_, listed| listed.begun_until > mark);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::groups;
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
        list.end(Ending::of(&session(1, 0)), now);
        assert!(list.has(&session(1, 0)));
        assert!(!list.has(&session(2, 0)));
    }

    // F16: none is forgotten; what has no room ends earlier sessions with it, and later ones live on.
    #[test]
    fn none_that_was_ended_comes_back_however_many_there_are() {
        let (mut list, now) = (Revocations::default(), UnixTime::from_seconds(100_000));
        let many = u32::try_from(2 * MOST).unwrap();
        for number in 0..many {
            list.end(
                Ending::of(&session(number, 20_000 + i64::from(number))),
                now,
            );
        }
        assert!(list.len() <= MOST);
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
            list.end(Ending::of(&session(number, 0)), UnixTime::from_seconds(1));
        }
        let later = UnixTime::from_seconds(0).plus(Duration::from_hours(24));
        list.end(Ending::of(&session(most, 90_000)), later);
        assert_eq!((list.len(), list.watermark), (1, None));
    }

    // G8: by `sid`, or by subject: whoever else is signed in stays, and so does who signs in later.
    #[test]
    fn an_ending_ends_those_that_it_names_and_began_before_it() {
        let ended_at = UnixTime::from_seconds(100);
        let until = UnixTime::from_seconds(90_000);
        let mine = |number, started_at, sid: &str| Session {
            provider_sid: Some(sid.to_owned()),
            ..session(number, started_at)
        };
        let of = |whom| {
            let mut list = Revocations::default();
            let ending = Ending {
                whom,
                begun_until: ended_at,
                until,
            };
            let ending = Ending::from_bytes(&ending.to_bytes()).unwrap();
            list.end(ending, ended_at);
            list
        };
        let alice = mine(1, 50, "s-1");
        let issuer = || alice.identity.issuer.clone();
        let subject = &alice.identity.subject;
        let by_sid = of(Whom::Group(groups::of_provider_session(&issuer(), "s-1")));
        let by_subject = of(Whom::Group(groups::of_person(&issuer(), subject)));
        let address = &alice.identity.email.as_ref().unwrap().address;
        let by_name = of(Whom::Group(groups::of_user(&address.to_uppercase())));
        let all = of(Whom::Everybody);
        let elsewhere = mine(2, 60, "s-2");
        let later = mine(3, 101, "s-1");
        let mut bob = mine(4, 50, "s-3");
        bob.identity.subject = "bob".to_owned();
        bob.identity.email = None;
        let mut foreign = mine(5, 50, "s-1");
        foreign.identity.issuer = "https://other.test".to_owned();
        for (session, is_over) in [
            (&alice, [true, true, true, true]),
            (&elsewhere, [false, true, true, true]),
            (&later, [false; 4]),
            (&bob, [false, false, false, true]),
            (&foreign, [false, false, true, true]),
        ] {
            let found = [&by_sid, &by_subject, &by_name, &all].map(|list| list.has(session));
            assert_eq!(found, is_over, "{:?}", session.id);
        }
    }

    // F18: what a newer version tells is not misread.
    #[test]
    fn an_ending_of_another_format_is_none() {
        let mut bytes = Ending::of(&session(1, 0)).to_bytes();
        assert!(Ending::from_bytes(&bytes).is_some());
        bytes[0] += 1;
        assert!(Ending::from_bytes(&bytes).is_none());
        assert!(Ending::from_bytes(&[]).is_none());
    }
}
