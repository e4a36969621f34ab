//! `demo`: the embedded provider, a sample app and the gate, on loopback. Not for production.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::time::Duration;

use tokio::net::TcpListener;

use super::run::{Signals, Told, cores, logs, on_runtime, telemetry};
use super::{Demo, Exit, with_streams};
use crate::app::App;
use crate::app::start::StartError;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::secret::Secret;
use crate::config::environment::Environment;
use crate::config::log::{LogLevel, LogSettings};
use crate::config::{Config, Verdict};
use crate::demo::provider::{ClientRegistration, DEMO_NOTE, Provider, ProviderOptions};
use crate::demo::sample_app::SampleApp;
use crate::demo::serve::serve;

const CLIENT_ID: &str = "demo";

/// Starts all three and prints the one URL to open.
#[must_use]
pub fn run(demo: &Demo) -> Exit {
    let environment = Environment::of_process();
    let settings = LogSettings {
        level: LogLevel::Warn,
        ..LogSettings::default()
    };
    let telemetry = match telemetry(settings, &environment) {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    let exit = on_runtime(async {
        let logs = logs(&telemetry, settings);
        let stage = Stage::set(demo).await?;
        let Some(config) = stage.config() else {
            return Err(StartError::Demo);
        };
        let mut signals = Signals::new().map_err(StartError::Thread)?;
        // The gate first: it listens at once, and waits for nobody.
        let app = App::start(config, Clock::system(), cores(), logs).await?;
        stage.announce();
        stage.serve_rest()?;
        while signals.next().await != Told::Stop {}
        app.stop().await;
        Ok(())
    });
    telemetry.finish(Duration::from_secs(1));
    exit
}

/// The three places, bound before anything is built.
struct Stage {
    provider: TcpListener,
    sample: Option<TcpListener>,
    upstream: String,
    public_url: String,
    issuer: String,
    listen: SocketAddr,
    secret: Secret,
}

impl Stage {
    async fn set(demo: &Demo) -> Result<Self, StartError> {
        let provider = loopback().await?;
        let (sample, upstream) = match &demo.upstream {
            Some(url) => (None, url.clone()),
            None => {
                let listener = loopback().await?;
                let url = format!("http://{}", address(&listener)?);
                (Some(listener), url)
            }
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free(demo.port)?));
        Ok(Self {
            // A path of its own: cookies do not know ports, and the provider's are not for the app.
            issuer: format!("http://{}/provider", address(&provider)?),
            provider,
            sample,
            upstream,
            public_url: format!("http://{listen}"),
            listen,
            secret: Secret::new(Entropy::system().token()?),
        })
    }

    /// The configuration that an operator would write for it.
    fn config(&self) -> Option<Config> {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let text = format!(
            "public_url: {}\nlisten: [{{ address: {} }}]\nprobes: {{ address: 127.0.0.1:0 }}\n\
             providers:\n  - issuer: {}\n    client_id: {CLIENT_ID}\n    client_secret: {}\n\
             session: {{ keys: ephemeral }}\nupstreams: {{ app: {} }}\n",
            quoted(&self.public_url),
            quoted(&self.listen.to_string()),
            quoted(&self.issuer),
            quoted(self.secret.expose()),
            quoted(&self.upstream),
        );
        let verdict = Verdict::of_text(&text, &Environment::of_process());
        for fault in &verdict.faults {
            tracing::error!(reason = %fault.what, path = %fault.path, "the demo's configuration has a fault");
        }
        verdict.config
    }

    fn announce(&self) {
        with_streams(|streams| {
            // Nobody may be reading, which is no reason not to serve.
            drop(writeln!(
                streams.out,
                "Open {}\nSign in as alice or bob, password sidegate.\nNOT FOR PRODUCTION: the \
                 provider and its passwords are for trying things out. Ctrl-C ends it.",
                self.public_url
            ));
            drop(streams.out.flush());
        });
    }

    /// Serves the provider and the sample app beside the gate, until the process ends.
    fn serve_rest(self) -> Result<(), StartError> {
        let mut options = ProviderOptions::new(self.issuer);
        let redirect_uri = format!("{}/oauth2/callback", self.public_url);
        let mut client = ClientRegistration::new(CLIENT_ID, Some(self.secret), redirect_uri);
        client.post_logout_redirect_uris = vec![format!("{}/oauth2/sign_out", self.public_url)];
        options.clients = vec![client];
        options.note = Some(DEMO_NOTE.to_owned());
        let provider = Provider::new(options).map_err(|_| StartError::Demo)?;
        tokio::spawn(async move {
            let served = serve(self.provider, provider, std::future::pending()).await;
            served.inspect_err(|error| tracing::error!(%error, "the provider ended"))
        });
        if let Some(listener) = self.sample {
            let app = SampleApp::new("/oauth2", Clock::system()).map_err(|_| StartError::Demo)?;
            tokio::spawn(async move {
                let served = serve(listener, app, std::future::pending()).await;
                served.inspect_err(|error| tracing::error!(%error, "the sample app ended"))
            });
        }
        Ok(())
    }
}

async fn loopback() -> Result<TcpListener, StartError> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    TcpListener::bind(any)
        .await
        .map_err(|cause| listen_error("127.0.0.1:0", cause))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|cause| listen_error("127.0.0.1:0", cause))
}

/// The port that was asked for, or, for 0, one that is free at this moment: the gate has to know its
/// public URL before it listens.
fn free(port: u16) -> Result<u16, StartError> {
    if port != 0 {
        return Ok(port);
    }
    StdTcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|cause| listen_error("127.0.0.1:0", cause))
}

fn listen_error(address: &str, cause: io::Error) -> StartError {
    StartError::Listen {
        address: address.to_owned(),
        cause,
    }
}
