//! Telling the service manager how it goes (`sd_notify(3)`): datagrams of a few words to a Unix
//! socket. Nobody answers, and nobody here depends on their arrival.
//!
//! With `Type=notify-reload` a reload would also carry the time of the monotonic clock; `Type=notify`,
//! which older managers know too, wants none of it.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// How much longer than the drain a stop may take, for what else has to end.
const AFTER_DRAIN: Duration = Duration::from_secs(5);

/// The way to the service manager; without one, words go nowhere.
#[derive(Debug, Default)]
pub struct ServiceManager(Option<(UnixDatagram, SocketAddr)>);

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Requests are taken.
    Ready,
    /// The configuration is read again; [`Notice::Ready`] follows, whatever came of it.
    Reloading,
    /// No new requests are taken; those in flight may finish within this time.
    Stopping(Duration),
    /// The process with this id serves from now on; it is to be watched.
    Succeeded(u32),
    /// The event loop answers.
    Alive,
}

impl ServiceManager {
    /// The one at `address`, the value of `NOTIFY_SOCKET`: a whole path, or `@` and an abstract name.
    ///
    /// # Errors
    /// The address is of another kind, or the system gave no socket.
    pub fn at(address: Option<&str>) -> io::Result<Self> {
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match address.strip_prefix('@') {
            Some(name) => abstract_address(name)?,
            None if Path::new(address).is_absolute() => SocketAddr::from_pathname(address)?,
            None => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not keep us from serving.
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address))))
    }

    /// Tells it.
    pub fn tell(&self, notice: Notice) {
        if let Some((socket, address)) = &self.0 {
            // A word that is lost is said again by the watchdog, or missed by nobody.
            drop(socket.send_to_addr(notice.words().as_bytes(), address));
        }
    }
}

impl Notice {
    fn words(self) -> String {
        match self {
            Self::Ready => "READY=1\nSTATUS=taking requests".to_owned(),
            Self::Reloading => "RELOADING=1".to_owned(),
            Self::Stopping(drain) => format!(
                "STOPPING=1\nSTATUS=requests in flight finish\nEXTEND_TIMEOUT_USEC={}",
                drain.saturating_add(AFTER_DRAIN).as_micros()
            ),
            Self::Succeeded(pid) => format!("MAINPID={pid}\nSTATUS=taking requests"),
            Self::Alive => "WATCHDOG=1".to_owned(),
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How often to say [`Notice::Alive`]: half of `WATCHDOG_USEC`, where it was set and `WATCHDOG_PID`
/// does not say that another process than `pid` is meant.
#[must_use]
pub fn watchdog(micros: Option<&str>, meant: Option<&str>, pid: u32) -> Option<Duration> {
    if meant.is_some_and(|meant| meant.parse() != Ok(pid)) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros > 1)?;
    Some(Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_is_looked_at() {
        let second = Some(Duration::from_millis(500));
        assert_eq!(watchdog(Some("1000000"), None, 42), second);
        assert_eq!(watchdog(Some("1000000"), Some("42"), 42), second);
        for (micros, meant) in [
            (Some("1000000"), Some("41")),
            (Some("1000000"), Some("")),
            (Some("0"), None),
            (Some("soon"), None),
            (None, Some("42")),
        ] {
            assert_eq!(watchdog(micros, meant, 42), None, "{micros:?} {meant:?}");
        }
    }

    #[test]
    fn words_arrive_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("sidegate-test-{}", std::process::id());
        let named = abstract_address(&name).unwrap();
        for (manager, address) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.display().to_string(),
            ),
            (UnixDatagram::bind_addr(&named).unwrap(), format!("@{name}")),
        ] {
            let told = ServiceManager::at(Some(&address)).unwrap();
            told.tell(Notice::Stopping(Duration::from_secs(30)));
            let mut words = [0; 256];
            let read = manager.recv(&mut words).unwrap();
            assert_eq!(
                std::str::from_utf8(&words[..read]).unwrap(),
                "STOPPING=1\nSTATUS=requests in flight finish\nEXTEND_TIMEOUT_USEC=35000000"
            );
        }
    }

    #[test]
    fn without_a_manager_words_go_nowhere_and_one_of_another_kind_is_named() {
        for nobody in [None, Some("")] {
            ServiceManager::at(nobody).unwrap().tell(Notice::Ready);
        }
        assert!(ServiceManager::at(Some("vsock:2:1234")).is_err());
        let gone = ServiceManager::at(Some("/nowhere/notify")).unwrap();
        gone.tell(Notice::Ready);
    }
}
