//! Who the client is: what our own front proxy wrote last, whatever stands before it and whatever it
//! quotes; and nothing at all of what others write.
//!
//! The first byte chooses the header family; then come the lines of the header. Behind a NUL stands
//! what the client sent as `Host`.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue};
use sidegate::base::peer::{Peer, PeerAddress};
use sidegate::gate::client_address::{ClientAddress, ForwardedHeader, TrustedProxies, UnixPeers};

use super::Outcome;

const PROXY: &str = "10.0.0.1:9";
const STRANGER: &str = "198.51.100.9:9";
const CLIENT: &str = "203.0.113.7";
/// How many entries are looked at.
const MOST_ENTRIES: usize = 32;

static NETWORKS: LazyLock<[ipnet::IpNet; 2]> =
    LazyLock::new(|| ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network")));

/// Any lines as forwarded headers.
pub fn run(data: &[u8]) -> Outcome {
    let (header, name) = match data.first() {
        Some(b'f') => (ForwardedHeader::Forwarded, "forwarded"),
        _ => (ForwardedHeader::XForwardedFor, "x-forwarded-for"),
    };
    let rest = data.get(1..).unwrap_or_default();
    let (lines, host) = match rest.iter().position(|byte| *byte == 0) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &b""[..]),
    };
    let lines: Vec<&[u8]> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| HeaderValue::from_bytes(line).is_ok())
        .take(10)
        .collect();
    let proxies = TrustedProxies {
        networks: NETWORKS.to_vec(),
        unix: UnixPeers::Trusted,
        header,
    };
    let seen = |peer: &str, lines: &[&[u8]]| {
        let peer = Peer::new(PeerAddress::Tcp(peer.parse().expect("an address")), 0);
        proxies.client_address(&peer, &fields(name, lines))
    };
    let ip = |text: &str| ClientAddress::Ip(text.parse().expect("an address"));

    let stranger: SocketAddr = STRANGER.parse().expect("an address");
    assert_eq!(
        seen(STRANGER, &lines),
        ClientAddress::Ip(stranger.ip()),
        "a stranger is believed"
    );
    let nobody = TrustedProxies {
        header,
        ..TrustedProxies::default()
    };
    let local = nobody.client_address(&Peer::new(PeerAddress::Unix, 0), &fields(name, &lines));
    assert_eq!(local, ClientAddress::Local, "a local stranger is believed");

    let believed = seen(PROXY, &lines);
    if let ClientAddress::Ip(address) = believed {
        assert_eq!(address, address.to_canonical());
    }
    let well_formed = match header {
        ForwardedHeader::XForwardedFor => Some(plain_entries(&lines)),
        ForwardedHeader::Forwarded => elements(&lines),
    };
    if let Some(entries) = well_formed {
        assert_eq!(believed, walked(&entries), "{entries:?}");
    }

    // What a front proxy of ours appends, to the last line or as its own, is what counts.
    let appended = match header {
        ForwardedHeader::XForwardedFor => CLIENT.as_bytes().to_vec(),
        ForwardedHeader::Forwarded => [
            b"for=203.0.113.7;proto=https;host=",
            &*quoted(host),
            b";by=_x",
        ]
        .concat(),
    };
    let mut with_own_line = lines.clone();
    with_own_line.push(&appended);
    assert_eq!(
        seen(PROXY, &with_own_line),
        ip(CLIENT),
        "the client spoke for our proxy"
    );
    if let Some((last, before)) = lines.split_last() {
        let joined = [last, &b", "[..], &appended].concat();
        let mut with_joined = before.to_vec();
        with_joined.push(&joined);
        assert_eq!(
            seen(PROXY, &with_joined),
            ip(CLIENT),
            "the client spoke for our proxy"
        );
    }
    Outcome::from(believed != ip("10.0.0.1"))
}

fn fields(name: &'static str, lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in lines
        .iter()
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
    {
        headers.append(name, value);
    }
    headers
}

/// A quoted string (RFC 9110 section 5.6.4) of what may stand in one.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in bytes
        .iter()
        .filter(|byte| matches!(byte, b'\t' | b' '..=b'~'))
    {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}

/// The walk, over entries from left to right.
fn walked(entries: &[Option<IpAddr>]) -> ClientAddress {
    let trusted = |address: IpAddr| NETWORKS.iter().any(|network| network.contains(&address));
    let mut believed: IpAddr = "10.0.0.1".parse().expect("an address");
    for entry in entries.iter().rev().take(MOST_ENTRIES) {
        match entry {
            Some(address) if trusted(believed) => believed = *address,
            _ => break,
        }
    }
    ClientAddress::Ip(believed)
}

fn plain_entries(lines: &[&[u8]]) -> Vec<Option<IpAddr>> {
    lines
        .join(&b","[..])
        .split(|byte| *byte == b',')
        .map(|entry| address(std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t'])))
        .take(if lines.is_empty() { 0 } else { usize::MAX })
        .collect()
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match (text.parse::<IpAddr>(), text.parse::<SocketAddr>(), bare) {
        (Ok(address), ..) => address,
        (_, Ok(socket), _) => socket.ip(),
        (.., Some(bare)) => bare.parse().ok()?,
        _ => return None,
    };
    Some(address.to_canonical())
}

/// The elements of `Forwarded` by the grammar (RFC 7239 section 4), from left to right; nothing where
/// the lines are not of it.
fn elements(lines: &[&[u8]]) -> Option<Vec<Option<IpAddr>>> {
    let mut entries = Vec::new();
    for line in lines {
        let mut rest = *line;
        loop {
            let (entry, after) = element(rest)?;
            entries.push(entry);
            match after.split_first() {
                None => break,
                Some((b',', after)) => rest = after,
                Some(_) => return None,
            }
        }
    }
    Some(entries)
}

fn element(text: &[u8]) -> Option<(Option<IpAddr>, &[u8])> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    // Addresses stand unquoted as well, which the grammar would not have.
    let is_value = |byte: &u8| is_token(byte) || matches!(byte, b':' | b'[' | b']');
    let skip = |text: &[u8]| text.iter().take_while(|byte| blank(byte)).count();
    let mut rest = &text[skip(text)..];
    let mut found: Option<Option<IpAddr>> = None;
    loop {
        let name = rest.iter().take_while(|byte| is_token(byte)).count();
        if name > 0 {
            let (name, after) = rest.split_at(name);
            let after = after.strip_prefix(b"=")?;
            let (value, after) = match after.strip_prefix(b"\"") {
                Some(mut inside) => {
                    let mut value = Vec::new();
                    loop {
                        match inside {
                            [b'"', after @ ..] => break (value, after),
                            // An address has no need of a pair of two bytes.
                            [b'\\', byte, after @ ..] => {
                                value.extend([b'\\', *byte]);
                                inside = after;
                            }
                            [byte, after @ ..] => {
                                value.push(*byte);
                                inside = after;
                            }
                            [] => return None,
                        }
                    }
                }
                None => {
                    let value = after.iter().take_while(|byte| is_value(byte)).count();
                    let (value, after) = after.split_at(value);
                    (value.to_vec(), after)
                }
            };
            if name.eq_ignore_ascii_case(b"for") {
                let address = std::str::from_utf8(&value).ok().and_then(address);
                // Twice is never right (RFC 7239 section 4): then nobody is named.
                found = Some(if found.is_some() { None } else { address });
            }
            rest = after;
        }
        match rest.strip_prefix(b";") {
            Some(after) => rest = after,
            None => return Some((found.flatten(), &rest[skip(rest)..])),
        }
    }
}
