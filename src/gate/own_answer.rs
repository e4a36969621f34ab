//! What a route answers by itself, in place of an upstream: a fixed answer, or the way elsewhere.
//!
//! All of it is the operator's text. What a redirect takes over from the request is appended where it
//! can be part of a path or a query only, and what could be read as anything else is not taken over.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::path_pattern::PathPattern;
use crate::base::origin::{Authority, Host, Origin, Scheme};
use crate::base::target::Target;

/// What a route answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnAnswer {
    /// The same answer to everybody who may have it.
    Respond(FixedAnswer),
    /// The way elsewhere.
    Redirect(Redirection),
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAnswer {
    /// The status.
    pub status: StatusCode,
    /// The body; empty where the status has none.
    pub body: Bytes,
    /// Further fields, `Content-Type` among them where there is a body.
    pub headers: HeaderMap,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Where it leads.
    pub to: Destination,
    /// Whether what `/**` stands for in the route's path is appended.
    pub path: Kept,
    /// Whether the query is appended.
    pub query: Kept,
}

/// What becomes of a part of the request's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It goes along.
    Kept,
    /// It is left behind.
    Dropped,
}

/// Where a redirect leads: a place on the same origin, or an absolute URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    origin: Option<Origin>,
    /// Empty, or starting with one `/`.
    path: String,
    /// With its `?`; empty where there is none.
    query: String,
    /// With its `#`; empty where there is none.
    fragment: String,
}

/// The text is no place to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Neither a path nor a URL.
    #[error("not a path that begins with one `/`, and not an http or https URL")]
    NoPlace,
    /// The host and port of the URL are none.
    #[error("not a host with an optional port")]
    Host,
    /// Something that browsers disagree about.
    #[error(
        "only visible ASCII, without `\\`, `\"`, `<`, `>`, `^`, `` ` ``, `{{`, `|` and `}}`, can stand in a URL"
    )]
    Character,
    /// `//`, `.` or `..` in the path.
    #[error("a path with `//`, `.` or `..` has more than one reading")]
    OddPath,
}

impl Destination {
    /// Parses `/path`, or `https://host[:port][/path]`, each with an optional query and fragment.
    ///
    /// # Errors
    /// [`DestinationError`].
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        if !text.bytes().all(is_of_url) {
            return Err(DestinationError::Character);
        }
        let (rest, fragment) = split_at_first(text, '#');
        let (place, query) = split_at_first(rest, '?');
        let (origin, path) = if place.starts_with('/') {
            (None, place)
        } else {
            let (scheme, rest) = match (
                place.strip_prefix("https://"),
                place.strip_prefix("http://"),
            ) {
                (Some(rest), _) => (Scheme::Https, rest),
                (None, Some(rest)) => (Scheme::Http, rest),
                (None, None) => return Err(DestinationError::NoPlace),
            };
            let (authority, path) = split_at_first(rest, '/');
            let authority = Authority::parse(authority).map_err(|_| DestinationError::Host)?;
            let port = authority.port.unwrap_or_else(|| scheme.default_port());
            (Some(Origin::new(scheme, authority.host, port)), path)
        };
        // `//host` is a place on another origin to browsers, whatever it looks like.
        let odd = |segment: &str| is_dots(segment);
        let mut segments = path.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            if odd(segment) || (segment.is_empty() && segments.peek().is_some()) {
                return Err(DestinationError::OddPath);
            }
        }
        Ok(Self {
            origin,
            path: path.to_owned(),
            query: query.to_owned(),
            fragment: fragment.to_owned(),
        })
    }

    /// The origin, where it is written.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The path, as a request for it would have it.
    #[must_use]
    pub fn path(&self) -> &str {
        if self.path.is_empty() {
            "/"
        } else {
            &self.path
        }
    }

    /// Whether it has a query.
    #[must_use]
    pub fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    /// Whether it has a fragment.
    #[must_use]
    pub fn has_fragment(&self) -> bool {
        !self.fragment.is_empty()
    }
}

impl std::fmt::Display for Destination {
    /// The destination as it stands in the configuration, its host in canonical form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}")?;
        }
        write!(f, "{}{}{}", self.path, self.query, self.fragment)
    }
}

impl Redirection {
    /// Where a request for `target` is led, that matched the route with `pattern`; nothing, where what
    /// should go along has more than one reading.
    #[must_use]
    pub fn location(&self, target: &Target, pattern: Option<&PathPattern>) -> Option<String> {
        let to = &self.to;
        let mut location = to.origin.as_ref().map_or(String::new(), Origin::to_string);
        let rest = match (self.path, pattern) {
            (Kept::Dropped, _) => "",
            (Kept::Kept, None) => target.path(),
            (Kept::Kept, Some(pattern)) => pattern.rest(target.path())?,
        };
        if !is_plain_rest(rest) {
            return None;
        }
        let path = if rest.is_empty() {
            to.path.as_str()
        } else {
            to.path.strip_suffix('/').unwrap_or(&to.path)
        };
        location.push_str(path);
        location.push_str(rest);
        match (self.query, target.query()) {
            (Kept::Kept, Some(query)) => {
                // Behind the first `?` nothing changes the place any more; bytes that no browser sends
                // raw are not passed on all the same.
                if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return None;
                }
                location.push('?');
                location.push_str(query);
            }
            (Kept::Kept, None) | (Kept::Dropped, _) => location.push_str(&to.query),
        }
        location.push_str(&to.fragment);
        Some(location)
    }

    /// Whether it leads to this path on this host, where it is asked for there.
    #[must_use]
    pub fn leads_to(&self, host: &Host, path: &[u8]) -> bool {
        let origin = self.to.origin.as_ref();
        self.to.path().as_bytes() == path && origin.is_none_or(|origin| origin.host() == host)
    }
}

fn split_at_first(text: &str, mark: char) -> (&str, &str) {
    text.find(mark)
        .and_then(|at| text.split_at_checked(at))
        .unwrap_or((text, ""))
}

/// What stands in a URL unencoded, as RFC 3986 has it, and to browsers (WHATWG URL) too.
fn is_of_url(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}'
        )
}

/// `.` or `..`, in any spelling that a browser takes for it.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..")
}

/// Whether `rest` is empty or `/` and segments that mean the same to everybody: none is empty, save
/// the last, none is a step upwards, and none holds an encoded slash, backslash or control byte.
fn is_plain_rest(rest: &str) -> bool {
    let Some(below) = rest.strip_prefix('/') else {
        return rest.is_empty();
    };
    let mut segments = below.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if (segment.is_empty() && !last)
            || is_dots(segment)
            || !segment.bytes().all(is_of_url)
            || !encodes_plainly(segment)
        {
            return false;
        }
    }
    true
}

/// Whether every `%` is that of two hexadecimal digits, for a byte that is no slash, backslash, `%` or
/// control byte.
fn encodes_plainly(segment: &str) -> bool {
    segment.split('%').skip(1).all(|after| {
        let byte = after.get(..2).and_then(|digits| {
            let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        });
        byte.is_some_and(|byte| !byte.is_ascii_control() && !matches!(byte, b'/' | b'\\' | b'%'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(to: &str) -> Redirection {
        Redirection {
            status: StatusCode::FOUND,
            to: Destination::parse(to).unwrap(),
            path: Kept::Kept,
            query: Kept::Kept,
        }
    }

    fn led(to: &str, pattern: &str, target: &str) -> Option<String> {
        let pattern = PathPattern::parse(pattern).unwrap();
        leading(to).location(&Target::parse(target).unwrap(), Some(&pattern))
    }

    #[test]
    fn the_rest_of_the_path_and_the_query_go_along() {
        for (to, pattern, target, wanted) in [
            ("/new", "/old/**", "/old", "/new"),
            ("/new", "/old/**", "/old/", "/new/"),
            ("/new", "/old/**", "/old/a/b?c=d", "/new/a/b?c=d"),
            ("/new/", "/old/**", "/old/a", "/new/a"),
            ("/new/", "/old/**", "/old", "/new/"),
            ("/", "/old/**", "/old/a%20b", "/a%20b"),
            ("https://n.test", "/old/**", "/old/a?", "https://n.test/a?"),
            ("https://n.test", "/**", "/", "https://n.test/"),
            (
                "https://n.test/x",
                "/*/v1/**",
                "/a/v1/b",
                "https://n.test/x/b",
            ),
            (
                "https://n.test:8443",
                "/**",
                "/a@b:c",
                "https://n.test:8443/a@b:c",
            ),
            (
                "https://n.test",
                "/**",
                "/a?b=//c\\d",
                "https://n.test/a?b=//c\\d",
            ),
        ] {
            let led = led(to, pattern, target);
            assert_eq!(led.as_deref(), Some(wanted), "{to} {pattern} {target}");
        }
    }

    // H1: nothing of a request changes the origin that the operator wrote, or climbs out of the path.
    #[test]
    fn what_could_lead_elsewhere_is_not_taken_over() {
        for target in [
            "/old//evil.test",
            "/old//evil.test/..",
            "/old///evil.test",
            "/old/\\evil.test",
            "/old/\\/evil.test",
            "/old/%5cevil.test",
            "/old/%5Cevil.test",
            "/old/%2fevil.test",
            "/old/%2Fevil.test",
            "/old/%252fevil.test",
            "/old/%0d%0aSet-Cookie:a=b",
            "/old/%0aa",
            "/old/%09/evil.test",
            "/old/%7f",
            "/old/..//evil.test",
            "/old/../evil",
            "/old/%2e%2e/evil",
            "/old/.%2E/evil",
            "/old/a/./b",
            "/old/a/.",
            "/old/%zz",
            "/old/%",
            "/old/\u{ff0f}evil.test",
            "/old/a\"b",
            "/old/a<b",
            "/old/a?b\u{e9}",
        ] {
            for to in ["/", "/new", "https://n.test", "https://n.test/x/"] {
                let pattern = PathPattern::parse("/old/**").unwrap();
                // What is malformed as a target gets no answer of a route at all.
                let Ok(parsed) = Target::parse(target) else {
                    continue;
                };
                let led = leading(to).location(&parsed, Some(&pattern));
                assert_eq!(led, None, "{to} {target}");
            }
        }
        // What does not match as it was received has no rest.
        assert_eq!(led("/new", "/old/**", "/x/../old/a"), None);
        assert_eq!(led("/new", "/old/**", "/OLD/a"), None);
    }

    #[test]
    fn a_destination_is_a_path_or_a_url_that_every_browser_reads_alike() {
        for good in [
            "/",
            "/new",
            "/new/",
            "/new?a=b#c",
            "https://n.test",
            "http://n.test:8080/x?y#z",
            "https://[::1]:3000/",
        ] {
            assert_eq!(Destination::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "new",
            "?a",
            "#a",
            "//evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "/a//b",
            "/a/../b",
            "/a/%2E./b",
            "/./",
            "https:evil.test",
            "https:///x",
            "https://",
            "https://u@n.test/",
            "https://n.test:0/",
            "https://n.test\\@evil.test/",
            "ftp://n.test/",
            "javascript:alert(1)",
            "data:text/html,x",
            "HTTPS://n.test/",
            "/a b",
            "/a\r\nSet-Cookie: b",
            "/\u{e9}",
            "/{host}",
        ] {
            assert!(Destination::parse(bad).is_err(), "{bad:?}");
        }
    }
}
