//! Floor 7: the wiring. [`App::start`] builds everything that a configuration says and runs it;
//! [`journey`] is what happens to one request.

pub mod access_log;
mod admin;
pub mod audit;
pub mod certificates;
pub mod claim_once;
pub mod ended_sessions;
pub mod endpoint;
pub mod exposure;
pub mod generation;
pub mod iso_time;
pub mod journey;
pub mod language;
pub mod log_line;
pub mod log_names;
pub mod log_sink;
pub mod pages;
pub mod reference;
pub mod reload;
pub mod renewal;
pub mod reply;
pub mod respond;
mod seen;
pub mod sessions;
pub mod shadow;
pub mod shown;
pub mod start;
pub mod status;
pub mod streams;
pub mod telemetry;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use self::access_log::AccessLog;
use self::admin::Admin;
use self::audit::AuditLog;
use self::certificates::Certificates;
use self::ended_sessions::EndedSessions;
use self::exposure::{Exposures, Telling};
use self::generation::{Generation, Live};
use self::journey::Worker;
use self::log_line::Level;
use self::log_names::UserLogging;
use self::log_sink::LogSink;
use self::sessions::{Arrival, Places, Sessions};
use self::start::{StartError, session_keys};
use self::status::Status;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::proxy::FAREWELL;
use crate::server::drain::{Drain, Stage};
use crate::server::entrance::{Entrance, Trust};
use crate::server::handover::{self, Handed};
use crate::server::listener::{Bound, Left, Listener};
use crate::server::passed::Passed;
use crate::server::worker::Workers;
use crate::server::{self, ListenAddress, ListenSettings, probes};

/// How often a stop looks whether all connections have ended.
const QUIET: Duration = Duration::from_millis(20);

/// How long a process that has a successor keeps what only one has at a time.
const LAST_LOGINS: Duration = Duration::from_secs(1);

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Nobody comes after it, for all it knows.
    Alone,
    /// Another one serves by now.
    Succeeded,
}

/// What all threads of the process see.
#[derive(Debug)]
pub struct Shared {
    /// What outlives a reload.
    pub live: Live,
    /// The generation that new requests fall under.
    pub current: ArcSwap<Generation>,
    /// Where security events are told.
    pub audit: AuditLog,
    /// Where access lines go; each worker has a writer of its own.
    pub access: AccessLog,
    /// What our listeners show.
    pub certificates: Arc<Certificates>,
    /// Whether the apps can be reached around the gate.
    pub exposures: Exposures,
    /// What rules that are only tried would have decided otherwise.
    pub differences: shadow::Differences,
    /// Whether tunnels must end.
    pub ended: watch::Receiver<bool>,
}

/// Where and what the process logs.
#[derive(Debug, Clone)]
pub struct Logs {
    /// Where access and audit lines go.
    pub sink: LogSink,
    /// The least important access line that is written.
    pub least: Level,
    /// How people are named.
    pub users: UserLogging,
}

/// A running Sidegate.
#[derive(Debug)]
pub struct App {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    acceptors: JoinSet<()>,
    probing: AbortHandle,
    administered: Option<AbortHandle>,
    /// What a process after this one would take over.
    sockets: Vec<Handed>,
    /// The socket files that would be its own then.
    files: Vec<Left>,
    drain: Drain,
    end: watch::Sender<bool>,
    /// Where requests are taken, with the ports that the kernel gave; Unix sockets are left out.
    pub addresses: Vec<SocketAddr>,
    /// Where the probes are answered.
    pub probes: SocketAddr,
}

impl App {
    /// Builds and starts everything. Must be called within the control runtime. The provider may be
    /// down: nothing is asked of it before requests are taken.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs.
    pub async fn start(
        config: Config,
        clock: Clock,
        workers: usize,
        logs: Logs,
    ) -> Result<Self, StartError> {
        Self::start_on(config, clock, workers, logs, Passed::default()).await
    }

    /// The same, with sockets that the service manager `passed`.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs.
    pub async fn start_on(
        config: Config,
        clock: Clock,
        workers: usize,
        logs: Logs,
        passed: Passed,
    ) -> Result<Self, StartError> {
        let control = Handle::current();
        let arrival = if passed.has(handover::PROBES) {
            Arrival::TakesOver
        } else {
            Arrival::Fresh
        };
        let places = Places::open(&config.session.store, &clock, arrival).await?;
        let ended = Arc::new(EndedSessions::default());
        let sessions = Sessions::new(places, Arc::clone(&ended), clock.clone(), control.clone());
        let sessions = Arc::new(sessions);
        sessions.listen(arrival).await;
        let live = Live::new(clock, control, ended, sessions);
        let certificates = Certificates::load(&config.listen, live.clock.now())?;
        let mut passed = passed;
        let probes_listener = bind_probes(config.probes, &mut passed).await;
        let named = |cause| StartError::Listen {
            address: config.probes.to_string(),
            cause,
        };
        let probes_listener = probes_listener.map_err(named)?;
        let admin = bind_admin(config.admin.as_deref(), &mut passed)?;
        let bound = bind(&config.listen, passed)?;
        let sockets = again(bound.iter().chain(&admin), &probes_listener).map_err(named)?;
        let (_, listeners): (Vec<_>, Vec<_>) = bound.into_iter().unzip();
        let sockets_of_ours = listeners.iter().chain(admin.iter().map(|(_, one)| one));
        let files = sockets_of_ours.filter_map(Listener::left).collect();
        let probes_address = probes_listener.local_addr().map_err(named)?;
        let addresses: Vec<SocketAddr> = listeners.iter().filter_map(Listener::address).collect();
        let own = addresses.iter().copied().chain([probes_address]);
        let exposures = Exposures::new(own.collect());
        let seen = exposures.judge(&config.upstreams)?;
        let keys = session_keys(&config.session.keys, &live)?;
        let (limits, listen) = (config.limits.clone(), config.listen.clone());
        let generation = Generation::build(config, &keys, &live)?;
        live.sessions.seal_with(Arc::clone(&generation.keyring));
        exposures.remember(seen, Telling::All);
        let (end, ended) = watch::channel(false);
        let shared = Arc::new(Shared {
            live,
            current: ArcSwap::from_pointee(generation),
            audit: AuditLog::new(logs.sink.clone(), logs.users),
            access: AccessLog::new(logs.sink, logs.least),
            certificates: Arc::new(certificates),
            exposures,
            differences: shadow::Differences::default(),
            ended,
        });
        let (drain, drained) = Drain::pair();
        let make = {
            let shared = Arc::clone(&shared);
            move |load| Worker::new(Arc::clone(&shared), load)
        };
        let trust = {
            let shared = Arc::clone(&shared);
            Trust::new(move |peer| {
                let generation = shared.current.load();
                generation.config.trusted_proxies.trusts_peer(peer)
            })
        };
        let entrances = listen.iter().enumerate().map(|(index, one)| {
            let tls = shared.certificates.at(index);
            Entrance::new(one, tls, trust.clone(), drained.clone())
        });
        let entrances = entrances.collect();
        let workers = Workers::start(workers, &limits, &drained, &entrances, make);
        let workers = Arc::new(workers.map_err(StartError::Thread)?);
        let mut acceptors = JoinSet::new();
        for listener in listeners {
            let (workers, drained) = (Arc::clone(&workers), drained.clone());
            acceptors.spawn(async move { workers.accept(listener, drained).await });
        }
        let status = Arc::new(Status::new(
            Arc::clone(&shared),
            Arc::clone(&workers),
            drained,
        ));
        let probing = tokio::spawn(probes::serve(probes_listener, status)).abort_handle();
        let administered = admin.map(|(_, listener)| {
            let admin = Arc::new(Admin::new(Arc::clone(&shared)));
            tokio::spawn(server::admin::serve(listener, admin)).abort_handle()
        });
        Ok(Self {
            shared,
            workers,
            acceptors,
            probing,
            administered,
            sockets,
            files,
            drain,
            end,
            addresses,
            probes: probes_address,
        })
    }

    /// What all threads see.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Is not ready for `limits.drain_delay`, then takes no new connections, lets requests in
    /// flight finish within `limits.drain`, cuts what is left, tells tunnels, and stops.
    pub async fn stop(self) {
        let delay = self.shared.current.load().config.limits.drain_delay;
        self.drain.move_on(Stage::Leaving);
        tokio::time::sleep(delay).await;
        self.finish(Leaving::Alone).await;
    }

    /// The listening sockets, to be handed to a process after this one.
    #[must_use]
    pub fn sockets(&self) -> &[Handed] {
        &self.sockets
    }

    /// The same as [`App::stop`] where a process after this one has the sockets and serves: without
    /// a delay, and without a word to those who ask for readiness, which it answers.
    pub async fn stop_succeeded(self) {
        self.probing.abort();
        for file in &self.files {
            file.leave();
        }
        self.finish(Leaving::Succeeded).await;
    }

    async fn finish(mut self, leaving: Leaving) {
        let limit = self.shared.current.load().config.limits.drain;
        // Held any longer they would take connections that nobody accepts.
        self.sockets.clear();
        self.drain.move_on(Stage::Draining);
        if let Some(administered) = &self.administered {
            administered.abort();
        }
        while self.acceptors.join_next().await.is_some() {} // each takes what waits for it
        self.shared.live.renewals.rest();
        let quiet = || async {
            while self.workers.connections() > 0 {
                tokio::time::sleep(QUIET).await;
            }
        };
        // Whoever comes after waits for what one process has at a time; who is in the middle of a login
        // here has a moment more.
        let sessions = &self.shared.live.sessions;
        if leaving == Leaving::Succeeded {
            drop(tokio::time::timeout(LAST_LOGINS, quiet()).await);
            drop(tokio::time::timeout(LAST_LOGINS, self.renewed()).await);
            sessions.close().await;
        }
        drop(tokio::time::timeout(limit, quiet()).await);
        // What a renewal brings is written before the process ends: its token is spent.
        drop(tokio::time::timeout(limit, self.renewed()).await);
        self.end.send_replace(true);
        self.drain.move_on(Stage::Ended);
        drop(tokio::time::timeout(FAREWELL.saturating_add(QUIET), quiet()).await);
        sessions.close().await;
        self.drain.move_on(Stage::Gone);
    }
}

impl App {
    /// Until no renewal is under way.
    async fn renewed(&self) {
        while self.shared.live.renewals.are_under_way() {
            tokio::time::sleep(QUIET).await;
        }
    }
}

async fn bind_probes(address: SocketAddr, passed: &mut Passed) -> io::Result<TcpListener> {
    match passed
        .take(handover::PROBES)
        .ok()
        .and_then(|mut one| one.pop())
    {
        Some(Bound::Tcp(listener)) => Ok(listener),
        _ => TcpListener::bind(address).await,
    }
}

/// The socket for whoever looks after the process, with its name among those that are handed on.
fn bind_admin(
    path: Option<&Path>,
    passed: &mut Passed,
) -> Result<Option<(String, Listener)>, StartError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let address = ListenAddress::Unix(path.to_owned()).to_string();
    match server::admin::bind(path, passed) {
        Ok(listener) => Ok(Some((address, listener))),
        Err(cause) => Err(StartError::Listen { address, cause }),
    }
}

/// All sockets once more, by their addresses.
fn again<'a>(
    bound: impl Iterator<Item = &'a (String, Listener)>,
    probes: &TcpListener,
) -> io::Result<Vec<Handed>> {
    let named = |name: &str, socket| Handed {
        name: name.to_owned(),
        socket,
    };
    let listeners = bound.map(|(name, listener)| Ok(named(name, listener.again()?)));
    let probes = probes.as_fd().try_clone_to_owned();
    listeners
        .chain([probes.map(|socket| named(handover::PROBES, socket))])
        .collect()
}

/// Each listener with its address as it is written.
fn bind(
    listen: &[ListenSettings],
    mut passed: Passed,
) -> Result<Vec<(String, Listener)>, StartError> {
    let mut listeners = Vec::new();
    for (index, settings) in listen.iter().enumerate() {
        let address = settings.address.to_string();
        let bound = Listener::bind(&settings.address, index, &mut passed);
        let bound = bound.map_err(|cause| StartError::Listen {
            address: address.clone(),
            cause,
        })?;
        listeners.extend(bound.into_iter().map(|one| (address.clone(), one)));
    }
    for name in passed.left() {
        tracing::warn!(
            socket = name,
            "a socket was passed that `listen` does not name: it is closed"
        );
    }
    Ok(listeners)
}
