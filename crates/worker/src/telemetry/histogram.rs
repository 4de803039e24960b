//! Histograms over fixed labels that take no lock: an observation is a search among the bounds and
//! two additions.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

const fn millis<const N: usize>(values: [u64; N]) -> [Duration; N] {
    let mut bounds = [Duration::ZERO; N];
    let mut at = 0;
    while at < N {
        bounds[at] = Duration::from_millis(values[at]);
        at += 1;
    }
    bounds
}

/// Bounds for calls over a network, and for steps made of them.
pub(super) static CALLS: [Duration; 14] = millis([
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000,
]);
/// Bounds for work in a database.
pub(super) static STORE: [Duration; 11] =
    millis([1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000, 10_000]);
/// Bounds from the intake of a domain to its certificate: seconds for machines, days for people.
pub(super) static ONBOARDING: [Duration; 14] = millis([
    1_000,
    5_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    900_000,
    1_800_000,
    3_600_000,
    21_600_000,
    86_400_000,
    259_200_000,
    604_800_000,
]);

/// Durations in seconds, one series for each of `L` fixed labels. Series without an observation are
/// not shown. Clones share the series.
#[derive(Debug, Clone)]
pub(super) struct Durations<const L: usize> {
    bounds: &'static [Duration],
    series: Arc<[Series<L>]>,
}

#[derive(Debug)]
struct Series<const L: usize> {
    labels: [(&'static str, &'static str); L],
    /// One for each bound, and one for longer durations.
    buckets: Box<[AtomicU64]>,
    sum_nanos: AtomicU64,
}

impl<const L: usize> Durations<L> {
    /// All series, in the order of their labels.
    pub(super) fn new(
        bounds: &'static [Duration],
        labels: impl IntoIterator<Item = [(&'static str, &'static str); L]>,
    ) -> Self {
        let series = labels.into_iter().map(|labels| Series {
            labels,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_nanos: AtomicU64::new(0),
        });
        Self {
            bounds,
            series: series.collect(),
        }
    }

    /// Adds a duration to the series at a place.
    pub(super) fn observe(&self, place: usize, took: Duration) {
        let Some(series) = self.series.get(place) else {
            return;
        };
        let bucket = self.bounds.partition_point(|bound| *bound < took);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        series.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(bucket) = series.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<const L: usize> EncodeMetric for Durations<L> {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), Error> {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64);
        let bounds: Vec<f64> = bounds.chain([f64::INFINITY]).collect();
        for series in self.series.iter() {
            let counts = series.buckets.iter();
            let counts = counts.map(|bucket| bucket.load(Ordering::Relaxed));
            let buckets: Vec<(f64, u64)> = bounds.iter().copied().zip(counts).collect();
            // The count is that of the buckets, so that both agree while others observe.
            let count = buckets.iter().map(|(_, count)| count).sum();
            if count == 0 {
                continue;
            }
            let nanos = series.sum_nanos.load(Ordering::Relaxed);
            let sum = Duration::from_nanos(nanos).as_secs_f64();
            encoder
                .encode_family(&series.labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    fn is_empty(&self) -> bool {
        let mut buckets = self.series.iter().flat_map(|series| series.buckets.iter());
        buckets.all(|bucket| bucket.load(Ordering::Relaxed) == 0)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_duration_is_counted_up_to_its_bound_and_only_in_its_series() {
        let durations = Durations::new(&STORE, [[("kind", "one")], [("kind", "two")]]);
        let mut registry = Registry::default();
        registry.register("took_seconds", "Time", durations.clone());
        for millis in [2, 3, 20_000] {
            durations.observe(1, Duration::from_millis(millis));
        }
        durations.observe(2, Duration::from_secs(1));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "took_seconds_bucket{le=\"0.001\",kind=\"two\"} 0",
            "took_seconds_bucket{le=\"0.002\",kind=\"two\"} 1",
            "took_seconds_bucket{le=\"0.005\",kind=\"two\"} 2",
            "took_seconds_bucket{le=\"10.0\",kind=\"two\"} 2",
            "took_seconds_bucket{le=\"+Inf\",kind=\"two\"} 3",
            "took_seconds_count{kind=\"two\"} 3",
            "took_seconds_sum{kind=\"two\"} 20.005",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("one"), "{text}");
    }
}
