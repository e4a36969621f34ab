//! The provider ends sessions (OpenID Connect Back-Channel Logout section 2.5 to 2.8): exactly 200 where
//! they are over everywhere, exactly 400 where nothing ends, and 501 where they cannot all be reached.

use std::time::Duration;

use super::Visit;
use super::parameters::Parameters;
use crate::app::audit::AuditEvent;
use crate::app::claim_once::{Act, Claimed};
use crate::app::reply::{Answer, Reply};
use crate::app::respond::{Fault, Form};
use crate::oidc::logout_token::{self, LONGEST_LIFE, LogoutToken, Whose};
use crate::provider::Provider;
use crate::session::ending::{Ending, Whom};
use crate::session::groups;
use aws_lc_rs::digest::{SHA256, digest};

/// How far the provider's clock may be behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// How long what makes a token good once only is remembered: longer than it is good.
const REMEMBERED: Duration = Duration::from_mins(15);

/// Ends what the logout token of `form` names. It needs no session and no cookie, and sets none.
pub async fn end(form: Option<String>, visit: &Visit<'_>) -> Reply {
    let reply = match ended(form.as_deref(), visit).await {
        Ok(()) => Reply::new(Answer::Done),
        Err(fault) => Reply::refuse(fault),
    };
    reply.told_as(Form::Json)
}

async fn ended(form: Option<&str>, visit: &Visit<'_>) -> Result<(), Fault> {
    let refused = |why: &'static str| Fault::LogoutToken(why.into());
    let form = form.ok_or_else(|| refused("there is no form of a sound size"))?;
    let known = [("logout_token", &[] as &[&str])];
    let fields = Parameters::parse(Some(form), &known);
    let fields = fields.map_err(|_| refused("`logout_token` is there twice"))?;
    let raw = fields.one("logout_token");
    let raw = raw.ok_or_else(|| refused("there is no `logout_token`"))?;
    let token = verified(raw, visit).await?;
    if !visit.generation.config.session.store.single_instance
        && !visit.live.sessions.endings_reach_everyone()
    {
        return Err(Fault::LogoutNotShared);
    }
    claim(&token, visit).await?;
    let ending = ending_of(&token, visit);
    let told = visit.live.sessions.end_all(ending).await;
    visit.teller.tell(&AuditEvent::BackchannelLogout {
        issuer: token.issuer(),
        whose: token.whose(),
    });
    // They are over here, and at the others as soon as they can be told.
    told.map_err(|error| Fault::LogoutToken(error.to_string().into()))
}

/// The token, by whichever provider of its issuer it is good.
async fn verified(raw: &str, visit: &Visit<'_>) -> Result<LogoutToken, Fault> {
    let issuer = logout_token::claimed_issuer(raw);
    let is_of = |provider: &&std::sync::Arc<Provider>| issuer.as_deref() == Some(provider.issuer());
    let mut why = "it is of no issuer that is configured".to_owned();
    for provider in visit.generation.providers.iter().filter(is_of) {
        match provider.verify_logout(raw).await {
            Ok(token) => return Ok(token),
            Err(error) => why = error.to_string(),
        }
    }
    Err(Fault::LogoutToken(why.into()))
}

/// A token is good once (security requirement G9), at whichever of those that share a store.
async fn claim(token: &LogoutToken, visit: &Visit<'_>) -> Result<(), Fault> {
    let again = || Fault::LogoutToken("it was seen before".into());
    let until = visit.now.plus(REMEMBERED.max(LONGEST_LIFE));
    let name = format!("{}\0{}", token.issuer(), token.jti());
    let claims = &visit.live.claims;
    match claims.claim_once(Act::LogoutToken, &name, until, visit.now) {
        Claimed::First => {}
        Claimed::Again => return Err(again()),
        Claimed::Full => return Err(Fault::LogoutToken("too many come at once".into())),
    }
    let mut hash = [0; 32];
    let text = ["logout token\0", &name].concat();
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    match visit.live.sessions.claim(hash, until).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(again()),
        // Nobody can tell, and it ends no session that began after it was made, however often it comes:
        // better end those of it twice than not at all.
        Err(error) => {
            tracing::warn!(reason = %error, "a logout token is taken without being remembered by all");
            Ok(())
        }
    }
}

fn ending_of(token: &LogoutToken, visit: &Visit<'_>) -> Ending {
    let issuer = token.issuer();
    // Whoever signs in after the token was made is not meant by it; and a `sid` is never given again.
    let made = token.issued_at().plus(CLOCK_SKEW).min(visit.now);
    let (group, begun_until) = match token.whose() {
        Whose::ProviderSession(sid) => (groups::of_provider_session(issuer, sid), visit.now),
        Whose::Subject(subject) => (groups::of_person(issuer, subject), made),
    };
    Ending {
        whom: Whom::Group(group),
        begun_until,
        until: visit
            .now
            .plus(visit.generation.config.session.limits.absolute),
    }
}
