//! Durations of DNS lookups, measured around the resolvers.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use dps_application::ports::{AuthoritativeDns, DnsResolver};
use dps_domain::Hostname;
use dps_domain::caa::CaaObservation;
use dps_domain::dns::{AuthoritativeView, DnsObservation};
use dps_domain::ownership::TxtObservation;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::histogram::{CALLS, Durations};

/// The kinds of lookups, in the order of their series.
#[derive(Debug, Clone, Copy)]
enum Lookup {
    Address,
    Caa,
    Proof,
    AuthoritativeAddress,
    AuthoritativeProof,
    AuthoritativeCaa,
}

impl Lookup {
    const NAMES: [&'static str; 6] = [
        "address",
        "caa",
        "proof",
        "authoritative_address",
        "authoritative_proof",
        "authoritative_caa",
    ];
}

/// The durations of lookups.
#[derive(Debug, Clone)]
pub struct LookupMetrics(pub(super) Durations<1>);

impl LookupMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let labels = Lookup::NAMES.map(|name| [("operation", name)]);
        let durations = Durations::new(&CALLS, labels);
        registry.register(
            "dps_dns_lookup_duration_seconds",
            "Duration of DNS lookups with all their queries, those without an answer included",
            durations.clone(),
        );
        Self(durations)
    }

    async fn timed<T>(&self, lookup: Lookup, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = work.await;
        self.0.observe(lookup as usize, begun.elapsed());
        result
    }
}

/// A resolver, or the authoritative servers, whose lookups are timed.
pub struct Timed<T: ?Sized> {
    inner: Arc<T>,
    metrics: LookupMetrics,
}

impl<T: ?Sized> Timed<T> {
    /// Times the lookups of `inner`.
    pub const fn new(inner: Arc<T>, metrics: LookupMetrics) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl DnsResolver for Timed<dyn DnsResolver> {
    fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    async fn observe(&self, host: &Hostname) -> DnsObservation {
        let work = self.inner.observe(host);
        self.metrics.timed(Lookup::Address, work).await
    }

    async fn observe_caa(&self, host: &Hostname) -> CaaObservation {
        let work = self.inner.observe_caa(host);
        self.metrics.timed(Lookup::Caa, work).await
    }

    async fn observe_proof(&self, host: &Hostname) -> TxtObservation {
        let work = self.inner.observe_proof(host);
        self.metrics.timed(Lookup::Proof, work).await
    }
}

#[async_trait]
impl AuthoritativeDns for Timed<dyn AuthoritativeDns> {
    async fn observe(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> AuthoritativeView {
        let work = self.inner.observe(host, resolver, deadline);
        self.metrics.timed(Lookup::AuthoritativeAddress, work).await
    }

    async fn observe_proof(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> Vec<TxtObservation> {
        let work = self.inner.observe_proof(host, resolver, deadline);
        self.metrics.timed(Lookup::AuthoritativeProof, work).await
    }

    async fn observe_caa(
        &self,
        host: &Hostname,
        resolver: SocketAddr,
        deadline: Instant,
    ) -> Vec<CaaObservation> {
        let work = self.inner.observe_caa(host, resolver, deadline);
        self.metrics.timed(Lookup::AuthoritativeCaa, work).await
    }
}
