//! `run`: guard the app until told to stop.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::succession::{self, Sockets};
use super::{Exit, Start, check, with_streams};
use crate::app::log_line::Level;
use crate::app::log_names::UserLogging;
use crate::app::start::StartError;
use crate::app::telemetry::{ColourWish, Format, Telemetry};
use crate::app::{App, Logs, certificates, exposure, reload};
use crate::base::clock::Clock;
use crate::config::environment::Environment;
use crate::config::log::{LogFormat, LogLevel, LogSettings};
use crate::config::{Config, SessionKeys};
use crate::server::Limits;
use crate::server::descriptors;
use crate::server::handover::Successor;
use crate::server::service_manager::{self, Notice, ServiceManager};

/// How long the last log lines may take to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Loads the configuration, starts, and serves until SIGTERM or SIGINT. SIGHUP reloads, and on
/// SIGUSR2 a successor takes over.
#[must_use]
pub fn run(start: &Start) -> Exit {
    let environment = Environment::of_process();
    // Before the first thread of our own, which those of the log are.
    let sockets = succession::sockets(&environment);
    let config = match with_streams(|streams| check::load(start, &environment, streams)) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let telemetry = match telemetry(config.log, &environment) {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    let logs = logs(&telemetry, config.log);
    let file = match start {
        Start::File(path) => Some(path.clone()),
        Start::Flags(_) => None,
    };
    let manager = service_manager(&environment);
    descriptors::raise();
    let exit = on_runtime(async {
        let sockets = sockets?;
        let mut config = config;
        fit(&mut config.limits, descriptors::connections());
        if let Some(interval) = watchdog(&environment) {
            tokio::spawn(feed(Arc::clone(&manager), interval));
        }
        serve(config, file, logs, sockets, &manager).await
    });
    telemetry.finish(LAST_LINES);
    exit
}

/// Takes no more connections than there are descriptors for.
fn fit(limits: &mut Limits, room: Option<usize>) {
    let Some(room) = room.filter(|room| *room < limits.connections) else {
        return;
    };
    // A few less are nobody's concern.
    if room < limits.connections - limits.connections / 10 {
        tracing::warn!(
            limit = limits.connections,
            room,
            "limits.connections is more than the process may open descriptors for: fewer are taken"
        );
    }
    limits.connections = room;
}

/// The service manager that `environment` names, or nobody.
fn service_manager(environment: &Environment) -> Arc<ServiceManager> {
    let address = environment.value("NOTIFY_SOCKET");
    let manager = ServiceManager::at(address).unwrap_or_else(|error| {
        tracing::warn!(reason = %error, "the service manager cannot be told how it goes");
        ServiceManager::default()
    });
    Arc::new(manager)
}

/// How often the service manager wants to hear from us, if it does.
fn watchdog(environment: &Environment) -> Option<Duration> {
    service_manager::watchdog(
        environment.value("WATCHDOG_USEC"),
        environment.value("WATCHDOG_PID"),
        std::process::id(),
    )
}

/// Feeds the service manager's watchdog for as long as the control runtime turns, the drain included.
async fn feed(manager: Arc<ServiceManager>, interval: Duration) {
    let mut interval = tokio::time::interval(interval);
    loop {
        interval.tick().await;
        manager.tell(Notice::Alive);
    }
}

/// Runs `serving` on this thread: the control runtime.
pub(super) fn on_runtime(serving: impl Future<Output = Result<(), StartError>>) -> Exit {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(reason = %error, "the system gave no event queue");
            return Exit::Failure;
        }
    };
    match runtime.block_on(serving) {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!(reason = %error, "not running");
            Exit::Failure
        }
    }
}

/// Sets up the logs as `settings` say.
pub(super) fn telemetry(
    settings: LogSettings,
    environment: &Environment,
) -> Result<Telemetry, Exit> {
    let format = match settings.format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    let refused = environment
        .value("NO_COLOR")
        .is_some_and(|value| !value.is_empty());
    let colours = if refused {
        ColourWish::Refused
    } else {
        ColourWish::Allowed
    };
    Telemetry::start(format, level(settings.level), colours).map_err(|error| {
        with_streams(|streams| drop(writeln!(streams.err, "error: {error}")));
        Exit::Failure
    })
}

/// Where the app logs to.
pub(super) fn logs(telemetry: &Telemetry, settings: LogSettings) -> Logs {
    Logs {
        sink: telemetry.sink.clone(),
        least: level(settings.level),
        users: UserLogging::Hash,
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Trace => Level::Trace,
    }
}

async fn serve(
    config: Config,
    file: Option<PathBuf>,
    logs: Logs,
    sockets: Sockets,
    manager: &ServiceManager,
) -> Result<(), StartError> {
    let mut signals = Signals::new().map_err(StartError::Thread)?;
    let app = App::start_on(config, Clock::system(), cores(), logs, sockets.passed).await?;
    announce(&app);
    manager.tell(Notice::Ready);
    if let Some(predecessor) = sockets.predecessor
        && let Err(error) = predecessor.tell_serving()
    {
        tracing::warn!(reason = %error, "the process before this one is gone");
    }
    let shared = Arc::clone(app.shared());
    let following = file
        .clone()
        .map(|path| tokio::spawn(reload::follow_files(path, Arc::clone(&shared))));
    let certificates = Arc::clone(&shared.certificates);
    let looking = tokio::spawn(certificates::follow(
        certificates,
        shared.live.clock.clone(),
    ));
    let mut exposed = pin!(exposure::follow(Arc::clone(&shared)));
    let mut successor: Option<Successor> = None;
    let end = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::Stop => break End::Stopped,
                Told::Reload => match &file {
                    Some(path) => {
                        manager.tell(Notice::Reloading);
                        reload::reload(path, &shared);
                        manager.tell(Notice::Ready);
                    }
                    None => tracing::warn!("there is no configuration file to reload"),
                },
                Told::Succeed if successor.is_none() => successor = succession::begin(&app),
                Told::Succeed => tracing::warn!("a successor is starting already"),
            },
            not_private = &mut exposed => break End::Failed(StartError::from(not_private)),
            served = succession::awaited(&mut successor) => match served {
                Ok(pid) => break End::Succeeded(pid),
                Err(reason) => {
                    tracing::error!(%reason, "the successor does not serve: this process goes on");
                    succession::given_up(&mut successor);
                }
            },
        }
    };
    if let Some(following) = following {
        following.abort();
    }
    looking.abort();
    if let End::Succeeded(pid) = end {
        tracing::info!(pid, "a successor serves: requests in flight finish");
        manager.tell(Notice::Succeeded(pid));
        app.stop_succeeded().await;
        return Ok(());
    }
    succession::given_up(&mut successor);
    tracing::info!("stopping: requests in flight finish");
    let time = {
        let limits = &shared.current.load().config.limits;
        limits.drain_delay.saturating_add(limits.drain)
    };
    manager.tell(Notice::Stopping(time));
    app.stop().await;
    match end {
        End::Failed(error) => Err(error),
        End::Stopped | End::Succeeded(_) => Ok(()),
    }
}

/// Why the process ends.
enum End {
    Stopped,
    Succeeded(u32),
    Failed(StartError),
}

/// As many workers as there are cores for this process.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Says what runs: five lines at most, and one for each switch that weakens something.
fn announce(app: &App) {
    let generation = app.shared().current.load();
    let config = &generation.config;
    let listen: Vec<String> = app.addresses.iter().map(ToString::to_string).collect();
    let upstreams: Vec<&str> = config
        .upstreams
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), public_url = %config.public_url, "sidegate");
    tracing::info!(addresses = %listen.join(" "), probes = %app.probes, upstreams = %upstreams.join(" "), "listening");
    for provider in &generation.providers {
        tracing::info!(
            provider = provider.id(),
            redirect_uri = provider.redirect_uri(),
            "register this redirect URI at the provider"
        );
    }
    let keys = match &config.session.keys {
        SessionKeys::Given(_) => "given",
        SessionKeys::StateFile(_) => "state file",
        SessionKeys::Ephemeral => "ephemeral: a restart signs everybody out",
    };
    tracing::info!(store = "cookie", keys, "sessions");
    for switch in &config.insecure {
        tracing::warn!(setting = %switch.path, what = switch.what, "insecure setting");
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR2: the next process takes over.
    Succeed,
}

/// The signals that are listened to.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    succeed: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            succeed: signal(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
            _ = self.succeed.recv() => Told::Succeed,
        }
    }
}
