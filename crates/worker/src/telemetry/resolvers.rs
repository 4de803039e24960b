//! Metrics of each resolver.

use std::net::SocketAddr;

use dps_application::resolvers::ResolverStatus;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// By resolver. They are few, and the operator's.
type ByResolver<M> = Family<[(&'static str, String); 1], M>;

/// The metrics of the resolvers.
#[derive(Debug, Clone, Default)]
pub(super) struct ResolverMetrics {
    up: ByResolver<Gauge>,
    failures: ByResolver<Counter>,
}

impl ResolverMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "dps_dns_resolver_up",
            "1 for a resolver that is asked, 0 for one that is passed over because it does not answer",
            metrics.up.clone(),
        );
        registry.register(
            "dps_dns_resolver_failures",
            "Questions for our own target that the resolver did not answer",
            metrics.failures.clone(),
        );
        metrics
    }

    pub(super) fn set(&self, resolvers: &[ResolverStatus]) {
        for resolver in resolvers {
            let label = label(resolver.address);
            self.up
                .get_or_create(&label)
                .set(resolver.problem.is_none().into());
            drop(self.failures.get_or_create(&label));
        }
    }

    pub(super) fn failed(&self, resolver: SocketAddr) {
        self.failures.get_or_create(&label(resolver)).inc();
    }
}

fn label(resolver: SocketAddr) -> [(&'static str, String); 1] {
    [("resolver", resolver.to_string())]
}
