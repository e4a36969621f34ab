//! What sessions have in common, so that they can be found and ended together: hashes, from which
//! whoever reads a store learns no name (security requirement S1).

use std::sync::OnceLock;

use super::Session;
use super::record::GroupKey;
use super::ticket::hash;
use crate::oidc::claims::Identity;

/// The groups of one session, made when they are first asked for.
#[derive(Debug, Clone, Default)]
pub struct SessionGroups(OnceLock<Box<[GroupKey]>>);

/// All sessions of a person: the same subject of the same issuer.
#[must_use]
pub fn of_person(issuer: &str, subject: &str) -> GroupKey {
    group(&[b"person", issuer.as_bytes(), subject.as_bytes()])
}

/// All sessions that came of one session at the provider of this issuer (`sid`, OpenID Connect
/// Front-Channel Logout section 3).
#[must_use]
pub fn of_provider_session(issuer: &str, sid: &str) -> GroupKey {
    group(&[b"sid", issuer.as_bytes(), sid.as_bytes()])
}

/// All sessions of whoever is called so: by subject, e-mail address or preferred user name, whatever
/// provider says it, in whatever case.
#[must_use]
pub fn of_user(name: &str) -> GroupKey {
    group(&[b"user", name.to_lowercase().as_bytes()])
}

impl Session {
    /// Every group that this session is in.
    #[must_use]
    pub fn groups(&self) -> &[GroupKey] {
        self.groups.0.get_or_init(|| {
            let Identity {
                issuer, subject, ..
            } = &self.identity;
            let sid = self.provider_sid.as_deref();
            let sid = sid.map(|sid| of_provider_session(issuer, sid));
            let email = self.identity.email.as_ref().map(|email| &email.address);
            let names = [
                Some(subject),
                email,
                self.identity.preferred_username.as_ref(),
            ];
            let names = names.into_iter().flatten().map(|name| of_user(name));
            let person = of_person(issuer, subject);
            std::iter::once(person).chain(sid).chain(names).collect()
        })
    }
}

fn group(parts: &[&[u8]]) -> GroupKey {
    GroupKey::from_bytes(hash(parts))
}
