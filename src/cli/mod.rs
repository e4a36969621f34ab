//! Floor 8: one file per command.
//!
//! [`parse`] turns the command line into an [`Invocation`]. The commands that need nothing but the
//! configuration are run here by [`Local::run`]; `run`, `demo` and `dev-provider` belong to whoever
//! matches on the invocation.

pub mod args;
pub mod check;
pub mod config_schema;
pub mod config_show;
pub mod demo;
pub mod dev_provider;
mod draw;
pub mod explain;
pub mod healthcheck;
pub mod keygen;
mod policy_tests;
mod rehearsal;
pub mod run;
pub mod sessions;
mod shown_access;
mod shown_routes;
mod shown_sessions;
mod succession;
pub mod version;
mod yaml;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use self::args::{CheckFormat, KeygenTo};
use crate::base::entropy::Entropy;
use crate::config::environment::Environment;
use crate::config::flags::Flags;

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Guard the app.
    Run(Start),
    /// Start the embedded provider, a sample app and the gate on loopback.
    Demo(Demo),
    /// Start the embedded provider alone.
    DevProvider(DevProvider),
    /// A command that needs no server.
    Local(Local),
}

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub enum Start {
    /// This file, which is the whole truth.
    File(PathBuf),
    /// Flags and environment variables.
    Flags(Flags),
}

/// What `demo` was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// The app to put the gate before, instead of the sample.
    pub upstream: Option<String>,
    /// The port of the gate.
    pub port: u16,
}

/// What `dev-provider` was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevProvider {
    /// The port of the provider.
    pub port: u16,
    /// The one client that may ask.
    pub client_id: String,
    /// Where its secret stands; a public client has none.
    pub client_secret_file: Option<PathBuf>,
    /// Its callback.
    pub redirect_uri: String,
}

/// A command that needs no server.
#[derive(Debug)]
pub enum Local {
    /// `check`
    Check(Start, CheckFormat, Option<PathBuf>),
    /// `explain`
    Explain(Box<explain::Question>, Start),
    /// `keygen`
    Keygen(KeygenTo),
    /// `config show`
    ConfigShow(Start),
    /// `config schema`
    ConfigSchema,
    /// `healthcheck`
    Healthcheck(Start),
    /// `sessions`
    Sessions(sessions::Act, Start),
    /// `version`
    Version(version::Form),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Done,
    /// The command line makes no sense.
    Usage,
    /// The configuration has faults.
    Configuration,
    /// Something else went wrong.
    Failure,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Usage => Self::from(64),
            Exit::Configuration => Self::from(78),
            Exit::Failure => Self::from(1),
        }
    }
}

/// Where a command writes: results to one stream, what it has to say about them to the other.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Complaints.
    pub err: &'a mut dyn Write,
    /// Whether `out` is for people.
    pub paint_out: Paint,
    /// Whether `err` is for people.
    pub paint_err: Paint,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// For people on a terminal.
    Coloured,
    /// For pipes, files, and where `NO_COLOR` is set.
    Plain,
}

impl Paint {
    fn of(terminal: &impl std::io::IsTerminal, environment: &Environment) -> Self {
        let refused = environment
            .value("NO_COLOR")
            .is_some_and(|value| !value.is_empty());
        let dumb = environment.value("TERM") == Some("dumb");
        if terminal.is_terminal() && !refused && !dumb {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams")
            .field("paint_out", &self.paint_out)
            .field("paint_err", &self.paint_err)
            .finish_non_exhaustive()
    }
}

/// Calls `act` with the process's own streams.
pub fn with_streams<T>(act: impl FnOnce(&mut Streams<'_>) -> T) -> T {
    let environment = Environment::of_process();
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let mut streams = Streams {
        paint_out: Paint::of(&out, &environment),
        paint_err: Paint::of(&err, &environment),
        out: &mut out.lock(),
        err: &mut err.lock(),
    };
    act(&mut streams)
}

/// What this process's command line asks for. Where it asks for help, or makes no sense, that is said
/// on the spot.
///
/// # Errors
/// How the process should end.
pub fn parse() -> Result<Invocation, Exit> {
    let environment = Environment::of_process();
    args::parse(std::env::args_os(), &environment, &args::default_file).map_err(|refused| {
        refused.say();
        refused.exit()
    })
}

impl Local {
    /// Runs the command. What cannot be written, because nobody reads any more, is a failure and
    /// nothing worse.
    #[must_use]
    pub fn run(self, streams: &mut Streams<'_>) -> Exit {
        let environment = Environment::of_process();
        let ended = match self {
            Self::Check(start, format, tests) => {
                let checked = check::run(&start, format, &environment, streams);
                match (checked, tests) {
                    (Ok(Exit::Done), Some(tests)) => {
                        check::try_policy(&start, &tests, &environment, streams)
                    }
                    (checked, _) => checked,
                }
            }
            Self::Explain(question, start) => {
                explain::run(&question, &start, &environment, streams)
            }
            Self::Keygen(to) => keygen::run(&to, Entropy::system(), streams),
            Self::ConfigShow(start) => config_show::run(&start, &environment, streams),
            Self::ConfigSchema => config_schema::run(streams),
            Self::Healthcheck(start) => healthcheck::run(&start, &environment, streams),
            Self::Sessions(act, start) => sessions::run(&act, &start, &environment, streams),
            Self::Version(form) => version::run(form, streams),
        };
        ended.unwrap_or(Exit::Failure)
    }
}
