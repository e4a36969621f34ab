//! The token endpoint's request and answer as values (RFC 6749 sections 4.1.3, 4.1.4 and 5). Who
//! sends the one and receives the other is not known here.

mod answer;
mod request;

pub use answer::{Finality, TokenAnswer, TokenError, TokenSet};
pub use request::{LoginExpectations, RequestError, TokenRequest};

#[cfg(test)]
mod tests;
