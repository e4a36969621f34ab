//! Signing out at the provider: RP-Initiated Logout 1.0, and what others are told of it by
//! Back-Channel Logout 1.0.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use minijinja::context;
use serde_json::json;

use super::control::LogoutNotice;
use super::inbound::Inbound;
use super::issue::Draft;
use super::parameters::{self, Parameters};
use super::reply;
use super::state::{Farewell, Interaction, State};
use super::{Provider, Unable};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;

/// How long a logout token lives (Back-Channel Logout section 2.4 asks for two minutes at most).
const LOGOUT_TOKEN_LIFETIME: Duration = Duration::from_mins(2);
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A sound end-session request: where to go afterwards, if anywhere.
#[derive(Debug, Clone)]
pub(super) struct LogoutRequest {
    /// The registered URI with `state` in it.
    location: Option<String>,
    /// The sign-in that the hint is about.
    hinted_sid: Option<String>,
}

/// What a hint that this provider signed says.
pub(super) struct Hint {
    pub(super) subject: String,
    sid: Option<String>,
    client_id: String,
}

/// Why an end-session request is refused (RP-Initiated Logout section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadLogout {
    Repeated,
    Hint,
    Client,
    Uri,
}

impl Provider {
    pub(super) fn end_session(&self, inbound: &Inbound) -> Result<Response<Bytes>, Unable> {
        let (parsed, signed_in) = {
            let state = self.state();
            let signed_in = self
                .signed_in(&state, inbound)
                .map(|(cookie, sign_in)| (cookie.to_owned(), sign_in.clone()));
            (self.parse_logout(&state, inbound.parameters()), signed_in)
        };
        let request = match parsed {
            Ok(request) => request,
            Err(bad) => return self.bad_logout(bad),
        };
        let Some((cookie, sign_in)) = signed_in else {
            // The hint proves enough, and whoever has no sign-in here loses none.
            let cookie = self.cookie_of(request.hinted_sid.as_deref(), inbound.now);
            return self.sign_out(cookie.as_deref(), &request, inbound.now);
        };
        if request.hinted_sid.as_deref() == Some(sign_in.sid.as_str()) {
            return self.sign_out(Some(&cookie), &request, inbound.now);
        }
        // Anybody could have sent the person here, so they are asked (section 2).
        let username = sign_in.username;
        let id = self.await_answer(Interaction::SignOut { cookie, request }, inbound.now)?;
        let context = context! {
            action => format!("{}/end_session/confirm", self.path),
            interaction => id,
            username,
        };
        Ok(self.pages.show(StatusCode::OK, "sign_out.html", context)?)
    }

    pub(super) fn confirm_sign_out(&self, inbound: &Inbound) -> Result<Response<Bytes>, Unable> {
        let form = inbound.form.clone().unwrap_or_default();
        let id = form.value("interaction").unwrap_or_default();
        let interaction = self.state().interactions.take(id, inbound.now);
        let Some(Interaction::SignOut { cookie, request }) = interaction else {
            return self.stale();
        };
        // The page may be answered only by the browser that it was shown to.
        if !inbound.cookies(&self.cookie_name).any(|it| it == cookie) {
            return self.stale();
        }
        match form.value("decision") {
            Some("sign_out") => self.sign_out(Some(&cookie), &request, inbound.now),
            _ => self.message(
                StatusCode::OK,
                "Still signed in",
                "Nothing has changed. You can close this page.",
            ),
        }
    }

    fn sign_out(
        &self,
        cookie: Option<&str>,
        request: &LogoutRequest,
        now: UnixTime,
    ) -> Result<Response<Bytes>, Unable> {
        if let Some(cookie) = cookie {
            let farewells = self.state().end_sign_in(cookie, now);
            self.announce(farewells, now)?;
        }
        let mut response = match &request.location {
            Some(location) => reply::redirect(location),
            None => self.message(
                StatusCode::OK,
                "Signed out",
                "You are signed out at this provider. You can close this page.",
            )?,
        };
        self.clear_cookie(&mut response);
        Ok(response)
    }

    /// Signs a logout token for each client (Back-Channel Logout section 2.4) and leaves it for
    /// delivery.
    pub(super) fn announce(&self, farewells: Vec<Farewell>, now: UnixTime) -> Result<(), Unable> {
        for farewell in farewells {
            let draft = Draft {
                algorithm: farewell.client.id_token_algorithm,
                claims: json!({
                    "iss": self.issuer,
                    "aud": farewell.client.client_id,
                    "sub": farewell.subject,
                    "sid": farewell.sid,
                    "iat": now.as_seconds(),
                    "exp": now.plus(LOGOUT_TOKEN_LIFETIME).as_seconds(),
                    "jti": self.entropy.token()?,
                    "events": { LOGOUT_EVENT: {} },
                }),
            };
            let token = Secret::new(self.sign_draft(&draft, "logout+jwt")?);
            self.state().notices.push(LogoutNotice {
                client_id: farewell.client.client_id,
                uri: farewell.uri,
                token,
            });
        }
        Ok(())
    }

    fn parse_logout(
        &self,
        state: &State,
        parameters: &Parameters,
    ) -> Result<LogoutRequest, BadLogout> {
        if parameters.any_repeats() {
            return Err(BadLogout::Repeated);
        }
        let hint = match parameters.value("id_token_hint") {
            None => None,
            Some(raw) => Some(self.open_hint(state, raw).ok_or(BadLogout::Hint)?),
        };
        let named = parameters.value("client_id");
        let client_id = match (&hint, named) {
            (Some(hint), Some(named)) if hint.client_id != named => return Err(BadLogout::Client),
            (Some(hint), _) => Some(hint.client_id.as_str()),
            (None, named) => named,
        };
        let location = match parameters.value("post_logout_redirect_uri") {
            None => None,
            Some(uri) => {
                let client = client_id
                    .and_then(|client_id| state.clients.get(client_id))
                    .ok_or(BadLogout::Client)?;
                if !client.post_logout_redirect_uris.iter().any(|it| it == uri) {
                    return Err(BadLogout::Uri);
                }
                let echo: Vec<_> = parameters
                    .value("state")
                    .map(|state| ("state", state))
                    .into_iter()
                    .collect();
                Some(parameters::append(uri, &echo))
            }
        };
        Ok(LogoutRequest {
            location,
            hinted_sid: hint.and_then(|hint| hint.sid),
        })
    }

    /// Opens an ID token of this provider, however old it is and whichever of its keys signed it.
    pub(super) fn open_hint(&self, state: &State, raw: &str) -> Option<Hint> {
        let claims = std::iter::once(&state.keys)
            .chain(state.retired.iter().map(|(keys, _)| keys))
            .find_map(|keys| keys.open(raw))?;
        let text = |name: &str| Some(claims.get(name)?.as_str()?.to_owned());
        // A logout token is signed by the same keys and is no hint.
        if text("iss")? != self.issuer || claims.contains_key("events") {
            return None;
        }
        Some(Hint {
            subject: text("sub")?,
            sid: text("sid"),
            client_id: text("aud")?,
        })
    }

    /// The cookie under which the sign-in called `sid` is kept.
    fn cookie_of(&self, sid: Option<&str>, now: UnixTime) -> Option<String> {
        let sid = sid?;
        let state = self.state();
        state
            .sign_ins
            .iter(now)
            .find(|(_, sign_in)| sign_in.sid == sid)
            .map(|(cookie, _)| cookie.to_owned())
    }

    fn bad_logout(&self, bad: BadLogout) -> Result<Response<Bytes>, Unable> {
        let text = match bad {
            BadLogout::Repeated => "The request to sign out names something twice.",
            BadLogout::Hint => "The request to sign out carries an ID token that is not ours.",
            BadLogout::Client => {
                "The request to sign out does not say for which app, or names another than its ID token."
            }
            BadLogout::Uri => {
                "The app wants you back at a post_logout_redirect_uri that is not registered for it. It must be registered character by character."
            }
        };
        self.message(StatusCode::BAD_REQUEST, "You are still signed in", text)
    }
}
