//! Floor 4: sockets, TLS, bodies, and one bounded HTTP exchange. It knows nothing of ours above it.

pub mod body;
pub mod dial;
mod ending;
pub mod http_client;
mod paced;
pub mod race;
pub mod reach;
pub mod resolve;
pub mod server_tls;
pub mod tls;
pub mod trust;
