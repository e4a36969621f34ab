//! An app behind TLS that speaks HTTP/1.1 and answers each request with what it saw of the connection;
//! a WebSocket echoes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Starts it; it answers until the process ends.
pub(crate) fn start(mut config: ServerConfig) -> SocketAddr {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                let mut head = Vec::new();
                let mut byte = [0];
                // Whoever does not like the certificate goes away here.
                while stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        if String::from_utf8_lossy(&head).contains("websocket") {
                            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
                            drop(stream.write_all(switch.as_bytes()));
                            return echo(&mut stream);
                        }
                        let name = stream.conn.server_name().unwrap_or("none");
                        let body = format!(
                            "name {name}; {} certificates; {}",
                            stream.conn.peer_certificates().map_or(0, <[_]>::len),
                            String::from_utf8_lossy(&head)
                        );
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                        head.clear();
                    }
                }
            });
        }
    });
    address
}

fn echo(stream: &mut StreamOwned<ServerConnection, TcpStream>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        drop(stream.write_all(&buffer[..read]));
    }
}
