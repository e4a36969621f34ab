//! `sidegate explain`: what would become of a request, and why.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use http::Method;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::rehearsal::{Asked, Outcome, Person, Stage};
use super::{Exit, Start, Streams, check};
use crate::base::clock::Clock;
use crate::config::environment::Environment;
use crate::gate::access::{Part, Verdict};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// A path, or an absolute URL.
    pub url: String,
    /// The file with what the provider says of whoever is signed in, as JSON; nobody, without one.
    pub claims: Option<PathBuf>,
    /// The provider that says it; the first, where none is named.
    pub provider: Option<String>,
    /// Fields that the client sends.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Where the client is.
    pub client: IpAddr,
    /// How the answer is written.
    pub form: Form,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// Explains. [`Exit::Done`] where the request would be admitted, [`Exit::Failure`] where it would not.
///
/// # Errors
/// The answer cannot be written.
pub fn run(
    question: &Question,
    start: &Start,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let config = match check::load(start, environment, streams) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let person = match question.claims.as_deref().map(read_claims).transpose() {
        Ok(claims) => claims.map(|claims| Person {
            provider: question.provider.clone(),
            claims,
        }),
        Err(why) => {
            writeln!(streams.err, "error: {why}")?;
            return Ok(Exit::Usage);
        }
    };
    let asked = Asked {
        method: question.method.clone(),
        url: question.url.clone(),
        fields: question.fields.clone(),
        client: question.client,
        person,
    };
    let outcome = Stage::new(config, &Clock::system()).and_then(|stage| stage.judge(&asked));
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(unfit) => {
            writeln!(streams.err, "error: {unfit}")?;
            return Ok(Exit::Usage);
        }
    };
    match question.form {
        Form::Text => streams.out.write_all(text(&asked, &outcome).as_bytes())?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut *streams.out, &as_json(&asked, &outcome))?;
            writeln!(streams.out)?;
        }
    }
    Ok(if outcome.is_admitted() {
        Exit::Done
    } else {
        Exit::Failure
    })
}

fn read_claims(path: &Path) -> Result<Map<String, Value>, String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| format!("{shown} cannot be read ({})", error.kind()))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err(format!("{shown} is no JSON object of claims")),
        Err(error) => Err(format!("{shown} is no JSON: {error}")),
    }
}

fn text(asked: &Asked, outcome: &Outcome) -> String {
    let mut text = format!("{} {}\n", asked.method, asked.url);
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _infallible = writeln!(text, "\n{title}");
            for line in lines {
                let _infallible = writeln!(text, "  {line}");
            }
        }
    };
    section("readings of the path", outcome.readings.clone());
    let mut routes = Vec::new();
    for route in &outcome.routes {
        routes.push(format!("{}: {}", route.name, route.access));
        routes.extend(route.parts.iter().map(|part| format!("  {}", line(part))));
    }
    section("routes", routes);
    let told = outcome.told.as_ref();
    let fields = told.map(|told| fields(asked, told)).unwrap_or_default();
    let title = told.map_or_else(String::new, |told| {
        format!(
            "what the app `{}` is told, besides what the client says",
            told.upstream
        )
    });
    section(&title, fields);
    let _infallible = writeln!(text, "\n{}: {}", outcome.word, outcome.said);
    text
}

/// A part of a condition in one line: whether it is met, what is wanted, and what there is.
fn line(part: &Part) -> String {
    let mark = match part.verdict {
        Verdict::Met => "met    ",
        Verdict::NotMet(_) => "not met",
    };
    let indent = "  ".repeat(part.depth);
    let found = part.found.as_ref();
    let found = found.map_or_else(String::new, |found| format!(", and there is {found}"));
    format!("{mark}  {indent}{}{found}", part.wanted)
}

/// The fields that are ours: those that the client did not send so.
fn fields(asked: &Asked, told: &super::rehearsal::Told) -> Vec<String> {
    let sent: BTreeSet<(&str, &[u8])> = asked
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let ours = told.fields.iter().filter(|(name, value)| {
        let is_default = asked.fields.is_empty()
            && ["accept", "sec-fetch-mode", "sec-fetch-dest"].contains(&name.as_str());
        !is_default && !sent.contains(&(name.as_str(), value.as_bytes()))
    });
    let shown = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut lines: Vec<String> = ours
        .map(|(name, value)| format!("{name}: {}", shown(value)))
        .collect();
    lines.sort_unstable();
    lines
}

fn as_json(asked: &Asked, outcome: &Outcome) -> Value {
    let routes = outcome.routes.iter().map(|route| {
        let parts = route.parts.iter().map(|part| {
            json!({
                "depth": part.depth,
                "wanted": part.wanted,
                "found": part.found,
                "met": part.verdict == Verdict::Met,
            })
        });
        json!({ "name": route.name, "access": route.access, "parts": parts.collect::<Vec<_>>() })
    });
    json!({
        "method": asked.method.as_str(),
        "url": asked.url,
        "readings": outcome.readings,
        "routes": routes.collect::<Vec<_>>(),
        "outcome": outcome.word,
        "said": outcome.said,
        "upstream": outcome.told.as_ref().map(|told| &told.upstream),
        "fields": outcome.told.as_ref().map(|told| fields(asked, told)),
    })
}
