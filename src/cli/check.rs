//! `sidegate check`: every fault of the configuration, without touching the network.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::CheckFormat;
use super::draw::{Severity, draw};
use super::{Exit, Paint, Start, Streams, policy_tests};
use crate::app::pages::Pages;
use crate::config::environment::Environment;
use crate::config::fault::ConfigFault;
use crate::config::{Config, Verdict};
use crate::session::SessionLimits;

/// What faults of a start without a file are said to be in.
const FLAGS: &str = "flags";

/// What is said where it is not known whether there are several gates.
const RENEWS_ALONE: &str = "session: several gates with the same session keys would spend each other's refresh tokens where those rotate, and a sign-out at one would be unknown to the others: then write `session.redis`; if this is the only one, `session.single_instance: true`";

/// Says every fault, or that there is none.
///
/// # Errors
/// The answer cannot be written.
pub fn run(
    start: &Start,
    format: CheckFormat,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let (name, verdict) = match judge(start, environment) {
        Ok(judged) => judged,
        Err(unreadable) => {
            writeln!(streams.err, "error: {unreadable}")?;
            return Ok(Exit::Configuration);
        }
    };
    match format {
        CheckFormat::Human => {
            draw_all(&verdict, &name, streams.paint_out, streams.out)?;
            if let Some(config) = &verdict.config {
                for provider in &config.providers {
                    writeln!(
                        streams.out,
                        "{}",
                        removal(&provider.id, &config.session.limits)
                    )?;
                }
            }
            if verdict.config.as_ref().is_some_and(Config::renews_alone) {
                writeln!(streams.out, "{RENEWS_ALONE}")?;
            }
            writeln!(streams.out, "{name}: {}", summary(&verdict))?;
        }
        CheckFormat::Json => {
            let report = Report::new(&name, &verdict);
            serde_json::to_writer_pretty(&mut *streams.out, &report)?;
            writeln!(streams.out)?;
        }
    }
    Ok(match verdict.config {
        Some(_) => Exit::Done,
        None => Exit::Configuration,
    })
}

/// Tries the tests in the file at `tests`, once the configuration is known to be good.
///
/// # Errors
/// The answer cannot be written.
pub fn try_policy(
    start: &Start,
    tests: &Path,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let config = judge(start, environment).ok();
    match config.and_then(|(_, verdict)| verdict.config) {
        Some(config) => policy_tests::run(tests, config, environment, streams),
        // It was good a moment ago.
        None => Ok(Exit::Configuration),
    }
}

/// The longest time for which somebody who was removed at the provider keeps access. Renewal runs
/// behind the request that begins it, so that one passes: the first time is no bound.
fn removal(provider: &str, limits: &SessionLimits) -> String {
    let span = |span: Duration| humantime::format_duration(span.min(limits.absolute)).to_string();
    let (heard, unheard) = (
        span(limits.recheck),
        span(limits.recheck.saturating_add(limits.outage_grace)),
    );
    format!(
        "provider `{provider}`: who is removed there makes no new request after {unheard}; where it answers and gives refresh tokens, none but those that pass while the first one after {heard} has it asked. WebSockets and streams that are open go on"
    )
}

/// Loads the configuration to start with it: what `check` would say goes to the streams' second.
///
/// # Errors
/// [`Exit::Configuration`], after every fault was said.
pub fn load(
    start: &Start,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> Result<Config, Exit> {
    let (name, verdict) = judge(start, environment).map_err(|unreadable| {
        // Where this cannot be written, the exit code still says it.
        drop(writeln!(streams.err, "error: {unreadable}"));
        Exit::Configuration
    })?;
    drop(draw_all(&verdict, &name, streams.paint_err, streams.err));
    verdict.config.ok_or(Exit::Configuration)
}

#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be read ({})", .source.kind())]
struct Unreadable {
    name: String,
    source: io::Error,
}

fn judge(start: &Start, environment: &Environment) -> Result<(String, Verdict), Unreadable> {
    let (name, mut verdict) = read(start, environment)?;
    // Only building the pages finds out whether a template is one.
    let pages = verdict
        .config
        .as_ref()
        .map(|config| Pages::new(&config.pages, &config.public_url, &config.prefix).map(drop));
    if let Some(Err(error)) = pages {
        let config = verdict.config.take();
        verdict.faults.push(ConfigFault {
            path: "pages.directory".to_owned(),
            place: config.and_then(|config| config.pages.directory_at),
            what: error.to_string(),
            remedy: "docs/PAGES.md says what templates are given".to_owned(),
        });
    }
    Ok((name, verdict))
}

fn read(start: &Start, environment: &Environment) -> Result<(String, Verdict), Unreadable> {
    match start {
        Start::Flags(flags) => Ok((FLAGS.to_owned(), Verdict::of_flags(flags, environment))),
        Start::File(path) => {
            let name = path.display().to_string();
            match Verdict::of_file(path, environment) {
                Ok(verdict) => Ok((name, verdict)),
                Err(source) => Err(Unreadable { name, source }),
            }
        }
    }
}

fn draw_all(verdict: &Verdict, name: &str, paint: Paint, to: &mut dyn io::Write) -> io::Result<()> {
    for fault in &verdict.faults {
        writeln!(to, "{}", draw(fault, Severity::Fault, name, paint))?;
    }
    for warning in &verdict.warnings {
        writeln!(to, "{}", draw(warning, Severity::Warning, name, paint))?;
    }
    Ok(())
}

fn summary(verdict: &Verdict) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    };
    let mut parts = Vec::new();
    if verdict.config.is_some() {
        parts.push("good".to_owned());
    } else {
        parts.push(count(verdict.faults.len(), "fault"));
    }
    if !verdict.warnings.is_empty() {
        parts.push(count(verdict.warnings.len(), "warning"));
    }
    let insecure = verdict
        .config
        .as_ref()
        .map_or(0, |config| config.insecure.len());
    if insecure > 0 {
        parts.push(count(insecure, "insecure switch").replace("switchs", "switches"));
    }
    parts.join(", ")
}

/// What `--format json` says.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    good: bool,
    faults: Vec<Entry<'a>>,
    warnings: Vec<Entry<'a>>,
    insecure: Vec<Insecure<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    path: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    what: &'a str,
    remedy: &'a str,
}

#[derive(Serialize)]
struct Insecure<'a> {
    path: &'a str,
    what: &'a str,
}

impl<'a> Report<'a> {
    fn new(file: &'a str, verdict: &'a Verdict) -> Self {
        let insecure = verdict.config.iter().flat_map(|config| &config.insecure);
        Self {
            file,
            good: verdict.config.is_some(),
            faults: verdict.faults.iter().map(Entry::new).collect(),
            warnings: verdict.warnings.iter().map(Entry::new).collect(),
            insecure: insecure
                .map(|switch| Insecure {
                    path: &switch.path,
                    what: switch.what,
                })
                .collect(),
        }
    }
}

impl<'a> Entry<'a> {
    fn new(fault: &'a ConfigFault) -> Self {
        Self {
            path: &fault.path,
            line: fault.place.as_ref().map(|place| place.line),
            column: fault.place.as_ref().map(|place| place.column),
            what: &fault.what,
            remedy: &fault.remedy,
        }
    }
}
