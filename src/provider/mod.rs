//! Floor 5: the conversation with the authorization server. It lives on the control runtime; the
//! workers only read what it last learned.
//!
//! [`Provider::begin_login`] reads a snapshot and answers at once. [`Provider::complete_login`] is
//! the one way from a code to somebody who [`SignedIn`](crate::session::lifetime::SignedIn): token request, ID token, then, and only
//! then, the UserInfo (security requirement E7). [`Provider::watch`] keeps metadata and keys.

mod discovery;
mod errors;
mod keys;
mod login;
mod logout;
mod renewal;
mod settings;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

pub use self::discovery::{Health, Standing};
pub use self::errors::{LoginError, ProviderFault, Stage};
use self::keys::Keys;
pub use self::renewal::RenewalError;
pub use self::settings::{
    Admit, AuthMethod, ClaimPaths, EmailTrust, IdTokenHint, ProviderKind, ProviderSettings,
    RefreshTokens, UserInfoUse,
};
use crate::base::clock::Clock;
use crate::base::origin::{Origin, PublicUrl};
use crate::base::secret::Secret;
use crate::gate::access::Applicant;
use crate::gate::access::Verdict;
use crate::oidc::algorithm::Algorithm;
use crate::oidc::authorization::{Attempt, AuthorizationRequest, PendingLogin};
use crate::oidc::claim_path::ClaimPath;
use crate::oidc::claims::Identity;
use crate::oidc::client::{Client, Registration, TokenEndpointAuthMethod};
use crate::oidc::endpoint::EndpointRules;
use crate::oidc::identity_rules::{self, IdentityRules};
use crate::oidc::logout::EndSessionRequest;
use crate::oidc::metadata::{Oauth2Endpoints, ProviderMetadata};
use crate::transport::http_client::HttpClient;

/// One provider that people sign in at.
pub struct Provider {
    settings: ProviderSettings,
    issuer: String,
    client: Client,
    rules: IdentityRules,
    endpoints: EndpointRules,
    http: HttpClient,
    clock: Clock,
    metadata: ArcSwapOption<ProviderMetadata>,
    keys: Keys,
    health: Health,
    nudge: Notify,
    /// Wakes those who wait for the first answer.
    answered: Notify,
}

impl Provider {
    /// A provider of which nothing is known yet; nothing is sent.
    ///
    /// # Errors
    /// [`ProviderFault`] for settings that do not hold together; the configuration's check finds
    /// them before.
    pub fn new(
        settings: ProviderSettings,
        public: &PublicUrl,
        http: HttpClient,
        clock: Clock,
    ) -> Result<Self, ProviderFault> {
        let client = Client::new(Registration {
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            auth_method: match settings.auth_method {
                AuthMethod::Auto => TokenEndpointAuthMethod::Automatic,
                AuthMethod::ClientSecretBasic => TokenEndpointAuthMethod::ClientSecretBasic,
                AuthMethod::ClientSecretPost => TokenEndpointAuthMethod::ClientSecretPost,
                AuthMethod::None => TokenEndpointAuthMethod::None,
            },
            redirect_uri: public.join(&settings.redirect_path),
            scopes: settings.scopes.clone(),
            authorization_parameters: settings.authorization_parameters.clone(),
        })?;
        let rules = identity_rules(&settings.claims)?;
        let issuer = match &settings.kind {
            ProviderKind::Oidc { issuer, .. } => issuer.clone(),
            ProviderKind::OAuth2 { .. } => format!("oauth2:{}", settings.id),
        };
        let (endpoints, metadata) = match &settings.kind {
            ProviderKind::Oidc { issuer, .. } => {
                (EndpointRules::HttpsOrLoopback.for_issuer(issuer), None)
            }
            ProviderKind::OAuth2 {
                authorization_endpoint,
                token_endpoint,
                userinfo_endpoint,
            } => {
                let rules = EndpointRules::HttpsOrLoopback.for_issuer(authorization_endpoint);
                let written = Oauth2Endpoints {
                    issuer: issuer.clone(),
                    authorization_endpoint: authorization_endpoint.clone(),
                    token_endpoint: token_endpoint.clone(),
                    userinfo_endpoint: userinfo_endpoint.clone(),
                    revocation_endpoint: None,
                    end_session_endpoint: None,
                };
                (
                    rules,
                    Some(Arc::new(ProviderMetadata::of_oauth2(&written, rules)?)),
                )
            }
        };
        Ok(Self {
            keys: Keys::new(clock.clone()),
            health: Health::new(metadata.is_some(), clock.now()),
            metadata: ArcSwapOption::new(metadata),
            nudge: Notify::new(),
            answered: Notify::new(),
            settings,
            issuer,
            client,
            rules,
            endpoints,
            http,
            clock,
        })
    }

    /// Its id in the configuration.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    /// The issuer of its identities.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether `identity`, which it vouches for, may sign in here at all. Pure.
    #[must_use]
    pub fn admits(&self, identity: &Identity) -> Verdict {
        match &self.settings.admit {
            Admit::Everyone => Verdict::Met,
            Admit::When(condition) => condition.judge(&Applicant::by_identity(self.id(), identity)),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The callback as it must be registered at the provider.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        self.client.redirect_uri()
    }

    /// Where the browser goes to sign in, and what will judge the answer. Nothing is sent.
    ///
    /// # Errors
    /// [`LoginError::Unavailable`] while the provider's metadata are not known, and then it is
    /// asked anew soon; [`LoginError::Begin`] for randomness that is none.
    pub fn begin_login(
        &self,
        attempt: Attempt,
    ) -> Result<(AuthorizationRequest, PendingLogin), LoginError> {
        let Some(metadata) = self.metadata.load_full() else {
            self.nudge.notify_one();
            return Err(LoginError::Unavailable);
        };
        Ok(AuthorizationRequest::begin(
            &self.client,
            &metadata,
            attempt,
        )?)
    }

    /// Where to send the browser so that the person is signed out at the provider too; nothing
    /// where the provider has no such place, or is not known.
    #[must_use]
    pub fn end_session_url(
        &self,
        raw_id_token: Option<&Secret>,
        post_logout_redirect_uri: &str,
        state: &str,
    ) -> Option<String> {
        let metadata = self.metadata.load_full()?;
        let hint = raw_id_token;
        EndSessionRequest::url(
            &metadata,
            &self.client,
            hint,
            post_logout_redirect_uri,
            state,
        )
    }

    /// The origin of the end-session endpoint, for the page whose form leads there.
    #[must_use]
    pub fn end_session_origin(&self) -> Option<Origin> {
        let metadata = self.metadata.load_full()?;
        let url = metadata.end_session_endpoint()?.url();
        Origin::parse(&url.origin().ascii_serialization()).ok()
    }

    /// The algorithms an ID token may be signed with: ours, as far as the provider lists them.
    fn algorithms(metadata: &ProviderMetadata) -> &[Algorithm] {
        metadata.signing_algorithms()
    }

    /// Whether the raw ID token is worth its room in the session's cookie: where the provider signs
    /// people out, most want it as a hint, and ask the person instead where it is missing.
    fn keeps_id_token(&self, metadata: &ProviderMetadata, raw_id_token: &Secret) -> bool {
        match self.settings.id_token_hint {
            IdTokenHint::Always => true,
            IdTokenHint::Never => false,
            IdTokenHint::Auto => {
                metadata.end_session_endpoint().is_some()
                    && raw_id_token.expose().len() <= LONGEST_HINT
            }
        }
    }
}

/// A hint longer than this is not kept unless the operator asks: the session would need a second
/// cookie for it.
const LONGEST_HINT: usize = 1536;

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("id", &self.settings.id)
            .finish_non_exhaustive()
    }
}

/// The rules for what stands where in the claims.
///
/// # Errors
/// [`ProviderFault::ClaimPath`]: a path is none.
pub fn identity_rules(paths: &ClaimPaths) -> Result<IdentityRules, ProviderFault> {
    let standard = IdentityRules::default();
    let path = |written: &Option<String>, standard: ClaimPath| match written {
        Some(text) => ClaimPath::parse(text).map_err(|_| ProviderFault::ClaimPath(text.clone())),
        None => Ok(standard),
    };
    Ok(IdentityRules {
        subject: paths
            .subject
            .as_ref()
            .map(|text| ClaimPath::parse(text).map_err(|_| ProviderFault::ClaimPath(text.clone())))
            .transpose()?,
        email: path(&paths.email, standard.email)?,
        email_verified: path(&paths.email_verified, standard.email_verified)?,
        email_trust: match paths.email_trust {
            EmailTrust::VerifiedClaim => identity_rules::EmailTrust::Claim,
            EmailTrust::Provider => identity_rules::EmailTrust::Provider,
        },
        groups: path(&paths.groups, standard.groups)?,
        preferred_username: path(&paths.preferred_username, standard.preferred_username)?,
        name: path(&paths.name, standard.name)?,
        kept: paths.kept.clone(),
    })
}
