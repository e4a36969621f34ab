//! The authorization endpoint: what follows from a request, and how the answer travels.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use minijinja::{Value, context};

use super::authorization::{AuthorizationRequest, Prompt, ReplyTo, ResponseMode, Unanswerable};
use super::inbound::Inbound;
use super::parameters;
use super::reply::{self, ErrorCode, Refusal};
use super::state::{Code, SignIn, Spent, State};
use super::{Provider, Unable};
use crate::base::clock::UnixTime;

/// How long a code is remembered after its time, to see a second use.
const CODE_MEMORY: Duration = Duration::from_hours(1);

/// What follows from a sound authorization request.
enum Step {
    /// Somebody fit is signed in, under this cookie.
    Answer(String),
    AskWho,
    AskConsent,
    Refuse(Refusal),
}

impl Provider {
    pub(super) fn authorize(&self, inbound: &Inbound) -> Result<Response<Bytes>, Unable> {
        let parameters = inbound.parameters();
        let parsed = {
            let mut state = self.state();
            state.last_authorization = Some(parameters.clone());
            ReplyTo::parse(parameters, &state.clients)
        };
        let reply_to = match parsed {
            Ok(reply_to) => reply_to,
            Err(unanswerable) => return self.unanswerable(unanswerable),
        };
        let asked =
            AuthorizationRequest::parse(parameters, reply_to.clone(), &self.supported_scopes);
        let request = match asked {
            Ok(request) => request,
            Err(refusal) => return self.refuse(&reply_to, refusal),
        };
        let step = self.next_step(&self.state(), inbound, &request);
        match step {
            Step::Answer(cookie) => self.send_code(request, &cookie, inbound.now),
            Step::AskWho => self.show_sign_in(request, inbound.now),
            Step::AskConsent => self.show_consent(request, inbound.now),
            Step::Refuse(refusal) => self.refuse(&reply_to, refusal),
        }
    }

    fn next_step(&self, state: &State, inbound: &Inbound, request: &AuthorizationRequest) -> Step {
        let Some((cookie, sign_in)) = self.signed_in(state, inbound) else {
            return match request.prompt {
                Prompt::Nothing => Step::Refuse(login_required("nobody is signed in")),
                _ => Step::AskWho,
            };
        };
        let too_old = request
            .max_age
            .is_some_and(|limit| inbound.now.since(sign_in.auth_time) > limit);
        let too_weak = sign_in.strength < request.strength;
        match request.prompt {
            Prompt::SignIn | Prompt::SignInAndConsent => Step::AskWho,
            Prompt::Nothing if too_old => {
                Step::Refuse(login_required("the sign-in is older than max_age"))
            }
            Prompt::Nothing if !self.hint_fits(state, request, sign_in) => {
                Step::Refuse(login_required("somebody else is signed in"))
            }
            Prompt::Nothing if too_weak => Step::Refuse(login_required("the sign-in is too weak")),
            _ if too_old || too_weak => Step::AskWho,
            Prompt::Consent => Step::AskConsent,
            Prompt::AsNeeded | Prompt::Nothing => Step::Answer(cookie.to_owned()),
        }
    }

    /// Whether `id_token_hint`, where given, is about who is signed in (OpenID Connect Core section
    /// 3.1.2.1).
    fn hint_fits(&self, state: &State, request: &AuthorizationRequest, sign_in: &SignIn) -> bool {
        let Some(hint) = &request.id_token_hint else {
            return true;
        };
        let subject = state.users.get(&sign_in.username).map(|user| &user.subject);
        self.open_hint(state, hint)
            .is_some_and(|hinted| Some(&hinted.subject) == subject)
    }

    /// Who is signed in, in the browser that asks; a person who was removed is not.
    pub(super) fn signed_in<'a>(
        &self,
        state: &'a State,
        inbound: &'a Inbound,
    ) -> Option<(&'a str, &'a SignIn)> {
        inbound
            .cookies(&self.cookie_name)
            .filter_map(|cookie| Some((cookie, state.sign_ins.find(cookie, inbound.now)?)))
            .find(|(_, sign_in)| state.users.contains_key(&sign_in.username))
    }

    // --- the answers ---

    /// Issues a code for who is signed in under `cookie`.
    pub(super) fn send_code(
        &self,
        request: AuthorizationRequest,
        cookie: &str,
        now: UnixTime,
    ) -> Result<Response<Bytes>, Unable> {
        let reply_to = request.reply_to.clone();
        let code = {
            let mut state = self.state();
            let Some(sign_in) = state.sign_ins.find(cookie, now).cloned() else {
                // Signed out in another tab since the request began.
                drop(state);
                return self.refuse(&reply_to, login_required("nobody is signed in"));
            };
            let code = self.draw(&mut state)?;
            let expires_at = now.plus(state.lifetimes.code);
            let record = Code {
                request,
                username: sign_in.username,
                sid: sign_in.sid,
                auth_time: sign_in.auth_time,
                strength: sign_in.strength,
                expires_at,
                spent: Spent::No,
            };
            let keep_until = expires_at.plus(CODE_MEMORY);
            state.codes.put(code.clone(), record, keep_until, now);
            code
        };
        self.send(&reply_to, &[("code", &code)])
    }

    pub(super) fn refuse(
        &self,
        reply_to: &ReplyTo,
        refusal: Refusal,
    ) -> Result<Response<Bytes>, Unable> {
        let code = refusal.code.as_str();
        self.send(
            reply_to,
            &[("error", code), ("error_description", refusal.description)],
        )
    }

    /// Sends an authorization response, always with `iss` (RFC 9207 section 2).
    fn send(
        &self,
        reply_to: &ReplyTo,
        members: &[(&str, &str)],
    ) -> Result<Response<Bytes>, Unable> {
        let mut members = members.to_vec();
        if let Some(state) = &reply_to.state {
            members.push(("state", state));
        }
        members.push(("iss", &self.issuer));
        match reply_to.response_mode {
            ResponseMode::Query => Ok(reply::redirect(&parameters::append(
                &reply_to.redirect_uri,
                &members,
            ))),
            ResponseMode::FormPost => {
                let members: Vec<Value> = members
                    .into_iter()
                    .map(|(name, value)| context! { name, value })
                    .collect();
                let context = context! { action => reply_to.redirect_uri.as_str(), members };
                Ok(self.pages.show(StatusCode::OK, "form_post.html", context)?)
            }
        }
    }

    fn unanswerable(&self, unanswerable: Unanswerable) -> Result<Response<Bytes>, Unable> {
        let text = match unanswerable {
            Unanswerable::Client => {
                "The app that sent you here is not registered: its client_id is unknown."
            }
            Unanswerable::RedirectUri => {
                "The app that sent you here wants you back at a redirect_uri that is not registered for it. It must be registered character by character."
            }
        };
        self.message(StatusCode::BAD_REQUEST, "This sign-in cannot begin", text)
    }
}

fn login_required(description: &'static str) -> Refusal {
    Refusal::new(ErrorCode::LoginRequired, description)
}
