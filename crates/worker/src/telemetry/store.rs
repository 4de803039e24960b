//! Metrics of the CertificateStore.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dps_store::{Operation, OperationTimes};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::{Durations, STORE};

/// All of this process.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    durations: Durations<1>,
    pub(super) up: Gauge<f64, AtomicU64>,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let labels = Operation::ALL.map(|operation| [("operation", operation.as_str())]);
        let metrics = Self {
            durations: Durations::new(&STORE, labels),
            up: Gauge::default(),
        };
        metrics.up.set(f64::NAN);
        registry.register(
            "dps_store_duration_seconds",
            "Duration of work in the CertificateStore: connect until a connection is had, then a read, write or transaction",
            metrics.durations.clone(),
        );
        registry.register(
            "dps_store_up",
            "Whether the CertificateStore committed this process's last test write; NaN before the first",
            metrics.up.clone(),
        );
        metrics
    }
}

impl OperationTimes for StoreMetrics {
    fn took(&self, operation: Operation, took: Duration) {
        self.durations.observe(operation as usize, took);
    }
}
