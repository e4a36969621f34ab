//! Connections to one upstream, of one worker: those that carry one request at a time (HTTP/1.1) are
//! lent out alone, those that carry many (HTTP/2) to whoever comes, up to their bound. Of the former
//! there are two kinds: for requests without a body that may be sent twice, and for all others.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::direct::{DirectLease, DirectLine};
use super::metered::{Meter, Metered};
use super::moving::Alarm;
use super::place::{Deadline, Place, choose, order};
use super::shared_line::{SharedLease, SharedLine};
use super::{ForwardError, Protocol, UpstreamSettings, UpstreamTls};
use crate::transport::body::{Body, Guard};
use crate::transport::dial::{DialError, Stream};
use crate::transport::trust::Offer;

/// No more idle connections to an address than this are kept.
pub(super) const MOST_IDLE: usize = 1024;
/// An idle connection is not used after this long: shorter than what common servers keep.
pub(super) const IDLE_AGE: Duration = Duration::from_secs(4);
/// The largest head of an answer, in bytes. Over HTTP/1.1 it may have 100 fields, which is what the
/// HTTP library reads without taking memory for its tables, and what other proxies allow too.
pub(super) const HEAD_LIMIT: usize = 256 * 1024;

/// A connection that waits for its next request, and since when.
pub(super) type IdleLine = (Line, Instant);

/// One connection: where requests go in, the timer that watches over them, and the bound of what comes
/// before a body.
#[derive(Debug)]
pub(super) struct Line {
    sender: SendRequest<Body>,
    alarm: Alarm,
    meter: Meter,
}

#[derive(Debug)]
pub(super) struct Pool {
    places: Vec<Rc<Place>>,
    turn: Cell<usize>,
    protocol: Protocol,
    tls: Option<UpstreamTls>,
    connect_timeout: Duration,
}

/// What a request needs of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Whatever is spoken; the request has no body and may be sent twice.
    Bodiless,
    /// Whatever is spoken.
    Any,
    /// That it can be switched to another protocol.
    Switch,
}

/// A connection, or a share of one, for one request.
#[derive(Debug)]
pub(super) enum Lease {
    Direct(DirectLease),
    Line(LineLease),
    Shared(SharedLease),
}

/// A connection taken from the pool. Dropped when its answer has been read whole, it goes back;
/// dropped earlier, the connection is not ready and closes.
#[derive(Debug)]
pub(super) struct LineLease {
    line: Option<Line>,
    origin: Origin,
    home: Rc<Place>,
}

/// Whether a connection has carried a request before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Fresh,
    Reused,
}

impl Pool {
    pub(super) fn new(settings: &UpstreamSettings) -> Self {
        let tls = settings.tls.as_ref();
        let places = settings.addresses.iter();
        Self {
            places: places
                .map(|address| Rc::new(Place::new(address, tls)))
                .collect(),
            turn: Cell::default(),
            protocol: settings.protocol,
            tls: settings.tls.clone(),
            connect_timeout: settings.connect_timeout,
        }
    }

    /// A connection that was used before and has room, or a new one.
    pub(super) async fn take(&self, need: Need) -> Result<Lease, ForwardError> {
        let first = choose(&self.places, &self.turn);
        if let Some(place) = self.places.get(first) {
            if self.may_share(need)
                && let Some(lease) = place.shared.lease(place)
            {
                return Ok(Lease::Shared(lease));
            }
            if let Some(lease) = idle(place, need).await {
                return Ok(lease);
            }
        }
        // On the heap: it is rare, and whoever waits for an answer should not be as large as a handshake.
        Box::pin(self.connect(need, first)).await
    }

    /// A connection that is newer than the one which just failed.
    pub(super) async fn take_newer(&self, need: Need) -> Result<Lease, ForwardError> {
        let first = choose(&self.places, &self.turn);
        Box::pin(self.connect(need, first)).await
    }

    fn may_share(&self, need: Need) -> bool {
        self.protocol == Protocol::Http2 && need != Need::Switch
    }

    /// A new connection to the place at `first`, or else to the next that takes one.
    async fn connect(&self, need: Need, first: usize) -> Result<Lease, ForwardError> {
        let deadline = Deadline::within(self.connect_timeout);
        let order = order(&self.places, first);
        let mut last = ForwardError::Connect(DialError::TimedOut(self.connect_timeout));
        for (made, at) in order.iter().enumerate() {
            let Some(place) = self.places.get(*at) else {
                continue;
            };
            let share = deadline.of_attempt(&order, made);
            match self.connect_to(place, need, share).await {
                Ok(lease) => return Ok(lease),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        place: &Rc<Place>,
        need: Need,
        deadline: Deadline,
    ) -> Result<Lease, ForwardError> {
        if !self.may_share(need) || place.shared.is_refused() {
            return self.dial(place, need, deadline).await;
        }
        // One connection serves all who wait for one.
        let waiting = async { Ok(place.shared.dialing().await) };
        let _turn = deadline.bound(waiting).await?;
        match place.shared.lease(place) {
            Some(lease) => Ok(Lease::Shared(lease)),
            None => self.dial(place, need, deadline).await,
        }
    }

    async fn dial(
        &self,
        place: &Rc<Place>,
        need: Need,
        deadline: Deadline,
    ) -> Result<Lease, ForwardError> {
        let offer = match need {
            Need::Bodiless | Need::Any => Offer::All,
            Need::Switch => Offer::Http1,
        };
        let tls = self.tls.as_ref().map(|tls| (&tls.client, offer));
        if tls.is_none() && self.protocol == Protocol::Http2 && need == Need::Switch {
            return Err(ForwardError::NoSwitch);
        }
        let stream = place.dial(tls, deadline).await?;
        let agreed = tls.is_none() || stream.agreed() == Some(b"h2");
        if self.may_share(need) && agreed {
            let line = SharedLine::open(stream).await?;
            return Ok(Lease::Shared(place.shared.add(line, place)));
        }
        if self.may_share(need) {
            place.shared.refuse();
        }
        if need == Need::Bodiless {
            let line = DirectLine::new(stream);
            return Ok(Lease::Direct(DirectLease::new(line, Origin::Fresh, place)));
        }
        let line = Line::open(stream).await?;
        Ok(Lease::Line(LineLease::new(line, Origin::Fresh, place)))
    }
}

/// An idle connection of `place` that is ready.
async fn idle(place: &Rc<Place>, need: Need) -> Option<Lease> {
    if need == Need::Bodiless {
        let line = place.direct.take()?;
        return Some(Lease::Direct(DirectLease::new(line, Origin::Reused, place)));
    }
    if let Some(lease) = idle_line(place).await {
        return Some(Lease::Line(lease));
    }
    // One of the other kind is as good, and stays what it becomes.
    let line = place.direct.take()?;
    let line = Line::open(line.into_stream()).await.ok()?;
    Some(Lease::Line(LineLease::new(line, Origin::Reused, place)))
}

async fn idle_line(place: &Rc<Place>) -> Option<LineLease> {
    loop {
        let (line, since) = place.idle.borrow_mut().pop()?;
        if since.elapsed() > IDLE_AGE {
            place.idle.borrow_mut().clear(); // all below it are older
            return None;
        }
        if is_ready_soon(&line.sender).await {
            return Some(LineLease::new(line, Origin::Reused, place));
        }
    }
}

/// Whether the connection is free: at once, or after the few turns that its own task may need to
/// notice that an answer has ended. Never longer: an app may answer before it has read the whole
/// request, and then the connection is still busy with a body that somebody else sends slowly.
async fn is_ready_soon(sender: &SendRequest<Body>) -> bool {
    for _ in 0..3 {
        if sender.is_ready() {
            return true;
        }
        if sender.is_closed() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    sender.is_ready()
}

impl Line {
    async fn open(stream: Stream) -> Result<Self, ForwardError> {
        let meter = Meter::unbounded();
        let stream = Metered::new(stream, meter.clone());
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ForwardError::Broken)?;
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for the answer.
            drop(connection.with_upgrades().await);
        });
        Ok(Self {
            sender,
            alarm: Alarm::default(),
            meter,
        })
    }
}

impl Line {
    /// Where the request goes in, the timer for the wait, and the bound of what comes before a body.
    pub(super) fn parts(&mut self) -> (&mut SendRequest<Body>, &mut Alarm, &Meter) {
        let Self {
            sender,
            alarm,
            meter,
        } = self;
        (sender, alarm, meter)
    }
}

impl LineLease {
    fn new(line: Line, origin: Origin, home: &Rc<Place>) -> Self {
        home.busy.set(home.busy.get() + 1);
        Self {
            line: Some(line),
            origin,
            home: Rc::clone(home),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Gives the connection up: what came on it is not understood.
    pub(super) fn close(mut self) {
        self.line = None;
    }

    /// The connection.
    pub(super) fn line(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }
}

impl Guard for Lease {}

impl Drop for LineLease {
    fn drop(&mut self) {
        self.home.busy.set(self.home.busy.get().saturating_sub(1));
        let Some(line) = self.line.take() else {
            return;
        };
        let mut idle = self.home.idle.borrow_mut();
        if !line.sender.is_closed() && idle.len() < MOST_IDLE {
            idle.push((line, Instant::now()));
        }
    }
}
