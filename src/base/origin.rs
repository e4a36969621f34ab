//! Hosts, origins and the URL that browsers see.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host as UrlHost, Url};

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URL, without the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of this scheme leaves out.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host name or IP literal in canonical form: lower case, no trailing dot, IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Box<str>);

/// The text is not a host and optional port as RFC 9110 section 7.2 wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host with an optional port")]
pub struct AuthorityError;

impl Host {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names this machine: `localhost`, a name under it, or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let bare = self.0.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Parses a host without a port.
    ///
    /// # Errors
    /// [`AuthorityError`] for anything that is no registered name of letters, digits, `-`, `.` and
    /// `_`, no IPv4 address and no bracketed IPv6 address. Names that are not ASCII must come in
    /// their A-label form.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AuthorityError)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| AuthorityError)?;
            return Ok(Self(format!("[{address}]").into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        // One walk over the name: the length of the label that is under way, and whether it is a number.
        let (mut label, mut is_number) = (0, true);
        for byte in name.bytes() {
            match byte {
                b'.' if label > 0 => (label, is_number) = (0, true),
                b'0'..=b'9' => label += 1,
                b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => (label, is_number) = (label + 1, false),
                _ => return Err(AuthorityError),
            }
            if label > 63 {
                return Err(AuthorityError);
            }
        }
        if label == 0 || name.len() > 253 {
            return Err(AuthorityError);
        }
        // A name that ends in a number is an IPv4 address or nothing (WHATWG URL, "ends in a number").
        if is_number && name.parse::<Ipv4Addr>().is_err() {
            return Err(AuthorityError);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Host and optional port, as in a `Host` field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The host in canonical form.
    pub host: Host,
    /// The port, where one was written.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses `host` or `host:port` (RFC 9110 section 7.2, RFC 3986 section 3.2).
    ///
    /// # Errors
    /// [`AuthorityError`]: empty, user information, a path, white space, a comma, a port that is
    /// empty, zero, above 65535 or not plain digits.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let end = text.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match text.get(end..).and_then(|rest| rest.rfind(':')) {
            None => (text, None),
            Some(at) => {
                let (host, port) = text.split_at_checked(end + at).ok_or(AuthorityError)?;
                (
                    host,
                    Some(parse_port(port.get(1..).ok_or(AuthorityError)?)?),
                )
            }
        };
        Ok(Self {
            host: Host::parse(host)?,
            port,
        })
    }
}

fn parse_port(text: &str) -> Result<u16, AuthorityError> {
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthorityError);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(AuthorityError),
        Ok(port) => Ok(port),
    }
}

/// Scheme, host and port (RFC 6454). Two origins are equal when all three are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// The text is not an absolute `http` or `https` URL of the form asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all, or another scheme.
    #[error("not an http or https URL")]
    NotHttp,
    /// It carries user information, a query or a fragment.
    #[error("user information, a query and a fragment have no place here")]
    Surplus,
    /// It carries a path where only an origin is asked for.
    #[error("an origin has no path")]
    Path,
    /// A path with `//`, `.`, `..`, `%` or characters outside the unreserved set.
    #[error("the path may hold only letters, digits, `-`, `.`, `_`, `~` and single slashes")]
    OddPath,
}

impl Origin {
    /// The origin of these three parts.
    #[must_use]
    pub fn new(scheme: Scheme, host: Host, port: u16) -> Self {
        Self { scheme, host, port }
    }

    /// The same scheme and port at `host`.
    #[must_use]
    pub fn with_host(&self, host: Host) -> Self {
        Self { host, ..*self }
    }

    /// Parses `scheme://host[:port]`, as in an `Origin` field; a single trailing slash is allowed.
    ///
    /// # Errors
    /// [`OriginError`]; `null` is [`OriginError::NotHttp`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let public = PublicUrl::parse(text)?;
        if public.path.is_empty() {
            Ok(public.origin)
        } else {
            Err(OriginError::Path)
        }
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, also where the URL left it out.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether a request whose `Host` says `authority` is for this origin: same host, same port, a
    /// missing port being the scheme's own.
    #[must_use]
    pub fn answers_to(&self, authority: &Authority) -> bool {
        self.host == authority.host
            && self.port == authority.port.unwrap_or_else(|| self.scheme.default_port())
    }

    /// `host` or `host:port`, as a browser writes it into `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    /// The serialisation of RFC 6454 section 6.2: the default port is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// What browsers see: an origin and the path our cookies and endpoints live under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicUrl {
    origin: Origin,
    /// Empty, or starting with `/` and not ending with one.
    path: String,
}

impl PublicUrl {
    /// Parses `scheme://host[:port][/path]`.
    ///
    /// # Errors
    /// [`OriginError`]: another scheme, user information, a query, a fragment, or a path that has
    /// more than one reading.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return Err(OriginError::NotHttp);
        };
        if rest.contains(['@', '?', '#']) {
            return Err(OriginError::Surplus);
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let authority = parse_url_authority(scheme, authority).ok_or(OriginError::NotHttp)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let sound = path.is_empty()
            || path
                .split('/')
                .skip(1)
                .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain));
        if !sound {
            return Err(OriginError::OddPath);
        }
        let port = authority.port.unwrap_or_else(|| scheme.default_port());
        Ok(Self {
            origin: Origin::new(scheme, authority.host, port),
            path: path.to_owned(),
        })
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path: empty, or starting with `/` and not ending with one.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The absolute URL of `path`, which starts with `/`, below this URL's own path.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }
}

/// Names that are not ASCII become A-labels here, since people write configuration and browsers
/// send the A-label.
fn parse_url_authority(scheme: Scheme, text: &str) -> Option<Authority> {
    if let Ok(authority) = Authority::parse(text) {
        return Some(authority);
    }
    if text.is_ascii() {
        return None;
    }
    let url = Url::parse(&format!("{}://{text}/", scheme.as_str())).ok()?;
    match url.host()? {
        UrlHost::Domain(name) => Some(Authority {
            host: Host::parse(name).ok()?,
            port: url.port(),
        }),
        UrlHost::Ipv4(_) | UrlHost::Ipv6(_) => None,
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // I8: case, trailing dot and default port are canonical before anything is matched.
    #[test]
    fn a_host_is_canonical_before_it_is_compared() {
        let origin = Origin::parse("https://App.Example.test").unwrap();
        for same in [
            "app.example.test",
            "APP.example.TEST",
            "app.example.test.",
            "app.example.test:443",
        ] {
            assert!(
                origin.answers_to(&Authority::parse(same).unwrap()),
                "{same}"
            );
        }
        for other in ["app.example.test:80", "example.test", "xapp.example.test"] {
            assert!(
                !origin.answers_to(&Authority::parse(other).unwrap()),
                "{other}"
            );
        }
        assert_eq!(Authority::parse("[::1]:8080").unwrap().port, Some(8080));
        assert_eq!(Authority::parse("[0:0::1]").unwrap().host.as_str(), "[::1]");
    }

    // I8: everything else that a Host field may not be.
    #[test]
    fn a_broken_host_is_refused() {
        for bad in [
            "",
            " ",
            "a b",
            "a/b",
            "u@a",
            "a,b",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:8o",
            "a::80",
            ".a",
            "a..b",
            "[::1",
            "::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "a\u{e9}",
            "a%2eb",
            "1.2.3",
            "1.2.3.256",
            ".",
            "a#",
        ] {
            assert_eq!(Authority::parse(bad), Err(AuthorityError), "{bad:?}");
        }
    }

    #[test]
    fn an_origin_is_nothing_but_scheme_host_and_port() {
        assert_eq!(
            Origin::parse("https://a.test:443").unwrap(),
            Origin::parse("https://a.test/").unwrap()
        );
        assert_ne!(
            Origin::parse("https://a.test").unwrap(),
            Origin::parse("http://a.test").unwrap()
        );
        assert_ne!(
            Origin::parse("https://a.test").unwrap(),
            Origin::parse("https://a.test:8443").unwrap()
        );
        for bad in [
            "null",
            "https://a.test/x",
            "https://u@a.test",
            "ftp://a.test",
            "a.test",
            "https:a.test",
            "https://",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Origin::parse("https://b\u{fc}cher.test")
                .unwrap()
                .to_string(),
            "https://xn--bcher-kva.test"
        );
    }

    #[test]
    fn a_public_url_may_have_a_plain_path() {
        let url = PublicUrl::parse("https://a.test/tools/dash/").unwrap();
        assert_eq!(
            (url.path(), url.to_string().as_str()),
            ("/tools/dash", "https://a.test/tools/dash")
        );
        assert_eq!(
            url.join("/oauth2/callback"),
            "https://a.test/tools/dash/oauth2/callback"
        );
        for bad in [
            "https://a.test//x",
            "https://a.test/../x",
            "https://a.test/%2e",
            "https://a.test/x?y",
            "https://a.test/x#y",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        for (name, is) in [
            ("localhost", true),
            ("x.localhost", true),
            ("127.0.0.9", true),
            ("[::1]", true),
            ("a.test", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(Host::parse(name).unwrap().is_loopback(), is, "{name}");
        }
    }
}
