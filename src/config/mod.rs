//! Floor 7: the YAML as written, and the settings as built.
//!
//! Text becomes a tree that knows its places (`tree`), the tree a [`written::ConfigFile`], and
//! that, checked as a whole, a [`Config`]: the sum of every floor's own settings. Nothing on the way
//! has an effect; files of secrets are read, and every fault is collected with its place. No floor
//! below knows that YAML exists, and nothing here runs anything.

mod check;
pub mod environment;
pub mod fault;
pub(crate) mod file;
pub mod flags;
pub mod log;
mod nearest;
pub mod policy_tests;
mod reader;
pub mod secret_source;
mod source;
pub mod state_key;
pub(crate) mod tree;
pub mod written;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::keyring::SessionKey;
use crate::base::origin::{Origin, PublicUrl};
use crate::gate::client_address::TrustedProxies;
use crate::gate::routes::Route;
use crate::provider::{ProviderSettings, RefreshTokens};
use crate::proxy::UpstreamSettings;
use crate::server::{Limits, ListenSettings};
use crate::session::{CookieSettings, SessionLimits, StreamUse};
use crate::store::redis::RedisSettings;

use self::environment::Environment;
use self::fault::{ConfigError, ConfigFault, ConfigWarning, Place};
use self::flags::Flags;
use self::log::LogSettings;

/// Everything that was configured, checked and complete: the sum of each floor's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What browsers see.
    pub public_url: PublicUrl,
    /// Where our own endpoints live, below the public URL: starts with `/`, does not end with one.
    pub prefix: String,
    /// Where requests are taken, at least one.
    pub listen: Vec<ListenSettings>,
    /// Where the probes are answered.
    pub probes: SocketAddr,
    /// The socket for whoever looks after this process.
    pub admin: Option<PathBuf>,
    /// Whose forwarded headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// The providers in the operator's order, at least one, with distinct ids.
    pub providers: Vec<ProviderSettings>,
    /// How sessions are kept.
    pub session: SessionSettings,
    /// The upstreams, at least one unless every route answers by itself; routes name them by index.
    pub upstreams: Vec<UpstreamSettings>,
    /// The routes in the operator's order: the first match wins.
    pub routes: Vec<Route>,
    /// What a connection may cost.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: LogSettings,
    /// How logins are begun.
    pub login: LoginSettings,
    /// What our pages say.
    pub pages: PageSettings,
    /// How long browsers shall come by `https` alone.
    pub hsts: Option<Hsts>,
    /// The switches that weaken something and are on: to be logged at every start.
    pub insecure: Vec<InsecureSwitch>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<ConfigWarning>,
    /// Every file that was read for this, the configuration first: what a reload watches.
    pub sources: Vec<PathBuf>,
}

/// How long browsers shall come by `https` alone (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    /// For how long after an answer.
    pub max_age: Duration,
    /// For which hosts.
    pub reach: HstsReach,
}

/// For which hosts a word about `https` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HstsReach {
    /// For the one that was asked.
    Host,
    /// For those below it, too.
    Subdomains,
    /// For those below it, too, and also for browsers that were never here.
    Preloaded,
}

impl Hsts {
    /// The value of the field `Strict-Transport-Security`.
    #[must_use]
    pub fn value(&self) -> String {
        let reach = match self.reach {
            HstsReach::Host => "",
            HstsReach::Subdomains => "; includeSubDomains",
            HstsReach::Preloaded => "; includeSubDomains; preload",
        };
        format!("max-age={}{reach}", self.max_age.as_secs())
    }
}

/// How sessions are kept.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The keys that seal them.
    pub keys: SessionKeys,
    /// How long they live.
    pub limits: SessionLimits,
    /// How their cookies look.
    pub cookie: CookieSettings,
    /// Where they are kept.
    pub store: StoreSettings,
    /// Whether they are in use while a stream is open.
    pub streams: StreamUse,
    /// How many a person may have at a time.
    pub max_per_user: Option<usize>,
}

impl Config {
    /// Whether this gate would renew sessions that other gates may have, too, without agreeing with them:
    /// in cookies, by refresh tokens, with nothing shared, where nobody said that it is the only one.
    #[must_use]
    pub fn renews_alone(&self) -> bool {
        renew_alone(&self.session.store, &self.providers)
    }
}

fn renew_alone(store: &StoreSettings, providers: &[ProviderSettings]) -> bool {
    let in_cookies = matches!(store.current, StoreKind::Cookie);
    let renews = |one: &ProviderSettings| one.refresh_tokens == RefreshTokens::Use;
    let is_agreed = store.shared.is_some() || store.single_instance;
    in_cookies && !is_agreed && providers.iter().any(renews)
}

/// Where sessions are kept.
#[derive(Debug, Clone, Default)]
pub struct StoreSettings {
    /// Where new ones go.
    pub current: StoreKind,
    /// Where they were kept before, while people move.
    pub previous: Option<StoreKind>,
    /// What several gates share that keep sessions in their cookies: who renews one, and what was
    /// ended.
    pub shared: Option<RedisSettings>,
    /// The file that keeps which sessions in cookies were ended, where they are not told to others.
    pub endings: Option<PathBuf>,
    /// Whether this is the only gate, as the operator says.
    pub single_instance: bool,
}

/// One place for sessions, with all it takes to get there.
#[derive(Debug, Clone, Default)]
pub enum StoreKind {
    /// They travel in their cookie.
    #[default]
    Cookie,
    /// In the process.
    Memory,
    /// In this file.
    Disk(PathBuf),
    /// There.
    Redis(Box<RedisSettings>),
}

/// Where session keys come from.
#[derive(Debug, Clone)]
pub enum SessionKeys {
    /// They were given, at least one: the first seals, all open.
    Given(Vec<SessionKey>),
    /// None were given: they are read from this file, which is made (mode 0600) where it is missing.
    StateFile(PathBuf),
    /// A fresh key at every start, as the operator wrote out: a restart ends every session.
    Ephemeral,
}

/// How logins are begun.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginSettings {
    /// Whether a login leads back to the fragment of the page that was wanted.
    pub fragment: Fragment,
    /// Origins whose pages may show the page that says where to sign in.
    pub embed_origins: Vec<Origin>,
}

/// What becomes of the fragment of the page that was wanted: it never reaches a server by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fragment {
    /// It is lost on the way through the provider.
    #[default]
    Dropped,
    /// A page with one script hands it over before the login begins.
    Kept,
}

/// What our pages say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageSettings {
    /// Whom to ask for help, as text.
    pub support: Option<String>,
    /// A picture, as a `data:` URL.
    pub logo: Option<String>,
    /// Templates that take the place of ours: names of [`PAGE_TEMPLATES`], and their texts.
    pub templates: Vec<(String, String)>,
    /// A style that comes after ours.
    pub style: Option<String>,
    /// Where the file names the folder of them, for what only trying them out finds.
    pub directory_at: Option<Place>,
}

/// The templates that pages are made from.
pub const PAGE_TEMPLATES: [&str; 13] = [
    "base.html",
    "denied.html",
    "error.html",
    "framed.html",
    "keep_fragment.html",
    "login_loop.html",
    "provider_unreachable.html",
    "sign_in.html",
    "sign_out_confirm.html",
    "signed_out.html",
    "unknown_host.html",
    "upstream_unreachable.html",
    "who_am_i.html",
];

/// A switch that weakens something and is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsecureSwitch {
    /// Where it stands, such as `providers[0].insecure_trust_email`.
    pub path: String,
    /// What it gives up, as a sentence without its full stop.
    pub what: &'static str,
}

/// What a configuration is, whether it can be used or not.
#[derive(Debug)]
pub struct Verdict {
    /// The configuration, where it has no fault.
    pub config: Option<Config>,
    /// All faults, in the file's order.
    pub faults: Vec<ConfigFault>,
    /// What is allowed but probably not meant, in the file's order.
    pub warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads and checks the file at `path`, with the process's environment.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or all of its faults.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        Verdict::of_file(path, &Environment::of_process())
            .map_err(unreadable)?
            .into_config()
    }

    /// Checks what flags and environment variables say, with the process's environment.
    ///
    /// # Errors
    /// [`ConfigError::Faulty`] with all faults; their paths are flags.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigError> {
        Verdict::of_flags(flags, &Environment::of_process()).into_config()
    }
}

impl Verdict {
    /// Judges the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read as text.
    pub fn of_file(path: &Path, environment: &Environment) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut verdict = Self::of_text(&text, environment);
        if let Some(config) = &mut verdict.config {
            config.sources.insert(0, path.to_owned());
        }
        Ok(verdict)
    }

    /// Judges the text of a file.
    #[must_use]
    pub fn of_text(text: &str, environment: &Environment) -> Self {
        let read = match file::read(text.to_owned(), environment) {
            Ok(read) => read,
            Err(not_read) => {
                return Self {
                    config: None,
                    faults: not_read.faults,
                    warnings: Vec::new(),
                };
            }
        };
        let origin = check::Origin::File(&read.source);
        let mut findings = check::Findings::new(origin, environment, read.faults);
        let config = check::check(&read.file, &mut findings);
        let (faults, warnings) = findings.finish();
        Self {
            config,
            faults,
            warnings,
        }
    }

    /// Judges flags.
    #[must_use]
    pub fn of_flags(flags: &Flags, environment: &Environment) -> Self {
        let mut findings = check::Findings::new(check::Origin::Flags, environment, Vec::new());
        let config = check::check(&flags.as_file(), &mut findings);
        let (faults, warnings) = findings.finish();
        Self {
            config,
            faults,
            warnings,
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ConfigError::Faulty`] with all faults.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        self.config.ok_or(ConfigError::Faulty {
            faults: self.faults,
        })
    }
}

/// Where the probes are answered by the file at `path`, or by default. Other faults of the file are
/// not looked at: whoever asks a running gate must not be told off for a change that is under way.
///
/// # Errors
/// [`ConfigError`]: the file cannot be read, or this one setting has a fault.
pub fn probes_address(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<SocketAddr, ConfigError> {
    let (address, faults) = alone("probes", path, environment, check::probes)?;
    address.ok_or(ConfigError::Faulty { faults })
}

/// The socket of `admin` in the file at `path`, where there is one; as [`probes_address`] otherwise.
///
/// # Errors
/// [`ConfigError`]: the file cannot be read, or this one setting has a fault.
pub fn admin_socket(
    path: &Path,
    environment: &Environment,
) -> Result<Option<PathBuf>, ConfigError> {
    let (socket, faults) = alone("admin", Some(path), environment, check::admin)?;
    if faults.is_empty() {
        Ok(socket)
    } else {
        Err(ConfigError::Faulty { faults })
    }
}

/// What `of` finds under `key` of the file, or of an empty one, and the faults there.
fn alone<T>(
    key: &'static str,
    path: Option<&Path>,
    environment: &Environment,
    of: impl FnOnce(&written::ConfigFile, &mut check::Findings<'_>) -> Option<T>,
) -> Result<(Option<T>, Vec<ConfigFault>), ConfigError> {
    let text = match path {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?,
    };
    let read = file::read(text, environment).map_err(|not_read| ConfigError::Faulty {
        faults: not_read.faults,
    })?;
    let origin = check::Origin::File(&read.source);
    let shape = read
        .faults
        .into_iter()
        .filter(|fault| fault.path.is_within(key));
    let mut findings = check::Findings::new(origin, environment, shape.collect());
    let found = of(&read.file, &mut findings);
    let (faults, _) = findings.finish();
    Ok((found.filter(|_| faults.is_empty()), faults))
}

#[cfg(test)]
mod tests;
