//! Ends the session here and then at the provider, or asks whether to.

use std::sync::Arc;

use http::Method;

use crate::app::audit::AuditEvent;
use crate::app::endpoint::Visit;
use crate::app::endpoint::parameters::{Parameters, RETURN_TO};
use crate::app::pages::{AtProvider, ConfirmSignOut, Page, SignedOut};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::Fault;
use crate::base::return_to::ReturnTo;
use crate::gate::facts::Facts;
use crate::session::Session;
use crate::session::cookie::SessionCookie;
use crate::session::evidence::Evidence;
use crate::session::presented::Opener;
use crate::session::state::LogoutState;

/// Signs out if the person asked for it on a page of ours; another site can only make us ask.
pub async fn end(facts: &Facts, visit: &Visit<'_>) -> Reply {
    let known = [RETURN_TO, ("state", &[] as &[_])];
    let Ok(query) = Parameters::parse(facts.target().query(), &known) else {
        return Reply::refuse(Fault::RepeatedParameter);
    };
    let page = visit.page_of_text(query.one("return_to"));
    let generation = visit.generation;
    let (Evidence::Session(session, _)
    | Evidence::Unheard(session, _)
    | Evidence::Unconfirmed(session)
    | Evidence::Expired(session)) = visit.evidence
    else {
        let back = query.one("state").is_some_and(|state| {
            LogoutState::open(state, &generation.keyring, &generation.names, visit.now).is_ok()
        });
        // Without a cookie nobody can tell whose request it is: a form of another site comes without
        // it too, and must not end by our answer the session that it did not show.
        if !back && *facts.method() == Method::POST && !visit.is_asked_for(facts) {
            return confirm(None, visit);
        }
        if matches!(visit.evidence, Evidence::StoreDown) && visit.is_asked_for(facts) {
            end_unread(visit).await;
        }
        let at_provider = if back {
            AtProvider::Ended
        } else {
            AtProvider::MayLive
        };
        let reply = signed_out(at_provider, None, page);
        return if back || visit.is_asked_for(facts) {
            cleared(reply, visit)
        } else {
            reply
        };
    };
    if !visit.is_asked_for(facts) {
        return confirm(Some(session), visit);
    }
    visit.teller.tell(&AuditEvent::Logout(session));
    visit.live.sessions.end(session).await;
    if let Some(successor) = visit.live.renewals.end(session) {
        revoke(&successor, visit);
    }
    revoke(session, visit);
    let state = LogoutState {
        issued_at: visit.now,
    }
    .seal(&generation.keyring, &generation.names);
    let url = state.ok().and_then(|state| {
        let provider = generation.provider(&session.provider)?;
        let back = generation.endpoint_url("sign_out");
        provider.end_session_url(session.raw_id_token.as_ref(), &back, &state)
    });
    match url {
        Some(url) => Reply::new(Answer::SeeOther(url))
            .with_cookies(SessionCookie::clear_all(&generation.names, visit.presented)),
        None => {
            let provider = Some(session.provider.clone());
            cleared(signed_out(AtProvider::MayLive, provider, page), visit)
        }
    }
}

/// Ends the sessions whose tickets were shown, though nobody can tell more of them: the store does not
/// answer.
async fn end_unread(visit: &Visit<'_>) {
    let (generation, sessions) = (visit.generation, &visit.live.sessions);
    let opener = Opener::new(&generation.keyring, &generation.names);
    let opener = sessions.opening(opener);
    let absolute = generation.config.session.limits.absolute;
    for (ticket, _) in visit.presented.tickets(&opener, visit.now) {
        sessions.end_unread(&ticket, absolute, visit.now).await;
    }
}

/// Gives the refresh token back, behind the answer: a provider that hangs delays no sign-out.
fn revoke(session: &Session, visit: &Visit<'_>) {
    let provider = visit.generation.provider(&session.provider);
    if let (Some(provider), Some(grant)) = (provider, &session.grant) {
        let (provider, token) = (Arc::clone(provider), grant.refresh_token.clone());
        let audit = visit.teller.log.clone();
        let control = &visit.live.control;
        control.spawn(async move { audit.revoke(&provider, &token).await });
    }
}

/// Asks; nothing has ended yet.
fn confirm(session: Option<&Arc<Session>>, visit: &Visit<'_>) -> Reply {
    let generation = visit.generation;
    // Without a session to go by, the only provider is the one that the form will lead on to.
    let provider = match (session, generation.providers.as_slice()) {
        (Some(session), _) => generation.provider(&session.provider),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    Reply::new(Answer::Page(Page::ConfirmSignOut(ConfirmSignOut {
        session: session.cloned(),
        end_session: provider.and_then(|provider| provider.end_session_origin()),
    })))
}

fn signed_out(at_provider: AtProvider, provider: Option<String>, return_to: ReturnTo) -> Reply {
    Reply::new(Answer::Page(Page::SignedOut(SignedOut {
        at_provider,
        provider,
        return_to,
    })))
}

fn cleared(reply: Reply, visit: &Visit<'_>) -> Reply {
    reply.with_cookies(SessionCookie::clear_all(
        &visit.generation.names,
        visit.presented,
    ))
}
