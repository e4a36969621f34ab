//! What sessions have in common, so that they can be found and ended together: hashes, from which
//! whoever reads a store learns no name (security requirement S1).

use std::sync::OnceLock;

use super::log_name::{self, SessionName};
use super::record::GroupKey;
use super::ticket::hash;
use super::{Session, SessionId};

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

/// All sessions of whoever is called so: by subject, e-mail address, preferred user name, or the name
/// that logs have for people ([`log_name::of_person`]), whatever provider says it, in whatever case.
#[must_use]
pub fn of_user(name: &str) -> GroupKey {
    group(&[b"user", name.to_lowercase().as_bytes()])
}

/// The session that logs call so ([`SessionName`]).
#[must_use]
pub fn of_name(name: &str) -> GroupKey {
    group(&[b"name", name.to_lowercase().as_bytes()])
}

/// All sessions that a person has had at one browser, one after the other, of which this is the first.
#[must_use]
pub fn of_family(first: &SessionId) -> GroupKey {
    group(&[b"family", first.as_str().as_bytes()])
}

/// Everything by which a session can be ended with others, except what its provider calls it.
pub(super) fn of_session<'a>(
    id: &SessionId,
    issuer: &str,
    subject: &str,
    names: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = GroupKey> {
    let in_logs = of_user(&log_name::of_person(issuer, subject));
    let own = of_name(SessionName::of(id).as_str());
    let names = names.map(of_user).collect::<Vec<_>>();
    [of_person(issuer, subject), of_user(subject), in_logs, own]
        .into_iter()
        .chain(names)
}

impl Session {
    /// Every group that this session is in.
    #[must_use]
    pub fn groups(&self) -> &[GroupKey] {
        self.groups.0.get_or_init(|| {
            let identity = &self.identity;
            let (issuer, subject) = (&identity.issuer, &identity.subject);
            let sid = self.provider_sid.as_deref();
            let sid = sid.map(|sid| of_provider_session(issuer, sid));
            let email = identity.email.as_ref().map(|email| &email.address);
            let names = email.into_iter().chain(&identity.preferred_username);
            let all = of_session(&self.id, issuer, subject, names.map(String::as_str));
            let family = of_family(self.family.as_ref().unwrap_or(&self.id));
            all.chain(sid).chain([family]).collect()
        })
    }
}

fn group(parts: &[&[u8]]) -> GroupKey {
    GroupKey::from_bytes(hash(parts))
}
