//! How the provider knows us.

use super::One;
use crate::base::secret::Secret;
use crate::config::check::Findings;
use crate::config::check::secret::secret;
use crate::config::written::provider::{AuthMethodWritten, KindWritten};
use crate::oidc::client::{Client, ClientError, Registration};
use crate::provider::AuthMethod;

/// The scopes of `oidc` where none are written.
const SCOPES: [&str; 3] = ["openid", "profile", "email"];

/// Parameters of an authorization request that no configuration may set (A18): ours, and those that
/// would make the answer another one than we read.
const OURS: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "registration",
    "id_token_hint",
];

impl One<'_> {
    pub(super) fn client_id(&self, findings: &mut Findings<'_>) -> Option<String> {
        match self.written.client_id.as_deref() {
            Some(id) if !id.trim().is_empty() => Some(id.to_owned()),
            Some(_) => {
                findings.fault(
                    &self.key("client_id"),
                    "it is empty",
                    "write our name at the provider",
                );
                None
            }
            None => {
                findings.fault(
                    &self.key("client_id"),
                    "`client_id` is missing",
                    "write our name at the provider",
                );
                None
            }
        }
    }

    pub(super) fn client_secret(&self, findings: &mut Findings<'_>) -> Option<Secret> {
        let here = self.key("client_secret");
        let source = self.written.client_secret.as_ref()?;
        secret(source, &here, self.public, findings)
    }

    pub(super) fn auth_method(&self, findings: &mut Findings<'_>) -> Option<AuthMethod> {
        let here = self.key("token_endpoint_auth_method");
        let has_secret = self.written.client_secret.is_some();
        let method = match self.written.token_endpoint_auth_method {
            None | Some(AuthMethodWritten::Auto) => AuthMethod::Auto,
            Some(AuthMethodWritten::ClientSecretBasic) => AuthMethod::ClientSecretBasic,
            Some(AuthMethodWritten::ClientSecretPost) => AuthMethod::ClientSecretPost,
            Some(AuthMethodWritten::None) => AuthMethod::None,
            Some(AuthMethodWritten::PrivateKeyJwt | AuthMethodWritten::TlsClientAuth) => {
                findings.fault(
                    &here,
                    "not yet: this method",
                    "write `auto` and give a `client_secret`",
                );
                return None;
            }
        };
        match method {
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost if !has_secret => {
                findings.fault(
                    &here,
                    "this method needs a `client_secret`",
                    "add `client_secret: { file: PATH }`, or write `none` for a public client",
                );
            }
            AuthMethod::None if has_secret => findings.fault(
                &here,
                "a public client has no `client_secret`",
                "take one of the two away",
            ),
            _ => {}
        }
        Some(method)
    }

    pub(super) fn scopes(&self, findings: &mut Findings<'_>) -> Vec<String> {
        let here = self.key("scopes");
        let oidc = matches!(self.written.kind, None | Some(KindWritten::Oidc));
        let Some(scopes) = &self.written.scopes else {
            let defaults: &[&str] = if oidc { &SCOPES } else { &[] };
            return defaults.iter().map(|&scope| scope.to_owned()).collect();
        };
        // RFC 6749 section 3.3.
        let sound = |scope: &String| {
            !scope.is_empty()
                && scope
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
        };
        for (index, _) in scopes.iter().enumerate().filter(|(_, scope)| !sound(scope)) {
            findings.fault(
                &here.index(index),
                "not one scope",
                "write each scope as an item of the list, without spaces and quotes in it",
            );
        }
        scopes.clone()
    }

    pub(super) fn authorization_parameters(
        &self,
        findings: &mut Findings<'_>,
    ) -> Vec<(String, String)> {
        let Some(written) = &self.written.authorization_parameters else {
            return Vec::new();
        };
        let here = self.key("authorization_parameters");
        for (name, _) in &written.0 {
            if OURS.contains(&name.as_str()) {
                findings.fault(
                    &here.key(name),
                    "this parameter is ours to set",
                    "take it away",
                );
            } else if name.is_empty() {
                findings.fault(&here, "a parameter has no name", "write `name: value`");
            }
        }
        written.0.clone()
    }

    /// Whatever else keeps the client from being built: said here, not at the first login.
    pub(super) fn register(&self, registration: Registration, findings: &mut Findings<'_>) {
        let Err(error) = Client::new(registration) else {
            return;
        };
        let key = match error {
            ClientError::ClientId => "client_id",
            ClientError::SecretMissing | ClientError::SecretSurplus | ClientError::SecretEmpty => {
                "client_secret"
            }
            ClientError::RedirectUri(_) => "redirect_path",
            ClientError::Scope(_) => "scopes",
            ClientError::OwnParameter(_)
            | ClientError::RepeatedParameter(_)
            | ClientError::ParameterName
            | ClientError::MaxAge => "authorization_parameters",
        };
        if !findings.knows(&self.path) {
            findings.fault(
                &self.key(key),
                error.to_string(),
                "write it as it is registered at the provider",
            );
        }
    }
}
