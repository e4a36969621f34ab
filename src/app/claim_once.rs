//! Acts that may happen once: whoever claims first has it, everybody after is told so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::base::clock::UnixTime;

/// What is claimed. Claims for different acts never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The answer to the login with this `state` (security requirement A6).
    Callback,
    /// The logout token with this issuer and `jti` (security requirement G9).
    LogoutToken,
}

/// Whether the claim was the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// It was: go on.
    First,
    /// It was not: somebody else does, or did.
    Again,
    /// So many claims are alive that no more can be remembered. Whoever gets this does not go on:
    /// an act that might be a second one must not happen.
    Full,
}

/// The claims of this process that are still alive. Exact within the process.
#[derive(Debug, Default)]
pub struct Claims(Mutex<HashMap<[u8; 32], UnixTime>>);

/// About 10 MiB at most. Each live claim stands for a login that was answered within its lifetime.
const MOST_CLAIMS: usize = 100_000;

impl Claims {
    /// Claims `key` for `act` until `until`; later it is forgotten, and whatever made the key must
    /// have expired by then.
    #[must_use]
    pub fn claim_once(&self, act: Act, key: &str, until: UnixTime, now: UnixTime) -> Claimed {
        let id = name(act, key);
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.len() >= MOST_CLAIMS {
            claims.retain(|_, until| *until > now);
        }
        match claims.get(&id) {
            Some(until) if *until > now => Claimed::Again,
            None if claims.len() >= MOST_CLAIMS => Claimed::Full,
            _ => {
                claims.insert(id, until);
                Claimed::First
            }
        }
    }

    /// Forgets a claim whose act turned out to be none.
    pub fn release(&self, act: Act, key: &str) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.remove(&name(act, key));
    }
}

fn name(act: Act, key: &str) -> [u8; 32] {
    let label = match act {
        Act::Callback => "callback\0",
        Act::LogoutToken => "logout token\0",
    };
    let mut id = [0; 32];
    id.copy_from_slice(digest(&SHA256, [label, key].concat().as_bytes()).as_ref());
    id
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    // A6: of fifty at the same time, exactly one goes on.
    #[test]
    fn a_claim_is_granted_once_however_many_ask_at_the_same_time() {
        let claims = Arc::new(Claims::default());
        let (now, until) = (UnixTime::from_seconds(0), UnixTime::from_seconds(60));
        let threads: Vec<_> = (0..50)
            .map(|_| {
                let claims = Arc::clone(&claims);
                std::thread::spawn(move || claims.claim_once(Act::Callback, "s", until, now))
            })
            .collect();
        let first = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|claimed| *claimed == Claimed::First)
            .count();
        assert_eq!(first, 1);
        assert_eq!(
            claims.claim_once(Act::Callback, "other", until, now),
            Claimed::First
        );
        assert_eq!(
            claims.claim_once(Act::Callback, "s", until, until),
            Claimed::First
        );
    }

    // V6: the memory is bounded, and a claim that cannot be remembered is not granted.
    #[test]
    fn claims_are_bounded_and_refused_when_full() {
        let claims = Claims::default();
        let (now, until) = (UnixTime::from_seconds(0), UnixTime::from_seconds(60));
        for index in 0..MOST_CLAIMS {
            assert_eq!(
                claims.claim_once(Act::Callback, &index.to_string(), until, now),
                Claimed::First
            );
        }
        assert_eq!(
            claims.claim_once(Act::Callback, "more", until, now),
            Claimed::Full
        );
        assert_eq!(
            claims.claim_once(Act::Callback, "7", until, now),
            Claimed::Again
        );
        assert_eq!(
            claims.claim_once(Act::Callback, "more", until, until),
            Claimed::First
        );
    }
}
