//! The client's address: the peer's, or what a trusted front proxy says about it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

use crate::base::fields::X_FORWARDED_FOR;
use crate::base::peer::{Peer, PeerAddress};

/// The address of the browser or script, as far as it can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddress {
    /// An IP address in canonical form.
    Ip(IpAddr),
    /// A peer on a Unix socket that says nothing more.
    Local,
}

/// Whose forwarded headers are believed: nobody's, by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// The networks that proxies of ours have.
    pub networks: Vec<IpNet>,
    /// Whether peers on a Unix listener are proxies of ours.
    pub unix: UnixPeers,
    /// The one header family that they write.
    pub header: ForwardedHeader,
}

/// What is thought of peers on a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnixPeers {
    /// They are believed no more than others.
    #[default]
    Untrusted,
    /// They are front proxies of ours.
    Trusted,
}

/// The header family that trusted proxies write; the others are never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// No more than this many entries are looked at, from the right.
const MOST_ENTRIES: usize = 32;

impl TrustedProxies {
    /// The client's address: from the peer leftwards through the header, the first address that is
    /// not a trusted proxy's. Whatever does not parse ends the walk at the last address believed.
    #[must_use]
    pub fn client_address(&self, peer: &Peer, headers: &HeaderMap) -> ClientAddress {
        let mut believed = peer
            .address()
            .map_or(ClientAddress::Local, ClientAddress::Ip);
        if !self.trusts_peer(peer) {
            return believed;
        }
        for entry in self.entries(headers).take(MOST_ENTRIES) {
            let Some(address) = entry else { break };
            believed = ClientAddress::Ip(address);
            if !self.trusts(address) {
                break;
            }
        }
        believed
    }

    /// Whether `peer` is a proxy of ours.
    #[must_use]
    pub fn trusts_peer(&self, peer: &Peer) -> bool {
        match peer.address {
            PeerAddress::Tcp(_) => peer.address().is_some_and(|address| self.trusts(address)),
            PeerAddress::Unix => self.unix == UnixPeers::Trusted,
            PeerAddress::Untold => false,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The entries from right to left; `None` for one that names no address.
    fn entries<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = Option<IpAddr>> + use<'a> {
        let header = self.header;
        let (name, last): (_, LastSeparator) = match header {
            ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, last_byte),
            ForwardedHeader::Forwarded => (&FORWARDED, last_outside_quotes),
        };
        let lines: Vec<&[u8]> = headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect();
        lines
            .into_iter()
            .rev()
            .flat_map(move |line| from_the_right(line, b',', last))
            .map(move |entry| match header {
                ForwardedHeader::XForwardedFor => parse_address(trimmed(entry)?),
                ForwardedHeader::Forwarded => parse_forwarded(entry),
            })
    }
}

/// Where in a text its last separator of this kind is.
type LastSeparator = fn(&[u8], u8) -> Option<usize>;

/// What stands between separators, the last piece first.
fn from_the_right(
    text: &[u8],
    separator: u8,
    last: LastSeparator,
) -> impl Iterator<Item = &[u8]> + use<'_> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (before, piece) = match last(text, separator) {
            Some(at) => (text.get(..at), text.get(at.saturating_add(1)..)?),
            None => (None, text),
        };
        rest = before;
        Some(piece)
    })
}

fn last_byte(text: &[u8], separator: u8) -> Option<usize> {
    text.iter().rposition(|&byte| byte == separator)
}

/// The last separator that is not in a quoted string (RFC 9110 section 5.6.4). What a front proxy
/// quotes, such as `host`, is the client's own text, so a `,` or `;` in it divides nothing. Read from
/// the right, since what stands left of the proxy's part is the client's as well, and a quote that
/// it opens and never closes must not swallow what the proxy wrote behind it.
fn last_outside_quotes(text: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    for (at, &byte) in text.iter().enumerate().rev() {
        match byte {
            b'"' => quoted = !quoted || is_escaped(text, at),
            _ if byte == separator && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes stands before `at`.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\');
    backslashes.count() % 2 == 1
}

/// Without blanks and tabs around it.
fn trimmed(bytes: &[u8]) -> Option<&str> {
    Some(std::str::from_utf8(bytes).ok()?.trim_matches([' ', '\t']))
}

/// `for=192.0.2.1`, `for="[2001:db8::1]:4711"` among other parameters (RFC 7239 section 4). An element
/// that says `for` twice, which the standard forbids, names nobody.
fn parse_forwarded(element: &[u8]) -> Option<IpAddr> {
    let mut values = from_the_right(element, b';', last_outside_quotes).filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        trimmed(name)?
            .eq_ignore_ascii_case("for")
            .then_some(value.get(1..)?)
    });
    let (value, None) = (trimmed(values.next()?)?, values.next()) else {
        return None;
    };
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    parse_address(value)
}

/// An address, with a port or without, IPv6 in brackets or bare.
fn parse_address(text: &str) -> Option<IpAddr> {
    let address = if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else if let Ok(socket) = text.parse::<SocketAddr>() {
        socket.ip()
    } else {
        text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(header: ForwardedHeader) -> TrustedProxies {
        let networks = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        TrustedProxies {
            networks,
            header,
            ..TrustedProxies::default()
        }
    }

    fn seen(proxies: &TrustedProxies, peer: &str, name: &'static str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                name,
                http::HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        let peer = Peer::new(
            PeerAddress::Tcp(SocketAddr::new(peer.parse().unwrap(), 1)),
            0,
        );
        match proxies.client_address(&peer, &headers) {
            ClientAddress::Ip(address) => address.to_string(),
            ClientAddress::Local => "local".to_owned(),
        }
    }

    // K1: by default nobody's forwarded headers are believed.
    #[test]
    fn forwarded_addresses_of_an_untrusted_peer_are_not_believed() {
        let nobody = TrustedProxies::default();
        assert_eq!(
            seen(&nobody, "203.0.113.9", "x-forwarded-for", &["1.2.3.4"]),
            "203.0.113.9"
        );
        let some = trusted(ForwardedHeader::XForwardedFor);
        assert_eq!(
            seen(&some, "203.0.113.9", "x-forwarded-for", &["1.2.3.4"]),
            "203.0.113.9"
        );
        assert_eq!(
            seen(&some, "10.1.1.1", "forwarded", &["for=1.2.3.4"]),
            "10.1.1.1"
        );
    }

    // K7: the right-most address that is not a trusted proxy's, whatever stands left of it.
    #[test]
    fn the_right_most_untrusted_address_is_the_client() {
        let xff = trusted(ForwardedHeader::XForwardedFor);
        let rows: &[(&[&str], &str)] = &[
            (&["9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            (&["9.9.9.9", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            (&["1.2.3.4:5678"], "1.2.3.4"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:80, fd00::1"], "2001:db8::1"),
            (&["::ffff:1.2.3.4"], "1.2.3.4"),
            (&["1.2.3.4, unknown"], "10.1.1.1"),
            (&["1.2.3.4, garbage, 10.0.0.3"], "10.0.0.3"),
            (&["", ""], "10.1.1.1"),
            (&[], "10.1.1.1"),
        ];
        for (lines, wanted) in rows {
            assert_eq!(
                seen(&xff, "10.1.1.1", "x-forwarded-for", lines),
                *wanted,
                "{lines:?}"
            );
        }
        let forwarded = trusted(ForwardedHeader::Forwarded);
        let line = "for=9.9.9.9, For=\"[2001:db8::7]:99\";proto=http;by=x";
        assert_eq!(
            seen(&forwarded, "10.1.1.1", "forwarded", &[line]),
            "2001:db8::7"
        );
    }

    // K7: a thousand entries cost no more than the first few.
    #[test]
    fn a_thousand_entries_are_bounded() {
        let line = vec!["10.0.0.1"; 1000].join(",");
        let xff = trusted(ForwardedHeader::XForwardedFor);
        assert_eq!(
            seen(&xff, "10.1.1.1", "x-forwarded-for", &[&line]),
            "10.0.0.1"
        );
    }

    // K7: what a proxy quotes is the client's own text and names nobody; neither does a quote that the
    // client opens before the proxy's part.
    #[test]
    fn what_a_proxy_quotes_is_never_read_as_an_address() {
        let forwarded = trusted(ForwardedHeader::Forwarded);
        for line in [
            r#"for=1.2.3.4;host="x,for=9.9.9.9""#,
            r#"for=1.2.3.4;host="x, for=9.9.9.9;y=""#,
            r#"for=1.2.3.4;host="x,for=9.9.9.9;y";proto=https"#,
            r#"host="x;for=9.9.9.9;y";for=1.2.3.4"#,
            r#"for=1.2.3.4;host="\",for=9.9.9.9;by=\"""#,
            r#"for=1.2.3.4;host="\\\",for=9.9.9.9;by=\\""#,
            r#"for="9.9.9.9, for=1.2.3.4;host=",for=9.9.9.9""#,
            r#"for=9.9.9.9;by="\, for=1.2.3.4"#,
        ] {
            let client = seen(&forwarded, "10.1.1.1", "forwarded", &[line]);
            assert_eq!(client, "1.2.3.4", "{line}");
        }
        for nobody in [
            "for=1.2.3.4;for=9.9.9.9",
            r#"for="1.2.3.4"#,
            r#"for=1.2.3.4""#,
            "",
        ] {
            let client = seen(&forwarded, "10.1.1.1", "forwarded", &[nobody]);
            assert_eq!(client, "10.1.1.1", "{nobody}");
        }
    }
}
