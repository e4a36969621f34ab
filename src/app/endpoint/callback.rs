//! Finishes a login. Order is everything: all checks come before the first effect, and each hands
//! over what the next one needs.

use std::sync::Arc;

use crate::app::audit::AuditEvent;
use crate::app::claim_once::{Act, Claimed};
use crate::app::endpoint::Visit;
use crate::app::endpoint::login::{self, Beginning};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::Fault;
use crate::app::respond::unmet::Unmet;
use crate::base::return_to::ReturnTo;
use crate::gate::access::Verdict;
use crate::gate::facts::{Asker, Facts};
use crate::oidc::authorization::{LoginParameters, PendingLogin, Prompt, Visibility};
use crate::oidc::callback::{Arrival, AuthorizationResponse, RedeemError};
use crate::oidc::error_code::{ErrorCode, Refusal};
use crate::oidc::token::Finality;
use crate::provider::{LoginError, Provider};
use crate::session::Session;
use crate::session::cookie::SessionCookie;
use crate::session::lifetime::SignedIn;
use crate::session::pending::{LOGIN_LIFETIME, LoginCookies, Recalled};
use crate::session::state::LoginState;

/// Judges what came to the callback of the provider with the id `provider`, and lets the person in.
pub async fn finish(provider: &str, facts: &Facts, visit: &Visit<'_>) -> Reply {
    let Some(provider) = visit.generation.provider(provider) else {
        return Reply::refuse(Fault::UnknownProvider);
    };
    let response = match AuthorizationResponse::parse(facts.target().query().unwrap_or("")) {
        Ok(response) => response,
        Err(error) => return Reply::refuse(error.into()),
    };
    let Some(state) = response.state().map(str::to_owned) else {
        return lost(provider, None, &response, facts, visit);
    };
    let cookies = login_cookies(visit);
    match cookies.recall::<PendingLogin>(&state, visit.presented) {
        Recalled::Pending(pending) => {
            let reply = redeem(provider, pending, response, &state, visit).await;
            match reply {
                Ok(reply) => reply,
                // A login that failed is spent: its cookie goes, a session that was there stays.
                Err(fault) => {
                    let fault = fault.with_redirect_uri(provider.redirect_uri());
                    tell_failure(provider, &fault, visit);
                    let page = page_of_state(&state, visit);
                    let reply = Reply::refuse(fault).with_cookies([cookies.forget(&state)]);
                    reply.leading_to(Some(page))
                }
            }
        }
        Recalled::Expired(pending)
            if facts.asker() == Asker::Navigation && !response.is_error() =>
        {
            let beginning = Beginning {
                page: visit.page_of_text(Some(pending.return_to())),
                wishes: LoginParameters::default(),
                attempt: pending.attempt(),
            };
            login::begin_at(provider, &beginning, visit).with_cookies([cookies.forget(&state)])
        }
        Recalled::Expired(_) => {
            let fault = Fault::StateExpired;
            tell_failure(provider, &fault, visit);
            let page = page_of_state(&state, visit);
            let reply = Reply::refuse(fault).with_cookies([cookies.forget(&state)]);
            reply.leading_to(Some(page))
        }
        Recalled::Finished(_) => to_page(&page_of_state(&state, visit)),
        Recalled::Unusable | Recalled::Absent => {
            lost(provider, Some(&state), &response, facts, visit)
        }
    }
}

fn tell_failure(provider: &Provider, fault: &Fault, visit: &Visit<'_>) {
    let provider = provider.id();
    visit.teller.tell(&match fault {
        Fault::NotAdmittedHere(identity, unmet) => AuditEvent::LoginDenied {
            provider,
            identity,
            unmet,
        },
        fault => AuditEvent::LoginFailed {
            provider: Some(provider),
            fault,
        },
    });
}

/// From a pending login and a response to a session, or to the first thing that does not hold.
async fn redeem(
    provider: &Arc<Provider>,
    pending: PendingLogin,
    response: AuthorizationResponse,
    state: &str,
    visit: &Visit<'_>,
) -> Result<Reply, Fault> {
    let page = visit.page_of_text(Some(pending.return_to()));
    let visibility = pending.visibility();
    let stepped_up = pending.stepping_up().map(<[String]>::to_vec);
    let others = visit.generation.providers.iter();
    let others = others.filter(|other| other.id() != provider.id());
    let others: Vec<_> = others.map(|other| other.issuer()).collect();
    let arrival = Arrival {
        provider: provider.id(),
        other_issuers: &others,
    };
    let grant = match pending.redeem(response, arrival, visit.now, LOGIN_LIFETIME) {
        Err(RedeemError::Provider(refusal)) if visibility == Visibility::Unseen => {
            return Ok(not_unseen(provider, &refusal, &page, state, visit));
        }
        grant => grant?,
    };
    let until = visit.now.plus(LOGIN_LIFETIME * 2);
    match visit
        .live
        .claims
        .claim_once(Act::Callback, state, until, visit.now)
    {
        Claimed::First => {}
        Claimed::Again => return Ok(to_page(&page)),
        Claimed::Full => return Err(Fault::Overloaded),
    }
    let Ok(place) = Arc::clone(&visit.live.finishing).try_acquire_owned() else {
        visit.live.claims.release(Act::Callback, state);
        return Err(Fault::Overloaded);
    };
    // Detached: a browser that goes away in the middle must not leave half a login behind.
    let at = Arc::clone(provider);
    let exchange = visit.live.control.spawn(async move {
        let outcome = at.complete_login(grant).await;
        drop(place);
        outcome
    });
    let who = match exchange.await {
        Ok(Ok(who)) => who,
        Ok(Err(error)) => {
            if is_dead(&error) {
                // By the provider's own word: nothing is left to be done twice, and made-up codes
                // must not fill the memory.
                visit.live.claims.release(Act::Callback, state);
            }
            return Err(Fault::of_login(error, provider));
        }
        Err(error) => return Err(Fault::Internal(error.to_string().into())),
    };
    if visibility == Visibility::Unseen
        && visit
            .session()
            .is_some_and(|session| !session.is_of(&who.identity))
    {
        // Nobody chose to be somebody else: the person is asked who they want to be.
        let wishes = LoginParameters::default().prompt(Prompt::SelectAccount);
        return Ok(begin_again(provider, &page, wishes, state, visit));
    }
    if let Verdict::NotMet(missing) = provider.admits(&who.identity) {
        let unmet = Unmet::of_admit(missing, provider.settings());
        return Err(Fault::NotAdmittedHere(Box::new(who.identity), unmet));
    }
    admit((who, stepped_up), state, &page, visit).await
}

/// The provider could not answer without showing something. Where somebody has to sign in, they are
/// asked to; where it is out of order, whoever is signed in here goes on for a while.
fn not_unseen(
    provider: &Provider,
    refusal: &Refusal,
    page: &ReturnTo,
    state: &str,
    visit: &Visit<'_>,
) -> Reply {
    // Whatever else it says is a word: whoever it denies is not let through on an older one.
    let out_of_order = matches!(
        refusal.code,
        ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable
    );
    if visit.session().is_some() && out_of_order {
        return to_page(page).with_cookies([login_cookies(visit).forget(state)]);
    }
    begin_again(provider, page, LoginParameters::default(), state, visit)
}

fn begin_again(
    provider: &Provider,
    page: &ReturnTo,
    wishes: LoginParameters,
    state: &str,
    visit: &Visit<'_>,
) -> Reply {
    let beginning = Beginning {
        page: page.clone(),
        wishes,
        attempt: 0,
    };
    login::begin_at(provider, &beginning, visit).with_cookies([login_cookies(visit).forget(state)])
}

/// Whether the provider says that the code is worth nothing. After any other failure it may have been
/// redeemed, and is never sent again.
fn is_dead(error: &LoginError) -> bool {
    matches!(error, LoginError::Token(error) if error.finality() == Finality::Final)
}

/// Begins the session. Whatever the browser had before, it has this now.
async fn admit(
    (who, stepped_up): (SignedIn, Option<Vec<String>>),
    state: &str,
    page: &ReturnTo,
    visit: &Visit<'_>,
) -> Result<Reply, Fault> {
    let generation = visit.generation;
    let id = visit.live.entropy.bytes().map_err(Fault::of_entropy)?;
    let limits = generation.config.session.limits;
    let session = Session {
        stepped_up,
        ..Session::start(who, id, limits, visit.now)
    };
    // The same person at the same browser: what it had goes, and is none of those that count.
    let replaced = visit.session();
    let replaced = replaced.filter(|before| before.is_of_same_person(&session));
    let session = match replaced {
        Some(before) => session.following(before),
        None => session,
    };
    let sessions = &visit.live.sessions;
    let session = sessions.begin(session, &generation.names).await;
    let session = session.map_err(Fault::of_keeping)?;
    if let Some(most) = generation.config.session.max_per_user {
        sessions.keep_to(most, &session, replaced).await;
    }
    if let Some(replaced) = replaced {
        sessions.retire(replaced);
    }
    let (keyring, names) = (&generation.keyring, &generation.names);
    let (session, lines) =
        SessionCookie::write_fitting(session, keyring, names, visit.presented, visit.now)?;
    visit.teller.tell(&AuditEvent::Login(&session));
    let finished = login_cookies(visit).finish(state)?;
    Ok(to_page(page).with_cookies(lines).with_cookies([finished]))
}

/// An answer to a login that this browser does not know: its cookie is lost, or somebody else began
/// it. Nothing of it is redeemed. A person is sent to where they wanted to go, once.
fn lost(
    provider: &Provider,
    state: Option<&str>,
    response: &AuthorizationResponse,
    facts: &Facts,
    visit: &Visit<'_>,
) -> Reply {
    if response.is_error() || facts.asker() != Asker::Navigation {
        return Reply::refuse(Fault::StateMissing);
    }
    let generation = visit.generation;
    let opened = state
        .and_then(|state| LoginState::open(state, &generation.keyring, &generation.names).ok());
    let page = visit.page_of_text(opened.as_ref().and_then(|state| state.return_to.as_deref()));
    if visit.session().is_some() {
        return to_page(&page);
    }
    let cookies = login_cookies(visit);
    let mut in_flight = cookies.in_flight::<PendingLogin>(visit.presented);
    let attempt = match &opened {
        // A state that is not ours counts no attempts. That a login was begun anew is known from
        // its cookie: a provider that garbles each state would else send the browser in circles.
        None if in_flight.any(|login| login.attempt() > 0) => {
            return Reply::refuse(Fault::StateMissing);
        }
        None => 1,
        Some(state) => match state.next_attempt(String::new(), visit.now) {
            Some(next) => next.attempt,
            None => return Reply::refuse(Fault::StateMissing),
        },
    };
    let beginning = Beginning {
        page,
        wishes: LoginParameters::default(),
        attempt,
    };
    login::begin_at(provider, &beginning, visit)
}

fn page_of_state(state: &str, visit: &Visit<'_>) -> ReturnTo {
    let generation = visit.generation;
    let opened = LoginState::open(state, &generation.keyring, &generation.names).ok();
    visit.page_of_text(opened.and_then(|state| state.return_to).as_deref())
}

fn to_page(page: &ReturnTo) -> Reply {
    Reply::new(Answer::SeeOther(page.as_str().to_owned()))
}

fn login_cookies<'a>(visit: &Visit<'a>) -> LoginCookies<'a> {
    LoginCookies::new(
        &visit.generation.names,
        &visit.generation.keyring,
        visit.now,
    )
}
