//! One life of a session, whatever it is kept in: what holds for the cookie holds for every store.

mod dumps;
mod keys;
mod life;
mod moving;
mod own_sessions;
pub(crate) mod renewal;
mod replicas;
mod streams;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::provider::TestProvider;
use crate::support::redis_server::Server;
use crate::support::upstream::Upstream;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Where sessions are kept in one run of a story.
pub(crate) struct Kept {
    /// The word in the configuration.
    pub(crate) word: &'static str,
    settings: String,
    /// Of its file, if it has one.
    folder: Arc<tempfile::TempDir>,
    /// What gates share.
    pub(crate) redis: Option<Arc<Server>>,
}

impl Kept {
    /// Each of them, new.
    pub(crate) fn all() -> Vec<Self> {
        ["cookie", "memory", "disk", "redis"].map(Self::of).into()
    }

    /// The store of this name, with nothing in it; `cookie with redis` and `cookie with disk` are what
    /// their names say.
    pub(crate) fn of(word: &'static str) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("sessions");
        let redis = word.contains("redis").then(|| Server::start(&[]));
        let (store, _) = word.split_once(' ').unwrap_or((word, ""));
        let mut settings = format!("store: {store}");
        if word.contains("disk") {
            settings = format!("{settings}, disk: {{ path: {} }}", path.display());
        }
        if let Some(redis) = &redis {
            let port = redis.port;
            settings = format!("{settings}, redis: {{ url: \"redis://127.0.0.1:{port}\" }}");
        }
        let folder = Arc::new(folder);
        Self {
            word,
            settings,
            folder,
            redis: redis.map(Arc::new),
        }
    }

    /// The file of the `disk` store.
    fn file(&self) -> PathBuf {
        self.folder.path().join("sessions")
    }

    /// Whether the browser has a ticket.
    pub(crate) fn has_tickets(&self) -> bool {
        !self.word.starts_with("cookie")
    }

    /// Provider, app, and a gate that keeps sessions so; `more` are further settings of `session`.
    pub(crate) fn world(&self, more: &str) -> World {
        let (provider, app) = (TestProvider::start(), Upstream::start());
        register(&provider, "dashboards", "/oauth2/callback");
        let gate = self.gate(&provider, &app, more);
        let world = World {
            provider,
            app,
            gate,
        };
        world.await_provider();
        world
    }

    /// A gate that keeps sessions so.
    pub(crate) fn gate(&self, provider: &TestProvider, app: &Upstream, more: &str) -> Instance {
        Instance::start(&self.text(provider, app, more), provider.clock())
    }

    /// The configuration of such a gate.
    pub(crate) fn text(&self, provider: &TestProvider, app: &Upstream, more: &str) -> String {
        self.keeps(&yaml(provider.issuer(), &app.url(), ""), more)
    }

    /// The configuration `text`, of a gate that keeps sessions so.
    pub(crate) fn keeps(&self, text: &str, more: &str) -> String {
        let settings = format!("session: {{ {}{more}, ", self.settings);
        text.replace("session: { ", &settings)
    }

    /// The same place, to which people move who were kept as `previous` says.
    pub(crate) fn after(&self, previous: &Self) -> Self {
        let word = previous.word;
        let disk = previous.settings.split_once(", ").map(|(_, disk)| disk);
        let disk = disk.map(|disk| format!(", {disk}")).unwrap_or_default();
        Self {
            word: self.word,
            settings: format!("{}, previous_store: {word}{disk}", self.settings),
            folder: Arc::clone(&self.folder),
            redis: self.redis.clone(),
        }
    }
}

/// The status of a program's request.
pub(crate) fn status(browser: &mut Browser) -> u16 {
    browser.fetch("GET", &format!("{PUBLIC}/x"), "").status
}

/// The session's cookie as the browser sends it.
fn sent(browser: &Browser) -> String {
    let field = browser.cookie_field(&url::Url::parse(PUBLIC).unwrap());
    let is_session = |pair: &&str| {
        let name = pair.split('=').next();
        name.is_some_and(|name| !name.contains("-l-"))
    };
    field.split("; ").find(is_session).unwrap().to_owned()
}
