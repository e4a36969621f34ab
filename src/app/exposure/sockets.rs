//! The listening sockets of our network namespace, as the kernel lists them (`proc_net(5)`), and what
//! they say about an upstream.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};

use super::Exposure;
use crate::proxy::UpstreamAddress;

/// `TCP_LISTEN` of the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";

/// The addresses that something listens on, over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening(Vec<SocketAddr>);

impl Listening {
    /// The kernel's lists as they are now; nothing where there are none, or none that we understand.
    ///
    /// Read below `self`: where only processes are shown (`ProcSubset=pid`), `/proc/net` is missing.
    #[must_use]
    pub fn read() -> Option<Self> {
        let list = |path| File::open(path).map(BufReader::new);
        let mut addresses = listening(list("/proc/self/net/tcp").ok()?)?;
        // Missing where the kernel has no IPv6, and then nothing listens there.
        if let Ok(v6) = list("/proc/self/net/tcp6") {
            addresses.extend(listening(v6)?);
        }
        Some(Self(addresses))
    }

    /// Parses `/proc/net/tcp` and `/proc/net/tcp6`; nothing where a line is not understood, since it
    /// might be the one that matters.
    #[must_use]
    pub fn parse(v4: &str, v6: &str) -> Option<Self> {
        let mut addresses = listening(v4.as_bytes())?;
        addresses.extend(listening(v6.as_bytes())?);
        Some(Self(addresses))
    }
}

/// Who listens by one list. Line by line: on a busy machine the list has as many as connections.
fn listening(mut list: impl BufRead) -> Option<Vec<SocketAddr>> {
    let (mut addresses, mut line) = (Vec::new(), String::new());
    list.read_line(&mut line).ok()?; // the heading
    loop {
        line.clear();
        if list.read_line(&mut line).ok()? == 0 {
            return Some(addresses);
        }
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (local, _remote, state) = (columns.next()?, columns.next()?, columns.next()?);
        if state == LISTEN {
            addresses.push(address(local)?);
        }
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = Vec::with_capacity(16);
    for word in ip.as_bytes().chunks(8) {
        let word = Some(word).filter(|word| word.len() == 8)?;
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        octets.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets.as_slice()).ok()?),
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// What `listening` says about an upstream at `address`, where the gate itself listens on `own`.
///
/// All sockets at the upstream's port count, since nothing tells whose they are, once one answers at
/// the upstream's own address; our own do not count.
#[must_use]
pub fn exposure(
    address: &UpstreamAddress,
    listening: Option<&Listening>,
    own: &[SocketAddr],
) -> Exposure {
    let port = match address {
        // Nobody reaches a socket of the file system over the network.
        UpstreamAddress::Unix(_) => return Exposure::Private,
        UpstreamAddress::Tcp { port, .. } => *port,
    };
    let (Some(here), Some(Listening(all))) = (address.loopback(), listening) else {
        return Exposure::Unseen;
    };
    let at_port: Vec<SocketAddr> = all
        .iter()
        .copied()
        .filter(|one| one.port() == port && !own.contains(one))
        .collect();
    let answers = |one: &SocketAddr| here.iter().any(|ip| takes(one.ip(), *ip));
    if !at_port.iter().any(answers) {
        return Exposure::Absent;
    }
    let around: Vec<SocketAddr> = at_port
        .into_iter()
        .filter(|one| !one.ip().is_loopback())
        .collect();
    if around.is_empty() {
        Exposure::Private
    } else {
        Exposure::Exposed(around)
    }
}

/// Whether a socket that is bound to `bound` takes connections to `ip`. That of all IPv6 addresses
/// may take IPv4 as well.
fn takes(bound: IpAddr, ip: IpAddr) -> bool {
    match bound {
        IpAddr::V4(v4) if v4.is_unspecified() => ip.is_ipv4(),
        IpAddr::V6(v6) if v6.is_unspecified() => true,
        bound => bound == ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn tcp(host: &str) -> UpstreamAddress {
        UpstreamAddress::Tcp {
            host: host.to_owned(),
            port: 3000,
        }
    }

    fn listening(addresses: &[&str]) -> Listening {
        Listening(addresses.iter().map(|one| one.parse().unwrap()).collect())
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_lists_are_read() {
        let v4 = format!(
            "{HEAD}   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1163 1 0 100 0 0 10 0\n   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 100 0 0 10 0\n   2: 0100007F:0BB8 0100007F:E31C 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0 20 4 30 10 -1\n"
        );
        let v6 = format!(
            "{HEAD}   0: 00000000000000000000000000000000:0BB9 00000000000000000000000000000000:0000 0A 0 0 0 0 0 14 1\n   1: 00000000000000000000000001000000:0BBA 00000000000000000000000000000000:0000 0A 0 0 0 0 0 15 1\n   2: 0000000000000000FFFF00000100007F:0BBB 00000000000000000000000000000000:0000 0A 0 0 0 0 0 16 1\n   3: B80D0120000000000000000001000000:0BBC 00000000000000000000000000000000:0000 0A 0 0 0 0 0 17 1\n"
        );
        let wanted = listening(&[
            "0.0.0.0:2024",
            "127.0.0.1:3000",
            "[::]:3001",
            "[::1]:3002",
            "127.0.0.1:3003",
            "[2001:db8::1]:3004",
        ]);
        assert_eq!(Listening::parse(&v4, &v6), Some(wanted));
        assert_eq!(Listening::parse(HEAD, ""), Some(listening(&[])));
    }

    // A line that is skipped might be the one that matters.
    #[test]
    fn lists_that_are_not_understood_say_nothing() {
        for line in [
            "0: 0100007F:0BB8 00000000:0000",
            "0: 0100007F 00000000:0000 0A",
            "0: 0100007F:XYZ 00000000:0000 0A",
            "0: 0100007:0BB8 00000000:0000 0A 1",
            "0: 0100007F0100007F:0BB8 00000000:0000 0A",
            "0: \u{fc}00007F:0BB8 00000000:0000 0A",
        ] {
            let read = Listening::parse(&format!("{HEAD}{line}\n"), "");
            assert_eq!(read, None, "{line}");
        }
    }

    #[test]
    fn the_lists_of_this_machine_are_understood() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listed = Listening::read().is_some_and(|Listening(all)| all.contains(&address));
        assert_eq!(listed, cfg!(target_os = "linux"));
    }

    #[test]
    fn an_app_on_loopback_alone_is_private() {
        for (host, sockets) in [
            ("127.0.0.1", &["127.0.0.1:3000"][..]),
            ("127.0.0.1", &["127.0.0.1:3000", "0.0.0.0:3001", "[::]:80"]),
            ("127.0.0.1", &["127.0.0.1:3000", "127.0.0.2:3000"]),
            ("::1", &["[::1]:3000"]),
            ("localhost", &["127.0.0.1:3000", "[::1]:3000"]),
            ("app.localhost", &["127.0.0.1:3000"]),
        ] {
            let found = exposure(&tcp(host), Some(&listening(sockets)), &[]);
            assert_eq!(found, Exposure::Private, "{host} {sockets:?}");
        }
        let unix = UpstreamAddress::Unix("/run/app.sock".into());
        assert_eq!(exposure(&unix, None, &[]), Exposure::Private);
    }

    #[test]
    fn an_app_on_any_other_address_of_the_machine_is_exposed() {
        for (host, sockets, around) in [
            ("127.0.0.1", &["0.0.0.0:3000"][..], "0.0.0.0:3000"),
            ("127.0.0.1", &["[::]:3000"], "[::]:3000"),
            ("::1", &["[::]:3000"], "[::]:3000"),
            ("localhost", &["0.0.0.0:3000"], "0.0.0.0:3000"),
            (
                "127.0.0.1",
                &["127.0.0.1:3000", "192.0.2.1:3000"],
                "192.0.2.1:3000",
            ),
            (
                "127.0.0.1",
                &["127.0.0.1:3000", "[2001:db8::1]:3000"],
                "[2001:db8::1]:3000",
            ),
        ] {
            let found = exposure(&tcp(host), Some(&listening(sockets)), &[]);
            assert_eq!(found.addresses(), [around], "{host} {sockets:?}");
        }
    }

    #[test]
    fn an_app_that_is_not_there_or_not_here_is_not_judged() {
        for sockets in [
            &[][..],
            &["192.0.2.1:3000"],
            &["[::1]:3000"],
            &["127.0.0.1:1"],
        ] {
            let found = exposure(&tcp("127.0.0.1"), Some(&listening(sockets)), &[]);
            assert_eq!(found, Exposure::Absent, "{sockets:?}");
        }
        for host in ["192.0.2.1", "app", "app.example.com", "2001:db8::1"] {
            let all = listening(&["0.0.0.0:3000"]);
            assert_eq!(exposure(&tcp(host), Some(&all), &[]), Exposure::Unseen);
        }
        assert_eq!(exposure(&tcp("127.0.0.1"), None, &[]), Exposure::Unseen);
    }

    #[test]
    fn the_gate_at_the_same_port_is_not_taken_for_the_app() {
        let all = listening(&["127.0.0.1:3000", "192.0.2.1:3000"]);
        let own = ["192.0.2.1:3000".parse().unwrap()];
        let found = exposure(&tcp("127.0.0.1"), Some(&all), &own);
        assert_eq!(found, Exposure::Private);
    }
}
