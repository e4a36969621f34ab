//! The socket for whoever looks after this process: a Unix socket that only its own user and root may
//! speak to, in HTTP/1.1 with JSON.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::ListenAddress;
use super::listener::{Listener, Socketed};
use super::passed::Passed;

/// How long a connection may take to ask.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long one may live, with all that is asked and answered.
const LONGEST: Duration = Duration::from_mins(1);
/// The most bytes of a request's body.
const MOST_BYTES: usize = 16 * 1024;
/// Most connections at a time.
const MOST: usize = 8;

/// Which sessions an act is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Which {
    /// Those of whoever is called so: subject, e-mail address, preferred user name, or the name in logs.
    User(String),
    /// The one that logs call so.
    Session(String),
    /// All.
    Everybody,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Which sessions there are.
    List(Which),
    /// To end sessions.
    Revoke(Which),
}

/// An answer: a status, and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The JSON.
    pub json: String,
}

/// A future of an act.
pub type Acting = Pin<Box<dyn Future<Output = Told> + Send>>;

/// What is looked after.
pub trait Administered: Send + Sync + 'static {
    /// Does what the user with the id `uid` asks.
    fn act(&self, asked: Asked, uid: u32) -> Acting;
}

/// Binds the socket at `path`, or takes it from `passed`, and lets nobody but its owner connect. Must be
/// called within a runtime.
///
/// # Errors
/// The system's.
pub fn bind(path: &Path, passed: &mut Passed) -> io::Result<Listener> {
    use std::os::unix::fs::PermissionsExt as _;
    let address = ListenAddress::Unix(path.to_owned());
    let mut bound = Listener::bind(&address, 0, passed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    bound.pop().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Answers until it is dropped.
pub async fn serve(listener: Listener, administered: Arc<dyn Administered>) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = listener.accept().await;
        let Ok((Socketed::Unix(stream), _)) = accepted else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some((stream, uid)) = of_owner(stream) else {
            continue;
        };
        let administered = Arc::clone(&administered);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let administered = Arc::clone(&administered);
                async move { Ok::<_, Infallible>(answer(request, uid, &*administered).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Whoever breaks off has nothing more to hear.
            drop(timeout(LONGEST, connection).await);
            drop(place);
        });
    }
}

/// The connection and the user id behind it, where that is our own user or root: whoever connected
/// before the file had its mode is none of them.
fn of_owner(stream: std::os::unix::net::UnixStream) -> Option<(UnixStream, u32)> {
    let stream = UnixStream::from_std(stream).ok()?;
    let uid = stream.peer_cred().ok()?.uid();
    may_ask(uid, rustix::process::geteuid().as_raw()).then_some((stream, uid))
}

/// Whether the user with the id `uid` may end sessions of a process that is `own`'s.
fn may_ask(uid: u32, own: u32) -> bool {
    uid == own || uid == 0
}

async fn answer(
    request: Request<Incoming>,
    uid: u32,
    administered: &dyn Administered,
) -> Response<Full<Bytes>> {
    let told = match asked(request).await {
        Ok(asked) => administered.act(asked, uid).await,
        Err(told) => told,
    };
    let mut response = Response::new(Full::new(Bytes::from(told.json)));
    *response.status_mut() = told.status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn asked(request: Request<Incoming>) -> Result<Asked, Told> {
    let make = match (request.method(), request.uri().path()) {
        (&Method::POST, "/sessions/list") => Asked::List,
        (&Method::POST, "/sessions/revoke") => Asked::Revoke,
        _ => {
            return Err(Told::refusing(
                StatusCode::NOT_FOUND,
                "there is no such act",
            ));
        }
    };
    let unread = |_| Told::refusing(StatusCode::BAD_REQUEST, "the request did not come whole");
    let body = Limited::new(request.into_body(), MOST_BYTES);
    let body = body.collect().await.map_err(unread)?.to_bytes();
    match serde_json::from_slice(&body) {
        Ok(which) => Ok(make(which)),
        Err(error) => {
            let why = format!("the request makes no sense: {error}");
            Err(Told::refusing(StatusCode::BAD_REQUEST, &why))
        }
    }
}

impl Told {
    /// A refusal, and why.
    #[must_use]
    pub fn refusing(status: StatusCode, why: &str) -> Self {
        Self {
            status,
            json: serde_json::json!({ "error": why }).to_string(),
        }
    }

    /// What was done.
    #[must_use]
    pub fn done(json: &serde_json::Value) -> Self {
        Self {
            status: StatusCode::OK,
            json: json.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_of_the_process_and_root_are_heard() {
        assert!(may_ask(1000, 1000) && may_ask(0, 1000) && may_ask(0, 0));
        assert!(!may_ask(1001, 1000) && !may_ask(1000, 0));
    }

    #[test]
    fn which_sessions_are_meant_is_never_guessed() {
        let read = |text| serde_json::from_str::<Which>(text).ok();
        assert_eq!(read(r#""everybody""#), Some(Which::Everybody));
        let alice = Which::User("alice".to_owned());
        assert_eq!(read(r#"{"user":"alice"}"#), Some(alice));
        for text in [
            "",
            "{}",
            "null",
            r#"{"user":"a","session":"b"}"#,
            r#"{"users":"a"}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
