//! What is fuzzed: each file has one function that takes any bytes, calls what reads such bytes in
//! production, and holds the answer to what must be true of every answer.
//!
//! The fuzzer calls these functions by way of `fuzz_targets/`; `tests/fuzz_corpora.rs` calls them
//! with every kept input, without a fuzzer.

/// Answers of an upstream.
pub mod answer;
/// The authorization response.
pub mod callback;
/// Who is connected, and who the client is.
pub mod client_address;
/// The configuration file.
pub mod config;
/// `Cookie` fields.
pub mod cookies;
/// The discovery document, and issuers.
pub mod discovery;
/// JWS headers and the claims of ID tokens.
pub mod id_token;
/// Key sets.
pub mod jwks;
/// The header of a proxy before a connection.
pub mod proxy_header;
/// Places to return to after a login.
pub mod return_to;
/// Sealed texts.
pub mod sealed;
/// Request targets and their readings.
pub mod target;
/// The token endpoint's answer.
pub mod token_answer;

/// What came of an input. Kept inputs must lead to both, or they do not reach what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was taken for what it could be.
    Accepted,
    /// It was refused.
    Refused,
}

/// One function that takes any bytes; it panics where something is wrong.
pub type Run = fn(&[u8]) -> Outcome;

/// Every target by its name, which is also that of its corpus and its program.
pub const ALL: [(&str, Run); 13] = [
    ("answer", answer::run),
    ("callback", callback::run),
    ("client_address", client_address::run),
    ("config", config::run),
    ("cookies", cookies::run),
    ("discovery", discovery::run),
    ("id_token", id_token::run),
    ("jwks", jwks::run),
    ("proxy_header", proxy_header::run),
    ("return_to", return_to::run),
    ("sealed", sealed::run),
    ("target", target::run),
    ("token_answer", token_answer::run),
];

impl From<bool> for Outcome {
    fn from(accepted: bool) -> Self {
        if accepted {
            Self::Accepted
        } else {
            Self::Refused
        }
    }
}
