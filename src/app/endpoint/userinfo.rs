//! Who am I, as a page or as JSON, with the session's times; never tokens. Looking is no activity:
//! it does not keep a session alive. `passive=1` is for scripts that look again and again: it is
//! JSON, whatever is accepted.
//!
//! A session whose provider has not been heard of for too long is still one, and is told, as long as
//! it can be renewed behind the app's next request. Looking asks nothing of the provider either.

use crate::app::endpoint::Visit;
use crate::app::endpoint::parameters::Parameters;
use crate::app::pages::{Page, WhoAmI};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::{Fault, Form};
use crate::gate::facts::Facts;
use crate::session::evidence::Evidence;
use crate::session::lifetime::Word;

/// Tells who is signed in.
#[must_use]
pub fn show(facts: &Facts, visit: &Visit<'_>) -> Reply {
    let Ok(query) = Parameters::parse(facts.target().query(), &[("passive", &[])]) else {
        return Reply::refuse(Fault::RepeatedParameter);
    };
    let reply = tell(visit);
    match query.one("passive") {
        Some("1") => reply.told_as(Form::Json),
        _ => reply,
    }
}

fn tell(visit: &Visit<'_>) -> Reply {
    let Some(session) = visit.session() else {
        return Reply::refuse(match visit.evidence {
            // To sign in anew is not what is needed, and a page of scripts goes by what is said here.
            Evidence::StoreDown => Fault::StoreDown,
            _ => Fault::LoginRequired,
        });
    };
    let config = &visit.generation.config;
    let word = session.word(config.session.limits, visit.now);
    if word == Word::Overdue && session.grant.is_none() {
        // Only a login brings the word that the app's requests need, so that is what to say.
        return Reply::refuse(Fault::LoginRequired);
    }
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
        session: std::sync::Arc::clone(session),
        headers,
        end_session: provider.and_then(|provider| provider.end_session_origin()),
    })))
}
