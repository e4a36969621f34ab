//! What Redis says when it does not do something, in the words of a store. Of the text of an error
//! nothing is taken but its code where that is known: the rest may name keys, users and values.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Codes with which a server refuses, and keeps refusing until somebody does something.
const REFUSALS: [&str; 8] = [
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "OOM",
    "READONLY",
    "MISCONF",
    "NOREPLICAS",
    "DENIED",
];
/// Codes with which a server says that it cannot answer now.
const ABSENCES: [&str; 8] = [
    "LOADING",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "BUSY",
    "UNBLOCKED",
];

/// An error, and what it says of the connection that it came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// For the caller.
    pub(super) error: StoreError,
    /// Whether this connection is of no more use.
    pub(super) severed: bool,
}

impl Fault {
    /// No answer within the time that is given to one.
    pub(super) fn silence() -> Self {
        Self {
            error: unreachable_as("no answer in time"),
            severed: true,
        }
    }

    /// An answer that none of ours could have.
    pub(super) fn nonsense() -> Self {
        Self {
            error: StoreError::Corrupt,
            severed: false,
        }
    }
}

/// There is nobody, as `why` tells.
pub(super) fn unreachable_as(why: &str) -> StoreError {
    StoreError::Unreachable(why.to_owned())
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        if code == "WRONGTYPE" {
            return Self::nonsense();
        }
        if let Some(code) = REFUSALS.iter().find(|known| **known == code) {
            // The master became a replica, or our login ended: another connection may fare better.
            let severed = matches!(*code, "READONLY" | "NOAUTH");
            let error = StoreError::Refused((*code).to_owned());
            return Self { error, severed };
        }
        if let Some(code) = ABSENCES.iter().find(|known| **known == code) {
            return Self {
                error: unreachable_as(code),
                severed: true,
            };
        }
        let (error, severed) = match error.kind() {
            ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::Extension => {
                (StoreError::Refused("with an error".to_owned()), false)
            }
            ErrorKind::Server(_) => (StoreError::Refused(error.category().to_owned()), false),
            ErrorKind::AuthenticationFailed => {
                (StoreError::Refused("the user or password".to_owned()), true)
            }
            ErrorKind::UnexpectedReturnType => (StoreError::Corrupt, false),
            ErrorKind::InvalidClientConfig => {
                (StoreError::Refused("our own settings".to_owned()), true)
            }
            ErrorKind::Io if error.is_timeout() => (unreachable_as("no answer in time"), true),
            ErrorKind::Io if error.is_connection_refusal() => {
                (unreachable_as("nobody listens"), true)
            }
            ErrorKind::Io => (unreachable_as("the connection broke"), true),
            ErrorKind::Parse => (unreachable_as("what it says is no RESP"), true),
            _ => (unreachable_as(error.category()), true),
        };
        Self { error, severed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::from(value.extract_error().unwrap_err())
    }

    // S2: each of Redis' refusals is one of ours, and none repeats the words that came with it.
    #[test]
    fn what_a_server_refuses_with_is_named_by_its_code_alone() {
        for code in REFUSALS.iter().chain(&ABSENCES).chain(&["ERR", "ODD"]) {
            let fault = said(&format!("{code} 7 canary:1 canary"));
            assert!(!format!("{:?} {}", fault, fault.error).contains("canary"));
            let expected = if REFUSALS.contains(code) {
                StoreError::Refused((*code).to_owned())
            } else if ABSENCES.contains(code) {
                unreachable_as(code)
            } else {
                StoreError::Refused("with an error".to_owned())
            };
            assert_eq!(fault.error, expected);
        }
        assert_eq!(
            said("WRONGTYPE Operation against").error,
            StoreError::Corrupt
        );
    }

    // S2: a connection to a server that is master no more is not used again.
    #[test]
    fn a_connection_to_a_former_master_is_of_no_more_use() {
        assert!(said("READONLY You can't write").severed);
        assert!(said("LOADING Redis is loading").severed);
        assert!(!said("OOM command not allowed").severed);
        assert!(!said("NOPERM this user has no permissions").severed);
    }
}
