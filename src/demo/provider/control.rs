//! What whoever embeds the provider may see and change. None of it is reachable by a request.

use std::sync::Arc;

use super::signing::SigningKeys;
use super::{
    ClientRegistration, Endpoint, Lifetimes, Parameters, Provider, RegistrationError, User,
};
use crate::base::clock::Clock;
use crate::base::secret::Secret;

/// A logout token on its way to a client.
#[derive(Debug, Clone)]
pub struct LogoutNotice {
    /// Which client.
    pub client_id: String,
    /// Its `backchannel_logout_uri`.
    pub uri: String,
    /// The signed logout token.
    pub token: Secret,
}

/// What becomes of keys that no longer sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKeys {
    /// They stay in the key set, so that older tokens can still be verified.
    Published,
    /// They leave the key set at once.
    Withdrawn,
}

/// How many retired keys are remembered.
const RETIRED_LIMIT: usize = 8;

/// Somebody is not there to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no user of that name")]
pub struct NoSuchUser;

/// A logout could not be announced: no randomness, or no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the logout tokens could not be made")]
pub struct Unannounced;

impl Provider {
    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The clock that it asks.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The keys that sign today.
    #[must_use]
    pub fn keys(&self) -> Arc<SigningKeys> {
        Arc::clone(&self.state().keys)
    }

    /// Takes the logout notices that wait for delivery.
    #[must_use]
    pub fn take_logout_notices(&self) -> Vec<LogoutNotice> {
        std::mem::take(&mut self.state().notices)
    }

    /// Registers a client, in place of one of the same name.
    ///
    /// # Errors
    /// [`RegistrationError`]; nothing has changed then.
    pub fn register(&self, client: ClientRegistration) -> Result<(), RegistrationError> {
        client.check()?;
        self.state()
            .clients
            .insert(client.client_id.clone(), client);
        Ok(())
    }

    /// Adds a user, in place of one of the same name.
    pub fn add_user(&self, user: User) {
        self.state().users.insert(user.username.clone(), user);
    }

    /// Removes a user. Their sign-in, codes and tokens are dead from now on; nobody is told.
    ///
    /// # Errors
    /// [`NoSuchUser`].
    pub fn remove_user(&self, username: &str) -> Result<(), NoSuchUser> {
        let removed = self.state().users.remove(username);
        removed.map(drop).ok_or(NoSuchUser)
    }

    /// Puts a user into these groups and no others, from the next token on.
    ///
    /// # Errors
    /// [`NoSuchUser`].
    pub fn set_groups(&self, username: &str, groups: Vec<String>) -> Result<(), NoSuchUser> {
        let mut state = self.state();
        state.users.get_mut(username).ok_or(NoSuchUser)?.groups = groups;
        Ok(())
    }

    /// Signs a user out of every browser, and leaves a notice for every client that had tokens of
    /// it, as an administrator's "sign out everywhere" does.
    ///
    /// # Errors
    /// [`Unannounced`] when a logout token cannot be made; the user is signed out all the same.
    pub fn sign_out_everywhere(&self, username: &str) -> Result<(), Unannounced> {
        let now = self.clock.now();
        let mut farewells = Vec::new();
        {
            let mut state = self.state();
            let cookies: Vec<_> = state
                .sign_ins
                .iter(now)
                .filter(|(_, sign_in)| sign_in.username == username)
                .map(|(cookie, _)| cookie.to_owned())
                .collect();
            for cookie in cookies {
                farewells.extend(state.end_sign_in(&cookie, now));
            }
        }
        self.announce(farewells, now).map_err(|_| Unannounced)
    }

    /// Signs with `next` from now on.
    pub fn rotate_keys(&self, next: Arc<SigningKeys>, old: OldKeys) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.keys, next);
        state.retired.insert(0, (before, old));
        state.retired.truncate(RETIRED_LIMIT);
    }

    /// How long what is issued from now on lives.
    pub fn set_lifetimes(&self, lifetimes: Lifetimes) {
        self.state().lifetimes = lifetimes;
    }

    /// How often an endpoint was called, refused calls included.
    #[must_use]
    pub fn hits(&self, endpoint: Endpoint) -> u64 {
        self.state().hits.get(&endpoint).copied().unwrap_or(0)
    }

    /// The parameters of the last call of the authorization endpoint, whatever became of it.
    #[must_use]
    pub fn last_authorization(&self) -> Option<Parameters> {
        self.state().last_authorization.clone()
    }

    /// Every code, token and cookie issued so far, if the options asked for a ledger.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<Secret> {
        self.state().ledger.clone()
    }
}
