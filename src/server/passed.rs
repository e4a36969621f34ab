//! Listening sockets that the service manager opened and passed (`sd_listen_fds(3)`): it can bind
//! port 443 for a process without any privilege, and holds connections while that one restarts.

use std::io;

use listenfd::ListenFd;
use socket2::{Domain, SockRef};
use tokio::net::{TcpListener, UnixListener};

use super::handover::Handed;
use super::listener::Bound;

/// More are never passed to one process; a larger number is a slip.
const MOST: usize = 64;
/// The name of a socket that nobody named, as `sd_listen_fds_with_names(3)` has it.
const NAMELESS: &str = "unknown";

/// The variables that say what was passed, as the process has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassedVariables<'a> {
    /// `LISTEN_PID`: whom the sockets are for.
    pub pid: Option<&'a str>,
    /// `LISTEN_FDS`: how many there are.
    pub count: Option<&'a str>,
    /// `LISTEN_FDNAMES`: their names, with colons between.
    pub names: Option<&'a str>,
}

/// The sockets that were passed, by the service manager or by the process before this one, and that
/// nobody has taken yet.
#[derive(Debug, Default)]
pub struct Passed(Vec<(String, Socketed)>);

#[derive(Debug)]
enum Socketed {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// What was passed cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// The variables make no sense.
    #[error("the service manager's LISTEN_FDS or LISTEN_FDNAMES makes no sense")]
    Variables,
    /// It is no listening stream socket.
    #[error("the socket `{0}` that was passed is no listening TCP or Unix stream socket")]
    NotListening(String),
}

impl Passed {
    /// Takes over what `variables` say was passed to this process; nothing, where they speak of
    /// another one. To be called before the process has a second thread: the variables are removed,
    /// so that no child takes the sockets for its own, and no thread may read the environment then.
    ///
    /// # Errors
    /// [`PassedError`].
    pub fn receive(variables: PassedVariables<'_>) -> Result<Self, PassedError> {
        let names = names(variables, std::process::id())?;
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut received = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(names.len());
        for (index, name) in names.into_iter().enumerate() {
            // An error leaves the descriptor in its place, to be tried as the other kind.
            let tcp = received.take_tcp_listener(index).ok().flatten();
            let mut unix = || received.take_unix_listener(index).ok().flatten();
            let socket = match tcp {
                Some(socket) => Socketed::Tcp(socket),
                None => match unix() {
                    Some(socket) => Socketed::Unix(socket),
                    None => return Err(PassedError::NotListening(name)),
                },
            };
            let listens = match &socket {
                Socketed::Tcp(socket) => SockRef::from(socket).is_listener(),
                Socketed::Unix(socket) => SockRef::from(socket).is_listener(),
            };
            if !listens.unwrap_or(false) {
                return Err(PassedError::NotListening(name));
            }
            sockets.push((name, socket));
        }
        Ok(Self(sockets))
    }

    /// What the process before this one handed over, by the addresses of its configuration.
    ///
    /// # Errors
    /// [`PassedError::NotListening`].
    pub fn handed(handed: Vec<Handed>) -> Result<Self, PassedError> {
        let sockets = handed.into_iter().map(|Handed { name, socket }| {
            let listens = SockRef::from(&socket).is_listener().unwrap_or(false);
            let domain = SockRef::from(&socket).domain().ok();
            match domain {
                Some(Domain::UNIX) if listens => Ok((name, Socketed::Unix(socket.into()))),
                Some(Domain::IPV4 | Domain::IPV6) if listens => {
                    Ok((name, Socketed::Tcp(socket.into())))
                }
                _ => Err(PassedError::NotListening(name)),
            }
        });
        Ok(Self(sockets.collect::<Result<_, _>>()?))
    }

    /// Whether there is a socket of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(its, _)| its == name)
    }

    /// All sockets of this name, ready to accept; they are then no longer here. Must be called
    /// within a runtime.
    ///
    /// # Errors
    /// The system's; `NotFound` where none has the name.
    pub fn take(&mut self, name: &str) -> io::Result<Vec<Bound>> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(its, _)| its == name);
        self.0 = left;
        let taken: Vec<(String, Socketed)> = taken;
        if taken.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the service manager passed no socket of this name",
            ));
        }
        taken
            .into_iter()
            .map(|(_, socket)| socket.into_bound())
            .collect()
    }

    /// The names of the sockets that are still here.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Socketed {
    fn into_bound(self) -> io::Result<Bound> {
        match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Bound::Tcp(TcpListener::from_std(socket)?))
            }
            Self::Unix(socket) => {
                socket.set_nonblocking(true)?;
                // Its file belongs to whoever bound it.
                Ok(Bound::Unix(UnixListener::from_std(socket)?, None))
            }
        }
    }
}

/// The names of the sockets for the process `pid`, in the order of their descriptors.
fn names(variables: PassedVariables<'_>, pid: u32) -> Result<Vec<String>, PassedError> {
    let ours = |text: &str| text.parse() == Ok(pid);
    let Some(count) = variables.count.filter(|_| variables.pid.is_some_and(ours)) else {
        return Ok(Vec::new());
    };
    let count = count.parse::<usize>().ok().filter(|count| *count <= MOST);
    let count = count.ok_or(PassedError::Variables)?;
    let names: Vec<String> = match variables.names {
        None => vec![NAMELESS.to_owned(); count],
        Some(_) if count == 0 => Vec::new(),
        Some(names) => names.split(':').map(str::to_owned).collect(),
    };
    if names.len() == count {
        Ok(names)
    } else {
        Err(PassedError::Variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pid: &str, count: &str, names: Option<&str>) -> Option<Vec<String>> {
        let variables = PassedVariables {
            pid: Some(pid),
            count: Some(count),
            names,
        };
        super::names(variables, 42).ok()
    }

    #[test]
    fn sockets_are_known_by_their_names_in_the_order_of_their_descriptors() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(
            told("42", "2", Some("http:spare")),
            names(&["http", "spare"])
        );
        assert_eq!(told("42", "2", Some("http:http")), names(&["http", "http"]));
        assert_eq!(told("42", "2", None), names(&["unknown", "unknown"]));
        assert_eq!(told("42", "0", Some("")), names(&[]));
    }

    // A child inherits the variables and not always the descriptors: those numbers are then files of
    // its own.
    #[test]
    fn sockets_for_another_process_are_nobodys_here() {
        assert_eq!(told("41", "1", Some("http")), Some(Vec::new()));
        assert_eq!(told("", "1", Some("http")), Some(Vec::new()));
        let nobody = PassedVariables {
            count: Some("1"),
            ..PassedVariables::default()
        };
        assert_eq!(names(nobody, 42).ok(), Some(Vec::new()));
    }

    #[test]
    fn variables_that_contradict_each_other_are_refused() {
        for (count, names) in [
            ("2", Some("http")),
            ("1", Some("http:spare")),
            ("one", None),
            ("-1", None),
            ("65", None),
        ] {
            assert_eq!(told("42", count, names), None, "{count} {names:?}");
        }
    }
}
