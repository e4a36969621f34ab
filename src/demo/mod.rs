//! Floor 8: the embedded provider and the sample app.
//!
//! [`provider`] is a small but real OAuth 2.0 and OpenID Connect authorization server: the engine
//! of `sidegate demo` and `sidegate dev-provider`, and the honest half of the provider that the
//! integration tests log in at. [`sample_app`] is something to put behind the gate. Both are plain
//! values that turn a request into an answer; [`serve()`] is the loop that gives them a socket, and
//! it takes loopback sockets only. Nothing here is for production, and nothing else in the crate
//! uses it.

pub mod notices;
mod pages;
pub mod provider;
pub mod sample_app;

pub mod serve;

pub use serve::serve;
