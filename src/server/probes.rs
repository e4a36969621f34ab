//! Liveness, readiness and status, on a listener of their own. Nothing here changes anything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a probe may take to ask.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Most probes at a time.
const MOST: usize = 64;

/// What the probes tell.
pub trait Probed: Send + Sync + 'static {
    /// Whether requests should be sent here.
    fn is_ready(&self) -> bool;
    /// How everything is doing, as JSON; nothing personal, no secret.
    fn status(&self) -> String;
}

/// Answers probes until it is dropped.
pub async fn serve(listener: TcpListener, probed: Arc<dyn Probed>) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let probed = Arc::clone(&probed);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &*probed);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A probe that breaks off has nothing more to hear.
            drop(connection.await);
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, probed: &dyn Probed) -> Response<Full<Bytes>> {
    let (status, text, kind) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/livez") => {
            (StatusCode::OK, "ok\n".to_owned(), "text/plain")
        }
        (&Method::GET | &Method::HEAD, "/readyz") if probed.is_ready() => {
            (StatusCode::OK, "ready\n".to_owned(), "text/plain")
        }
        (&Method::GET | &Method::HEAD, "/readyz") => (
            StatusCode::SERVICE_UNAVAILABLE,
            "draining\n".to_owned(),
            "text/plain",
        ),
        (&Method::GET | &Method::HEAD, "/status") => {
            (StatusCode::OK, probed.status(), "application/json")
        }
        _ => (
            StatusCode::NOT_FOUND,
            "not found\n".to_owned(),
            "text/plain",
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
