//! Something between the store and its server that can fail in all the ways that a network can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it does with connections, the ones that stand included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// All passes.
    Open,
    /// They are cut.
    Cut,
    /// They stand, and nothing passes.
    Hung,
    /// Of the answers from now on so many bytes pass, and then they are cut.
    Half(usize),
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    way: watch::Sender<Way>,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = watch::Sender::new(Way::Open);
        let connections = Arc::new(AtomicUsize::new(0));
        let relay = Self {
            port: listener.local_addr().unwrap().port(),
            way: way.clone(),
            connections: Arc::clone(&connections),
        };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(near, port, way.subscribe()));
            }
        });
        relay
    }

    pub(crate) fn goes(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// How many were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn pass(mut near: TcpStream, port: u16, mut way: watch::Receiver<Way>) -> Option<()> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let (mut asked, mut answered) = ([0; 16384], [0; 16384]);
    let mut left = usize::MAX;
    loop {
        let now = *way.borrow_and_update();
        left = match now {
            Way::Open => usize::MAX,
            Way::Cut => return None,
            Way::Half(bytes) => bytes,
            Way::Hung => {
                // It is the same connection afterwards, and still of no use.
                way.wait_for(|way| *way == Way::Cut).await.ok()?;
                return None;
            }
        }
        .min(left);
        loop {
            tokio::select! {
                biased;
                _ = way.changed() => break,
                read = near.read(&mut asked) => {
                    let read = read.ok().filter(|read| *read > 0)?;
                    far.write_all(&asked[..read]).await.ok()?;
                }
                read = far.read(&mut answered) => {
                    let read = read.ok().filter(|read| *read > 0)?;
                    near.write_all(&answered[..read.min(left)]).await.ok()?;
                    left = left.saturating_sub(read);
                    if left == 0 {
                        return None;
                    }
                }
            }
        }
    }
}
