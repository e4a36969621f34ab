//! Handing the listening sockets to the next process, so that nobody is refused between two of them:
//! over a pair of Unix sockets, one of which is the next process's standard input, together with the
//! addresses that they are known by. On the same pair the next process says that it serves.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt as _;

/// The variable that tells a process that its standard input is such a socket.
pub const VARIABLE: &str = "SIDEGATE_TAKE_OVER";
/// What is known under no address of `listen`.
pub const PROBES: &str = "probes:";

/// More are never handed over.
const MOST: usize = 64;
/// The longest list of names.
const MOST_NAMES: usize = 64 * 1024;
/// What the next process says once it serves.
const SERVING: &[u8] = b"serving\n";
/// Between two names, and at their end: no address has either.
const NEXT: char = '\n';
const END: char = '\0';

/// A listening socket, by the address that the configuration has for it.
#[derive(Debug)]
pub struct Handed {
    /// The address as it is written.
    pub name: String,
    /// The socket.
    pub socket: OwnedFd,
}

/// The next process, until it serves.
#[derive(Debug)]
pub struct Successor {
    child: Child,
    word: tokio::net::UnixStream,
}

/// The process before this one, until it was told that this one serves.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Successor {
    /// Starts `command` and hands it the sockets. Must be called within a runtime.
    ///
    /// # Errors
    /// The system's; no process is left behind then.
    pub fn start(mut command: Command, sockets: &[Handed]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = command
            .env(VARIABLE, "stdin")
            // The service manager's watchdog is the next process's to feed.
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        // From here on it is ended with us, should anything fail.
        let mut child = Leashed(Some(child));
        send(&ours, sockets)?;
        ours.set_nonblocking(true)?;
        let word = tokio::net::UnixStream::from_std(ours)?;
        let child = child.0.take().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { child, word })
    }

    /// Its process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resolves once it serves.
    ///
    /// # Errors
    /// It ended, or said something else.
    pub async fn serves(&mut self) -> io::Result<()> {
        let mut said = [0; SERVING.len()];
        self.word.read_exact(&mut said).await?;
        if said == SERVING {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Ends it.
    pub fn end(self) {
        drop(Leashed(Some(self.child)));
    }
}

/// A process that ends when this is dropped.
struct Leashed(Option<Child>);

impl Drop for Leashed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn send(to: &UnixStream, sockets: &[Handed]) -> io::Result<()> {
    let names: String = sockets
        .iter()
        .flat_map(|one| [one.name.as_str(), "\n"])
        .chain(["\0"])
        .collect();
    let borrowed: Vec<BorrowedFd<'_>> = sockets.iter().map(|one| one.socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = [IoSlice::new(names.as_bytes())];
    let sent = sendmsg(to, &bytes, &mut control, SendFlags::empty())?;
    let mut to = to;
    to.write_all(names.as_bytes().get(sent..).unwrap_or_default())
}

/// Takes what the process before this one hands over on standard input.
///
/// # Errors
/// The system's, or what came makes no sense.
pub fn receive() -> io::Result<(Vec<Handed>, Predecessor)> {
    receive_on(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn receive_on(mut from: UnixStream) -> io::Result<(Vec<Handed>, Predecessor)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut names = vec![0; MOST_NAMES];
    let came = recvmsg(
        &from,
        &mut [IoSliceMut::new(&mut names)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    names.truncate(came.bytes);
    let sockets: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    while names.last() != Some(&(END as u8)) && names.len() < MOST_NAMES {
        let mut more = [0; 512];
        match from.read(&mut more)? {
            0 => break,
            read => names.extend(more.get(..read).unwrap_or_default()),
        }
    }
    let names = String::from_utf8(names).map_err(|_| io::ErrorKind::InvalidData)?;
    let names: Option<Vec<&str>> = names
        .strip_suffix(END)
        .map(|names| names.split_terminator(NEXT).collect());
    match names {
        Some(names) if names.len() == sockets.len() => {
            let handed = names.into_iter().zip(sockets).map(|(name, socket)| Handed {
                name: name.to_owned(),
                socket,
            });
            Ok((handed.collect(), Predecessor(from)))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

impl Predecessor {
    /// Tells it that this process serves: it takes nothing new from then on.
    ///
    /// # Errors
    /// It is gone, which changes nothing.
    pub fn tell_serving(mut self) -> io::Result<()> {
        self.0.write_all(SERVING)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_arrive_under_their_names_and_are_the_same_sockets() {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let handed: Vec<_> = listeners
            .iter()
            .zip(["127.0.0.1:0", "unix:/run/x.sock"])
            .map(|(listener, name)| Handed {
                name: name.to_owned(),
                socket: listener.try_clone().unwrap().into(),
            })
            .collect();
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, &handed).unwrap();
        let (arrived, predecessor) = receive_on(theirs).unwrap();
        for (one, listener) in arrived.into_iter().zip(&listeners) {
            let address = listener.local_addr().unwrap();
            let taken = TcpListener::from(one.socket);
            assert_eq!(taken.local_addr().unwrap(), address);
            let _waiting = TcpStream::connect(address).unwrap();
            taken.accept().unwrap();
        }
        predecessor.tell_serving().unwrap();
        let mut said = [0; SERVING.len()];
        (&ours).read_exact(&mut said).unwrap();
        assert_eq!(said, SERVING);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [&b""[..], b"one\n\0", b"one", b"\xff\0"] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (&ours).write_all(words).unwrap();
            drop(ours);
            assert!(receive_on(theirs).is_err(), "{words:?}");
        }
    }
}
