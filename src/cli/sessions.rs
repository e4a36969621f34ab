//! `sidegate sessions`: sees who is signed in at a running gate, and ends sessions, over its socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Exit, Start, Streams};
use crate::app::shown::shown;
use crate::config::admin_socket;
use crate::config::environment::Environment;
use crate::server::admin::Which;

/// How long an act may take: a large store is read whole.
const PATIENCE: Duration = Duration::from_mins(1);
/// The most bytes of an answer.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The most characters of a person's name.
const LONGEST_NAME: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Tell which sessions there are.
    List(Which, Form),
    /// End sessions.
    Revoke(Which),
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table.
    Table,
    /// One JSON object.
    Json,
}

/// A list, as it is answered.
#[derive(Debug, Deserialize)]
struct List {
    sessions: Vec<Row>,
    complete: bool,
}

#[derive(Debug, Deserialize)]
struct Row {
    session: String,
    user: String,
    provider: String,
    started_at: String,
    seen_at: String,
    expires_at: String,
}

/// What came of ending sessions.
#[derive(Debug, Deserialize)]
struct Revoked {
    #[serde(rename = "revoked")]
    count: Option<usize>,
    everywhere: bool,
    lasting: bool,
}

/// Does it.
///
/// # Errors
/// The answer cannot be written.
pub fn run(
    act: &Act,
    start: &Start,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let Start::File(file) = start else {
        let why = "the gate has no `admin` socket: one is set in a configuration file";
        writeln!(streams.err, "error: {why}")?;
        return Ok(Exit::Configuration);
    };
    let socket = match admin_socket(file, environment) {
        Ok(Some(socket)) => socket,
        Ok(None) => {
            let remedy = "admin: { address: \"unix:/run/sidegate/admin.sock\" }";
            let file = file.display();
            writeln!(
                streams.err,
                "error: the gate has no `admin` socket: write `{remedy}` into {file}, and start it anew"
            )?;
            return Ok(Exit::Configuration);
        }
        Err(error) => {
            writeln!(streams.err, "error: {error}")?;
            return Ok(Exit::Configuration);
        }
    };
    let (path, which) = match act {
        Act::List(which, _) => ("/sessions/list", which),
        Act::Revoke(which) => ("/sessions/revoke", which),
    };
    let told = match ask(&socket, path, which) {
        Ok(told) => told,
        Err(error) => {
            let socket = socket.display();
            writeln!(streams.err, "error: {socket} does not answer ({error})")?;
            return Ok(Exit::Failure);
        }
    };
    match (told, act) {
        (Told::Refused(why), _) => {
            writeln!(streams.err, "error: {why}")?;
            Ok(Exit::Failure)
        }
        (Told::Done(json), Act::List(_, Form::Json)) => {
            writeln!(streams.out, "{json}")?;
            Ok(Exit::Done)
        }
        (Told::Done(json), Act::List(_, Form::Table)) => table(json, streams),
        (Told::Done(json), Act::Revoke(_)) => revoked(json, streams),
    }
}

fn table(json: Value, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let list: List = serde_json::from_value(json)?;
    if list.sessions.is_empty() {
        writeln!(streams.err, "nobody is signed in")?;
        return Ok(Exit::Done);
    }
    let heads = ["SESSION", "USER", "PROVIDER", "SINCE", "SEEN", "ENDS"].map(str::to_owned);
    let rows = list.sessions.into_iter().map(|row| {
        [
            row.session,
            shown(&row.user, LONGEST_NAME),
            row.provider,
            row.started_at,
            row.seen_at,
            row.expires_at,
        ]
    });
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(streams.out, "{}", cells.join("  ").trim_end())?;
    }
    if !list.complete {
        writeln!(streams.err, "there are more than these")?;
    }
    Ok(Exit::Done)
}

fn revoked(json: Value, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let told: Revoked = serde_json::from_value(json)?;
    let what = match told.count {
        Some(1) => "1 session is over".to_owned(),
        Some(count) => format!("{count} sessions are over"),
        None => "all such sessions are over".to_owned(),
    };
    writeln!(streams.out, "{what}")?;
    if !told.everywhere {
        writeln!(
            streams.err,
            "warning: at this gate alone; others that have the same session keys do not hear of it \
             without `session.redis` (write `session.single_instance: true` if there is only one)"
        )?;
    }
    if !told.lasting {
        writeln!(
            streams.err,
            "warning: until this gate stops; it remembers no longer which sessions were ended \
             without `session.disk` or `session.redis`"
        )?;
    }
    Ok(Exit::Done)
}

enum Told {
    Done(Value),
    Refused(String),
}

fn ask(socket: &Path, path: &str, which: &Which) -> io::Result<Told> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let body = serde_json::to_string(which)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: sidegate\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).map_err(|_| io::ErrorKind::InvalidData)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let json: Value = serde_json::from_str(body)?;
    if head.starts_with("HTTP/1.1 200 ") {
        return Ok(Told::Done(json));
    }
    let why = json.get("error").and_then(Value::as_str);
    Ok(Told::Refused(why.unwrap_or(head).to_owned()))
}
