//! An app that speaks HTTP/2, with or without TLS, and records each request. What it does with one is
//! said by the path.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: http::Method,
    pub(crate) uri: http::Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

#[derive(Clone)]
pub(crate) struct Http2App {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    told: Arc<Mutex<mpsc::Receiver<String>>>,
}

struct State {
    seen: Mutex<Vec<Seen>>,
    refusals: AtomicUsize,
    connections: AtomicUsize,
    tell: mpsc::Sender<String>,
}

impl Http2App {
    /// In the clear.
    pub(crate) fn start() -> Self {
        Self::launch(None)
    }

    /// Over TLS, where HTTP/2 is agreed on by ALPN.
    pub(crate) fn start_tls(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::launch(Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn launch(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = mpsc::channel();
        let state = Arc::new(State {
            seen: Mutex::default(),
            refusals: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            tell,
        });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let (state, acceptor) = (Arc::clone(&serving), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            None => connection(stream, state).await,
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    connection(stream, state).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Self {
            address,
            state,
            told: Arc::new(Mutex::new(told)),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request reached the app")
    }

    /// The next `count` requests are refused before they are looked at.
    pub(crate) fn refuse(&self, count: usize) {
        self.state.refusals.store(count, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// What the app tells next of what befell a request.
    pub(crate) fn told(&self) -> String {
        let patience = std::time::Duration::from_secs(60);
        self.told.lock().unwrap().recv_timeout(patience).unwrap()
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    state.connections.fetch_add(1, Ordering::SeqCst);
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let less = |left: usize| left.checked_sub(1);
        if state
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
        {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        let path = request.uri().path().to_owned();
        if path == "/goodbye" {
            connection.graceful_shutdown();
        }
        let state = Arc::clone(&state);
        tokio::spawn(async move { drop(answer(request, respond, &state).await) });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    state: &State,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if path == "/hang" {
        state.tell.send("asked".to_owned()).unwrap();
        let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await?;
        state.tell.send(format!("reset {reset:?}")).unwrap();
        return Ok(());
    }
    let mut bytes = Vec::new();
    if path != "/early" {
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            bytes.extend_from_slice(&piece);
        }
    }
    let trailers = if path == "/early" {
        None
    } else {
        body.trailers().await?
    };
    state.seen.lock().unwrap().push(Seen {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: bytes.clone(),
        trailers,
    });
    let response = Response::builder().header("x-app", "marker-of-the-app");
    match path.as_str() {
        "/short" => {
            let response = response.header("content-length", "10").body(()).unwrap();
            let mut stream = respond.send_response(response, false)?;
            stream.send_data(Bytes::from_static(b"part"), true)?;
        }
        "/stream" => {
            let response = response.body(()).unwrap();
            let mut stream = respond.send_response(response, false)?;
            stream.send_data(Bytes::from_static(b"first"), false)?;
            let reset = std::future::poll_fn(|context| stream.poll_reset(context)).await?;
            state.tell.send(format!("reset {reset:?}")).unwrap();
        }
        "/large-head" => {
            let large = "x".repeat(300 * 1024);
            let response = response.header("x-large", large).body(()).unwrap();
            respond.send_response(response, true)?;
        }
        "/no-content" => {
            let response = response.status(204).body(()).unwrap();
            respond.send_response(response, true)?;
        }
        "/early" => {
            let response = response.status(413).body(()).unwrap();
            respond.send_response(response, true)?;
        }
        _ => {
            let response = response
                .header("trailer", "x-checksum, grpc-status")
                .body(())
                .unwrap();
            let mut stream = respond.send_response(response, false)?;
            let text = [b"the app saw ", path.as_bytes(), b" ", &bytes[..]].concat();
            stream.send_data(Bytes::from(text), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", "fine".parse().unwrap());
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("set-cookie", "sidegate=planted".parse().unwrap());
            stream.send_trailers(trailers)?;
        }
    }
    Ok(())
}
