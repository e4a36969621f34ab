//! How much memory a session takes, roughly: what bounds of bytes are counted in.

use super::Session;
use crate::base::secret::Secret;
use crate::oidc::claims::Groups;

/// What a session takes beside its texts.
const OVERHEAD: usize = 256;

impl Session {
    /// About so many bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let identity = &self.identity;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let secret = |token: Option<&Secret>| token.map_or(0, |token| token.expose().len());
        let groups = match &identity.groups {
            Groups::Complete(groups) => groups.iter().map(|group| group.len() + 24).sum(),
            Groups::Overage => 0,
        };
        OVERHEAD
            + identity.issuer.len()
            + identity.subject.len()
            + text(&identity.name)
            + text(&identity.preferred_username)
            + groups
            + secret(self.raw_id_token.as_ref())
            + secret(self.grant.as_ref().map(|grant| &grant.refresh_token))
    }
}
