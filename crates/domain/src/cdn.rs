//! CDNs and proxies in front of a name, recognised by their published networks and by headers.

mod by_header;

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use crate::address::is_within;
use crate::dns::entries;

pub use by_header::{MAX_PROBED, addresses_to_probe, named_by_headers};

/// The CDNs: facts, one a line.
const DATA: &str = include_str!("../data/cdns.txt");

static CDNS: LazyLock<Vec<Cdn>> = LazyLock::new(|| entries(DATA).filter_map(Cdn::read).collect());

/// The name of a proxy in one of the operator's networks.
const CONFIGURED: &str = "a proxy";

/// A CDN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cdn {
    /// Its name.
    pub name: &'static str,
    /// The action that takes it out of the way, as a clause in the imperative.
    pub remedy: &'static str,
    /// The address of its instructions.
    pub instructions: &'static str,
    headers: Vec<Header>,
    networks: Vec<IpNet>,
}

/// A header of the CDN's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    name: &'static str,
    /// The beginning of its value; empty for any value.
    value: &'static str,
}

impl Cdn {
    /// The CDN with this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        CDNS.iter().find(|cdn| cdn.name == name)
    }

    /// The CDN that sends this header.
    pub fn by_header(name: &str, value: &str) -> Option<&'static Self> {
        CDNS.iter().find(|cdn| cdn.sends(name, value))
    }

    /// The CDN that publishes the network of an address.
    fn at(address: IpAddr) -> Option<&'static Self> {
        CDNS.iter().find(|cdn| is_within(address, &cdn.networks))
    }

    fn sends(&self, name: &str, value: &str) -> bool {
        self.headers.iter().any(|header| {
            let head = value.get(..header.value.len());
            header.name.eq_ignore_ascii_case(name)
                && head.is_some_and(|head| head.eq_ignore_ascii_case(header.value))
        })
    }

    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split('|').map(str::trim);
        let (name, remedy, instructions) = (fields.next()?, fields.next()?, fields.next()?);
        let header = |text: &'static str| {
            let (name, value) = text.split_once(':').unwrap_or((text, ""));
            Header {
                name: name.trim(),
                value: value.trim(),
            }
        };
        let headers = fields.next()?.split(',').map(header).collect();
        let networks = fields.next()?.split_whitespace();
        Some(Self {
            name,
            remedy,
            instructions,
            headers,
            networks: networks
                .map(|net| net.parse().ok())
                .collect::<Option<_>>()?,
        })
    }
}

/// The operator's rules for names behind proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyPolicy {
    /// Whether a name behind a proxy is accepted if the HTTP probe passes through it.
    pub accepted: bool,
    /// Networks of proxies besides those of known CDNs.
    pub networks: Vec<IpNet>,
}

impl ProxyPolicy {
    /// The name of the proxy at an address; `None` if no proxy is known there.
    pub fn name_at(&self, address: IpAddr) -> Option<&'static str> {
        let configured = || is_within(address, &self.networks).then_some(CONFIGURED);
        Cdn::at(address).map(|cdn| cdn.name).or_else(configured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_is_a_cdn() {
        assert_eq!(CDNS.len(), entries(DATA).count());
        for cdn in CDNS.iter() {
            assert!(cdn.instructions.starts_with("https://"), "{cdn:?}");
            assert!(!cdn.headers.is_empty() && !cdn.remedy.is_empty(), "{cdn:?}");
        }
    }

    #[test]
    fn a_cdn_is_known_by_its_networks_and_headers() {
        let policy = ProxyPolicy {
            accepted: false,
            networks: vec!["192.0.2.0/24".parse().unwrap()],
        };
        let at = |address: &str| policy.name_at(address.parse().unwrap());
        assert_eq!(at("104.16.132.229"), Some("Cloudflare"));
        assert_eq!(at("2606:4700::6810:84e5"), Some("Cloudflare"));
        assert_eq!(at("151.101.1.6"), Some("Fastly"));
        assert_eq!(at("192.0.2.9"), Some("a proxy"));
        assert_eq!(at("198.51.100.1"), None);
        let name = |name, value| Cdn::by_header(name, value).map(|cdn| cdn.name);
        assert_eq!(name("CF-RAY", "8a1-FRA"), Some("Cloudflare"));
        assert_eq!(name("Server", "AkamaiGHost"), Some("Akamai"));
        assert_eq!(name("server", "BunnyCDN-DE1-1"), Some("bunny.net"));
        assert_eq!(name("server", "nginx"), None);
        assert_eq!(name("x-served-by", "cache-fra-1"), Some("Fastly"));
        assert_eq!(name("x-served-by", "é"), None);
    }
}
