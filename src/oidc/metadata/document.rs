//! Reads a discovery document (OpenID Connect Discovery section 4.2, RFC 8414 section 3.2).

use serde_json::{Map, Value};

use super::{
    Difference, IssuerMismatch, MetadataError, ProviderKind, ProviderMetadata, ResponseIss, S256,
    SHOWN,
};
use crate::oidc::algorithm::Algorithm;
use crate::oidc::client::OWN_PARAMETERS;
use crate::oidc::endpoint::{Endpoint, EndpointRules};
use crate::oidc::foreign_text::identifier;
use crate::oidc::json;
use crate::oidc::logout;

pub(super) fn parse(
    bytes: &[u8],
    issuer: &str,
    rules: EndpointRules,
) -> Result<ProviderMetadata, MetadataError> {
    let members = json::parse_object(bytes, json::DOCUMENT_LIMIT)?;
    check_issuer(&members, issuer)?;
    let document = Document {
        members: &members,
        rules: rules.for_issuer(issuer),
    };
    Ok(ProviderMetadata {
        kind: ProviderKind::Oidc,
        issuer: issuer.to_owned(),
        authorization_endpoint: document.required("authorization_endpoint", OWN_PARAMETERS)?,
        token_endpoint: document.required("token_endpoint", &[])?,
        userinfo_endpoint: document.endpoint("userinfo_endpoint", &[])?,
        jwks_uri: Some(document.required("jwks_uri", &[])?),
        end_session_endpoint: document.endpoint("end_session_endpoint", logout::OWN_PARAMETERS)?,
        revocation_endpoint: document.endpoint("revocation_endpoint", &[])?,
        token_endpoint_auth_methods: document
            .texts("token_endpoint_auth_methods_supported")?
            .unwrap_or_default(),
        signing_algorithms: document.algorithms()?,
        response_iss: document.response_iss()?,
        s256: document.s256()?,
    })
}

fn check_issuer(members: &Map<String, Value>, configured: &str) -> Result<(), MetadataError> {
    let published = members
        .get("issuer")
        .and_then(Value::as_str)
        .ok_or(MetadataError::Member("issuer"))?;
    if published == configured {
        return Ok(());
    }
    let bare = |issuer: &str| issuer.strip_suffix('/').unwrap_or(issuer).to_owned();
    Err(MetadataError::IssuerMismatch(IssuerMismatch {
        configured: configured.to_owned(),
        published: identifier(published, SHOWN),
        difference: if bare(published) == bare(configured) {
            Difference::TrailingSlash
        } else {
            Difference::Otherwise
        },
    }))
}

/// A discovery document's members, under the rules for its endpoints.
struct Document<'a> {
    members: &'a Map<String, Value>,
    rules: EndpointRules,
}

impl Document<'_> {
    fn required(
        &self,
        name: &'static str,
        own: &[&'static str],
    ) -> Result<Endpoint, MetadataError> {
        self.endpoint(name, own)?.ok_or(MetadataError::Member(name))
    }

    fn endpoint(
        &self,
        name: &'static str,
        own: &[&'static str],
    ) -> Result<Option<Endpoint>, MetadataError> {
        let text = match self.members.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(_) => return Err(MetadataError::Member(name)),
        };
        Endpoint::parse(text, self.rules)
            .and_then(|endpoint| endpoint.without(own))
            .map(Some)
            .map_err(|fault| MetadataError::Endpoint { name, fault })
    }

    fn texts(&self, name: &'static str) -> Result<Option<Vec<String>>, MetadataError> {
        let items = match self.members.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(MetadataError::Member(name)),
        };
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or(MetadataError::Member(name))
    }

    fn algorithms(&self) -> Result<Vec<Algorithm>, MetadataError> {
        let Some(listed) = self.texts("id_token_signing_alg_values_supported")? else {
            return Ok(Algorithm::ALL.to_vec());
        };
        let taken: Vec<_> = listed.iter().filter_map(|a| Algorithm::parse(a)).collect();
        if taken.is_empty() {
            Err(MetadataError::NoAlgorithm)
        } else {
            Ok(taken)
        }
    }

    fn response_iss(&self) -> Result<ResponseIss, MetadataError> {
        const NAME: &str = "authorization_response_iss_parameter_supported";
        match self.members.get(NAME) {
            Some(Value::Bool(true)) => Ok(ResponseIss::Promised),
            None | Some(Value::Bool(false) | Value::Null) => Ok(ResponseIss::Unpromised),
            Some(_) => Err(MetadataError::Member(NAME)),
        }
    }

    /// Many providers do S256 and do not say so; one that says what it does must say S256 (A3).
    fn s256(&self) -> Result<S256, MetadataError> {
        match self.texts("code_challenge_methods_supported")? {
            None => Ok(S256::NothingListed),
            Some(methods) if methods.iter().any(|method| method == "S256") => Ok(S256::Listed),
            Some(_) => Err(MetadataError::NoS256),
        }
    }
}
