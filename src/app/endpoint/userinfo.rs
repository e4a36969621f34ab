//! Who am I, as a page or as JSON, with the session's times and the person's other sessions, which can be
//! ended there; never tokens. Looking is no activity:
//! it does not keep a session alive. `passive=1` is for scripts that look again and again: it is
//! JSON, whatever is accepted.
//!
//! A session whose provider has not been heard of for too long is still one, and is told, as long as
//! it can be renewed behind the app's next request. Looking asks nothing of the provider either.

use std::sync::Arc;

use crate::app::audit::AuditEvent;
use crate::app::endpoint::Visit;
use crate::app::endpoint::parameters::Parameters;
use crate::app::pages::{OtherSession, Page, WhoAmI};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::{Fault, Form};
use crate::app::sessions::listing::Listed;
use crate::gate::facts::Facts;
use crate::session::Session;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Word;
use crate::store::{MOST_OF_A_GROUP, StoreError};

/// The most sessions of a person that are told.
const MOST_TOLD: usize = 64;

/// Tells who is signed in, and where else.
pub async fn show(facts: &Facts, visit: &Visit<'_>) -> Reply {
    let Ok(query) = Parameters::parse(facts.target().query(), &[("passive", &[])]) else {
        return Reply::refuse(Fault::RepeatedParameter);
    };
    let passive = query.one("passive") == Some("1");
    let reply = match session(visit) {
        Err(fault) => Reply::refuse(fault),
        Ok(session) if passive || !visit.live.sessions.can_list() => tell(session, None, visit),
        Ok(session) => {
            // A store that does not answer takes nothing else from the page.
            let others = others(session, MOST_TOLD, visit).await.ok();
            tell(session, others.as_deref(), visit)
        }
    };
    if passive {
        reply.told_as(Form::Json)
    } else {
        reply
    }
}

/// Ends all other sessions of the person, where `form` says so and the person sent it from a page of
/// ours (security requirement G1); the one that they use stays.
pub async fn end_others(facts: &Facts, form: Option<String>, visit: &Visit<'_>) -> Reply {
    let session = match session(visit) {
        Ok(session) => session,
        Err(fault) => return Reply::refuse(fault),
    };
    let form = Parameters::parse(form.as_deref(), &[("end", &[])]);
    let is_meant = form.is_ok_and(|form| form.one("end") == Some("others"));
    if !is_meant || !visit.is_asked_for(facts) {
        return tell(session, None, visit);
    }
    let Ok(others) = others(session, MOST_OF_A_GROUP, visit).await else {
        return Reply::refuse(Fault::StoreDown);
    };
    let count = others.len();
    visit.live.sessions.end_listed(&others).await;
    let event = AuditEvent::OthersEnded { session, count };
    visit.teller.tell(&event);
    Reply::new(Answer::SeeOther(visit.generation.endpoint_url("userinfo")))
}

fn session<'a>(visit: &Visit<'a>) -> Result<&'a Arc<Session>, Fault> {
    let Some(session) = crate::gate::live_session(visit.evidence) else {
        return Err(match visit.evidence {
            // To sign in anew is not what is needed, and a page of scripts goes by what is said here.
            Evidence::StoreDown => Fault::StoreDown,
            _ => Fault::LoginRequired,
        });
    };
    let limits = visit.generation.config.session.limits;
    if session.word(limits, visit.now) == Word::Overdue && session.grant.is_none() {
        // Only a login brings the word that the app's requests need, so that is what to say.
        return Err(Fault::LoginRequired);
    }
    Ok(session)
}

/// The other sessions of the person, the latest first; none where no store has any.
async fn others(
    session: &Session,
    most: usize,
    visit: &Visit<'_>,
) -> Result<Vec<Listed>, StoreError> {
    let mut all = visit.live.sessions.of_same_person(session, most).await?;
    all.retain(|one| one.card.id != session.id);
    Ok(all)
}

fn tell(session: &Arc<Session>, others: Option<&[Listed]>, visit: &Visit<'_>) -> Reply {
    let config = &visit.generation.config;
    let mut headers: Vec<String> = config
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.headers.iter())
        .map(|rule| rule.name.to_string())
        .collect();
    headers.sort_unstable();
    headers.dedup();
    let provider = visit.generation.provider(&session.provider);
    Reply::new(Answer::Page(Page::WhoAmI(WhoAmI {
        idle_expires_in: session.idle_expires_in(config.session.limits, visit.now),
        absolute_expires_in: session.absolute_expires_in(config.session.limits, visit.now),
        token_expires_in: session
            .grant
            .as_ref()
            .map(|grant| grant.access_expires_at.since(visit.now)),
        session: Arc::clone(session),
        headers,
        others: others.map(|all| all.iter().map(OtherSession::of).collect()),
        end_session: provider.and_then(|provider| provider.end_session_origin()),
    })))
}
