//! One process after another on the same sockets: SIGUSR2 starts the binary that now stands where
//! this process's was, and this process ends once that one serves.

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::app::App;
use crate::app::start::StartError;
use crate::config::environment::Environment;
use crate::server::handover::{self, Predecessor, Successor};
use crate::server::passed::{Passed, PassedVariables};

/// How long the next process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this process was given to listen on.
pub(super) struct Sockets {
    pub(super) passed: Passed,
    /// Who waits to hear that this process serves.
    pub(super) predecessor: Option<Predecessor>,
}

/// Takes the sockets of the process before this one, or of the service manager. To be called before
/// the process has a second thread.
pub(super) fn sockets(environment: &Environment) -> Result<Sockets, StartError> {
    if environment.value(handover::VARIABLE).is_some() {
        let (handed, predecessor) = handover::receive().map_err(StartError::TakeOver)?;
        return Ok(Sockets {
            passed: Passed::handed(handed)?,
            predecessor: Some(predecessor),
        });
    }
    let passed = Passed::receive(PassedVariables {
        pid: environment.value("LISTEN_PID"),
        count: environment.value("LISTEN_FDS"),
        names: environment.value("LISTEN_FDNAMES"),
    });
    Ok(Sockets {
        passed: passed?,
        predecessor: None,
    })
}

/// Starts the next process, as this one was started.
pub(super) fn begin(app: &App) -> Option<Successor> {
    if std::process::id() == 1 {
        tracing::error!("as process 1, which everything ends with, this one has no successor");
        return None;
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new(arguments.next()?);
    command.args(arguments);
    match Successor::start(command, app.sockets()) {
        Ok(successor) => {
            tracing::info!(pid = successor.id(), "a successor starts");
            Some(successor)
        }
        Err(error) => {
            tracing::error!(reason = %error, "no successor was started: this process goes on");
            None
        }
    }
}

/// Resolves when the successor serves, with its id, or when it will not; never without one.
pub(super) async fn awaited(successor: &mut Option<Successor>) -> io::Result<u32> {
    match successor {
        None => std::future::pending().await,
        Some(successor) => {
            let served = tokio::time::timeout(PATIENCE, successor.serves()).await;
            served.map_err(|_| io::ErrorKind::TimedOut)??;
            Ok(successor.id())
        }
    }
}

/// Ends a successor that does not serve, if there is one.
pub(super) fn given_up(successor: &mut Option<Successor>) {
    if let Some(successor) = successor.take() {
        successor.end();
    }
}
