//! What the upstream is told about the way the request came: always by us, from the configuration
//! and the connection, never by the client.

use std::cell::RefCell;

use http::HeaderMap;
use http::header::HeaderValue;

use super::head::constant;
use crate::base::origin::PublicUrl;
use crate::gate::client_address::ClientAddress;

/// The fields that follow from `public_url`, made once: an app behind a TLS front never loops.
#[derive(Debug, Clone)]
pub(super) struct PublicFields {
    proto: HeaderValue,
    host: HeaderValue,
    port: HeaderValue,
    /// The client's address of the last request, since the next is often of the same.
    last_client: RefCell<Option<(ClientAddress, HeaderValue)>>,
}

impl PublicFields {
    pub(super) fn new(public: &PublicUrl) -> Self {
        let origin = public.origin();
        let value = |text: &str| {
            HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        Self {
            proto: value(origin.scheme().as_str()),
            host: value(&origin.authority()),
            port: value(&origin.port().to_string()),
            last_client: RefCell::new(None),
        }
    }

    pub(super) fn set(&self, headers: &mut HeaderMap, client: ClientAddress) {
        headers.insert(constant("x-forwarded-proto"), self.proto.clone());
        headers.insert(constant("x-forwarded-host"), self.host.clone());
        headers.insert(constant("x-forwarded-port"), self.port.clone());
        if let Some(client) = self.client(client) {
            headers.insert(constant("x-forwarded-for"), client);
        }
    }

    fn client(&self, client: ClientAddress) -> Option<HeaderValue> {
        let ClientAddress::Ip(address) = client else {
            return None;
        };
        let mut last = self.last_client.borrow_mut();
        if let Some((known, value)) = &*last
            && *known == client
        {
            return Some(value.clone());
        }
        let value = HeaderValue::from_str(&address.to_string()).ok()?;
        *last = Some((client, value.clone()));
        Some(value)
    }
}
