//! The settings that stand alone: the public URL, the prefix, limits, logins and logs.

use std::time::Duration;

use super::Findings;
use crate::base::origin::{Origin, PublicUrl, Scheme};
use crate::config::log::{LogFormat, LogLevel, LogSettings};
use crate::config::tree::Path;
use crate::config::written::values::{Size, Span};
use crate::config::written::{ConfigFile, FormatWritten, LevelWritten, LimitsWritten};
use crate::config::{Fragment, LoginSettings};
use crate::server::Limits;

/// The default of `prefix`.
const PREFIX: &str = "/oauth2";

/// `public_url` (F17, A24: plain `http` only on loopback, or by a switch that says so).
pub(super) fn public_url(file: &ConfigFile, findings: &mut Findings<'_>) -> Option<PublicUrl> {
    let here = Path::root("public_url");
    let switch = Path::root("insecure_public_http");
    let allowed = file.insecure_public_http == Some(true);
    if allowed {
        findings.weakened(
            &switch,
            "sessions travel over plain http, where anybody on the way can take them over",
        );
    }
    let Some(text) = &file.public_url else {
        findings.fault(
            &here,
            "`public_url` is missing",
            "write the URL that browsers see: `public_url: https://dash.example.com`",
        );
        return None;
    };
    let url = match PublicUrl::parse(text) {
        Ok(url) => url,
        Err(error) => {
            findings.fault(
                &here,
                error.to_string(),
                "write it like `https://dash.example.com`",
            );
            return None;
        }
    };
    let open = url.origin().scheme() == Scheme::Http && !url.origin().host().is_loopback();
    if open && !allowed {
        findings.fault(
            &here,
            "with plain http, anybody on the way can take sessions over",
            "write `https://`; if there is truly no way, add `insecure_public_http: true`",
        );
        return None;
    }
    if allowed && !open {
        findings.warn(&switch, "this switch is not needed here", "take it away");
    }
    Some(url)
}

/// `prefix`: one or more plain segments.
pub(super) fn prefix(file: &ConfigFile, findings: &mut Findings<'_>) -> Option<String> {
    let text = file.prefix.as_deref().unwrap_or(PREFIX);
    if is_plain_path(text) {
        return Some(text.to_owned());
    }
    let here = Path::root("prefix");
    if text.is_empty() || text == "/" {
        findings.fault(
            &here,
            "without a prefix our own endpoints would hide the app",
            "write a path that the app does not use, such as `/oauth2`",
        );
    } else {
        findings.fault(
            &here,
            "not a plain path: `/`, then letters, digits, `-`, `.`, `_`, `~`, and no `/` at the end",
            "write it like `/oauth2`",
        );
    }
    None
}

/// `/`, then segments of unreserved characters: what every server reads in the same way.
pub(super) fn is_plain_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.strip_prefix('/').is_some_and(|path| {
        path.split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain))
    })
}

/// `limits`, save those of upstreams.
pub(super) fn limits(file: &ConfigFile, findings: &mut Findings<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(written) = &file.limits {
        set_spans(written, &mut limits, findings);
        set_counts(written, &mut limits, findings);
    }
    limits
}

fn set_spans(written: &LimitsWritten, limits: &mut Limits, findings: &mut Findings<'_>) {
    let spans = [
        (
            "header_timeout",
            written.header_timeout,
            &mut limits.header_timeout,
        ),
        (
            "idle_between_bytes",
            written.idle_between_bytes,
            &mut limits.idle_between_bytes,
        ),
        (
            "keep_alive_idle",
            written.keep_alive_idle,
            &mut limits.keep_alive_idle,
        ),
        (
            "websocket_idle",
            written.websocket_idle,
            &mut limits.websocket_idle,
        ),
    ];
    for (key, written, setting) in spans {
        let path = Path::root("limits").key(key);
        if let Some(span) = positive(written, &path, findings) {
            *setting = span;
        }
    }
    // Zero is a sensible answer to these: stop at once.
    if let Some(Span(delay)) = written.drain_delay {
        limits.drain_delay = delay;
    }
    if let Some(Span(drain)) = written.drain {
        limits.drain = drain;
    }
}

fn set_counts(written: &LimitsWritten, limits: &mut Limits, findings: &mut Findings<'_>) {
    let here = Path::root("limits");
    let mut at_least = |least: usize, key: &str, written: Option<u64>, setting: &mut usize| {
        let Some(written) = written else { return };
        match usize::try_from(written) {
            Ok(number) if number >= least => *setting = number,
            _ => findings.fault(
                &here.key(key),
                "so little that ordinary requests would be refused",
                format!("write {least} or more"),
            ),
        }
    };
    at_least(
        16,
        "header_fields",
        written.header_fields,
        &mut limits.header_fields,
    );
    at_least(
        1,
        "connections",
        written.connections,
        &mut limits.connections,
    );
    at_least(1, "requests", written.requests, &mut limits.requests);
    at_least(
        1,
        "http2_streams",
        written.http2_streams,
        &mut limits.http2_streams,
    );
    at_least(1024, "target", bytes(written.target), &mut limits.target);
    at_least(
        8192,
        "header_block",
        bytes(written.header_block),
        &mut limits.header_block,
    );
    if limits.target > limits.header_block {
        findings.fault(
            &here.key("target"),
            "a target longer than the whole request head never fits",
            "write no more than `header_block`",
        );
    }
}

fn bytes(size: Option<Size>) -> Option<u64> {
    size.and_then(|Size(bytes)| u64::try_from(bytes).ok())
}

/// A span that is not zero.
pub(super) fn positive(
    written: Option<Span>,
    path: &Path,
    findings: &mut Findings<'_>,
) -> Option<Duration> {
    let Span(span) = written?;
    if span.is_zero() {
        findings.fault(
            path,
            "no time at all is too little",
            "write a span such as `30s`",
        );
        return None;
    }
    Some(span)
}

/// `login`.
pub(super) fn login(file: &ConfigFile, findings: &mut Findings<'_>) -> LoginSettings {
    let written = file.login.clone().unwrap_or_default();
    let here = Path::root("login").key("embed_origins");
    let mut embed_origins = Vec::new();
    for (index, text) in written.embed_origins.iter().flatten().enumerate() {
        match Origin::parse(text) {
            Ok(origin) => embed_origins.push(origin),
            Err(error) => findings.fault(
                &here.index(index),
                error.to_string(),
                "write it like `https://x.example.com`",
            ),
        }
    }
    LoginSettings {
        fragment: match written.keep_fragment {
            Some(true) => Fragment::Kept,
            Some(false) | None => Fragment::Dropped,
        },
        embed_origins,
    }
}

/// `log`.
pub(super) fn log(file: &ConfigFile) -> LogSettings {
    let written = file.log.clone().unwrap_or_default();
    let format = match written.format {
        None | Some(FormatWritten::Auto) => LogFormat::Auto,
        Some(FormatWritten::Human) => LogFormat::Human,
        Some(FormatWritten::Json) => LogFormat::Json,
    };
    let level = match written.level {
        Some(LevelWritten::Error) => LogLevel::Error,
        Some(LevelWritten::Warn) => LogLevel::Warn,
        None | Some(LevelWritten::Info) => LogLevel::Info,
        Some(LevelWritten::Debug) => LogLevel::Debug,
        Some(LevelWritten::Trace) => LogLevel::Trace,
    };
    LogSettings { format, level }
}
