//! Which client is calling (RFC 6749 section 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::ClientRegistration;
use super::inbound::Inbound;
use super::parameters::Parameters;
use super::reply::{ErrorCode, Refusal};
use super::state::State;

impl State {
    /// The client that a call comes from: by `client_secret_basic`, by `client_secret_post`, or by
    /// name alone where it has no secret.
    ///
    /// # Errors
    /// `invalid_client`, or `invalid_request` for two methods at once (RFC 6749 section 2.3).
    pub(super) fn authenticate(
        &self,
        inbound: &Inbound,
        form: &Parameters,
    ) -> Result<ClientRegistration, Refusal> {
        let failed = Refusal::new(
            ErrorCode::InvalidClient,
            "the client is unknown or its secret is wrong",
        );
        let in_body = form.value("client_secret");
        if !inbound.has_authorization() {
            let client = form
                .value("client_id")
                .and_then(|client_id| self.clients.get(client_id))
                .ok_or(failed)?;
            return match (&client.client_secret, in_body) {
                (Some(secret), Some(given)) if secret.equals(given) => Ok(client.clone()),
                (None, None) => Ok(client.clone()),
                _ => Err(failed),
            };
        }
        let (client_id, given) = inbound
            .credentials("Basic")
            .and_then(parse_basic)
            .ok_or(failed)?;
        if in_body.is_some() {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "the client authenticates in two ways at once",
            ));
        }
        if form
            .value("client_id")
            .is_some_and(|named| named != client_id)
        {
            return Err(failed);
        }
        let client = self.clients.get(&client_id).ok_or(failed)?;
        match &client.client_secret {
            Some(secret) if secret.equals(&given) => Ok(client.clone()),
            _ => Err(failed),
        }
    }
}

/// Name and secret of `Basic`, which are form-encoded within it (RFC 6749 section 2.3.1).
fn parse_basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((decode(name)?, decode(secret)?))
}

fn decode(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let (value, _) = form_urlencoded::parse(text.as_bytes()).next()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded_inside() {
        let encoded = STANDARD.encode("my%20client:a%3Ab%2B+c");
        assert_eq!(
            parse_basic(&encoded),
            Some(("my client".to_owned(), "a:b+ c".to_owned()))
        );
        assert_eq!(parse_basic("!"), None);
        assert_eq!(parse_basic(&STANDARD.encode("nocolon")), None);
        assert_eq!(parse_basic(&STANDARD.encode("a:b&c")), None);
    }
}
