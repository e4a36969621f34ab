//! A process of the binary that a test talks to by its standard error and by signals.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What no test needs: whoever waits for words that never come has failed by then.
const TOO_LONG: Duration = Duration::from_secs(60);

/// A running process. It is killed when it is dropped, and when it has run for too long.
pub(crate) struct Running {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    _leash: mpsc::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let pid = child.id();
        let (leash, held) = mpsc::channel();
        std::thread::spawn(move || {
            if held.recv_timeout(TOO_LONG) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill(pid, "-KILL");
            }
        });
        Self {
            child,
            said,
            _leash: leash,
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `-HUP`.
    pub(crate) fn signal(&self, signal: &str) {
        assert!(kill(self.child.id(), signal));
    }

    /// The next line that it says; nothing when it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.said.next().map(Result::unwrap)
    }

    /// The next line that has this word.
    pub(crate) fn said(&mut self, word: &str) -> String {
        let mut lines = std::iter::from_fn(|| self.line());
        let line = lines.find(|line| line.contains(word));
        line.unwrap_or_else(|| panic!("`{word}` was never said"))
    }

    /// Its exit status, and what else it says until then.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = std::iter::from_fn(|| self.line()).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

fn kill(pid: u32, signal: &str) -> bool {
    let mut kill = Command::new("kill");
    let told = kill.args([signal, &pid.to_string()]).status();
    told.is_ok_and(|status| status.success())
}
