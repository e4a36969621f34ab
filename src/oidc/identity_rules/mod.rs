//! From what a provider said to who somebody is, by the provider's own habits.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::claim_path::ClaimPath;
use super::claims::{Claims, Email, Groups, Identity, Verification};
use super::email_address;
use super::user_info::{Profile, UserInfo};

/// The most groups of one person.
const MOST_GROUPS: usize = 1000;
/// The most bytes of all group names together.
const GROUP_BYTES: usize = 64 * 1024;
/// The longest subject.
const LONGEST_SUBJECT: usize = 255;
/// The largest further claim, in bytes of JSON.
const CLAIM_BYTES: usize = 8 * 1024;
/// The most of them together.
const CLAIMS_BYTES: usize = 16 * 1024;
/// A name or an e-mail address longer than this is left out.
const LONGEST_ATTRIBUTE: usize = 1024;

/// Where a provider says what.
#[derive(Debug, Clone)]
pub struct IdentityRules {
    /// The stable name of the person. Of an OpenID provider it is looked for in the ID token alone,
    /// and is its `sub` where nothing is written here.
    pub subject: Option<ClaimPath>,
    /// The e-mail address.
    pub email: ClaimPath,
    /// Whether the provider verified it.
    pub email_verified: ClaimPath,
    /// Whether that has to be said at all.
    pub email_trust: EmailTrust,
    /// The groups: an array of names, one name, or an object whose keys are names.
    pub groups: ClaimPath,
    /// The short name.
    pub preferred_username: ClaimPath,
    /// The full name.
    pub name: ClaimPath,
    /// Further claims that rules ask for.
    pub kept: Vec<ClaimPath>,
}

/// Whose word makes an e-mail address a verified one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTrust {
    /// The claim's, and only if it is the boolean `true`.
    Claim,
    /// The configuration's: this provider knows only addresses that it verified.
    Provider,
}

/// Why no identity comes of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is no subject where the rules look for it, or it cannot be one.
    #[error("the provider names no usable subject at `{0}`")]
    Subject(String),
    /// The `UserInfo` is about another subject than the claims.
    #[error("the UserInfo is about another subject")]
    OtherSubject,
    /// The groups are there, and are no names. A rule that denies a group must not be met by
    /// nonsense, so nobody is let in with it.
    #[error("the groups at `{0}` are no names")]
    Groups(String),
    /// More groups than a person has.
    #[error("more than {MOST_GROUPS} groups, or more than {GROUP_BYTES} bytes of them")]
    TooManyGroups,
}

impl Default for IdentityRules {
    /// The standard claims (OpenID Connect Core section 5.1), and `groups`.
    fn default() -> Self {
        Self {
            subject: None,
            email: ClaimPath::standard("email"),
            email_verified: ClaimPath::standard("email_verified"),
            email_trust: EmailTrust::Claim,
            groups: ClaimPath::standard("groups"),
            preferred_username: ClaimPath::standard("preferred_username"),
            name: ClaimPath::standard("name"),
            kept: Vec::new(),
        }
    }
}

impl IdentityRules {
    /// The identity of a verified ID token's person. Issuer and subject are the ID token's alone
    /// (security requirements C24 and E5); of the rest, what the ID token does not say is taken
    /// from the `UserInfo`.
    ///
    /// # Errors
    /// [`IdentityError`]; see its variants.
    pub fn identity(
        &self,
        claims: &Claims,
        user_info: Option<&UserInfo>,
    ) -> Result<Identity, IdentityError> {
        if user_info.is_some_and(|user_info| user_info.subject() != claims.subject()) {
            return Err(IdentityError::OtherSubject);
        }
        let subject = match &self.subject {
            None => claims.subject().to_owned(),
            Some(path) => subject_at(path, claims.members())?,
        };
        let sources: Vec<_> = [Some(claims.members()), user_info.map(UserInfo::members)]
            .into_iter()
            .flatten()
            .collect();
        self.compose(claims.issuer(), subject, &sources)
    }

    /// The identity of `before` as the `UserInfo` has it now, where a refresh brought no ID token.
    /// Nothing if the `UserInfo` cannot stand for all that the ID token said: it leaves out groups,
    /// a name, the address or its verification, or the subject is not the standard one, which alone
    /// it vouches for. Whether those are gone or only told elsewhere, the next ID token says.
    ///
    /// # Errors
    /// [`IdentityError`]; see its variants.
    pub fn identity_refreshed(
        &self,
        before: &Identity,
        user_info: &UserInfo,
    ) -> Result<Option<Identity>, IdentityError> {
        if self.subject.is_some() || user_info.subject() != before.subject {
            return Ok(None);
        }
        let members = user_info.members();
        if self.groups.find(members).is_none() && before.groups != Groups::default() {
            return Ok(None);
        }
        let now = self.compose(&before.issuer, before.subject.clone(), &[members])?;
        let verified = |identity: &Identity| {
            let email = identity.email.as_ref();
            email.is_some_and(|email| email.verification == Verification::Verified)
        };
        let says_less = (before.email.is_some() && now.email.is_none())
            || (verified(before) && !verified(&now))
            || (before.preferred_username.is_some() && now.preferred_username.is_none())
            || (before.name.is_some() && now.name.is_none())
            || before.claims.iter().any(|(path, value)| {
                !value.is_null() && now.claims.get(path).is_none_or(Value::is_null)
            });
        Ok((!says_less).then_some(now))
    }

    /// The identity of the person of a plain OAuth 2.0 provider that goes by `issuer`. The subject
    /// may be a whole number, such as GitHub's `id`.
    ///
    /// # Errors
    /// [`IdentityError`]; see its variants.
    pub fn identity_of_oauth2(
        &self,
        issuer: &str,
        profile: &Profile,
    ) -> Result<Identity, IdentityError> {
        let standard = ClaimPath::standard("sub");
        let path = self.subject.as_ref().unwrap_or(&standard);
        let subject = subject_at(path, profile.members())?;
        self.compose(issuer, subject, &[profile.members()])
    }

    fn compose(
        &self,
        issuer: &str,
        subject: String,
        sources: &[&Map<String, Value>],
    ) -> Result<Identity, IdentityError> {
        let attribute = |path: &ClaimPath| {
            sources
                .iter()
                .find_map(|members| path.find(members))
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty() && text.len() <= LONGEST_ATTRIBUTE)
                .map(str::to_owned)
        };
        Ok(Identity {
            issuer: issuer.to_owned(),
            subject,
            email: self.email(sources),
            groups: self.groups(sources)?,
            preferred_username: attribute(&self.preferred_username),
            name: attribute(&self.name),
            claims: self.claims(sources),
        })
    }

    /// What rules ask for, as far as it is small enough to be kept.
    fn claims(&self, sources: &[&Map<String, Value>]) -> BTreeMap<String, Value> {
        let mut room = CLAIMS_BYTES;
        let mut claims = BTreeMap::new();
        for path in &self.kept {
            let told = sources.iter().find_map(|members| path.find(members));
            let size = |value: &Value| value.to_string().len();
            let fits = |value: &&Value| size(value) <= CLAIM_BYTES.min(room);
            let kept = told.filter(fits).cloned().unwrap_or_default();
            room = room.saturating_sub(size(&kept));
            claims.insert(path.as_str().to_owned(), kept);
        }
        claims
    }

    /// Address and verification always come from the same source. A verified address goes before
    /// one that is not.
    fn email(&self, sources: &[&Map<String, Value>]) -> Option<Email> {
        let told: Vec<_> = sources
            .iter()
            .filter_map(|members| self.email_in(members))
            .collect();
        told.iter()
            .find(|email| email.verification == Verification::Verified)
            .or(told.first())
            .cloned()
    }

    fn email_in(&self, members: &Map<String, Value>) -> Option<Email> {
        let address = self
            .email
            .find(members)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty() && text.len() <= LONGEST_ATTRIBUTE)?;
        let vouched = match self.email_trust {
            EmailTrust::Provider => true,
            EmailTrust::Claim => self.email_verified.find(members) == Some(&Value::Bool(true)),
        };
        let verification = if vouched && email_address::has_one_reading(address) {
            Verification::Verified
        } else {
            Verification::Unverified
        };
        Some(Email {
            address: address.to_owned(),
            verification,
        })
    }

    fn groups(&self, sources: &[&Map<String, Value>]) -> Result<Groups, IdentityError> {
        let Some(value) = sources.iter().find_map(|members| self.groups.find(members)) else {
            let left_out = sources.iter().any(|members| self.left_out_groups(members));
            return Ok(if left_out {
                Groups::Overage
            } else {
                Groups::default()
            });
        };
        let no_names = || IdentityError::Groups(self.groups.as_str().to_owned());
        let names: Vec<&str> = match value {
            Value::String(name) => vec![name],
            Value::Object(by_name) => by_name.keys().map(String::as_str).collect(),
            Value::Array(items) => items
                .iter()
                .map(Value::as_str)
                .collect::<Option<_>>()
                .ok_or_else(no_names)?,
            _ => return Err(no_names()),
        };
        let bytes: usize = names.iter().map(|name| name.len()).sum();
        if names.len() > MOST_GROUPS || bytes > GROUP_BYTES {
            return Err(IdentityError::TooManyGroups);
        }
        let known = names.into_iter().filter(|name| !name.is_empty());
        Ok(Groups::Complete(known.map(str::to_owned).collect()))
    }

    /// Core section 5.6.2: `_claim_names` names the claims that are told elsewhere. Microsoft Entra
    /// says `hasgroups` for the same.
    fn left_out_groups(&self, members: &Map<String, Value>) -> bool {
        let elsewhere = members
            .get("_claim_names")
            .and_then(Value::as_object)
            .is_some_and(|names| names.keys().any(|name| self.groups.starts_with(name)));
        let hinted = self.groups.as_str() == "groups"
            && members
                .get("hasgroups")
                .is_some_and(|hint| matches!(hint, Value::Bool(true)) || hint == "true");
        elsewhere || hinted
    }
}

fn subject_at(path: &ClaimPath, members: &Map<String, Value>) -> Result<String, IdentityError> {
    let subject = match path.find(members) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Some(number.to_string())
        }
        _ => None,
    };
    subject
        .filter(|text| {
            !text.is_empty() && text.len() <= LONGEST_SUBJECT && !text.contains(char::is_control)
        })
        .ok_or_else(|| IdentityError::Subject(path.as_str().to_owned()))
}

#[cfg(test)]
mod tests;
