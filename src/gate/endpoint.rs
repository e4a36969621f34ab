//! Our own paths under the prefix, as an ordered table.

use http::Method;

use super::decision::Denial;
use super::routes::Matched;

/// One of our own endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `start`: begins a login.
    Start,
    /// `callback`, `callback/ID` or what was configured: finishes one at the provider of this id.
    Callback(String),
    /// `sign_in`: the page that says which provider, or why again.
    SignIn,
    /// `sign_out`: ends the session, or asks whether to.
    SignOut,
    /// `userinfo`: who am I; and, sent there, the end of one's other sessions.
    UserInfo,
    /// `backchannel_logout`: the provider ends sessions.
    BackchannelLogout,
}

/// Path below the prefix, what it is, and the methods it takes. HEAD follows GET everywhere.
const TABLE: &[(&str, Endpoint, &str)] = &[
    ("/start", Endpoint::Start, "GET, HEAD"),
    ("/sign_in", Endpoint::SignIn, "GET, HEAD"),
    ("/sign_out", Endpoint::SignOut, "GET, HEAD, POST"),
    ("/userinfo", Endpoint::UserInfo, "GET, HEAD, POST"),
    ("/backchannel_logout", Endpoint::BackchannelLogout, "POST"),
];

impl Endpoint {
    /// Finds the endpoint at `path`, which starts below the prefix. What is not in the table is
    /// nobody's: the prefix never reaches an upstream.
    #[must_use]
    pub fn find(path: &str, method: &Method) -> Matched {
        match TABLE.iter().find(|row| row.0 == path) {
            Some((_, endpoint, methods)) => Self::allow(endpoint.clone(), methods, method),
            None => Matched::Refused(Denial::NoRoute),
        }
    }

    /// The callback of the provider with this id.
    #[must_use]
    pub fn callback(provider: &str, method: &Method) -> Matched {
        // Not HEAD: whatever looks ahead must not spend the code.
        Self::allow(Self::Callback(provider.to_owned()), "GET", method)
    }

    fn allow(endpoint: Self, methods: &'static str, method: &Method) -> Matched {
        if methods.split(", ").any(|one| one == method.as_str()) {
            Matched::Endpoint(endpoint)
        } else {
            Matched::Refused(Denial::MethodNotAllowed(methods))
        }
    }

    /// The endpoint's name in logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Callback(_) => "callback",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::UserInfo => "userinfo",
            Self::BackchannelLogout => "backchannel_logout",
        }
    }
}
