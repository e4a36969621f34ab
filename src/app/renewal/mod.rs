//! When the provider is asked again about a session, once, and who waits for it.
//!
//! The ordinary renewal runs behind the request: it passes on the word that is still good, and a
//! later one carries the successor's cookie. Only where the word is too old to go by does a request
//! wait. Whoever renews is detached from the request, so nothing is lost with a tab that closes; a
//! provider that does not answer ends no session (security requirements E8 to E11).

mod flight;
mod pace;
mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use self::flight::Flight;
use self::pace::Pace;
use self::table::{Entry, Table};
use super::audit::{AuditEvent, AuditLog};
use super::ended_sessions::EndedSessions;
use super::iso_time::Timestamp;
use super::sessions::{Sessions, Succession, Turn};
use crate::base::clock::{Clock, UnixTime};
use crate::provider::{Provider, RenewalError};
use crate::session::evidence::Evidence;
use crate::session::lifetime::{Freshness, Word};
use crate::session::{Grant, Session, SessionId, SessionLimits};

/// How long a request waits at the most for a renewal that it cannot do without.
const PATIENCE: Duration = Duration::from_secs(10);
/// A person who was just sent to the provider is not sent there again so soon: whoever comes back
/// without having been there, because it does not answer, is let through on the word that is left.
const ASKED_LATELY: Duration = Duration::from_mins(1);

/// How many of those are remembered.
const MOST_ASKED: usize = 16 * 1024;

/// The renewals of a process: those under way, and what came of those of which no cookie tells yet.
#[derive(Debug)]
pub struct Renewals {
    table: Mutex<Table>,
    asked: Mutex<HashMap<SessionId, UnixTime>>,
    paces: Mutex<HashMap<String, Pace>>,
    /// Whether the process is about to end.
    resting: AtomicBool,
    clock: Clock,
    control: Handle,
    ended: Arc<EndedSessions>,
    sessions: Arc<Sessions>,
}

/// What came of a renewal.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The session as it is now.
    Renewed(Arc<Session>),
    /// The provider ended it.
    Over,
    /// Nothing: it may work later.
    Unchanged,
}

/// A session that is kept up, and all that it takes.
#[derive(Debug, Clone, Copy)]
pub struct Upkeeping<'a> {
    /// Who vouches for it; nobody, where the configuration no longer has that provider.
    pub provider: Option<&'a Arc<Provider>>,
    /// Today's limits.
    pub limits: SessionLimits,
    /// Where it is told that a session was ended.
    pub audit: &'a AuditLog,
    /// The moment of the request.
    pub now: UnixTime,
}

/// Whether a request needs the session for more than to be rid of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It goes to the app.
    App,
    /// It is for one of our own endpoints: nothing is asked of the provider for it.
    Endpoint,
}

impl Renewals {
    /// None yet; they will run on `control`, `ended` hears of sessions that the provider ended, and
    /// `sessions` keeps what comes of those that are in a store.
    #[must_use]
    pub fn new(
        clock: Clock,
        control: Handle,
        ended: Arc<EndedSessions>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self {
            table: Mutex::default(),
            asked: Mutex::default(),
            paces: Mutex::default(),
            resting: AtomicBool::default(),
            clock,
            control,
            ended,
            sessions,
        }
    }

    /// The evidence with the provider's word as young as it can be had: a successor that is known
    /// takes the session's place, a renewal that is due is begun, one that is overdue is waited for.
    pub async fn keep_up(
        self: &Arc<Self>,
        evidence: Evidence,
        with: Upkeeping<'_>,
        of_use: Use,
    ) -> Evidence {
        let Evidence::Session(session, freshness) = evidence else {
            return evidence;
        };
        let word = session.word(with.limits, with.now);
        if word == Word::Good {
            return Evidence::Session(session, freshness);
        }
        let (session, freshness) = match self.recall(&session) {
            Some(Outcome::Renewed(successor)) => (successor.seen_with(&session), Freshness::Reseal),
            Some(Outcome::Over) => return Evidence::Expired(session),
            Some(Outcome::Unchanged) | None => (session, freshness),
        };
        let word = session.word(with.limits, with.now);
        match (word, of_use, &session.grant, with.provider) {
            (Word::Good, ..) | (_, Use::Endpoint, ..) | (_, _, _, None) => {
                Evidence::Session(session, freshness)
            }
            (Word::Due, Use::App, None, Some(_)) if self.asked_lately(&session, with.now) => {
                Evidence::Session(session, freshness)
            }
            (Word::Due, Use::App, None, Some(_)) => Evidence::Unheard(session, freshness),
            (Word::Overdue, Use::App, None, Some(_)) => Evidence::Expired(session),
            (Word::Due, Use::App, Some(_), Some(provider)) => {
                if !self.resting.load(Ordering::Relaxed) {
                    drop(self.begin(&session, provider, with.audit));
                }
                Evidence::Session(session, freshness)
            }
            (Word::Overdue, Use::App, Some(_), Some(provider)) => {
                self.await_word(session, provider, with).await
            }
        }
    }

    /// Waits for a word that is young enough to go by. What somebody began to fetch for an older session
    /// may be too old itself by now: then it is asked for once more.
    async fn await_word(
        self: &Arc<Self>,
        mut session: Arc<Session>,
        provider: &Arc<Provider>,
        with: Upkeeping<'_>,
    ) -> Evidence {
        for _ in 0..2 {
            let under_way = self.begin(&session, provider, with.audit);
            match outcome_of(under_way).await {
                Outcome::Renewed(successor)
                    if successor.word(with.limits, with.now) != Word::Overdue =>
                {
                    let successor = successor.seen_with(&session);
                    return Evidence::Session(successor, Freshness::Reseal);
                }
                Outcome::Renewed(successor) if successor.grant.is_some() => {
                    session = successor.seen_with(&session);
                }
                // Nothing renews it any more, so the person has to come by.
                Outcome::Renewed(_) | Outcome::Over => return Evidence::Expired(session),
                Outcome::Unchanged => return Evidence::Unconfirmed(session),
            }
        }
        Evidence::Unconfirmed(session)
    }

    /// Begins nothing any more that can wait: the process ends, and with it would be lost what a
    /// renewal brings, while the token that it used is spent.
    pub fn rest(&self) {
        self.resting.store(true, Ordering::Relaxed);
    }

    /// Whether a renewal is under way whose outcome would be lost with the process.
    #[must_use]
    pub fn are_under_way(&self) -> bool {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.has_flights()
    }

    /// The person of this session is sent to the provider now.
    pub fn asked(&self, session: &Session, now: UnixTime) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MOST_ASKED {
            asked.retain(|_, at| is_late(*at, now));
        }
        if asked.len() < MOST_ASKED {
            asked.insert(session.id.clone(), now);
        }
    }

    fn asked_lately(&self, session: &Session, now: UnixTime) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&session.id).is_some_and(|at| is_late(*at, now))
    }

    /// A session was signed out: what a renewal still under way brings is not wanted any more. Gives
    /// its successor, if one came of which the session does not know.
    pub fn end(&self, session: &Session) -> Option<Arc<Session>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.get(&session.id);
        let successor = entry.and_then(|entry| entry.successor_of(session).cloned());
        table.put(&session.id, Entry::Over);
        successor
    }

    /// A cookie of this session was seen at `now`: what it already tells need not be remembered for
    /// long.
    pub fn seen(&self, session: &Session, now: UnixTime) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.saw(session, now);
    }

    fn recall(&self, session: &Session) -> Option<Outcome> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.get(&session.id)?;
        if matches!(entry, Entry::Over) {
            return Some(Outcome::Over);
        }
        let successor = entry.successor_of(session)?;
        Some(Outcome::Renewed(Arc::clone(successor)))
    }

    /// Begins to renew the session, or joins those who wait for it already. Nothing where the
    /// provider must not be asked now.
    fn begin(
        self: &Arc<Self>,
        session: &Arc<Session>,
        provider: &Arc<Provider>,
        audit: &AuditLog,
    ) -> Option<watch::Receiver<Option<Outcome>>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |outcome| Some(watch::channel(Some(outcome)).1);
        let unseen = match table.get(&session.id) {
            None => None,
            Some(Entry::UnderWay(told, _)) => return Some(told.clone()),
            Some(Entry::Over) => return told(Outcome::Over),
            Some(Entry::Successor(one)) if one.turn > session.turn => {
                return told(Outcome::Renewed(Arc::clone(one)));
            }
            Some(Entry::Successor(_)) => Some(Arc::clone(session)),
        };
        let slot = self.paced(provider.id(), |pace| pace.slot(self.clock.now()))?;
        let (tell, told) = watch::channel(None);
        table.put(&session.id, Entry::UnderWay(told.clone(), unseen));
        drop(table);
        let (renewals, audit) = (Arc::clone(self), audit.clone());
        let (session, provider) = (Arc::clone(session), Arc::clone(provider));
        let flight = Flight::new(&renewals, &session, provider.id(), tell);
        self.control.spawn(async move {
            tokio::time::sleep_until(slot).await;
            let turn = renewals.sessions.turn(&session).await;
            let (outcome, lost) = match turn {
                Turn::Mine(lock) => {
                    let outcome = renewals.renew(&session, &provider, &audit).await;
                    let kept = renewals.kept(&session, outcome).await;
                    drop(lock);
                    kept
                }
                Turn::Done(successor) => (Outcome::Renewed(successor), None),
                Turn::Over => (Outcome::Over, None),
                Turn::NotNow => (Outcome::Unchanged, None),
            };
            if matches!(outcome, Outcome::Over) {
                // Those who share a store need not ask the provider, too.
                renewals.sessions.end(&session).await;
            }
            // Nobody may be waiting any more.
            for grant in flight.land(outcome).into_iter().chain(lost) {
                audit.revoke(&provider, &grant.refresh_token).await;
            }
        });
        Some(told)
    }

    async fn renew(
        &self,
        session: &Arc<Session>,
        provider: &Arc<Provider>,
        audit: &AuditLog,
    ) -> Outcome {
        let result = provider.renew(session).await;
        let now = self.clock.now();
        let answered = !matches!(
            result,
            Err(RenewalError::Transient(_) | RenewalError::Regranted { .. })
        );
        self.paced(provider.id(), |pace| pace.heard(answered, now));
        match result {
            Ok(renewed) => Outcome::Renewed(Arc::new(session.renewed(renewed, now))),
            Err(RenewalError::TooLittle) => Outcome::Renewed(Arc::new(session.regranted(None))),
            Err(error @ (RenewalError::Refused(_) | RenewalError::Mismatch(_))) => {
                let event = AuditEvent::Ended {
                    session,
                    reason: &error.to_string(),
                };
                audit.write(Timestamp::now(), None, &event);
                Outcome::Over
            }
            Err(RenewalError::Regranted { grant, cause }) => {
                tracing::warn!(provider = provider.id(), reason = %cause, "a session was not renewed");
                Outcome::Renewed(Arc::new(session.regranted(Some(grant))))
            }
            Err(error @ RenewalError::Transient(_)) => {
                tracing::warn!(provider = provider.id(), reason = %error, "a session was not renewed");
                Outcome::Unchanged
            }
        }
    }

    /// Writes a successor where the session is kept, before anybody hears of it. Gives the grant of one
    /// that came too late: the session was ended meanwhile, and stays so (security requirement S5).
    async fn kept(&self, session: &Session, outcome: Outcome) -> (Outcome, Option<Grant>) {
        let Outcome::Renewed(successor) = &outcome else {
            return (outcome, None);
        };
        match self.sessions.succeed(session, successor).await {
            Succession::Kept => (outcome, None),
            Succession::Ended => {
                let grant = successor.grant.clone();
                (Outcome::Over, grant)
            }
        }
    }

    /// Remembers the outcome; gives the grant that came too late to be of use.
    fn settle(&self, session: &Session, outcome: &Outcome) -> Option<Grant> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // Signed out meanwhile: it stays so.
        if matches!(table.get(&session.id), Some(Entry::Over)) {
            return match outcome {
                Outcome::Renewed(successor) => successor.grant.clone(),
                Outcome::Over | Outcome::Unchanged => None,
            };
        }
        match outcome {
            Outcome::Renewed(successor) => {
                table.put(&session.id, Entry::Successor(Arc::clone(successor)));
            }
            Outcome::Over => {
                table.put(&session.id, Entry::Over);
                self.ended.end(session, self.clock.now());
            }
            Outcome::Unchanged => match table.get(&session.id) {
                Some(Entry::UnderWay(_, Some(unseen))) => {
                    let unseen = Arc::clone(unseen);
                    table.put(&session.id, Entry::Successor(unseen));
                }
                _ => table.remove(&session.id),
            },
        }
        None
    }

    fn paced<T>(&self, provider: &str, act: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        act(paces.entry(provider.to_owned()).or_default())
    }
}

fn is_late(at: UnixTime, now: UnixTime) -> bool {
    now >= at && now.since(at) < ASKED_LATELY
}

async fn outcome_of(under_way: Option<watch::Receiver<Option<Outcome>>>) -> Outcome {
    let Some(mut told) = under_way else {
        return Outcome::Unchanged;
    };
    let waited = tokio::time::timeout(PATIENCE, told.wait_for(Option::is_some)).await;
    match waited {
        Ok(Ok(outcome)) => outcome.clone().unwrap_or(Outcome::Unchanged),
        Ok(Err(_)) | Err(_) => Outcome::Unchanged,
    }
}
