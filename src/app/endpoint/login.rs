//! Begins a login: where the browser goes, and the cookie that will know it again.

use crate::app::audit::AuditEvent;
use crate::app::endpoint::Visit;
use crate::app::endpoint::parameters::{Parameters, RETURN_TO};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::Fault;
use crate::app::respond::details::{LostCookie, LostCookieReason};
use crate::base::entropy::NoEntropy;
use crate::base::return_to::ReturnTo;
use crate::base::secret::Secret;
use crate::gate::access::StepUp;
use crate::gate::facts::{Asker, Facts};
use crate::oidc::authorization::{Attempt, LoginParameters, Prompt, Randomness};
use crate::provider::{LoginError, Provider, ProviderKind};
use crate::session::cookie::{SessionCookie, WriteError};
use crate::session::evidence::Evidence;
use crate::session::pending::LoginCookies;
use crate::session::state::LoginState;

/// So many logins within half a minute without a session to show for them are a loop.
const LOOP: usize = 3;

/// `start?return_to=...&provider=ID`: nothing else of the query is ever passed on.
#[must_use]
pub fn start(facts: &Facts, visit: &Visit<'_>) -> Reply {
    let known = [RETURN_TO, ("provider", &[] as &[_]), ("switch", &[])];
    let Ok(query) = Parameters::parse(facts.target().query(), &known) else {
        return Reply::refuse(Fault::RepeatedParameter);
    };
    if facts.asker() != Asker::Navigation {
        return Reply::refuse(Fault::LoginRequired);
    }
    let page = visit.page_of_text(query.one("return_to"));
    let wishes = match query.one("switch") {
        Some(_) => LoginParameters::default().prompt(Prompt::SelectAccount),
        None => LoginParameters::default(),
    };
    match query.one("provider") {
        None => begin(&page, wishes, visit),
        Some(id) => match visit.generation.provider(id) {
            Some(provider) => begin_at(provider, &Beginning::first(page, wishes), visit),
            None => Reply::refuse(Fault::UnknownProvider),
        },
    }
}

/// Sends a person who is signed in by the provider that vouched for them, unseen if it can be
/// (`prompt=none`, OpenID Connect Core section 3.1.2.1).
#[must_use]
pub fn reask(page: &ReturnTo, visit: &Visit<'_>) -> Reply {
    let session = visit.session();
    let provider = session.and_then(|session| visit.generation.provider(&session.provider));
    let (Some(session), Some(provider)) = (session, provider) else {
        return begin(page, LoginParameters::default(), visit);
    };
    visit.live.renewals.asked(session, visit.now);
    let wishes = match provider.settings().kind {
        ProviderKind::Oidc { .. } => LoginParameters::default().prompt(Prompt::None),
        ProviderKind::OAuth2 { .. } => LoginParameters::default(),
    };
    begin_at(provider, &Beginning::first(page.clone(), wishes), visit)
}

/// Sends a person who is signed in to sign in so at the provider that vouched for them.
#[must_use]
pub fn step_up(page: &ReturnTo, step_up: &StepUp, visit: &Visit<'_>) -> Reply {
    let Ok(wishes) = LoginParameters::default().step_up(&step_up.acr) else {
        return Reply::refuse(Fault::Internal(
            "a rule asks for an impossible `acr`".into(),
        ));
    };
    let wishes = match step_up.max_age {
        Some(span) => wishes.max_age(span),
        None => wishes,
    };
    let session = visit.session();
    match session.and_then(|session| visit.generation.provider(&session.provider)) {
        Some(provider) => begin_at(provider, &Beginning::first(page.clone(), wishes), visit),
        None => begin(page, wishes, visit),
    }
}

/// Begins a login at the only provider, or lets the person choose.
#[must_use]
pub fn begin(page: &ReturnTo, wishes: LoginParameters, visit: &Visit<'_>) -> Reply {
    match visit.generation.providers.as_slice() {
        [only] => begin_at(only, &Beginning::first(page.clone(), wishes), visit),
        _ => {
            let mut url = visit.generation.endpoint_url("sign_in");
            url.push_str("?return_to=");
            url.extend(url::form_urlencoded::byte_serialize(
                page.as_str().as_bytes(),
            ));
            Reply::new(Answer::SignIn(url))
        }
    }
}

/// One login about to begin.
#[derive(Debug)]
pub struct Beginning {
    /// Where the person wants to go.
    pub page: ReturnTo,
    /// What is asked of the provider.
    pub wishes: LoginParameters,
    /// How many attempts were lost before this one.
    pub attempt: u8,
}

impl Beginning {
    fn first(page: ReturnTo, wishes: LoginParameters) -> Self {
        Self {
            page,
            wishes,
            attempt: 0,
        }
    }
}

/// Begins a login at `provider`. Nothing is sent; nothing is remembered but in the browser.
#[must_use]
pub fn begin_at(provider: &Provider, beginning: &Beginning, visit: &Visit<'_>) -> Reply {
    let cookies = LoginCookies::new(
        &visit.generation.names,
        &visit.generation.keyring,
        visit.now,
    );
    if visit.session().is_none() && cookies.recent_finishes(visit.presented) >= LOOP {
        return Reply::refuse(Fault::LoginLoop(LostCookie {
            name: visit.generation.names.session().to_owned(),
            why: LostCookieReason::of(&visit.generation.config.session.cookie),
        }));
    }
    match try_begin(provider, beginning, &cookies, visit) {
        Err(Failure::Write(WriteError::TooLarge(_))) if beginning.page != visit.home() => {
            // The page's address does not fit into the cookie: home is better than nothing.
            let home = Beginning {
                page: visit.home(),
                wishes: beginning.wishes.clone(),
                attempt: beginning.attempt,
            };
            try_begin(provider, &home, &cookies, visit)
        }
        outcome => outcome,
    }
    .unwrap_or_else(|failure| {
        let fault = failure.told(provider);
        visit.teller.tell(&AuditEvent::LoginFailed {
            provider: Some(provider.id()),
            fault: &fault,
        });
        Reply::refuse(fault).leading_to(Some(beginning.page.clone()))
    })
}

fn try_begin(
    provider: &Provider,
    beginning: &Beginning,
    cookies: &LoginCookies<'_>,
    visit: &Visit<'_>,
) -> Result<Reply, Failure> {
    let (generation, entropy) = (visit.generation, visit.live.entropy);
    let draw = || entropy.token().map_err(Failure::NoEntropy);
    let state = LoginState {
        id: draw()?,
        return_to: Some(beginning.page.as_str().to_owned()),
        attempt: beginning.attempt,
        provider: provider.id().to_owned(),
        started_at: visit.now,
    }
    .seal(&generation.keyring, &generation.names)?;
    let attempt = Attempt {
        provider: provider.id().to_owned(),
        randomness: Randomness {
            state: Secret::new(state.clone()),
            nonce: Secret::new(draw()?),
            code_verifier: Secret::new(draw()?),
        },
        parameters: beginning.wishes.clone(),
        return_to: beginning.page.as_str().to_owned(),
        started_at: visit.now,
        number: beginning.attempt,
    };
    let (request, pending) = provider.begin_login(attempt)?;
    let mut lines = cookies.begin(&state, &pending, visit.presented)?;
    if matches!(visit.evidence, Evidence::Unusable) {
        // What does not open now never will: it would only shadow the session to come.
        lines.extend(SessionCookie::clear(&generation.names, visit.presented));
    }
    Ok(Reply::new(Answer::SignIn(request.url().to_owned())).with_cookies(lines))
}

/// Why a login did not begin.
enum Failure {
    NoEntropy(NoEntropy),
    Write(WriteError),
    Provider(LoginError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self::Provider(error)
    }
}

impl Failure {
    fn told(self, provider: &Provider) -> Fault {
        match self {
            Self::NoEntropy(error) => Fault::of_entropy(error),
            Self::Write(error) => error.into(),
            Self::Provider(error) => Fault::of_login(error, provider),
        }
    }
}
