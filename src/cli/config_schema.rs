//! `sidegate config schema`: the JSON Schema of the configuration.

use std::io;

use super::{Exit, Streams};
use crate::config::written::ConfigFile;

/// Prints the schema.
///
/// # Errors
/// The answer cannot be written.
pub fn run(streams: &mut Streams<'_>) -> io::Result<Exit> {
    let schema = schemars::schema_for!(ConfigFile);
    serde_json::to_writer_pretty(&mut *streams.out, &schema)?;
    writeln!(streams.out)?;
    Ok(Exit::Done)
}
