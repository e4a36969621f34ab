//! What is sent to our own endpoints: a form of a sound size.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

/// The most bytes of a form: a token and little else.
const MOST_BYTES: usize = 64 * 1024;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The form that came with a request; nothing, where it is none, or too long, or does not come.
pub async fn read(headers: &HeaderMap, body: &mut Incoming) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let read = Limited::new(body, MOST_BYTES).collect();
    let read = tokio::time::timeout(PATIENCE, read).await.ok()?.ok()?;
    String::from_utf8(read.to_bytes().to_vec()).ok()
}
