//! Signing out at the provider (OpenID Connect RP-Initiated Logout section 2).

use super::client::Client;
use super::metadata::ProviderMetadata;
use crate::base::secret::Secret;

/// The parameters of the request that are ours to set.
pub(super) const OWN_PARAMETERS: &[&str] = &[
    "id_token_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "logout_hint",
];

/// A request to the end-session endpoint.
#[derive(Debug)]
pub struct EndSessionRequest;

impl EndSessionRequest {
    /// The URL to redirect the browser to after the local session has ended, or nothing where the
    /// provider has no such endpoint. `post_logout_redirect_uri` must be registered there.
    ///
    /// The URL carries the ID token, as the standard wants it: it is for the browser that owns it,
    /// and for no log.
    #[must_use]
    pub fn url(
        metadata: &ProviderMetadata,
        client: &Client,
        raw_id_token_hint: Option<&Secret>,
        post_logout_redirect_uri: &str,
        state: &str,
    ) -> Option<String> {
        let mut url = metadata.end_session_endpoint()?.url().clone();
        let mut query = url.query_pairs_mut();
        if let Some(raw_id_token) = raw_id_token_hint {
            query.append_pair("id_token_hint", raw_id_token.expose());
        }
        query
            .append_pair("client_id", client.id())
            .append_pair("post_logout_redirect_uri", post_logout_redirect_uri)
            .append_pair("state", state);
        drop(query);
        Some(url.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use url::Url;

    use super::*;
    use crate::oidc::forge;

    // G2: the request carries the hint, the client, where to come back to, and the state.
    #[test]
    fn a_logout_tells_the_provider_who_asks_and_where_to_return() {
        let metadata = forge::metadata_with(|document| {
            document["end_session_endpoint"] = "https://i.test/end?ui=dark".into();
        });
        let url = EndSessionRequest::url(
            &metadata,
            &forge::client(),
            Some(&Secret::new("h.p.s".to_owned())),
            "https://dash.test/oauth2/sign_out?x=a b",
            "st&te",
        );
        let url = Url::parse(&url.unwrap()).unwrap();
        assert!(url.as_str().starts_with("https://i.test/end?ui=dark&"));
        let pairs: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let expected = [
            ("client_id", "dashboards"),
            ("id_token_hint", "h.p.s"),
            (
                "post_logout_redirect_uri",
                "https://dash.test/oauth2/sign_out?x=a b",
            ),
            ("state", "st&te"),
            ("ui", "dark"),
        ];
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(pairs, expected);
    }

    // G4: without a hint, or without an endpoint, signing out is still possible.
    #[test]
    fn a_logout_needs_neither_hint_nor_endpoint() {
        let metadata = forge::metadata_with(|document| {
            document["end_session_endpoint"] = "https://i.test/end".into();
        });
        let back = "https://dash.test/";
        let url = EndSessionRequest::url(&metadata, &forge::client(), None, back, "s").unwrap();
        assert!(!url.contains("id_token_hint"));
        let url = EndSessionRequest::url(&forge::metadata(), &forge::client(), None, back, "s");
        assert_eq!(url, None);
    }
}
