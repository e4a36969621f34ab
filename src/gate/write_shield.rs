//! Requests with a session that change something, from pages of other origins (CWE-352).
//!
//! An app that never had cookies never had to think of them: with the session's cookie in front of it,
//! every page on a sibling host could have a browser act in its owner's name, and `SameSite` lets
//! siblings pass. So a request that may change something must come from a page of our own origin, by the
//! browser's word: `Sec-Fetch-Site` (Fetch Metadata), or `Origin` (RFC 6454 section 7) where that is not
//! sent. Programs send neither, and carry no cookie that they were not given.

use http::Method;
use http::header::ORIGIN;

use super::cors::{AllowedOrigins, Cors, Credentials};
use super::facts::Facts;
use crate::base::fields::SEC_FETCH_SITE;
use crate::base::origin::Origin;

/// What a route does about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteShield {
    /// Whether they are refused.
    pub mode: ShieldMode,
    /// Whose pages may, besides our own origin's, and those whose scripts may act with credentials.
    pub origins: Vec<Origin>,
}

/// Whether something is refused, or only noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShieldMode {
    /// Refused.
    #[default]
    Enforce,
    /// Passed on, and noted.
    Shadow,
    /// Not looked at.
    Off,
}

impl WriteShield {
    /// Whether `facts` are those of a request that may change something and comes from a page that
    /// must not, where `is_own` knows our own origin and `cors` is what the route grants.
    pub(super) fn stops(
        &self,
        facts: &Facts,
        cors: Option<&Cors>,
        is_own: impl Fn(&Origin) -> bool,
    ) -> bool {
        if is_safe(facts.method()) {
            return false;
        }
        let listed = || {
            let origin = facts.origin().and_then(|text| Origin::parse(text).ok());
            origin.filter(|origin| self.origins.contains(origin) || may_act(cors, origin))
        };
        match facts.headers().get(&SEC_FETCH_SITE) {
            // `none` is the person's own doing: a bookmark, or a page loaded again.
            Some(site) if matches!(site.as_bytes(), b"same-origin" | b"none") => false,
            Some(_) => listed().is_none(),
            // Over plain http, and before 2023, browsers name the origin alone.
            None if !facts.headers().contains_key(ORIGIN) => false,
            None => {
                let own = facts.origin().and_then(|text| Origin::parse(text).ok());
                !own.is_some_and(|origin| is_own(&origin)) && listed().is_none()
            }
        }
    }
}

/// Methods that ask for no change (RFC 9110 section 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn may_act(cors: Option<&Cors>, origin: &Origin) -> bool {
    cors.is_some_and(|cors| {
        cors.credentials == Credentials::Allowed
            && matches!(&cors.origins, AllowedOrigins::Listed(list) if list.contains(origin))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::cors::Preflights;
    use super::super::tests::gather;
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    fn stops(
        shield: &WriteShield,
        cors: Option<&Cors>,
        method: &str,
        fields: &[(&str, &str)],
    ) -> bool {
        let facts = gather(method, "/x", fields).unwrap();
        shield.stops(&facts, cors, |one| *one == origin("https://app.test"))
    }

    // CWE-352: a page of another origin, also of a sibling host, changes nothing in anybody's name.
    #[test]
    fn what_comes_from_a_page_of_another_origin_is_stopped() {
        let own = ("origin", "https://app.test");
        let foreign = ("origin", "https://evil.test");
        let rows: &[(&[(&str, &str)], bool)] = &[
            (&[("sec-fetch-site", "same-origin"), own], false),
            // A form of a page with `Referrer-Policy: no-referrer` names no origin.
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "null")],
                false,
            ),
            (&[("sec-fetch-site", "none")], false),
            (
                &[
                    ("sec-fetch-site", "same-site"),
                    ("origin", "https://sibling.app.test"),
                ],
                true,
            ),
            (&[("sec-fetch-site", "cross-site"), foreign], true),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "null")],
                true,
            ),
            (&[("sec-fetch-site", "cross-site")], true),
            // What nobody knows is not ours.
            (&[("sec-fetch-site", "")], true),
            (&[("sec-fetch-site", "Same-Origin")], true),
            (&[("sec-fetch-site", "own-site"), own], true),
            // A redirect that came by another site is not the app's own, whoever it says began it.
            (&[("sec-fetch-site", "cross-site"), own], true),
            (&[own], false),
            (&[foreign], true),
            (&[("origin", "https://app.test:8443")], true),
            (&[("origin", "http://app.test")], true),
            (&[("origin", "https://app.test.evil.test")], true),
            (&[("origin", "null")], true),
            (&[("origin", "")], true),
            (&[("origin", "https://app.test, https://evil.test")], true),
            // A program.
            (&[], false),
        ];
        for (fields, stopped) in rows {
            for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "X-NEW"] {
                let shield = WriteShield::default();
                assert_eq!(
                    stops(&shield, None, method, fields),
                    *stopped,
                    "{method} {fields:?}"
                );
            }
            for method in ["GET", "HEAD", "OPTIONS"] {
                assert!(
                    !stops(&WriteShield::default(), None, method, fields),
                    "{method}"
                );
            }
        }
    }

    #[test]
    fn listed_origins_may() {
        let friend = &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://friend.test"),
        ];
        let listed = WriteShield {
            origins: vec![origin("https://friend.test")],
            ..WriteShield::default()
        };
        assert!(!stops(&listed, None, "POST", friend));
        assert!(!stops(&listed, None, "POST", &friend[1..]));
        assert!(stops(
            &listed,
            None,
            "POST",
            &[("origin", "https://friend.test.evil.test")]
        ));
    }

    // CORS without credentials is no leave to use the session.
    #[test]
    fn scripts_that_may_act_with_credentials_may() {
        let friend = &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://friend.test"),
        ];
        let cors = |origins, credentials| Cors {
            origins,
            methods: Vec::new(),
            headers: Vec::new(),
            expose: Vec::new(),
            credentials,
            max_age: None,
            preflights: Preflights::Answered,
        };
        let listed = || AllowedOrigins::Listed(vec![origin("https://friend.test")]);
        let shield = WriteShield::default();
        let stopped = |cors: Cors| stops(&shield, Some(&Arc::new(cors)), "POST", friend);
        assert!(!stopped(cors(listed(), Credentials::Allowed)));
        assert!(stopped(cors(listed(), Credentials::Withheld)));
        assert!(stopped(cors(AllowedOrigins::Any, Credentials::Allowed)));
    }
}
