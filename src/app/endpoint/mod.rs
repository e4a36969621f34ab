//! Our own endpoints: one act each. Every act is all checks first, then its effect.

pub mod backchannel_logout;
pub mod callback;
pub mod form;
pub mod login;
pub mod parameters;
pub mod sign_in;
pub mod sign_out;
pub mod userinfo;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use hyper::body::Incoming;

use crate::app::audit::{AuditEvent, AuditLog, Occasion};
use crate::app::generation::{Generation, Live};
use crate::app::iso_time::Timestamp;
use crate::app::reference::LazyReference;
use crate::app::reply::Reply;
use crate::base::clock::UnixTime;
use crate::base::entropy::Entropy;
use crate::base::origin::Origin;
use crate::base::return_to::ReturnTo;
use crate::config::Fragment;
use crate::gate::client_address::ClientAddress;
use crate::gate::endpoint::Endpoint;
use crate::gate::facts::Facts;
use crate::session::Session;
use crate::session::evidence::Evidence;
use crate::session::presented::Presented;

/// How long a login waits for a provider that has just been asked for the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// What an endpoint has to go by.
#[derive(Debug)]
pub struct Visit<'a> {
    /// What outlives a reload.
    pub live: &'a Live,
    /// Rules, keys, providers.
    pub generation: &'a Generation,
    /// The cookies that came.
    pub presented: &'a Presented,
    /// What the session's cookie proved.
    pub evidence: &'a Evidence,
    /// The moment of the request.
    pub now: UnixTime,
    /// Where security events are told.
    pub teller: Teller<'a>,
}

/// Tells the audit log of what happens in one request.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The log.
    pub log: &'a AuditLog,
    /// The request's reference, drawn when it is first needed.
    pub reference: &'a LazyReference,
    /// Where references come from.
    pub entropy: Entropy,
    /// The client's address.
    pub client_address: &'a ClientAddress,
}

impl Teller<'_> {
    /// Writes one line.
    pub fn tell(&self, event: &AuditEvent<'_>) {
        let reference = self.reference.get_or_draw(self.entropy);
        let occasion = Occasion {
            reference,
            client_address: self.client_address,
        };
        self.log.write(Timestamp::now(), Some(occasion), event);
    }
}

impl Visit<'_> {
    /// The live session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<Session>> {
        crate::gate::live_session(self.evidence)
    }

    /// Whether the request shows that the person wants it: a form of our own origin, or a link that
    /// they followed there. Everything else may be another site's doing (security requirement G1).
    #[must_use]
    pub fn is_asked_for(&self, facts: &Facts) -> bool {
        if *facts.method() != Method::POST {
            return facts.person_on_own_page();
        }
        let own = self.generation.config.public_url.origin();
        let headers = facts.headers();
        match (headers.get("sec-fetch-site"), headers.get("origin")) {
            // The browser's own word; an `Origin` beside it may be `null` for reasons of privacy.
            (Some(site), _) => site == "same-origin",
            (None, Some(_)) => facts
                .origin()
                .is_some_and(|origin| Origin::parse(origin).as_ref() == Ok(own)),
            // No browser of this decade: without a page there is no other site that could forge it.
            (None, None) => true,
        }
    }

    /// The app's home.
    #[must_use]
    pub fn home(&self) -> ReturnTo {
        ReturnTo::home(&self.generation.config.public_url)
    }

    /// Waits, for two seconds at most, for providers that were not heard of since the start. Without
    /// an answer in time, a login says what it says while the provider is down.
    pub async fn first_answers(&self) {
        let all = async {
            for provider in &self.generation.providers {
                provider.first_answer().await;
            }
        };
        let _ = tokio::time::timeout(FIRST_ANSWER, all).await;
    }

    /// A page of the app that comes as text, from a query or back from the sealed state; else home:
    /// going back to an endpoint of ours leads nowhere.
    #[must_use]
    pub fn page_of_text(&self, text: Option<&str>) -> ReturnTo {
        let origin = self.generation.config.public_url.origin();
        let (text, fragment) = match (self.generation.config.login.fragment, text) {
            (Fragment::Kept, Some(text)) => match text.split_once('#') {
                Some((text, fragment)) => (Some(text), Some(fragment)),
                None => (Some(text), None),
            },
            (Fragment::Kept | Fragment::Dropped, text) => (text, None),
        };
        let wanted = text
            .and_then(|text| ReturnTo::parse_for(text, origin))
            .filter(|page| !self.generation.gate.is_own_place(page.as_str()));
        match (wanted, fragment) {
            (Some(page), Some(fragment)) => page.with_fragment(fragment),
            (Some(page), None) => page,
            (None, _) => self.home(),
        }
    }
}

/// Serves one of our own endpoints; `body` is what came with the request.
pub async fn serve(
    endpoint: Endpoint,
    facts: Box<Facts>,
    body: &mut Incoming,
    visit: &Visit<'_>,
) -> Reply {
    match endpoint {
        Endpoint::Start => {
            visit.first_answers().await;
            login::start(&facts, visit)
        }
        Endpoint::Callback(provider) => callback::finish(&provider, &facts, visit).await,
        Endpoint::SignIn => sign_in::show(&facts, visit),
        Endpoint::SignOut => sign_out::end(&facts, visit).await,
        Endpoint::UserInfo if *facts.method() == Method::POST => {
            let form = form::read(facts.headers(), body).await;
            userinfo::end_others(&facts, form, visit).await
        }
        Endpoint::UserInfo => userinfo::show(&facts, visit).await,
        Endpoint::BackchannelLogout => {
            let form = form::read(facts.headers(), body).await;
            backchannel_logout::end(form, visit).await
        }
    }
}
