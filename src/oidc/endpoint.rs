//! The absolute URL of something at the provider.

use std::fmt;

use url::Url;

use crate::base::origin::Host;

/// Which endpoints of a provider are acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointRules {
    /// `https` alone.
    HttpsOnly,
    /// `https`, and plain `http` to this machine. Where the issuer itself is `https` this is the
    /// same as [`EndpointRules::HttpsOnly`]: a provider out there has no business naming our
    /// loopback ports.
    HttpsOrLoopback,
    /// Plain `http` to anywhere, which an operator asked for by an `insecure_` key.
    InsecureHttp,
}

impl EndpointRules {
    /// The rules for the endpoints of this issuer, as it was configured.
    #[must_use]
    pub fn for_issuer(self, issuer: &str) -> Self {
        match self {
            Self::HttpsOrLoopback if issuer.starts_with("https://") => Self::HttpsOnly,
            rules => rules,
        }
    }
}

/// An absolute `http` or `https` URL with a host, without user information and without a fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL, or written with characters no URL has.
    #[error("not an absolute https URL")]
    NotUrl,
    /// Plain `http` where it is not allowed.
    #[error("plain http is allowed only to this machine, and only where the issuer is there too")]
    PlainHttp,
    /// It carries a user name or a password.
    #[error("user information has no place here")]
    UserInformation,
    /// It carries a fragment.
    #[error("a fragment has no place here")]
    Fragment,
    /// Its query sets a parameter that is ours to set.
    #[error("its query sets `{0}`, which is ours to set")]
    OwnParameter(&'static str),
}

impl Endpoint {
    /// Parses `text` and holds it to `rules`.
    ///
    /// # Errors
    /// [`EndpointError`], but never [`EndpointError::OwnParameter`].
    pub fn parse(text: &str, rules: EndpointRules) -> Result<Self, EndpointError> {
        // The URL parser forgives what browsers forgive (`https:host`, `\`, tabs); we do not.
        let visible = |b: u8| b.is_ascii_graphic() && b != b'\\';
        let absolute = text.starts_with("https://") || text.starts_with("http://");
        let authority = authority(text);
        if !absolute || authority.is_empty() || !text.bytes().all(visible) {
            return Err(EndpointError::NotUrl);
        }
        // Also an empty user name, which the URL parser would forget.
        if authority.contains('@') {
            return Err(EndpointError::UserInformation);
        }
        let url = Url::parse(text).map_err(|_| EndpointError::NotUrl)?;
        let host = url.host_str().ok_or(EndpointError::NotUrl)?;
        let host = Host::parse(host).map_err(|_| EndpointError::NotUrl)?;
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        if url.as_str().parse::<http::Uri>().is_err() {
            return Err(EndpointError::NotUrl);
        }
        let secure = match rules {
            EndpointRules::HttpsOnly => url.scheme() == "https",
            EndpointRules::HttpsOrLoopback => url.scheme() == "https" || host.is_loopback(),
            EndpointRules::InsecureHttp => true,
        };
        if secure {
            Ok(Self(url))
        } else {
            Err(EndpointError::PlainHttp)
        }
    }

    /// Refuses a query that sets one of `names`: ours would then be there twice.
    pub(super) fn without(self, names: &[&'static str]) -> Result<Self, EndpointError> {
        let set = names
            .iter()
            .find(|&&name| self.0.query_pairs().any(|(key, _)| key == name));
        match set {
            Some(name) => Err(EndpointError::OwnParameter(name)),
            None => Ok(self),
        }
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// What stands between `//` and the path; empty where there is none.
fn authority(text: &str) -> &str {
    text.split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .unwrap_or_default()
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // B3: https, or http on loopback; no user information, no fragment.
    #[test]
    fn an_endpoint_is_an_https_url_or_on_this_machine() {
        use EndpointError::{Fragment, NotUrl, PlainHttp, UserInformation};
        for (text, verdict) in [
            ("https://i.test/token", Ok(())),
            ("https://i.test:8443/token?tenant=a", Ok(())),
            ("http://127.0.0.1:9000/token", Ok(())),
            ("http://[::1]:9000/token", Ok(())),
            ("http://localhost/token", Ok(())),
            ("http://i.test/token", Err(PlainHttp)),
            ("http://127.0.0.1.evil.test/token", Err(PlainHttp)),
            ("http://10.0.0.1/token", Err(PlainHttp)),
            ("file:///etc/passwd", Err(NotUrl)),
            ("gopher://i.test/", Err(NotUrl)),
            ("//i.test/token", Err(NotUrl)),
            ("/token", Err(NotUrl)),
            ("https:i.test", Err(NotUrl)),
            ("https:\\\\i.test", Err(NotUrl)),
            ("https://i.test\\token", Err(NotUrl)),
            ("HTTPS://i.test", Err(NotUrl)),
            ("https://", Err(NotUrl)),
            ("https:///token", Err(NotUrl)),
            ("https://i.test/\ttoken", Err(NotUrl)),
            ("https://i.test/ token", Err(NotUrl)),
            ("https://b\u{fc}cher.test/", Err(NotUrl)),
            ("https://u:p@i.test/token", Err(UserInformation)),
            ("https://u@i.test/token", Err(UserInformation)),
            ("https://@i.test/token", Err(UserInformation)),
            ("https://i.test/token#x", Err(Fragment)),
            ("https://i.test/token#", Err(Fragment)),
        ] {
            let parsed = Endpoint::parse(text, EndpointRules::HttpsOrLoopback).map(|_| ());
            assert_eq!(parsed, verdict, "{text:?}");
        }
    }

    // B3: a provider elsewhere cannot point us at our own loopback ports.
    #[test]
    fn a_public_issuer_has_no_plain_endpoints_on_this_machine() {
        let rules = EndpointRules::HttpsOrLoopback.for_issuer("https://i.test");
        assert_eq!(
            Endpoint::parse("http://127.0.0.1:4182/reload", rules).map(|_| ()),
            Err(EndpointError::PlainHttp)
        );
        let rules = EndpointRules::HttpsOrLoopback.for_issuer("http://127.0.0.1:9000");
        assert!(Endpoint::parse("http://127.0.0.1:9000/token", rules).is_ok());
        let rules = EndpointRules::InsecureHttp.for_issuer("https://i.test");
        assert!(Endpoint::parse("http://keycloak:8080/token", rules).is_ok());
    }

    // A18: what the provider wrote into its endpoint cannot double what we set.
    #[test]
    fn a_query_that_sets_our_parameters_is_refused() {
        let endpoint = |text| Endpoint::parse(text, EndpointRules::HttpsOnly).unwrap();
        let names = &["client_id", "state"];
        assert!(endpoint("https://i.test/a?p=b2c").without(names).is_ok());
        for text in ["https://i.test/a?state=x", "https://i.test/a?p=1&st%61te="] {
            assert_eq!(
                endpoint(text).without(names).map(|_| ()),
                Err(EndpointError::OwnParameter("state")),
                "{text}"
            );
        }
    }
}
