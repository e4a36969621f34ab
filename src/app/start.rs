//! From a checked configuration to session keys, and why a start fails.

use std::path::PathBuf;

use crate::app::exposure::NotPrivate;
use crate::app::generation::Live;
use crate::app::pages::PagesError;
use crate::base::entropy::NoEntropy;
use crate::base::keyring::{SealError, SessionKey};
use crate::config::SessionKeys;
use crate::config::state_key::{self, StateKeyError};
use crate::provider::ProviderFault;
use crate::server::passed::PassedError;
use crate::session::names::CookieNamesError;
use crate::store::disk::OpenError;
use crate::transport::server_tls::ServerTlsError;
use crate::transport::tls::TlsError;

/// Why the process, or a new generation, does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or socket.
    #[error("{what} {}: {cause}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// A listener.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// A listener's certificates.
    #[error("cannot speak TLS on {address}: {cause}")]
    ListenTls {
        /// Where.
        address: String,
        /// What is wrong.
        cause: ServerTlsError,
    },
    /// An app that must be private.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// What the service manager passed.
    #[error(transparent)]
    Passed(#[from] PassedError),
    /// What the process before this one hands over.
    #[error("the sockets of the process before this one cannot be taken over: {0}")]
    TakeOver(std::io::Error),
    /// A thread or runtime.
    #[error("the system gave no thread: {0}")]
    Thread(std::io::Error),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The session key of our own.
    #[error(transparent)]
    StateKey(#[from] StateKeyError),
    /// The key ring.
    #[error(transparent)]
    Ring(#[from] SealError),
    /// The cookie settings.
    #[error(transparent)]
    Cookies(#[from] CookieNamesError),
    /// A provider's settings.
    #[error(transparent)]
    Provider(#[from] ProviderFault),
    /// What the demo needs could not be built.
    #[error("the demo could not be built")]
    Demo,
    /// A page's template.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// The store of sessions.
    #[error("sessions cannot be kept: {0}")]
    Store(#[from] OpenError),
    /// Trust roots.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The session keys that `keys` leads to. A state file that is missing is made; a key that is kept
/// nowhere is made once a process, so that a reload signs nobody out.
///
/// # Errors
/// [`StartError::StateKey`], [`StartError::Entropy`].
pub fn session_keys(keys: &SessionKeys, live: &Live) -> Result<Vec<SessionKey>, StartError> {
    match keys {
        SessionKeys::Given(keys) => Ok(keys.clone()),
        SessionKeys::Ephemeral => {
            let fresh = SessionKey::generate(live.entropy)?;
            Ok(vec![live.ephemeral_key.get_or_init(|| fresh).clone()])
        }
        SessionKeys::StateFile(path) => Ok(state_key::read_or_make(path, live.entropy)?),
    }
}
