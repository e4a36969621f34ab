//! Which addresses a name may lead to, looked at after the look-up and before the connection: a name
//! that a provider's metadata bring, or that somebody bends, must not lead to this machine's own
//! services or to the cloud's metadata (security requirement R4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the instance metadata of one cloud are, in a range that is otherwise private.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// The hosts that the operator wrote down; all others were only heard of.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    written: Vec<String>,
}

impl Reach {
    /// For a party whose configuration names these hosts.
    #[must_use]
    pub fn of_hosts<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let written = hosts
            .into_iter()
            .map(|host| bare(host).to_ascii_lowercase());
        Self {
            written: written.collect(),
        }
    }

    /// Whether `host` may lead to `address`. An address that was written down may be anything. A
    /// name never leads to link-local addresses, where clouds keep their metadata, nor to none or to
    /// many; to this machine it leads if it was written down, or is `localhost`.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        let host = bare(host).to_ascii_lowercase();
        let is_written = self.written.contains(&host);
        let address = address.to_canonical();
        if is_written && host.parse::<IpAddr>().is_ok() {
            return true;
        }
        let special = match address {
            IpAddr::V4(address) => special_v4(address),
            IpAddr::V6(address) => special_v6(address),
        };
        let own_name = host == "localhost" || host.ends_with(".localhost");
        let own = own_name || is_written || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !special && (!address.is_loopback() || own)
    }
}

fn special_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.octets().first() == Some(&0)
}

fn special_v6(address: Ipv6Addr) -> bool {
    address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address == METADATA_V6
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    // R4: whatever a name is bent to, it leads to no metadata of a cloud and to nobody here.
    #[test]
    fn a_name_leads_neither_to_cloud_metadata_nor_to_this_machine() {
        let reach = Reach::of_hosts(["id.example.com"]);
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert!(!reach.permits("id.example.com", address), "{address}");
            assert!(!reach.permits("keys.example.com", address), "{address}");
        }
        for address in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = address.parse().unwrap();
            assert!(!reach.permits("keys.example.com", address), "{address}");
            // An identity provider beside the gate, under its own name, is the operator's choice.
            assert!(reach.permits("ID.example.com.", address), "{address}");
        }
        for address in [
            "93.184.216.34",
            "10.1.2.3",
            "192.168.0.9",
            "fd12::1",
            "2001:db8::1",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert!(reach.permits("keys.example.com", address), "{address}");
        }
    }

    // R4: what the operator wrote down as an address is meant.
    #[test]
    fn an_address_that_was_written_down_is_reached() {
        let reach = Reach::of_hosts(["169.254.7.7", "[::1]"]);
        assert!(reach.permits("169.254.7.7", "169.254.7.7".parse().unwrap()));
        assert!(reach.permits("[::1]", "::1".parse().unwrap()));
        assert!(!reach.permits("169.254.169.254", "169.254.169.254".parse().unwrap()));
        let nobody = Reach::default();
        assert!(nobody.permits("127.0.0.1", "127.0.0.1".parse().unwrap()));
        assert!(nobody.permits("localhost", "::1".parse().unwrap()));
    }
}
