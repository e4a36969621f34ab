//! In which form an answer is told: HTML for people, a problem document for programs, plain text
//! for those who sit at a terminal, trailers for gRPC.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::app::language::Language;
use crate::base::fields::X_REQUESTED_WITH;
use crate::gate::facts::Asker;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page in this language.
    Html(Language),
    /// A page in this language, in a frame of another page.
    Framed(Language),
    /// `application/problem+json` for what went wrong (RFC 9457), JSON for everything else.
    Json,
    /// `text/plain`, because it was asked for.
    Text,
    /// `text/plain`, because a command-line tool asks for nothing in particular. Where a program
    /// has something to find in the body, it is JSON all the same.
    Terminal,
    /// Trailers only (the gRPC protocol over HTTP/2).
    Grpc,
}

/// What `Accept` makes of a media type (RFC 9110 section 12.5.1), in thousandths.
#[derive(Debug, Default)]
struct Wishes {
    html: Option<u16>,
    json: Option<u16>,
    text: Option<u16>,
}

/// What a head says of the form that it wants, kept until an answer of ours is needed: most
/// requests never need one. The values share the head's own bytes.
#[derive(Debug)]
pub struct Hints {
    grpc: bool,
    script: bool,
    accept: Option<HeaderValue>,
    /// Further lines of `Accept`, which hardly anybody sends.
    accept_more: Vec<HeaderValue>,
    agent: Option<HeaderValue>,
    languages: Option<HeaderValue>,
    /// Further lines of `Accept-Language`.
    languages_more: Vec<HeaderValue>,
}

impl Hints {
    /// Keeps what matters of a head's fields.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accept = headers.get_all(ACCEPT).iter().cloned();
        let mut languages = headers.get_all(ACCEPT_LANGUAGE).iter().cloned();
        Self {
            grpc: is_grpc(headers),
            script: headers.contains_key(&X_REQUESTED_WITH),
            accept: accept.next(),
            accept_more: accept.collect(),
            agent: headers.get(USER_AGENT).cloned(),
            languages: languages.next(),
            languages_more: languages.collect(),
        }
    }

    /// The language that whoever asks reads.
    #[must_use]
    pub fn language(&self) -> Language {
        Language::of(self.languages.iter().chain(&self.languages_more))
    }

    /// `User-Agent`, as sent.
    #[must_use]
    pub fn agent(&self) -> Option<&HeaderValue> {
        self.agent.as_ref()
    }

    /// The form for a request of which `asker` was made out; nothing was made out of a malformed
    /// one.
    #[must_use]
    pub fn form(&self, asker: Option<Asker>) -> Form {
        if self.grpc {
            return Form::Grpc;
        }
        match asker {
            Some(Asker::Frame) => return Form::Framed(self.language()),
            Some(Asker::Navigation | Asker::ServiceWorker) => return Form::Html(self.language()),
            Some(Asker::Prefetch | Asker::Program) | None => {}
        }
        let wishes = Wishes::of(self.accept.iter().chain(&self.accept_more));
        match (wishes.html, wishes.json) {
            (Some(html), json) if !self.script && html >= json.unwrap_or(0) => {
                Form::Html(self.language())
            }
            (_, Some(_)) => Form::Json,
            _ if wishes.text.is_some() => Form::Text,
            _ if self.is_terminal() => Form::Terminal,
            _ => Form::Json,
        }
    }

    /// Tools that a person reads the output of.
    fn is_terminal(&self) -> bool {
        let tools = ["curl/", "Wget/", "HTTPie/", "xh/"];
        self.agent
            .as_ref()
            .and_then(|agent| agent.to_str().ok())
            .is_some_and(|agent| tools.iter().any(|tool| agent.starts_with(tool)))
    }
}

impl Wishes {
    fn of<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> Self {
        let mut wishes = Self::default();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            // A browser names eight; a thousand would be somebody's experiment.
            for range in line.split(',').take(32) {
                wishes.add(range);
            }
        }
        wishes
    }

    fn add(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1000, thousandths);
        let slot = match kind.as_str() {
            "text/html" | "application/xhtml+xml" => &mut self.html,
            "text/plain" => &mut self.text,
            "application/json" => &mut self.json,
            kind if kind.ends_with("+json") => &mut self.json,
            _ => return,
        };
        if weight > 0 {
            *slot = Some(slot.map_or(weight, |before| before.max(weight)));
        }
    }
}

/// `0.8` is 800; what is no weight counts as 0.
pub(crate) fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match whole {
        "1" => 1000,
        "0" => fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(3)
            .try_fold(0_u16, |sum, digit| {
                let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
                Some(sum * 10 + digit)
            })
            .unwrap_or(0),
        _ => 0,
    }
}

/// `application/grpc`, with a message format or without, also in its form for browsers.
fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    match kind.as_bytes().strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b'-' | b';' | b' ')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    type Fields = &'static [(&'static str, &'static str)];

    fn form(asker: Option<Asker>, fields: Fields) -> Form {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        Hints::of(&headers).form(asker)
    }

    // T5: a person gets a page, a program something it can read.
    #[test]
    fn people_get_pages_and_programs_get_json() {
        const CHROME: &str =
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
        let rows: &[(Option<Asker>, Fields, Form)] = &[
            (Some(Asker::Navigation), &[], Form::Html(Language::English)),
            (
                Some(Asker::Frame),
                &[("accept", "*/*")],
                Form::Framed(Language::English),
            ),
            (
                Some(Asker::ServiceWorker),
                &[],
                Form::Html(Language::English),
            ),
            (
                Some(Asker::Prefetch),
                &[("accept", CHROME)],
                Form::Html(Language::English),
            ),
            (
                Some(Asker::Program),
                &[("accept", CHROME)],
                Form::Html(Language::English),
            ),
            (None, &[("accept", CHROME)], Form::Html(Language::English)),
            (Some(Asker::Program), &[], Form::Json),
            (Some(Asker::Program), &[("accept", "*/*")], Form::Json),
            (
                Some(Asker::Program),
                &[("accept", "application/json, text/plain, */*")],
                Form::Json,
            ),
            (
                Some(Asker::Program),
                &[("accept", "text/html;q=0.5, application/json")],
                Form::Json,
            ),
            (
                Some(Asker::Program),
                &[("accept", "text/html"), ("x-requested-with", "X")],
                Form::Json,
            ),
            (
                Some(Asker::Program),
                &[("accept", "text/html;q=0, */*")],
                Form::Json,
            ),
            (
                Some(Asker::Program),
                &[("accept", "application/problem+json")],
                Form::Json,
            ),
            (
                Some(Asker::Program),
                &[("accept", "text/plain")],
                Form::Text,
            ),
            (
                Some(Asker::Program),
                &[("accept", "*/*"), ("user-agent", "curl/8.5.0")],
                Form::Terminal,
            ),
            (
                Some(Asker::Program),
                &[("accept", "text/event-stream")],
                Form::Json,
            ),
        ];
        for (asker, fields, wanted) in rows {
            assert_eq!(form(*asker, fields), *wanted, "{asker:?} {fields:?}");
        }
    }

    #[test]
    fn grpc_is_told_by_its_content_type_alone() {
        let rows: &[(Fields, bool)] = &[
            (&[("content-type", "application/grpc")], true),
            (&[("content-type", "application/grpc+proto")], true),
            (&[("content-type", "application/grpc-web")], true),
            (&[("content-type", "application/grpc; x=y")], true),
            (&[("content-type", "application/grpcish")], false),
            (&[("content-type", "application/json")], false),
        ];
        for (fields, grpc) in rows {
            let found = form(Some(Asker::Program), fields);
            assert_eq!(found == Form::Grpc, *grpc, "{fields:?}");
        }
    }

    #[test]
    fn weights_are_read_as_the_standard_writes_them() {
        for (text, wanted) in [
            ("1", 1000),
            ("1.000", 1000),
            ("0.8", 800),
            ("0.85", 850),
            ("0", 0),
            ("0.", 0),
            ("2", 0),
            ("0.x", 0),
            ("", 0),
        ] {
            assert_eq!(thousandths(text), wanted, "{text:?}");
        }
    }
}
