//! Sockets that people connect to.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::ListenAddress;
use super::passed::Passed;
use crate::base::peer::{Peer, PeerAddress};

/// How many connections the kernel may hold for us.
const BACKLOG: i32 = 1024;

/// How many bytes the kernel takes from us for one connection that are not yet on their way. Without a
/// bound it takes megabytes for somebody who reads slowly, which no limit of ours sees.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// A bound socket, and which listener of the configuration it belongs to.
#[derive(Debug)]
pub struct Listener {
    bound: Bound,
    entrance: usize,
}

/// A bound socket.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket; one that we bound is removed from its path when we are done.
    Unix(UnixListener, Option<OwnedPath>),
}

/// An accepted socket, on its way to a worker.
#[derive(Debug)]
pub enum Socketed {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(StdUnixStream),
}

impl Listener {
    /// Binds what the listener with the index `entrance` has for an address, or takes it from
    /// `passed`, which may hold several sockets of one name; must be called within a runtime.
    ///
    /// # Errors
    /// The system's: the address is in use, not ours, or not allowed; nothing of the name was passed.
    pub fn bind(
        address: &ListenAddress,
        entrance: usize,
        passed: &mut Passed,
    ) -> io::Result<Vec<Self>> {
        let bound = Bound::bind(address, passed)?;
        for bound in &bound {
            bound.limit_unsent();
        }
        let with_entrance = |bound| Self { bound, entrance };
        Ok(bound.into_iter().map(with_entrance).collect())
    }

    /// The address that it has, with the port that the kernel gave; nothing for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Tcp(listener) => listener.local_addr().ok(),
            Bound::Unix(..) => None,
        }
    }

    /// The next connection.
    ///
    /// # Errors
    /// The system's; the listener goes on.
    pub async fn accept(&self) -> io::Result<(Socketed, Peer)> {
        match &self.bound {
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let peer = Peer::new(PeerAddress::Tcp(peer), self.entrance);
                Ok((Socketed::Tcp(stream.into_std()?), peer))
            }
            Bound::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer::new(PeerAddress::Unix, self.entrance);
                Ok((Socketed::Unix(stream.into_std()?), peer))
            }
        }
    }
}

impl Bound {
    /// Every connection that is accepted inherits it. Where the system does not know it, it keeps to its
    /// own bound.
    fn limit_unsent(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(listener) = self {
            drop(socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT));
        }
    }

    fn bind(address: &ListenAddress, passed: &mut Passed) -> io::Result<Vec<Self>> {
        if let Ok(mut handed) = passed.take(&address.to_string()) {
            // Its file is ours now.
            for listener in &mut handed {
                if let (Self::Unix(_, own), ListenAddress::Unix(path)) = (listener, address) {
                    *own = Some(OwnedPath::new(path));
                }
            }
            return Ok(handed);
        }
        match address {
            ListenAddress::Tcp(address) => {
                let domain = Domain::for_address(*address);
                let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
                socket.set_nonblocking(true)?;
                socket.set_reuse_address(true)?;
                socket.bind(&(*address).into())?;
                socket.listen(BACKLOG)?;
                Ok(vec![Self::Tcp(TcpListener::from_std(socket.into())?)])
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
                Ok(vec![Self::Unix(listener, Some(OwnedPath::new(path)))])
            }
            ListenAddress::Passed(name) => passed.take(name),
        }
    }
}

impl Listener {
    /// The next connection that is there already, if there is one.
    ///
    /// # Errors
    /// The system's.
    pub async fn accept_waiting(&self) -> io::Result<Option<(Socketed, Peer)>> {
        let mut accepting = pin!(self.accept());
        poll_fn(|context| match accepting.as_mut().poll(context) {
            Poll::Ready(accepted) => Poll::Ready(accepted.map(Some)),
            Poll::Pending => Poll::Ready(Ok(None)),
        })
        .await
    }
}

impl Listener {
    /// The same socket once more, for a process after this one.
    ///
    /// # Errors
    /// The system's.
    pub fn again(&self) -> io::Result<OwnedFd> {
        match &self.bound {
            Bound::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Bound::Unix(listener, _) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Whom to tell that a socket file is no longer ours; nobody where there is none.
    #[must_use]
    pub fn left(&self) -> Option<Left> {
        match &self.bound {
            Bound::Unix(_, Some(path)) => Some(Left(Arc::clone(&path.left))),
            _ => None,
        }
    }
}

/// The file of a socket that we bound. It is removed when this is dropped, unless it was left to
/// the process after this one.
#[derive(Debug)]
pub struct OwnedPath {
    path: PathBuf,
    left: Arc<AtomicBool>,
}

/// Leaves a socket file to the process after this one.
#[derive(Debug)]
pub struct Left(Arc<AtomicBool>);

impl Left {
    /// From now on it is not removed.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl OwnedPath {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            left: Arc::default(),
        }
    }
}

impl Drop for OwnedPath {
    fn drop(&mut self) {
        if !self.left.load(Ordering::Relaxed) {
            // It may be gone already, which is as well.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Removes a socket file that nobody listens on any more; leaves anything else alone, so that
/// binding fails and says so.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && StdUnixStream::connect(path).is_err() => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::SockRef;

    use super::*;

    // Q2: what somebody does not read is held by nobody, the kernel included.
    #[tokio::test]
    async fn the_kernel_takes_little_for_somebody_who_reads_slowly() {
        let address = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let mut passed = Passed::default();
        let bound = Listener::bind(&address, 0, &mut passed).unwrap();
        let client = std::net::TcpStream::connect(bound[0].address().unwrap()).unwrap();
        let (Socketed::Tcp(accepted), _) = bound[0].accept().await.unwrap() else {
            panic!("no TCP");
        };
        assert_eq!(
            SockRef::from(&accepted).tcp_notsent_lowat().unwrap(),
            UNSENT
        );
        drop(client);
    }
}
