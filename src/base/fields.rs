//! Names of header fields that the HTTP library has no constants for. Made once: a name that is given
//! as text is looked up and checked each time.

use http::HeaderName;

macro_rules! fields {
    ($($(#[$doc:meta])+ $constant:ident = $name:literal;)+) => {
        $($(#[$doc])+ pub static $constant: HeaderName = HeaderName::from_static($name);)+
    };
}

fields! {
    /// What a connection is kept for (RFC 2068 section 19.7.1.1).
    KEEP_ALIVE = "keep-alive";
    /// Whether a request looks ahead, before it had a standard name.
    PURPOSE = "purpose";
    /// `Connection`, as some clients say it to a proxy.
    PROXY_CONNECTION = "proxy-connection";
    /// What a fetched thing becomes (Fetch Metadata).
    SEC_FETCH_DEST = "sec-fetch-dest";
    /// How a thing is fetched (Fetch Metadata).
    SEC_FETCH_MODE = "sec-fetch-mode";
    /// Whose page fetches (Fetch Metadata).
    SEC_FETCH_SITE = "sec-fetch-site";
    /// Whether a person acted (Fetch Metadata).
    SEC_FETCH_USER = "sec-fetch-user";
    /// Whether a request looks ahead.
    SEC_PURPOSE = "sec-purpose";
    /// The client's address, as an app reads it.
    X_FORWARDED_FOR = "x-forwarded-for";
    /// The host that browsers know.
    X_FORWARDED_HOST = "x-forwarded-host";
    /// The port that browsers know.
    X_FORWARDED_PORT = "x-forwarded-port";
    /// The scheme that browsers know.
    X_FORWARDED_PROTO = "x-forwarded-proto";
    /// Whether a request looks ahead, as one browser said it.
    X_MOZ = "x-moz";
    /// That a script asks, as many libraries say it.
    X_REQUESTED_WITH = "x-requested-with";
}
