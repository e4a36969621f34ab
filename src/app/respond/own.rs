//! What the operator wrote into a route, as an answer.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use super::form::Form;
use super::{Fault, X_REQUEST_ID, add_own_fields, grpc_answer};
use crate::app::reference::Reference;
use crate::gate::decision::Admission;
use crate::gate::own_answer::{FixedAnswer, OwnAnswer};
use crate::proxy::head::make_private;

/// The answer of a route that answers by itself, to whom `admission` admits.
///
/// # Errors
/// [`Fault::Internal`] for a location that no field can carry: what leads there is visible ASCII.
pub fn own(
    answer: &OwnAnswer,
    admission: &Admission,
    form: Form,
    reference: Reference,
) -> Result<Response<Bytes>, Fault> {
    let mut response = match (answer, form) {
        (OwnAnswer::Respond(FixedAnswer { status, .. }), Form::Grpc) => {
            grpc_answer(*status, "answered by a route")
        }
        // A call of gRPC follows no redirect.
        (OwnAnswer::Redirect(_), Form::Grpc) => {
            grpc_answer(StatusCode::NOT_IMPLEMENTED, "it is elsewhere")
        }
        (OwnAnswer::Respond(fixed), _) => respond(fixed, reference),
        (OwnAnswer::Redirect(there), _) => {
            let location = admission.location().map(HeaderValue::from_str);
            let Some(Ok(location)) = location else {
                return Err(Fault::Internal("a location that no field can carry".into()));
            };
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = there.status;
            response.headers_mut().insert(LOCATION, location);
            add_own_fields(response.headers_mut(), reference);
            response.headers_mut().remove(super::COOP);
            response
        }
    };
    if admission.session().is_some() {
        make_private(response.headers_mut());
    }
    Ok(response)
}

/// The operator's page is not ours: it is not kept and not guessed at unless they say so, and the rest
/// of what our pages promise is left to them.
fn respond(fixed: &FixedAnswer, reference: Reference) -> Response<Bytes> {
    let mut response = Response::new(fixed.body.clone());
    *response.status_mut() = fixed.status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in &fixed.headers {
        headers.insert(name, value.clone());
    }
    if let Ok(reference) = HeaderValue::from_str(reference.as_str()) {
        headers.insert(X_REQUEST_ID, reference);
    }
    response
}
