//! What the provider remembers, all in memory: it forgets everybody when it stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::authorization::{AuthorizationRequest, Strength};
use super::end_session::LogoutRequest;
use super::parameters::Parameters;
use super::scopes::Scopes;
use super::shelf::Shelf;
use super::signing::SigningKeys;
use super::{ClientRegistration, Endpoint, Lifetimes, LogoutNotice, OldKeys, User};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;

/// How many of each kind are kept at most.
const MOST: usize = 50_000;

pub(super) struct State {
    pub(super) keys: Arc<SigningKeys>,
    pub(super) retired: Vec<(Arc<SigningKeys>, OldKeys)>,
    /// By user name.
    pub(super) users: BTreeMap<String, User>,
    /// By `client_id`.
    pub(super) clients: BTreeMap<String, ClientRegistration>,
    pub(super) lifetimes: Lifetimes,
    pub(super) interactions: Shelf<Interaction>,
    /// By the value of the browser's cookie.
    pub(super) sign_ins: Shelf<SignIn>,
    pub(super) codes: Shelf<Code>,
    /// What a person allowed a client. A token whose grant is gone is dead.
    pub(super) grants: Shelf<Grant>,
    pub(super) access_tokens: Shelf<AccessToken>,
    pub(super) refresh_tokens: Shelf<RefreshToken>,
    pub(super) notices: Vec<LogoutNotice>,
    pub(super) hits: BTreeMap<Endpoint, u64>,
    pub(super) last_authorization: Option<Parameters>,
    pub(super) ledger: Vec<Secret>,
}

/// A page that waits for a person's answer.
#[derive(Debug, Clone)]
pub(super) enum Interaction {
    /// The sign-in form.
    SignIn(AuthorizationRequest),
    /// The consent form, for who is signed in.
    Consent(AuthorizationRequest),
    /// The question whether to sign out, for the browser with this cookie.
    SignOut {
        cookie: String,
        request: LogoutRequest,
    },
}

/// Somebody signed in at the provider in one browser.
#[derive(Debug, Clone)]
pub(super) struct SignIn {
    /// The public name of this sign-in, as ID tokens carry it.
    pub(super) sid: String,
    pub(super) username: String,
    pub(super) auth_time: UnixTime,
    pub(super) strength: Strength,
    /// The clients that got tokens from it.
    pub(super) clients: BTreeSet<String>,
}

/// An authorization code. It stays known after its use and its time, so that a second use is seen
/// for what it is.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) request: AuthorizationRequest,
    pub(super) username: String,
    pub(super) sid: String,
    pub(super) auth_time: UnixTime,
    pub(super) strength: Strength,
    pub(super) expires_at: UnixTime,
    pub(super) spent: Spent,
}

/// Whether a code was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spent {
    No,
    /// Used without success.
    InVain,
    /// Used for this grant.
    For(String),
}

/// What a person allowed a client.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) username: String,
    pub(super) sid: String,
    pub(super) auth_time: UnixTime,
    pub(super) strength: Strength,
    pub(super) scopes: Scopes,
}

/// An access token's facts, under its value.
#[derive(Debug, Clone)]
pub(super) struct AccessToken {
    pub(super) grant: String,
    pub(super) scopes: Scopes,
    pub(super) issued_at: UnixTime,
    pub(super) expires_at: UnixTime,
}

/// A refresh token's facts, under its value. It stays known after its use.
#[derive(Debug, Clone)]
pub(super) struct RefreshToken {
    pub(super) grant: String,
    pub(super) issued_at: UnixTime,
    pub(super) expires_at: UnixTime,
    pub(super) rotated: Rotated,
}

/// Whether a refresh token was used and replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotated {
    No,
    Yes,
}

impl State {
    pub(super) fn new(keys: Arc<SigningKeys>, lifetimes: Lifetimes) -> Self {
        Self {
            keys,
            retired: Vec::new(),
            users: BTreeMap::new(),
            clients: BTreeMap::new(),
            lifetimes,
            interactions: Shelf::new(MOST),
            sign_ins: Shelf::new(MOST),
            codes: Shelf::new(MOST),
            grants: Shelf::new(MOST),
            access_tokens: Shelf::new(MOST),
            refresh_tokens: Shelf::new(MOST),
            notices: Vec::new(),
            hits: BTreeMap::new(),
            last_authorization: None,
            ledger: Vec::new(),
        }
    }

    /// The grant of that id and its user, if both are still there.
    pub(super) fn standing(&self, grant: &str, now: UnixTime) -> Option<(&Grant, &User)> {
        let grant = self.grants.find(grant, now)?;
        Some((grant, self.users.get(&grant.username)?))
    }

    /// Ends the sign-in under `cookie`: gives whom to tell, and takes back what was granted through
    /// it, except what was meant to outlive it (`offline_access`; OpenID Connect Back-Channel
    /// Logout section 2.7).
    pub(super) fn end_sign_in(&mut self, cookie: &str, now: UnixTime) -> Vec<Farewell> {
        let Some(sign_in) = self.sign_ins.take(cookie, now) else {
            return Vec::new();
        };
        // Codes that are under way lead nowhere any more.
        for code in self.codes.values_mut() {
            if code.sid == sign_in.sid && code.spent == Spent::No {
                code.spent = Spent::InVain;
            }
        }
        self.grants
            .retain(|grant| grant.sid != sign_in.sid || grant.scopes.contains("offline_access"));
        let Some(subject) = self.users.get(&sign_in.username).map(|user| &user.subject) else {
            return Vec::new();
        };
        sign_in
            .clients
            .iter()
            .filter_map(|client_id| self.clients.get(client_id))
            .filter_map(|client| {
                Some(Farewell {
                    uri: client.backchannel_logout_uri.clone()?,
                    client: client.clone(),
                    subject: subject.clone(),
                    sid: sign_in.sid.clone(),
                })
            })
            .collect()
    }
}

/// A client that is to be told that a sign-in is over.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) client: ClientRegistration,
    pub(super) uri: String,
    pub(super) subject: String,
    pub(super) sid: String,
}
