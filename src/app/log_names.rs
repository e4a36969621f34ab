//! What people, sessions and addresses are called in logs: enough to find what belongs together,
//! nothing that could be used.

use std::net::IpAddr;

use super::log_line::Line;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claims::Identity;
use crate::session::SessionId;
use crate::session::log_name::{self, SessionName};

/// What is written about who is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserLogging {
    /// Nothing.
    #[default]
    Off,
    /// A hash of issuer and subject: the same for the same person, and no name.
    Hash,
    /// The subject.
    Subject,
    /// The e-mail address.
    Email,
}

/// A person's name in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The name of `identity`, as far as `logging` lets it be told.
    #[must_use]
    pub fn of(identity: &Identity, logging: UserLogging) -> Option<Self> {
        match logging {
            UserLogging::Off => None,
            UserLogging::Hash => Some(Self(log_name::of_person(
                &identity.issuer,
                &identity.subject,
            ))),
            UserLogging::Subject => Some(Self(identity.subject.clone())),
            UserLogging::Email => identity
                .email
                .as_ref()
                .map(|email| Self(email.address.clone())),
        }
    }

    /// The name of somebody of whom no more is known. It is the same that [`UserName::of`] gives, where
    /// `logging` wants a hash or the subject; their address is not known.
    #[must_use]
    pub fn of_subject(issuer: &str, subject: &str, logging: UserLogging) -> Self {
        match logging {
            UserLogging::Subject => Self(subject.to_owned()),
            UserLogging::Off | UserLogging::Hash | UserLogging::Email => {
                Self(log_name::of_person(issuer, subject))
            }
        }
    }

    /// The text, still to be escaped.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of sessions that were written lately, by one worker: to make one costs as much as the
/// rest of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionNames(Vec<Option<(SessionId, SessionName)>>);

impl SessionNames {
    /// So many are remembered.
    const SLOTS: usize = 256;

    /// The name of the session with this id.
    pub(super) fn of(&mut self, id: &SessionId) -> SessionName {
        if self.0.is_empty() {
            self.0.resize(Self::SLOTS, None);
        }
        // Ids are random, in letters and digits of which each has six bits.
        let mut slot = 0;
        for byte in id.as_str().bytes().take(4) {
            slot = slot * 31 + usize::from(byte);
        }
        let Some(slot) = self.0.get_mut(slot % Self::SLOTS) else {
            return SessionName::of(id);
        };
        match slot {
            Some((known, name)) if known == id => *name,
            _ => {
                let name = SessionName::of(id);
                *slot = Some((id.clone(), name));
                name
            }
        }
    }
}

/// Writes `client_address`: an IP address, or `local` for a Unix socket.
pub(super) fn write_client_address(line: &mut Line<'_>, address: &ClientAddress) {
    match address {
        ClientAddress::Ip(IpAddr::V4(ip)) => line.octets("client_address", ip.octets()),
        ClientAddress::Ip(ip) => line.display("client_address", ip, 64),
        ClientAddress::Local => line.text("client_address", "local", 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::respond::samples::identity;

    // T3: by default nothing is told of who it is; where it is told, only what was asked for.
    #[test]
    fn a_person_is_named_only_as_configured() {
        let alice = identity("alice@ok.test");
        assert_eq!(UserName::of(&alice, UserLogging::default()), None);
        let hashed = UserName::of(&alice, UserLogging::Hash).unwrap();
        assert_eq!(hashed.as_str().len(), 12);
        assert!(hashed.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
        for open in [UserLogging::Subject, UserLogging::Email] {
            let name = UserName::of(&alice, open).unwrap();
            assert_eq!(name.as_str(), "alice@ok.test");
        }
    }

    #[test]
    fn a_hash_tells_people_of_two_issuers_apart() {
        let hashed = |issuer: &str, subject: &str| {
            let mut one = identity(subject);
            issuer.clone_into(&mut one.issuer);
            UserName::of(&one, UserLogging::Hash)
        };
        assert_eq!(hashed("a", "b"), hashed("a", "b"));
        assert_ne!(hashed("a", "b"), hashed("b", "a"));
        assert_ne!(hashed("a", "bc"), hashed("ab", "c"));
    }

    #[test]
    fn a_remembered_name_is_the_sessions_own() {
        let mut names = SessionNames::default();
        let ids = || (0..=255).map(|byte| SessionId::from_bytes([byte; 16]));
        // More than one to a place, and in turns.
        for id in ids().chain(ids().rev()) {
            assert_eq!(names.of(&id), SessionName::of(&id));
        }
    }

    // T1: the log's name of a session is not its id, and does not lead to it.
    #[test]
    fn a_session_is_named_by_a_hash() {
        let id = SessionId::from_bytes([7; 16]);
        let name = SessionName::of(&id);
        assert_eq!(name.as_str().len(), 12);
        assert!(!id.as_str().contains(name.as_str()));
        assert_ne!(name, SessionName::of(&SessionId::from_bytes([8; 16])));
    }
}
