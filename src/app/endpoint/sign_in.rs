//! The sign-in page: which provider, or why again.

use crate::app::endpoint::Visit;
use crate::app::endpoint::parameters::{Parameters, RETURN_TO};
use crate::app::pages::{Page, SignIn};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::Fault;
use crate::gate::facts::Facts;
use crate::session::cookie::SessionCookie;
use crate::session::evidence::Evidence;

/// Shows the choice. A session cookie that is over or does not open goes: nothing half-valid lives
/// on past this page (security requirement A25).
#[must_use]
pub fn show(facts: &Facts, visit: &Visit<'_>) -> Reply {
    let Ok(query) = Parameters::parse(facts.target().query(), &[RETURN_TO]) else {
        return Reply::refuse(Fault::RepeatedParameter);
    };
    let page = visit.page_of_text(query.one("return_to"));
    let reply = Reply::new(Answer::Page(Page::SignIn(SignIn {
        providers: visit
            .generation
            .providers
            .iter()
            .map(|provider| provider.id().to_owned())
            .collect(),
        return_to: page,
        signed_in: visit.session().cloned(),
    })));
    match visit.evidence {
        Evidence::Unusable | Evidence::Expired(_) => {
            let names = &visit.generation.names;
            reply.with_cookies(SessionCookie::clear(names, visit.presented))
        }
        Evidence::None
        | Evidence::Session(..)
        | Evidence::Unheard(..)
        | Evidence::Unconfirmed(_)
        | Evidence::StoreDown => reply,
    }
}
