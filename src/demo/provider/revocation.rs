//! Token revocation (RFC 7009).

use bytes::Bytes;
use http::{Response, StatusCode};

use super::Provider;
use super::inbound::Inbound;
use super::reply::{self, ErrorCode, Refusal};
use super::token::sound_form;

impl Provider {
    pub(super) fn revoke(&self, inbound: &Inbound) -> Response<Bytes> {
        match self.revoke_token(inbound) {
            // Also for a token that is not there: it is as dead as was asked (section 2.2).
            Ok(()) => reply::empty(StatusCode::OK),
            Err(refusal) => refusal.response(),
        }
    }

    /// A refresh token takes its whole grant along (section 2.1), an access token only itself.
    fn revoke_token(&self, inbound: &Inbound) -> Result<(), Refusal> {
        let form = sound_form(inbound)?;
        let mut state = self.state();
        let client = state.authenticate(inbound, form)?;
        let token = form
            .value("token")
            .ok_or(Refusal::new(ErrorCode::InvalidRequest, "token is missing"))?;
        let now = inbound.now;
        let refresh = state.refresh_tokens.find(token, now).map(|it| &it.grant);
        let access = state.access_tokens.find(token, now).map(|it| &it.grant);
        let Some(grant_id) = refresh.or(access).cloned() else {
            return Ok(());
        };
        let takes_grant_along = refresh.is_some();
        let Some(grant) = state.grants.find(&grant_id, now) else {
            return Ok(());
        };
        if grant.client_id != client.client_id {
            return Err(Refusal::new(
                ErrorCode::InvalidGrant,
                "the token is another client's",
            ));
        }
        if takes_grant_along {
            state.grants.take(&grant_id, now);
        } else {
            state.access_tokens.take(token, now);
        }
        Ok(())
    }
}
