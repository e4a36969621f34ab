//! What the check found so far, and the surroundings it looks into.

use std::path::PathBuf;

use crate::config::InsecureSwitch;
use crate::config::environment::Environment;
use crate::config::fault::{ConfigFault, ConfigWarning, Place};
use crate::config::file::Fault;
use crate::config::flags;
use crate::config::source::Source;
use crate::config::tree::Path;

/// What the check found so far.
pub(crate) struct Findings<'a> {
    origin: Origin<'a>,
    environment: &'a Environment,
    /// What the typed reading found: whatever it cut away must not be missed a second time.
    shape: Vec<Fault>,
    faults: Vec<Fault>,
    warnings: Vec<ConfigWarning>,
    insecure: Vec<InsecureSwitch>,
    sources: Vec<PathBuf>,
}

/// Where the configuration came from.
pub(crate) enum Origin<'a> {
    /// A file.
    File(&'a Source),
    /// Flags and environment variables.
    Flags,
}

impl<'a> Findings<'a> {
    /// Nothing yet, beside what the typed reading found.
    pub(crate) fn new(origin: Origin<'a>, environment: &'a Environment, shape: Vec<Fault>) -> Self {
        Self {
            origin,
            environment,
            shape,
            faults: Vec::new(),
            warnings: Vec::new(),
            insecure: Vec::new(),
            sources: Vec::new(),
        }
    }

    pub(super) fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// Notes that `what` is wrong at `path`, and what would be right.
    pub(super) fn fault(
        &mut self,
        path: &Path,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let fault = self.at(path, what.into(), remedy.into());
        self.faults.push(Fault {
            path: path.clone(),
            meant: None,
            said: fault,
        });
    }

    /// Notes that `what` is allowed but probably not meant.
    pub(super) fn warn(&mut self, path: &Path, what: impl Into<String>, remedy: impl Into<String>) {
        let warning = self.at(path, what.into(), remedy.into());
        self.warnings.push(warning);
    }

    /// Notes a switch that weakens something.
    pub(super) fn weakened(&mut self, path: &Path, what: &'static str) {
        let path = path.to_string();
        self.insecure.push(InsecureSwitch { path, what });
    }

    /// Notes a file that was read.
    pub(super) fn was_read(&mut self, path: PathBuf) {
        if !self.sources.contains(&path) {
            self.sources.push(path);
        }
    }

    /// Where `path` stands in the file; nothing where there is none.
    pub(super) fn place(&self, path: &Path) -> Option<Place> {
        match self.origin {
            Origin::File(source) => Some(source.place(path)),
            Origin::Flags => None,
        }
    }

    fn at(&self, path: &Path, what: String, remedy: String) -> ConfigFault {
        let (path, place): (String, Option<Place>) = match self.origin {
            Origin::File(source) => (path.to_string(), Some(source.place(path))),
            Origin::Flags => (flags::name_of(&path.to_string()), None),
        };
        ConfigFault {
            path,
            place,
            what,
            remedy,
        }
    }

    /// Whether the typed reading had something to say about this key of the root: then what is there
    /// is not the whole of it.
    pub(super) fn is_torn(&self, section: &Path) -> bool {
        self.shape
            .iter()
            .any(|fault| fault.path.section() == section.section())
    }

    /// Whether something is wrong at `path` or below it already.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.faults
            .iter()
            .chain(&self.shape)
            .any(|fault| fault.path.steps().starts_with(path.steps()))
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty() || !self.shape.is_empty()
    }

    pub(super) fn take_rest(&mut self) -> (Vec<InsecureSwitch>, Vec<ConfigWarning>, Vec<PathBuf>) {
        (
            std::mem::take(&mut self.insecure),
            self.warnings.clone(),
            std::mem::take(&mut self.sources),
        )
    }

    /// All faults in the file's order, and the warnings. What is missing or at odds because the typed
    /// reading cut something away is left out.
    pub(crate) fn finish(self) -> (Vec<ConfigFault>, Vec<ConfigWarning>) {
        let Self {
            shape,
            faults,
            mut warnings,
            ..
        } = self;
        let follows = |fault: &Fault| {
            shape.iter().any(|cut| {
                let cut_at = |path: &Path| path.steps().starts_with(fault.path.steps());
                cut_at(&cut.path) || cut.meant.as_ref().is_some_and(cut_at)
            })
        };
        let mut all: Vec<ConfigFault> = shape
            .iter()
            .cloned()
            .chain(faults.into_iter().filter(|fault| !follows(fault)))
            .map(ConfigFault::from)
            .collect();
        let order = |one: &ConfigFault| one.place.as_ref().map(|place| (place.line, place.column));
        all.sort_by_key(order);
        warnings.sort_by_key(order);
        (all, warnings)
    }
}
