//! The path of a route: exact, `/x/*` for one segment, `/x/**` for the rest and `/x` itself.

use std::fmt;

/// A compiled path pattern. It sees paths only, never a query, and always the whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    tail: Tail,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This one.
    Literal(Box<[u8]>),
    /// `*`: one segment that is not empty.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// The path ends here.
    End,
    /// `**`: whatever follows, and nothing.
    Rest,
}

/// Why a text is not a path pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// It must start with a slash.
    #[error("a path starts with `/`")]
    NoSlash,
    /// `**` is the last segment or nowhere.
    #[error("`**` may stand only at the end, as a segment of its own: `/x/**`")]
    InnerRest,
    /// A `*` beside other characters of a segment.
    #[error("`*` stands for one whole segment: `/x/*/y`")]
    PartialSegment,
    /// A character or segment that a server might read in two ways.
    #[error(
        "a path in a rule holds no `%`, `\\`, `;`, `?`, `#`, `//`, `.` or `..` segments: write the path as the app means it"
    )]
    Ambiguous,
}

impl PathPattern {
    /// Parses a pattern as it stands in the configuration.
    ///
    /// # Errors
    /// [`PathPatternError`].
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        let path = text.strip_prefix('/').ok_or(PathPatternError::NoSlash)?;
        let (path, tail) = match path.strip_suffix("**") {
            None => (path, Tail::End),
            Some("") => ("", Tail::Rest),
            Some(before) => (
                before
                    .strip_suffix('/')
                    .ok_or(PathPatternError::InnerRest)?,
                Tail::Rest,
            ),
        };
        if path.is_empty() && tail == Tail::Rest {
            return Ok(Self {
                segments: Vec::new(),
                tail,
            });
        }
        let count = path.split('/').count();
        let segments = path
            .split('/')
            .enumerate()
            .map(|(index, segment)| {
                Segment::parse(segment, index + 1 == count && tail == Tail::End)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { segments, tail })
    }

    /// Its segments, in order.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What comes after them.
    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// Whether `path`, which starts with `/`, matches as a whole.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(mut rest) = path.strip_prefix(b"/").map(Some) else {
            return false;
        };
        for segment in &self.segments {
            let Some(path) = rest else { return false };
            let (first, after) = match path.iter().position(|&byte| byte == b'/') {
                Some(at) => (path.get(..at).unwrap_or(path), path.get(at + 1..)),
                None => (path, None),
            };
            let fits = match segment {
                Segment::Literal(literal) => **literal == *first,
                Segment::Any => !first.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = after;
        }
        rest.is_none() || self.tail == Tail::Rest
    }

    /// What `/**` at its end stands for in `path`: empty, or starting with `/`. Nothing, where it does
    /// not match, or does not end so.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.is_exact() || !self.matches(path.as_bytes()) {
            return None;
        }
        let mut slashes = path.match_indices('/');
        match slashes.nth(self.segments.len()) {
            Some((at, _)) => path.get(at..),
            None => Some(""),
        }
    }

    /// Whether every path that `other` matches is matched by this pattern too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let lengths_fit = match self.tail {
            Tail::Rest => other.segments.len() >= self.segments.len(),
            Tail::End => other.tail == Tail::End && other.segments.len() == self.segments.len(),
        };
        lengths_fit
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(segment, other)| match (segment, other) {
                    (Segment::Any, Segment::Any) => true,
                    (Segment::Any, Segment::Literal(literal)) => !literal.is_empty(),
                    (Segment::Literal(_), Segment::Any) => false,
                    (Segment::Literal(one), Segment::Literal(other)) => one == other,
                })
    }

    /// Whether it matches every path.
    #[must_use]
    pub fn covers_everything(&self) -> bool {
        self.segments.is_empty() && self.tail == Tail::Rest
    }

    /// Whether it stands for one path only at its end, not for all below.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.tail == Tail::End
    }

    /// Whether it is exact and ends with a slash.
    #[must_use]
    pub fn ends_with_slash(&self) -> bool {
        self.is_exact() && self.segments.last() == Some(&Segment::Literal(Box::default()))
    }

    /// The same pattern with every letter in lower case.
    #[must_use]
    pub fn folded(&self) -> Self {
        let segments = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Any => Segment::Any,
                Segment::Literal(bytes) => Segment::Literal(
                    String::from_utf8_lossy(bytes)
                        .to_lowercase()
                        .into_bytes()
                        .into(),
                ),
            })
            .collect();
        Self {
            segments,
            tail: self.tail,
        }
    }
}

impl fmt::Display for PathPattern {
    /// The pattern as it stands in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Any => f.write_str("/*")?,
                Segment::Literal(bytes) => write!(f, "/{}", String::from_utf8_lossy(bytes))?,
            }
        }
        match self.tail {
            Tail::End => Ok(()),
            Tail::Rest => f.write_str("/**"),
        }
    }
}

impl Segment {
    fn parse(text: &str, last: bool) -> Result<Self, PathPatternError> {
        match text {
            "*" => Ok(Self::Any),
            "**" => Err(PathPatternError::InnerRest),
            _ if text.contains('*') => Err(PathPatternError::PartialSegment),
            "" if !last => Err(PathPatternError::Ambiguous),
            "." | ".." => Err(PathPatternError::Ambiguous),
            _ if text.contains(['%', '\\', ';', '?', '#']) || text.contains(char::is_control) => {
                Err(PathPatternError::Ambiguous)
            }
            _ => Ok(Self::Literal(text.as_bytes().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_anchored_at_both_ends() {
        let rows: &[(&str, &[&str], &[&str])] = &[
            (
                "/healthz",
                &["/healthz"],
                &[
                    "/healthz/",
                    "/healthz/x",
                    "/xhealthz",
                    "/healthzx",
                    "/",
                    "healthz",
                ],
            ),
            (
                "/api/*/status",
                &["/api/a/status"],
                &[
                    "/api//status",
                    "/api/a/b/status",
                    "/x/api/a/status",
                    "/api/a/status\n",
                    "/api/a/status/",
                ],
            ),
            (
                "/admin/**",
                &["/admin", "/admin/", "/admin/x/y"],
                &["/administrator", "/x/admin", "/"],
            ),
            ("/**", &["/", "/x", "/x/y"], &["", "x"]),
            ("/", &["/"], &["/x", "//"]),
            ("/x/", &["/x/"], &["/x", "/x/y"]),
            ("/*", &["/x"], &["/", "/x/"]),
        ];
        for (pattern, yes, no) in rows {
            let compiled = PathPattern::parse(pattern).unwrap();
            assert_eq!(compiled.to_string(), *pattern);
            for path in *yes {
                assert!(
                    compiled.matches(path.as_bytes()),
                    "{pattern} should match {path}"
                );
            }
            for path in *no {
                assert!(
                    !compiled.matches(path.as_bytes()),
                    "{pattern} should not match {path}"
                );
            }
        }
    }

    // I5: a long path is walked once; there is nothing to go back to.
    #[test]
    fn a_path_of_64_kib_is_walked_once() {
        let path = format!("/{}", "a/".repeat(32 * 1024));
        assert!(
            !PathPattern::parse("/a/*/a/*/b")
                .unwrap()
                .matches(path.as_bytes())
        );
        assert!(
            PathPattern::parse("/a/*/**")
                .unwrap()
                .matches(path.as_bytes())
        );
    }

    #[test]
    fn a_pattern_that_reads_in_two_ways_is_refused() {
        for bad in [
            "x", "", "/a/**/b", "/a**", "/a*", "/a//b", "/../a", "/a/.", "/%61", "/a;b", "/a?b",
            "/a#b", "/a\\b",
        ] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_matches_wholly_and_nothing_else() {
        for (one, other, covers) in [
            ("/**", "/admin/**", true),
            ("/**", "/", true),
            ("/admin/**", "/**", false),
            ("/admin/**", "/admin", true),
            ("/admin/**", "/admin/", true),
            ("/admin/**", "/admin/*/x", true),
            ("/admin/**", "/administrator", false),
            ("/*/x", "/a/x", true),
            ("/a/x", "/*/x", false),
            ("/*", "/", false),
            ("/a", "/a/**", false),
            ("/a", "/a", true),
            ("/a/", "/a", false),
            ("/Admin/**", "/admin/**", false),
        ] {
            let parse = |text| PathPattern::parse(text).unwrap();
            assert_eq!(
                parse(one).covers(&parse(other)),
                covers,
                "{one} over {other}"
            );
        }
        assert!(PathPattern::parse("/**").unwrap().covers_everything());
        assert!(!PathPattern::parse("/*").unwrap().covers_everything());
    }
}
