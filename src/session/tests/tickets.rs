//! Sessions that are kept in a store: what the browser has, what the store has, and that neither is
//! worth anything without the other.

use std::sync::Arc;
use std::time::Duration;

use super::{Browser, Gate, LIMITS, START, key, session_of, subject};
use crate::base::clock::UnixTime;
use crate::base::keyring::Purpose;
use crate::base::secret::Secret;
use crate::session::card::Card;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Freshness;
use crate::session::loaded::Loaded;
use crate::session::presented::{Kept, Opener, Presented};
use crate::session::record::Record;
use crate::session::ticket::Ticket;
use crate::session::{Grant, Session, SessionId};

const GOOD_FOR: Duration = Duration::from_secs(5);

/// A session of `who` at `gate` with a ticket of its own.
fn ticketed(gate: &Gate, who: &str, number: u8) -> Arc<Session> {
    let id = SessionId::from_bytes([number; 16]);
    let ticket = Ticket::new(id.clone(), [number.wrapping_add(100); 32], &gate.names);
    Arc::new(Session {
        id,
        grant: Some(Grant {
            refresh_token: Secret::new("canary-refresh-token".to_owned()),
            access_expires_at: START,
        }),
        ticket: Some(Arc::new(ticket)),
        ..session_of(who)
    })
}

fn record(session: &Session, gate: &Gate) -> Record {
    session.to_record(&gate.keyring).unwrap()
}

fn ticket(session: &Session) -> &Arc<Ticket> {
    session.ticket.as_ref().unwrap()
}

fn opener(gate: &Gate, kept: Kept) -> Opener<'_> {
    Opener::new(&gate.keyring, &gate.names).keeping(kept, GOOD_FOR)
}

/// How many tickets the store has to be asked about.
fn unread(presented: &Presented, opener: &Opener<'_>, now: UnixTime) -> usize {
    let tickets = presented.tickets(opener, now);
    tickets.iter().filter(|(_, copy)| copy.is_none()).count()
}

fn has(bytes: &[u8], what: &str) -> bool {
    bytes
        .windows(what.len())
        .any(|window| window == what.as_bytes())
}

// S1: a store and the gate's keys together open nothing; it takes the ticket, which the browser has.
#[test]
fn what_a_store_has_opens_with_its_own_ticket_alone() {
    let gate = Gate::at("https://a.test");
    let (alice, bob) = (ticketed(&gate, "alice", 1), ticketed(&gate, "bob", 2));
    let (hers, his) = (record(&alice, &gate), record(&bob, &gate));
    let opened = ticket(&alice).open_record(&hers).unwrap();
    assert_eq!(opened.identity.subject, "alice");
    assert!(opened.grant.is_some());

    assert!(ticket(&bob).open_record(&hers).is_none());
    let sealed = str::from_utf8(&hers.sealed).unwrap();
    let key = ticket(&alice).record_key();
    for context in [key.as_bytes().as_slice(), gate.names.session_context()] {
        for purpose in [Purpose::Session, Purpose::Ticket, Purpose::Card] {
            assert!(gate.keyring.open(purpose, context, sealed).is_err());
        }
    }
    // Somebody with the key of a ticket and the id of another session.
    let mixed = Ticket::new(alice.id.clone(), [102; 32], &gate.names);
    assert!(mixed.open_record(&his).is_none() && mixed.open_record(&hers).is_none());
    // An older record of the same session does not pass for a later one.
    let aged = Record { turn: 1, ..hers };
    assert!(ticket(&alice).open_record(&aged).is_none());
}

// S1: nothing that is secret, and nobody's name, stands there in the clear.
#[test]
fn a_record_shows_neither_tokens_nor_people() {
    let gate = Gate::at("https://a.test");
    let alice = ticketed(&gate, "alice-the-subject", 1);
    let bytes = record(&alice, &gate).to_bytes();
    let email = alice.identity.email.as_ref().unwrap().address.as_str();
    for secret in [
        "canary-refresh-token",
        "alice-the-subject",
        email,
        alice.id.as_str(),
        alice.identity.issuer.as_str(),
    ] {
        assert!(!has(&bytes, secret), "{secret}");
    }
    let key = ticket(&alice).record_key();
    assert_ne!(key.to_text(), alice.id.as_str());
    let card = Card::open(&record(&alice, &gate).card, &gate.keyring, key).unwrap();
    assert_eq!(
        (card.subject.as_str(), card.id),
        ("alice-the-subject", alice.id.clone())
    );
    let other = Gate::with("https://a.test", "dashboards", &[super::key()]);
    assert!(Card::open(&record(&alice, &gate).card, &other.keyring, key).is_none());
}

// S1: one key of a record at each gate, so that two that share a store never meet.
#[test]
fn the_same_id_has_another_name_at_another_gate() {
    let (one, two) = (Gate::at("https://a.test"), Gate::at("https://b.test"));
    let (here, there) = (ticketed(&one, "alice", 1), ticketed(&two, "alice", 1));
    assert_ne!(ticket(&here).record_key(), ticket(&there).record_key());
    assert!(ticket(&there).open_record(&record(&here, &one)).is_none());
}

#[test]
fn a_ticket_is_one_small_cookie_however_large_the_session() {
    let gate = Gate::at("https://a.test");
    let mut alice = Session::clone(&ticketed(&gate, "alice", 1));
    alice.raw_id_token = Some(Secret::new("t".repeat(100_000)));
    let lines = gate.write(&alice);
    assert_eq!(lines.len(), 1);
    let sent = Browser::given(&lines).sends();
    assert!(sent.len() < 200, "{} bytes", sent.len());
}

// S2: who it is depends on the store, asked lately; a ticket alone admits to nothing.
#[test]
fn a_ticket_counts_with_a_copy_that_is_young_and_the_last() {
    let gate = Gate::at("https://a.test");
    let alice = ticketed(&gate, "alice", 1);
    let presented = gate.read(&Browser::given(&gate.write(&alice)).sends());
    let opener = opener(&gate, Kept::InStore);
    assert_eq!(unread(&presented, &opener, START), 1);
    assert!(matches!(
        presented.open(&opener, LIMITS, START),
        Evidence::Unusable
    ));

    let recent = super::super::recent::Recent::new(std::hash::RandomState::new());
    let opener = opener.remembering(&recent);
    let loaded = [Arc::new(Loaded::new(Arc::clone(&alice), START))];
    let evidence = presented.open(&opener.having(&loaded), LIMITS, START);
    assert_eq!(subject(&evidence), Some("alice"));
    // From then on it is remembered with its ticket, while it is young...
    assert_eq!(unread(&presented, &opener, START), 0);
    assert_eq!(
        subject(&presented.open(&opener, LIMITS, START)),
        Some("alice")
    );
    let later = START.plus(GOOD_FOR);
    assert_eq!(unread(&presented, &opener, later), 1);
    assert!(subject(&presented.open(&opener, LIMITS, later)).is_none());
    // ... and while nobody says that the store has something else.
    loaded[0].outdate();
    assert_eq!(unread(&presented, &opener, START), 1);
    assert!(subject(&presented.open(&opener, LIMITS, START)).is_none());
}

// F4: a ticket that was touched is none, and nobody is asked about it.
#[test]
fn a_ticket_that_was_touched_is_none() {
    let gate = Gate::at("https://a.test");
    let alice = ticketed(&gate, "alice", 1);
    let sent = Browser::given(&gate.write(&alice)).sends();
    let value_at = sent.find('=').unwrap() + 3;
    for at in value_at..sent.len() {
        let mut bytes = sent.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let presented = gate.read(&String::from_utf8(bytes).unwrap());
        let opener = opener(&gate, Kept::InStore);
        assert_eq!(unread(&presented, &opener, START), 0, "{at}");
    }
    // Nor is another gate's.
    let other = Gate::with("https://a.test", "dashboards", &[key()]);
    let presented = other.read(&sent);
    assert_eq!(unread(&presented, &opener(&other, Kept::InStore), START), 0);
}

// S2: however many tickets are planted, a few are looked up, and the last is one of them.
#[test]
fn of_many_tickets_the_last_few_are_looked_up() {
    let gate = Gate::at("https://a.test");
    let sent: Vec<String> = (1..=10)
        .map(|number| Browser::given(&gate.write(&ticketed(&gate, "x", number))).sends())
        .collect();
    let presented = gate.read(&sent.join("; "));
    let tickets = presented.tickets(&opener(&gate, Kept::InStore), START);
    assert_eq!(tickets.len(), 4);
    assert_eq!(tickets[0].0, *ticket(&ticketed(&gate, "x", 10)));
}

// What was configured away is gone: a sealed session where a store was chosen, a ticket where none is.
#[test]
fn what_counts_is_what_was_configured() {
    let gate = Gate::at("https://a.test");
    let alice = ticketed(&gate, "alice", 1);
    let loaded = [Arc::new(Loaded::new(Arc::clone(&alice), START))];
    let with_ticket = gate.read(&Browser::given(&gate.write(&alice)).sends());
    let sealed = gate.read(&Browser::given(&gate.write(&session_of("alice"))).sends());
    let outcome = |presented: &Presented, kept| {
        let opener = opener(&gate, kept).having(&loaded);
        match presented.open(&opener, LIMITS, START) {
            Evidence::Session(_, Freshness::Fresh) => "live",
            Evidence::Session(_, Freshness::Reseal) => "moves",
            Evidence::Unusable => "unusable",
            other => panic!("{other:?}"),
        }
    };
    for (kept, ticket, cookie) in [
        (Kept::InCookies, "unusable", "live"),
        (Kept::InStore, "live", "unusable"),
        (Kept::MovingToStore, "live", "moves"),
        (Kept::MovingToCookies, "moves", "live"),
    ] {
        assert_eq!(outcome(&with_ticket, kept), ticket, "{kept:?}");
        assert_eq!(outcome(&sealed, kept), cookie, "{kept:?}");
    }
}

// S4: a store keeps a session for an hour beyond its own limits, whichever comes first.
#[test]
fn a_record_ends_with_its_session() {
    let gate = Gate::at("https://a.test");
    let alice = ticketed(&gate, "alice", 1);
    let linger = Duration::from_hours(1);
    let ends = |session: &Session| record(session, &gate).expires_at;
    assert_eq!(ends(&alice), START.plus(LIMITS.idle).plus(linger));
    let mut used = Session::clone(&alice);
    for hours in 1..24 {
        used = used.touched(LIMITS, START.plus(Duration::from_hours(hours)));
    }
    assert_eq!(ends(&used), START.plus(LIMITS.absolute).plus(linger));
}
