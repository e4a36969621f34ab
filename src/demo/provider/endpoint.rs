//! The provider's paths, as one table.

use http::Method;

/// The parts of the provider that a request can reach, below the issuer's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `/`: a page that says what this is.
    Home,
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// `/jwks`.
    Jwks,
    /// `/authorize`.
    Authorize,
    /// `/login`: the sign-in form.
    Login,
    /// `/consent`: the consent form.
    Consent,
    /// `/token`.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// `/revoke`.
    Revoke,
    /// `/introspect`.
    Introspect,
    /// `/end_session`.
    EndSession,
    /// `/end_session/confirm`: the answer to the question whether to sign out.
    ConfirmSignOut,
}

impl Endpoint {
    /// The endpoint at a path below the issuer's own.
    pub(super) fn at(below: &str) -> Option<Self> {
        let (_, endpoint, _) = ENDPOINTS.iter().find(|(path, ..)| *path == below)?;
        Some(*endpoint)
    }

    /// The methods it takes, as `Allow` lists them. HEAD is a GET whose body the server leaves out.
    pub(super) fn methods(self) -> &'static str {
        ENDPOINTS
            .iter()
            .find(|(_, endpoint, _)| *endpoint == self)
            .map_or("", |(.., methods)| methods)
    }

    pub(super) fn takes(self, method: &Method) -> bool {
        self.methods()
            .split(", ")
            .any(|known| known == method.as_str())
    }
}

/// What each path is, and which methods it takes.
const ENDPOINTS: [(&str, Endpoint, &str); 13] = [
    ("", Endpoint::Home, "GET, HEAD"),
    ("/", Endpoint::Home, "GET, HEAD"),
    (
        "/.well-known/openid-configuration",
        Endpoint::Discovery,
        "GET, HEAD",
    ),
    ("/jwks", Endpoint::Jwks, "GET, HEAD"),
    ("/authorize", Endpoint::Authorize, "GET, POST"),
    ("/login", Endpoint::Login, "POST"),
    ("/consent", Endpoint::Consent, "POST"),
    ("/token", Endpoint::Token, "POST"),
    ("/userinfo", Endpoint::Userinfo, "GET, POST"),
    ("/revoke", Endpoint::Revoke, "POST"),
    ("/introspect", Endpoint::Introspect, "POST"),
    ("/end_session", Endpoint::EndSession, "GET, POST"),
    ("/end_session/confirm", Endpoint::ConfirmSignOut, "POST"),
];
