//! Who may sign in, and what is believed about them.

use super::One;
use crate::config::check::Findings;
use crate::config::check::access::{Vouching, condition};
use crate::config::written::provider::{AdmitWritten, ClaimsWritten, KindWritten};
use crate::oidc::claim_path::ClaimPath;
use crate::provider::{Admit, ClaimPaths, EmailTrust};

impl One<'_> {
    /// Who may sign in at all. Where everybody can get an account, saying nothing would admit the
    /// world.
    pub(super) fn admit(&self, id: &str, findings: &mut Findings<'_>) -> Option<Admit> {
        let here = self.key("admit");
        if let Some(AdmitWritten::Condition(written)) = &self.written.admit {
            let condition = condition(written, &here, Vouching::Of(id), findings);
            return Some(Admit::When(condition));
        }
        if self.written.admit.is_none() && self.is_open_enrolment() {
            findings.fault(
                &here,
                "everybody in the world can get an account at this provider",
                "say who may sign in, such as `admit: { emails: [\"@example.com\"] }`; if it is truly everybody, `admit: everyone`",
            );
            return None;
        }
        Some(Admit::Everyone)
    }

    pub(super) fn claims(&self, findings: &mut Findings<'_>) -> ClaimPaths {
        let switch = self.key("insecure_trust_email");
        let trusted = self.written.insecure_trust_email == Some(true);
        if trusted {
            findings.weakened(
                &switch,
                "every e-mail address this provider tells is taken for verified",
            );
        }
        let ClaimsWritten {
            subject,
            email,
            email_verified,
            groups,
            preferred_username,
            name,
        } = self.written.claims.clone().unwrap_or_default();
        let here = self.key("claims");
        let paths = [
            ("subject", &subject),
            ("email", &email),
            ("email_verified", &email_verified),
            ("groups", &groups),
            ("preferred_username", &preferred_username),
            ("name", &name),
        ];
        for (key, path) in paths {
            if path
                .as_ref()
                .is_some_and(|path| ClaimPath::parse(path).is_err())
            {
                findings.fault(
                    &here.key(key),
                    "not the path of a claim",
                    "write names with dots between them, such as `realm_access.roles`",
                );
            }
        }
        let oidc = matches!(self.written.kind, None | Some(KindWritten::Oidc));
        if oidc && subject.is_some() {
            findings.fault(
                &here.key("subject"),
                "with `oidc` the subject is `sub`",
                "take it away",
            );
        }
        ClaimPaths {
            subject,
            email,
            email_verified,
            email_trust: if trusted {
                EmailTrust::Provider
            } else {
                EmailTrust::VerifiedClaim
            },
            groups,
            preferred_username,
            name,
            kept: Vec::new(),
        }
    }
}
