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

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    /// Keeps what is written.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        /// Everything that was written so far.
        pub(crate) fn text(&self) -> String {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8(bytes.clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `act` sends to a sink of `style`.
    pub(crate) fn written(style: Style, act: impl FnOnce(&LogSink)) -> String {
        let kept = Kept::default();
        let (sink, writer) = LogSink::start(kept.clone(), style).unwrap();
        act(&sink);
        writer.finish(PATIENCE);
        kept.text()
    }

    /// Says when it is written to, and writes on only when it is let.
    struct Stuck {
        reached: Sender<()>,
        let_on: Receiver<()>,
        kept: Kept,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _test_ended = self.reached.send(());
            let _test_ended = self.let_on.recv();
            self.kept.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let text = written(Style::Json, |sink| {
            for number in 0..2000 {
                sink.send(&format!("{number}\n"), Worth::Ordinary);
            }
        });
        let wanted: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_line_is_written_without_another_one_behind_it() {
        let (reached, was_reached) = channel();
        let (_let_on, on) = channel();
        let stuck = Stuck {
            reached,
            let_on: on,
            kept: Kept::default(),
        };
        let (sink, _writer) = LogSink::start(stuck, Style::Json).unwrap();
        sink.send("alone\n", Worth::Ordinary);
        assert!(was_reached.recv_timeout(PATIENCE).is_ok());
    }

    // Whoever has a line never waits for whoever reads it; what is lost is counted and told.
    #[test]
    fn a_stuck_reader_costs_lines_but_never_time() {
        let (reached, was_reached) = channel();
        let (let_on, on) = channel();
        let kept = Kept::default();
        let stuck = Stuck {
            reached,
            let_on: on,
            kept: kept.clone(),
        };
        let (sink, writer) = LogSink::start(stuck, Style::Json).unwrap();
        sink.send("first\n", Worth::Ordinary);
        was_reached.recv_timeout(PATIENCE).unwrap();
        for _ in 0..QUEUE + 10 {
            sink.send("ordinary\n", Worth::Ordinary);
        }
        let lost = u64::try_from(RESERVE + 10).unwrap();
        assert_eq!(sink.dropped(), lost);
        // The room that is kept for lines that must not be lost is still there.
        for _ in 0..RESERVE {
            sink.send("kept\n", Worth::Kept);
        }
        assert_eq!(sink.dropped(), lost);
        sink.send("one too many\n", Worth::Kept);
        assert_eq!(sink.dropped(), lost + 1);
        drop(let_on);
        // Everything queued is written before the sinks' end.
        let finished = writer.done;
        drop((sink, writer.queue, writer.hurry));
        assert!(finished.recv_timeout(PATIENCE).is_ok());
        let text = kept.text();
        assert_eq!(text.matches("ordinary\n").count(), QUEUE - RESERVE);
        assert_eq!(text.matches("kept\n").count(), RESERVE);
        let told = format!("\"event\":\"log_dropped\",\"lines\":{}}}\n", lost + 1);
        assert_eq!(text.matches(&told).count(), 1, "{text:.300}");
    }

    #[test]
    fn the_end_does_not_wait_for_a_stuck_reader() {
        let (reached, was_reached) = channel();
        let (let_on, on) = channel();
        let stuck = Stuck {
            reached,
            let_on: on,
            kept: Kept::default(),
        };
        let (sink, writer) = LogSink::start(stuck, Style::Json).unwrap();
        sink.send("first\n", Worth::Ordinary);
        was_reached.recv_timeout(PATIENCE).unwrap();
        writer.finish(Duration::from_millis(1));
        drop(let_on);
    }
}
