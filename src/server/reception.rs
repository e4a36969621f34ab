//! What happens to a connection before HTTP is spoken on it: a proxy says whose it is, and hands are
//! shaken for TLS. It has the time of a request head for that and for the head together.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connection::{self, Shared};
use super::drain::{Drained, Stage};
use super::entrance::Entrance;
use super::listener::Socketed;
use super::stream::{Ahead, Received};
use super::watch::{Watch, Wish};
use super::{ProxyProtocol, Service};
use crate::base::peer::{Peer, PeerAddress};
use crate::base::proxy_header::{self, Progress, Source};
use crate::transport::body::InUse;
use crate::transport::server_tls::shown_by;

/// How much is read at a time: any header that is in use, in one piece.
const PIECE: usize = 512;
/// What a first message of TLS fits into, mostly.
const HELLO: usize = 2048;
/// What the first record of TLS begins with: a handshake.
const HANDSHAKE: u8 = 0x16;
/// How long whoever speaks plain HTTP to TLS has to hear that.
const HEARD: Duration = Duration::from_secs(1);
/// The whole answer to plain HTTP where TLS is spoken.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nCache-Control: no-store\r\nContent-Type: text/plain\r\nContent-Length: 49\r\nConnection: close\r\n\r\nThis port speaks TLS. Ask again with an https URL";

/// Receives one connection and serves it to its end.
pub(super) async fn serve<S: Service>(
    (socket, in_use): (Socketed, InUse),
    mut peer: Peer,
    watch: Arc<Watch>,
    shared: Rc<Shared<S>>,
    mut drained: Drained,
) {
    watch.begin(&shared.seconds);
    let entrances = Arc::clone(&shared.entrances);
    let Some(entrance) = entrances.get(peer.entrance) else {
        return;
    };
    let received = tokio::select! {
        biased;
        received = receive(socket, &mut peer, entrance) => received,
        () = ended(&watch) => return,
        () = drained.reached(Stage::Ended) => return,
    };
    if let Some(stream) = received {
        let wire = (peer, stream.wire(entrance.cleartext()));
        connection::serve((stream, in_use), wire, watch, shared, drained).await;
    }
}

/// Resolves when the sweep wants the connection to end.
async fn ended(watch: &Watch) {
    while watch.wished().await != Wish::End {}
}

/// The connection, once HTTP can be spoken on it; nothing, where it cannot.
async fn receive(socket: Socketed, peer: &mut Peer, entrance: &Entrance) -> Option<Received> {
    let mut stream = Ahead::new(socket).ok()?;
    if entrance.proxy_protocol() == ProxyProtocol::Demanded {
        if !entrance.trusts(peer) {
            entrance.tell(peer, "a peer that is no trusted proxy");
            return None;
        }
        let Some((address, rest)) = introduced(&mut stream).await else {
            entrance.tell(peer, "no header of the PROXY protocol");
            return None;
        };
        peer.address = address;
        stream.put_back(rest);
    }
    let Some(tls) = entrance.tls() else {
        return Some(Received::Plain(stream));
    };
    match first_byte(&mut stream).await? {
        HANDSHAKE => {}
        b'A'..=b'Z' => {
            not_tls(stream).await;
            return None;
        }
        _ => return None,
    }
    // What does not shake hands is a scanner, or somebody who does not trust the certificate.
    let stream = tls.accept(stream).await.map_err(|error| {
        let peer = peer.address().map(|address| address.to_string());
        tracing::debug!(event = "tls_handshake", peer, reason = %error, "no TLS");
    });
    let stream = stream.ok()?;
    peer.certificate = shown_by(&stream).ok()?.map(Arc::new);
    Some(Received::Tls(Box::new(stream)))
}

/// The first byte of what comes next, which stays to be read.
async fn first_byte(stream: &mut Ahead) -> Option<u8> {
    let mut bytes = BytesMut::with_capacity(HELLO);
    if stream.read_buf(&mut bytes).await.ok()? == 0 {
        return None;
    }
    let first = bytes.first().copied();
    stream.put_back(bytes.freeze());
    first
}

/// Tells somebody who speaks plain HTTP where TLS is spoken. The request is read for a moment, since
/// what is unread would reset the connection and the answer with it.
async fn not_tls(mut stream: Ahead) {
    let mut request = [0; HELLO];
    let said = async {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        while stream.read(&mut request).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Whoever goes away has nothing more to hear.
    drop(tokio::time::timeout(HEARD, said).await);
}

/// Whose connection it is, by the word of the proxy that passed it on, and what came after that.
async fn introduced(stream: &mut Ahead) -> Option<(PeerAddress, Bytes)> {
    let mut bytes = BytesMut::with_capacity(PIECE);
    loop {
        bytes.reserve(PIECE);
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        match proxy_header::read(&bytes).ok()? {
            Progress::More => {}
            Progress::Read { length, source } => {
                let address = match source {
                    Source::Address(address) => PeerAddress::Tcp(address),
                    Source::Untold => PeerAddress::Untold,
                };
                drop(bytes.split_to(length.min(bytes.len())));
                return Some((address, bytes.freeze()));
            }
        }
    }
}
