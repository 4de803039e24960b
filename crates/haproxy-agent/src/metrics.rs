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

/// How HAProxy differs from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    /// HAProxy does not have a certificate.
    Missing,
    /// It has it, but serves it to no client.
    Unlisted,
    /// It has another one under its name.
    Replaced,
    /// It has one that the disk does not have.
    Unwanted,
    /// It serves the same one twice.
    Duplicate,
    /// It has the right one and presents another.
    Presented,
    /// A certificate's file is not as it was left.
    File,
    /// The crt-list is not as it was left.
    List,
}

impl Drift {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unlisted => "unlisted",
            Self::Replaced => "replaced",
            Self::Unwanted => "unwanted",
            Self::Duplicate => "duplicate",
            Self::Presented => "presented",
            Self::File => "file",
            Self::List => "list",
        }
    }
}

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
    drift: Family<Labels, Counter>,
    certificates: Family<Labels, Gauge>,
    pub(crate) disk_bytes: Gauge,
    pub(crate) challenges: Gauge,
    pub(crate) quarantined: Gauge,
    pub(crate) apply_seconds: Histogram,
    tls_not_after: Gauge,
    tls_files_usable: Gauge,
    burst_certificates: Histogram,
    pub(crate) reload_waits: Counter,
    pub(crate) crt_list_watched: Gauge,
    registry: Arc<Registry>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let buckets = [
            0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
        ];
        let mut metrics = Self {
            applied: Family::default(),
            refused: Family::default(),
            removed: Counter::default(),
            repaired: Counter::default(),
            verify_failures: Counter::default(),
            haproxy_restarts: Counter::default(),
            haproxy_up: Gauge::default(),
            in_sync: Gauge::default(),
            drift: Family::default(),
            certificates: Family::default(),
            disk_bytes: Gauge::default(),
            challenges: Gauge::default(),
            quarantined: Gauge::default(),
            apply_seconds: Histogram::new(buckets),
            tls_not_after: Gauge::default(),
            tls_files_usable: Gauge::default(),
            burst_certificates: Histogram::new([1.0, 4.0, 16.0, 64.0, 256.0]),
            reload_waits: Counter::default(),
            crt_list_watched: Gauge::default(),
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
        registry.register(
            "refused",
            "Applies and removals refused, by code",
            self.refused.clone(),
        );
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
        registry.register(
            "drift",
            "Differences between disk and HAProxy that a comparison found, by kind",
            self.drift.clone(),
        );
        registry.register(
            "certificates",
            "Certificates held, by whether HAProxy serves them",
            self.certificates.clone(),
        );
        registry.register(
            "disk_bytes",
            "Size of the certificates' files",
            self.disk_bytes.clone(),
        );
        registry.register("challenges", "Challenges answered", self.challenges.clone());
        registry.register(
            "quarantined_files",
            "Files set aside",
            self.quarantined.clone(),
        );
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
        registry.register(
            "apply_seconds",
            "Duration of applies, from the queue to the verdict",
            self.apply_seconds.clone(),
        );
        registry.register(
            "burst_certificates",
            "Certificates that were worked together",
            self.burst_certificates.clone(),
        );
        registry.register(
            "reload_waits",
            "Bursts of applies or removals that waited for a reload of HAProxy",
            self.reload_waits.clone(),
        );
        registry.register(
            "crt_list_watched",
            "Whether the agent sees that HAProxy is reading the crt-list",
            self.crt_list_watched.clone(),
        );
        registry
    }

    pub(crate) fn tls(&self, health: &TlsHealth) {
        self.tls_not_after.set(health.not_after.unix_seconds());
        self.tls_files_usable
            .set(i64::from(health.problem.is_none()));
    }

    pub(crate) fn count_applied(&self, outcome: ApplyOutcome) {
        let outcome = match outcome {
            ApplyOutcome::Created => "created",
            ApplyOutcome::Replaced => "replaced",
            ApplyOutcome::Unchanged => "unchanged",
            ApplyOutcome::Unknown => "unknown",
        };
        self.applied.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn count_drift(&self, kind: Drift) {
        self.drift.get_or_create(&[("kind", kind.as_str())]).inc();
    }

    pub(crate) fn observe_burst(&self, certificates: usize) {
        // A burst has a few hundred at most.
        self.burst_certificates
            .observe(u32::try_from(certificates).map_or(f64::INFINITY, f64::from));
    }

    /// How many certificates are in each state.
    pub(crate) fn set_certificates(&self, by_state: [(&'static str, u64); 3]) {
        for (state, count) in by_state {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.certificates
                .get_or_create(&[("state", state)])
                .set(count);
        }
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
