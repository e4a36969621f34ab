//! Which protocol a provider speaks, and where.

use url::Url;

use super::One;
use crate::config::check::Findings;
use crate::config::written::provider::{KindWritten, UserInfoWritten};
use crate::oidc::endpoint::{Endpoint, EndpointRules};
use crate::provider::{ProviderKind, UserInfoUse};

impl One<'_> {
    pub(super) fn kind(&self, findings: &mut Findings<'_>) -> Option<ProviderKind> {
        match self.written.kind {
            None | Some(KindWritten::Oidc) => self.oidc(findings),
            Some(KindWritten::OAuth2) => self.oauth2(findings),
            Some(
                KindWritten::Google
                | KindWritten::Entra
                | KindWritten::GitHub
                | KindWritten::GitLab
                | KindWritten::Keycloak
                | KindWritten::Okta,
            ) => {
                findings.fault(
                    &self.key("kind"),
                    "not yet: presets",
                    "write `kind: oidc` with its `issuer`, or `kind: oauth2` with its endpoints",
                );
                None
            }
        }
    }

    fn oidc(&self, findings: &mut Findings<'_>) -> Option<ProviderKind> {
        for (key, _) in self.endpoints().iter().filter(|(_, url)| url.is_some()) {
            findings.fault(
                &self.key(key),
                "the endpoints of an `oidc` provider are discovered",
                "take it away, or write `kind: oauth2`",
            );
        }
        let issuer = self.url("issuer", self.written.issuer.as_deref(), findings)?;
        Some(ProviderKind::Oidc {
            issuer,
            userinfo: match self.written.userinfo {
                None | Some(UserInfoWritten::WhenNeeded) => UserInfoUse::WhenNeeded,
                Some(UserInfoWritten::Always) => UserInfoUse::Always,
                Some(UserInfoWritten::Never) => UserInfoUse::Never,
            },
        })
    }

    fn oauth2(&self, findings: &mut Findings<'_>) -> Option<ProviderKind> {
        let only_oidc = [
            ("issuer", self.written.issuer.is_some()),
            ("userinfo", self.written.userinfo.is_some()),
        ];
        for (key, _) in only_oidc.iter().filter(|(_, is)| *is) {
            findings.fault(
                &self.key(key),
                "plain `oauth2` has no such key",
                "take it away, or write `kind: oidc`",
            );
        }
        let [authorization, token, userinfo] = self
            .endpoints()
            .map(|(key, url)| self.url(key, url, findings));
        Some(ProviderKind::OAuth2 {
            authorization_endpoint: authorization?,
            token_endpoint: token?,
            userinfo_endpoint: userinfo?,
        })
    }

    fn endpoints(&self) -> [(&'static str, Option<&str>); 3] {
        let written = self.written;
        [
            (
                "authorization_endpoint",
                written.authorization_endpoint.as_deref(),
            ),
            ("token_endpoint", written.token_endpoint.as_deref()),
            ("userinfo_endpoint", written.userinfo_endpoint.as_deref()),
        ]
    }

    /// B3: `https`, or `http` on loopback; no user information, no fragment; an issuer has no query
    /// either (OpenID Connect Discovery section 3).
    fn url(&self, key: &str, written: Option<&str>, findings: &mut Findings<'_>) -> Option<String> {
        const REMEDY: &str = "write it like `https://id.example.com`, as the provider does";
        let here = self.key(key);
        let Some(text) = written else {
            let remedy = format!("write `{key}: https://...`");
            findings.fault(&here, format!("`{key}` is missing"), remedy);
            return None;
        };
        // A provider that is not on this machine names nothing that is.
        let rules = match &self.written.authorization_endpoint {
            Some(first) => EndpointRules::HttpsOrLoopback.for_issuer(first),
            None => EndpointRules::HttpsOrLoopback,
        };
        match Endpoint::parse(text, rules) {
            Err(error) => findings.fault(&here, error.to_string(), REMEDY),
            Ok(_) if key == "issuer" && text.contains('?') => {
                findings.fault(&here, "an issuer has no query", REMEDY);
            }
            Ok(_) => return Some(text.to_owned()),
        }
        None
    }

    /// Whether anybody in the world can get an account there.
    pub(super) fn is_open_enrolment(&self) -> bool {
        [
            &self.written.issuer,
            &self.written.authorization_endpoint,
            &self.written.userinfo_endpoint,
        ]
        .into_iter()
        .flatten()
        .filter_map(|url| Url::parse(url).ok())
        .any(|url| enrols_anybody(&url))
    }
}

/// Whether anybody in the world can get an account there.
fn enrols_anybody(issuer: &Url) -> bool {
    const HOSTS: [&str; 15] = [
        "accounts.google.com",
        "api.github.com",
        "api.twitter.com",
        "appleid.apple.com",
        "bitbucket.org",
        "discord.com",
        "github.com",
        "gitlab.com",
        "id.twitch.tv",
        "login.live.com",
        "login.yahoo.com",
        "openidconnect.googleapis.com",
        "slack.com",
        "www.facebook.com",
        "www.linkedin.com",
    ];
    // Tenants of Microsoft that are not one organisation.
    const TENANTS: [&str; 4] = [
        "common",
        "organizations",
        "consumers",
        "9188040d-6c67-4c5b-b112-36a304b66dad",
    ];
    let host = issuer.host_str().unwrap_or_default().trim_end_matches('.');
    let tenant = issuer
        .path_segments()
        .and_then(|mut segments| segments.next())
        .unwrap_or_default();
    HOSTS.contains(&host)
        || (host == "login.microsoftonline.com"
            && TENANTS.iter().any(|one| one.eq_ignore_ascii_case(tenant)))
}
