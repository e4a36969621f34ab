//! Plain HTTP/1.1 over loopback: one connection for one exchange, nothing kept, nothing followed.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Builder;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::form_urlencoded;

/// Sends a request, whose URI is absolute, and reads the whole answer.
///
/// # Errors
/// The connection broke before the answer was whole.
pub(crate) async fn exchange(request: Builder, body: &str) -> hyper::Result<Response<Bytes>> {
    let mut request: Request<_> = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let authority = request.uri().authority().unwrap().to_string();
    let stream = TcpStream::connect(&authority).await.unwrap();
    let host = HeaderValue::from_str(&authority).unwrap();
    request.headers_mut().entry(HOST).or_insert(host);
    let path = request.uri().path_and_query().unwrap().clone();
    *request.uri_mut() = Uri::from(path);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    Ok(Response::from_parts(head, body))
}

/// A GET, whose answer is whole.
pub(crate) async fn get(url: &str) -> Response<Bytes> {
    exchange(Request::get(url), "").await.unwrap()
}

/// Sends a form.
///
/// # Errors
/// As in [`exchange`].
pub(crate) async fn post_form(
    request: Builder,
    fields: &[(&str, &str)],
) -> hyper::Result<Response<Bytes>> {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    exchange(request, &form).await
}
