//! Hop-by-hop fields (RFC 9110 section 7.6.1): they end here, in both directions.
//!
//! `Connection` names further ones. Those are honoured only for fields of the client's own: nobody
//! deletes a field of ours by naming it, since ours are written after.

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::head::is_websocket;
use super::trailers;
use crate::base::fields::{KEEP_ALIVE, PROXY_CONNECTION};
use crate::gate::facts::Upgrade;

/// Fields that no `Connection` may name away: they mean something to the message itself.
fn is_protected(name: &HeaderName) -> bool {
    matches!(
        *name,
        HOST | CONTENT_LENGTH | TRANSFER_ENCODING | AUTHORIZATION | COOKIE | SET_COOKIE
    )
}

/// Fields that this module takes away or writes anew: most messages have few of them or none, and one
/// look at all names costs less than to look each of these up.
fn is_of_the_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION
            | TE
            | TRAILER
            | TRANSFER_ENCODING
            | UPGRADE
            | CONTENT_LENGTH
            | PROXY_AUTHENTICATE
            | PROXY_AUTHORIZATION
    ) || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

pub(super) fn strip_request(headers: &mut HeaderMap, upgrade: Upgrade) {
    if !headers.keys().any(is_of_the_hop) {
        return;
    }
    // Looked at first: `Connection` names it, as it must (RFC 9110 section 10.1.4).
    let trailers_are_read = headers.contains_key(TE) && trailers::are_read(headers);
    strip_named(headers);
    strip_always(headers);
    if !trailers::is_grpc(headers) {
        headers.remove(TRAILER);
    }
    headers.remove(PROXY_AUTHORIZATION);
    write_framing_anew(headers);
    let protocol = headers.remove(UPGRADE);
    if let (true, Some(protocol)) = (is_websocket(upgrade), protocol) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    } else if trailers_are_read {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// The framing in our own spelling: an app that knows `chunked` in small letters only, or takes a
/// leading zero for another number, would see another end of the request than we did.
fn write_framing_anew(headers: &mut HeaderMap) {
    if let Some(coding) = headers.get_mut(TRANSFER_ENCODING) {
        *coding = HeaderValue::from_static("chunked"); // the only one that came so far
    }
    if let Some(length) = headers.get_mut(CONTENT_LENGTH)
        && length.as_bytes().starts_with(b"0")
        && let Some(number) = length
            .to_str()
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    {
        *length = HeaderValue::from(number);
    }
}

/// `Trailer` stays: it announces what comes behind the body, and our own connection passes only what
/// is announced.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    let only_length = |name: &HeaderName| *name == CONTENT_LENGTH || !is_of_the_hop(name);
    if headers.keys().all(only_length) {
        return;
    }
    strip_named(headers);
    strip_always(headers);
    headers.remove(PROXY_AUTHENTICATE);
    if headers.remove(TRANSFER_ENCODING).is_some() {
        // It overrides a length (RFC 9112 section 6.3); the connection frames the body anew.
        headers.remove(CONTENT_LENGTH);
    }
    headers.remove(UPGRADE);
}

fn strip_always(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    headers.remove(TE);
}

fn strip_named(headers: &mut HeaderMap) {
    let plain = |line: &HeaderValue| {
        let line = line.as_bytes();
        line.eq_ignore_ascii_case(b"keep-alive") || line.eq_ignore_ascii_case(b"close")
    };
    if headers.get_all(CONNECTION).iter().all(plain) {
        return; // what nearly everybody says: nothing named
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_protected(name) && *name != UPGRADE)
        .collect();
    for name in named {
        headers.remove(name);
    }
}
