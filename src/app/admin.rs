//! What whoever looks after this process can do over its socket: see who is signed in, and end sessions.
//! Each act is in the audit log.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::Shared;
use super::audit::AuditEvent;
use super::iso_time::{Iso, Timestamp};
use super::sessions::listing::{Listed, MOST_LISTED};
use crate::server::admin::{Acting, Administered, Asked, Told, Which};
use crate::session::ending::{Ending, Whom};
use crate::session::groups;
use crate::session::log_name::{self, SessionName};

/// The process, as its owner sees it.
#[derive(Debug)]
pub(super) struct Admin(Arc<Shared>);

impl Admin {
    /// Of this process.
    #[must_use]
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Administered for Admin {
    fn act(&self, asked: Asked, uid: u32) -> Acting {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            match asked {
                Asked::List(which) => list(&which, uid, &shared).await,
                Asked::Revoke(which) => revoke(&which, uid, &shared).await,
            }
        })
    }
}

async fn list(which: &Which, uid: u32, shared: &Shared) -> Told {
    let sessions = &shared.live.sessions;
    if !sessions.can_list() {
        let why = "sessions are in their browsers' cookies, where nobody can list them; they can be revoked all the same";
        return Told::refusing(StatusCode::CONFLICT, why);
    }
    let all = match sessions.list().await {
        Ok(all) => all,
        Err(error) => return Told::refusing(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let is_whole = all.len() < MOST_LISTED;
    let found: Vec<_> = all.into_iter().filter(|one| is_meant(one, which)).collect();
    let count = found.len();
    tell(shared, &AuditEvent::SessionsListed { which, count, uid });
    let rows: Vec<_> = found.iter().map(row).collect();
    Told::done(&json!({ "sessions": rows, "complete": is_whole }))
}

async fn revoke(which: &Which, uid: u32, shared: &Shared) -> Told {
    let (sessions, now) = (&shared.live.sessions, shared.live.clock.now());
    let whom = match which {
        Which::User(name) => Whom::Group(groups::of_user(name)),
        Which::Session(name) => Whom::Group(groups::of_name(name)),
        Which::Everybody => Whom::Everybody,
    };
    // Before they are over: afterwards none is on a list.
    let found = if sessions.can_list() {
        sessions.list().await.ok()
    } else {
        None
    };
    let mut found = found.filter(|all| all.len() < MOST_LISTED);
    if let Some(all) = &mut found {
        all.retain(|one| is_meant(one, which));
    }
    let limits = shared.current.load().config.session.limits;
    let ending = Ending {
        whom,
        begun_until: now,
        until: now.plus(limits.absolute),
    };
    let told = sessions.end_all(ending).await;
    let count = found.as_ref().map(Vec::len);
    tell(shared, &AuditEvent::SessionsRevoked { which, count, uid });
    sessions.sweep(found.unwrap_or_default());
    let is_everywhere = match told {
        Ok(()) => sessions.endings_reach_everyone() || is_alone(shared),
        Err(error) => {
            let why = format!(
                "they are over here; the others are told as soon as that can be done: {error}"
            );
            return Told::refusing(StatusCode::SERVICE_UNAVAILABLE, &why);
        }
    };
    let lasts = sessions.endings_last();
    Told::done(&json!({ "revoked": count, "everywhere": is_everywhere, "lasting": lasts }))
}

fn is_alone(shared: &Shared) -> bool {
    let generation = shared.current.load();
    generation.config.session.store.single_instance
}

fn is_meant(one: &Listed, which: &Which) -> bool {
    match which {
        Which::User(name) => one.card.groups().contains(&groups::of_user(name)),
        Which::Session(name) => one.card.groups().contains(&groups::of_name(name)),
        Which::Everybody => true,
    }
}

fn row(one: &Listed) -> serde_json::Value {
    let card = &one.card;
    json!({
        "session": SessionName::of(&card.id).as_str(),
        "user": card.shown(),
        "subject": card.subject,
        "issuer": card.issuer,
        "provider": card.provider,
        "user_in_logs": log_name::of_person(&card.issuer, &card.subject),
        "started_at": Iso(card.started_at).to_string(),
        "seen_at": Iso(card.seen_at).to_string(),
        "expires_at": Iso(one.ends_at).to_string(),
    })
}

fn tell(shared: &Shared, event: &AuditEvent<'_>) {
    shared.audit.write(Timestamp::now(), None, event);
}
