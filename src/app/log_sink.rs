//! Where lines go: a bounded queue and one thread that writes them out. Whoever has a line to
//! write never waits: if the reader of the log is slow, lines are dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::iso_time::Timestamp;
use super::log_line::{Level, Line, Style};

/// Most lines that wait to be written.
const QUEUE: usize = 8192;
/// Room in the queue that ordinary lines leave to those that must not be lost.
const RESERVE: usize = 1024;
/// How long lines may gather under load before they are written together. Whoever has a line then
/// does not have to wake the writer.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;

/// The way to the writer; clones lead to the same one.
#[derive(Debug, Clone)]
pub struct LogSink {
    queue: SyncSender<Item>,
    counts: Arc<Counts>,
    style: Style,
}

/// The writer. It ends with [`LogWriter::finish`], or with the process.
#[derive(Debug)]
pub struct LogWriter {
    queue: SyncSender<Item>,
    /// Dropped or sent to when the writer is to hurry.
    hurry: Sender<()>,
    done: Receiver<()>,
}

/// What a line is worth when there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// One of very many.
    Ordinary,
    /// A security event or a diagnostic: a part of the queue is kept free for these.
    Kept,
}

#[derive(Debug)]
enum Item {
    Line(Box<str>),
    Stop,
}

#[derive(Debug, Default)]
struct Counts {
    queued: AtomicUsize,
    dropped: AtomicU64,
}

impl LogSink {
    /// Starts a writer to `output` on a thread of its own. Lines on the way are to have the form
    /// `style`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        output: impl Write + Send + 'static,
        style: Style,
    ) -> io::Result<(Self, LogWriter)> {
        let (queue, items) = sync_channel(QUEUE);
        let (hurry, hurried) = channel();
        let (finished, done) = channel();
        let counts = Arc::new(Counts::default());
        let drain = Drain {
            items,
            hurried,
            counts: Arc::clone(&counts),
            style,
            output,
            batch: String::with_capacity(BATCH),
        };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                drain.run();
                // Nobody may be waiting for it.
                let _nobody = finished.send(());
            })?;
        let sink = Self {
            queue: queue.clone(),
            counts,
            style,
        };
        Ok((sink, LogWriter { queue, hurry, done }))
    }

    /// The form that lines are to have.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Hands `line`, which ends in a newline, to the writer; drops it if there is no room. Never
    /// waits.
    pub fn send(&self, line: &str, worth: Worth) {
        let room = match worth {
            Worth::Ordinary => QUEUE - RESERVE,
            Worth::Kept => QUEUE,
        };
        let sent = self.counts.queued.fetch_add(1, Ordering::Relaxed) < room
            && self.queue.try_send(Item::Line(line.into())).is_ok();
        if !sent {
            self.counts.queued.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

impl LogWriter {
    /// Writes out what is queued and ends the writer. Gives up after `patience`, since whoever
    /// reads the log may have stopped reading.
    pub fn finish(self, patience: Duration) {
        // A full queue is being written, or never will be; in both cases the end is not far.
        let _full = self.queue.try_send(Item::Stop);
        drop(self.hurry);
        drop(self.queue);
        let _late = self.done.recv_timeout(patience);
    }
}

struct Drain<W> {
    items: Receiver<Item>,
    hurried: Receiver<()>,
    counts: Arc<Counts>,
    style: Style,
    output: W,
    batch: String,
}

/// Whether there is more to come.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Ended,
}

impl<W: Write> Drain<W> {
    fn run(mut self) {
        let mut reported = 0;
        loop {
            let Ok(first) = self.items.recv() else { return };
            let mut flow = self.take(first);
            while flow == Flow::On && self.batch.len() < BATCH {
                match self.items.try_recv() {
                    Ok(item) => flow = self.take(item),
                    Err(_) => break,
                }
            }
            reported = self.report_dropped(reported);
            self.write_out();
            if flow == Flow::Ended {
                return;
            }
            if self.counts.queued.load(Ordering::Relaxed) < QUEUE / 4 {
                match self.hurried.recv_timeout(GATHER) {
                    Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                }
            }
        }
    }

    fn take(&mut self, item: Item) -> Flow {
        match item {
            Item::Line(line) => {
                self.counts.queued.fetch_sub(1, Ordering::Relaxed);
                self.batch.push_str(&line);
                Flow::On
            }
            Item::Stop => Flow::Ended,
        }
    }

    /// Says in the log itself that lines are missing.
    fn report_dropped(&mut self, reported: u64) -> u64 {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        if dropped > reported {
            let mut buffer = String::new();
            let now = Timestamp::now();
            let mut line = Line::begin(&mut buffer, self.style, now, Level::Warn, "log_dropped");
            line.number("lines", dropped.saturating_sub(reported));
            line.end();
            self.batch.push_str(&buffer);
        }
        dropped
    }

    fn write_out(&mut self) {
        // A log that cannot be written has nowhere to complain to.
        let _lost = self
            .output
            .write_all(self.batch.as_bytes())
            .and_then(|()| self.output.flush());
        self.batch.clear();
    }
}
