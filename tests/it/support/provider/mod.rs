//! A provider to log in at: the embedded one on a loopback socket of its own, which can be told to
//! misbehave one way at a time.
//!
//! It is honest until [`TestProvider::set_fault`] says otherwise. A fault is put around the honest
//! engine: the request is held, cut or answered in its stead, or its answer is changed on the way
//! out. Tokens are changed by opening them and signing them anew.

mod fault;
mod forge;
mod gate;

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use rustls::ServerConfig;
use serde_json::{Value, json};
use sidegate::base::clock::Clock;
use sidegate::demo::notices;
use sidegate::demo::provider::signing::{SigningAlgorithm, SigningKeys};
use sidegate::demo::provider::{Endpoint, Ledger, Parameters, Provider, ProviderOptions};
use sidegate::demo::serve::{self, Body, Closing, Engine, HangUp};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub(crate) use fault::{Fault, IdTokenFault, JwksFault};
pub(crate) use gate::Gate;

/// Made once, since a test that wants keys of its own can say so; providers then differ in their
/// issuers alone, and whoever mixes them up is caught by nothing but the issuer.
static KEYS: LazyLock<Arc<SigningKeys>> = LazyLock::new(fresh_keys);
/// Keys that no provider ever publishes.
static FOREIGN_KEYS: LazyLock<Arc<SigningKeys>> = LazyLock::new(fresh_keys);

/// Freshly made keys.
pub(crate) fn fresh_keys() -> Arc<SigningKeys> {
    Arc::new(SigningKeys::generate().unwrap())
}

/// A running provider. It stops when it is dropped.
pub(crate) struct TestProvider {
    engine: Arc<Faulty>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// What it was for; nothing for a path that leads nowhere.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) method: Method,
    pub(crate) query: Parameters,
    pub(crate) form: Parameters,
    pub(crate) headers: HeaderMap,
}

impl TestProvider {
    /// Starts an honest provider with the demo's users and no clients. Its clock stands at the
    /// present until a test moves it.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Like [`TestProvider::start`], with options of the test's own. The issuer is there already
    /// and may get a path; the clock should be shared with whatever is under test.
    pub(crate) fn start_with(change: impl FnOnce(&mut ProviderOptions)) -> Self {
        Self::launch("http", change, async |listener, engine, stopped| {
            let shutdown = async move { drop(stopped.await) };
            serve::serve(listener, engine, shutdown).await.unwrap();
        })
    }

    /// Like [`TestProvider::start_with`], over TLS: the certificate, good or bad, is the test's.
    pub(crate) fn start_tls(
        config: Arc<ServerConfig>,
        change: impl FnOnce(&mut ProviderOptions),
    ) -> Self {
        Self::launch("https", change, async |listener, engine, mut stopped| {
            let acceptor = TlsAcceptor::from(config);
            let (stop, closing) = Closing::pair();
            loop {
                let stream = tokio::select! {
                    _ = &mut stopped => break,
                    accepted = listener.accept() => accepted.unwrap().0,
                };
                let (acceptor, engine) = (acceptor.clone(), Arc::clone(&engine));
                let closing = closing.clone();
                tokio::spawn(async move {
                    // A client that does not like the certificate goes away here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve::connection(stream, engine, closing).await;
                    }
                });
            }
            drop(closing);
            stop.send_replace(true);
            stop.closed().await;
        })
    }

    /// Binds, builds the engine, and lets `served` have both on a thread of its own.
    fn launch<S>(scheme: &str, change: impl FnOnce(&mut ProviderOptions), served: S) -> Self
    where
        S: AsyncFnOnce(TcpListener, Arc<Faulty>, oneshot::Receiver<()>) + Send + 'static,
    {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = ProviderOptions::new(format!("{scheme}://{address}"));
        options.clock = Clock::settable(Clock::system().now());
        options.keys = Some(Arc::clone(&KEYS));
        options.ledger = Ledger::Kept;
        change(&mut options);
        let engine = Arc::new(Faulty {
            provider: Provider::new(options).unwrap(),
            faults: Mutex::default(),
            hits: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&engine);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                served(listener, serving, stopped).await;
            });
        });
        Self {
            engine,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The honest engine, to register clients, change users, rotate keys and ask what was issued.
    pub(crate) fn provider(&self) -> &Provider {
        &self.engine.provider
    }

    pub(crate) fn issuer(&self) -> &str {
        self.provider().issuer()
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.provider().clock()
    }

    /// Misbehaves in this way, and in no other, until told otherwise.
    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.engine.faults.lock().unwrap() = vec![fault];
    }

    /// Misbehaves in this way too: for what only two faults together show.
    pub(crate) fn add_fault(&self, fault: Fault) {
        self.engine.faults.lock().unwrap().push(fault);
    }

    /// Is honest again.
    pub(crate) fn clear_faults(&self) {
        self.engine.faults.lock().unwrap().clear();
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.engine.hits.lock().unwrap().clone()
    }

    /// The requests of one endpoint so far, those that a fault kept from the engine included.
    pub(crate) fn hits_of(&self, endpoint: Endpoint) -> Vec<Hit> {
        let mut hits = self.hits();
        hits.retain(|hit| hit.endpoint == Some(endpoint));
        hits
    }

    /// Signs `claims` with today's RSA key: a logout token (`logout+jwt`), an access token
    /// (`at+jwt`), or whatever else a test needs.
    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        let keys = self.provider().keys();
        let header = keys.header(SigningAlgorithm::Rs256, typ);
        keys.sign(SigningAlgorithm::Rs256, &header, claims).unwrap()
    }

    /// The claims of an honest logout token (OpenID Connect Back-Channel Logout section 2.4), for a
    /// test to change and to sign.
    pub(crate) fn logout_claims(&self, client_id: &str, subject: &str, sid: &str) -> Value {
        let now = self.clock().now().as_seconds();
        json!({
            "iss": self.issuer(),
            "aud": client_id,
            "sub": subject,
            "sid": sid,
            "iat": now,
            "exp": now + 120,
            "jti": forge::unguessable(),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
    }

    /// Signs a user out of every browser and tells the clients, waiting for their answers.
    pub(crate) async fn sign_out_everywhere(&self, username: &str) {
        self.provider().sign_out_everywhere(username).unwrap();
        notices::deliver_all(self.provider().take_logout_notices()).await;
    }
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        // A request that is still held would keep the thread waiting.
        for fault in self.engine.faults.lock().unwrap().drain(..) {
            if let Fault::Held(_, gate) | Fault::AnswerHeld(_, gate) = fault {
                gate.open();
            }
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The honest engine with faults around it.
struct Faulty {
    provider: Arc<Provider>,
    faults: Mutex<Vec<Fault>>,
    hits: Mutex<Vec<Hit>>,
}

impl Faulty {
    /// Notes a request and gives the faults that concern it; those for one time are used up.
    fn concern(&self, request: &Request<Bytes>) -> (Hit, Vec<Fault>) {
        let hit = Hit {
            endpoint: self.provider.endpoint(request.uri().path()),
            method: request.method().clone(),
            query: Parameters::parse(request.uri().query().unwrap_or_default().as_bytes()),
            form: Parameters::parse(request.body()),
            headers: request.headers().clone(),
        };
        self.hits.lock().unwrap().push(hit.clone());
        let mut faults = self.faults.lock().unwrap();
        let concerning: Vec<_> = faults
            .iter()
            .filter(|it| it.concerns(&hit))
            .cloned()
            .collect();
        faults.retain(|fault| !(fault.is_for_once() && fault.concerns(&hit)));
        (hit, concerning)
    }
}

impl Engine for Faulty {
    async fn respond(
        &self,
        request: Request<Incoming>,
        _closing: Closing,
    ) -> Result<Response<Body>, HangUp> {
        let request = match serve::read(request).await {
            Ok(request) => request,
            Err(unread) => return unread.answer(),
        };
        let (hit, faults) = self.concern(&request);
        for fault in &faults {
            match fault {
                Fault::Held(_, gate) => gate.pass().await,
                Fault::HungUp(_) => return Err(HangUp),
                Fault::RotatedBeforeSigning(old) => self.provider.rotate_keys(fresh_keys(), *old),
                _ => {}
            }
        }
        let instead = faults.iter().find_map(Fault::answer_instead);
        let mut response = instead.unwrap_or_else(|| self.provider.answer(&request));
        for fault in &faults {
            response = fault.alter(&self.provider, &hit, response);
        }
        let kept = faults.iter().any(|it| matches!(it, Fault::NoticesKept));
        if !kept {
            notices::deliver_all(self.provider.take_logout_notices()).await;
        }
        for fault in &faults {
            if let Fault::AnswerHeld(_, gate) = fault {
                gate.pass().await;
            }
        }
        let cut = faults.iter().any(|it| matches!(it, Fault::CutShort(_)));
        Ok(if cut {
            fault::cut_short(response)
        } else {
            response.map(serve::full)
        })
    }
}
