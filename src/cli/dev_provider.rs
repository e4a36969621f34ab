//! `dev-provider`: the embedded provider alone, on loopback. Not for production.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::run::{Signals, Told, on_runtime, telemetry};
use super::{DevProvider, Exit, with_streams};
use crate::app::start::StartError;
use crate::base::secret::Secret;
use crate::config::environment::Environment;
use crate::config::log::LogSettings;
use crate::demo::provider::{ClientRegistration, DEMO_NOTE, Provider, ProviderOptions};
use crate::demo::serve::serve;

/// Serves the provider until it is told to stop.
#[must_use]
pub fn run(dev: &DevProvider) -> Exit {
    let telemetry = match telemetry(LogSettings::default(), &Environment::of_process()) {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    let exit = on_runtime(async {
        let named = |cause| StartError::Listen {
            address: format!("127.0.0.1:{}", dev.port),
            cause,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, dev.port))
            .await
            .map_err(named)?;
        let issuer = format!("http://{}", listener.local_addr().map_err(named)?);
        let mut signals = Signals::new().map_err(StartError::Thread)?;
        let mut options = ProviderOptions::new(issuer.clone());
        options.clients = vec![client(dev)?];
        options.note = Some(DEMO_NOTE.to_owned());
        let provider = Provider::new(options).map_err(|_| StartError::Demo)?;
        announce(dev, &issuer);
        let stop = async move { while signals.next().await != Told::Stop {} };
        serve(listener, provider, stop)
            .await
            .map_err(|_| StartError::Demo)
    });
    telemetry.finish(Duration::from_secs(1));
    exit
}

fn client(dev: &DevProvider) -> Result<ClientRegistration, StartError> {
    let secret = match &dev.client_secret_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|cause| StartError::File {
                what: "cannot read the client secret",
                path: path.clone(),
                cause,
            })?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    };
    let mut client = ClientRegistration::new(&dev.client_id, secret, &dev.redirect_uri);
    if let Some(base) = dev.redirect_uri.strip_suffix("/callback") {
        client.post_logout_redirect_uris = vec![format!("{base}/sign_out")];
    }
    Ok(client)
}

fn announce(dev: &DevProvider, issuer: &str) {
    let kind = if dev.client_secret_file.is_some() {
        "confidential"
    } else {
        "public"
    };
    with_streams(|streams| {
        // Nobody may be reading, which is no reason not to serve.
        drop(writeln!(
            streams.out,
            "issuer {issuer}\nclient_id {} ({kind}), redirect_uri {}\nSign in as alice or bob, \
             password sidegate. NOT FOR PRODUCTION.",
            dev.client_id, dev.redirect_uri
        ));
        drop(streams.out.flush());
    });
}
