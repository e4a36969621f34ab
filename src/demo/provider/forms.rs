//! The forms of the authorization endpoint: who is it, and may the client. And the cookie by which a
//! browser is known again.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderValue, Response, StatusCode};
use minijinja::context;

use super::authorization::{AuthorizationRequest, Prompt, Strength};
use super::inbound::Inbound;
use super::parameters::Parameters;
use super::reply::{ErrorCode, Refusal};
use super::state::{Interaction, SignIn, State};
use super::{Provider, Unable};
use crate::base::clock::UnixTime;

/// How long a form may wait for its person.
const INTERACTION_LIFETIME: Duration = Duration::from_mins(10);

impl Provider {
    pub(super) fn login(&self, inbound: &Inbound) -> Result<Response<Bytes>, Unable> {
        let form = inbound.form.clone().unwrap_or_default();
        let Some((id, request)) = self.waiting_sign_in(&form, inbound.now) else {
            return self.stale();
        };
        if form.value("decision") == Some("cancel") {
            self.state().interactions.take(&id, inbound.now);
            return self.refuse(&request.reply_to, denied());
        }
        let username = form.value("username").unwrap_or_default();
        let password = form.value("password").unwrap_or_default();
        let cookie = {
            let mut state = self.state();
            let known = state
                .users
                .get(username)
                .is_some_and(|user| user.password.equals(password));
            if known {
                state.interactions.take(&id, inbound.now);
                Some(self.sign_in(&mut state, inbound, (username, request.strength))?)
            } else {
                None
            }
        };
        let Some(cookie) = cookie else {
            let fault = "The user name or the password is wrong.";
            return self.sign_in_page(StatusCode::FORBIDDEN, &id, username, Some(fault));
        };
        let mut response = match request.prompt {
            Prompt::Consent | Prompt::SignInAndConsent => self.show_consent(request, inbound.now),
            _ => self.send_code(request, &cookie, inbound.now),
        }?;
        self.set_cookie(&mut response, &cookie);
        Ok(response)
    }

    /// Signs a person in, in the browser that asks, always under a new cookie. The same person
    /// keeps the `sid`; anybody else's sign-in in this browser is forgotten.
    fn sign_in(
        &self,
        state: &mut State,
        inbound: &Inbound,
        (username, strength): (&str, Strength),
    ) -> Result<String, Unable> {
        let before = self
            .signed_in(state, inbound)
            .map(|(cookie, sign_in)| (cookie.to_owned(), sign_in.clone()));
        let mut sign_in = SignIn {
            sid: self.entropy.token()?,
            username: username.to_owned(),
            auth_time: inbound.now,
            strength,
            clients: BTreeSet::new(),
        };
        if let Some((cookie, before)) = before {
            state.sign_ins.take(&cookie, inbound.now);
            if before.username == sign_in.username {
                sign_in.sid = before.sid;
                sign_in.clients = before.clients;
            }
        }
        let cookie = self.draw(state)?;
        let keep_until = inbound.now.plus(state.lifetimes.session);
        state
            .sign_ins
            .put(cookie.clone(), sign_in, keep_until, inbound.now);
        Ok(cookie)
    }

    pub(super) fn consent(&self, inbound: &Inbound) -> Result<Response<Bytes>, Unable> {
        let form = inbound.form.clone().unwrap_or_default();
        let id = form.value("interaction").unwrap_or_default();
        let (interaction, cookie) = {
            let mut state = self.state();
            let cookie = self
                .signed_in(&state, inbound)
                .map(|(cookie, _)| cookie.to_owned());
            (state.interactions.take(id, inbound.now), cookie)
        };
        let (Some(Interaction::Consent(request)), Some(cookie)) = (interaction, cookie) else {
            return self.stale();
        };
        match form.value("decision") {
            Some("allow") => self.send_code(request, &cookie, inbound.now),
            _ => self.refuse(&request.reply_to, denied()),
        }
    }

    fn waiting_sign_in(
        &self,
        form: &Parameters,
        now: UnixTime,
    ) -> Option<(String, AuthorizationRequest)> {
        let id = form.value("interaction")?;
        match self.state().interactions.find(id, now)? {
            Interaction::SignIn(request) => Some((id.to_owned(), request.clone())),
            Interaction::Consent(_) | Interaction::SignOut { .. } => None,
        }
    }

    pub(super) fn show_sign_in(
        &self,
        request: AuthorizationRequest,
        now: UnixTime,
    ) -> Result<Response<Bytes>, Unable> {
        let hint = request.login_hint.clone().unwrap_or_default();
        let id = self.await_answer(Interaction::SignIn(request), now)?;
        self.sign_in_page(StatusCode::OK, &id, &hint, None)
    }

    fn sign_in_page(
        &self,
        status: StatusCode,
        interaction: &str,
        username: &str,
        fault: Option<&str>,
    ) -> Result<Response<Bytes>, Unable> {
        let context = context! {
            action => format!("{}/login", self.path),
            interaction,
            username,
            fault,
        };
        Ok(self.pages.show(status, "sign_in.html", context)?)
    }

    pub(super) fn show_consent(
        &self,
        request: AuthorizationRequest,
        now: UnixTime,
    ) -> Result<Response<Bytes>, Unable> {
        let client_id = request.reply_to.client_id.clone();
        let scopes = request.scopes.to_string();
        let id = self.await_answer(Interaction::Consent(request), now)?;
        let context = context! {
            action => format!("{}/consent", self.path),
            interaction => id,
            client_id,
            scopes,
        };
        Ok(self.pages.show(StatusCode::OK, "consent.html", context)?)
    }

    /// Remembers what a page asks, and gives the unguessable name it has there.
    pub(super) fn await_answer(
        &self,
        interaction: Interaction,
        now: UnixTime,
    ) -> Result<String, Unable> {
        let id = self.entropy.token()?;
        let until = now.plus(INTERACTION_LIFETIME);
        self.state()
            .interactions
            .put(id.clone(), interaction, until, now);
        Ok(id)
    }

    pub(super) fn stale(&self) -> Result<Response<Bytes>, Unable> {
        self.message(
            StatusCode::BAD_REQUEST,
            "This page is too old",
            "What it asked has been answered already, or has waited too long. Go back to the app and start again.",
        )
    }

    fn set_cookie(&self, response: &mut Response<Bytes>, value: &str) {
        self.write_cookie(response, value, "");
    }

    pub(super) fn clear_cookie(&self, response: &mut Response<Bytes>) {
        self.write_cookie(response, "", "; Max-Age=0");
    }

    fn write_cookie(&self, response: &mut Response<Bytes>, value: &str, end: &str) {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        // Not `Secure`: this is plain HTTP on loopback. `Lax`, since people arrive from elsewhere.
        let cookie = format!(
            "{}={value}; Path={path}; HttpOnly; SameSite=Lax{end}",
            self.cookie_name
        );
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

fn denied() -> Refusal {
    Refusal::new(ErrorCode::AccessDenied, "the person said no")
}
