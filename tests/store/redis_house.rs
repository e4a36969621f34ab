//! Houses with a Redis, whose time passes when the clock's does.

use std::time::Duration;

use sidegate::base::clock::Clock;
use sidegate::base::entropy::Entropy;
use sidegate::base::secret::Secret;
use sidegate::store::redis::{RedisSettings, RedisStore};
use tokio::runtime::Handle;

use crate::conformance::{House, NOW};
use crate::server::{PASSWORD, Server, permissions};
use crate::tls;

pub(crate) struct RedisHouse<'a> {
    servers: Vec<&'a Server>,
    own: Option<Server>,
    settings: RedisSettings,
    clock: Clock,
    store: RedisStore,
    runtime: Handle,
}

impl<'a> RedisHouse<'a> {
    /// The store with these settings, whose keys are at these servers.
    pub(crate) fn at(servers: Vec<&'a Server>, settings: RedisSettings, runtime: Handle) -> Self {
        let clock = Clock::settable(NOW);
        let store = open(settings.clone(), &clock, &runtime);
        Self {
            servers,
            own: None,
            settings,
            clock,
            store,
            runtime,
        }
    }

    fn with(server: Server, settings: RedisSettings, runtime: Handle) -> Self {
        let mut house = Self::at(Vec::new(), settings, runtime);
        house.own = Some(server);
        house
    }
}

pub(crate) async fn plain(runtime: Handle) -> RedisHouse<'static> {
    let server = Server::start(&[]);
    let settings = server.settings();
    RedisHouse::with(server, settings, runtime)
}

/// Valkey, by a user with the permissions that are written down and no others.
pub(crate) async fn valkey(runtime: Handle) -> RedisHouse<'static> {
    let server = Server::valkey(&[]);
    permissions(&server, &[]);
    let mut settings = server.settings();
    settings.username = Some("sidegate".to_owned());
    settings.password = Some(Secret::new(PASSWORD.to_owned()));
    RedisHouse::with(server, settings, runtime)
}

/// Over TLS with an authority of its own and a certificate of ours, by a user with the permissions
/// that are written down and no others.
pub(crate) async fn guarded(runtime: Handle) -> RedisHouse<'static> {
    let files = tls::Files::new();
    let (server, port) = files.server();
    permissions(&server, &[]);
    let mut settings = RedisSettings::parse(&format!("rediss://127.0.0.1:{port}")).unwrap();
    settings.tls = Some(files.client());
    settings.username = Some("sidegate".to_owned());
    settings.password = Some(Secret::new(PASSWORD.to_owned()));
    RedisHouse::with(server, settings, runtime)
}

pub(crate) fn open(settings: RedisSettings, clock: &Clock, runtime: &Handle) -> RedisStore {
    let (clock, runtime) = (clock.clone(), runtime.clone());
    RedisStore::open(settings, clock, Entropy::system(), runtime).unwrap()
}

impl House for RedisHouse<'_> {
    type Store = RedisStore;

    fn store(&self) -> &RedisStore {
        &self.store
    }

    fn beside(&self) -> Option<RedisStore> {
        Some(open(self.settings.clone(), &self.clock, &self.runtime))
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Brings each key so much nearer to its end, as if the time had passed there.
    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        let span = i64::try_from(span.as_millis()).unwrap();
        for server in self.servers.iter().copied().chain(&self.own) {
            for key in server.keys() {
                let key = String::from_utf8(key).unwrap();
                let left: i64 = server.ask(&["PTTL", &key]);
                assert!(left >= 0, "{key} has no end");
                server.tell(&["PEXPIRE", &key, &(left - span).to_string()]);
            }
        }
    }
}

crate::conformance!(single, crate::redis_house::plain);
crate::conformance!(of_valkey, crate::redis_house::valkey);
crate::conformance!(tls_and_least_permissions, crate::redis_house::guarded);
