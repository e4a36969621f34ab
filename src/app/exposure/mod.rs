//! Whether an app can be reached around the gate: one that listens on all addresses of this machine
//! is open to everybody who can reach the machine, whatever the gate decides.
//!
//! Only an app at a loopback address can be judged: it shares our network namespace, whose
//! listening sockets the kernel lists. Whether something else keeps people away from them, such as a
//! packet filter, cannot be seen from here. Only Linux has the list; elsewhere nothing is said.

pub mod sockets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::sockets::Listening;
use super::Shared;
use crate::proxy::{Privacy, UpstreamSettings};

/// How often is looked while every app is there: reading the list costs the kernel something where
/// there are many connections.
const PRESENT: Duration = Duration::from_secs(10);
/// How often is looked while one of them is not there yet: it is judged soon after it appears.
const ABSENT: Duration = Duration::from_secs(1);

/// Whether an app can be reached around the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// It is not in our network namespace as far as is known, or the sockets cannot be read.
    Unseen,
    /// Nothing listens there yet.
    Absent,
    /// It listens where only this machine reaches it.
    Private,
    /// It, or something else at its port, listens on these addresses as well.
    Exposed(Vec<SocketAddr>),
}

impl Exposure {
    /// Its name in `/status`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Absent => "absent",
            Self::Private => "private",
            Self::Exposed(_) => "exposed",
        }
    }

    /// Of two addresses of an app, what is said of both: whatever makes it less private.
    fn or_worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exposed(mut one), Self::Exposed(other)) => {
                one.extend(other);
                Self::Exposed(one)
            }
            (exposed @ Self::Exposed(_), _) | (_, exposed @ Self::Exposed(_)) => exposed,
            (Self::Unseen, _) | (_, Self::Unseen) => Self::Unseen,
            (Self::Absent, _) | (_, Self::Absent) => Self::Absent,
            (Self::Private, Self::Private) => Self::Private,
        }
    }

    /// The addresses around the gate, as text.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Unseen | Self::Absent | Self::Private => Vec::new(),
            Self::Exposed(addresses) => addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

/// An app that must be private and is not, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// It can be reached.
    #[error(
        "upstream `{upstream}` can be reached around the gate on {addresses}, and `require_private` forbids it: let the app listen on a loopback address"
    )]
    Exposed {
        /// Its name.
        upstream: String,
        /// Where.
        addresses: String,
    },
    /// Nobody can tell.
    #[error(
        "the listening sockets of this machine cannot be read, and upstream `{upstream}` has `require_private`"
    )]
    Unseen {
        /// Its name.
        upstream: String,
    },
}

/// What was seen, by the upstream's name.
pub type Seen = BTreeMap<String, Exposure>;

/// What was last seen of each upstream.
#[derive(Debug)]
pub struct Exposures {
    own: Vec<SocketAddr>,
    seen: Mutex<Seen>,
}

/// What is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Everything that is wrong, as at a start or a reload.
    All,
    /// What is not as it was.
    Changes,
}

impl Exposures {
    /// Nothing seen yet; `own` are the addresses that the gate itself listens on.
    #[must_use]
    pub fn new(own: Vec<SocketAddr>) -> Self {
        Self {
            own,
            seen: Mutex::default(),
        }
    }

    /// Looks at all of `upstreams`; [`Exposures::remember`] makes it known.
    ///
    /// # Errors
    /// [`NotPrivate`] for the first that must be private and is not.
    pub fn judge(&self, upstreams: &[UpstreamSettings]) -> Result<Seen, NotPrivate> {
        let listening = Listening::read();
        let mut seen = BTreeMap::new();
        for upstream in upstreams {
            let exposures = upstream
                .addresses
                .iter()
                .map(|address| sockets::exposure(address, listening.as_ref(), &self.own));
            let exposure = exposures
                .reduce(Exposure::or_worse)
                .unwrap_or(Exposure::Unseen);
            upstream.admits(&exposure)?;
            seen.insert(upstream.name.clone(), exposure);
        }
        Ok(seen)
    }

    /// Keeps what was `found`, and logs what of it is worth a line.
    pub fn remember(&self, found: Seen, telling: Telling) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, exposure) in &found {
            let before = seen.get(name);
            if telling == Telling::All || before != Some(exposure) {
                tell(name, before, exposure);
            }
        }
        *seen = found;
    }

    /// What was last seen, by upstream.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    fn pause(&self) -> Duration {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.values().any(|one| *one == Exposure::Absent) {
            ABSENT
        } else {
            PRESENT
        }
    }
}

impl UpstreamSettings {
    fn admits(&self, exposure: &Exposure) -> Result<(), NotPrivate> {
        let upstream = || self.name.clone();
        match (self.privacy, exposure) {
            (Privacy::Wanted, _) | (Privacy::Required, Exposure::Absent | Exposure::Private) => {
                Ok(())
            }
            (Privacy::Required, Exposure::Exposed(_)) => Err(NotPrivate::Exposed {
                upstream: upstream(),
                addresses: exposure.addresses().join(" "),
            }),
            (Privacy::Required, Exposure::Unseen) => Err(NotPrivate::Unseen {
                upstream: upstream(),
            }),
        }
    }
}

fn tell(upstream: &str, before: Option<&Exposure>, now: &Exposure) {
    match (before, now) {
        (_, Exposure::Exposed(_)) => tracing::warn!(
            event = "app_exposed",
            upstream,
            reachable_at = %now.addresses().join(" "),
            "the app can be reached around the gate, without any login: let it listen on a loopback address"
        ),
        (Some(Exposure::Exposed(_)), _) => tracing::info!(
            event = "app_private",
            upstream,
            "the app can no longer be reached around the gate"
        ),
        _ => {}
    }
}

/// Looks again and again: an app may appear after us, or be started anew in another way. Ends with
/// the first upstream that must be private and is not; the process has to end then.
pub async fn follow(shared: Arc<Shared>) -> NotPrivate {
    loop {
        tokio::time::sleep(shared.exposures.pause()).await;
        let generation = shared.current.load_full();
        let (looking, judged) = (Arc::clone(&shared), Arc::clone(&generation));
        // The list may be long, and the kernel writes it while we wait.
        let looked =
            tokio::task::spawn_blocking(move || looking.exposures.judge(&judged.config.upstreams))
                .await;
        if !Arc::ptr_eq(&generation, &shared.current.load()) {
            continue; // a reload has looked meanwhile, at what it brought
        }
        match looked {
            Ok(Ok(seen)) => shared.exposures.remember(seen, Telling::Changes),
            Ok(Err(not_private)) => return not_private,
            Err(_panicked) => {} // the log has it; the next look may fare better
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{HostPolicy, Protocol, UpstreamAddress};

    fn upstream(privacy: Privacy) -> UpstreamSettings {
        UpstreamSettings {
            name: "app".to_owned(),
            addresses: vec![UpstreamAddress::Unix("/run/app.sock".into())],
            protocol: Protocol::Http1,
            tls: None,
            host: HostPolicy::Preserve,
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(1),
            first_byte_timeout: Duration::from_secs(1),
            privacy,
        }
    }

    #[test]
    fn what_cannot_be_seen_is_not_taken_for_private() {
        let exposed = Exposure::Exposed(vec!["0.0.0.0:3000".parse().unwrap()]);
        for (exposure, runs) in [
            (Exposure::Unseen, false),
            (exposed, false),
            (Exposure::Absent, true),
            (Exposure::Private, true),
        ] {
            let required = upstream(Privacy::Required).admits(&exposure);
            assert_eq!(required.is_ok(), runs, "{exposure:?}");
            let wanted = upstream(Privacy::Wanted).admits(&exposure);
            assert!(wanted.is_ok(), "{exposure:?}");
        }
    }

    #[test]
    fn of_several_addresses_the_least_private_one_counts() {
        let exposed = Exposure::Exposed(vec!["0.0.0.0:3000".parse().unwrap()]);
        let ranked = [
            Exposure::Private,
            Exposure::Absent,
            Exposure::Unseen,
            exposed,
        ];
        for (at, worse) in ranked.iter().enumerate() {
            for better in &ranked[..at] {
                assert_eq!(better.clone().or_worse(worse.clone()), *worse);
                assert_eq!(worse.clone().or_worse(better.clone()), *worse);
            }
        }
    }

    #[test]
    fn an_app_that_is_not_there_yet_is_looked_for_more_often() {
        let exposures = Exposures::new(Vec::new());
        assert_eq!(exposures.pause(), PRESENT);
        let mut seen = Seen::from([("app".to_owned(), Exposure::Private)]);
        exposures.remember(seen.clone(), Telling::All);
        assert_eq!(exposures.pause(), PRESENT);
        seen.insert("other".to_owned(), Exposure::Absent);
        exposures.remember(seen, Telling::Changes);
        assert_eq!(exposures.pause(), ABSENT);
    }
}
