//! Floor 0: words that every other floor speaks. Nothing here knows what Sidegate is.
//!
//! Everything is pure, with three named exceptions: [`clock`] reads the one system clock,
//! [`entropy`] the one random source (both are handed down from the rim as arguments), and
//! [`keyring`] draws the nonces of what it seals.

pub mod answer;
pub mod certificate;
pub mod clock;
pub mod entropy;
pub mod fields;
pub mod keyring;
pub mod origin;
pub mod peer;
pub mod proxy_header;
pub mod return_to;
pub mod secret;
pub mod target;
