//! Addresses at which nobody listens.

use std::net::SocketAddr;
use std::sync::Mutex;

use socket2::{Domain, Socket, Type};

/// An address that refuses every connection until the tests end: a socket that does not listen keeps its
/// port, which the kernel could otherwise give to another test a moment later.
pub(crate) fn nobody() -> SocketAddr {
    static KEPT: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    KEPT.lock().unwrap().push(socket);
    address
}
