//! One line for one security event, with a stable name, a stable reason and the reference of the
//! request that it happened in.

use super::iso_time::Timestamp;
use super::log_line::{Level, Line};
use super::log_names::{UserLogging, UserName, write_client_address};
use super::log_sink::{LogSink, Worth};
use super::reference::Reference;
use super::respond::fault::Fault;
use super::respond::unmet::Unmet;
use super::shadow::Difference;
use crate::base::secret::Secret;
use crate::gate::client_address::ClientAddress;
use crate::oidc::claims::Identity;
use crate::oidc::logout_token::Whose;
use crate::provider::Provider;
use crate::server::admin::Which;
use crate::session::Session;
use crate::session::log_name::{self, SessionName};

/// Something that whoever guards this site wants to know of.
#[derive(Debug)]
pub enum AuditEvent<'a> {
    /// Somebody signed in: a session began.
    Login(&'a Session),
    /// A login came to nothing.
    LoginFailed {
        /// The provider's id, where it is known.
        provider: Option<&'a str>,
        /// Why.
        fault: &'a Fault,
    },
    /// Somebody proved who they are, but the provider's `admit` does not let them in.
    LoginDenied {
        /// The provider's id.
        provider: &'a str,
        /// Who it was.
        identity: &'a Identity,
        /// What is missing.
        unmet: &'a Unmet,
    },
    /// Somebody signed in may not open what they asked for.
    Deny {
        /// Who it was.
        session: &'a Session,
        /// The route's name.
        route: Option<&'a str>,
        /// What is missing.
        unmet: &'a Unmet,
    },
    /// A rule that is only tried would have decided otherwise.
    Shadow {
        /// Who asked, if somebody is signed in.
        session: Option<&'a Session>,
        /// What differs.
        difference: Difference<'a>,
        /// The request's method.
        method: &'a str,
        /// Its path, without the query.
        path: &'a str,
        /// The origin of the page that it came from, where the browser named one.
        origin: Option<&'a str>,
    },
    /// A session was ended by its owner.
    Logout(&'a Session),
    /// A session was ended by its provider.
    Ended {
        /// Which.
        session: &'a Session,
        /// The provider's word, or what was wrong with it. No secret is in it.
        reason: &'a str,
    },
    /// Sessions were ended by their provider's logout token.
    BackchannelLogout {
        /// The issuer.
        issuer: &'a str,
        /// Whose.
        whose: &'a Whose,
    },
    /// Somebody who looks after this process saw who is signed in.
    SessionsListed {
        /// Which sessions were asked for.
        which: &'a Which,
        /// How many there were.
        count: usize,
        /// The user id of who asked.
        uid: u32,
    },
    /// Somebody who looks after this process ended sessions.
    SessionsRevoked {
        /// Which.
        which: &'a Which,
        /// How many there were, where that can be told.
        count: Option<usize>,
        /// The user id of who did it.
        uid: u32,
    },
    /// Somebody ended their other sessions.
    OthersEnded {
        /// The one that stays.
        session: &'a Session,
        /// How many there were.
        count: usize,
    },
    /// A refresh token that is no longer wanted was perhaps not revoked.
    NotRevoked {
        /// The provider's id.
        provider: &'a str,
        /// What the provider did instead. No secret is in it.
        reason: &'a str,
    },
    /// The configuration was read again.
    ConfigReload(Reload<'a>),
    /// A provider began or ceased to answer.
    Provider {
        /// Its id.
        provider: &'a str,
        /// What it is like now.
        state: ProviderState,
    },
}

/// What became of a new configuration.
#[derive(Debug, Clone, Copy)]
pub enum Reload<'a> {
    /// It is in force.
    Taken,
    /// It is not; the one before stays in force. The reason holds no secret.
    Refused(&'a str),
}

/// Whether a provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderState {
    /// Its metadata and keys are known and fresh.
    Ready,
    /// It does not answer; what is known of it is used for as long as it is good.
    Stale,
    /// Nothing good is known of it: nobody can sign in.
    Unavailable,
}

/// The request that an event happened in.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Its reference.
    pub reference: Reference,
    /// The client's address.
    pub client_address: &'a ClientAddress,
}

/// Writes audit lines. They are written whatever the level of the log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    sink: LogSink,
    users: UserLogging,
}

impl AuditLog {
    /// Lines go to `sink`, and name people as `users` says. `Off` counts as `Hash` here: an event
    /// without its person is of no use.
    #[must_use]
    pub fn new(sink: LogSink, users: UserLogging) -> Self {
        let users = match users {
            UserLogging::Off | UserLogging::Hash => UserLogging::Hash,
            UserLogging::Subject => UserLogging::Subject,
            UserLogging::Email => UserLogging::Email,
        };
        Self { sink, users }
    }

    /// Revokes `refresh_token` at `provider`, and writes a line where that failed.
    pub(super) async fn revoke(&self, provider: &Provider, refresh_token: &Secret) {
        if let Err(error) = provider.revoke(refresh_token).await {
            let event = AuditEvent::NotRevoked {
                provider: provider.id(),
                reason: &error.to_string(),
            };
            self.write(Timestamp::now(), None, &event);
        }
    }

    /// Writes the line about `event`, which happened at `at` in the request `occasion`, or in none.
    pub fn write(&self, at: Timestamp, occasion: Option<Occasion<'_>>, event: &AuditEvent<'_>) {
        let mut buffer = String::with_capacity(256);
        let (level, name) = event.level_and_name();
        let mut line = Line::begin(&mut buffer, self.sink.style(), at, level, name);
        if let Some(occasion) = occasion {
            line.text("reference", occasion.reference.as_str(), 16);
            write_client_address(&mut line, occasion.client_address);
        }
        self.write_event(&mut line, event);
        line.end();
        self.sink.send(&buffer, Worth::Kept);
    }

    fn write_event(&self, line: &mut Line<'_>, event: &AuditEvent<'_>) {
        match event {
            AuditEvent::Login(session) | AuditEvent::Logout(session) => {
                self.write_session(line, session);
            }
            AuditEvent::Ended { session, reason } => {
                self.write_session(line, session);
                line.text("reason", reason, 512);
            }
            AuditEvent::BackchannelLogout { issuer, whose } => {
                line.text("issuer", issuer, 256);
                match whose {
                    Whose::ProviderSession(_) => line.text("by", "sid", 16),
                    Whose::Subject(subject) => {
                        line.text("by", "sub", 16);
                        let user = UserName::of_subject(issuer, subject, self.users);
                        line.text("user", user.as_str(), 256);
                    }
                }
            }
            AuditEvent::SessionsListed { which, count, uid } => {
                self.write_which(line, which, *uid);
                line.number("sessions", u64::try_from(*count).unwrap_or(u64::MAX));
            }
            AuditEvent::SessionsRevoked { which, count, uid } => {
                self.write_which(line, which, *uid);
                if let Some(count) = count {
                    line.number("sessions", u64::try_from(*count).unwrap_or(u64::MAX));
                }
            }
            AuditEvent::OthersEnded { session, count } => {
                self.write_session(line, session);
                line.number("sessions", u64::try_from(*count).unwrap_or(u64::MAX));
            }
            AuditEvent::NotRevoked { provider, reason } => {
                line.text("provider", provider, 128);
                line.text("reason", reason, 512);
            }
            AuditEvent::LoginFailed { provider, fault } => {
                if let Some(provider) = provider {
                    line.text("provider", provider, 128);
                }
                line.text("reason", fault.code(), 64);
                line.display("detail", fault, 512);
            }
            AuditEvent::LoginDenied {
                provider,
                identity,
                unmet,
            } => {
                self.write_user(line, identity);
                line.text("provider", provider, 128);
                write_unmet(line, unmet);
            }
            AuditEvent::Deny {
                session,
                route,
                unmet,
            } => {
                self.write_session(line, session);
                if let Some(route) = route {
                    line.text("route", route, 128);
                }
                write_unmet(line, unmet);
            }
            AuditEvent::Shadow {
                session,
                difference,
                method,
                path,
                origin,
            } => {
                if let Some(session) = session {
                    self.write_session(line, session);
                }
                let words = [
                    ("route", difference.route, 128),
                    ("outcome", Some(difference.outcome), 64),
                    ("would", Some(difference.would), 64),
                    ("method", Some(method), 64),
                    ("path", Some(path), 1024),
                    ("origin", *origin, 256),
                ];
                for (key, word, longest) in words {
                    if let Some(word) = word {
                        line.text(key, word, longest);
                    }
                }
            }
            AuditEvent::ConfigReload(Reload::Taken) => line.text("outcome", "taken", 16),
            AuditEvent::ConfigReload(Reload::Refused(reason)) => {
                line.text("outcome", "refused", 16);
                line.text("detail", reason, 2048);
            }
            AuditEvent::Provider { provider, state } => {
                line.text("provider", provider, 128);
                line.text("state", state.as_str(), 16);
            }
        }
    }

    fn write_which(&self, line: &mut Line<'_>, which: &Which, uid: u32) {
        match which {
            Which::Everybody => line.text("of", "everybody", 16),
            Which::Session(name) => {
                line.text("of", "session", 16);
                line.text("session", name, 64);
            }
            Which::User(name) => {
                line.text("of", "user", 16);
                // What was typed may be an address, and need not be anybody's.
                let name = match self.users {
                    UserLogging::Off | UserLogging::Hash => log_name::of_typed(name),
                    UserLogging::Subject | UserLogging::Email => name.clone(),
                };
                line.text("typed", &name, 256);
            }
        }
        line.number("uid", uid.into());
    }

    fn write_session(&self, line: &mut Line<'_>, session: &Session) {
        self.write_user(line, &session.identity);
        line.text("session", SessionName::of(&session.id).as_str(), 16);
        line.text("provider", &session.provider, 128);
    }

    fn write_user(&self, line: &mut Line<'_>, identity: &Identity) {
        if let Some(user) = UserName::of(identity, self.users) {
            line.text("user", user.as_str(), 256);
        }
    }
}

fn write_unmet(line: &mut Line<'_>, unmet: &Unmet) {
    line.text("reason", Fault::missing_code(&unmet.missing), 64);
    line.display("detail", unmet, 512);
}

impl AuditEvent<'_> {
    fn level_and_name(&self) -> (Level, &'static str) {
        match self {
            Self::Login(_) => (Level::Info, "login"),
            Self::LoginFailed { .. } | Self::LoginDenied { .. } => (Level::Warn, "login_failed"),
            Self::Deny { .. } => (Level::Warn, "deny"),
            Self::Shadow { .. } => (Level::Info, "shadow"),
            Self::Logout(_) => (Level::Info, "logout"),
            Self::Ended { .. } => (Level::Warn, "session_ended"),
            Self::BackchannelLogout { .. } => (Level::Info, "backchannel_logout"),
            Self::SessionsListed { .. } => (Level::Info, "sessions_listed"),
            Self::SessionsRevoked { .. } => (Level::Warn, "sessions_revoked"),
            Self::OthersEnded { .. } => (Level::Info, "other_sessions_ended"),
            Self::NotRevoked { .. } => (Level::Warn, "not_revoked"),
            Self::ConfigReload(Reload::Taken) => (Level::Info, "config_reload"),
            Self::ConfigReload(Reload::Refused(_)) => (Level::Error, "config_reload"),
            Self::Provider { state, .. } => match state {
                ProviderState::Ready => (Level::Info, "provider"),
                ProviderState::Stale | ProviderState::Unavailable => (Level::Warn, "provider"),
            },
        }
    }
}

impl ProviderState {
    /// The state's name in lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::app::log_line::Style;
    use crate::app::log_sink::tests::written;
    use crate::app::respond::samples::{self, faults, identity, session};
    use crate::gate::access::Missing;

    fn told(users: UserLogging, event: &AuditEvent<'_>) -> Value {
        let text = written(Style::Json, |sink| {
            let occasion = Occasion {
                reference: Reference::from_bytes([0; 5]),
                client_address: &ClientAddress::Local,
            };
            let at = Timestamp::from_millis(1_000_000_000_007);
            AuditLog::new(sink.clone(), users).write(at, Some(occasion), event);
        });
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    // T9: each event has its stable name and reason, and the reference of its request.
    #[test]
    fn every_event_has_its_name_and_reference() {
        let alice = session("alice");
        let unmet = &samples::unmet(Missing::Group, "x");
        let rows: [(AuditEvent<'_>, &str, Option<&str>); 8] = [
            (AuditEvent::Login(&alice), "login", None),
            (
                AuditEvent::LoginFailed {
                    provider: Some("corp"),
                    fault: &Fault::NonceMismatch,
                },
                "login_failed",
                Some("nonce_mismatch"),
            ),
            (
                AuditEvent::LoginDenied {
                    provider: "corp",
                    identity: &alice.identity,
                    unmet,
                },
                "login_failed",
                Some("group_denied"),
            ),
            (
                AuditEvent::Deny {
                    session: &alice,
                    route: Some("admin"),
                    unmet,
                },
                "deny",
                Some("group_denied"),
            ),
            (AuditEvent::Logout(&alice), "logout", None),
            (
                AuditEvent::ConfigReload(Reload::Taken),
                "config_reload",
                None,
            ),
            (
                AuditEvent::ConfigReload(Reload::Refused("line 3: \"x\"\n")),
                "config_reload",
                None,
            ),
            (
                AuditEvent::Provider {
                    provider: "corp",
                    state: ProviderState::Unavailable,
                },
                "provider",
                None,
            ),
        ];
        for (event, name, reason) in rows {
            let line = told(UserLogging::Hash, &event);
            assert_eq!(line["event"], name, "{event:?}");
            assert_eq!(line["reference"], "2222-2222");
            assert_eq!(line["client_address"], "local");
            assert_eq!(line["reason"].as_str(), reason, "{event:?}");
        }
    }

    // T3: an audit line names its person, but by a hash where names are not wanted.
    #[test]
    fn a_person_is_named_by_a_hash_unless_configured_otherwise() {
        let alice = session("alice@ok.test");
        let name = |users| {
            let line = told(users, &AuditEvent::Login(&alice));
            line["user"].as_str().unwrap().to_owned()
        };
        assert_eq!(name(UserLogging::Off), name(UserLogging::Hash));
        assert!(!name(UserLogging::Off).contains("alice"));
        assert_eq!(name(UserLogging::Email), "alice@ok.test");
    }

    // T2: what a provider said about a login that failed is escaped and cut.
    #[test]
    fn a_hostile_fault_is_one_line() {
        let hostile = "\r\n{\"event\":\"login\"}\u{202e}".repeat(5000);
        for fault in faults(&hostile) {
            let event = AuditEvent::LoginFailed {
                provider: None,
                fault: &fault,
            };
            let line = told(UserLogging::Hash, &event);
            assert_eq!(line["event"], "login_failed");
            assert_eq!(line["reason"], fault.code());
        }
        let event = AuditEvent::LoginDenied {
            provider: &hostile,
            identity: &identity(&hostile),
            unmet: &samples::unmet(Missing::Email, &hostile),
        };
        assert_eq!(told(UserLogging::Email, &event)["event"], "login_failed");
    }
}
