//! TLS towards those who connect to us: certificates chosen by name, replaced when their files
//! change, and whether the other side must show one.

mod pair;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
    ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use self::pair::{Pair, Stamp};
use super::tls::{TlsError, operator_roots};
use crate::base::certificate::{CertificateFacts, SubjectName};
use crate::base::clock::UnixTime;

pub use self::pair::{PairError, PairFile, judge};
/// A connection on which TLS is spoken.
pub use tokio_rustls::server::TlsStream;

/// So many sessions of clients that know no tickets are remembered.
const SESSIONS: usize = 1024;

/// How TLS is spoken at a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificates, at least one; the first is for whoever names no host, or one of nobody.
    pub pairs: Vec<PairFiles>,
    /// Whether the other side shows a certificate of its own.
    pub clients: ClientCertificates,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate and those between it and a root, as PEM, its own first.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Whether the other side shows a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// It is not asked for one.
    #[default]
    Unasked,
    /// It may show one that these roots vouch for.
    Requested(PathBuf),
    /// It must.
    Required(PathBuf),
}

/// Why a listener cannot speak TLS. Nothing is served with less instead.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// One of the certificates.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The roots for client certificates.
    #[error(transparent)]
    Roots(#[from] TlsError),
    /// The library refuses what it was given.
    #[error("TLS cannot be set up: {0}")]
    Refused(String),
}

/// TLS at one listener, as its files are now. Shared by all workers.
pub struct Tls {
    settings: ServerTls,
    current: ArcSwap<Current>,
    sessions: Sessions,
    seen: Mutex<Seen>,
}

/// What handshakes are made with.
struct Current {
    config: Arc<ServerConfig>,
    facts: Vec<CertificateFacts>,
}

/// What lets a client come back without a whole handshake; it outlives certificates.
struct Sessions {
    tickets: Arc<dyn ProducesTickets>,
    stored: Arc<dyn StoresServerSessions>,
}

/// What was made of the files, and what they looked like before they were read.
struct Seen {
    pairs: Vec<(Option<Stamp>, Pair)>,
    roots: Option<(Option<Stamp>, Arc<RootCertStore>)>,
}

/// What a look at the files brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is in force now and was not before.
    pub replaced: Vec<CertificateFacts>,
    /// Files that changed and cannot be used; what was in force before still is, and they are looked
    /// at again.
    pub kept: Vec<ServerTlsError>,
    /// Whether the roots for client certificates were replaced.
    pub roots_replaced: bool,
}

impl Tls {
    /// Reads all files of `settings`. The certificates are good at `now`.
    ///
    /// # Errors
    /// [`ServerTlsError`].
    pub fn load(settings: ServerTls, now: UnixTime) -> Result<Self, ServerTlsError> {
        let mut pairs = Vec::with_capacity(settings.pairs.len());
        for files in &settings.pairs {
            let stamp = Stamp::of_pair(files);
            pairs.push((stamp, Pair::load(files, now)?));
        }
        let roots = match settings.clients.roots() {
            Some(path) => {
                let stamp = Stamp::of(path);
                Some((stamp, Arc::new(operator_roots(path)?)))
            }
            None => None,
        };
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new();
        let sessions = Sessions {
            tickets: tickets.map_err(|error| ServerTlsError::Refused(error.to_string()))?,
            stored: ServerSessionMemoryCache::new(SESSIONS),
        };
        let seen = Seen { pairs, roots };
        let current = seen.current(&settings, &sessions)?;
        Ok(Self {
            settings,
            current: ArcSwap::from_pointee(current),
            sessions,
            seen: Mutex::new(seen),
        })
    }

    /// Looks whether files have changed and takes what is whole and good at `now`. Handshakes under
    /// way end as they began, and connections do not notice.
    pub fn look(&self, now: UnixTime) -> Looked {
        let mut looked = Looked::default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (files, (stamp, pair)) in self.settings.pairs.iter().zip(&mut seen.pairs) {
            let found = Stamp::of_pair(files);
            if found.is_some() && found == *stamp {
                continue;
            }
            match Pair::load(files, now) {
                Ok(fresh) => {
                    if fresh.facts != pair.facts {
                        looked.replaced.push(fresh.facts.clone());
                    }
                    (*stamp, *pair) = (found, fresh);
                }
                Err(error) => looked.kept.push(error.into()),
            }
        }
        if let (Some(path), Some((stamp, roots))) = (self.settings.clients.roots(), &mut seen.roots)
        {
            let found = Stamp::of(path);
            if found.is_none() || found != *stamp {
                match operator_roots(path) {
                    Ok(fresh) => {
                        looked.roots_replaced = true;
                        (*stamp, *roots) = (found, Arc::new(fresh));
                    }
                    Err(error) => looked.kept.push(error.into()),
                }
            }
        }
        if looked.roots_replaced || !looked.replaced.is_empty() {
            match seen.current(&self.settings, &self.sessions) {
                Ok(current) => self.current.store(Arc::new(current)),
                Err(error) => {
                    looked.kept.push(error);
                    (looked.replaced, looked.roots_replaced) = (Vec::new(), false);
                }
            }
        }
        looked
    }

    /// What the certificates in force say of themselves, in the order of the settings.
    #[must_use]
    pub fn facts(&self) -> Vec<CertificateFacts> {
        self.current.load().facts.clone()
    }

    /// Shakes hands with whoever is at the other end of `stream`.
    ///
    /// # Errors
    /// They do not speak TLS as we do, or went away.
    pub async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: T,
    ) -> io::Result<TlsStream<T>> {
        let config = Arc::clone(&self.current.load().config);
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// What the certificate that the other side showed, and that the roots vouch for, says of itself;
/// nothing where it showed none.
///
/// # Errors
/// It showed one that cannot be read; then it must not be taken for somebody without one.
pub fn shown_by<T>(
    stream: &TlsStream<T>,
) -> Result<Option<CertificateFacts>, crate::base::certificate::NoCertificate> {
    let (_, connection) = stream.get_ref();
    let shown = connection.peer_certificates();
    let own = shown.and_then(<[_]>::first);
    own.map(|own| CertificateFacts::read(own)).transpose()
}

impl Seen {
    fn current(
        &self,
        settings: &ServerTls,
        sessions: &Sessions,
    ) -> Result<Current, ServerTlsError> {
        let refused = |error: String| ServerTlsError::Refused(error);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(error.to_string()))?;
        let resolver = Arc::new(ByName(
            self.pairs.iter().map(|(_, pair)| pair.served()).collect(),
        ));
        let roots = self.roots.as_ref().map(|(_, roots)| Arc::clone(roots));
        let mut config = match roots {
            None => builder.with_no_client_auth().with_cert_resolver(resolver),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match settings.clients {
                    ClientCertificates::Required(_) => verifier,
                    _ => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build();
                builder
                    .with_client_cert_verifier(
                        verifier.map_err(|error| refused(error.to_string()))?,
                    )
                    .with_cert_resolver(resolver)
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if self.roots.is_none() {
            config.ticketer = Arc::clone(&sessions.tickets);
            config.session_storage = Arc::clone(&sessions.stored);
        } else {
            // A session that is taken up again brings the certificate of its beginning along, which
            // nobody looks at a second time: it could have ended, or its root be gone.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Current {
            config: Arc::new(config),
            facts: self
                .pairs
                .iter()
                .map(|(_, pair)| pair.facts.clone())
                .collect(),
        })
    }
}

impl ClientCertificates {
    /// The file with the roots.
    #[must_use]
    pub fn roots(&self) -> Option<&Path> {
        match self {
            Self::Unasked => None,
            Self::Requested(path) | Self::Required(path) => Some(path),
        }
    }
}

/// The certificates in the operator's order, and their names.
struct ByName(Vec<(Vec<SubjectName>, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByName {
    /// The first that has the name and a key that the client can use; else the first that it can use.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        let usable =
            |key: &CertifiedKey| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = self.0.iter().find(|(names, key)| {
            let means = |wanted| names.iter().any(|name| means(name, wanted));
            name.is_some_and(means) && usable(key)
        });
        let any = || self.0.iter().find(|(_, key)| usable(key));
        named.or_else(any).map(|(_, key)| Arc::clone(key))
    }
}

/// Whether a certificate's `name` is for `host`; `*` is one label (RFC 9525 section 6.3).
fn means(name: &SubjectName, host: &str) -> bool {
    let SubjectName::Dns(name) = name else {
        return false;
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(_, of_host)| of_host.eq_ignore_ascii_case(parent)),
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(names, _)| names))
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
