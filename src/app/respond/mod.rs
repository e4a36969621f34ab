//! Answers in HTTP: the only place with status codes for refusals, and with the headers of our own
//! answers.
//!
//! What happened is a [`Fault`] or a [`Page`]; in which words and in which form it is told follows
//! from there and from who asks.

mod causes;
mod cors;
pub mod details;
pub mod fault;
pub mod form;
mod own;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
pub mod unmet;
pub mod wording;

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    LOCATION, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

pub use self::cors::{Whose, answer_preflight, let_read};
use self::fault::Connection;
pub use self::fault::{Blame, Fault};
pub use self::form::{Form, Hints};
pub use self::own::own;
use super::language::Language;
use super::pages::{Circumstances, Framing, Html, Page, Pages};
use super::reference::Reference;
use crate::base::return_to::ReturnTo;
use crate::gate::access::Missing;

/// A redirect of ours. There are no others: 307 and 308 would send a form's credentials on
/// (RFC 9700 section 4.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// 302: a page that was asked for by GET is elsewhere for now.
    Found,
    /// 303: something has been done; look here, with GET.
    SeeOther,
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Tells of a fault in the form that was asked for.
#[must_use]
pub fn fault(
    pages: &Pages,
    fault: &Fault,
    form: Form,
    circumstances: &Circumstances<'_>,
) -> Response<Bytes> {
    let status = fault.status();
    let mut response = match form {
        Form::Grpc => grpc(fault),
        Form::Html(language) | Form::Framed(language) => {
            let framing = match form {
                Form::Framed(_) => Framing::Framed,
                _ => Framing::Alone,
            };
            match pages.fault(fault, language, framing, circumstances) {
                Some(html) => html_answer(pages, html, language),
                None => answer(TEXT, fault_text(fault, circumstances)),
            }
        }
        Form::Text => answer(TEXT, fault_text(fault, circumstances)),
        // A program finds `login_url` and `code` in the body, whatever it said it accepts.
        Form::Terminal if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            answer(TEXT, fault_text(fault, circumstances))
        }
        Form::Json | Form::Terminal => {
            answer(PROBLEM, problem(pages, fault, circumstances).to_string())
        }
    };
    if form != Form::Grpc {
        *response.status_mut() = status;
    }
    add_own_fields(response.headers_mut(), circumstances.reference);
    add_fault_fields(response.headers_mut(), pages, fault, circumstances);
    response
}

/// Shows a page that tells of no fault; to programs, what it says as JSON.
#[must_use]
pub fn page(
    pages: &Pages,
    page: &Page,
    form: Form,
    circumstances: &Circumstances<'_>,
) -> Response<Bytes> {
    let rendered = match form {
        Form::Html(language) | Form::Framed(language) => pages
            .page(page, language, circumstances)
            .map(|html| html_answer(pages, html, language)),
        Form::Json | Form::Text | Form::Terminal | Form::Grpc => None,
    };
    let mut response = match rendered {
        Some(response) => response,
        None => answer(JSON, page_json(pages, page).to_string()),
    };
    if let Page::KeepFragment(return_to) = page {
        // Not a page of the app's: whatever keeps good answers must not keep this one for it.
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        add_challenge(
            response.headers_mut(),
            pages,
            &Fault::LoginRequired,
            Some(return_to),
        );
    }
    add_own_fields(response.headers_mut(), circumstances.reference);
    response
}

/// Sends the browser to `location`; nothing else is in the answer.
///
/// A location that no field can carry becomes [`Fault::Internal`]: URLs of ours are ASCII.
#[must_use]
pub fn redirect(
    pages: &Pages,
    redirect: Redirect,
    location: &str,
    circumstances: &Circumstances<'_>,
) -> Response<Bytes> {
    let Ok(location) = HeaderValue::from_str(location) else {
        let why = Fault::Internal("a location that no field can carry".into());
        return fault(pages, &why, Form::Json, circumstances);
    };
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = match redirect {
        Redirect::Found => StatusCode::FOUND,
        Redirect::SeeOther => StatusCode::SEE_OTHER,
    };
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    add_own_fields(headers, circumstances.reference);
    // The policy would hold through the redirects of a login in a window that the app opened, and
    // cut the tie between the two for good.
    headers.remove(COOP);
    response
}

/// The outcome of a gRPC call that was under way when its session ended (status 16, as for a call that
/// begins without one).
#[must_use]
pub fn grpc_session_over() -> HeaderMap {
    let mut words = HeaderMap::new();
    words.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("16"),
    );
    words.insert(
        HeaderName::from_static("grpc-message"),
        HeaderValue::from_static("the session has ended"),
    );
    words
}

/// A yes without words.
#[must_use]
pub fn done(circumstances: &Circumstances<'_>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    add_own_fields(response.headers_mut(), circumstances.reference);
    response
}

// ---------------------------------------------------------------------------- bodies

fn answer(kind: HeaderValue, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    // What it is besides depends on the reader: a cache of the browser's own would keep it apart.
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Language"));
    response
}

fn html_answer(pages: &Pages, html: Html, language: Language) -> Response<Bytes> {
    let policy = format!(
        "default-src 'none'; style-src {};{}{} form-action {}; base-uri 'none'; frame-ancestors {}",
        pages.style_hash(),
        if pages.have_pictures() {
            " img-src data:;"
        } else {
            ""
        },
        html.script
            .map(|script| format!(" script-src {script};"))
            .unwrap_or_default(),
        html.form_action,
        html.frame_ancestors.as_deref().unwrap_or("'none'"),
    );
    let mut response = answer(HTML, html.body);
    let tag = HeaderValue::from_static(language.tag());
    response.headers_mut().insert(CONTENT_LANGUAGE, tag);
    // All of it is ASCII of ours; if it were not, the stricter policy of other answers would stay.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// RFC 9457 section 3, with members of our own.
fn problem(pages: &Pages, fault: &Fault, circumstances: &Circumstances<'_>) -> serde_json::Value {
    let mut problem = json!({
        "type": format!("urn:sidegate:problem:{}", fault.code()),
        "title": fault.title(Language::English.words()),
        "status": fault.status().as_u16(),
        "code": fault.code(),
        "reference": circumstances.reference.as_str(),
    });
    if fault.status() == StatusCode::UNAUTHORIZED
        && let Some(members) = problem.as_object_mut()
    {
        let login_url = pages.login_url(circumstances.return_to);
        members.insert("login_url".to_owned(), login_url.into());
    }
    problem
}

fn fault_text(fault: &Fault, circumstances: &Circumstances<'_>) -> String {
    let words = Language::English.words();
    let (title, advice) = (fault.title(words), fault.advice(words));
    let (code, reference) = (fault.code(), circumstances.reference);
    format!("{title}.\n{advice}\n\nCode: {code}\nReference: {reference}\n")
}

fn page_json(pages: &Pages, page: &Page) -> serde_json::Value {
    match page {
        Page::SignIn(sign_in) => json!({
            "providers": sign_in.providers,
            "login_url": pages.login_url(Some(&sign_in.return_to)),
        }),
        Page::ConfirmSignOut(_) => json!({ "signed_out": false, "confirm_with": "POST" }),
        Page::SignedOut(signed_out) => json!({
            "signed_out": true,
            "at_provider": signed_out.at_provider.as_str(),
            "login_url": pages.login_url(Some(&signed_out.return_to)),
        }),
        Page::WhoAmI(who) => who.json(),
        Page::KeepFragment(page) => json!({ "login_url": pages.login_url(Some(page)) }),
    }
}

fn grpc(fault: &Fault) -> Response<Bytes> {
    grpc_answer(fault.status(), fault.title(Language::English.words()))
}

/// HTTP 200 and the status in fields: trailers only, as the gRPC protocol wants an answer without
/// messages.
fn grpc_answer(status: StatusCode, title: &str) -> Response<Bytes> {
    // The protocol's own mapping from HTTP, as far as it goes.
    let status = match status {
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::FORBIDDEN => "7",
        StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => {
            "12"
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            "14"
        }
        // What is no answer to a call is no answer of this service.
        status if status.is_success() => "12",
        _ => "13",
    };
    let mut message = String::new();
    for &byte in title.as_bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => message.push(char::from(byte)),
            _ => {
                let _infallible = write!(message, "%{byte:02X}");
            }
        }
    }
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(status),
    );
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(HeaderName::from_static("grpc-message"), message);
    }
    response
}

// ---------------------------------------------------------------------------- fields

const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// The field that carries the reference.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The fields of all our own answers: never stored, never framed, nothing loaded, nothing told to
/// the next site.
fn add_own_fields(headers: &mut HeaderMap, reference: Reference) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        ));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The older field knows no list of origins: where the policy has one, it would forbid them.
    let policy = headers.get(CONTENT_SECURITY_POLICY);
    if policy.is_none_or(|policy| policy.as_bytes().ends_with(b"frame-ancestors 'none'")) {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    headers.insert(COOP, HeaderValue::from_static("same-origin"));
    if let Ok(reference) = HeaderValue::from_str(reference.as_str()) {
        headers.insert(X_REQUEST_ID, reference);
    }
}

/// RFC 9110 section 11.6.1. Never Basic: a browser would ask for a password with its own window.
/// The URL is percent-encoded, so no quote can end the string.
/// What a session was not enough for is said as in RFC 9470 section 3.
fn add_challenge(
    headers: &mut HeaderMap,
    pages: &Pages,
    fault: &Fault,
    return_to: Option<&ReturnTo>,
) {
    let mut challenge = format!("Sidegate login=\"{}\"", pages.login_url(return_to));
    if let Fault::StepUpRequired(_, unmet) = fault
        && let Missing::SignIn(step_up) = &unmet.missing
    {
        challenge.push_str(", error=\"insufficient_user_authentication\"");
        if !step_up.acr.is_empty() {
            // Quotes and backslashes cannot be in one: the configuration is checked for that.
            let acr = step_up.acr.join(" ").replace(['"', '\\'], "");
            challenge.extend([", acr_values=\"", &acr, "\""]);
        }
        if let Some(span) = step_up.max_age {
            challenge.extend([", max_age=\"", &span.as_secs().to_string(), "\""]);
        }
    }
    let challenge = HeaderValue::try_from(challenge);
    headers.insert(
        WWW_AUTHENTICATE,
        challenge.unwrap_or(HeaderValue::from_static("Sidegate")),
    );
}

fn add_fault_fields(
    headers: &mut HeaderMap,
    pages: &Pages,
    fault: &Fault,
    circumstances: &Circumstances<'_>,
) {
    if let Some(seconds) = fault.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if fault.status() == StatusCode::UNAUTHORIZED {
        add_challenge(headers, pages, fault, circumstances.return_to);
    }
    if let Fault::MethodNotAllowed(methods) = fault {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if fault.connection() == Connection::Close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
