//! DNS resolvers.

use std::net::SocketAddr;

use async_trait::async_trait;
use dps_domain::Hostname;
use dps_domain::caa::CaaObservation;
use dps_domain::dns::{AuthoritativeView, DnsObservation};
use dps_domain::ownership::TxtObservation;
use tokio::time::Instant;

/// One recursive resolver, queried without a cache.
#[async_trait]
pub trait DnsResolver: Send + Sync {
    /// Its address.
    fn address(&self) -> SocketAddr;

    /// Follows the CNAME chain of `host` and looks up A and AAAA at its end. Every fault is part of
    /// the observation.
    async fn observe(&self, host: &Hostname) -> DnsObservation;

    /// Looks up the CAA records of `host` and of every name above it, CNAME chains included (RFC
    /// 8659 §3). Every fault is part of the observation.
    async fn observe_caa(&self, host: &Hostname) -> CaaObservation;

    /// Looks up the TXT records that prove a claim of `host`, at the name
    /// [`txt_name`](dps_domain::ownership::txt_name). Every fault is part of the observation.
    async fn observe_proof(&self, host: &Hostname) -> TxtObservation;
}

/// The authoritative servers of customers' zones.
#[async_trait]
pub trait AuthoritativeDns: Send + Sync {
    /// Finds the servers of the zone of `host` through the recursive resolver at `resolver`. Looks
    /// up `host` at each of a bounded number of them, by `deadline`. Every fault is part of the
    /// view.
    async fn observe(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> AuthoritativeView;

    /// Looks up the TXT records that prove a claim of `host`, at the servers that
    /// [`observe`](Self::observe) queries. Servers that answer with an alias into another zone are
    /// left out.
    async fn observe_proof(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> Vec<TxtObservation>;

    /// Looks up the CAA records of `host` and of every name above it, each at the servers of its
    /// own zone (RFC 8659 §3). A CNAME chain is followed from zone to zone. Where no server may be
    /// queried, and above the registered domain, the resolver is. A bounded number of names and
    /// servers is queried, by `deadline`.
    async fn observe_caa(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> Vec<CaaObservation>;
}
