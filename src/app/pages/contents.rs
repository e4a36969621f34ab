//! What our pages are about, as values. Everything in them that somebody else chose is cleaned by
//! [`shown`] on its way into a template, and escaped by the template.

use std::sync::Arc;
use std::time::Duration;

use minijinja::{Value, context};
use serde_json::json;

use crate::app::iso_time::Iso;
use crate::app::sessions::listing::Listed;
use crate::app::shown::shown;
use crate::base::clock::UnixTime;
use crate::base::origin::Origin;
use crate::base::return_to::ReturnTo;
use crate::oidc::claims::{Groups, Identity, Verification};
use crate::session::Session;

/// The most characters of a name, an address or a group that are shown.
const LONGEST_NAME: usize = 100;
/// The most groups that are shown; a page stays small whatever a provider says.
const MOST_GROUPS: usize = 30;
/// The most header names that are shown.
const MOST_HEADERS: usize = 30;
/// How many other sessions.
const MOST_OTHERS: usize = 20;

/// A page that tells of no fault.
#[derive(Debug)]
pub enum Page {
    /// Which provider, or why again.
    SignIn(SignIn),
    /// Whether to sign out.
    ConfirmSignOut(ConfirmSignOut),
    /// That one is signed out.
    SignedOut(SignedOut),
    /// Who am I.
    WhoAmI(WhoAmI),
    /// On the way to sign in, so that the fragment of this page is not lost.
    KeepFragment(ReturnTo),
}

/// What the sign-in page offers.
#[derive(Debug)]
pub struct SignIn {
    /// The ids of the providers to choose from, in the operator's order.
    pub providers: Vec<String>,
    /// Where the person wants to go.
    pub return_to: ReturnTo,
    /// Who is signed in already.
    pub signed_in: Option<Arc<Session>>,
}

/// The question whether to sign out.
#[derive(Debug)]
pub struct ConfirmSignOut {
    /// Who is signed in.
    pub session: Option<Arc<Session>>,
    /// Where the provider ends its own session, if signing out goes on there: a browser follows a
    /// form's answer only to origins that the page's policy lists.
    pub end_session: Option<Origin>,
}

/// The news that one is signed out.
#[derive(Debug)]
pub struct SignedOut {
    /// What is known of the provider's own session.
    pub at_provider: AtProvider,
    /// The id of the provider, where it is known.
    pub provider: Option<String>,
    /// Where `Sign in again` returns to.
    pub return_to: ReturnTo,
}

/// What is known of the provider's own session after a logout here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtProvider {
    /// The person came back from the provider's logout.
    Ended,
    /// Nobody asked the provider, or it did not say: its session may live on.
    MayLive,
}

/// What one is told about oneself; never tokens.
#[derive(Debug)]
pub struct WhoAmI {
    /// The session.
    pub session: Arc<Session>,
    /// How long until it ends for want of use.
    pub idle_expires_in: Duration,
    /// How long until it ends in any case.
    pub absolute_expires_in: Duration,
    /// How long the provider's access token is good for, where the session has one: then it is renewed.
    pub token_expires_in: Option<Duration>,
    /// The names of the identity headers that apps receive.
    pub headers: Vec<String>,
    /// The person's other sessions, the latest first; absent where nobody looked, or could.
    pub others: Option<Vec<OtherSession>>,
    /// As in [`ConfirmSignOut::end_session`].
    pub end_session: Option<Origin>,
}

/// Another session of the same person.
#[derive(Debug, Clone, Copy)]
pub struct OtherSession {
    /// When it began.
    pub started_at: UnixTime,
    /// When it was last seen, as of the last time that was written down.
    pub seen_at: UnixTime,
}

impl OtherSession {
    /// What is told of a session on a list.
    #[must_use]
    pub fn of(listed: &Listed) -> Self {
        Self {
            started_at: listed.card.started_at,
            seen_at: listed.card.seen_at,
        }
    }
}

/// The name that a person knows themselves by: the address, else a name, else the subject.
#[must_use]
pub fn known_as(identity: &Identity) -> String {
    let name = identity
        .email
        .as_ref()
        .map(|email| email.address.as_str())
        .or(identity.preferred_username.as_deref())
        .or(identity.name.as_deref())
        .unwrap_or(&identity.subject);
    shown(name, LONGEST_NAME)
}

impl Page {
    /// What it is called where one has to be told from another.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SignIn(_) => "sign_in",
            Self::ConfirmSignOut(_) => "sign_out_confirm",
            Self::SignedOut(_) => "signed_out",
            Self::WhoAmI(_) => "who_am_i",
            Self::KeepFragment(_) => "keep_fragment",
        }
    }

    /// Where its forms may lead, as sources for `form-action`: nowhere, or to ourselves and to the
    /// origin that our answer leads on to. Browsers hold a form to its page's policy through every
    /// redirect.
    pub(super) fn form_action(&self) -> String {
        let end_session = match self {
            Self::SignIn(_) | Self::SignedOut(_) | Self::KeepFragment(_) => {
                return "'none'".to_owned();
            }
            Self::ConfirmSignOut(confirm) => &confirm.end_session,
            Self::WhoAmI(who) => &who.end_session,
        };
        match end_session {
            Some(origin) => format!("'self' {origin}"),
            None => "'self'".to_owned(),
        }
    }
}

impl AtProvider {
    /// The word for it in a page and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::MayLive => "may_live",
        }
    }
}

impl WhoAmI {
    /// What the template shows.
    pub(super) fn view(&self, now: UnixTime) -> Value {
        let (session, identity) = (&self.session, &self.session.identity);
        let known = identity.groups.known();
        let clean = |text: &str| shown(text, LONGEST_NAME);
        let name = identity
            .name
            .as_deref()
            .or(identity.preferred_username.as_deref());
        let groups: Vec<Value> = known
            .iter()
            .take(MOST_GROUPS)
            .map(|group| clean(group).into())
            .collect();
        let headers: Vec<Value> = self
            .headers
            .iter()
            .take(MOST_HEADERS)
            .map(|name| clean(name).into())
            .collect();
        let others = self.others.as_deref().unwrap_or_default();
        let view = |one: &OtherSession| {
            context! {
                started_at => Iso(one.started_at).to_string(),
                seen_at => Iso(one.seen_at).to_string(),
            }
        };
        context! {
            name => name.map(clean),
            email => identity.email.as_ref().map(|email| clean(&email.address)),
            email_verified => verified(identity),
            subject => clean(&identity.subject),
            provider => clean(&session.provider),
            groups,
            groups_complete => complete(identity),
            more_groups => known.len().saturating_sub(MOST_GROUPS),
            started_at => Iso(session.started_at).to_string(),
            idle_expires_at => Iso(now.plus(self.idle_expires_in)).to_string(),
            absolute_expires_at => Iso(now.plus(self.absolute_expires_in)).to_string(),
            headers,
            others => others.iter().take(MOST_OTHERS).map(view).collect::<Vec<_>>(),
            more_others => others.len().saturating_sub(MOST_OTHERS),
        }
    }

    /// The same for programs: values as they are, spans in seconds.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let (session, identity) = (&self.session, &self.session.identity);
        let other = |one: &OtherSession| {
            json!({
                "started_at": Iso(one.started_at).to_string(),
                "seen_at": Iso(one.seen_at).to_string(),
            })
        };
        let others = self.others.as_ref();
        let others = others.map(|all| all.iter().map(other).collect::<Vec<_>>());
        json!({
            "provider": session.provider,
            "issuer": identity.issuer,
            "sub": identity.subject,
            "name": identity.name,
            "preferred_username": identity.preferred_username,
            "email": identity.email.as_ref().map(|email| &email.address),
            "email_verified": verified(identity),
            "groups": identity.groups.known(),
            "groups_complete": complete(identity),
            "started_at": Iso(session.started_at).to_string(),
            "idle_expires_in": self.idle_expires_in.as_secs(),
            "absolute_expires_in": self.absolute_expires_in.as_secs(),
            "token_expires_in": self.token_expires_in.map(|left| left.as_secs()),
            "headers": self.headers,
            "other_sessions": others,
        })
    }
}

fn verified(identity: &Identity) -> bool {
    identity
        .email
        .as_ref()
        .is_some_and(|email| email.verification == Verification::Verified)
}

fn complete(identity: &Identity) -> bool {
    matches!(identity.groups, Groups::Complete(_))
}
