//! Section `HAProxyAgent:Discovery`: agents that are found by DNS.

use dps_application::Policy;
use dps_host::HumanDuration;
use dps_infrastructure::edge_directory::{DirectoryRecords, DirectorySettings};
use serde::{Deserialize, Serialize};

use super::dns::ResolverAddress;
use super::report::Report;

/// Agents that are found by DNS, in addition to those that are listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Discovery {
    /// Name to look up, such as `_haproxy-agent._tcp.edges.internal`; `None` disables discovery.
    pub name: Option<String>,
    /// Kind of records that name the agents.
    pub records: Records,
    /// Scheme of the agents' URLs.
    pub scheme: Scheme,
    /// Port of the agents for `Records` = `A`.
    pub port: u16,
    /// Name server; `None` is the first name server of this machine.
    pub resolver: Option<ResolverAddress>,
    /// Time between two lookups.
    pub interval: HumanDuration,
    /// Domain names. An agent at or below one of them needs no approval.
    pub allowed_suffixes: Vec<String>,
}

/// Kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Records {
    /// SRV: each target with its port.
    #[serde(rename = "SRV")]
    Srv,
    /// A and AAAA: each address.
    #[serde(rename = "A")]
    A,
}

/// Scheme of the agents' URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            name: None,
            records: Records::Srv,
            scheme: Scheme::Https,
            port: 9403,
            resolver: None,
            interval: Policy::default().fleet.find_interval.into(),
            allowed_suffixes: Vec::new(),
        }
    }
}

impl Discovery {
    /// Returns the settings of the adapter; `None` if discovery is disabled.
    pub fn settings(&self) -> Option<DirectorySettings> {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
        };
        Some(DirectorySettings {
            name: self.name.clone()?,
            records: match self.records {
                Records::Srv => DirectoryRecords::Services,
                Records::A => DirectoryRecords::Addresses(self.port),
            },
            scheme: scheme.to_owned(),
            resolver: self.resolver.map(|resolver| resolver.0),
            allowed_suffixes: self
                .allowed_suffixes
                .iter()
                .map(|suffix| bare(suffix))
                .collect(),
        })
    }

    /// Adds the findings. `has_tls` is true if `HAProxyAgent:Tls` is set.
    pub(super) fn check(&self, has_tls: bool, report: &mut Report) {
        let Some(name) = &self.name else { return };
        if !is_dns_name(&bare(name)) {
            report.error(
                "HAProxyAgent:Discovery:Name",
                format!(
                    "{name:?} is not a DNS name; set one such as _haproxy-agent._tcp.edges.internal"
                ),
            );
        }
        if self.scheme == Scheme::Http {
            report.error(
                "HAProxyAgent:Discovery:Scheme",
                "is http: a forged DNS answer could redirect every private key to an attacker; use https \
                 with HAProxyAgent:Tls, or list the agents in HAProxyAgent:BaseUrls",
            );
        }
        if !has_tls {
            report.error(
                "HAProxyAgent:Discovery:Name",
                "needs HAProxyAgent:Tls: without your own authority, a forged DNS answer could redirect \
                 every private key to an attacker; create the certificates with `dps pki init`",
            );
        }
        for (index, suffix) in self.allowed_suffixes.iter().enumerate() {
            if !is_dns_name(&bare(suffix)) {
                report.error(
                    &format!("HAProxyAgent:Discovery:AllowedSuffixes:{index}"),
                    format!("{suffix:?} is not a DNS name; set one such as edges.internal"),
                );
            }
        }
        report.count("HAProxyAgent:Discovery:Port", self.port.into(), 1..=65_535);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(3600);
        report.duration("HAProxyAgent:Discovery:Interval", self.interval, bounds);
    }
}

/// A domain name in lower case, without dots at its ends.
fn bare(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(legal)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
