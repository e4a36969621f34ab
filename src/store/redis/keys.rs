//! The names of keys and channels. Whatever is in one besides the prefix is a hash in base64url, in
//! braces, so that all that is ever asked about one name lies in one slot of a cluster.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::settings::Prefix;
use crate::session::record::{GroupKey, RecordKey};

/// The names of one gate.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn below(prefix: &Prefix) -> Self {
        Self {
            prefix: prefix.as_str().to_owned(),
        }
    }

    /// A record.
    pub(super) fn record(&self, key: RecordKey) -> String {
        format!("{}:s:{{{}}}", self.prefix, key.to_text())
    }

    /// The pattern of all records' names.
    pub(super) fn any_record(&self) -> String {
        format!("{}:s:{{*}}", self.prefix)
    }

    /// The record that has this name.
    pub(super) fn recorded(&self, name: &[u8]) -> Option<RecordKey> {
        let name = std::str::from_utf8(name).ok()?;
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix(":s:{")?;
        RecordKey::parse(rest.strip_suffix('}')?)
    }

    /// A group.
    pub(super) fn group(&self, group: GroupKey) -> String {
        format!("{}:g:{{{}}}", self.prefix, group.to_text())
    }

    /// A lock.
    pub(super) fn lock(&self, name: RecordKey) -> String {
        format!("{}:l:{{{}}}", self.prefix, name.to_text())
    }

    /// A claim.
    pub(super) fn claim(&self, name: [u8; 32]) -> String {
        format!("{}:c:{{{}}}", self.prefix, URL_SAFE_NO_PAD.encode(name))
    }

    /// All that was announced.
    pub(super) fn announced(&self) -> String {
        format!("{}:e", self.prefix)
    }

    /// The channel of what happens.
    pub(super) fn news(&self) -> String {
        format!("{}:news", self.prefix)
    }

    /// The channel by which one listener hears itself.
    pub(super) fn echo(&self, listener: [u8; 16]) -> String {
        format!("{}:echo:{}", self.prefix, URL_SAFE_NO_PAD.encode(listener))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S3: a record's name has a prefix and a hash in it and nothing else.
    #[test]
    fn a_records_name_is_read_back_and_nothing_else_is() {
        let names = Names::below(&Prefix::parse("gate").unwrap());
        let key = RecordKey::from_bytes([7; 32]);
        assert_eq!(names.recorded(names.record(key).as_bytes()), Some(key));
        assert!(names.record(key).starts_with("gate:s:{BwcH"));
        for other in ["gate:s:{}", "gate:s:{x}", "other:s:{}", "gate:e", "\u{e4}"] {
            assert_eq!(names.recorded(other.as_bytes()), None, "{other}");
        }
    }
}
