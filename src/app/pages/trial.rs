//! Tries the operator's own templates: every page is made once in every language before any of them
//! is shown to anybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    AtProvider, Circumstances, ConfirmSignOut, Framing, Html, OtherSession, Page, Pages, SignIn,
    SignedOut, WhoAmI,
};
use crate::app::language::Language;
use crate::app::reference::Reference;
use crate::app::respond::details::{
    LostCookie, LostCookieReason, Outage, ProviderWords, UpstreamFailure,
};
use crate::app::respond::fault::Fault;
use crate::app::respond::unmet::Unmet;
use crate::base::clock::UnixTime;
use crate::base::origin::PublicUrl;
use crate::base::return_to::ReturnTo;
use crate::gate::access::Missing;
use crate::oidc::claims::{Email, Groups, Identity, Verification};
use crate::session::groups::SessionGroups;
use crate::session::{Session, SessionId};

/// The largest page that is sent.
const LARGEST: usize = 256 * 1024;
/// What the pages' policy forbids: a browser would leave it out without a word.
const FORBIDDEN: [&str; 8] = [
    "<script",
    "<link",
    "<iframe",
    "<frame",
    "<object",
    "<embed",
    "<base",
    "http-equiv",
];

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// It does not parse, or stumbles over what a page is about.
    #[error("{}line {}: {}", place(.0), .0.line().unwrap_or(0), told(.0))]
    Template(#[from] minijinja::Error),
    /// A page does not show the reference, without which nobody finds its log line.
    #[error("the page `{0}` does not show the reference; write {{{{ reference }}}}")]
    NoReference(String),
    /// A page has what its policy forbids.
    #[error("the page `{0}` has `{1}`, which the pages’ policy forbids")]
    Forbidden(String, &'static str),
    /// A page is too large.
    #[error("the page `{0}` has {1} bytes, more than {LARGEST}")]
    TooLarge(String, usize),
}

fn place(error: &minijinja::Error) -> String {
    error
        .name()
        .map(|name| format!("{name}, "))
        .unwrap_or_default()
}

fn told(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// Makes every page.
///
/// # Errors
/// [`PagesError`]: the first that is found.
pub(super) fn every_page(pages: &Pages, public_url: &PublicUrl) -> Result<(), PagesError> {
    let home = ReturnTo::home(public_url);
    let circumstances = Circumstances {
        reference: Reference::from_bytes([7; 5]),
        now: UnixTime::from_seconds(1_000_000_000),
        return_to: Some(&home),
    };
    for language in Language::ALL {
        for fault in faults() {
            for framing in [Framing::Alone, Framing::Framed] {
                let html = pages.try_fault(&fault, language, framing, &circumstances)?;
                hold(fault.code(), &html, &circumstances)?;
            }
        }
        for page in plain_pages(&home) {
            let html = pages.try_page(&page, language, &circumstances)?;
            hold(page.name(), &html, &circumstances)?;
        }
    }
    Ok(())
}

fn hold(name: &str, html: &Html, circumstances: &Circumstances<'_>) -> Result<(), PagesError> {
    let name = || name.to_owned();
    if html.body.len() > LARGEST {
        return Err(PagesError::TooLarge(name(), html.body.len()));
    }
    if !html.body.contains(circumstances.reference.as_str()) {
        return Err(PagesError::NoReference(name()));
    }
    let lower = html.body.to_ascii_lowercase();
    // The one page that has a script has just the one.
    let ours = usize::from(html.script.is_some());
    for word in FORBIDDEN {
        let allowed = if word == "<script" { ours } else { 0 };
        if lower.matches(word).count() > allowed {
            return Err(PagesError::Forbidden(name(), word));
        }
    }
    if lower.matches("<style").count() > 1 || lower.contains(" style=\"") {
        return Err(PagesError::Forbidden(name(), "a style of its own"));
    }
    Ok(())
}

fn identity() -> Identity {
    let name = || "alice".to_owned();
    Identity {
        issuer: name(),
        subject: name(),
        email: Some(Email {
            address: name(),
            verification: Verification::Unverified,
        }),
        groups: Groups::Complete(vec![name(); 40]),
        preferred_username: Some(name()),
        name: Some(name()),
        claims: BTreeMap::new(),
    }
}

fn session() -> Arc<Session> {
    let at = UnixTime::from_seconds(1_000_000_000);
    Arc::new(Session {
        id: SessionId::from_bytes([7; 16]),
        identity: identity(),
        provider: "corp".to_owned(),
        provider_sid: None,
        auth_time: None,
        acr: None,
        stepped_up: None,
        started_at: at,
        seen_at: at,
        idle_expires_at: at,
        absolute_expires_at: at,
        vouched_at: at,
        grant: None,
        turn: 0,
        raw_id_token: None,
        ticket: None,
        family: None,
        groups: SessionGroups::default(),
    })
}

/// One fault for each kind of page.
fn faults() -> Vec<Fault> {
    let unmet = Unmet {
        missing: Missing::Group,
        rule: String::new(),
    };
    let cookie = LostCookie {
        name: "sidegate".to_owned(),
        why: LostCookieReason::Blocked,
    };
    vec![
        Fault::LoginRequired,
        Fault::NoRoute,
        Fault::UnknownHost,
        Fault::ProviderRefused(ProviderWords::new("access_denied", Some("no"))),
        Fault::NotAdmitted(session(), unmet.clone()),
        Fault::NotAdmittedHere(Box::new(identity()), unmet),
        Fault::ProviderUnavailable(Outage::new("")),
        Fault::UpstreamConnect(UpstreamFailure::of("app", "", "")),
        Fault::LoginLoop(cookie),
    ]
}

/// Every page that tells of no fault, with everything that it can show.
fn plain_pages(home: &ReturnTo) -> Vec<Page> {
    let sign_in = |signed_in| {
        Page::SignIn(SignIn {
            providers: vec!["default".to_owned(), "corp".to_owned()],
            return_to: home.clone(),
            signed_in,
        })
    };
    let signed_out = |at_provider, provider| {
        Page::SignedOut(SignedOut {
            at_provider,
            provider,
            return_to: home.clone(),
        })
    };
    let other = OtherSession {
        started_at: session().started_at,
        seen_at: session().seen_at,
    };
    vec![
        sign_in(None),
        sign_in(Some(session())),
        Page::ConfirmSignOut(ConfirmSignOut {
            session: Some(session()),
            end_session: None,
        }),
        signed_out(AtProvider::Ended, None),
        signed_out(AtProvider::MayLive, None),
        signed_out(AtProvider::MayLive, Some("corp".to_owned())),
        Page::WhoAmI(WhoAmI {
            session: session(),
            idle_expires_in: Duration::from_mins(1),
            absolute_expires_in: Duration::from_mins(2),
            token_expires_in: None,
            headers: vec!["x-forwarded-user".to_owned()],
            others: Some(vec![other; 30]),
            end_session: None,
        }),
        Page::KeepFragment(home.clone()),
    ]
}
