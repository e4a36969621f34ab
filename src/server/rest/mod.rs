//! A connection at rest. Between requests people's browsers keep connections open for minutes, and
//! what HTTP needs to speak on one of them, buffers above all, is some 20 KiB: so it is taken apart
//! when nothing has happened for a while, and put together again when the next byte comes.
//!
//! A head that does not come whole is waited for in the same way, however slowly it comes: whoever
//! sends one drop by drop holds what was sent and no buffers.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::connection::LULL;
use super::drain::{Drained, Stage};
use super::watch::{Watch, WatchedStream, Wish};

/// How much is read at a time, on the stack: most heads.
const PIECE: usize = 4 * 1024;
/// What a blank line, which ends a head, has before its last byte at most.
const BEFORE_LAST: usize = 2;

/// How a rest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The peer has begun to speak, or has sent the rest of its head.
    Read,
    /// The connection is over: the peer closed it, it rested for too long, or the drain began.
    Over,
}

/// Rests until something can be read, which is then read once more by whoever reads next. Where the
/// begin of a head was put back, until the head is whole or `most` bytes long.
pub(super) async fn until_read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WatchedStream<S>,
    most: usize,
    watch: &Watch,
    drained: &mut Drained,
) -> Woken {
    let mut head = stream.take_back();
    let has_begun = !head.is_empty();
    watch.rest(true);
    loop {
        let known = head.len();
        let read = tokio::select! {
            biased;
            read = read_some(stream, &mut head) => read,
            wish = watch.wished() => if wish == Wish::End { return Woken::Over } else { continue },
            () = drained.reached(Stage::Draining) => {
                // The rest of a head is waited for by who speaks.
                if has_begun {
                    break;
                }
                last_words(stream, &mut head).await
            }
        };
        if read == 0 {
            return Woken::Over;
        }
        let unseen = known.saturating_sub(BEFORE_LAST);
        if !has_begun
            || head.len() >= most
            || has_blank_line(head.get(unseen..).unwrap_or_default())
        {
            break;
        }
    }
    watch.rest(false);
    stream.put_back(head.freeze());
    Woken::Read
}

/// Reads what is there to `head`, once something is; gives its length, nothing at the end.
async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, head: &mut BytesMut) -> usize {
    poll_fn(|context| {
        // Not in the future, which is there for as long as the rest.
        let mut space = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut space);
        let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut piece));
        // A connection that broke is at its end.
        let piece = if read.is_ok() { piece.filled() } else { &[] };
        head.extend_from_slice(piece);
        Poll::Ready(piece.len())
    })
    .await
}

/// Whether a line in `bytes` is blank, as lenient as whoever reads the head may be (RFC 9112 section
/// 2.2): a head that is taken for whole and is not costs buffers, no more.
fn has_blank_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// The stop has begun. A request that is on its way is waited for; where none comes, the connection
/// is closed.
async fn last_words<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WatchedStream<S>,
    head: &mut BytesMut,
) -> usize {
    tokio::select! {
        biased;
        read = read_some(stream, head) => read,
        () = tokio::time::sleep(LULL) => {
            // Nobody is left to tell where this fails.
            drop(stream.shutdown().await);
            0
        }
    }
}
