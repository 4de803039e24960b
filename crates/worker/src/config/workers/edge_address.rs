//! Addresses of the edges.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An IP address or a network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeAddress(pub IpNet);

/// The text is not an [`EdgeAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an IP address or network; write an IP address, or a network such as 192.0.2.0/24"
)]
pub struct EdgeAddressError(String);

impl FromStr for EdgeAddress {
    type Err = EdgeAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let single = text.parse::<IpAddr>().map(IpNet::from);
        single
            .or_else(|_| text.parse::<IpNet>())
            .map(Self)
            .map_err(|_| EdgeAddressError(text.to_owned()))
    }
}

impl fmt::Display for EdgeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

impl Serialize for EdgeAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EdgeAddress {
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
    fn an_edge_address_is_a_host_or_a_network_and_reads_back_as_written() {
        for text in ["192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32"] {
            assert_eq!(text.parse::<EdgeAddress>().unwrap().to_string(), text);
        }
        for bad in ["", "edge.example", "192.0.2.0/33", "192.0.2.1:80"] {
            assert!(bad.parse::<EdgeAddress>().is_err(), "{bad}");
        }
    }
}
