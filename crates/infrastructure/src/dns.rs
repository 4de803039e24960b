//! DNS: one recursive resolver, queried packet by packet.
//!
//! [`HickoryResolver`] speaks to exactly one upstream address, without a cache, a hosts file or a
//! search list. So it reports the present answer of that resolver. Every query is sent
//! unchanged. The whole answer is kept: the chain of CNAMEs in order, and the response code for the
//! end of it. Truncated answers are fetched again over TCP.
//!
//! A and AAAA are looked up side by side and combined as a CA does it. Addresses of one family
//! count even if the lookup of the other fails. A bounded part of the records is kept, and the rest
//! is counted. A socket that our own machine cannot open is a separate answer, which says nothing
//! about the name or the resolver. Recursive resolvers answer SERVFAIL for a CNAME loop. The chain
//! is then followed by one CNAME query at a time, to distinguish a loop from a broken server.

mod authoritative;
mod caa;
mod chain;
mod combine;
mod direct;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub(crate) mod query;
mod sockets;
mod txt;

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::DnsResolver;
use dps_domain::Hostname;
use dps_domain::caa::CaaObservation;
use dps_domain::dns::{DnsAnswer, DnsObservation};
use dps_domain::ownership::{TxtAnswer, TxtObservation};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::Instant;

pub use self::authoritative::{AuthoritativeServers, AuthoritativeSettings};
use self::chain::follow_chain;
use self::combine::combine;
use self::query::Upstream;

/// How a resolver is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsSettings {
    /// For one query, resends over UDP included.
    pub query_timeout: Duration,
    /// For a whole observation: all queries for one name.
    pub total_timeout: Duration,
    /// Mixes upper and lower case in queries and requires the same mix in answers, against
    /// forged packets (draft-vixie-dnsext-dns0x20). Some servers do not echo the case; the
    /// query is then sent again over TCP.
    pub randomize_case: bool,
    /// Queries in flight at once. More wait for their turn.
    pub max_active_requests: usize,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(8),
            randomize_case: true,
            max_active_requests: 1024,
        }
    }
}

/// One recursive resolver, by its address.
pub struct HickoryResolver {
    upstream: Upstream,
    total_timeout: Duration,
}

impl HickoryResolver {
    /// A resolver at `address`. Nothing is sent before the first observation.
    pub fn new(address: SocketAddr, settings: DnsSettings) -> Self {
        Self {
            upstream: Upstream::new(address, settings),
            total_timeout: settings.total_timeout,
        }
    }
}

#[async_trait]
impl DnsResolver for HickoryResolver {
    fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    async fn observe(&self, host: &Hostname) -> DnsObservation {
        let resolver = self.address();
        let Some(name) = name(host) else {
            return DnsObservation::new(resolver, Vec::new(), DnsAnswer::NxDomain);
        };
        let deadline = Instant::now() + self.total_timeout;
        let (v4, v6) = tokio::join!(
            follow_chain(&self.upstream, &name, RecordType::A, deadline),
            follow_chain(&self.upstream, &name, RecordType::AAAA, deadline),
        );
        combine(resolver, v4, v6)
    }

    async fn observe_caa(&self, host: &Hostname) -> CaaObservation {
        let deadline = Instant::now() + self.total_timeout;
        let lookups = match name(host) {
            Some(name) => caa::look_up(&self.upstream, &name, deadline).await,
            None => Vec::new(),
        };
        CaaObservation {
            resolver: self.address(),
            lookups,
        }
    }

    async fn observe_proof(&self, host: &Hostname) -> TxtObservation {
        let deadline = Instant::now() + self.total_timeout;
        match txt::owner(host) {
            Some(name) => txt::look_up(&self.upstream, &name, deadline).await,
            None => TxtObservation {
                resolver: self.address(),
                answer: TxtAnswer::Values(vec![]),
                ttl: None,
            },
        }
    }
}

/// The name in the form of the wire. `None` is not reachable for a parsed hostname, and harmless: a
/// name that cannot be queried does not exist.
fn name(host: &Hostname) -> Option<Name> {
    let mut name = Name::from_ascii(host.as_str()).ok()?;
    name.set_fqdn(true);
    Some(name)
}
