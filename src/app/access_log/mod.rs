//! One line for one request: what was asked, by whom, and what was answered. Never a query string,
//! a cookie, a code, a token or a secret.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, Version};

use crate::app::iso_time::Timestamp;
use crate::app::log_line::{Level, Line};
use crate::app::log_names::{SessionNames, UserName, write_client_address};
use crate::app::log_sink::{LogSink, Worth};
use crate::app::reference::Reference;
use crate::app::respond::fault::{Blame, Fault};
use crate::gate::client_address::ClientAddress;
use crate::session::log_name::SessionName;

/// The most bytes of a path, of a user agent, and of anything else that is written.
const LONGEST_PATH: usize = 1024;
const LONGEST_USER_AGENT: usize = 256;
const LONGEST_WORD: usize = 128;
const LONGEST_DETAIL: usize = 512;

/// What there is to say about a request. Fields that are `None` are left out.
#[derive(Debug)]
pub struct AccessRecord<'a> {
    /// When the answer's head was ready.
    pub at: Timestamp,
    /// The reference, if one was made.
    pub reference: Option<Reference>,
    /// The client's address by the trusted-proxy rule.
    pub client_address: Option<&'a ClientAddress>,
    /// The version of HTTP in which it was asked.
    pub version: Version,
    /// The method as sent.
    pub method: &'a Method,
    /// The host in canonical form, or as sent where the request was malformed.
    pub host: &'a str,
    /// The path as received. Whatever follows a `?` is not written, even if it is passed in.
    pub path: &'a str,
    /// The status of the answer.
    pub status: StatusCode,
    /// Bytes of the request's body, where they were counted.
    pub bytes_in: Option<u64>,
    /// Bytes of the answer's body, where they were counted.
    pub bytes_out: Option<u64>,
    /// From the request's head to the answer's.
    pub duration: Duration,
    /// The part of it that the upstream took.
    pub upstream: Option<Duration>,
    /// Who is signed in, in the form that was configured; absent by default.
    pub user: Option<&'a UserName>,
    /// The session, as a name that opens nothing.
    pub session: Option<&'a SessionName>,
    /// The id of the provider.
    pub provider: Option<&'a str>,
    /// The name of the route or endpoint.
    pub route: Option<&'a str>,
    /// What was refused or went wrong.
    pub fault: Option<&'a Fault>,
    /// The `User-Agent` field as sent.
    pub user_agent: Option<&'a HeaderValue>,
}

/// Writes access lines for one worker. It is not shared: its buffer is its own.
#[derive(Debug, Clone)]
pub struct AccessLog {
    sink: LogSink,
    least: Level,
    buffer: String,
    /// The names of sessions, for the records of this log.
    pub(super) names: SessionNames,
}

impl AccessLog {
    /// Lines of `least` importance or more go to `sink`.
    #[must_use]
    pub fn new(sink: LogSink, least: Level) -> Self {
        Self {
            sink,
            least,
            buffer: String::with_capacity(1024),
            names: SessionNames::default(),
        }
    }

    /// Whether a line about a request that ended with `fault` would be written at all: what is only
    /// for the line need not be made up otherwise.
    #[must_use]
    pub fn wants(&self, fault: Option<&Fault>) -> bool {
        level(fault) <= self.least
    }

    /// Writes the line about one request.
    pub fn write(&mut self, record: &AccessRecord<'_>) {
        let level = level(record.fault);
        if level > self.least {
            return;
        }
        let style = self.sink.style();
        let mut line = Line::begin(&mut self.buffer, style, record.at, level, "access");
        if let Some(reference) = &record.reference {
            line.text("reference", reference.as_str(), LONGEST_WORD);
        }
        if let Some(address) = record.client_address {
            write_client_address(&mut line, address);
        }
        line.text("protocol", protocol(record.version), LONGEST_WORD);
        line.text("method", record.method.as_str(), LONGEST_WORD);
        line.text("host", record.host, LONGEST_WORD);
        let path = record.path.split(['?', '#']).next().unwrap_or("");
        line.text("path", path, LONGEST_PATH);
        line.number("status", u64::from(record.status.as_u16()));
        let numbers = [
            ("bytes_in", record.bytes_in),
            ("bytes_out", record.bytes_out),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                line.number(key, number);
            }
        }
        line.millis("duration_ms", record.duration);
        if let Some(upstream) = record.upstream {
            line.millis("upstream_ms", upstream);
        }
        let words = [
            ("user", record.user.map(UserName::as_str)),
            ("session", record.session.map(SessionName::as_str)),
            ("provider", record.provider),
            ("route", record.route),
            ("reason", record.fault.map(Fault::code)),
        ];
        for (key, word) in words {
            if let Some(word) = word {
                line.text(key, word, LONGEST_WORD);
            }
        }
        if let Some(fault) = record.fault {
            line.display("detail", fault, LONGEST_DETAIL);
        }
        if let Some(user_agent) = record.user_agent {
            line.bytes("user_agent", user_agent.as_bytes(), LONGEST_USER_AGENT);
        }
        line.end();
        self.sink.send(&self.buffer, Worth::Ordinary);
    }
}

/// The version as the registry writes it (RFC 9110 section 2.5, RFC 7301 for the name).
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// The level follows from whose fault it is; an answer of the app's own is its own business.
fn level(fault: Option<&Fault>) -> Level {
    match fault.map(Fault::blame) {
        None | Some(Blame::UserAgent) => Level::Info,
        Some(Blame::Provider | Blame::Upstream) => Level::Warn,
        Some(Blame::Ours) => Level::Error,
    }
}

#[cfg(test)]
mod tests;
