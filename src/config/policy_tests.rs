//! Tests of the rules, read from a file of their own.

use super::environment::Environment;
use super::fault::{ConfigFault, Place};
use super::file;
use super::tree::Path;
use super::written::policy_tests::{PersonWritten, PolicyTestWritten, PolicyTestsWritten};

/// What is in the file.
#[derive(Debug)]
pub struct PolicyTests {
    /// Who may be named in tests.
    pub people: Vec<(String, PersonWritten)>,
    /// The tests, each with its place.
    pub tests: Vec<(PolicyTestWritten, Place)>,
}

impl PolicyTests {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn of_text(text: &str, environment: &Environment) -> Result<Self, Vec<ConfigFault>> {
        let read = file::read::<PolicyTestsWritten>(text.to_owned(), environment);
        let read = read.map_err(|not_read| not_read.faults)?;
        if !read.faults.is_empty() {
            return Err(read.faults.into_iter().map(ConfigFault::from).collect());
        }
        let here = Path::root("tests");
        let tests = read.file.tests.unwrap_or_default().into_iter();
        let placed = tests.enumerate().map(|(index, test)| {
            let place = read.source.place(&here.index(index));
            (test, place)
        });
        Ok(Self {
            people: read.file.people.map_or_else(Vec::new, |people| people.0),
            tests: placed.collect(),
        })
    }
}
