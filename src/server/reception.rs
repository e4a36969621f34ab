//! What happens to a connection before HTTP is spoken on it: a proxy says whose it is. It has the
//! time of a request head for that and for the head together.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;

use super::connection::{self, Shared};
use super::drain::{Drained, Stage};
use super::entrance::Entrance;
use super::listener::Socketed;
use super::stream::Ahead;
use super::watch::{Watch, Wish};
use super::{ProxyProtocol, Service};
use crate::base::peer::{Peer, PeerAddress};
use crate::base::proxy_header::{self, Progress, Source};
use crate::transport::body::InUse;

/// How much is read at a time: any header that is in use, in one piece.
const PIECE: usize = 512;

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
        let wire = (peer, entrance.cleartext());
        connection::serve((stream, in_use), wire, watch, shared, drained).await;
    }
}

/// Resolves when the sweep wants the connection to end.
async fn ended(watch: &Watch) {
    while watch.wished().await != Wish::End {}
}

/// The connection, once HTTP can be spoken on it; nothing, where it cannot.
async fn receive(socket: Socketed, peer: &mut Peer, entrance: &Entrance) -> Option<Ahead> {
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
    Some(stream)
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
