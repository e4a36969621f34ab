//! Clients that are not ours log in at the embedded provider: what we and it might both get wrong,
//! they do not.

use std::path::Path;
use std::process::{Command, Stdio};

use sidegate::base::secret::Secret;
use sidegate::demo::provider::ClientRegistration;
use sidegate::demo::provider::signing::SigningAlgorithm;

use crate::support::provider::TestProvider;

const REDIRECT_URI: &str = "http://127.0.0.1:9/oauth2/callback";

#[test]
fn foreign_clients_sign_in_renew_and_sign_out() {
    let python = std::env::var_os("SIDEGATE_TEST_PYTHON").expect(
        "SIDEGATE_TEST_PYTHON must name the python of a virtual environment with \
         tests/it/support/foreign_client/requirements.txt installed",
    );
    let provider = TestProvider::start_with(|options| options.issuer.push_str("/tenant"));
    // A secret with what form-encoding changes inside Basic.
    for (client_id, secret) in [("basic", "s e:c&r%t+"), ("post", "p&st")] {
        let secret = Some(Secret::new(secret.to_owned()));
        let mut client = ClientRegistration::new(client_id, secret, REDIRECT_URI);
        client.post_logout_redirect_uris = vec![REDIRECT_URI.replace("callback", "sign_out")];
        if client_id == "post" {
            client.id_token_algorithm = SigningAlgorithm::Es256;
        }
        provider.provider().register(client).unwrap();
    }
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/foreign_client/client.py");
    let run = Command::new(python)
        .arg(script)
        .args([
            provider.issuer(),
            REDIRECT_URI,
            "basic",
            "s e:c&r%t+",
            "post",
            "p&st",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("SIDEGATE_TEST_PYTHON does not start");
    let (out, err) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{out}{err}");
    assert!(out.ends_with("done\n"), "{out}{err}");
}
