//! The token endpoint (RFC 6749 sections 3.2, 4.1.3, 5 and 6, RFC 7636 section 4.6).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::inbound::Inbound;
use super::issue::{Issue, Issued};
use super::parameters::Parameters;
use super::reply::{self, ErrorCode, Refusal};
use super::state::{Grant, Rotated, Spent, State};
use super::{ClientRegistration, Provider, Unable};
use crate::base::clock::UnixTime;
use crate::base::entropy::NoEntropy;
use crate::base::secret::same;

/// Why there are no tokens.
enum Ungranted {
    /// The request is not good enough.
    Refused(Refusal),
    /// Something of ours broke.
    Unable(Unable),
}

impl From<Refusal> for Ungranted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NoEntropy> for Ungranted {
    fn from(error: NoEntropy) -> Self {
        Self::Unable(error.into())
    }
}

impl Provider {
    pub(super) fn token(&self, inbound: &Inbound) -> Result<Response<Bytes>, Unable> {
        match self.grant(inbound) {
            Ok(issued) => self.token_response(&issued),
            Err(Ungranted::Refused(refusal)) => Ok(refusal.response()),
            Err(Ungranted::Unable(unable)) => Err(unable),
        }
    }

    fn grant(&self, inbound: &Inbound) -> Result<Issued, Ungranted> {
        let form = sound_form(inbound)?;
        let mut state = self.state();
        let client = state.authenticate(inbound, form)?;
        match form.value("grant_type") {
            Some("authorization_code") => self.redeem(&mut state, &client, form, inbound.now),
            Some("refresh_token") => self.renew(&mut state, &client, form, inbound.now),
            Some(_) => Err(Refusal::new(
                ErrorCode::UnsupportedGrantType,
                "the grant types are authorization_code and refresh_token",
            )
            .into()),
            None => Err(invalid_request("grant_type is missing").into()),
        }
    }

    /// Redeems a code (RFC 6749 section 4.1.3).
    fn redeem(
        &self,
        state: &mut State,
        client: &ClientRegistration,
        form: &Parameters,
        now: UnixTime,
    ) -> Result<Issued, Ungranted> {
        let code = form
            .value("code")
            .ok_or(invalid_request("code is missing"))?;
        let (grant, nonce) = state.spend(code, client, form, now)?;
        let user = state.users.get(&grant.username).cloned();
        let user = user.ok_or(invalid_grant("the person is no longer known"))?;
        let grant_id = self.entropy.token()?;
        if let Some(code) = state.codes.find_mut(code, now) {
            code.spent = Spent::For(grant_id.clone());
        }
        state.enlist(&grant.sid, &client.client_id);
        // Issuing keeps it for as long as its tokens live.
        let keep_until = now.plus(state.lifetimes.access_token);
        state
            .grants
            .put(grant_id.clone(), grant.clone(), keep_until, now);
        let issue = Issue {
            grant_id: &grant_id,
            grant: &grant,
            user: &user,
            scopes: grant.scopes.clone(),
            nonce: nonce.as_deref(),
        };
        Ok(self.issue(state, issue, now)?)
    }

    /// Renews by a refresh token, which is replaced. One that comes again ends its whole grant
    /// (RFC 9700 section 4.14.2).
    fn renew(
        &self,
        state: &mut State,
        client: &ClientRegistration,
        form: &Parameters,
        now: UnixTime,
    ) -> Result<Issued, Ungranted> {
        let value = form
            .value("refresh_token")
            .ok_or(invalid_request("refresh_token is missing"))?;
        let unknown = invalid_grant("the refresh token is unknown, expired or revoked");
        let Some(token) = state.refresh_tokens.find(value, now).cloned() else {
            return Err(unknown.into());
        };
        let Some(grant) = state
            .grants
            .find(&token.grant, now)
            .filter(|grant| grant.client_id == client.client_id)
            .cloned()
        else {
            return Err(unknown.into());
        };
        if token.rotated == Rotated::Yes {
            state.grants.take(&token.grant, now);
            return Err(
                invalid_grant("the refresh token was used before; its tokens are revoked").into(),
            );
        }
        let Some(user) = state.users.get(&grant.username).cloned() else {
            return Err(invalid_grant("the person is no longer known").into());
        };
        let scopes = match form.value("scope") {
            None => grant.scopes.clone(),
            Some(asked) => match grant.scopes.narrow(asked) {
                Some(scopes) => scopes,
                None => {
                    return Err(Refusal::new(
                        ErrorCode::InvalidScope,
                        "scope goes beyond what was granted",
                    )
                    .into());
                }
            },
        };
        if let Some(token) = state.refresh_tokens.find_mut(value, now) {
            token.rotated = Rotated::Yes;
        }
        let issue = Issue {
            grant_id: &token.grant,
            grant: &grant,
            user: &user,
            scopes,
            nonce: None,
        };
        Ok(self.issue(state, issue, now)?)
    }

    fn token_response(&self, issued: &Issued) -> Result<Response<Bytes>, Unable> {
        let mut body = json!({
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": issued.scopes.to_string(),
        });
        let mut add = |name: &str, value: String| {
            if let Value::Object(members) = &mut body {
                members.insert(name.to_owned(), value.into());
            }
        };
        if let Some(token) = &issued.refresh_token {
            add("refresh_token", token.clone());
        }
        if let Some(draft) = &issued.id_token {
            add("id_token", self.sign_draft(draft, "JWT")?);
        }
        Ok(reply::json(StatusCode::OK, &body))
    }
}

impl State {
    /// Spends a code and gives what was granted with it, and its nonce. Whatever comes of the
    /// attempt, the code is spent: one that arrives with a wrong verifier is in wrong hands.
    fn spend(
        &mut self,
        code: &str,
        client: &ClientRegistration,
        form: &Parameters,
        now: UnixTime,
    ) -> Result<(Grant, Option<String>), Refusal> {
        let code = self
            .codes
            .find_mut(code, now)
            .filter(|code| code.request.reply_to.client_id == client.client_id)
            .ok_or(invalid_grant("the code is unknown"))?;
        match std::mem::replace(&mut code.spent, Spent::InVain) {
            Spent::No => {}
            Spent::InVain => return Err(invalid_grant("the code was used before")),
            Spent::For(grant) => {
                // One of the two who used it is a thief (section 4.1.2).
                self.grants.take(&grant, now);
                return Err(invalid_grant(
                    "the code was used before; its tokens are revoked",
                ));
            }
        }
        if code.expires_at <= now {
            return Err(invalid_grant("the code has expired"));
        }
        if form.value("redirect_uri") != Some(code.request.reply_to.redirect_uri.as_str()) {
            return Err(invalid_grant("redirect_uri is another than the code's"));
        }
        form.value("code_verifier")
            .filter(|verifier| proves(verifier, &code.request.code_challenge))
            .ok_or(invalid_grant("code_verifier is not the code's"))?;
        let grant = Grant {
            client_id: client.client_id.clone(),
            username: code.username.clone(),
            sid: code.sid.clone(),
            auth_time: code.auth_time,
            strength: code.strength,
            scopes: code.request.scopes.clone(),
        };
        Ok((grant, code.request.nonce.clone()))
    }

    /// Notes that `client_id` has tokens from the sign-in called `sid`.
    fn enlist(&mut self, sid: &str, client_id: &str) {
        let sign_in = self.sign_ins.values_mut().find(|it| it.sid == sid);
        if let Some(sign_in) = sign_in {
            sign_in.clients.insert(client_id.to_owned());
        }
    }
}

/// The form of a call, if it is one and no parameter comes twice (RFC 6749 section 3.2).
pub(super) fn sound_form(inbound: &Inbound) -> Result<&Parameters, Refusal> {
    match &inbound.form {
        None => Err(invalid_request("the body is no form")),
        Some(form) if form.any_repeats() => Err(invalid_request("a parameter came more than once")),
        Some(form) => Ok(form),
    }
}

/// RFC 7636 sections 4.1 and 4.6.
fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let hash = digest(&SHA256, verifier.as_bytes());
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && same(
            URL_SAFE_NO_PAD.encode(hash).as_bytes(),
            challenge.as_bytes(),
        )
}

fn invalid_request(description: &'static str) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, description)
}

fn invalid_grant(description: &'static str) -> Refusal {
    Refusal::new(ErrorCode::InvalidGrant, description)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 appendix B.
    #[test]
    fn a_verifier_proves_its_challenge_and_no_other() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves(verifier, challenge));
        assert!(!proves(challenge, challenge));
        assert!(!proves("", challenge));
        let short = "short";
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, short.as_bytes()));
        assert!(!proves(short, &hash), "fewer than 43 characters");
    }
}
