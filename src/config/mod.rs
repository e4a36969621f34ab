//! Floor 7: the YAML as written, and the settings as built.
