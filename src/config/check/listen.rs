//! Who may connect, and whose word about others is believed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::{Findings, listen_tls};
use crate::base::origin::{PublicUrl, Scheme};
use crate::config::tree::Path;
use crate::config::written::{ConfigFile, HeaderFamily, ListenFull, RedirectWritten};
use crate::gate::client_address::{ForwardedHeader, TrustedProxies, UnixPeers};
use crate::server::connection::Wire;
use crate::server::{ListenAddress, ListenSettings, ProxyProtocol, Purpose};

/// The default of `listen`.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4180);
/// The default of `probes.address`.
const PROBES: ([u8; 4], u16) = ([127, 0, 0, 1], 4181);

/// What listeners are checked against.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) trusted_proxies: &'a TrustedProxies,
    pub(super) probes: Option<SocketAddr>,
    pub(super) admin: Option<&'a std::path::Path>,
}

/// `listen`: at least one address, none twice, none that of the probes.
pub(super) fn listeners(
    file: &ConfigFile,
    around: Around<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ListenSettings> {
    let here = Path::root("listen");
    let Some(written) = &file.listen else {
        let address = SocketAddr::from(LISTEN);
        return vec![ListenSettings::at(ListenAddress::Tcp(address))];
    };
    if written.is_empty() && !findings.is_torn(&here) {
        findings.fault(
            &here,
            "nothing is listened on",
            "write an address, such as `127.0.0.1:4180`",
        );
    }
    let mut listeners: Vec<ListenSettings> = Vec::new();
    for (index, one) in written.iter().enumerate() {
        let (item, one) = (here.index(index), one.full());
        let Some(address) = address(&one, &item.key("address"), findings) else {
            continue;
        };
        // With port 0 the kernel gives each its own.
        let any_port = matches!(address, ListenAddress::Tcp(tcp) if tcp.port() == 0);
        if !any_port && listeners.iter().any(|before| before.address == address) {
            findings.fault(
                &item.key("address"),
                "this address is listened on already",
                "take one of them away",
            );
        }
        let is_probes = |probes: SocketAddr| address == ListenAddress::Tcp(probes);
        if around
            .probes
            .is_some_and(|probes| probes.port() != 0 && is_probes(probes))
        {
            findings.fault(
                &item.key("address"),
                "the probes are answered on this address",
                "choose another port",
            );
        }
        if matches!(&address, ListenAddress::Unix(path) if around.admin == Some(path)) {
            findings.fault(
                &item.key("address"),
                "this is the socket of `admin`",
                "choose another path",
            );
        }
        listeners.push(ListenSettings {
            address,
            tls: one
                .tls
                .as_ref()
                .and_then(|tls| listen_tls::tls(tls, &item.key("tls"), findings)),
            cleartext: if one.h2c == Some(true) {
                Wire::Either
            } else {
                Wire::Http1
            },
            proxy_protocol: proxy_protocol(&one, &item, around, findings),
            purpose: purpose(&one, &item, around, findings),
            health_path: health_path(&one, &item, findings),
        });
    }
    let serves = |one: &ListenSettings| one.purpose == Purpose::Serve;
    if !listeners.is_empty() && !listeners.iter().any(serves) {
        findings.fault(
            &here,
            "every listener only leads elsewhere, and none serves",
            "add the listener that is led to",
        );
    }
    listeners
}

fn address(one: &ListenFull, path: &Path, findings: &mut Findings<'_>) -> Option<ListenAddress> {
    let Some(text) = &one.address else {
        findings.fault(
            path,
            "`address` is missing",
            "write `IP:PORT`, `unix:/PATH` or `systemd:NAME`",
        );
        return None;
    };
    listen_address(text, path, findings)
}

/// K7: the header is believed from proxies of ours alone, so there must be some.
fn proxy_protocol(
    one: &ListenFull,
    item: &Path,
    around: Around<'_>,
    findings: &mut Findings<'_>,
) -> ProxyProtocol {
    if one.proxy_protocol != Some(true) {
        return ProxyProtocol::Unspoken;
    }
    let trusted = around.trusted_proxies;
    let nobody = trusted.networks.is_empty() && trusted.unix == UnixPeers::Untrusted;
    if nobody && !findings.is_torn(&Path::root("trusted_proxies")) {
        findings.fault(
            &item.key("proxy_protocol"),
            "no proxy is trusted, so every connection would be closed",
            "list the proxies in `trusted_proxies`",
        );
    }
    ProxyProtocol::Demanded
}

fn purpose(
    one: &ListenFull,
    item: &Path,
    around: Around<'_>,
    findings: &mut Findings<'_>,
) -> Purpose {
    let (Some(RedirectWritten::Https), Some(url)) = (one.redirect, around.public_url) else {
        return Purpose::Serve;
    };
    if one.tls.is_some() {
        findings.fault(
            &item.key("redirect"),
            "this listener speaks TLS already",
            "take `tls` or `redirect` away",
        );
    }
    if url.origin().scheme() != Scheme::Https {
        findings.fault(
            &item.key("redirect"),
            "`public_url` is not `https`, so there is nothing to lead to",
            "leave the key out",
        );
    }
    Purpose::Redirect(url.origin().to_string())
}

/// A path that every balancer writes in the same way, so that it can be compared byte for byte.
fn health_path(one: &ListenFull, item: &Path, findings: &mut Findings<'_>) -> Option<String> {
    let path = one.health_path.as_ref()?;
    if super::settings::is_plain_path(path) {
        return Some(path.clone());
    }
    findings.fault(
        &item.key("health_path"),
        "not a plain path: `/`, then letters, digits, `-`, `.`, `_`, `~`, and no `/` at the end",
        "write it like `/-/sidegate`",
    );
    None
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

/// `admin`: a file of one user, since whoever speaks there can sign anybody out.
pub(crate) fn admin(file: &ConfigFile, findings: &mut Findings<'_>) -> Option<PathBuf> {
    let written = file.admin.as_ref()?;
    let here = Path::root("admin");
    let remedy = "write it like `unix:/run/sidegate/admin.sock`";
    let Some(address) = &written.address else {
        findings.fault(&here, "nobody says where it is", remedy);
        return None;
    };
    let path = address.strip_prefix("unix:").map(PathBuf::from);
    match path.filter(|path| path.is_absolute()) {
        Some(path) => Some(path),
        None => {
            let what = "not a Unix socket with its whole path";
            findings.fault(&here.key("address"), what, remedy);
            None
        }
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
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => None,
        _ => Some(network),
    }
}
