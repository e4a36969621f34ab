//! `sidegate version`.

use std::io;

use super::{Exit, Streams};

/// How it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `sidegate 1.2.3`
    Plain,
    /// One JSON object.
    Json,
}

/// Says the version.
///
/// # Errors
/// The answer cannot be written.
pub fn run(form: Form, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    match form {
        Form::Plain => writeln!(streams.out, "{name} {version}")?,
        Form::Json => {
            let said = serde_json::json!({ "name": name, "version": version });
            writeln!(streams.out, "{said}")?;
        }
    }
    Ok(Exit::Done)
}
