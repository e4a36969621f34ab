//! The addresses of an upstream: which is next, and how it is connected to. One that refuses is
//! followed by the next at once; one that failed repeatedly is left out for a while, but never all.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::direct::IdleLines;
use super::health::Health;
use super::pool::IdleLine;
use super::shared_line::SharedLines;
use super::{UpstreamAddress, UpstreamTls};
use crate::transport::dial::{self, DialError, Stream};
use crate::transport::trust::{Offer, PeerName, TlsClient};

/// One address as it is written, with the connections to it.
#[derive(Debug)]
pub(super) struct Place {
    target: Target,
    server_name: Option<PeerName>,
    /// What became of connecting to it.
    health: Cell<Health>,
    /// Requests in flight.
    pub(super) busy: Cell<usize>,
    /// Connections that carry one request at a time, and now none. The last one back is the first
    /// one out, so that few are kept warm and the rest age away.
    pub(super) idle: RefCell<Vec<IdleLine>>,
    /// The same, for requests without a body that may be sent twice.
    pub(super) direct: IdleLines,
    /// Connections that carry many requests at once.
    pub(super) shared: SharedLines,
}

/// Where a connection leads.
#[derive(Debug)]
enum Target {
    At(SocketAddr),
    Unix(PathBuf),
    Named(Name),
}

/// A host that is looked up each time a connection is made.
#[derive(Debug)]
struct Name {
    host: String,
    port: u16,
    /// What became of connecting to each of its addresses.
    known: RefCell<Vec<(SocketAddr, Health)>>,
    turn: Cell<usize>,
}

/// How TLS is spoken; not at all, where there is nothing.
pub(super) type Tls<'a> = Option<(&'a TlsClient, Offer)>;

/// How much time there is, and for how many attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) limit: Duration,
}

impl Deadline {
    pub(super) fn within(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            at: now.checked_add(limit).unwrap_or(now),
            limit,
        }
    }

    /// An even share of what is left, where `attempts` are still to be made: one address that is
    /// silent leaves time for the others.
    fn share(self, attempts: usize) -> Self {
        let now = Instant::now();
        let left = self.at.saturating_duration_since(now);
        let attempts = u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
        let share = left.checked_div(attempts).unwrap_or(left);
        Self {
            at: now.checked_add(share).unwrap_or(self.at),
            limit: self.limit,
        }
    }

    pub(super) async fn bound<T>(
        self,
        act: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        let done = timeout_at(self.at, act).await;
        done.unwrap_or(Err(DialError::TimedOut(self.limit)))
    }
}

impl Place {
    pub(super) fn new(address: &UpstreamAddress, tls: Option<&UpstreamTls>) -> Self {
        let (target, own_name) = match address {
            UpstreamAddress::Unix(path) => (Target::Unix(path.clone()), None),
            UpstreamAddress::Tcp { host, port } => {
                let target = match host.parse::<IpAddr>() {
                    Ok(ip) => Target::At(SocketAddr::new(ip, *port)),
                    Err(_) => Target::Named(Name {
                        host: host.clone(),
                        port: *port,
                        known: RefCell::default(),
                        turn: Cell::default(),
                    }),
                };
                (target, PeerName::parse(host))
            }
        };
        Self {
            target,
            server_name: tls.and_then(|tls| tls.server_name.clone()).or(own_name),
            health: Cell::default(),
            busy: Cell::default(),
            idle: RefCell::default(),
            direct: IdleLines::default(),
            shared: SharedLines::default(),
        }
    }

    /// Whether it is left out, as long as there is another.
    fn is_out(&self, now: Instant) -> bool {
        self.health.get().is_out(now)
    }

    /// A connection to it, over TLS where there is `tls`.
    pub(super) async fn dial(&self, tls: Tls<'_>, deadline: Deadline) -> Result<Stream, DialError> {
        let dialed = match &self.target {
            Target::At(address) => deadline.bound(self.dial_at(*address, tls)).await,
            Target::Unix(path) => deadline.bound(dial::unix(path)).await,
            Target::Named(name) => self.dial_name(name, tls, deadline).await,
        };
        self.health.set(match &dialed {
            Ok(_) => Health::succeeded(),
            Err(_) => self.health.get().failed(Instant::now()),
        });
        dialed
    }

    async fn dial_at(&self, address: SocketAddr, tls: Tls<'_>) -> Result<Stream, DialError> {
        let stream = dial::tcp(address).await?;
        match (tls, &self.server_name) {
            (None, _) => Ok(Stream::Tcp(stream)),
            (Some((client, offer)), Some(name)) => client.connect(stream, offer, name).await,
            // Nobody could prove to be a host without a name.
            (Some(_), None) => Err(DialError::Tls(std::io::ErrorKind::InvalidInput.into())),
        }
    }

    async fn dial_name(
        &self,
        name: &Name,
        tls: Tls<'_>,
        deadline: Deadline,
    ) -> Result<Stream, DialError> {
        let found = deadline.bound(dial::resolve(&name.host, name.port)).await?;
        let order = name.order(found);
        let mut last = DialError::Refused(std::io::ErrorKind::NotFound.into());
        for (at, address) in order.iter().enumerate() {
            let share = deadline.share(order.len() - at);
            match share.bound(self.dial_at(*address, tls)).await {
                Ok(stream) => {
                    name.note(*address, |_| Health::succeeded());
                    return Ok(stream);
                }
                Err(error) => {
                    name.note(*address, |health| health.failed(Instant::now()));
                    last = error;
                }
            }
        }
        Err(last)
    }
}

impl Name {
    /// The addresses that were `found`, in the order in which they are tried: each in its turn, those
    /// that are left out last. What is no longer found is forgotten.
    fn order(&self, found: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let now = Instant::now();
        let mut known = self.known.borrow_mut();
        known.retain(|(address, _)| found.contains(address));
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut order = found;
        if !order.is_empty() {
            let start = turn % order.len();
            order.rotate_left(start);
        }
        order.sort_by_key(|address| {
            let health = known.iter().find(|(known, _)| known == address);
            health.is_some_and(|(_, health)| health.is_out(now))
        });
        order
    }

    fn note(&self, address: SocketAddr, change: impl Fn(Health) -> Health) {
        let mut known = self.known.borrow_mut();
        match known.iter_mut().find(|(known, _)| *known == address) {
            Some((_, health)) => *health = change(*health),
            None => known.push((address, change(Health::default()))),
        }
    }
}

/// The place for the next request: the one with the fewest in flight that is not left out, and among
/// equals each in its turn.
pub(super) fn choose(places: &[std::rc::Rc<Place>], turn: &Cell<usize>) -> usize {
    if places.len() < 2 {
        return 0;
    }
    let start = turn.get();
    turn.set(start.wrapping_add(1));
    let now = Instant::now();
    let rank = |at: &usize| {
        let place = places.get(*at);
        place.map(|place| (place.is_out(now), place.busy.get()))
    };
    (0..places.len())
        .map(|step| (start % places.len() + step) % places.len())
        .min_by_key(rank)
        .unwrap_or(0)
}

/// All places in the order in which a connection is tried: `first`, then as for a next request.
pub(super) fn order(places: &[std::rc::Rc<Place>], first: usize) -> Vec<usize> {
    let now = Instant::now();
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.rotate_left(first.min(places.len()));
    order.sort_by_key(|&at| {
        let place = places.get(at);
        (
            at != first,
            place.map(|place| (place.is_out(now), place.busy.get())),
        )
    });
    order
}

impl Deadline {
    /// The share of one of `order`'s attempts, after `made` of them.
    pub(super) fn of_attempt(self, order: &[usize], made: usize) -> Self {
        self.share(order.len().saturating_sub(made))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn places(count: u16) -> Vec<Rc<Place>> {
        let address = |port| UpstreamAddress::Tcp {
            host: "127.0.0.1".to_owned(),
            port,
        };
        (1..=count)
            .map(|port| Rc::new(Place::new(&address(port), None)))
            .collect()
    }

    fn out() -> Health {
        Health::default()
            .failed(Instant::now())
            .failed(Instant::now())
    }

    #[test]
    fn the_least_busy_address_is_next_and_equals_take_turns() {
        let (places, turn) = (places(3), Cell::default());
        let taken: Vec<usize> = (0..6).map(|_| choose(&places, &turn)).collect();
        assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
        places[0].busy.set(2);
        places[1].busy.set(1);
        places[2].busy.set(2);
        for _ in 0..4 {
            assert_eq!(choose(&places, &turn), 1);
        }
    }

    #[test]
    fn an_address_that_is_left_out_comes_last_and_never_are_all_left_out() {
        let (places, turn) = (places(3), Cell::default());
        places[1].health.set(out());
        let taken: Vec<usize> = (0..6).map(|_| choose(&places, &turn)).collect();
        assert!(!taken.contains(&1), "{taken:?}");
        assert_eq!(order(&places, 0), [0, 2, 1]);
        for place in &places {
            place.health.set(out());
        }
        assert_eq!(order(&places, choose(&places, &turn)).len(), 3);
    }

    #[test]
    fn the_addresses_of_a_name_take_turns_and_those_left_out_come_last() {
        let name = Name {
            host: String::new(),
            port: 1,
            known: RefCell::default(),
            turn: Cell::default(),
        };
        let found: Vec<SocketAddr> = (1..4)
            .map(|last| SocketAddr::from(([127, 0, 0, last], 1)))
            .collect();
        assert_eq!(name.order(found.clone()), [found[0], found[1], found[2]]);
        assert_eq!(name.order(found.clone()), [found[1], found[2], found[0]]);
        name.note(found[2], |_| out());
        assert_eq!(name.order(found.clone()), [found[0], found[1], found[2]]);
        name.note(found[2], |_| Health::succeeded());
        assert_eq!(name.order(found.clone()), [found[0], found[1], found[2]]);
    }

    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_next() {
        let deadline = Deadline::within(Duration::from_secs(8));
        let share = deadline.share(2);
        let left = share.at.saturating_duration_since(Instant::now());
        assert!(left <= Duration::from_secs(4) && left > Duration::from_secs(3));
        assert_eq!(share.limit, Duration::from_secs(8));
    }
}
