//! The rig: a provider, an app, a browser, a raw socket, and the gate between them.

pub(crate) mod authority;
pub(crate) mod browser;
pub(crate) mod foreign;
pub(crate) mod frames;
pub(crate) mod http2_app;
pub(crate) mod instance;
pub(crate) mod nobody;
pub(crate) mod own_process;
pub(crate) mod process;
pub(crate) mod provider;
pub(crate) mod raw;
#[expect(dead_code, reason = "the tests of the stores themselves use the rest")]
#[path = "../../store/server.rs"]
pub(crate) mod redis_server;
pub(crate) mod server;
pub(crate) mod tls_app;
pub(crate) mod tls_client;
pub(crate) mod upstream;
pub(crate) mod wire;
