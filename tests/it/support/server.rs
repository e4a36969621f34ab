//! A server that others wrote, as a process on an address of the kernel's.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::raw::PATIENCE;

/// A running server. What it notes is a line each in its folder's file `seen`, whose path it is told
/// as `SEEN`; what it says is in `said`. It ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first, so that it ends its own children.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        let late = Instant::now() + PATIENCE;
        while Instant::now() < late && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// Starts what `command` makes of a folder and an address.
    pub(crate) fn start(command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seen"), "").unwrap();
        // None of them tells which port the kernel gave it: it is asked for one beforehand.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = command(folder.path(), address);
        let said = std::fs::File::create(folder.path().join("said")).unwrap();
        let child = command
            .current_dir(folder.path())
            .env("SEEN", folder.path().join("seen"))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Self {
            child,
            folder,
            address,
        };
        let late = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait().unwrap().is_some();
            assert!(!ended && Instant::now() < late, "{}", server.read("said"));
            std::thread::yield_now();
        }
        server
    }

    /// The whole file of this name in its folder.
    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
