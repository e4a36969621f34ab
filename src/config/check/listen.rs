//! Who may connect, and whose word about others is believed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::Findings;
use crate::config::tree::Path;
use crate::config::written::{ConfigFile, HeaderFamily};
use crate::gate::client_address::{ForwardedHeader, TrustedProxies, UnixPeers};
use crate::server::ListenAddress;

/// The default of `listen`.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4180);
/// The default of `probes.address`.
const PROBES: ([u8; 4], u16) = ([127, 0, 0, 1], 4181);

/// `listen`: at least one address, none twice, none that of the probes.
pub(super) fn listeners(
    file: &ConfigFile,
    probes: Option<SocketAddr>,
    findings: &mut Findings<'_>,
) -> Vec<ListenAddress> {
    let here = Path::root("listen");
    let Some(written) = &file.listen else {
        let address = SocketAddr::from(LISTEN);
        return vec![ListenAddress::Tcp(address)];
    };
    if written.is_empty() && !findings.is_torn(&here) {
        findings.fault(
            &here,
            "nothing is listened on",
            "write an address, such as `127.0.0.1:4180`",
        );
    }
    let mut addresses = Vec::new();
    for (index, one) in written.iter().enumerate() {
        let item = here.index(index).key("address");
        let Some(text) = one.full().address else {
            findings.fault(
                &item,
                "`address` is missing",
                "write `IP:PORT`, `unix:/PATH` or `systemd:NAME`",
            );
            continue;
        };
        let Some(address) = listen_address(&text, &item, findings) else {
            continue;
        };
        if addresses.contains(&address) {
            findings.fault(
                &item,
                "this address is listened on already",
                "take one of them away",
            );
        }
        let is_probes = |probes: SocketAddr| address == ListenAddress::Tcp(probes);
        if probes.is_some_and(|probes| probes.port() != 0 && is_probes(probes)) {
            findings.fault(
                &item,
                "the probes are answered on this address",
                "choose another port",
            );
        }
        addresses.push(address);
    }
    addresses
}

fn listen_address(text: &str, path: &Path, findings: &mut Findings<'_>) -> Option<ListenAddress> {
    if let Some(socket) = text.strip_prefix("unix:") {
        let socket = PathBuf::from(socket);
        if socket.is_absolute() {
            return Some(ListenAddress::Unix(socket));
        }
        findings.fault(
            path,
            "a Unix socket needs its whole path",
            "write it like `unix:/run/sidegate/http.sock`",
        );
        return None;
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        if is_socket_name(name) {
            return Some(ListenAddress::Passed(name.to_owned()));
        }
        findings.fault(
            path,
            "not the name of a socket",
            "write the `FileDescriptorName` of the socket unit, like `systemd:http`",
        );
        return None;
    }
    tcp(text, path, findings).map(ListenAddress::Tcp)
}

/// What `FileDescriptorName` may be (`systemd.socket(5)`).
fn is_socket_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b':' || byte == b' ';
    (1..=255).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn tcp(text: &str, path: &Path, findings: &mut Findings<'_>) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let is_port = |port: &&str| port.parse::<u16>().is_ok();
    let remedy = if let Some(port) = text.strip_prefix(':').filter(is_port) {
        format!("write `0.0.0.0:{port}` for everybody or `127.0.0.1:{port}` for this machine")
    } else if let Some(port) = text.strip_prefix("localhost:").filter(is_port) {
        format!("write `127.0.0.1:{port}`")
    } else {
        "write it like `127.0.0.1:4180` or `[::]:4180`".to_owned()
    };
    findings.fault(path, "not an IP address with a port", remedy);
    None
}

/// `probes`.
pub(crate) fn probes(file: &ConfigFile, findings: &mut Findings<'_>) -> Option<SocketAddr> {
    let written = file
        .probes
        .as_ref()
        .and_then(|probes| probes.address.as_ref());
    match written {
        None => Some(SocketAddr::from(PROBES)),
        Some(text) => tcp(text, &Path::root("probes").key("address"), findings),
    }
}

/// `trusted_proxies` (K1: nobody by default; everybody only by a switch that says so).
pub(super) fn trusted_proxies(file: &ConfigFile, findings: &mut Findings<'_>) -> TrustedProxies {
    let switch = Path::root("insecure_trust_any_proxy");
    let anybody = file.insecure_trust_any_proxy == Some(true);
    if anybody {
        findings.weakened(&switch, "anybody can pass for any client address");
    }
    let mut trusted = TrustedProxies::default();
    let Some(written) = &file.trusted_proxies else {
        return trusted;
    };
    let here = Path::root("trusted_proxies");
    let peers = match written {
        super::super::written::TrustedProxiesWritten::Peers(_) => here,
        super::super::written::TrustedProxiesWritten::Full(_) => here.key("peers"),
    };
    let written = written.full();
    for (index, text) in written.peers.iter().flatten().enumerate() {
        let item = peers.index(index);
        if text == "unix" {
            trusted.unix = UnixPeers::Trusted;
            continue;
        }
        let Some(network) = network(text) else {
            findings.fault(
                &item,
                "not an address or a network",
                "write it like `10.0.0.0/8`, `fd00::/8`, `192.0.2.1` or `unix`",
            );
            continue;
        };
        if network.prefix_len() == 0 && !anybody {
            findings.fault(
                &item,
                "this trusts everybody to name the client address",
                "list the addresses of your proxies; if it is truly meant, add `insecure_trust_any_proxy: true`",
            );
        }
        if network.trunc() != network {
            findings.warn(
                &item,
                "bits beyond the length of the network are set",
                format!("write `{}`", network.trunc()),
            );
        }
        trusted.networks.push(network.trunc());
    }
    trusted.header = match written.header {
        None | Some(HeaderFamily::XForwardedFor) => ForwardedHeader::XForwardedFor,
        Some(HeaderFamily::Forwarded) => ForwardedHeader::Forwarded,
    };
    trusted
}

/// A network, or a single address. Peers are compared in canonical form, so an IPv4 network written
/// in IPv6 would never match.
fn network(text: &str) -> Option<IpNet> {
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => None,
        _ => Some(network),
    }
}
