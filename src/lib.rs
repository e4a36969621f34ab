//! Sidegate, an authenticating reverse proxy: OAuth 2.0 and OpenID Connect in front of an
//! unmodified web app.
//!
//! The crate is a house of nine floors, declared here from the ground up; a floor uses the floors
//! below it and never one above (`tests/architecture.rs` holds that). Floors 0 to 3 are *pure*: no
//! async, no sockets, no clock, no chance, no logging. Everything that must be right for security
//! is decided there. Floors 4 to 8 are the *rim*: they do things.

// 0: words that everything speaks
pub mod base;

// 1: the protocol as words
pub mod oidc;

// 2: an authenticated user's standing with us
pub mod session;

// 3: the decision
pub mod gate;

// 4: sockets and TLS, without HTTP semantics of ours
pub mod transport;

// 5: the conversation with the authorization server
pub mod provider;

// 5: the one way to the upstream
pub mod proxy;

// 5: where sessions are kept that do not travel in their cookie
pub mod store;

// 6: listeners, workers and connections; it does not know that this is an auth proxy
pub mod server;

// 7: the YAML as written, and the settings as built
pub mod config;

// 7: the wiring: one request from facts to reply
pub mod app;

// 8: one file per command
pub mod cli;

// 8: the embedded provider and the sample app
pub mod demo;
