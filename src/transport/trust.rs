//! What an upstream's TLS is held to, and what it is shown of us.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::dial::{DialError, Stream};
use super::tls::{TlsError, operator_roots, system_roots};

/// Whom an upstream must show to be.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Whoever the roots in this file vouch for, and nobody else.
    File(&'a Path),
    /// Whoever the system's roots vouch for.
    System,
    /// Anybody: the operator switched it off.
    Anybody,
}

/// A certificate of ours and its key, for upstreams that ask who is there.
pub struct OwnCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// PEM that is not what it should be. What is in it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No certificate, or a broken one.
    #[error("there is no PEM certificate in the file")]
    NoCertificate,
    /// No key, or a broken one.
    #[error("there is no PEM private key in the file")]
    NoKey,
}

impl OwnCertificate {
    /// From the text of a chain, the own certificate first, and of its key.
    ///
    /// # Errors
    /// [`PemError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PemError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| PemError::NoCertificate)?;
        if chain.is_empty() {
            return Err(PemError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PemError::NoKey)?;
        Ok(Self { chain, key })
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCertificate").finish_non_exhaustive()
    }
}

/// TLS toward an upstream.
#[derive(Clone)]
pub struct TlsClient {
    all: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

/// What is offered by ALPN (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// All that the client may speak.
    All,
    /// HTTP/1.1 alone.
    Http1,
}

/// What a client may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, or else HTTP/1.1.
    Http2,
}

/// Whose certificate somebody must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerName(ServerName<'static>);

impl PeerName {
    /// A host name or an address, without the brackets of IPv6.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        ServerName::try_from(text.to_owned()).ok().map(Self)
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_str())
    }
}

impl TlsClient {
    /// A client that believes as `trust` says, shows `own`, and may speak `spoken`.
    ///
    /// # Errors
    /// [`TlsError`]: roots that cannot be had, or a key that is not the certificate's. Nothing is
    /// connected with less trust instead.
    pub fn new(
        trust: Trust<'_>,
        own: Option<OwnCertificate>,
        spoken: Spoken,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match trust {
            Trust::File(path) => builder.with_root_certificates(operator_roots(path)?),
            Trust::System => builder.with_root_certificates(system_roots()),
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let mut http1 = match own {
            Some(own) => builder.with_client_auth_cert(own.chain, own.key)?,
            None => builder.with_no_client_auth(),
        };
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut all = http1.clone();
        if spoken == Spoken::Http2 {
            all.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Self {
            all: Arc::new(all),
            http1: Arc::new(http1),
        })
    }

    /// Speaks TLS over `stream` with somebody who must be `name`.
    ///
    /// # Errors
    /// [`DialError::Tls`].
    pub async fn connect(
        &self,
        stream: TcpStream,
        offer: Offer,
        name: &PeerName,
    ) -> Result<Stream, DialError> {
        let config = match offer {
            Offer::All => &self.all,
            Offer::Http1 => &self.http1,
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let connected = connector.connect(name.0.clone(), stream).await;
        Ok(Stream::Tls(Box::new(connected.map_err(DialError::Tls)?)))
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

/// Takes any certificate, but not a handshake that its key did not sign.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
