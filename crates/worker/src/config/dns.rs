//! Section `Dns`: the resolvers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use dps_host::HumanDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::report::Report;

/// Recursive resolvers. All of them must see that a name points to us.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Dns {
    /// Resolvers as `ip` or `ip:port`, 1 to 16; port 53 unless given.
    pub resolvers: Vec<ResolverAddress>,
    /// Timeout of one query to one resolver, 1 s to 30 s.
    pub timeout: HumanDuration,
    /// Mixes upper and lower case in queries and requires the same in answers, against forged
    /// answers. Resolvers that answer in lower case are queried over TCP.
    pub randomize_case: bool,
    /// Queries the authoritative servers of a domain whose records are missing or wrong at a
    /// resolver.
    pub query_authoritative: bool,
    /// Port of authoritative servers. Name servers of the Internet listen on port 53.
    pub authoritative_port: u16,
}

/// `ip` (port 53) or `ip:port`; an IPv6 address with port in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolverAddress(pub SocketAddr);

/// The text is not a [`ResolverAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a resolver address; write 8.8.8.8, 127.0.0.1:5353, 2001:4860:4860::8888 or [::1]:5353"
)]
pub struct ResolverAddressError(String);

const DNS_PORT: u16 = 53;

impl Default for Dns {
    fn default() -> Self {
        let resolver = |address: [u8; 4]| ResolverAddress(SocketAddr::from((address, DNS_PORT)));
        Self {
            resolvers: vec![resolver([8, 8, 8, 8]), resolver([1, 1, 1, 1])],
            timeout: HumanDuration::from_secs(3),
            randomize_case: true,
            query_authoritative: true,
            authoritative_port: DNS_PORT,
        }
    }
}

impl Dns {
    pub(super) fn check(&self, report: &mut Report) {
        if self.resolvers.is_empty() {
            report.error(
                "Dns:Resolvers",
                "is empty; set at least one resolver, preferably two of different operators",
            );
        }
        if self.resolvers.len() > 16 {
            report.error(
                "Dns:Resolvers",
                "has more than 16 resolvers; remove some, since every check queries all of them",
            );
        }
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(30);
        report.duration("Dns:Timeout", self.timeout, bounds);
        let port = self.authoritative_port;
        report.count("Dns:AuthoritativePort", port.into(), 1..=65_535);
        if port != DNS_PORT {
            report.warning(
                "Dns:AuthoritativePort",
                "is not 53, the port of name servers on the Internet",
            );
        }
    }
}

impl FromStr for ResolverAddress {
    type Err = ResolverAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text
            .parse::<IpAddr>()
            .map(|ip| SocketAddr::new(ip, DNS_PORT));
        bare.or_else(|_| text.parse::<SocketAddr>())
            .map(Self)
            .map_err(|_| ResolverAddressError(text.to_owned()))
    }
}

impl fmt::Display for ResolverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ResolverAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResolverAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_an_address_with_or_without_port() {
        for (text, full) in [
            ("8.8.8.8", "8.8.8.8:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(text.parse::<ResolverAddress>().unwrap().to_string(), full);
        }
        for bad in [
            "",
            "dns.google",
            "8.8.8",
            "8.8.8.8:",
            "8.8.8.8:99999",
            "[::1]",
            "tls://8.8.8.8",
        ] {
            let error = bad.parse::<ResolverAddress>().unwrap_err().to_string();
            assert!(error.contains("write 8.8.8.8"), "{error}");
        }
    }
}
