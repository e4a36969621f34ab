//! The demo's HTML: templates, one style sheet, and the header fields that every page carries.
//!
//! The style is inline and allowed by its hash, there is nothing external, and whatever a page says
//! of a request is escaped by the template engine, which knows HTML by the templates' names.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use minijinja::{Environment, Value};

const STYLE: &str = include_str!("style.css");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// Compiled templates and the policy they are sent with.
#[derive(Debug)]
pub(super) struct Pages {
    environment: Environment<'static>,
    security_policy: HeaderValue,
    referrer_policy: HeaderValue,
}

/// What a set of pages is made from.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    /// Names ending in `.html`, and texts.
    pub(super) templates: &'static [(&'static str, &'static str)],
    /// The one inline script, where there is one. A provider page has none.
    pub(super) script: Option<&'static str>,
    /// `Referrer-Policy`.
    pub(super) referrer_policy: &'static str,
    /// What all templates may name.
    pub(super) globals: Vec<(&'static str, String)>,
}

impl Pages {
    /// Compiles the templates. `style` and `script` are theirs to place between their tags.
    ///
    /// # Errors
    /// A template that does not compile.
    pub(super) fn new(sources: Sources) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        for &(name, text) in sources.templates {
            environment.add_template(name, text)?;
        }
        environment.add_global("style", STYLE);
        for (name, value) in sources.globals {
            environment.add_global(name, value);
        }
        // No `form-action`: browsers hold the whole chain of redirects after a form to it, and a
        // sign-in form's chain ends at whatever the client shows next.
        let mut policy = format!("default-src 'none'; style-src {}", hash_source(STYLE));
        if let Some(script) = sources.script {
            environment.add_global("script", script);
            policy.push_str("; script-src ");
            policy.push_str(&hash_source(script));
            policy.push_str("; connect-src 'self'");
        }
        policy.push_str("; base-uri 'none'; frame-ancestors 'none'");
        Ok(Self {
            environment,
            security_policy: HeaderValue::try_from(policy)
                .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
            referrer_policy: HeaderValue::from_static(sources.referrer_policy),
        })
    }

    /// The page of template `name`.
    ///
    /// # Errors
    /// A template that is not there, or that stumbles over its context.
    pub(super) fn show(
        &self,
        status: StatusCode,
        name: &str,
        context: Value,
    ) -> Result<Response<Bytes>, minijinja::Error> {
        let html = self.environment.get_template(name)?.render(context)?;
        let mut response = Response::new(Bytes::from(html));
        *response.status_mut() = status;
        let fixed = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        ];
        let headers = response.headers_mut();
        headers.extend(fixed.map(|(field, value)| (field, HeaderValue::from_static(value))));
        headers.insert(CONTENT_SECURITY_POLICY, self.security_policy.clone());
        headers.insert(REFERRER_POLICY, self.referrer_policy.clone());
        Ok(response)
    }
}

/// A text as a Content Security Policy allows it inline (CSP Level 3 section 2.3.1).
fn hash_source(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash))
}
