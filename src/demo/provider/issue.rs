//! Makes the tokens of a grant.

use serde_json::{Map, Value, json};

use super::scopes::Scopes;
use super::signing::{self, SigningAlgorithm};
use super::state::{AccessToken, Grant, RefreshToken, Rotated, State};
use super::{EmailStatus, IdTokenClaims, Provider, RefreshTokens, Unable, User};
use crate::base::clock::UnixTime;
use crate::base::entropy::NoEntropy;

/// Tokens that were made, before the ID token is signed.
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) expires_in: u64,
    pub(super) refresh_token: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) id_token: Option<Draft>,
}

/// A token's claims and how they are to be signed.
pub(super) struct Draft {
    pub(super) algorithm: SigningAlgorithm,
    pub(super) claims: Value,
}

/// What one issue is about.
pub(super) struct Issue<'a> {
    pub(super) grant_id: &'a str,
    pub(super) grant: &'a Grant,
    pub(super) user: &'a User,
    /// The access token's scopes: the grant's, or fewer.
    pub(super) scopes: Scopes,
    /// Only with a code: a renewed ID token has none (OpenID Connect Core section 12.2).
    pub(super) nonce: Option<&'a str>,
}

impl Provider {
    /// Makes an access token, a refresh token where the policy gives one, and the claims of an ID
    /// token where `openid` was granted.
    pub(super) fn issue(
        &self,
        state: &mut State,
        issue: Issue<'_>,
        now: UnixTime,
    ) -> Result<Issued, NoEntropy> {
        let lifetimes = state.lifetimes;
        let access_token = self.draw(state)?;
        let expires_at = now.plus(lifetimes.access_token);
        state.access_tokens.put(
            access_token.clone(),
            AccessToken {
                grant: issue.grant_id.to_owned(),
                scopes: issue.scopes.clone(),
                issued_at: now,
                expires_at,
            },
            expires_at,
            now,
        );
        state.grants.keep_until(issue.grant_id, expires_at);
        let renewable = match self.refresh_tokens {
            RefreshTokens::Always => true,
            RefreshTokens::OfflineAccess => issue.grant.scopes.contains("offline_access"),
        };
        let refresh_token = if renewable {
            Some(self.issue_refresh_token(state, issue.grant_id, now)?)
        } else {
            None
        };
        let id_token = issue.grant.scopes.contains("openid").then(|| {
            let algorithm = state
                .clients
                .get(&issue.grant.client_id)
                .map_or(SigningAlgorithm::Rs256, |client| client.id_token_algorithm);
            let expires_at = now.plus(lifetimes.id_token);
            Draft {
                algorithm,
                claims: self.id_token_claims(&issue, &access_token, now, expires_at),
            }
        });
        Ok(Issued {
            access_token,
            expires_in: lifetimes.access_token.as_secs(),
            refresh_token,
            scopes: issue.scopes,
            id_token,
        })
    }

    fn issue_refresh_token(
        &self,
        state: &mut State,
        grant_id: &str,
        now: UnixTime,
    ) -> Result<String, NoEntropy> {
        let token = self.draw(state)?;
        let expires_at = now.plus(state.lifetimes.refresh_token);
        let record = RefreshToken {
            grant: grant_id.to_owned(),
            issued_at: now,
            expires_at,
            rotated: Rotated::No,
        };
        state
            .refresh_tokens
            .put(token.clone(), record, expires_at, now);
        state.grants.keep_until(grant_id, expires_at);
        Ok(token)
    }

    /// OpenID Connect Core section 2; `sid` is of Back-Channel Logout section 2.1.
    fn id_token_claims(
        &self,
        issue: &Issue<'_>,
        access_token: &str,
        now: UnixTime,
        expires_at: UnixTime,
    ) -> Value {
        let mut claims = match self.id_token_claims {
            IdTokenClaims::Full => profile(issue.user, &issue.grant.scopes),
            IdTokenClaims::UserinfoOnly => Map::new(),
        };
        let protocol = json!({
            "iss": self.issuer,
            "sub": issue.user.subject,
            "aud": issue.grant.client_id,
            "exp": expires_at.as_seconds(),
            "iat": now.as_seconds(),
            "auth_time": issue.grant.auth_time.as_seconds(),
            "acr": issue.grant.strength.acr(),
            "amr": ["pwd"],
            "sid": issue.grant.sid,
            "at_hash": signing::half_hash(access_token),
        });
        if let Value::Object(protocol) = protocol {
            claims.extend(protocol);
        }
        if let Some(nonce) = issue.nonce {
            claims.insert("nonce".to_owned(), nonce.into());
        }
        claims.into()
    }

    /// Signs a draft with today's keys, outside the lock.
    pub(super) fn sign_draft(&self, draft: &Draft, typ: &str) -> Result<String, Unable> {
        let keys = self.keys();
        let header = keys.header(draft.algorithm, typ);
        let raw = keys.sign(draft.algorithm, &header, &draft.claims)?;
        self.note_issued(&mut self.state(), &raw);
        Ok(raw)
    }
}

/// What the scopes tell of a person (OpenID Connect Core section 5.4). Groups come with `profile`
/// too, since a client cannot ask everybody for the scope `groups`.
pub(super) fn profile(user: &User, scopes: &Scopes) -> Map<String, Value> {
    let mut claims = Map::new();
    if scopes.contains("profile") {
        claims.extend(user.claims.clone());
    }
    let mut tell = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if scopes.contains("profile") {
        tell("name", user.name.as_str().into());
        tell("preferred_username", user.username.as_str().into());
    }
    if scopes.contains("email") {
        tell("email", user.email.as_str().into());
        tell(
            "email_verified",
            (user.email_status == EmailStatus::Verified).into(),
        );
    }
    if scopes.contains("groups") || scopes.contains("profile") {
        tell("groups", user.groups.clone().into());
    }
    claims
}
