//! The expected records of a name, and the addresses that count as ours.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::observation::ResolverView;
use crate::cdn::ProxyPolicy;
use crate::{Hostname, NameSuffix};

/// The expected records of a name.
#[derive(Debug, Clone, Copy)]
pub struct DnsExpectation<'a> {
    /// The customer's hostname.
    pub hostname: &'a Hostname,
    /// Target of its CNAME.
    pub cname_target: &'a Hostname,
    /// Addresses of our edges by configuration. The addresses of `cname_target` count as ours too.
    pub edge_addresses: &'a [IpNet],
    /// Proxies that may stand in front of the name.
    pub proxies: &'a ProxyPolicy,
    /// Suffixes below which every name is the target of one domain. A chain through the target of
    /// another domain does not point at us, whatever its addresses. Empty for a served domain.
    pub unique_targets: &'a [NameSuffix],
}

/// Our own addresses.
pub(super) struct OurAddresses<'a> {
    /// Those of the target.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Those of the configuration.
    networks: &'a [IpNet],
    /// Whether the target's addresses could not be looked up.
    pub(super) is_incomplete: bool,
}

impl<'a> OurAddresses<'a> {
    pub(super) fn seen_by(expected: &DnsExpectation<'a>, working: &[&ResolverView]) -> Self {
        let addresses: BTreeSet<IpAddr> = working
            .iter()
            .flat_map(|view| view.control.branches())
            .flat_map(|branch| branch.addresses())
            .collect();
        let failed = working.iter().any(|view| view.control.answer.is_failure());
        Self {
            is_incomplete: addresses.is_empty() && (failed || expected.edge_addresses.is_empty()),
            addresses,
            networks: expected.edge_addresses,
        }
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

/// Largest number of our target's addresses that an instruction names.
const MAX_INSTRUCTED: usize = 16;

/// The addresses that a customer's instruction can name: the single addresses of the configuration,
/// or those of the target without any.
pub fn instruction_addresses(configured: &[IpNet], views: &[ResolverView]) -> Vec<IpAddr> {
    let single = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
    let configured: BTreeSet<IpAddr> = configured
        .iter()
        .filter(|net| single(net))
        .map(IpNet::addr)
        .collect();
    if configured.is_empty() {
        views
            .iter()
            .flat_map(|view| view.control.branches())
            .flat_map(|branch| branch.addresses())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .take(MAX_INSTRUCTED)
            .collect()
    } else {
        configured.into_iter().collect()
    }
}
