//! Metrics, without a label per hostname.

use std::fmt;
use std::sync::Arc;

use dps_agent_api::{ApplyOutcome, ProblemCode, TlsHealth};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

type Labels = [(&'static str, &'static str); 1];

/// The agent's metrics. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    applied: Family<Labels, Counter>,
    refused: Family<Labels, Counter>,
    pub(crate) removed: Counter,
    pub(crate) repaired: Counter,
    pub(crate) verify_failures: Counter,
    pub(crate) haproxy_restarts: Counter,
    pub(crate) haproxy_up: Gauge,
    pub(crate) in_sync: Gauge,
    pub(crate) certificates: Gauge,
    pub(crate) challenges: Gauge,
    pub(crate) quarantined: Gauge,
    pub(crate) apply_seconds: Histogram,
    tls_not_after: Gauge,
    tls_files_usable: Gauge,
    registry: Arc<Registry>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let buckets = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
        let mut metrics = Self {
            applied: Family::default(),
            refused: Family::default(),
            removed: Counter::default(),
            repaired: Counter::default(),
            verify_failures: Counter::default(),
            haproxy_restarts: Counter::default(),
            haproxy_up: Gauge::default(),
            in_sync: Gauge::default(),
            certificates: Gauge::default(),
            challenges: Gauge::default(),
            quarantined: Gauge::default(),
            apply_seconds: Histogram::new(buckets),
            tls_not_after: Gauge::default(),
            tls_files_usable: Gauge::default(),
            registry: Arc::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("haproxy_domain_agent");
        registry.register(
            "applied",
            "Certificates applied, by outcome",
            self.applied.clone(),
        );
        registry.register("refused", "Applies refused, by code", self.refused.clone());
        registry.register("removed", "Hostnames removed", self.removed.clone());
        registry.register(
            "repaired",
            "Differences between disk and HAProxy that were mended",
            self.repaired.clone(),
        );
        registry.register(
            "verify_failures",
            "Handshakes that showed another certificate",
            self.verify_failures.clone(),
        );
        registry.register(
            "haproxy_restarts",
            "Restarts and reloads of HAProxy seen",
            self.haproxy_restarts.clone(),
        );
        registry.register(
            "haproxy_up",
            "Whether HAProxy answers on its Runtime API",
            self.haproxy_up.clone(),
        );
        registry.register(
            "in_sync",
            "Whether HAProxy serves what is on disk",
            self.in_sync.clone(),
        );
        registry.register("certificates", "Certificates held", self.certificates.clone());
        registry.register("challenges", "Challenges answered", self.challenges.clone());
        registry.register("quarantined_files", "Files set aside", self.quarantined.clone());
        registry.register("apply_seconds", "Duration of applies", self.apply_seconds.clone());
        registry.register(
            "tls_not_after_timestamp_seconds",
            "End of validity of the certificate that the agent shows to the service, as a UNIX time; 0 without mutual TLS",
            self.tls_not_after.clone(),
        );
        registry.register(
            "tls_files_usable",
            "Whether the files of Agent:Tls could be used when they were last read; 0 without mutual TLS",
            self.tls_files_usable.clone(),
        );
        registry
    }

    pub(crate) fn tls(&self, health: &TlsHealth) {
        self.tls_not_after.set(health.not_after.unix_seconds());
        self.tls_files_usable.set(i64::from(health.problem.is_none()));
    }

    pub(crate) fn count_applied(&self, outcome: ApplyOutcome) {
        let outcome = match outcome {
            ApplyOutcome::Created => "created",
            ApplyOutcome::Replaced => "replaced",
            ApplyOutcome::Unchanged => "unchanged",
        };
        self.applied.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn count_refused(&self, code: ProblemCode) {
        self.refused.get_or_create(&[("code", code.as_str())]).inc();
    }

    /// The text that a scraper reads.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
