//! Addresses to which we refuse to connect, because a customer chose them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Special-purpose blocks of RFC 6890 and its updates, with the word a customer reads. Of IPv6,
/// only [`GLOBAL_UNICAST`] less these is allowed.
const FORBIDDEN: &[(&str, &str)] = &[
    ("0.0.0.0/8", "reserved"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared"),
    ("127.0.0.0/8", "loopback"),
    // The virtual address of Azure's platform services, reachable from every machine there.
    ("168.63.129.16/32", "reserved"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "private"),
    ("100::/64", "discard"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "reserved"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
];

/// The only IPv6 block of public addresses (RFC 4291 §2.4, IANA's registry).
const GLOBAL_UNICAST: &str = "2000::/3";

/// Returns the kind of an address to which a public service must not connect; `None` for an
/// ordinary public address. IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4) count as
/// the address that they carry.
pub fn forbidden_kind(address: IpAddr) -> Option<&'static str> {
    let address = match address {
        IpAddr::V6(v6) => embedded_ipv4(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    let lies_in = |net: &str| net.parse::<IpNet>().is_ok_and(|net| net.contains(&address));
    let listed = FORBIDDEN.iter().find(|(net, _)| lies_in(net));
    match listed {
        Some((_, kind)) => Some(kind),
        None if address.is_ipv6() && !lies_in(GLOBAL_UNICAST) => Some("reserved"),
        None => None,
    }
}

/// Returns the kind of an address that a customer chose and that must not be connected to. Private
/// ones may be allowed; an address within `forbidden` networks is refused all the same.
pub fn refused_kind(
    address: IpAddr,
    allow_private: bool,
    forbidden: &[IpNet],
) -> Option<&'static str> {
    let kind = forbidden_kind(address).filter(|_| !allow_private);
    kind.or_else(|| is_within(address, forbidden).then_some("blocked"))
}

/// Whether `address`, or the IPv4 address that it carries, lies in one of `networks`.
pub fn is_within(address: IpAddr, networks: &[IpNet]) -> bool {
    let carried = match address {
        IpAddr::V6(v6) => embedded_ipv4(v6).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    networks
        .iter()
        .any(|net| net.contains(&address) || carried.is_some_and(|ip| net.contains(&ip)))
}

fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let last = || Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last()),
        [0x2002, ..] => Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])),
        _ => None,
    }
}

/// The shortest prefixes of a network of edges, of IPv4 and IPv6: a site's own, not a share of the
/// Internet.
const SHORTEST_PREFIX: (u8, u8) = (16, 32);

/// Returns the reason why `address` cannot belong to an edge; `None` if it can.
pub fn edge_address_fault(address: IpAddr) -> Option<&'static str> {
    edge_network_fault(&IpNet::from(address))
}

/// Returns the reason why `network` cannot hold edges; `None` if it can. In a network that is too
/// large, the addresses of other parties would count as ours.
pub fn edge_network_fault(network: &IpNet) -> Option<&'static str> {
    let (v4, v6) = SHORTEST_PREFIX;
    let shortest = if network.addr().is_ipv4() { v4 } else { v6 };
    if network.prefix_len() < shortest {
        return Some(
            "is too large for a network of edges; use a prefix of /16 or longer for IPv4, and of /32 or \
             longer for IPv6",
        );
    }
    if network.addr().is_unspecified() || network.addr().is_multicast() {
        return Some("is not the address of a machine");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_the_table_parses() {
        for (net, _) in FORBIDDEN {
            assert!(net.parse::<IpNet>().is_ok(), "{net}");
        }
    }

    #[test]
    fn inside_addresses_are_refused_in_every_disguise() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0.0.0.0",
            "::ffff:0.0.200.1",
            "::ffff:10.0.0.1",
            "::ffff:0:7f00:1",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "200::1",
            "4000::1",
            "1000::1",
            "64:ff9b:2::1",
            "2001::1",
            "2001:db8::7",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(forbidden_kind(text.parse().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(forbidden_kind(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn networks_of_the_operator_are_found_in_every_disguise() {
        let networks = [
            "100.20.0.0/16".parse().unwrap(),
            "2600:1901::/32".parse().unwrap(),
        ];
        for text in [
            "100.20.1.1",
            "::ffff:100.20.1.1",
            "64:ff9b::100.20.1.1",
            "2002:6414:101::",
            "2600:1901::9",
        ] {
            assert!(is_within(text.parse().unwrap(), &networks), "{text}");
        }
        assert!(!is_within("100.21.1.1".parse().unwrap(), &networks));
        assert!(!is_within("2600:1902::9".parse().unwrap(), &networks));
    }

    #[test]
    fn a_network_of_edges_is_a_sites_own() {
        for (text, is_usable) in [
            ("0.0.0.0/0", false),
            ("::/0", false),
            ("198.0.0.0/8", false),
            ("198.51.0.0/16", true),
            ("198.51.100.1/32", true),
            ("127.0.0.1/32", true),
            ("0.0.0.0/32", false),
            ("224.0.0.1/32", false),
            ("2000::/3", false),
            ("2001:db8::/31", false),
            ("2001:db8::/32", true),
            ("::/128", false),
        ] {
            let fault = edge_network_fault(&text.parse().unwrap());
            assert_eq!(fault.is_none(), is_usable, "{text}: {fault:?}");
        }
    }
}
