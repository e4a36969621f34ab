//! What a peer speaks, told by its first bytes.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::drain::{Drained, Stage};
use super::watch::{Watch, WatchedStream, Wish};

/// What begins every HTTP/2 connection (RFC 9113 section 3.4); as HTTP/1 it is no request.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is spoken, once that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP/1.1, or nothing that we know.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Waits for as many bytes as tell; they are read again by whoever reads next. Nothing, if the
/// connection is over before.
pub(super) async fn await_first<S: AsyncRead + Unpin>(
    stream: &mut WatchedStream<S>,
    watch: &Watch,
    drained: &mut Drained,
) -> Option<Spoken> {
    let mut first = [0; PREFACE.len()];
    let mut read = 0;
    let spoken = loop {
        let more = tokio::select! {
            biased;
            more = stream.read(first.get_mut(read..)?) => more.ok().filter(|more| *more > 0)?,
            wish = watch.wished() => if wish == Wish::End { return None } else { continue },
            () = drained.reached(Stage::Draining) => return None,
        };
        read += more;
        let begun = first.get(..read)?;
        if !PREFACE.starts_with(begun) {
            break Spoken::Http1;
        }
        if read == PREFACE.len() {
            break Spoken::Http2;
        }
    };
    stream.put_back(Bytes::copy_from_slice(first.get(..read)?));
    Some(spoken)
}
