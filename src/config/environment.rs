//! The environment variables that a configuration may ask for, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Environment variables by name. `Debug` tells how many there are, never what they hold.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own, without those that are not UTF-8.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// What `name` holds, if it is set.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Where state that outlives the process may be kept: `$STATE_DIRECTORY` (systemd; the first of
    /// several), else `sidegate` in `$XDG_STATE_HOME` or in `~/.local/state`. Only absolute paths
    /// count.
    #[must_use]
    pub fn state_directory(&self) -> Option<PathBuf> {
        let absolute = |name: &str| {
            let path = PathBuf::from(self.value(name)?.split(':').next()?);
            path.is_absolute().then_some(path)
        };
        absolute("STATE_DIRECTORY")
            .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("sidegate")))
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state/sidegate")))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn state_is_kept_where_the_service_manager_says_before_the_home_directory() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/sidegate:/var/lib/other"),
            ("XDG_STATE_HOME", "/xdg"),
            ("HOME", "/home/a"),
        ];
        for (from, wanted) in [
            (0, Some("/var/lib/sidegate")),
            (1, Some("/xdg/sidegate")),
            (2, Some("/home/a/.local/state/sidegate")),
            (3, None),
        ] {
            assert_eq!(
                environment(&all[from..]).state_directory(),
                wanted.map(PathBuf::from)
            );
        }
        assert_eq!(environment(&[("HOME", "relative")]).state_directory(), None);
    }

    // T7: what the environment holds is never printed.
    #[test]
    fn the_values_of_the_environment_are_never_printed() {
        let secret = environment(&[("SECRET", "hunter2")]);
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.value("SECRET"), Some("hunter2"));
    }
}
