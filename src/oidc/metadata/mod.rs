//! Provider metadata: a discovery document held to the issuer it was asked from (OpenID Connect
//! Discovery section 4, RFC 8414), or endpoints written down by hand for a plain OAuth 2.0 provider.

mod document;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::client::OWN_PARAMETERS;
use super::endpoint::{Endpoint, EndpointError, EndpointRules};
use super::foreign_text::identifier;
use super::json::JsonError;
use super::logout;

/// What a discovery document is found under, below its issuer (Discovery section 4.1).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// The most characters of a foreign issuer that are shown.
const SHOWN: usize = 200;

/// Which protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect: an ID token says who it is.
    Oidc,
    /// OAuth 2.0 alone: the `UserInfo` endpoint says who it is.
    Oauth2,
}

/// What is known about a provider. It can only be made by a parser that checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    kind: ProviderKind,
    issuer: String,
    authorization_endpoint: Endpoint,
    token_endpoint: Endpoint,
    userinfo_endpoint: Option<Endpoint>,
    jwks_uri: Option<Endpoint>,
    end_session_endpoint: Option<Endpoint>,
    revocation_endpoint: Option<Endpoint>,
    token_endpoint_auth_methods: Vec<String>,
    signing_algorithms: Vec<Algorithm>,
    response_iss: ResponseIss,
    s256: S256,
}

/// What the authorization response says about its issuer (RFC 9207). It is sealed with a pending
/// login, hence the short names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseIss {
    /// The provider promises `iss` in each response: a response without it is refused.
    #[serde(rename = "p")]
    Promised,
    /// Nothing is promised: an `iss` that is there must be right.
    #[serde(rename = "n")]
    Unpromised,
    /// The provider's issuer identifier is not known, so there is nothing to compare with. Only
    /// for plain OAuth 2.0, where a redirect URI for each provider stands in for it (B8).
    #[serde(rename = "u")]
    Unknown,
}

/// What the metadata says about PKCE with S256 (RFC 8414 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum S256 {
    Listed,
    NothingListed,
}

/// The endpoints of a plain OAuth 2.0 provider, from the configuration.
#[derive(Debug, Clone)]
pub struct Oauth2Endpoints {
    /// The name that stands for the provider in identities (the issuer of its subjects).
    pub issuer: String,
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where the code is redeemed.
    pub token_endpoint: String,
    /// Where the person's profile is read.
    pub userinfo_endpoint: String,
    /// Where a token is revoked, where there is such a place.
    pub revocation_endpoint: Option<String>,
    /// Where the person signs out, where there is such a place.
    pub end_session_endpoint: Option<String>,
}

/// Why metadata is unusable. The provider's own words are in it, cut to 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The configured issuer is none (Discovery section 2: no query, no fragment).
    #[error("the issuer `{0}` is not an absolute https URL without query and fragment")]
    NoIssuer(String),
    /// Not a JSON object within the bounds.
    #[error("the discovery document is unreadable: {0}")]
    Json(#[from] JsonError),
    /// `issuer` differs from the one configured.
    #[error("{0}")]
    IssuerMismatch(IssuerMismatch),
    /// A member that must be there is not, or is not of its type.
    #[error("the discovery document's `{0}` is missing or not of its type")]
    Member(&'static str),
    /// An endpoint is unusable.
    #[error("the provider's `{name}` is unusable: {fault}")]
    Endpoint {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        fault: EndpointError,
    },
    /// PKCE methods are listed, and S256 is not among them.
    #[error("the provider offers PKCE without S256, and Sidegate uses nothing weaker")]
    NoS256,
    /// The signing algorithms are listed, and none is one that we take.
    #[error("the provider signs ID tokens with none of the algorithms that Sidegate takes")]
    NoAlgorithm,
}

/// Two issuers that should have been one, byte for byte (Discovery section 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMismatch {
    /// What the configuration says.
    pub configured: String,
    /// What the provider says.
    pub published: String,
    /// How they differ.
    pub difference: Difference,
}

/// How two issuers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// One has a trailing slash, and that is all.
    TrailingSlash,
    /// Anything else.
    Otherwise,
}

/// Why newer metadata is not taken in the place of what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpdateFault {
    /// It is of another issuer or another kind.
    #[error("the provider's metadata is of another issuer now")]
    Issuer,
    /// It listed S256 and lists it no more.
    #[error("the provider's metadata lists S256 no more")]
    S256,
    /// It promised `iss` in each response and does no more.
    #[error("the provider's metadata promises `iss` in its responses no more")]
    ResponseIss,
    /// An endpoint was `https` and is plain `http` now.
    #[error("the provider's `{0}` is plain http now")]
    PlainHttp(&'static str),
}

/// The URL of an issuer's discovery document: the well-known path behind the issuer's own path,
/// with one slash between them (Discovery section 4.1).
///
/// # Errors
/// [`MetadataError::NoIssuer`] when `issuer` is not an absolute URL within `rules`, or has a query.
pub fn well_known_url(issuer: &str, rules: EndpointRules) -> Result<Endpoint, MetadataError> {
    let none = || MetadataError::NoIssuer(identifier(issuer, SHOWN));
    let sound = Endpoint::parse(issuer, rules).map_err(|_| none())?;
    if sound.url().query().is_some() {
        return Err(none());
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    Endpoint::parse(&format!("{base}{WELL_KNOWN}"), rules).map_err(|_| none())
}

// ---------------------------------------------------------------------- ProviderMetadata

impl ProviderMetadata {
    /// Parses a discovery document that was asked from `issuer`.
    ///
    /// # Errors
    /// [`MetadataError`]: another issuer than `issuer`, byte for byte; an endpoint outside `rules`;
    /// PKCE or signatures weaker than ours; a document that is no bounded JSON object.
    pub fn parse(bytes: &[u8], issuer: &str, rules: EndpointRules) -> Result<Self, MetadataError> {
        document::parse(bytes, issuer, rules)
    }

    /// The metadata of a plain OAuth 2.0 provider, from the configuration.
    ///
    /// # Errors
    /// [`MetadataError::Endpoint`] for an endpoint outside `rules`.
    pub fn of_oauth2(
        endpoints: &Oauth2Endpoints,
        rules: EndpointRules,
    ) -> Result<Self, MetadataError> {
        let parse = |name, text: &str, own| {
            Endpoint::parse(text, rules)
                .and_then(|endpoint| endpoint.without(own))
                .map_err(|fault| MetadataError::Endpoint { name, fault })
        };
        let optional = |name, text: &Option<String>, own| {
            text.as_deref()
                .map(|text| parse(name, text, own))
                .transpose()
        };
        Ok(Self {
            kind: ProviderKind::Oauth2,
            issuer: endpoints.issuer.clone(),
            authorization_endpoint: parse(
                "authorization_endpoint",
                &endpoints.authorization_endpoint,
                OWN_PARAMETERS,
            )?,
            token_endpoint: parse("token_endpoint", &endpoints.token_endpoint, &[])?,
            userinfo_endpoint: Some(parse(
                "userinfo_endpoint",
                &endpoints.userinfo_endpoint,
                &[],
            )?),
            jwks_uri: None,
            end_session_endpoint: optional(
                "end_session_endpoint",
                &endpoints.end_session_endpoint,
                logout::OWN_PARAMETERS,
            )?,
            revocation_endpoint: optional(
                "revocation_endpoint",
                &endpoints.revocation_endpoint,
                &[],
            )?,
            token_endpoint_auth_methods: Vec::new(),
            signing_algorithms: Vec::new(),
            response_iss: ResponseIss::Unknown,
            s256: S256::NothingListed,
        })
    }

    /// Whether `newer`, fetched later for the same provider, may take this one's place
    /// (security requirement B12).
    ///
    /// # Errors
    /// [`UpdateFault`]: it would weaken what is known. The older metadata stays.
    pub fn accepts_update(&self, newer: &Self) -> Result<(), UpdateFault> {
        if self.issuer != newer.issuer || self.kind != newer.kind {
            return Err(UpdateFault::Issuer);
        }
        if self.s256 == S256::Listed && newer.s256 != S256::Listed {
            return Err(UpdateFault::S256);
        }
        if self.response_iss == ResponseIss::Promised && newer.response_iss != ResponseIss::Promised
        {
            return Err(UpdateFault::ResponseIss);
        }
        for ((name, old), (_, new)) in self.endpoints().into_iter().zip(newer.endpoints()) {
            let was_https = old.is_some_and(Endpoint::is_https);
            if was_https && new.is_some_and(|endpoint| !endpoint.is_https()) {
                return Err(UpdateFault::PlainHttp(name));
            }
        }
        Ok(())
    }

    fn endpoints(&self) -> [(&'static str, Option<&Endpoint>); 6] {
        [
            ("authorization_endpoint", Some(&self.authorization_endpoint)),
            ("token_endpoint", Some(&self.token_endpoint)),
            ("userinfo_endpoint", self.userinfo_endpoint.as_ref()),
            ("jwks_uri", self.jwks_uri.as_ref()),
            ("end_session_endpoint", self.end_session_endpoint.as_ref()),
            ("revocation_endpoint", self.revocation_endpoint.as_ref()),
        ]
    }

    /// Which protocol the provider speaks.
    #[must_use]
    pub fn kind(&self) -> ProviderKind {
        self.kind
    }

    /// The issuer, byte for byte as configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where browsers are sent to sign in.
    #[must_use]
    pub fn authorization_endpoint(&self) -> &Endpoint {
        &self.authorization_endpoint
    }

    /// Where a code is redeemed.
    #[must_use]
    pub fn token_endpoint(&self) -> &Endpoint {
        &self.token_endpoint
    }

    /// Where more about the person is told.
    #[must_use]
    pub fn userinfo_endpoint(&self) -> Option<&Endpoint> {
        self.userinfo_endpoint.as_ref()
    }

    /// Where the signing keys are; always there for [`ProviderKind::Oidc`].
    #[must_use]
    pub fn jwks_uri(&self) -> Option<&Endpoint> {
        self.jwks_uri.as_ref()
    }

    /// Where the person signs out (RP-Initiated Logout section 2.1).
    #[must_use]
    pub fn end_session_endpoint(&self) -> Option<&Endpoint> {
        self.end_session_endpoint.as_ref()
    }

    /// Where a token is revoked (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&Endpoint> {
        self.revocation_endpoint.as_ref()
    }

    /// The ways to authenticate that the provider lists; empty where it lists none.
    #[must_use]
    pub fn token_endpoint_auth_methods(&self) -> &[String] {
        &self.token_endpoint_auth_methods
    }

    /// The algorithms that an ID token may be signed with: those listed that we take, or all that
    /// we take where none are listed. Empty for [`ProviderKind::Oauth2`].
    #[must_use]
    pub fn signing_algorithms(&self) -> &[Algorithm] {
        &self.signing_algorithms
    }

    /// What the authorization response says about its issuer.
    #[must_use]
    pub fn response_iss(&self) -> ResponseIss {
        self.response_iss
    }
}

// ------------------------------------------------------------------------ IssuerMismatch

impl fmt::Display for IssuerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the provider says its issuer is `{}`, the configuration says `{}`",
            self.published, self.configured
        )?;
        match self.difference {
            Difference::TrailingSlash => f.write_str("; they differ only by a trailing slash"),
            Difference::Otherwise => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
