//! What a verified answer of the provider said about a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::clock::UnixTime;

/// A longer name of an authentication context is as if there were none.
const LONGEST_ACR: usize = 255;

/// What a verified ID token says. Only [`verify`](super::id_token::verify) makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) sid: Option<String>,
    pub(super) auth_time: Option<UnixTime>,
    pub(super) issued_at: UnixTime,
    pub(super) expires_at: UnixTime,
    pub(super) members: Map<String, Value>,
}

impl Claims {
    /// The issuer, exactly as configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer's name for the person: 1 to 255 bytes without control characters.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The provider's session (Front-Channel Logout section 3).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// When the person last proved who they are, as far as the provider said.
    #[must_use]
    pub fn auth_time(&self) -> Option<UnixTime> {
        self.auth_time
    }

    /// In which authentication context the person signed in (Core section 2), as far as the provider said:
    /// at most 255 bytes.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        let acr = self.members.get("acr")?.as_str()?;
        (!acr.is_empty() && acr.len() <= LONGEST_ACR).then_some(acr)
    }

    /// When the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// When the token ends.
    #[must_use]
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// All claims, as they were signed.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }
}

/// Who somebody is. The key is issuer plus subject (OpenID Connect Core section 5.7); everything
/// else is an attribute, may be absent, and may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The issuer that vouches for the subject, exactly as configured.
    #[serde(rename = "i")]
    pub issuer: String,
    /// The issuer's stable name for the person.
    #[serde(rename = "s")]
    pub subject: String,
    /// The e-mail address, where one was told.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The groups, unqualified, in the provider's order.
    #[serde(rename = "g", default)]
    pub groups: Groups,
    /// The short name a person is known by; for display only.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// The full name; for display only.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Further claims, by the paths under which rules ask for them; `null` where nothing was told there, or
    /// too much to be kept. What is not there at all was not asked for when the person signed in.
    #[serde(rename = "c", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Value>,
}

/// An e-mail address and whether the provider says that it verified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address as the provider wrote it.
    #[serde(rename = "a")]
    pub address: String,
    /// Whether it may be used in a rule.
    #[serde(rename = "v")]
    pub verification: Verification,
}

/// Whether the provider vouches for an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verification {
    /// `email_verified` was the boolean `true`, or the configuration says the provider verifies.
    #[serde(rename = "y")]
    Verified,
    /// Anything else.
    #[serde(rename = "n")]
    Unverified,
}

/// A person's groups, or the knowledge that the provider did not tell all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Groups {
    /// All of them.
    #[serde(rename = "c")]
    Complete(Vec<String>),
    /// The provider left them out (`_claim_names`, OpenID Connect Core section 5.6.2): a rule that
    /// asks for a group is not met.
    #[serde(rename = "o")]
    Overage,
}

impl Default for Groups {
    fn default() -> Self {
        Self::Complete(Vec::new())
    }
}

impl Groups {
    /// The groups that are known; none in an overage.
    #[must_use]
    pub fn known(&self) -> &[String] {
        match self {
            Self::Complete(groups) => groups,
            Self::Overage => &[],
        }
    }
}
