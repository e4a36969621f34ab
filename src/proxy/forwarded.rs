//! What the upstream is told about the way the request came: always by us, from the configuration
//! and the connection, never by the client.

use std::cell::RefCell;

use http::HeaderMap;
use http::header::{HOST, HeaderValue};

use crate::base::fields::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO};
use crate::base::origin::{Authority, Host, PublicUrl};
use crate::gate::client_address::ClientAddress;

/// The fields that follow from `public_url`, made once: an app behind a TLS front never loops.
#[derive(Debug, Clone)]
pub(super) struct PublicFields {
    proto: HeaderValue,
    host: HeaderValue,
    port: HeaderValue,
    name: Host,
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
            name: origin.host().clone(),
            last_client: RefCell::new(None),
        }
    }

    pub(super) fn set(&self, headers: &mut HeaderMap, client: ClientAddress) {
        headers.insert(X_FORWARDED_PROTO.clone(), self.proto.clone());
        headers.insert(X_FORWARDED_HOST.clone(), self.host.clone());
        headers.insert(X_FORWARDED_PORT.clone(), self.port.clone());
        if let Some(client) = self.client(client) {
            headers.insert(X_FORWARDED_FOR.clone(), client);
        }
    }

    /// Under our own name the app hears our own port: another one is the client's invention, or a
    /// listener's behind a front, and would stand in the links that the app writes.
    pub(super) fn keep_port(&self, headers: &mut HeaderMap) {
        let Some(host) = headers.get(HOST).filter(|host| **host != self.host) else {
            return;
        };
        let received = host
            .to_str()
            .ok()
            .and_then(|text| Authority::parse(text).ok());
        if received.is_some_and(|received| received.host == self.name) {
            headers.insert(HOST, self.host.clone());
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
