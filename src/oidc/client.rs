//! The client: us, as the provider knows us (RFC 6749 section 2).

use oauth2::RedirectUrl;

use super::endpoint::{Endpoint, EndpointError, EndpointRules};
use super::metadata::ProviderMetadata;
use crate::base::secret::Secret;

/// The parameters of an authorization request that are ours to set, or that would make the answer
/// another one than we read. No operator and no caller sets them (security requirement A18).
pub(super) const OWN_PARAMETERS: &[&str] = &[
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

/// A parameter that may be given more than once (RFC 8707 section 2).
const REPEATABLE: &str = "resource";

/// The longest client identifier.
const LONGEST_CLIENT_ID: usize = 1024;

/// How the client proves who it is at the token endpoint (OpenID Connect Core section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEndpointAuthMethod {
    /// By what the provider's metadata prefers: [`TokenEndpointAuthMethod::ClientSecretBasic`]
    /// unless only [`TokenEndpointAuthMethod::ClientSecretPost`] is listed; without a secret,
    /// [`TokenEndpointAuthMethod::None`].
    Automatic,
    /// Id and secret form-encoded in HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// Id and secret in the request's body.
    ClientSecretPost,
    /// A public client: the id in the body, and PKCE alone.
    None,
}

/// What an operator registered at the provider, as written down.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The client identifier.
    pub client_id: String,
    /// The client secret; none for a public client.
    pub client_secret: Option<Secret>,
    /// How to authenticate at the token endpoint.
    pub auth_method: TokenEndpointAuthMethod,
    /// Our callback, exactly as registered.
    pub redirect_uri: String,
    /// The scopes to ask for; `openid` is added for an OpenID provider.
    pub scopes: Vec<String>,
    /// Parameters to add to each authorization request.
    pub authorization_parameters: Vec<(String, String)>,
}

/// A registration that holds together. There is no other way to get one than [`Client::new`].
#[derive(Debug, Clone)]
pub struct Client {
    registration: Registration,
    redirect_uri: RedirectUrl,
}

/// What is wrong with a registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Empty, too long, or with characters outside printable ASCII (RFC 6749 appendix A.1).
    #[error("a client_id is printable ASCII")]
    ClientId,
    /// The method needs a secret, and there is none.
    #[error("this way to authenticate needs a client_secret")]
    SecretMissing,
    /// The method has no use for a secret, and there is one.
    #[error("a public client has no client_secret")]
    SecretSurplus,
    /// The secret is empty.
    #[error("the client_secret is empty")]
    SecretEmpty,
    /// The redirect URI is no absolute URL.
    #[error("the redirect_uri is unusable: {0}")]
    RedirectUri(EndpointError),
    /// Not a scope (RFC 6749 section 3.3).
    #[error("`{0}` is not a scope")]
    Scope(String),
    /// The parameter is ours to set.
    #[error("`{0}` is set by Sidegate and cannot be an authorization parameter")]
    OwnParameter(String),
    /// The parameter is there twice.
    #[error("the authorization parameter `{0}` is given twice")]
    RepeatedParameter(String),
    /// A parameter's name is empty or has characters outside visible ASCII.
    #[error("an authorization parameter needs a name of visible ASCII")]
    ParameterName,
    /// `max_age` is not a number of seconds.
    #[error("max_age is a number of seconds")]
    MaxAge,
}

impl Client {
    /// Checks a registration.
    ///
    /// # Errors
    /// [`ClientError`]: the first thing that does not hold.
    pub fn new(registration: Registration) -> Result<Self, ClientError> {
        check_client_id(&registration.client_id)?;
        check_secret(&registration)?;
        let redirect_uri = parse_redirect_uri(&registration.redirect_uri)?;
        for scope in &registration.scopes {
            check_scope(scope)?;
        }
        check_parameters(&registration.authorization_parameters)?;
        Ok(Self {
            registration,
            redirect_uri,
        })
    }

    /// The client identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.registration.client_id
    }

    /// Our callback, byte for byte as registered.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        self.redirect_uri.as_str()
    }

    /// The scopes, as configured.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.registration.scopes
    }

    /// The operator's own parameters.
    #[must_use]
    pub fn authorization_parameters(&self) -> &[(String, String)] {
        &self.registration.authorization_parameters
    }

    /// How this client authenticates at a provider with this metadata; never
    /// [`TokenEndpointAuthMethod::Automatic`].
    #[must_use]
    pub fn auth_method(&self, metadata: &ProviderMetadata) -> TokenEndpointAuthMethod {
        use TokenEndpointAuthMethod::{Automatic, ClientSecretBasic, ClientSecretPost, None};
        match self.registration.auth_method {
            Automatic if self.registration.client_secret.is_none() => None,
            Automatic => {
                let listed = metadata.token_endpoint_auth_methods();
                let lists = |method| listed.iter().any(|listed| listed == method);
                // Basic is what a provider that lists nothing does (Discovery section 3).
                if lists("client_secret_post") && !lists("client_secret_basic") {
                    ClientSecretPost
                } else {
                    ClientSecretBasic
                }
            }
            method => method,
        }
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        self.registration.client_secret.as_ref()
    }

    pub(super) fn redirect_url(&self) -> &RedirectUrl {
        &self.redirect_uri
    }
}

fn check_client_id(id: &str) -> Result<(), ClientError> {
    let printable = |b: u8| (0x20..=0x7e).contains(&b);
    if id.is_empty() || id.len() > LONGEST_CLIENT_ID || !id.bytes().all(printable) {
        Err(ClientError::ClientId)
    } else {
        Ok(())
    }
}

fn check_secret(registration: &Registration) -> Result<(), ClientError> {
    use TokenEndpointAuthMethod::{Automatic, ClientSecretBasic, ClientSecretPost, None};
    match (registration.auth_method, &registration.client_secret) {
        (_, Some(secret)) if secret.expose().is_empty() => Err(ClientError::SecretEmpty),
        (ClientSecretBasic | ClientSecretPost, Option::None) => Err(ClientError::SecretMissing),
        (None, Some(_)) => Err(ClientError::SecretSurplus),
        (ClientSecretBasic | ClientSecretPost | Automatic, Some(_))
        | (Automatic | None, Option::None) => Ok(()),
    }
}

fn parse_redirect_uri(text: &str) -> Result<RedirectUrl, ClientError> {
    // Whether plain http is allowed here is decided where the public URL is (A24).
    Endpoint::parse(text, EndpointRules::InsecureHttp).map_err(ClientError::RedirectUri)?;
    RedirectUrl::new(text.to_owned()).map_err(|_| ClientError::RedirectUri(EndpointError::NotUrl))
}

fn check_scope(scope: &str) -> Result<(), ClientError> {
    let sound = !scope.is_empty()
        && scope
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if sound {
        Ok(())
    } else {
        Err(ClientError::Scope(scope.to_owned()))
    }
}

fn check_parameters(parameters: &[(String, String)]) -> Result<(), ClientError> {
    for (at, (name, value)) in parameters.iter().enumerate() {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ClientError::ParameterName);
        }
        if OWN_PARAMETERS.contains(&name.as_str()) {
            return Err(ClientError::OwnParameter(name.clone()));
        }
        if name == "max_age" && value.parse::<u32>().is_err() {
            return Err(ClientError::MaxAge);
        }
        let again = parameters
            .iter()
            .skip(at + 1)
            .any(|(other, _)| other == name);
        if again && name != REPEATABLE {
            return Err(ClientError::RepeatedParameter(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration {
            client_id: "dashboards".to_owned(),
            client_secret: Some(Secret::new("s3cret".to_owned())),
            auth_method: TokenEndpointAuthMethod::Automatic,
            redirect_uri: "https://dash.test/oauth2/callback".to_owned(),
            scopes: vec!["openid".to_owned()],
            authorization_parameters: Vec::new(),
        }
    }

    fn verdict(change: impl FnOnce(&mut Registration)) -> Result<(), ClientError> {
        let mut registration = registration();
        change(&mut registration);
        Client::new(registration).map(|_| ())
    }

    fn with_parameters(parameters: &[(&str, &str)]) -> Result<(), ClientError> {
        verdict(|r| {
            r.authorization_parameters = parameters
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
        })
    }

    // A18: no configured parameter overrides or repeats one that we set.
    #[test]
    fn an_authorization_parameter_cannot_be_one_of_ours() {
        let own = "response_type response_mode client_id client_secret redirect_uri scope state \
                   nonce code_challenge code_challenge_method request request_uri registration \
                   id_token_hint";
        for own in own.split_whitespace() {
            assert_eq!(
                with_parameters(&[("prompt", "consent"), (own, "x")]),
                Err(ClientError::OwnParameter(own.to_owned())),
            );
        }
        assert_eq!(
            with_parameters(&[("prompt", "login"), ("hd", "x"), ("prompt", "none")]),
            Err(ClientError::RepeatedParameter("prompt".to_owned()))
        );
        assert_eq!(
            with_parameters(&[("max_age", "soon")]),
            Err(ClientError::MaxAge)
        );
        for name in ["", "a b", "a\n", "\u{e9}"] {
            assert_eq!(
                with_parameters(&[(name, "x")]),
                Err(ClientError::ParameterName),
                "{name:?}"
            );
        }
        // E15: a resource indicator may be given several times.
        assert_eq!(
            with_parameters(&[("resource", "https://a"), ("resource", "https://b")]),
            Ok(())
        );
    }

    #[test]
    fn a_registration_that_contradicts_itself_is_refused() {
        use TokenEndpointAuthMethod::{ClientSecretBasic, ClientSecretPost, None};
        assert_eq!(verdict(|_| ()), Ok(()));
        for id in ["", "a\nb", "\u{e9}", &"x".repeat(2000)] {
            assert_eq!(
                verdict(|r| r.client_id = id.to_owned()),
                Err(ClientError::ClientId)
            );
        }
        for method in [ClientSecretBasic, ClientSecretPost] {
            assert_eq!(
                verdict(|r| {
                    r.auth_method = method;
                    r.client_secret = Option::None;
                }),
                Err(ClientError::SecretMissing)
            );
        }
        assert_eq!(
            verdict(|r| r.auth_method = None),
            Err(ClientError::SecretSurplus)
        );
        assert_eq!(
            verdict(|r| r.client_secret = Some(Secret::new(String::new()))),
            Err(ClientError::SecretEmpty)
        );
        assert_eq!(
            verdict(|r| r.redirect_uri = "https://dash.test/cb#x".to_owned()),
            Err(ClientError::RedirectUri(EndpointError::Fragment))
        );
        assert_eq!(
            verdict(|r| r.redirect_uri = "/oauth2/callback".to_owned()),
            Err(ClientError::RedirectUri(EndpointError::NotUrl))
        );
        for scope in ["", "a b", "a\"b", "\u{e9}"] {
            assert_eq!(
                verdict(|r| r.scopes.push(scope.to_owned())),
                Err(ClientError::Scope(scope.to_owned()))
            );
        }
    }

    // V5: a client never shows its secret.
    #[test]
    fn the_secret_is_not_printed() {
        let client = Client::new(registration()).unwrap();
        assert!(!format!("{client:?}").contains("s3cret"));
    }
}
