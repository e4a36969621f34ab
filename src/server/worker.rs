//! Workers, and the acceptor that feeds them.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{self, Shared, Wire};
use super::drain::{Drained, Stage};
use super::entrance::Entrance;
use super::heap;
use super::listener::{Listener, Socketed};
use super::load::Load;
use super::refusal::{Refusals, Told, Word};
use super::watch::{Seconds, Watch};
use super::{Limits, Service, reception};
use crate::base::peer::Peer;
use crate::transport::body::InUse;

/// How long the acceptor waits when the system has no descriptors left.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The workers of a process.
#[derive(Debug)]
pub struct Workers {
    inboxes: Vec<Inbox>,
    threads: Vec<JoinHandle<()>>,
    limits: Limits,
    entrances: Arc<[Entrance]>,
}

#[derive(Debug, Clone)]
struct Inbox {
    sender: mpsc::UnboundedSender<(Socketed, Peer, Counted)>,
    connections: Arc<AtomicUsize>,
}

/// One connection in a worker's count, for as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        heap::freed();
    }
}

impl Workers {
    /// Starts `count` workers for listeners with these `entrances`, in the order of their indices;
    /// `make` runs once on each worker's own thread, with that one's load.
    ///
    /// # Errors
    /// The system gave no thread or no event queue.
    pub fn start<S: Service>(
        count: usize,
        limits: &Limits,
        drained: &Drained,
        entrances: &Arc<[Entrance]>,
        make: impl Fn(Rc<Load>) -> S + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let mut workers = Self {
            inboxes: Vec::new(),
            threads: Vec::new(),
            limits: limits.clone(),
            entrances: Arc::clone(entrances),
        };
        let count = count.max(1);
        let most = limits.requests.div_ceil(count);
        for index in 0..count {
            let (sender, receiver) = mpsc::unbounded_channel();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (make, limits, drained) = (make.clone(), limits.clone(), drained.clone());
            let entrances = Arc::clone(entrances);
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let set = LocalSet::new();
                    let load = Rc::new(Load::new(most));
                    let shared = Rc::new(Shared {
                        service: make(Rc::clone(&load)),
                        load,
                        limits,
                        seconds: Seconds::default(),
                        entrances,
                        closing: Cell::new(false),
                    });
                    set.block_on(&runtime, work(receiver, shared, drained));
                })?;
            workers.inboxes.push(Inbox {
                sender,
                connections: Arc::default(),
            });
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Accepts on `listener` until the drain begins. To be spawned on the control runtime.
    pub async fn accept(&self, listener: Listener, mut drained: Drained) {
        let (mut refusals, mut failures) =
            (Refusals::new(self.limits.connections), Told::default());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drained.reached(Stage::Draining) => break,
            };
            match accepted {
                Ok((socket, peer)) => self.hand_over(socket, peer, &mut refusals),
                Err(error) => {
                    if let Some(count) = failures.now() {
                        tracing::warn!(reason = %error, count, "connections were not accepted");
                    }
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
        // What the kernel has taken for us would be reset with the listener.
        while let Ok(Some((socket, peer))) = listener.accept_waiting().await {
            self.hand_over(socket, peer, &mut refusals);
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inboxes
            .iter()
            .map(|inbox| inbox.connections.load(Ordering::Relaxed))
            .sum()
    }

    fn hand_over(&self, socket: Socketed, peer: Peer, refusals: &mut Refusals) {
        if self.connections() >= self.limits.connections {
            let entrance = self.entrances.get(peer.entrance);
            let word = if entrance.is_some_and(|entrance| entrance.tls().is_some()) {
                Word::None // plain words would be taken for broken TLS
            } else {
                Word::Plain
            };
            return refusals.refuse(socket, word, self.limits.connections);
        }
        let load = |inbox: &&Inbox| inbox.connections.load(Ordering::Relaxed);
        let Some(inbox) = self.inboxes.iter().min_by_key(load) else {
            return;
        };
        inbox.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&inbox.connections));
        // A worker that is gone is draining; the socket closes with the message.
        drop(inbox.sender.send((socket, peer, counted)));
    }

    /// Waits for all workers to end. To be called off the runtimes.
    pub fn join(self) {
        drop(self.inboxes);
        for thread in self.threads {
            drop(thread.join());
        }
    }
}

async fn work<S: Service>(
    mut inbox: mpsc::UnboundedReceiver<(Socketed, Peer, Counted)>,
    shared: Rc<Shared<S>>,
    mut drained: Drained,
) {
    let watches: Rc<RefCell<Vec<Weak<WatchCell>>>> = Rc::default();
    let mut connections = JoinSet::new();
    tokio::task::spawn_local(sweep(Rc::clone(&shared), Rc::clone(&watches)));
    let begin = |(socket, peer, counted), connections: &mut JoinSet<()>, drained: &Drained| {
        let cell = Rc::new(WatchCell(Arc::default()));
        watches.borrow_mut().push(Rc::downgrade(&cell));
        let (shared, drained) = (Rc::clone(&shared), drained.clone());
        connections.spawn_local(async move {
            serve((socket, InUse::new(counted)), peer, &cell, shared, drained).await;
        });
    };
    // Until nothing is left: a connection may come with the drain on its heels, and a tunnel has
    // left its connection's task but lives on here.
    loop {
        let next = if shared.closing.get() {
            Stage::Gone
        } else {
            Stage::Draining
        };
        tokio::select! {
            Some(message) = inbox.recv() => begin(message, &mut connections, &drained),
            Some(_) = connections.join_next() => {}
            () = drained.reached(next) => match next {
                Stage::Gone => return,
                _ => shared.closing.set(true),
            },
        }
    }
}

/// A connection's watch, known to the sweep for as long as the connection lives.
struct WatchCell(Arc<Watch>);

async fn serve<S: Service>(
    (socket, in_use): (Socketed, InUse),
    peer: Peer,
    cell: &WatchCell,
    shared: Rc<Shared<S>>,
    drained: Drained,
) {
    let watch = Arc::clone(&cell.0);
    let entrance = shared.entrances.get(peer.entrance);
    if entrance.is_some_and(Entrance::receives) {
        let socket = (socket, in_use);
        // On the heap, so that a connection that is served at once does not pay for its size.
        return Box::pin(reception::serve(socket, peer, watch, shared, drained)).await;
    }
    let wire = entrance.map_or_else(Wire::default, Entrance::cleartext);
    match socket {
        Socketed::Tcp(socket) => {
            if let Ok(stream) = TcpStream::from_std(socket) {
                connection::serve((stream, in_use), (peer, wire), watch, shared, drained).await;
            }
        }
        Socketed::Unix(socket) => {
            if let Ok(stream) = UnixStream::from_std(socket) {
                connection::serve((stream, in_use), (peer, wire), watch, shared, drained).await;
            }
        }
    }
}

/// Once a second: count it, and end what stands still.
async fn sweep<S: Service>(shared: Rc<Shared<S>>, watches: Rc<RefCell<Vec<Weak<WatchCell>>>>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        let due = second.tick().await;
        shared.load.came_late(due.elapsed());
        shared.seconds.pass_one();
        heap::give_back(shared.seconds.now());
        watches.borrow_mut().retain(|weak| match weak.upgrade() {
            Some(cell) => {
                cell.0.sweep(&shared.seconds, &shared.limits);
                true
            }
            None => false,
        });
    }
}
