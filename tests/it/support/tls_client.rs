//! A client that speaks TLS as it is told to, and HTTP/1.1 within.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::raw::PATIENCE;

/// How it speaks.
#[derive(Clone)]
pub(crate) struct TlsClient {
    pub(crate) config: ClientConfig,
}

/// One connection on which hands were shaken.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsClient {
    /// One that trusts the roots in the file at `roots`, and speaks these versions.
    pub(crate) fn speaking(
        roots: &Path,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&(String, String)>,
    ) -> Self {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(roots).unwrap() {
            store.add(root.unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_protocol_versions(versions);
        let builder = builder.with_root_certificates(store);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                let chain = chain.collect::<Result<_, _>>().unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self { config }
    }

    /// One that trusts the roots in the file at `roots`.
    pub(crate) fn trusting(roots: &Path) -> Self {
        Self::speaking(roots, rustls::ALL_VERSIONS, None)
    }

    /// Shakes hands with `name` at `address`.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Tunnel> {
        self.connect_after(address, name, b"")
    }

    /// The same, after `header`.
    pub(crate) fn connect_after(
        &self,
        address: SocketAddr,
        name: &str,
        header: &[u8],
    ) -> io::Result<Tunnel> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(self.config.clone()), name).unwrap();
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(header)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Tunnel { stream })
    }
}

impl Tunnel {
    /// Asks for `path`; the status and everything after the head.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<(u16, String)> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n\r\n"))
    }

    /// The same for the request that stands here.
    pub(crate) fn ask(&mut self, request: &str) -> io::Result<(u16, String)> {
        self.stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| {
                        line.to_ascii_lowercase()
                            .strip_prefix("content-length: ")?
                            .parse()
                            .ok()
                    })
                    .unwrap_or(0_usize);
                if body.len() >= length {
                    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                    return Ok((status.unwrap(), body.to_owned()));
                }
            }
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The names of the certificate that was shown.
    pub(crate) fn shown(&self) -> Vec<String> {
        let shown = self.stream.conn.peer_certificates().unwrap();
        let facts = sidegate::base::certificate::CertificateFacts::read(&shown[0]).unwrap();
        facts.shown().collect()
    }
}
