//! What is known of a Redis before anybody speaks to it: where it is, who we are there, how long it
//! may take. A password is in here as a secret, and in no error.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::secret::Secret;

/// How long a connection may take to stand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is made sure that what others did is still heard.
pub const LISTENING_CHECK: Duration = Duration::from_secs(1);
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const LONGEST_PREFIX: usize = 64;

/// All that a [`super::RedisStore`] needs to know.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is.
    pub place: Place,
    /// Who we are there; none is the default user.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
    /// Who we are for the sentinels, which have users of their own.
    pub sentinel_login: Option<(Option<String>, Secret)>,
    /// How the servers show who they are; none is a connection in the clear.
    pub tls: Option<RedisTls>,
    /// What all keys and channels begin with.
    pub prefix: Prefix,
    /// How long a connection may take to stand, its greeting included.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// How often it is made sure that what others did is still heard.
    pub listening_check: Duration,
}

/// Where a Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One server, with the number of a database.
    Single(Address, u16),
    /// Whichever server the sentinels name as the master of this name.
    Sentinel {
        /// The name that the sentinels know it by.
        master: String,
        /// The sentinels, in the order in which they are asked.
        sentinels: Vec<Address>,
    },
    /// A cluster, of which these are some nodes.
    Cluster(Vec<Address>),
}

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At a host, which may be a name, and a port.
    Tcp(String, u16),
    /// At a socket in the file system.
    Unix(PathBuf),
}

/// TLS toward the servers, sentinels included.
#[derive(Clone, Default)]
pub struct RedisTls {
    /// Certificates in PEM, one of which must vouch for the server; none leaves it to Mozilla's.
    pub ca: Option<Vec<u8>>,
    /// The file that these came from, for whoever shows the settings.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, both in PEM.
    pub own: Option<(Vec<u8>, Secret)>,
}

/// What all keys of a gate begin with, so that several gates can share one Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// What is wrong with an address of a Redis. Nothing of the address is in it: a password might be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Another scheme, or none.
    #[error(
        "a Redis is given as redis://, rediss://, redis+sentinel://, rediss+sentinel://, \
         redis+cluster://, rediss+cluster:// or unix:///PATH"
    )]
    Scheme,
    /// No host, or one with characters that no host has.
    #[error("the address of a Redis has a host that is none")]
    Host,
    /// A port that is none.
    #[error("the address of a Redis has a port that is none")]
    Port,
    /// A `%` without two hexadecimal digits, or what they spell is no UTF-8.
    #[error("the user or password in the address of a Redis is not percent-encoded")]
    Login,
    /// After the hosts stands what does not belong there.
    #[error(
        "after the hosts of a Redis stands the number of a database (redis://HOST/1), the name of \
         the master (redis+sentinel://HOST/NAME), or nothing"
    )]
    Path,
    /// More than one host where there is one.
    #[error("several hosts are for redis+sentinel:// and redis+cluster://")]
    Hosts,
    /// A prefix that would be read as something else.
    #[error("a prefix has 1 to 64 letters, digits, `.`, `_`, `-` and `:`")]
    Prefix,
}

impl Prefix {
    /// This prefix.
    ///
    /// # Errors
    /// [`SettingsError::Prefix`] where it has a character that patterns, hash tags or permissions of
    /// Redis give a meaning to.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
        if text.is_empty() || text.len() > LONGEST_PREFIX || !text.bytes().all(plain) {
            return Err(SettingsError::Prefix);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("sidegate".to_owned())
    }
}

impl RedisSettings {
    /// What an address says, with the default limits and prefix. User and password may stand in it
    /// percent-encoded (RFC 3986 section 2.1).
    ///
    /// # Errors
    /// [`SettingsError`], which never has a part of the address in it.
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        let (scheme, rest) = url.split_once("://").ok_or(SettingsError::Scheme)?;
        if scheme == "unix" {
            if !rest.starts_with('/') {
                return Err(SettingsError::Path);
            }
            return Ok(Self::at(Place::Single(
                Address::Unix(PathBuf::from(rest)),
                0,
            )));
        }
        let (kind, tls) = match scheme.strip_prefix("rediss") {
            Some(kind) => (kind, Some(RedisTls::default())),
            None => (
                scheme.strip_prefix("redis").ok_or(SettingsError::Scheme)?,
                None,
            ),
        };
        if !matches!(kind, "" | "+sentinel" | "+cluster") {
            return Err(SettingsError::Scheme);
        }
        let (login, hosts) = match rest.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, rest),
        };
        let (hosts, path) = hosts.split_once('/').unwrap_or((hosts, ""));
        let mut settings = Self::at(place(kind, hosts, path)?);
        settings.tls = tls;
        if let Some(login) = login {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let user = decoded(user)?;
            settings.username = (!user.is_empty()).then_some(user);
            let password = decoded(password)?;
            settings.password = (!password.is_empty()).then(|| Secret::new(password));
        }
        Ok(settings)
    }

    /// The address, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() {
            "rediss"
        } else {
            "redis"
        };
        let all = |nodes: &[Address]| {
            let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
            nodes.join(",")
        };
        match &self.place {
            Place::Single(Address::Unix(path), _) => format!("unix://{}", path.display()),
            Place::Single(address, 0) => format!("{scheme}://{address}"),
            Place::Single(address, database) => format!("{scheme}://{address}/{database}"),
            Place::Sentinel { master, sentinels } => {
                format!("{scheme}+sentinel://{}/{master}", all(sentinels))
            }
            Place::Cluster(nodes) => format!("{scheme}+cluster://{}", all(nodes)),
        }
    }

    /// A Redis at this place, reached in the clear by the default user, with the default limits.
    #[must_use]
    pub fn at(place: Place) -> Self {
        Self {
            place,
            username: None,
            password: None,
            sentinel_login: None,
            tls: None,
            prefix: Prefix::default(),
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            listening_check: LISTENING_CHECK,
        }
    }
}

fn place(kind: &str, hosts: &str, path: &str) -> Result<Place, SettingsError> {
    let port = if kind == "+sentinel" {
        SENTINEL_PORT
    } else {
        REDIS_PORT
    };
    let mut addresses = Vec::new();
    for host in hosts.split(',') {
        addresses.push(address(host, port)?);
    }
    match kind {
        "+sentinel" if path.is_empty() || path.contains('/') => Err(SettingsError::Path),
        "+sentinel" => Ok(Place::Sentinel {
            master: decoded(path)?,
            sentinels: addresses,
        }),
        "+cluster" if !path.is_empty() => Err(SettingsError::Path),
        "+cluster" => Ok(Place::Cluster(addresses)),
        _ => {
            let database = match path {
                "" => 0,
                number => number.parse().map_err(|_| SettingsError::Path)?,
            };
            let mut addresses = addresses.into_iter();
            match (addresses.next(), addresses.next()) {
                (Some(only), None) => Ok(Place::Single(only, database)),
                _ => Err(SettingsError::Hosts),
            }
        }
    }
}

/// A host, in brackets where it is an IPv6 address, and perhaps a port.
fn address(text: &str, port: u16) -> Result<Address, SettingsError> {
    let (host, after) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(SettingsError::Host)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(SettingsError::Host);
    }
    let port = match after {
        "" => port,
        after => after
            .strip_prefix(':')
            .and_then(|digits| digits.parse().ok())
            .filter(|port| *port != 0)
            .ok_or(SettingsError::Port)?,
    };
    Ok(Address::Tcp(host.to_owned(), port))
}

fn decoded(text: &str) -> Result<String, SettingsError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let value = high.zip(low).map(|(high, low)| high * 16 + low);
        let value = value.and_then(|value| u8::try_from(value).ok());
        bytes.push(value.ok_or(SettingsError::Login)?);
    }
    String::from_utf8(bytes).map_err(|_| SettingsError::Login)
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("ca", &self.ca.is_some())
            .field("ca_file", &self.ca_file)
            .field("own", &self.own.is_some())
            .finish()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp(host.to_owned(), port)
    }

    #[test]
    fn an_address_says_where_and_of_what_kind_a_redis_is() {
        let place = |url| RedisSettings::parse(url).map(|s| (s.place, s.tls.is_some()));
        let single = |address, number| Ok((Place::Single(address, number), false));
        assert_eq!(place("redis://one"), single(tcp("one", 6379), 0));
        assert_eq!(place("redis://one:6380/3"), single(tcp("one", 6380), 3));
        assert_eq!(place("redis://[::1]:7"), single(tcp("::1", 7), 0));
        let socket = Address::Unix(PathBuf::from("/run/redis.sock"));
        assert_eq!(place("unix:///run/redis.sock"), single(socket, 0));
        let safe = Place::Single(tcp("one", 6379), 0);
        assert_eq!(place("rediss://one"), Ok((safe, true)));
        let sentinels = Place::Sentinel {
            master: "main".to_owned(),
            sentinels: vec![tcp("a", 26379), tcp("b", 5)],
        };
        assert_eq!(place("redis+sentinel://a,b:5/main"), Ok((sentinels, false)));
        let cluster = Place::Cluster(vec![tcp("a", 6379), tcp("b", 5)]);
        assert_eq!(place("rediss+cluster://a,b:5"), Ok((cluster, true)));
    }

    // S6: whatever is wrong with an address, its password is in no error and no print.
    #[test]
    fn a_password_is_printed_neither_from_settings_nor_from_a_bad_address() {
        let good = RedisSettings::parse("rediss://me:hunter%402@one:6380").unwrap();
        assert_eq!(good.username.as_deref(), Some("me"));
        assert!(good.password.as_ref().unwrap().equals("hunter@2"));
        assert!(!format!("{good:?}").contains("hunter"));
        for (bad, error) in [
            ("http://me:hunter2@one", SettingsError::Scheme),
            ("me:hunter2@one", SettingsError::Scheme),
            ("redis+other://me:hunter2@one", SettingsError::Scheme),
            ("redis://me:hunter2@", SettingsError::Host),
            ("redis://me:hunter2@one two", SettingsError::Host),
            ("redis://me:hunter2@[::1", SettingsError::Host),
            ("redis://me:hunter2@one:port", SettingsError::Port),
            ("redis://me:hunter2@one:0", SettingsError::Port),
            ("redis://me:hunter2", SettingsError::Port),
            ("redis://me:hunter2%@one", SettingsError::Login),
            ("redis://me:hunter2%ff@one", SettingsError::Login),
            ("redis://me:hunter2@one/x", SettingsError::Path),
            ("redis+sentinel://me:hunter2@one", SettingsError::Path),
            ("redis+cluster://me:hunter2@one/1", SettingsError::Path),
            ("unix://me:hunter2@one", SettingsError::Path),
            ("redis://me:hunter2@one,two", SettingsError::Hosts),
        ] {
            let found = RedisSettings::parse(bad).unwrap_err();
            assert_eq!(found, error, "{bad}");
            assert!(!format!("{found} {found:?}").contains("hunter"), "{bad}");
        }
    }

    // S3: nothing in a key can be read as a pattern, a hash tag or another gate's key.
    #[test]
    fn a_prefix_has_no_character_with_a_meaning() {
        assert!(Prefix::parse("gate-1.eu:x_y").is_ok());
        let long = "a".repeat(LONGEST_PREFIX + 1);
        for bad in ["", "a b", "a*", "a?", "a[b", "{a}", "a\r\nb", "ä", &long] {
            assert_eq!(Prefix::parse(bad), Err(SettingsError::Prefix), "{bad:?}");
        }
    }
}
