//! `sidegate check --policy-tests FILE`: what people wrote down that their rules should do, tried.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use http::Method;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::draw::{Severity, draw};
use super::rehearsal::{Asked, Outcome, Person, Stage, ago};
use super::{Exit, Streams};
use crate::base::clock::{Clock, UnixTime};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::fault::{ConfigFault, Place};
use crate::config::policy_tests::PolicyTests;
use crate::config::written::policy_tests::{PersonWritten, PolicyTestWritten};

/// Where connections come from that say nothing else: a documentation address (RFC 5737).
pub(super) const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

/// What is wrong with a test, or with what the rules do, and what helps.
type Wrong = (String, String);

/// Tries the tests in the file at `path` on `config`. [`Exit::Failure`] where one does not hold,
/// [`Exit::Configuration`] where they cannot be tried.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn run(
    path: &Path,
    config: Config,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            writeln!(
                streams.err,
                "error: {name} cannot be read ({})",
                error.kind()
            )?;
            return Ok(Exit::Configuration);
        }
    };
    let clock = Clock::system();
    let now = clock.now();
    let read = PolicyTests::of_text(&text, environment);
    let (tests, stage) = match (read, Stage::new(config, &clock)) {
        (Ok(tests), Ok(stage)) => (tests, stage),
        (Err(faults), _) => {
            for fault in &faults {
                let drawn = draw(fault, Severity::Fault, &name, streams.paint_out);
                writeln!(streams.out, "{drawn}")?;
            }
            return Ok(Exit::Configuration);
        }
        (Ok(_), Err(unfit)) => {
            writeln!(streams.err, "error: {unfit}")?;
            return Ok(Exit::Configuration);
        }
    };
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for (index, (test, place)) in tests.tests.iter().enumerate() {
        match try_one(test, &tests.people, &stage, now) {
            Ok(()) => passed += 1,
            Err(wrong) => {
                failed += 1;
                tell(index, place, wrong, (&name, streams))?;
            }
        }
    }
    if tests.tests.is_empty() {
        writeln!(streams.err, "error: {name} has no test: write `tests`")?;
        return Ok(Exit::Configuration);
    }
    writeln!(streams.out, "{name}: {passed} passed, {failed} failed")?;
    Ok(if failed == 0 {
        Exit::Done
    } else {
        Exit::Failure
    })
}

fn tell(
    index: usize,
    place: &Place,
    (what, remedy): Wrong,
    (name, streams): (&str, &mut Streams<'_>),
) -> io::Result<()> {
    let fault = ConfigFault {
        path: format!("tests[{index}]"),
        place: Some(place.clone()),
        what,
        remedy,
    };
    let drawn = draw(&fault, Severity::Fault, name, streams.paint_out);
    writeln!(streams.out, "{drawn}")
}

fn try_one(
    test: &PolicyTestWritten,
    people: &[(String, PersonWritten)],
    stage: &Stage,
    now: UnixTime,
) -> Result<(), Wrong> {
    let unfit = |what: &str, remedy: &str| (what.to_owned(), remedy.to_owned());
    let expected = test.expect.as_deref().ok_or_else(|| {
        unfit(
            "`expect` is missing",
            "write `admitted`, `sign_in`, `step_up`, or the code of a refusal such as `group_denied`",
        )
    })?;
    let asked = asked(test, people, now)?;
    let outcome = stage.judge(&asked);
    let outcome = outcome.map_err(|error| (error.to_string(), "mend what is asked".to_owned()))?;
    let who = test.who.as_deref().unwrap_or("nobody");
    let remedy = || format!("`sidegate explain {} {}` says why", asked.method, asked.url);
    if outcome.word != expected {
        let what = format!(
            "{} {} by {who} should be `{expected}`, and is `{}`: {}",
            asked.method, asked.url, outcome.word, outcome.said
        );
        return Err((what, remedy()));
    }
    check_route(test, &outcome).map_err(|what| (what, remedy()))?;
    check_fields(test, &outcome).map_err(|what| (what, remedy()))
}

fn check_route(test: &PolicyTestWritten, outcome: &Outcome) -> Result<(), String> {
    let Some(wanted) = &test.route else {
        return Ok(());
    };
    let found = outcome.routes.first().map(|route| route.name.as_str());
    if found == Some(wanted) {
        return Ok(());
    }
    let found = found.map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
    Err(format!("the route should be `{wanted}`, and is {found}"))
}

fn check_fields(test: &PolicyTestWritten, outcome: &Outcome) -> Result<(), String> {
    for (name, wanted) in test.tells.iter().flat_map(|tells| &tells.0) {
        let Some(told) = &outcome.told else {
            return Err("the app should be told something, and gets nothing".to_owned());
        };
        let found = told.fields.get(name.as_str());
        let found = found.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if found != *wanted {
            let said = |value: &Option<String>| {
                let quoted = value.as_ref().map(|value| format!("`{value}`"));
                quoted.unwrap_or_else(|| "not there".to_owned())
            };
            let (wanted, found) = (said(wanted), said(&found));
            return Err(format!(
                "the field `{name}` should be {wanted}, and is {found}"
            ));
        }
    }
    Ok(())
}

fn asked(
    test: &PolicyTestWritten,
    people: &[(String, PersonWritten)],
    now: UnixTime,
) -> Result<Asked, Wrong> {
    let unfit = |what: &str, remedy: &str| (what.to_owned(), remedy.to_owned());
    let asks = test.asks.as_deref();
    let asks = asks.ok_or_else(|| unfit("`asks` is missing", "write it like `GET /admin/x`"))?;
    let (method, url) = asks.split_once(' ').unwrap_or(("GET", asks));
    let method = Method::from_bytes(method.as_bytes());
    let method = method.map_err(|_| {
        unfit(
            "`asks` begins with no method",
            "write it like `GET /admin/x`",
        )
    })?;
    let field = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    let headers = test.headers.iter().flat_map(|headers| &headers.0);
    let fields: Option<Vec<_>> = headers.map(field).collect();
    let fields =
        fields.ok_or_else(|| unfit("no header field can be like this", "mend `headers`"))?;
    let client = match &test.from {
        None => ELSEWHERE,
        Some(address) => address
            .parse()
            .map_err(|_| unfit("`from` is no IP address", "write it like `10.1.2.3`"))?,
    };
    let person = match &test.who {
        None => None,
        Some(who) => {
            let known = people.iter().find(|(name, _)| name == who);
            let (_, written) = known.ok_or_else(|| {
                unfit("nobody of this name is under `people`", "write them there")
            })?;
            Some(person(written, now)?)
        }
    };
    Ok(Asked {
        method,
        url: url.trim().to_owned(),
        fields,
        client,
        person,
    })
}

fn person(written: &PersonWritten, now: UnixTime) -> Result<Person, Wrong> {
    let mut claims = match written.claims.as_ref().map(|claims| &claims.0) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(claims)) => claims.clone(),
        Some(_) => {
            return Err((
                "the claims of this person are no mapping".to_owned(),
                "write them like `{ sub: a1, groups: [admins] }`".to_owned(),
            ));
        }
    };
    if let Some(span) = written.signed_in_ago {
        claims.insert("auth_time".to_owned(), ago(now, span.0));
    }
    Ok(Person {
        provider: written.provider.clone(),
        claims,
    })
}
