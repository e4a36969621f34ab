//! Floor 1: OAuth 2.0 and OpenID Connect as words. Pure: nothing here opens a socket, reads a clock
//! or draws a random byte.

pub mod claims;
