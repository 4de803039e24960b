//! Metrics of the served certificates and the sealed secrets, from the walks over all of them.

use std::fmt::Error;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use dps_application::survey::{SHARES, Survey};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::units::unix_seconds;

/// All of the fleet.
#[derive(Debug, Clone)]
pub(super) struct CertificateMetrics {
    remaining: Remaining,
    late_for_customers: Gauge,
    late_paused: Gauge,
    fresh: Gauge<f64, AtomicU64>,
    overdue: Gauge<f64, AtomicU64>,
    surveyed_at: Gauge<f64, AtomicU64>,
    pub(super) secrets_under_old_keys: Gauge<f64, AtomicU64>,
}

/// A histogram of the last survey: a state, not a sum over time.
#[derive(Debug, Clone, Default)]
struct Remaining(Arc<Mutex<Option<Survey>>>);

impl EncodeMetric for Remaining {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), Error> {
        let survey = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(survey) = survey.as_ref() else {
            return Ok(());
        };
        let bounds = SHARES.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(survey.by_share).collect();
        let count = survey.by_share.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(survey.sum_of_shares, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    fn is_empty(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }
}

impl CertificateMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            remaining: Remaining::default(),
            late_for_customers: Gauge::default(),
            late_paused: Gauge::default(),
            fresh: Gauge::default(),
            overdue: Gauge::default(),
            surveyed_at: Gauge::default(),
            secrets_under_old_keys: Gauge::default(),
        };
        for unknown in [
            &metrics.fresh,
            &metrics.overdue,
            &metrics.surveyed_at,
            &metrics.secrets_under_old_keys,
        ] {
            unknown.set(f64::NAN);
        }
        registry.register(
            "dps_certificate_remaining_ratio",
            "Share of the lifetime that is left to the certificates of domains that point at us and do not wait for their customers, as of the last survey",
            metrics.remaining.clone(),
        );
        registry.register(
            "dps_certificates_late_for_customers",
            "Certificates with a tenth of their lifetime left or less whose domains wait for their customers, as of the last survey",
            metrics.late_for_customers.clone(),
        );
        registry.register(
            "dps_paused_renewals_late",
            "Certificates with a fifth of their lifetime left or less, ended ones included, whose renewal waits for the end of a pause, as of the last survey",
            metrics.late_paused.clone(),
        );
        registry.register(
            "dps_renewal_info_fresh_ratio",
            "Share of these certificates whose renewal information is younger than 12 hours; NaN if the CA offers none",
            metrics.fresh.clone(),
        );
        registry.register(
            "dps_renewal_info_overdue_ratio",
            "Share of these certificates whose next poll has been due for an hour, or that are not fresh and failed their last; NaN if the CA offers none",
            metrics.overdue.clone(),
        );
        registry.register(
            "dps_certificates_surveyed_timestamp_seconds",
            "When the last survey of all certificates ended; NaN before the first",
            metrics.surveyed_at.clone(),
        );
        registry.register(
            "dps_secrets_under_old_keys",
            "Sealed secrets that need another key-encryption key than the current one; NaN before all were counted",
            metrics.secrets_under_old_keys.clone(),
        );
        metrics
    }

    pub(super) fn set(&self, survey: Survey) {
        let late = i64::try_from(survey.late_for_customers).unwrap_or(i64::MAX);
        self.late_for_customers.set(late);
        let late = i64::try_from(survey.late_paused).unwrap_or(i64::MAX);
        self.late_paused.set(late);
        self.fresh.set(survey.fresh_share().unwrap_or(f64::NAN));
        self.overdue.set(survey.overdue_share().unwrap_or(f64::NAN));
        self.surveyed_at.set(unix_seconds(survey.ended_at));
        *self
            .remaining
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(survey);
    }
}
