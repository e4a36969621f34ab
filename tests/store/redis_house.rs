//! A house with a Redis, whose time passes when the clock's does.

use std::time::Duration;

use sidegate::base::clock::Clock;
use sidegate::base::entropy::Entropy;
use sidegate::store::redis::RedisStore;
use tokio::runtime::Handle;

use crate::conformance::{House, NOW};
use crate::server::Server;

pub(crate) struct RedisHouse {
    pub(crate) server: Server,
    clock: Clock,
    store: RedisStore,
    runtime: Handle,
}

impl RedisHouse {
    #[allow(clippy::unused_async, reason = "houses are built in a runtime")]
    pub(crate) async fn new(runtime: Handle) -> Self {
        Self::with(Server::start(&[]), runtime)
    }

    pub(crate) fn with(server: Server, runtime: Handle) -> Self {
        let clock = Clock::settable(NOW);
        let store = open(&server, &clock, &runtime);
        Self {
            server,
            clock,
            store,
            runtime,
        }
    }
}

pub(crate) fn open(server: &Server, clock: &Clock, runtime: &Handle) -> RedisStore {
    let (clock, runtime) = (clock.clone(), runtime.clone());
    RedisStore::open(server.settings(), clock, Entropy::system(), runtime).unwrap()
}

impl House for RedisHouse {
    type Store = RedisStore;

    fn store(&self) -> &RedisStore {
        &self.store
    }

    fn beside(&self) -> Option<RedisStore> {
        Some(open(&self.server, &self.clock, &self.runtime))
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Brings each key so much nearer to its end, as if the time had passed there.
    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        let span = i64::try_from(span.as_millis()).unwrap();
        for key in self.server.keys() {
            let key = String::from_utf8(key).unwrap();
            let left: i64 = self.server.ask(&["PTTL", &key]);
            assert!(left >= 0, "{key} has no end");
            let _: i64 = self
                .server
                .ask(&["PEXPIRE", &key, &(left - span).to_string()]);
        }
    }
}

crate::conformance!(single, RedisHouse::new);
