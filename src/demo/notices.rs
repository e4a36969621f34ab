//! Carries back-channel logout tokens to the clients (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use url::form_urlencoded;

use super::provider::LogoutNotice;

/// How long a client may take to answer. Whoever signs out waits for this at most.
const DELIVERY_LIMIT: Duration = Duration::from_secs(3);

/// Why a client was not told.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The URI is not plain HTTP with a host, or does not lead to this machine.
    #[error("the back-channel logout URI does not lead to plain HTTP on loopback")]
    NotLoopback,
    /// No connection, or it broke.
    #[error("the client could not be reached")]
    Connection(#[from] std::io::Error),
    /// The exchange broke.
    #[error("the exchange with the client broke off")]
    Http(#[from] hyper::Error),
    /// The client answered, but did not accept the token.
    #[error("the client answered {0}")]
    Refused(StatusCode),
    /// No answer within three seconds.
    #[error("the client did not answer in time")]
    Late,
}

/// Delivers all notices at once and waits for the answers; a client that fails is logged, since
/// nobody else can do anything about it.
pub async fn deliver_all(notices: Vec<LogoutNotice>) {
    let mut deliveries = JoinSet::new();
    for notice in notices {
        deliveries.spawn(async move {
            if let Err(error) = deliver(&notice).await {
                tracing::warn!(client_id = notice.client_id, %error, "a client was not told of a logout");
            }
        });
    }
    while deliveries.join_next().await.is_some() {}
}

/// Posts one logout token (section 2.5) and reads the verdict (section 2.8).
///
/// # Errors
/// [`DeliveryError`]; nothing but loopback is connected to, whatever the host's name resolves to.
pub async fn deliver(notice: &LogoutNotice) -> Result<(), DeliveryError> {
    tokio::time::timeout(DELIVERY_LIMIT, post(notice))
        .await
        .unwrap_or(Err(DeliveryError::Late))
}

async fn post(notice: &LogoutNotice) -> Result<(), DeliveryError> {
    let uri: Uri = notice.uri.parse().map_err(|_| DeliveryError::NotLoopback)?;
    if uri.scheme_str() != Some("http") {
        return Err(DeliveryError::NotLoopback);
    }
    let authority = uri.authority().ok_or(DeliveryError::NotLoopback)?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    // Looked up first and dialled after, so that not even a connection leads elsewhere.
    let address = lookup_host((host, authority.port_u16().unwrap_or(80)))
        .await?
        .find(|address| address.ip().to_canonical().is_loopback())
        .ok_or(DeliveryError::NotLoopback)?;
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("logout_token", notice.token.expose())
        .finish();
    let mut request = Request::new(Full::new(Bytes::from(form)));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri
        .path_and_query()
        .map_or_else(Uri::default, |path| Uri::from(path.clone()));
    let headers = request.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    if let Ok(host) = http::HeaderValue::from_str(authority.as_str()) {
        headers.insert(HOST, host);
    }
    let response = sender.send_request(request).await?;
    match response.status() {
        // Some clients' frameworks answer 204, which section 2.8 asks to be taken as success.
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
        status => Err(DeliveryError::Refused(status)),
    }
}
