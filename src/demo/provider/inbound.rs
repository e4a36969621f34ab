//! One request as the endpoints see it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, Method, Request};

use super::parameters::Parameters;
use crate::base::clock::UnixTime;

/// What the endpoints need of a request, parsed once, and the moment it counts for.
pub(super) struct Inbound {
    pub(super) method: Method,
    pub(super) query: Parameters,
    /// The body's parameters, where it is a form.
    pub(super) form: Option<Parameters>,
    pub(super) headers: HeaderMap,
    pub(super) now: UnixTime,
}

impl Inbound {
    pub(super) fn parse(request: &Request<Bytes>, now: UnixTime) -> Self {
        let is_form = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        Self {
            method: request.method().clone(),
            query: Parameters::parse(request.uri().query().unwrap_or_default().as_bytes()),
            form: is_form.then(|| Parameters::parse(request.body())),
            headers: request.headers().clone(),
            now,
        }
    }

    /// The parameters of an endpoint that takes both GET with a query and POST with a form
    /// (OpenID Connect Core section 3.1.2.1).
    pub(super) fn parameters(&self) -> &Parameters {
        match &self.form {
            Some(form) if self.method == Method::POST => form,
            _ => &self.query,
        }
    }

    /// The values of all cookies called `name`; there may be several.
    pub(super) fn cookies<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The credentials of the `Authorization` field, if it is of `scheme` (RFC 9110 section 11.4).
    pub(super) fn credentials(&self, scheme: &str) -> Option<&str> {
        let field = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (found, credentials) = field.split_once(' ')?;
        found
            .eq_ignore_ascii_case(scheme)
            .then(|| credentials.trim())
    }

    /// Whether there is an `Authorization` field at all.
    pub(super) fn has_authorization(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }
}
