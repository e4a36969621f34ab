//! `providers`: who vouches for people.

mod client;
mod kind;
mod person;

use std::collections::BTreeSet;

use super::settings::is_plain_path;
use super::{Findings, authorities, several};
use crate::base::origin::PublicUrl;
use crate::config::tree::Path;
use crate::config::written::ConfigFile;
use crate::config::written::provider::{HintWritten, ProviderWritten, RefreshTokensWritten};
use crate::oidc::client::{Registration, TokenEndpointAuthMethod};
use crate::provider::{AuthMethod, IdTokenHint, ProviderSettings, RefreshTokens};

/// The id of an only provider that has none.
const ONLY: &str = "default";

/// What lives below the prefix and is no callback, in this version or a later one.
const OUR_ENDPOINTS: [&str; 9] = [
    "/start",
    "/sign_in",
    "/sign_out",
    "/userinfo",
    "/auth",
    "/forward-auth",
    "/backchannel_logout",
    "/frontchannel_logout",
    "/jwks",
];

/// What browsers see, as far as it is known.
pub(super) struct Public<'a> {
    pub(super) url: Option<&'a PublicUrl>,
    pub(super) prefix: Option<&'a str>,
}

impl Public<'_> {
    /// Whether only this machine sees us; where the URL is broken, its own fault says enough.
    pub(super) fn is_loopback(&self) -> bool {
        self.url.is_none_or(|url| url.origin().host().is_loopback())
    }
}

/// The ids of all providers, as rules may name them.
pub(super) fn ids(file: &ConfigFile) -> Vec<String> {
    let providers = file.providers.iter().flatten();
    providers.filter_map(|one| one.id.clone()).collect()
}

/// All providers.
pub(super) fn check(
    file: &ConfigFile,
    public: &Public<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ProviderSettings> {
    let here = Path::root("providers");
    let written = file.providers.as_deref().unwrap_or_default();
    if written.is_empty() {
        findings.fault(
            &here,
            "there is no provider",
            "write at least one, with `issuer` and `client_id`",
        );
    }
    let mut seen = BTreeSet::new();
    let mut callbacks = BTreeSet::new();
    let mut settings = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let one = One {
            written,
            path: here.index(index),
            public,
            several: several(file),
        };
        let id = one.id(findings);
        let is_twin = id.as_ref().is_some_and(|id| !seen.insert(id.clone()));
        let redirect_path = one.redirect_path(id.as_deref(), findings);
        // B8: an answer must tell by its path which provider it claims to come from.
        let is_shared = redirect_path
            .as_ref()
            .is_some_and(|path| !callbacks.insert(path.clone()));
        if is_twin {
            findings.fault(
                &one.path.key("id"),
                "another provider has this id already",
                "give each its own",
            );
        } else if is_shared {
            findings.fault(
                &one.path.key("redirect_path"),
                "another provider has this redirect path already",
                "leave the key out: each provider then gets its own",
            );
        }
        let built = one.check(id, redirect_path, findings);
        let is_double = built.as_ref().is_some_and(|one: &ProviderSettings| {
            let same = |known: &ProviderSettings| {
                known.kind == one.kind && known.client_id == one.client_id
            };
            settings.iter().any(same)
        });
        if is_double && !is_twin {
            findings.fault(
                &one.path.key("client_id"),
                "this provider stands here a second time",
                "keep one of the two",
            );
        }
        settings.extend(built);
    }
    settings
}

struct One<'a> {
    written: &'a ProviderWritten,
    path: Path,
    public: &'a Public<'a>,
    several: bool,
}

impl One<'_> {
    fn check(
        &self,
        id: Option<String>,
        redirect_path: Option<String>,
        findings: &mut Findings<'_>,
    ) -> Option<ProviderSettings> {
        let kind = self.kind(findings);
        let client_id = self.client_id(findings);
        let client_secret = self.client_secret(findings);
        let auth_method = self.auth_method(findings);
        let scopes = self.scopes(findings);
        let admit = self.admit(id.as_deref().unwrap_or(ONLY), findings);
        self.ca(findings);
        let authorization_parameters = self.authorization_parameters(findings);
        let claims = self.claims(findings);
        let settings = ProviderSettings {
            id: id?,
            kind: kind?,
            client_id: client_id?,
            client_secret,
            auth_method: auth_method?,
            redirect_path: redirect_path?,
            scopes,
            admit: admit?,
            ca: self.written.ca.as_ref().map(|ca| ca.file.clone()),
            trusted_audiences: self.written.trusted_audiences.clone().unwrap_or_default(),
            claims,
            authorization_parameters,
            id_token_hint: match self.written.id_token_hint {
                None | Some(HintWritten::Auto) => IdTokenHint::Auto,
                Some(HintWritten::Always) => IdTokenHint::Always,
                Some(HintWritten::Never) => IdTokenHint::Never,
            },
            refresh_tokens: match self.written.refresh_tokens {
                None | Some(RefreshTokensWritten::Use) => RefreshTokens::Use,
                Some(RefreshTokensWritten::Ignore) => RefreshTokens::Ignore,
            },
        };
        if let Some(url) = self.public.url {
            self.register(registration(&settings, url), findings);
        }
        Some(settings)
    }

    fn key(&self, key: &str) -> Path {
        self.path.key(key)
    }

    fn id(&self, findings: &mut Findings<'_>) -> Option<String> {
        let Some(id) = &self.written.id else {
            if self.several {
                findings.fault(
                    &self.key("id"),
                    "with several providers, each needs an `id`",
                    "write a short name, such as `id: corp`",
                );
                return None;
            }
            return Some(ONLY.to_owned());
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let sound = (1..=64).contains(&id.len())
            && id.bytes().all(plain)
            && !matches!(id.as_str(), "." | "..");
        if !sound {
            findings.fault(
                &self.key("id"),
                "not a plain name",
                "write up to 64 letters, digits, `-`, `_`, `.`",
            );
            return None;
        }
        Some(id.clone())
    }

    fn redirect_path(&self, id: Option<&str>, findings: &mut Findings<'_>) -> Option<String> {
        let (prefix, id) = (self.public.prefix?, id?);
        let Some(path) = &self.written.redirect_path else {
            return Some(if self.several {
                format!("{prefix}/callback/{id}")
            } else {
                format!("{prefix}/callback")
            });
        };
        let here = self.key("redirect_path");
        if !is_plain_path(path) {
            findings.fault(
                &here,
                "not a plain path: `/`, then letters, digits, `-`, `.`, `_`, `~`, and no `/` at the end",
                "write it like `/oauth2/callback`, below the path of `public_url`",
            );
            return None;
        }
        let below = path.strip_prefix(prefix).unwrap_or_default();
        if OUR_ENDPOINTS.contains(&below) || path == prefix {
            findings.fault(
                &here,
                "another endpoint of ours lives on this path",
                format!("write it like `{prefix}/callback`"),
            );
            return None;
        }
        Some(path.clone())
    }

    fn ca(&self, findings: &mut Findings<'_>) {
        if let Some(ca) = &self.written.ca {
            authorities::are_good(ca, &self.key("ca"), findings);
        }
    }
}

fn registration(settings: &ProviderSettings, public_url: &PublicUrl) -> Registration {
    Registration {
        client_id: settings.client_id.clone(),
        client_secret: settings.client_secret.clone(),
        auth_method: match settings.auth_method {
            AuthMethod::Auto => TokenEndpointAuthMethod::Automatic,
            AuthMethod::ClientSecretBasic => TokenEndpointAuthMethod::ClientSecretBasic,
            AuthMethod::ClientSecretPost => TokenEndpointAuthMethod::ClientSecretPost,
            AuthMethod::None => TokenEndpointAuthMethod::None,
        },
        redirect_uri: public_url.join(&settings.redirect_path),
        scopes: settings.scopes.clone(),
        authorization_parameters: settings.authorization_parameters.clone(),
    }
}
