//! The gate under test: in this process, on ports of the kernel's, with a clock that a test moves
//! and a log that it reads.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sidegate::app::log_line::{Level, Style};
use sidegate::app::log_names::UserLogging;
use sidegate::app::log_sink::LogSink;
use sidegate::app::{App, Logs, Shared, reload};
use sidegate::base::clock::Clock;
use sidegate::base::secret::Secret;
use sidegate::config::Verdict;
use sidegate::config::environment::Environment;
use sidegate::demo::provider::ClientRegistration;
use sidegate::provider::Standing;
use tokio::sync::oneshot;

use super::browser::Browser;
use super::provider::TestProvider;
use super::raw::PATIENCE;
use super::upstream::Upstream;

/// The gate's public URL in most tests: a browser's TLS ends in front of it.
pub(crate) const PUBLIC: &str = "https://gate.test";
pub(crate) const SECRET: &str = "canary-client-secret-4f1d";
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A running gate. It stops when it is dropped.
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    /// All of them, in the order of `listen`.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) probes: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
    log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Everything that was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Instance {
    /// Starts the gate that `yaml` describes; `listen` and `probes` are added.
    pub(crate) fn start(yaml: &str, clock: &Clock) -> Self {
        Self::start_listening(yaml, "listen: [{ address: 127.0.0.1:0 }]", clock)
    }

    /// Starts the gate that `yaml` describes, with these listeners; `probes` are added.
    pub(crate) fn start_listening(yaml: &str, listen: &str, clock: &Clock) -> Self {
        sidegate::transport::tls::install_crypto();
        let text = format!("{yaml}\n{listen}\nprobes: {{ address: 127.0.0.1:0 }}\n");
        let verdict = Verdict::of_text(&text, &Environment::of_process());
        let faults: Vec<String> = verdict.faults.iter().map(ToString::to_string).collect();
        let config = verdict
            .config
            .unwrap_or_else(|| panic!("{}\n{text}", faults.join("\n")));
        let log = Log::default();
        let (sink, writer) = LogSink::start(log.clone(), Style::Json).unwrap();
        let logs = Logs {
            sink,
            least: Level::Debug,
            users: UserLogging::Hash,
        };
        let (started, starting) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let moved = clock.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let app = App::start(config, moved, 2, logs).await.unwrap();
                started
                    .send((app.addresses.clone(), app.probes, Arc::clone(app.shared())))
                    .unwrap();
                drop(stopped.await);
                app.stop().await;
            });
            drop(writer);
        });
        let (addresses, probes, shared) = starting.recv().unwrap();
        Self {
            address: addresses[0],
            addresses,
            probes,
            clock: clock.clone(),
            shared,
            log,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What was logged so far, once a line that contains `word` has come.
    pub(crate) fn logged(&self, word: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let text = String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned();
            if text.contains(word) {
                return text;
            }
            std::thread::yield_now();
        }
        panic!(
            "`{word}` was never logged: {}",
            String::from_utf8_lossy(&self.log.0.lock().unwrap())
        );
    }

    /// Until the gate knows its providers: they are asked in the background.
    pub(crate) fn await_providers(&self) {
        self.await_standing(|standings| {
            let up = |one: &Standing| matches!(one, Standing::Up { .. });
            standings.iter().all(up).then_some(())
        });
    }

    /// What is wrong with the first provider that has something wrong with it.
    pub(crate) fn await_fault(&self) -> String {
        self.await_standing(|standings| {
            standings.iter().find_map(|one| match one {
                Standing::Down { cause, .. } => Some(cause.clone()),
                Standing::Unasked | Standing::Up { .. } => None,
            })
        })
    }

    fn await_standing<T>(&self, seen: impl Fn(&[Standing]) -> Option<T>) -> T {
        let limit = Instant::now() + Duration::from_secs(60);
        let generation = self.shared.current.load();
        loop {
            let all = generation.providers.iter();
            let standings: Vec<_> = all.map(|provider| provider.health().standing()).collect();
            if let Some(found) = seen(&standings) {
                return found;
            }
            assert!(Instant::now() < limit, "{standings:?}: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// Everything that was logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }

    /// Swaps in another configuration; `Err` is what was wrong with it.
    pub(crate) fn reload(&self, yaml: &str) -> Result<(), String> {
        let text = format!(
            "{yaml}\nlisten: [{{ address: 127.0.0.1:0 }}]\nprobes: {{ address: 127.0.0.1:0 }}\n"
        );
        let verdict = Verdict::of_text(&text, &Environment::of_process());
        let config = verdict.into_config().map_err(|error| error.to_string())?;
        reload::apply(config, &self.shared).map_err(|error| error.to_string())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A whole world: provider, app, gate.
pub(crate) struct World {
    pub(crate) provider: TestProvider,
    pub(crate) app: Upstream,
    pub(crate) gate: Instance,
}

/// The session key file that all worlds share: reading it is what an operator's gate does too.
pub(crate) fn key_file() -> String {
    static FILE: std::sync::OnceLock<tempfile::TempPath> = std::sync::OnceLock::new();
    let path = FILE.get_or_init(|| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{KEY}").unwrap();
        file.into_temp_path()
    });
    path.display().to_string()
}

/// The file with the client's secret.
pub(crate) fn secret_file() -> String {
    static FILE: std::sync::OnceLock<tempfile::TempPath> = std::sync::OnceLock::new();
    let path = FILE.get_or_init(|| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{SECRET}").unwrap();
        file.into_temp_path()
    });
    path.display().to_string()
}

/// The configuration of a world, to which `more` is added.
pub(crate) fn yaml(issuer: &str, app: &str, more: &str) -> String {
    format!(
        "public_url: {PUBLIC}\nproviders:\n  - issuer: {issuer}\n    client_id: dashboards\n    client_secret: {{ file: {} }}\nsession: {{ keys: [{{ file: {} }}] }}\nupstreams: {{ app: {app} }}\n{more}\n",
        secret_file(),
        key_file()
    )
}

/// Registers the gate at a provider, as an operator does.
pub(crate) fn register(provider: &TestProvider, id: &str, callback: &str) {
    let mut client = ClientRegistration::new(
        id,
        Some(Secret::new(SECRET.to_owned())),
        format!("{PUBLIC}{callback}"),
    );
    client.post_logout_redirect_uris = vec![format!("{PUBLIC}/oauth2/sign_out")];
    provider.provider().register(client).unwrap();
}

impl World {
    /// Everything honest, one route, `signed_in`.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With these further lines of configuration.
    pub(crate) fn with(more: &str) -> Self {
        Self::before(Upstream::start(), more)
    }

    /// With these listeners, and these further lines of configuration.
    pub(crate) fn listening(listen: &str, more: &str) -> Self {
        Self::listening_before(Upstream::start(), listen, more)
    }

    /// The same before this app.
    pub(crate) fn listening_before(app: Upstream, listen: &str, more: &str) -> Self {
        let url = app.url();
        Self {
            app,
            ..Self::listening_at(&url, listen, more)
        }
    }

    /// The same before what is at `url`.
    pub(crate) fn listening_at(url: &str, listen: &str, more: &str) -> Self {
        let (provider, app) = (TestProvider::start(), Upstream::start());
        register(&provider, "dashboards", "/oauth2/callback");
        let text = yaml(provider.issuer(), url, more);
        let world = Self {
            gate: Instance::start_listening(&text, listen, provider.clock()),
            provider,
            app,
        };
        world.await_provider();
        world
    }

    /// Before this app.
    pub(crate) fn before(app: Upstream, more: &str) -> Self {
        let provider = TestProvider::start();
        register(&provider, "dashboards", "/oauth2/callback");
        let gate = Instance::start(&yaml(provider.issuer(), &app.url(), more), provider.clock());
        let world = Self {
            provider,
            app,
            gate,
        };
        world.await_provider();
        world
    }

    /// With these further lines in the provider's settings, such as `    userinfo: always`.
    pub(crate) fn with_provider(lines: &str, more: &str) -> Self {
        let (provider, app) = (TestProvider::start(), Upstream::start());
        register(&provider, "dashboards", "/oauth2/callback");
        let text = yaml(provider.issuer(), &app.url(), more);
        let client = "    client_id: dashboards\n";
        let text = text.replace(client, &format!("{client}{lines}\n"));
        let world = Self {
            gate: Instance::start(&text, provider.clock()),
            provider,
            app,
        };
        world.await_provider();
        world
    }

    /// With these further settings of `session`.
    pub(crate) fn with_session(settings: &str, more: &str) -> Self {
        let (provider, app) = (TestProvider::start(), Upstream::start());
        register(&provider, "dashboards", "/oauth2/callback");
        let text = yaml(provider.issuer(), &app.url(), more);
        let text = text.replace("session: { ", &format!("session: {{ {settings}, "));
        let world = Self {
            gate: Instance::start(&text, provider.clock()),
            provider,
            app,
        };
        world.await_provider();
        world
    }

    /// Until the gate knows its providers: they are asked in the background.
    pub(crate) fn await_provider(&self) {
        self.gate.await_providers();
    }

    /// A browser that reaches the gate under its public name.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new().resolve(PUBLIC, self.gate.address)
    }

    /// A browser in which `username` has signed in.
    pub(crate) fn signed_in(&self, username: &str) -> Browser {
        let mut browser = self.browser();
        let form = browser.visit(&format!("{PUBLIC}/"));
        let page = browser.sign_in(&form, username);
        assert_eq!(page.answer.status, 200, "{:?}", page.answer);
        browser
    }
}
