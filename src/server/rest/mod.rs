//! A connection at rest. Between requests people's browsers keep connections open for minutes, and
//! what HTTP needs to speak on one of them, buffers above all, is some 20 KiB: so it is taken apart
//! when nothing has happened for a while, and put together again when the next byte comes.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::connection::LULL;
use super::drain::{Drained, Stage};
use super::heap;
use super::watch::{Watch, WatchedStream, Wish};

/// How a rest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The peer has begun to speak.
    Read,
    /// The connection is over: the peer closed it, it rested for too long, or the drain began.
    Over,
}

/// Rests until a byte can be read, which is then read once more by whoever reads next.
pub(super) async fn until_read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WatchedStream<S>,
    watch: &Watch,
    drained: &mut Drained,
) -> Woken {
    if stream.has_ahead() {
        return Woken::Read; // the next request has begun, and lacks its end
    }
    let mut first = [0];
    watch.rest(true);
    heap::freed();
    let read = loop {
        tokio::select! {
            biased;
            read = stream.read(&mut first) => break read.unwrap_or(0),
            wish = watch.wished() => if wish == Wish::End { return Woken::Over },
            () = drained.reached(Stage::Draining) => break last_words(stream, &mut first).await,
        }
    };
    watch.rest(false);
    if read == 0 {
        return Woken::Over;
    }
    stream.put_back(Bytes::copy_from_slice(&first));
    Woken::Read
}

/// The stop has begun. A request that is on its way is waited for; where none comes, the connection
/// is closed.
async fn last_words<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WatchedStream<S>,
    first: &mut [u8],
) -> usize {
    tokio::select! {
        biased;
        read = stream.read(first) => read.unwrap_or(0),
        () = tokio::time::sleep(LULL) => {
            // Nobody is left to tell where this fails.
            drop(stream.shutdown().await);
            0
        }
    }
}
